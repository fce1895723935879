//! A commit: take a bound, verify its chunks in one listing, append the intent, move.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::append::Appended;
use super::{Coordinator, Doubt, Next, Phase, Purpose};
use crate::action::{AcknowledgePermit, Action, OpenPermit};
use crate::error::Stop;
use crate::facts::{Extent, Listing, News, Patience, StagedChunk};
use crate::ids::Epoch;
use crate::plan;
use crate::rows::{ClaimedChunk, Logs};
use crate::rules::Rule;
use crate::tag::ChunkId;
use crate::verify::{Verified, verify_by};

impl Coordinator {
    pub(super) fn news(&mut self, news: News) -> Next {
        let me = self.me()?.generation;
        for chunk in news.chunks {
            let id = chunk.tag.chunk;
            if id.epoch < self.at.cover || chunk.tag.generation != me || id.log != me {
                return Err(Stop::Misuse {
                    fact: "News",
                    asked: "chunks of this run that are not committed",
                });
            }
            self.work.staged(chunk);
        }
        self.work.reached(news.staged_below, news.positions);
        self.purpose = Purpose::Run;
        match self.next_bound() {
            Some(_) => self.commit_next(),
            None => Ok((Phase::Idle, Action::Wait)),
        }
    }

    fn next_bound(&self) -> Option<Epoch> {
        self.work.next_bound(self.at.cover, self.setup.limits.chunks_per_commit)
    }

    /// Begins the commit of the next bound: list, unless it has no chunks.
    pub(super) fn commit_next(&mut self) -> Next {
        let bound = self.next_bound().ok_or(Stop::Misuse { fact: "nothing", asked: "a bound" })?;
        let has_chunks = self.work.below(bound).next().is_some();
        match has_chunks {
            true => Ok((Phase::Verifying(bound), Action::ListStaging(self.name()?))),
            false => self.append_intent(bound, Vec::new()),
        }
    }

    /// After chunks were staged again: the bound is what it was, as nothing else was reported.
    pub(super) fn verify_next(&mut self) -> Next {
        self.commit_next()
    }

    pub(super) fn verify(&mut self, bound: Epoch, listing: Listing, patience: Patience) -> Next {
        let Listing::Extents(mut extents) = listing else { return self.doubt(Doubt::Verify(bound)) };
        // The table may hold far more than this commit takes, and each of its chunks looks through the list.
        let awaited: BTreeSet<ChunkId> = self.work.below(bound).map(|chunk| chunk.tag.chunk).collect();
        extents.retain(|extent| extent.tags.iter().any(|tag| awaited.contains(&tag.chunk)));
        let (mut whole, mut again, mut wait) = (Vec::new(), Vec::new(), false);
        for chunk in self.work.below(bound) {
            match self.judge(chunk, &extents) {
                Ok(claimed) => whole.push(claimed),
                Err(Verified::Fewer { .. }) if patience == Patience::Left => wait = true,
                Err(Verified::Fewer { rows } | Verified::More { rows }) => again.push((*chunk, rows)),
                Err(Verified::Whole(_)) => {}
            }
        }
        match (again.is_empty(), wait) {
            (false, _) => self.stage_again(again),
            (true, true) => Ok((Phase::Verifying(bound), Action::ListStaging(self.name()?))),
            (true, false) => self.append_intent(bound, whole),
        }
    }

    fn judge(&self, chunk: &StagedChunk, extents: &[Extent]) -> Result<ClaimedChunk, Verified> {
        let single = self.setup.limits.one_extent_per_chunk;
        match verify_by(chunk, extents, single, self.rules) {
            (tag, Verified::Whole(extents)) => {
                Ok(ClaimedChunk { tag, rows: chunk.rows, extents, sum: chunk.sum })
            }
            (_, not) => Err(not),
        }
    }

    /// A new attempt of each chunk; the one before is never accepted again (the new one replaces it at once).
    fn stage_again(&mut self, chunks: Vec<(StagedChunk, u64)>) -> Next {
        let mut asked = Vec::new();
        for (chunk, seen) in chunks {
            let attempt = chunk.tag.attempt.next();
            if attempt.0 >= self.setup.limits.attempts_per_chunk {
                let (tag, rows) = (chunk.tag, chunk.rows);
                return self.stop_after_look(Stop::ChunkRefused { tag, rows, seen, attempts: attempt });
            }
            let next = StagedChunk { tag: self.tag(chunk.tag.chunk, attempt)?, ..chunk };
            self.work.staged(next);
            asked.push(next);
        }
        self.stage(asked)
    }

    /// Whose logs count after an intent up to `bound`: in an adoption the old ones until its last intent.
    fn logs_after(&self, bound: Epoch) -> Result<Option<Logs>, Stop> {
        match self.purpose {
            Purpose::Adopt(end) if bound < end || !self.rules.on(Rule::OpeningIntent) => Ok(self.at.logs),
            _ => self.own_logs().map(Some),
        }
    }

    fn append_intent(&mut self, bound: Epoch, chunks: Vec<ClaimedChunk>) -> Next {
        let positions = match self.work.positions(&self.at.positions, bound) {
            Ok(positions) => positions,
            Err(conflict) => return self.stop_after_look(Stop::Positions(conflict)),
        };
        let logs = self.logs_after(bound)?;
        let head = self.head.as_deref();
        let intent = plan::intent(self.me()?, head, &self.at, bound, logs, positions, chunks);
        self.current = Some(Arc::new(intent));
        self.append(Appended::Intent)
    }

    /// An intent that moves nothing: it opens a run, or settles the last intent at its end.
    pub(super) fn append_empty(&mut self) -> Next {
        self.append_intent(self.at.cover, Vec::new())
    }

    pub(super) fn intent_is_there(&mut self) -> Next {
        let intent = self.current.as_deref();
        let extents: Vec<_> = intent.into_iter().flat_map(|intent| intent.extents()).collect();
        match extents.is_empty() {
            false => self.send_move(extents),
            // The row may have landed after somebody else read the head: only the names tell.
            true if self.rules.on(Rule::LookAfterEmpty) => self.doubt(Doubt::Empty),
            true => self.committed(),
        }
    }

    /// The intent took effect.
    pub(super) fn committed(&mut self) -> Next {
        let intent = self.current.take().ok_or(Stop::Misuse { fact: "nothing", asked: "an intent" })?;
        self.at = intent.after.clone();
        let rows = intent.rows();
        self.head = Some(intent);
        self.work.committed(self.at.cover);
        match self.purpose {
            Purpose::Roll => self.list_logs(),
            Purpose::Adopt(end) if self.at.cover < end => self.commit_next(),
            Purpose::Adopt(_) | Purpose::Open => self.open(),
            Purpose::Close => Ok((Phase::Ended, Action::Closed)),
            Purpose::Run => {
                let permit =
                    AcknowledgePermit { below: self.at.cover, positions: self.at.positions.clone(), rows };
                Ok((Phase::Idle, Action::Committed(permit)))
            }
        }
    }

    pub(super) fn open(&mut self) -> Next {
        let (start, first_epoch) = (self.me()?, self.at.cover);
        let permit = OpenPermit { start, first_epoch, positions: self.at.positions.clone() };
        Ok((Phase::Idle, Action::Open(permit)))
    }

    /// Settles the head if it moved rows, so that no later start has to look for them.
    pub(super) fn close(&mut self) -> Next {
        match self.head.as_deref() {
            Some(head) if !head.chunks.is_empty() => {
                self.purpose = Purpose::Close;
                self.append_empty()
            }
            _ => Ok((Phase::Ended, Action::Closed)),
        }
    }
}
