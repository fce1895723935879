//! Sets of extents as bits: who staged it, worker, epoch, attempt, and which delivery.

use super::config::{Config, WORKERS};
use crate::ids::ExtentId;

/// A set of extents.
pub(super) type Extents = u128;

/// What one bit stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Staged {
    pub(super) start: usize,
    pub(super) worker: usize,
    pub(super) epoch: usize,
    pub(super) attempt: usize,
    /// 1 is the second delivery of the same message.
    pub(super) delivery: usize,
}

impl Staged {
    pub(super) fn bit(self, config: &Config) -> usize {
        assert!(self.attempt < config.attempts(), "the configuration has too few attempts");
        let at = (self.start * WORKERS + self.worker) * config.epochs + self.epoch;
        let bit = (at * config.attempts() + self.attempt) * 2 + self.delivery;
        assert!(bit < 128, "the configuration has too many extents");
        bit
    }

    pub(super) fn of(bit: usize, config: &Config) -> Staged {
        let (delivery, rest) = (bit % 2, bit / 2);
        let (attempt, rest) = (rest % config.attempts(), rest / config.attempts());
        let (epoch, rest) = (rest % config.epochs, rest / config.epochs);
        Staged { start: rest / WORKERS, worker: rest % WORKERS, epoch, attempt, delivery }
    }
}

/// The bits of a set.
pub(super) fn bits(mut set: Extents) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(bit)
    })
}

pub(super) fn set_of(ids: impl IntoIterator<Item = ExtentId>) -> Extents {
    ids.into_iter().fold(0, |set, id| set | 1 << id.0)
}

/// Both deliveries of each extent.
pub(super) fn deliveries(set: Extents) -> Extents {
    const FIRST: Extents = 0x5555_5555_5555_5555_5555_5555_5555_5555;
    let either = (set | set >> 1) & FIRST;
    either | either << 1
}
