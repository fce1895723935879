//! How far the run has come in this process, for who watches it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::handle::WriteAheadLimits;
use super::process::Process;

/// Where a write-ahead sink stands in this process; see [`WriteAhead::state`](super::WriteAhead::state).
///
/// Bounds of epochs are exclusive: 7 says that all epochs below 7 are there. What worker 0 alone knows is absent in
/// processes without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteAheadState {
    /// The limits, and what is used of them.
    pub limits: WriteAheadLimits,
    /// The number of this start of the pipeline; absent until it is open.
    pub start: Option<u64>,
    /// Epochs below are in sealed files of every worker of this process: they survive a loss of power.
    pub sealed_below: Option<u64>,
    /// Epochs below are in the staging table, of all processes. Process 0 knows.
    pub staged_below: Option<u64>,
    /// Epochs below are in the table.
    pub committed_below: Option<u64>,
    /// Commits of this start that took effect. Process 0 knows.
    pub commits: u64,
    /// Extents that they moved.
    pub committed_extents: u64,
    /// Extents that the last of them moved.
    pub last_commit_extents: u64,
    /// Chunks that are on their way into the staging table.
    pub staging_chunks: u64,
}

/// What is counted for it.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// By worker.
    sealed: Mutex<BTreeMap<u32, u64>>,
    /// One more than the bound; 0 is unknown.
    staged: AtomicU64,
    committed: AtomicU64,
    commits: AtomicU64,
    extents: AtomicU64,
    last_extents: AtomicU64,
}

fn known(bound: &AtomicU64) -> Option<u64> {
    bound.load(Relaxed).checked_sub(1)
}

fn raise(bound: &AtomicU64, to: u64) {
    bound.fetch_max(to.saturating_add(1), Relaxed);
}

impl Standing {
    /// A worker has sealed everything below.
    pub(super) fn sealed(&self, worker: u32, below: u64) {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner).insert(worker, below);
    }

    fn sealed_below(&self) -> Option<u64> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner).values().copied().min()
    }

    pub(super) fn staged(&self, below: u64) {
        raise(&self.staged, below);
    }

    /// Everything below is committed; at the end that is what was sealed.
    pub(super) fn committed(&self, below: u64) {
        raise(&self.committed, self.sealed_below().map_or(below, |sealed| below.min(sealed)));
    }

    /// A commit of so many extents took effect.
    pub(super) fn commit(&self, extents: usize) {
        self.commits.fetch_add(1, Relaxed);
        self.extents.fetch_add(extents as u64, Relaxed);
        self.last_extents.store(extents as u64, Relaxed);
    }
}

impl Process {
    /// See [`WriteAheadState`].
    pub(super) fn state(&self) -> WriteAheadState {
        let standing = &self.standing;
        WriteAheadState {
            limits: self.limits(),
            start: self.opened.get().map(|opened| opened.staging.start.generation.0),
            sealed_below: standing.sealed_below(),
            staged_below: known(&standing.staged),
            committed_below: known(&standing.committed),
            commits: standing.commits.load(Relaxed),
            committed_extents: standing.extents.load(Relaxed),
            last_commit_extents: standing.last_extents.load(Relaxed),
            staging_chunks: self.staging_in_flight(),
        }
    }

    /// See [`WriteAheadLimits`].
    pub(super) fn limits(&self) -> WriteAheadLimits {
        let log = self.log.budget();
        let uploads = self.courier.options.uploads();
        WriteAheadLimits {
            memory: (self.budget.used(), self.courier.options.memory()),
            log_bytes: (log.bytes(), log.marks().0),
            open_epochs: self.pressure.open_epochs(),
            uploads: (uploads.saturating_sub(self.uploads.available_permits()), uploads),
            paused_by: self.pressure.pause(),
            paused_for: self.pressure.reason(),
            stalled_for: self.pressure.stalled_for(),
        }
    }
}
