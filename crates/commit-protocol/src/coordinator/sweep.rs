//! The sweep: any time, beside whatever else is in flight.

use std::collections::BTreeSet;

use super::Coordinator;
use crate::action::SweepPermit;
use crate::facts::Listing;
use crate::ids::ExtentId;
use crate::rules::Rule;
use crate::sweep::{Fate, SweepFacts, classify_by};

impl Coordinator {
    /// Decides what of a listing of the staging table may be dropped from it. The listing was made under the own name since
    /// the last fact was given to [`Coordinator::decide`]. It may be asked at any time, also while another request is in
    /// flight: once a run is open, and now and then after a commit. Nothing is answered back; what a drop leaves, the next
    /// sweep finds. A drop names the staging table: ids that were moved meanwhile are not in it.
    pub fn sweep(&self, listing: &Listing) -> Option<SweepPermit> {
        let (Listing::Extents(extents), Some(own)) = (listing, self.own) else { return None };
        if !self.may_sweep() {
            return None;
        }
        let held = self.head.iter().chain(&self.current);
        let claimed: BTreeSet<ExtentId> = held.flat_map(|intent| intent.extents()).collect();
        let (lineage, generation) = (self.setup.lineage, own.start.generation);
        let facts = SweepFacts { lineage, own: generation, claimed: &claimed, cover: self.at.cover };
        let latest = |chunk| self.work.chunk(chunk).map(|chunk| chunk.tag.attempt);
        let fates = classify_by(&facts, extents, latest, self.rules);
        let drop = |(id, fate)| if let Fate::Drop(why) = fate { Some((id, why)) } else { None };
        let extents: Vec<_> = fates.into_iter().filter_map(drop).collect();
        (!extents.is_empty()).then_some(SweepPermit { from: own, extents })
    }

    /// Before the own start row is known to be there, another head may still come to count.
    fn may_sweep(&self) -> bool {
        self.started || !self.rules.on(Rule::SweepAfterStart) && self.at_start_row()
    }

    fn at_start_row(&self) -> bool {
        use super::append::Appended::Start;
        match &self.phase {
            super::Phase::Appending(Start) | super::Phase::Reading { what: Start, .. } => true,
            super::Phase::Doubt(super::Doubt::Row(what)) => *what == Start,
            _ => false,
        }
    }
}
