//! What the workers of a process share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use timely::scheduling::activate::SyncActivator;
use timely_kusto::{RetryCause, SinkStats};

use super::monitor::Milestone;
use super::network::Lines;
use super::report::{Progress, Report, RetriedFor, Times};
use super::{RunOptions, StopHandle};
use crate::error::{Error, Told};
use crate::source::Position;

/// How the sink is doing at the moment.
pub(super) struct SinkNow {
    pub(super) stats: SinkStats,
    pub(super) held_bytes: usize,
    pub(super) full: bool,
    /// What it waits for, in its own words.
    pub(super) waits: Option<String>,
}

type Observer = Box<dyn Fn(&Progress) + Send + Sync>;

pub(super) struct Shared {
    pub(super) options: RunOptions,
    pub(super) stop: StopHandle,
    pub(super) started: Instant,
    observe: Observer,
    /// The first failure; what is told to other processes, if it was not told by one.
    failure: Mutex<Failure>,
    failed: AtomicBool,
    /// How often a worker of this process heard of a failure.
    heard: AtomicU64,
    /// Positions that were written and that readers do not know of yet.
    kept: Mutex<Option<BTreeMap<String, Position>>>,
    wakers: Mutex<Vec<SyncActivator>>,
    /// The connections to the other processes.
    pub(super) lines: Lines,
    /// Workers of this process that still read.
    readers: AtomicUsize,
    /// Workers of this process whose dataflow is not complete.
    working: AtomicUsize,
    /// Whether a worker was stopped before its partitions ended.
    stopped: AtomicBool,
    rows_read: AtomicU64,
    reading_nanos: AtomicU64,
    converting_nanos: AtomicU64,
    epoch: AtomicU64,
    epochs: AtomicU64,
}

#[derive(Default)]
struct Failure {
    error: Option<Error>,
    to_tell: Option<Told>,
}

impl Shared {
    pub(super) fn new(options: RunOptions, stop: StopHandle, observe: Observer) -> Self {
        Shared {
            readers: AtomicUsize::new(options.topology.workers),
            working: AtomicUsize::new(options.topology.workers),
            stopped: AtomicBool::new(false),
            options,
            stop,
            started: Instant::now(),
            observe,
            failure: Mutex::default(),
            failed: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            kept: Mutex::default(),
            wakers: Mutex::default(),
            lines: Lines::default(),
            rows_read: AtomicU64::new(0),
            reading_nanos: AtomicU64::new(0),
            converting_nanos: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            epochs: AtomicU64::new(0),
        }
    }

    /// Has a worker woken for a stop, a failure and kept positions.
    pub(super) fn wake(&self, waker: SyncActivator) {
        self.stop.wake(waker.clone());
        lock(&self.wakers).push(waker);
    }

    fn wake_all(&self) {
        for waker in lock(&self.wakers).iter() {
            let _ = waker.activate(); // a worker that is gone needs no news
        }
    }

    /// Records a failure of this process; only the first one counts.
    pub(super) fn fail(&self, error: Error) {
        let told = error.tell();
        self.fail_with(error, Some(told));
    }

    /// Records a failure that a worker told all others, perhaps of this process.
    pub(super) fn fail_elsewhere(&self, told: Told) {
        self.heard.fetch_add(1, SeqCst);
        self.fail_with(Error::from_elsewhere(told), None);
    }

    fn fail_with(&self, error: Error, to_tell: Option<Told>) {
        let mut failure = lock(&self.failure);
        if failure.error.is_none() {
            *failure = Failure { error: Some(error), to_tell };
        }
        drop(failure);
        self.failed.store(true, SeqCst);
        self.wake_all();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(SeqCst)
    }

    pub(super) fn times_heard(&self) -> u64 {
        self.heard.load(SeqCst)
    }

    /// What one worker has to tell the other processes.
    pub(super) fn failure_to_tell(&self) -> Option<Told> {
        lock(&self.failure).to_tell.take()
    }

    pub(super) fn take_error(&self) -> Option<Error> {
        lock(&self.failure).error.take()
    }

    pub(super) fn reader_ended(&self) {
        self.readers.fetch_sub(1, SeqCst);
    }

    /// The dataflow of a worker is complete, and what it keeps is written. Its connections are still open: no other process
    /// ends before this one has told.
    pub(super) fn worked(&self) {
        if self.working.fetch_sub(1, SeqCst) == 1 && !self.has_failed() {
            let stopped = self.stopped.load(SeqCst);
            self.options.monitor.tell(Milestone::Complete { stopped });
        }
    }

    pub(super) fn stopped(&self, before_its_end: bool) {
        self.stopped.fetch_or(before_its_end, SeqCst);
    }

    pub(super) fn set_kept(&self, positions: BTreeMap<String, Position>) {
        *lock(&self.kept) = Some(positions);
        self.wake_all();
    }

    pub(super) fn take_kept(&self) -> Option<BTreeMap<String, Position>> {
        lock(&self.kept).take()
    }

    pub(super) fn read_for(&self, time: Duration) {
        self.reading_nanos.fetch_add(nanos(time), Relaxed);
    }

    pub(super) fn converted(&self, rows: u64, time: Duration) {
        self.rows_read.fetch_add(rows, Relaxed);
        self.converting_nanos.fetch_add(nanos(time), Relaxed);
    }

    /// Called by the first worker of the process only.
    pub(super) fn begin_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Relaxed);
        self.epochs.fetch_add(1, Relaxed);
    }

    /// The epoch that is being read.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    pub(super) fn report(&self, stats: &SinkStats, causes: Vec<RetryCause>, elapsed: Duration) -> Report {
        let seconds = |counter: &AtomicU64| Duration::from_nanos(counter.load(Relaxed)).as_secs_f64();
        Report {
            rows_read: self.rows_read.load(Relaxed),
            rows_delivered: stats.rows_delivered,
            rows_skipped: stats.rows_skipped,
            rows_dropped: stats.rows_dropped,
            rows_dead_lettered: 0,
            raw_bytes: stats.raw_bytes,
            compressed_bytes: stats.compressed_bytes,
            blobs: stats.blobs,
            epochs: self.epochs.load(Relaxed),
            retries: stats.retries,
            retry_causes: RetriedFor::of(causes),
            seconds: elapsed.as_secs_f64(),
            stopped: self.stopped.load(SeqCst),
            times: Times {
                reading: seconds(&self.reading_nanos),
                converting: seconds(&self.converting_nanos),
                encoding: stats.encoding.as_secs_f64(),
                compressing: stats.compressing.as_secs_f64(),
                uploading: stats.uploading.as_secs_f64(),
                queueing: stats.queueing.as_secs_f64(),
                confirming: stats.confirming.as_secs_f64(),
                held: stats.held.as_secs_f64(),
            },
        }
    }

    /// Shows what is waited for before anything is read.
    pub(super) fn show_waiting_for(&self, waiting_for: String) {
        (self.observe)(&Progress {
            elapsed: self.started.elapsed(),
            rows_read: 0,
            rows_delivered: 0,
            rate: 0.0,
            epoch: 0,
            backlog_rows: 0,
            held_bytes: 0,
            waiting_for,
        });
    }

    /// Shows how it is getting on; `last` are the rows delivered at the last time, so long ago.
    pub(super) fn show(&self, sink: SinkNow, last: (u64, Duration)) -> u64 {
        let SinkNow { stats, held_bytes, full, waits } = sink;
        let rows_read = self.rows_read.load(Relaxed);
        let delivered = stats.rows_delivered + stats.rows_skipped;
        let settled = delivered + stats.rows_dropped;
        let backlog_rows = rows_read.saturating_sub(settled);
        let gained = delivered.saturating_sub(last.0) as f64;
        let otherwise = match (full, self.readers.load(SeqCst) > 0, backlog_rows) {
            (true, ..) => "the sink: its memory limit is reached until a blob is written",
            (false, true, _) => "the source",
            (false, false, 0) => "nothing",
            (false, false, _) => "the service to confirm what was sent",
        };
        (self.observe)(&Progress {
            elapsed: self.started.elapsed(),
            rows_read,
            rows_delivered: delivered,
            rate: gained / last.1.as_secs_f64().max(0.001),
            epoch: self.epoch.load(Relaxed),
            backlog_rows,
            held_bytes,
            waiting_for: waits.unwrap_or_else(|| otherwise.to_owned()),
        });
        delivered
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
