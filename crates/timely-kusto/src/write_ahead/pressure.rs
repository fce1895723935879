//! Why sources are to pause, and what the sink waits for, in words.
//!
//! | reason | until |
//! |---|---|
//! | memory: rows being encoded, compressed, uploaded | buffers are free |
//! | log: bytes of epoch files at their limit | commits brought them down to three quarters of it |
//! | open epochs: those that wait for their commit | there are fewer |
//! | chunks: those that wait for their commit, each an entry in memory and in the listing of the staging table | there are fewer |
//! | full disk | a write finds room again |

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use timely::scheduling::activate::SyncActivator;

use crate::budget::Budget;
use crate::delivery::stall::Stalls;

/// A limit at which sources are to pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Pause {
    /// The disk of the epoch files is full.
    DiskFull,
    /// The epoch files are at their limit.
    Log,
    /// As many epochs as may wait for their commit.
    OpenEpochs,
    /// As many chunks as may wait for their commit.
    Chunks,
    /// Rows take as much memory as they may.
    Memory,
}

impl Pause {
    /// All of them.
    pub const ALL: [Pause; 5] =
        [Pause::DiskFull, Pause::Log, Pause::OpenEpochs, Pause::Chunks, Pause::Memory];

    /// A short name, for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Pause::DiskFull => "disk_full",
            Pause::Log => "log",
            Pause::OpenEpochs => "open_epochs",
            Pause::Chunks => "chunks",
            Pause::Memory => "memory",
        }
    }

    /// What is waited for, in words.
    pub fn words(self) -> &'static str {
        match self {
            Pause::DiskFull => "room on the disk of the epoch files",
            Pause::Log => "commits: the epoch files are at their limit",
            Pause::OpenEpochs => "commits: as many epochs as may are waiting for theirs",
            Pause::Chunks => "commits: as many chunks as may are waiting for theirs",
            Pause::Memory => {
                "the sink: its memory limit is reached (changes of a collection leave it when their epoch ends)"
            }
        }
    }
}

/// The limits of one process, and who is woken when they are left behind.
#[derive(Debug)]
pub(super) struct Pressure {
    memory: Arc<Budget>,
    log: Arc<epoch_log::Budget>,
    most_open: u64,
    open: AtomicU64,
    /// Sealed chunks of this process that wait for their commit.
    chunks: AtomicUsize,
    /// How many that may be: all, until it is known how many workers there are.
    most_chunks: AtomicUsize,
    disk_full: AtomicBool,
    /// By kind of request.
    stalls: Stalls,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    wake: Vec<SyncActivator>,
    open: BTreeMap<u32, u64>,
    doing: String,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("doing", &self.doing).finish_non_exhaustive()
    }
}

/// Uploads, messages and statuses, as a kind of request.
pub(super) const STAGING: &str = "staging";

/// Sealed chunks of all processes together that may wait for their commit: some 20 MB of memory, and 15 MB of each listing of
/// the staging table, whose answer the service cuts at 64 MB (`MicrosoftDocs/dataexplorer-docs
/// data-explorer/kusto/concepts/query-limits.md`). Each process has a share by its workers.
const MOST_CHUNKS: usize = 100_000;

/// A pause of the service that is shorter is not worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(5);

impl Pressure {
    pub(super) fn new(memory: Arc<Budget>, log: Arc<epoch_log::Budget>, most_open: u64) -> Self {
        Pressure {
            memory,
            log,
            most_open,
            open: AtomicU64::new(0),
            chunks: AtomicUsize::new(0),
            most_chunks: AtomicUsize::new(MOST_CHUNKS),
            disk_full: AtomicBool::new(false),
            stalls: Stalls::default(),
            waiting: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limit that is reached, if one is.
    pub(super) fn pause(&self) -> Option<Pause> {
        if self.disk_full.load(SeqCst) {
            return Some(Pause::DiskFull);
        }
        if self.log.is_paused() {
            return Some(Pause::Log);
        }
        if self.open.load(SeqCst) > self.most_open {
            return Some(Pause::OpenEpochs);
        }
        if self.chunks.load(SeqCst) > self.most_chunks.load(SeqCst) {
            return Some(Pause::Chunks);
        }
        self.memory.is_full().then_some(Pause::Memory)
    }

    /// Why sources are to pause, if they are.
    pub(super) fn reason(&self) -> Option<&'static str> {
        self.pause().map(Pause::words)
    }

    /// Epochs that wait for their commit, and the most that may.
    pub(super) fn open_epochs(&self) -> (u64, u64) {
        (self.open.load(SeqCst), self.most_open)
    }

    pub(super) fn is_full(&self) -> bool {
        self.pause().is_some()
    }

    /// Has `operator` woken when sources may go on.
    pub(super) fn wake_when_room(&self, operator: SyncActivator) {
        self.memory.wake_when_room(operator.clone());
        self.lock().wake.push(operator);
    }

    pub(super) fn wake(&self) {
        self.lock().wake.retain(|operator| operator.activate().is_ok());
    }

    /// Epochs of a worker that wait for their commit; what counts is the worker that has most.
    pub(super) fn set_open(&self, worker: u32, open: u64) {
        let most = {
            let mut waiting = self.lock();
            waiting.open.insert(worker, open);
            waiting.open.values().copied().max().unwrap_or(0)
        };
        let (before, open) = (self.open.swap(most, SeqCst), most);
        if before > self.most_open && open <= self.most_open {
            self.wake();
        }
    }

    /// Sealed chunks of this process that wait for their commit.
    pub(super) fn set_chunks(&self, chunks: usize) {
        let before = self.chunks.swap(chunks, SeqCst);
        let most = self.most_chunks.load(SeqCst);
        if before > most && chunks <= most {
            self.wake();
        }
    }

    /// This process has so many of all workers; called before there are operators.
    pub(super) fn share_chunks(&self, workers: usize, of_all: usize) {
        self.most_chunks.store((MOST_CHUNKS * workers / of_all.max(1)).max(1), SeqCst);
    }

    pub(super) fn set_disk_full(&self, full: bool) {
        if self.disk_full.swap(full, SeqCst) && !full {
            self.wake();
        }
    }

    /// Notes what the sink is doing, for who asks; empty for nothing in particular.
    pub(super) fn say(&self, doing: impl Into<String>) {
        self.lock().doing = doing.into();
    }

    /// What the sink is waiting for, for people.
    pub(super) fn doing(&self) -> Option<String> {
        if let Some(stall) = self.stalls.longest().filter(|stall| stall.since.elapsed() >= WORTH_A_LINE) {
            return Some(format!("the service, for {} s: {}", stall.since.elapsed().as_secs(), stall.reason));
        }
        Some(self.lock().doing.clone()).filter(|doing| !doing.is_empty())
    }

    /// A request of this kind failed in a way that may pass: one line, once it lasts.
    pub(super) fn stalled(&self, kind: &'static str, reason: &dyn std::fmt::Display) {
        if self.stalls.lasts(kind, reason, WORTH_A_LINE) {
            tracing::warn!(
                "the service does not answer as it should ({kind}); rows are kept in epoch files until it does: {reason}"
            );
        }
    }

    /// A request of this kind went through; it says nothing about others.
    pub(super) fn moving(&self, kind: &'static str) {
        if let Some(stall) = self.stalls.went_through(kind).filter(|stall| stall.told) {
            let seconds = stall.since.elapsed().as_secs();
            tracing::info!("the service answers again ({kind}), after {seconds} s");
        }
    }

    /// A start or a commit took effect: whatever failed on the way there was settled, be it by a look. Staging goes on
    /// beside it.
    pub(super) fn settled(&self) {
        let kinds = self.stalls.operations().into_iter().filter(|kind| *kind != STAGING);
        kinds.for_each(|kind| self.moving(kind));
    }

    /// Since when the service has not done what it was asked.
    pub(super) fn stalled_for(&self) -> Option<Duration> {
        self.stalls.longest().map(|stall| stall.since.elapsed())
    }
}

#[cfg(test)]
mod tests;
