//! Looks and moves: what an intent claims is brought into the target, and never withdrawn (invariant 7).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Coordinator, Doubt, Next, Phase, Purpose};
use crate::action::{Action, MovePermit};
use crate::error::{Ambiguous, MissingChunk, Stop};
use crate::evidence::{RollForward, roll_forward, still_staged, to_look_for};
use crate::facts::{Listing, MovedExtent, Reply};
use crate::ids::ExtentId;
use crate::rows::{Frontier, Intent};
use crate::tag::Tag;

impl Coordinator {
    /// Finishes the head that the start before left.
    pub(super) fn roll_forward(&mut self) -> Next {
        self.purpose = Purpose::Roll;
        let Some(head) = self.head.clone() else { return self.list_logs() };
        self.current = Some(head);
        self.look()
    }

    fn current(&self) -> Result<Arc<Intent>, Stop> {
        self.current.clone().ok_or(Stop::Misuse { fact: "nothing", asked: "an intent" })
    }

    /// The first look: into S. An intent without rows needs none.
    pub(super) fn look(&mut self) -> Next {
        let intent = self.current()?;
        if intent.chunks.is_empty() {
            return self.committed();
        }
        #[cfg(any(test, feature = "testing"))]
        if !self.rules.on(crate::rules::Rule::StagingBeforeTarget) {
            let tags = intent.chunks.iter().map(|chunk| chunk.tag).collect();
            return Ok((Phase::TargetFirst(None), Action::ListTarget(tags)));
        }
        Ok((Phase::LookStaging, Action::ListStaging(self.name()?)))
    }

    pub(super) fn looked_into_staging(&mut self, listing: Listing) -> Next {
        let Listing::Extents(extents) = listing else { return self.doubt(Doubt::Move) };
        let intent = self.current()?;
        let staged = still_staged(&intent, &extents);
        match to_look_for(&intent, &staged) {
            none if none.is_empty() => self.send_move(intent.extents().collect()),
            tags => Ok((Phase::LookTarget(staged), Action::ListTarget(tags))),
        }
    }

    /// The second look: into T.
    pub(super) fn looked_into_target(&mut self, staged: &BTreeSet<ExtentId>, target: &BTreeSet<Tag>) -> Next {
        let intent = self.current()?;
        let person = self.person.as_ref().filter(|person| person.intent == intent.id);
        match roll_forward(&intent, staged, target, person.map(|person| &person.decision)) {
            RollForward::Move(extents) => self.send_move(extents),
            RollForward::Done => self.committed(),
            RollForward::Restage(before) => self.restage(before),
            RollForward::Ambiguous(missing) => self.ambiguous(&intent, missing),
        }
    }

    /// Both looks in the order that the rule forbids.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn looked_wrongly(&mut self, target: &BTreeSet<Tag>, listing: Listing) -> Next {
        let Listing::Extents(extents) = listing else { return self.doubt(Doubt::Move) };
        let intent = self.current()?;
        let staged = still_staged(&intent, &extents);
        self.looked_into_target(&staged, target)
    }

    fn ambiguous(&self, intent: &Intent, missing: Vec<MissingChunk>) -> Next {
        self.stop_after_look(Stop::Ambiguous(Box::new(Ambiguous {
            intent: intent.id,
            from: intent.from,
            cover: intent.after.cover,
            rows: intent.rows(),
            chunks: intent.chunks.len(),
            missing,
            staging: self.name()?,
        })))
    }

    /// A person found none of the head's rows: the state before it holds, its number in the chain stays taken.
    fn restage(&mut self, before: Frontier) -> Next {
        self.current = None;
        self.at = before;
        self.list_logs()
    }

    pub(super) fn send_move(&self, extents: Vec<ExtentId>) -> Next {
        Ok((Phase::Moving, Action::Move(MovePermit { from: self.name()?, extents })))
    }

    /// Success is every id in the answer, and none failed. Anything else is looked at.
    pub(super) fn moved(&mut self, answer: &[MovedExtent]) -> Next {
        let moved: BTreeSet<ExtentId> =
            answer.iter().filter(|one| one.moved).map(|one| one.original).collect();
        let failed = answer.iter().any(|one| !one.moved);
        let all = self.current()?.extents().all(|id| moved.contains(&id));
        if all && !failed { self.committed() } else { self.doubt(Doubt::Move) }
    }

    pub(super) fn not_moved(&mut self, reply: Reply) -> Next {
        self.unsettled("moving extents into the target", reply, Doubt::Move)
    }
}
