//! Why sources are to pause, and what the sink waits for, in words.
//!
//! | reason | until |
//! |---|---|
//! | memory: rows being encoded, compressed, uploaded | buffers are free |
//! | log: bytes of epoch files at their limit | commits brought them down to three quarters of it |
//! | open epochs: those that wait for their commit | there are fewer |
//! | full disk | a write finds room again |

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use timely::scheduling::activate::SyncActivator;

use crate::budget::Budget;

/// The limits of one process, and who is woken when they are left behind.
#[derive(Debug)]
pub(super) struct Pressure {
    memory: Arc<Budget>,
    log: Arc<epoch_log::Budget>,
    most_open: u64,
    open: AtomicU64,
    disk_full: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    wake: Vec<SyncActivator>,
    open: BTreeMap<u32, u64>,
    doing: String,
    stalled: Option<Stalled>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("doing", &self.doing).field("stalled", &self.stalled).finish()
    }
}

/// Since when the service does not do what it is asked, and what it says.
#[derive(Clone, Debug)]
struct Stalled {
    since: Instant,
    told: bool,
    reason: String,
}

/// A pause of the service that is shorter is not worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(5);

impl Pressure {
    pub(super) fn new(memory: Arc<Budget>, log: Arc<epoch_log::Budget>, most_open: u64) -> Self {
        Pressure {
            memory,
            log,
            most_open,
            open: AtomicU64::new(0),
            disk_full: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why sources are to pause, if they are.
    pub(super) fn reason(&self) -> Option<&'static str> {
        if self.disk_full.load(SeqCst) {
            return Some("room on the disk of the epoch files");
        }
        if self.log.is_paused() {
            return Some("commits: the epoch files are at their limit");
        }
        if self.open.load(SeqCst) > self.most_open {
            return Some("commits: as many epochs as may are waiting for theirs");
        }
        self.memory.is_full().then_some("the sink: its memory limit is reached")
    }

    pub(super) fn is_full(&self) -> bool {
        self.reason().is_some()
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
        let waiting = self.lock();
        let stalled = waiting.stalled.as_ref().filter(|stalled| stalled.since.elapsed() >= WORTH_A_LINE);
        match (stalled, waiting.doing.as_str()) {
            (Some(stalled), _) => {
                Some(format!("the service, for {} s: {}", stalled.since.elapsed().as_secs(), stalled.reason))
            }
            (None, "") => None,
            (None, doing) => Some(doing.to_owned()),
        }
    }

    /// A request failed in a way that may pass: one line, once it lasts.
    pub(super) fn stalled(&self, reason: &dyn std::fmt::Display) {
        let mut waiting = self.lock();
        let stalled = waiting.stalled.get_or_insert_with(|| Stalled {
            since: Instant::now(),
            told: false,
            reason: reason.to_string(),
        });
        if !stalled.told && stalled.since.elapsed() >= WORTH_A_LINE {
            stalled.told = true;
            tracing::warn!(
                "the service does not answer as it should; rows are kept in epoch files until it does: {reason}"
            );
        }
    }

    /// A request went through.
    pub(super) fn moving(&self) {
        if let Some(stalled) = self.lock().stalled.take().filter(|stalled| stalled.told) {
            tracing::info!("the service answers again, after {} s", stalled.since.elapsed().as_secs());
        }
    }

    /// Since when the service has not done what it was asked.
    pub(super) fn stalled_for(&self) -> Option<Duration> {
        self.lock().stalled.as_ref().map(|stalled| stalled.since.elapsed())
    }
}
