//! What a dataflow's owner holds of the sink in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use timely::scheduling::activate::SyncActivator;
use timely::worker::Worker;

use super::pressure::Pause;
use super::process::Process;
use super::standing::WriteAheadState;
use crate::delivery::trouble::RetryCause;
use crate::stats::SinkStats;
use crate::{SinkError, WriteAheadError};

/// Tells how the write-ahead sink of one dataflow is doing; stays readable after the dataflow is gone.
#[derive(Clone, Debug)]
pub struct WriteAheadHandle {
    pub(super) process: Arc<Process>,
    pub(super) dataflow: usize,
}

/// The limits of the sink in this process, and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteAheadLimits {
    /// Bytes of memory that rows take, and, by an estimate, changes of collections whose epoch is open; and the limit at which sources are to pause.
    pub memory: (usize, usize),
    /// Bytes of epoch files, and the limit at which sources are to pause.
    pub log_bytes: (u64, u64),
    /// Epochs of the worker that has most of them with rows that wait for their commit, and the number at which sources are to
    /// pause.
    pub open_epochs: (u64, u64),
    /// Bodies that are being uploaded, and the most that may be.
    pub uploads: (usize, usize),
    /// Which limit is reached, if one is.
    pub paused_by: Option<Pause>,
    /// Why sources are to pause, if they are.
    pub paused_for: Option<&'static str>,
    /// How long the service has not done what it was asked.
    pub stalled_for: Option<Duration>,
}

impl WriteAheadHandle {
    /// Why the sink stopped, if it did. From then on it takes no rows, and its clocks stay where they are.
    pub fn error(&self) -> Option<Arc<SinkError>> {
        self.process.failure.get().cloned()
    }

    /// Whether a limit is reached: give the sink no more rows until [`wake_when_room`](Self::wake_when_room) says so. Epochs
    /// must go on ending meanwhile: what is committed makes room, and changes of a collection are kept until their epoch ends.
    pub fn is_full(&self) -> bool {
        self.process.pressure.is_full()
    }

    /// Activates `source` whenever the sink stops being full, and when it fails.
    pub fn wake_when_room(&self, source: SyncActivator) {
        self.process.pressure.wake_when_room(source);
    }

    /// The limits, and where the sink stands.
    pub fn limits(&self) -> WriteAheadLimits {
        self.process.limits()
    }

    /// How far the sink is in this process, and its limits.
    pub fn state(&self) -> WriteAheadState {
        self.process.state()
    }

    /// What was tried again so far in this process, by cause.
    pub fn retry_causes(&self) -> Vec<RetryCause> {
        self.process.courier.troubles.read()
    }

    /// What the sink is waiting for, in words, if it is not just working.
    pub fn waiting_for(&self) -> Option<String> {
        self.process.pressure.doing()
    }

    /// What the sink has done so far in this process; rows count as delivered when they are committed.
    pub fn stats(&self) -> SinkStats {
        self.process.courier.counters.read()
    }

    /// Bytes of memory that rows take at the moment, and, by an estimate, changes of collections whose epoch is open.
    pub fn held_bytes(&self) -> usize {
        self.process.budget.used()
    }

    /// Steps `worker` until this dataflow is complete, with every row committed, or the sink fails.
    ///
    /// After a failure the dataflow is dropped on this worker, so that `timely::execute` can return.
    ///
    /// # Errors
    /// The failure; see [`error`](Self::error).
    pub fn drive(&self, worker: &mut Worker) -> Result<SinkStats, Arc<SinkError>> {
        while worker.installed_dataflows().contains(&self.dataflow) {
            if let Some(error) = self.error() {
                self.leave(worker);
                return Err(error);
            }
            worker.step_or_park(None);
        }
        self.error().map_or_else(|| Ok(self.stats()), Err)
    }

    /// The same, but waits no longer than `limit`: for a run that was asked to stop. Rows that are not committed by then are
    /// in epoch files, or are not acknowledged.
    ///
    /// # Errors
    /// The failure, or [`WriteAheadError::Unfinished`] on the workers of all processes.
    pub fn drive_at_most(&self, worker: &mut Worker, limit: Duration) -> Result<SinkStats, Arc<SinkError>> {
        let since = Instant::now();
        while worker.installed_dataflows().contains(&self.dataflow) {
            let left = limit.saturating_sub(since.elapsed());
            if left.is_zero() {
                self.give_up();
            }
            if let Some(error) = self.error() {
                self.leave(worker);
                return Err(error);
            }
            worker.step_or_park(Some(left));
        }
        self.error().map_or_else(|| Ok(self.stats()), Err)
    }

    /// Ends the sink, in all processes, without waiting for commits, and returns what [`error`](Self::error) says from now
    /// on: [`WriteAheadError::Unfinished`], unless it had failed before. Nothing is lost: what is sealed is in epoch files,
    /// which the next start takes over, and the rest is not acknowledged.
    pub fn give_up(&self) -> Option<Arc<SinkError>> {
        self.process.trouble(self.unfinished(), false);
        self.error()
    }

    /// What a stop that cannot wait any longer says: [`WriteAheadError::Unfinished`], with the rows that are not committed, and
    /// what is waited for. Changes nothing.
    pub fn unfinished(&self) -> WriteAheadError {
        let stats = self.stats();
        let rows = stats.rows_in.saturating_sub(stats.rows_delivered);
        let waits = self.waiting_for().or_else(|| self.limits().paused_for.map(str::to_owned));
        WriteAheadError::Unfinished { rows, waits }
    }

    /// After a failure: has the other processes told, and drops the dataflow on this worker.
    pub fn leave(&self, worker: &mut Worker) {
        // Two steps: one in which the message is sent, one in which it leaves the process.
        for _ in 0..2 {
            worker.step();
        }
        worker.drop_dataflow(self.dataflow);
    }
}
