//! What a dataflow's owner holds of the sink in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use timely::scheduling::activate::SyncActivator;
use timely::worker::Worker;

use super::Shared;
use crate::SinkError;
use crate::delivery::trouble::RetryCause;
use crate::stats::SinkStats;

/// Tells how the sink of one dataflow is doing; stays readable after the dataflow is gone. The counts are those of
/// the whole process.
#[derive(Clone)]
pub struct SinkHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) dataflow: usize,
    pub(super) operator: SyncActivator,
    pub(super) flush: Arc<AtomicBool>,
}

/// Rows that the sink has seen and that are not known to be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Rows in open chunks and on their way, or given up by a failure.
    pub rows: u64,
    /// Records that arrived after a failure and were not looked at.
    pub refused_records: u64,
    /// Bytes of memory that rows take at the moment.
    pub bytes: usize,
}

impl SinkHandle {
    /// Why the sink stopped, if it did. From then on it takes no rows, and its clock stays where it is.
    pub fn error(&self) -> Option<Arc<SinkError>> {
        self.shared.failure.get().cloned()
    }

    /// Whether the sink's memory limit is reached: give it no more rows until
    /// [`wake_when_room`](Self::wake_when_room) says so. At twice the limit the operator holds its worker.
    pub fn is_full(&self) -> bool {
        self.shared.budget.is_full()
    }

    /// Activates `source` whenever the sink stops being full, and when it fails.
    pub fn wake_when_room(&self, source: SyncActivator) {
        self.shared.budget.wake_when_room(source);
    }

    /// Closes the open chunk of this worker in the operator's next turn, whatever its size and age.
    pub fn flush(&self) {
        self.flush.store(true, Relaxed);
        let _ = self.operator.activate(); // a dataflow that is gone has nothing to flush
    }

    /// What is not delivered yet, or never will be.
    pub fn undelivered(&self) -> Undelivered {
        let stats = self.stats();
        let settled = stats.rows_delivered + stats.rows_skipped + stats.rows_dropped;
        Undelivered {
            rows: stats.rows_in.saturating_sub(settled),
            refused_records: self.shared.refused.load(Relaxed),
            bytes: self.shared.budget.used(),
        }
    }

    /// The most bytes of rows that were ever held at once.
    pub fn peak_bytes(&self) -> usize {
        self.shared.budget.peak()
    }

    /// What the sink has done so far in this process.
    pub fn stats(&self) -> SinkStats {
        self.shared.courier.counters.read()
    }

    /// What was tried again so far in this process, by cause.
    pub fn retry_causes(&self) -> Vec<RetryCause> {
        self.shared.courier.troubles.read()
    }

    /// Steps `worker` until this dataflow is complete, with every row delivered, or the sink fails.
    ///
    /// After a failure the dataflow is dropped on this worker, so that `timely::execute` can return; the workers of
    /// other processes notice when this process ends.
    ///
    /// # Errors
    /// The failure; see [`error`](Self::error).
    pub fn drive(&self, worker: &mut Worker) -> Result<SinkStats, Arc<SinkError>> {
        while worker.installed_dataflows().contains(&self.dataflow) {
            if let Some(error) = self.error() {
                worker.drop_dataflow(self.dataflow);
                return Err(error);
            }
            worker.step_or_park(None);
        }
        self.error().map_or_else(|| Ok(self.stats()), Err)
    }
}

impl std::fmt::Debug for SinkHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkHandle")
            .field("error", &self.error())
            .field("undelivered", &self.undelivered())
            .field("full", &self.is_full())
            .finish_non_exhaustive()
    }
}
