//! One run of the write-ahead sink, as its process makes it: opened, fed epoch by epoch, driven until all is committed, or
//! until all is sealed and then left alone, to be killed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kusto_client::ConnectionOptions;
use pipelines::generator::Storm;
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::Input;
use timely::dataflow::operators::probe::Probe;
use timely::worker::Worker;
use timely_kusto::{
    RowsWrittenAhead, SinkStats, WriteAhead, WriteAheadHandle, WriteAheadOptions, WriteAheadSink,
};

use super::positions::{Calendar, Positions};
use crate::feed::{Gate, Share, Sink, feed};
use crate::options::write_options;
use crate::pace::Pace;
use crate::rows::RowKind;
use crate::send::{Sent, create_table, generator_cpu};
use crate::{Error, Result, meter};

/// The pipeline of all runs.
const PIPELINE: &str = "bench";

/// A run to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AheadRun {
    /// URL of the cluster.
    pub(crate) cluster: String,
    /// Rows of the source. A start goes on at the position that it finds.
    pub(crate) rows: u64,
    /// Rows of an epoch, of all workers together.
    pub(crate) rows_per_epoch: u64,
    /// Workers of this process.
    pub(crate) workers: usize,
    /// Write options that do not have their default.
    pub(crate) settings: Vec<(String, String)>,
    /// Where epoch files are.
    pub(crate) state: PathBuf,
    /// Bytes of epoch files at which the source pauses; the default when absent.
    pub(crate) log_bytes: Option<u64>,
    /// How far to go.
    pub(crate) until: Until,
}

/// How far a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Until {
    /// To its end.
    Committed,
    /// Until all rows are sealed; then the process says so and does nothing more.
    Sealed,
}

/// What a run did, in its own process. Seconds are of wall time, and begin when the sink is open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// What any run tells; delivered means committed.
    #[serde(flatten)]
    pub sent: Sent,
    /// Seconds that the start took.
    pub open_seconds: f64,
    /// Rows that the start found committed or took over.
    pub resumed_rows: u64,
    /// Seconds until the first own commit.
    pub first_commit_seconds: Option<f64>,
    /// Seconds until all rows were sealed.
    pub sealed_seconds: f64,
    /// Seconds until all rows were in the staging table.
    pub staged_seconds: f64,
    /// The most bytes of epoch files.
    pub peak_log_bytes: u64,
    /// Bytes of epoch files at which the source pauses.
    pub log_limit_bytes: u64,
    /// Bytes of epoch files in the end.
    pub left_log_bytes: u64,
}

/// A sink over the run's cluster, whose table is made unless it is there.
fn connected(run: &AheadRun) -> Result<WriteAhead> {
    let connection = ConnectionOptions::builder().cluster_url(&run.cluster).no_auth().build();
    let connection = connection.map_err(Error::sink)?;
    create_table(&connection, RowKind::Storms)?;
    let write = write_options(RowKind::Storms.table(), &run.settings)?;
    WriteAhead::connect(&connection, &write, options(run)).map_err(Error::sink)
}

fn options(run: &AheadRun) -> WriteAheadOptions {
    let options = WriteAheadOptions::new(PIPELINE, &run.state);
    match run.log_bytes {
        Some(bytes) => options.log_bytes(bytes),
        None => options,
    }
}

/// Makes the run. One that goes [until all is sealed](Until::Sealed) tells what it did while all its operators are alive.
///
/// # Errors
/// [`Error::Sink`] when the cluster cannot be reached or the sink fails.
pub(crate) fn write(run: &AheadRun, sealed: fn(&Written)) -> Result<Written> {
    let generator = generator_cpu::<Storm>(run.rows, run.workers)?;
    let ahead = connected(run)?;
    let seen = Arc::new(Mutex::new(Written::default()));
    let (told, here, run) = (Arc::clone(&seen), ahead.clone(), run.clone());
    let until = run.until;
    let guards = timely::execute(timely::Config::process(run.workers), move |worker| {
        let told = |written: Written| *told.lock().unwrap_or_else(PoisonError::into_inner) = written;
        drive(worker, &here, &run, |saw| saw.written(&run, generator), told, sealed)
    });
    for worker in guards.map_err(Error::sink)?.join() {
        worker.map_err(Error::sink)??;
    }
    let mut written = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    if until == Until::Committed {
        // Each worker counts its own, and worker 0 may have been done before the others.
        written.sent.rows = ahead.stats().rows_delivered;
    }
    Ok(written)
}

/// What worker 0 saw.
#[derive(Debug, Default)]
struct Seen {
    opening: Duration,
    resumed_rows: u64,
    took: Duration,
    cpu: Duration,
    sealed: Duration,
    staged: Duration,
    first_commit: Option<Duration>,
    stats: SinkStats,
    pace: Pace,
    full: Duration,
    peak_held: usize,
    peak_log_bytes: u64,
    left_log_bytes: u64,
    log_limit_bytes: u64,
}

/// One worker: opens the sink, builds the dataflow, and steps it as far as the run goes.
fn drive(
    worker: &mut Worker,
    ahead: &WriteAhead,
    run: &AheadRun,
    written: impl Fn(&Seen) -> Written,
    tell: impl FnOnce(Written),
    sealed: fn(&Written),
) -> Result<()> {
    let (index, opening) = (worker.index(), Instant::now());
    let sink = WriteAheadSink::open(worker, ahead).map_err(Error::sink)?;
    let mut seen = Seen { opening: opening.elapsed(), ..Seen::default() };
    let (calendar, share) = begin(worker, &sink, run);
    seen.resumed_rows = share.next - index as u64;
    let (cpu, started, gate) = (meter::process_cpu(), Instant::now(), Gate::default());
    let (mut positions, probes, handle) = worker.dataflow::<u64, _, _>(|scope| {
        let (input, at) = scope.new_input();
        let rows = feed::<Storm>(scope, share, gate.clone());
        let (clocks, handle) = rows.write_ahead_sink_by(&sink, at, move |time| calendar.epoch(*time));
        gate.lead_to(Sink::Ahead(handle.clone()));
        let probes = [clocks.durable, clocks.staged, clocks.committed].map(|clock| clock.probe().0);
        (Positions::new(input, index.to_string(), share, calendar), probes, handle)
    });
    let last = if run.until == Until::Sealed { &probes[0] } else { &probes[2] };
    while !last.done() {
        if let Some(error) = handle.error() {
            handle.leave(worker);
            return Err(Error::sink(error));
        }
        worker.step_or_park(None);
        positions.reach(gate.time());
        seen.look(&handle, started);
        for (probe, at) in probes.iter().zip([&mut seen.sealed, &mut seen.staged]) {
            if !probe.done() {
                *at = started.elapsed();
            }
        }
    }
    (seen.took, seen.cpu) = (started.elapsed(), meter::process_cpu() - cpu);
    seen.full = gate.closed();
    seen.left_log_bytes = handle.limits().log_bytes.0;
    let written = written(&seen);
    if run.until == Until::Sealed {
        if index == 0 {
            sealed(&written);
        }
        drop((positions, sink));
        handle.leave(worker);
    }
    if index == 0 {
        tell(written);
    }
    Ok(())
}

/// Where this worker's rows begin, and in which epochs they are.
fn begin(worker: &Worker, sink: &WriteAheadSink, run: &AheadRun) -> (Calendar, Share) {
    let resume = sink.resume();
    let whole = Share::of(worker, run.rows);
    let calendar = Calendar::new(run.rows_per_epoch, worker.peers());
    let next = resume.positions.get(&worker.index().to_string());
    let next = next.and_then(|position| Some(u64::from_le_bytes(position.as_slice().try_into().ok()?)));
    let share = Share {
        next: next.unwrap_or(whole.next),
        time: calendar.begin(resume.first_epoch),
        batch: calendar.batch(),
        ..whole
    };
    (calendar, share)
}

impl Seen {
    fn written(&self, run: &AheadRun, generator: f64) -> Written {
        let stats = &self.stats;
        let generator = generator * run.rows.saturating_sub(self.resumed_rows) as f64 / run.rows as f64;
        let seconds = |time: Duration| time.as_secs_f64();
        let sent = Sent {
            rows: if run.until == Until::Committed { stats.rows_delivered } else { stats.rows_in },
            raw_bytes: stats.raw_bytes,
            compressed_bytes: stats.compressed_bytes,
            blobs: stats.blobs,
            retries: stats.retries,
            seconds: seconds(self.took),
            steady_rows_per_second: self.pace.rate(),
            sink_cpu_seconds: (seconds(self.cpu) - generator).max(0.0),
            generator_cpu_seconds: generator,
            full_seconds: seconds(self.full),
            held_seconds: seconds(stats.held),
            uploading_seconds: seconds(stats.uploading),
            peak_held_bytes: self.peak_held as u64,
            peak_memory_bytes: meter::peak_memory(),
        };
        Written {
            sent,
            open_seconds: seconds(self.opening),
            resumed_rows: self.resumed_rows,
            first_commit_seconds: self.first_commit.map(seconds),
            sealed_seconds: seconds(self.sealed),
            staged_seconds: seconds(self.staged),
            peak_log_bytes: self.peak_log_bytes,
            log_limit_bytes: self.log_limit_bytes,
            left_log_bytes: self.left_log_bytes,
        }
    }

    fn look(&mut self, handle: &WriteAheadHandle, started: Instant) {
        let (stats, limits) = (handle.stats(), handle.limits());
        self.pace.note(Instant::now(), stats.rows_delivered);
        if stats.rows_delivered > 0 && self.first_commit.is_none() {
            self.first_commit = Some(started.elapsed());
        }
        self.peak_held = self.peak_held.max(limits.memory.0);
        self.peak_log_bytes = self.peak_log_bytes.max(limits.log_bytes.0);
        self.log_limit_bytes = limits.log_bytes.1;
        self.stats = stats;
    }
}
