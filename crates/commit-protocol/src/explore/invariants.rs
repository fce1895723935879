//! The invariants that a state shows, checked in every state with another durable content.

use std::sync::Arc;

use super::config::Config;
use super::extents::{Extents, set_of};
use super::world::World;
use crate::ledger::Ledger;
use crate::rows::{Intent, Row};
use crate::rules::Rules;

impl World {
    /// What is wrong with chain and target.
    pub(super) fn broken_invariant(&self, config: &Config) -> Option<String> {
        if config.rules != Rules::ALL {
            return None;
        }
        self.commits_only_what_is_sealed(config).or_else(|| self.chain_and_target())
    }

    /// Invariant 1.
    fn commits_only_what_is_sealed(&self, config: &Config) -> Option<String> {
        let ahead = |at: &usize| {
            let start = &self.starts[*at];
            let cover = start.coordinator.as_ref().map_or(0, |coordinator| coordinator.standing().cover.0);
            start.durable.is_some() && start.sealed.iter().any(|sealed| cover > u64::from(*sealed))
        };
        let at = (0..config.starts.min(self.starts.len())).find(ahead)?;
        Some(format!("invariant 1: start {at} committed more than every worker sealed"))
    }

    fn chain_and_target(&self) -> Option<String> {
        let rows = self.rows.iter().map(|row| Row::clone(row)).collect();
        let valid = match Ledger::of(rows).classify() {
            Ok((valid, _)) => valid,
            Err(contradiction) => return Some(format!("invariant 5: {contradiction}")),
        };
        let ids = |intents: &[Arc<Intent>]| intents.iter().fold(0, |set, one| set | set_of(one.extents()));
        self.foreign_rows(ids(&valid)).or_else(|| broken_chain(&valid, self.decided)).or_else(|| {
            let settled = valid.get(1..).map_or(0, ids);
            let open = settled & !self.target;
            (open != 0 && !self.meddled)
                .then(|| "invariant 6: an intent behind the head is not in T".to_owned())
        })
    }

    /// Invariant 3.
    fn foreign_rows(&self, named: Extents) -> Option<String> {
        let foreign = self.target & !named;
        (foreign != 0)
            .then(|| "invariant 3: T holds extents that no intent of the valid chain names".to_owned())
    }
}

/// Invariant 5, newest first.
fn broken_chain(valid: &[Arc<Intent>], decided: bool) -> Option<String> {
    let fits = |pair: &[Arc<Intent>]| {
        let (next, before) = (&pair[0], &pair[1]);
        let follows = next.parent == Some(before.id) && next.id.seq == before.id.seq.next();
        // Behind an intent that a person has staged again, the chain goes on where that intent began.
        let goes_on = next.from == before.after.cover || decided && next.from == before.from;
        follows && goes_on && next.settled == Some(before.id.seq)
    };
    let first = valid.last().is_none_or(|first| first.parent.is_none());
    let whole = first && valid.windows(2).all(fits);
    (!whole).then(|| "invariant 5: the valid intents are no chain".to_owned())
}
