//! What workers say to each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Told;
use crate::source::Position;

/// Said by one worker to all, itself included.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Control {
    /// Open the partitions at these positions (at their start where none is kept) and begin with this epoch. Said once,
    /// by worker 0, before anything else.
    Start { epoch: u64, positions: BTreeMap<String, Position> },
    /// A new epoch has begun.
    Epoch(u64),
    /// Stop gracefully.
    Stop,
    /// Something failed.
    Fail(Told),
    /// Everything before these positions is delivered, and they are kept.
    Kept(BTreeMap<String, Position>),
}

/// A batch on its way to the worker that converts it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Envelope<B> {
    pub(super) target: u64,
    pub(super) origin: u64,
    pub(super) batch: B,
}

/// Credit on its way back to the worker that read the batch.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Credit {
    pub(super) origin: u64,
    pub(super) bytes: usize,
}

/// Where a partition stands at the end of an epoch.
pub(super) type Closed = (String, Position);
