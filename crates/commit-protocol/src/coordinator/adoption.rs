//! Adoption, and the directories of the run.

use super::{Coordinator, Doubt, Next, Phase, Purpose};
use crate::action::{Action, PreparePermit, StagePermit};
use crate::adopt::{Adopted, Adoption, Column, LogLists, adopt_by};
use crate::error::{MissingLogs, Stop};
use crate::facts::{Reply, StagedChunk};
use crate::ids::{Attempt, Worker};
use crate::rows::Logs;
#[cfg(any(test, feature = "testing"))]
use crate::rules::Rule;
use crate::tag::{ChunkId, Tag};

impl Coordinator {
    pub(super) fn list_logs(&mut self) -> Next {
        Ok((Phase::Logs, Action::ListLogs))
    }

    pub(super) fn adopt(&mut self, lists: &LogLists, target: &[Column]) -> Next {
        match adopt_by(&self.at, lists, target, self.rules) {
            Ok(Adoption::Held) => self.list_logs(),
            Ok(Adoption::Nothing) => self.prepare(None),
            Ok(Adoption::Adopt(adopted)) => self.prepare(Some(Box::new(adopted))),
            Ok(Adoption::Missing { .. }) if self.setup.sources_replay => self.prepare(None),
            Ok(Adoption::Missing { logs, workers }) => self.missing(logs, workers, lists),
            Err(contradiction) => self.stop_after_look(Stop::Logs(contradiction)),
        }
    }

    fn missing(&self, logs: Logs, workers: Vec<Worker>, lists: &LogLists) -> Next {
        let same = lists.directories.iter().filter(|dir| dir.start == logs.start);
        let here = same.map(|dir| dir.place.clone()).collect();
        let cover = self.at.cover;
        self.stop_after_look(Stop::MissingLogs(Box::new(MissingLogs { logs, workers, cover, here })))
    }

    /// Every worker's directory is created and synced before the opening intent names it.
    pub(super) fn prepare(&mut self, adopted: Option<Box<Adopted>>) -> Next {
        let permit =
            PreparePermit { start: self.me()?, workers: self.setup.workers, align: adopted.is_some() };
        Ok((Phase::Preparing(adopted), Action::Prepare(permit)))
    }

    pub(super) fn prepared(&mut self, adopted: Option<Box<Adopted>>, reply: Reply) -> Next {
        match (reply, adopted) {
            (Reply::Done, Some(adopted)) => self.stage_adopted(*adopted),
            (Reply::Done, None) => self.open_empty(),
            (reply, adopted) => self.unsettled("preparing the run", reply, Doubt::Prepare(adopted)),
        }
    }

    /// The sums come with the report: they are in the files.
    fn stage_adopted(&mut self, adopted: Adopted) -> Next {
        self.purpose = Purpose::Adopt(adopted.bound);
        #[cfg(any(test, feature = "testing"))]
        if !self.rules.on(Rule::OpeningIntent) || !self.rules.on(Rule::LogsOfHead) {
            self.at.logs = Some(adopted.logs);
        }
        self.work.reached(adopted.bound, adopted.positions);
        let first = |(chunk, rows)| Ok(StagedChunk { tag: self.tag(chunk, Attempt(0))?, rows, sum: None });
        let chunks = adopted.chunks.into_iter().map(first).collect::<Result<Vec<_>, Stop>>()?;
        match chunks.is_empty() {
            true => self.commit_next(),
            false => self.stage(chunks),
        }
    }

    pub(super) fn tag(&self, chunk: ChunkId, attempt: Attempt) -> Result<Tag, Stop> {
        Ok(Tag { lineage: self.setup.lineage, generation: self.me()?.generation, chunk, attempt })
    }

    pub(super) fn stage(&mut self, chunks: Vec<StagedChunk>) -> Next {
        let permit = StagePermit { into: self.name()?, chunks: chunks.clone() };
        Ok((Phase::Staging(chunks), Action::Stage(permit)))
    }

    /// Takes the report if it has every chunk that was asked for, with that attempt or a later one.
    pub(super) fn staged(&mut self, asked: &[StagedChunk], reported: &[StagedChunk]) -> Next {
        let fits = |ask: &StagedChunk, one: &StagedChunk| {
            let same = Tag { attempt: ask.tag.attempt, ..one.tag } == ask.tag;
            same && one.tag.attempt >= ask.tag.attempt && one.rows == ask.rows
        };
        for ask in asked {
            let one = reported.iter().find(|one| fits(ask, one));
            let one =
                one.ok_or(Stop::Misuse { fact: "Staged", asked: "every chunk that was to be staged" })?;
            self.work.staged(*one);
        }
        self.verify_next()
    }

    /// Nothing is adopted: an intent without rows repeats cover and positions and names the own logs.
    fn open_empty(&mut self) -> Next {
        self.purpose = Purpose::Open;
        #[cfg(any(test, feature = "testing"))]
        if !self.rules.on(Rule::OpeningIntent) {
            return self.open();
        }
        self.append_empty()
    }
}
