//! D, the durable clock, for sources that cannot replay: what may be acknowledged at the seal (invariant 2).
//!
//! D is a frontier, not a local fact. A start adopts only what *all* workers sealed, so a source that is acknowledged
//! when its own worker has sealed loses rows.

use crate::action::{AcknowledgePermit, OpenPermit};
use crate::ids::{Epoch, Worker};
use crate::positions::{ConflictingPositions, PositionChange, Positions};
use crate::rules::{Rule, Rules};

/// The seals of all workers of one run.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct Durable {
    sealed: Vec<Epoch>,
    acknowledged: Epoch,
    positions: Positions,
    rules: Rules,
}

impl Durable {
    /// Nothing is sealed yet in a run that was just opened.
    pub fn new(open: &OpenPermit, workers: u32) -> Durable {
        let sealed = vec![open.first_epoch; workers as usize];
        let positions = open.positions.clone();
        Durable { sealed, acknowledged: open.first_epoch, positions, rules: Rules::ALL }
    }

    #[cfg(test)]
    pub(crate) fn without(mut self, rules: Rules) -> Durable {
        self.rules = rules;
        self
    }

    /// Everything below is sealed on every worker.
    pub fn frontier(&self) -> Epoch {
        let all = self.sealed.iter().copied();
        let frontier = if self.rules.on(Rule::DurableIsFrontier) { all.min() } else { all.max() };
        frontier.unwrap_or(self.acknowledged)
    }

    /// A worker sealed everything below an epoch. Permits an acknowledgement if D moved by it; `changes` are those of
    /// all workers' footers that were not acknowledged before.
    pub fn sealed<'a>(
        &mut self,
        worker: Worker,
        below: Epoch,
        changes: impl IntoIterator<Item = &'a PositionChange>,
    ) -> Result<Option<AcknowledgePermit>, ConflictingPositions> {
        if let Some(known) = self.sealed.get_mut(worker.0 as usize) {
            *known = below.max(*known);
        }
        let frontier = self.frontier();
        if frontier <= self.acknowledged {
            return Ok(None);
        }
        self.positions = self.positions.advanced(changes, frontier)?;
        self.acknowledged = frontier;
        Ok(Some(AcknowledgePermit { below: frontier, positions: self.positions.clone(), rows: 0 }))
    }
}
