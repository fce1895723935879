//! What a run is at, readable at any time from any thread: for metrics.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use timely_kusto::WriteAheadState;

use super::report::Report;

/// Reads a run. Made before it, given to it ([`RunOptions::monitor`](super::RunOptions::monitor)), and readable from then
/// on, also when it is over: then it stays at what was last. Cheap to clone.
#[derive(Clone, Default)]
pub struct Monitor {
    watched: Arc<Mutex<Watched>>,
    tell: Option<Arc<dyn Fn(Milestone) + Send + Sync>>,
}

/// What a run has come to, told as it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Milestone {
    /// All processes of the pipeline are together, and workers start.
    Together,
    /// Everything that was read, by all processes, is delivered as the sink promises. No process of the pipeline ends well
    /// before all have come here.
    Complete {
        /// Whether the reading was stopped before its end.
        stopped: bool,
    },
}

#[derive(Default)]
enum Watched {
    #[default]
    Nothing,
    Run(Arc<dyn Fn() -> Reading + Send + Sync>),
    Ended(Box<Reading>),
}

/// What a run is at.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// Whether it runs; no longer when it has ended, well or not.
    pub running: bool,
    /// What this process did so far.
    pub report: Report,
    /// The epoch that is being read.
    pub epoch: u64,
    /// What the sink says of itself.
    pub sink: SinkReading,
}

/// What a sink is at, in this process. What it does not know, or has not, is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkReading {
    /// Bytes of memory that rows take, and the limit.
    pub memory: (u64, u64),
    /// Uploads under way, and the most that may be.
    pub uploads: (u64, u64),
    /// Values above 1 MB.
    pub long_values: u64,
    /// Since when the service does not do what it is asked.
    pub stalled_for: Option<Duration>,
    /// What it has beyond that in the write-ahead mode.
    pub ahead: Option<WriteAheadState>,
}

impl Monitor {
    /// One that nothing was given to yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that tells of milestones, on a thread of the run.
    pub fn telling(tell: impl Fn(Milestone) + Send + Sync + 'static) -> Self {
        Monitor { tell: Some(Arc::new(tell)), ..Self::default() }
    }

    pub(super) fn tell(&self, milestone: Milestone) {
        if let Some(tell) = &self.tell {
            tell(milestone);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the run is at; absent before its workers are started.
    pub fn read(&self) -> Option<Reading> {
        let run = match &*self.lock() {
            Watched::Nothing => return None,
            Watched::Ended(last) => return Some((**last).clone()),
            Watched::Run(run) => Arc::clone(run),
        };
        Some(run())
    }

    pub(super) fn begin(&self, read: impl Fn() -> Reading + Send + Sync + 'static) {
        *self.lock() = Watched::Run(Arc::new(read));
    }

    /// The run is over: what it was made of is let go.
    pub(super) fn end(&self) {
        if let Some(last) = self.read() {
            *self.lock() = Watched::Ended(Box::new(Reading { running: false, ..last }));
        }
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Monitor").field(&self.read()).finish()
    }
}
