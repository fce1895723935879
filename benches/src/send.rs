//! One end-to-end run, as the sink's process makes it: generator, dataflow, SinkV2, a cluster in another process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kusto_client::{Client, ConnectionOptions, ServiceExt};
use pipelines::generator::Storm;
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::probe::Probe;
use timely::worker::Worker;
use timely_kusto::{RowsToKusto, SinkStats, SinkV2};

use crate::feed::{Gate, Share, Sink, feed};
use crate::options::{DATABASE, write_options};
use crate::pace::Pace;
use crate::rows::{Generated, Narrow, RowKind};
use crate::{Error, Result, meter};

/// A run to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Send {
    /// URL of the cluster.
    pub cluster: String,
    /// Which rows.
    pub kind: RowKind,
    /// How many.
    pub rows: u64,
    /// Workers of this process.
    pub workers: usize,
    /// Write options that do not have their default.
    pub settings: Vec<(String, String)>,
}

/// What a run did, in its own process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// Rows that the sink reported delivered.
    pub rows: u64,
    /// Their bytes before compression.
    pub raw_bytes: u64,
    /// Their bytes after it.
    pub compressed_bytes: u64,
    /// Blobs.
    pub blobs: u64,
    /// Requests that were made again.
    pub retries: u64,
    /// Wall time from the first row to the word that the last is delivered.
    pub seconds: f64,
    /// Rows per second of wall time between the first and the last delivery; `None` in a run of few blobs.
    pub steady_rows_per_second: Option<f64>,
    /// CPU time of the process in those seconds, without the generator's.
    pub sink_cpu_seconds: f64,
    /// CPU time that generating the rows takes, measured by the same dataflow without the sink.
    pub generator_cpu_seconds: f64,
    /// Wall time in which the sink was full and took no rows, of one worker.
    pub full_seconds: f64,
    /// Wall time in which the sink held its worker at twice its memory limit, summed over workers.
    pub held_seconds: f64,
    /// Time from the start of an upload to its end, summed over blobs.
    pub uploading_seconds: f64,
    /// The most bytes that the sink held, as it counts them.
    pub peak_held_bytes: u64,
    /// The most memory that the process had resident, in bytes (Linux only).
    pub peak_memory_bytes: Option<u64>,
}

/// Makes the run.
///
/// # Errors
/// [`Error::Sink`] when the cluster cannot be reached or the sink fails.
pub(crate) fn send(run: &Send) -> Result<Sent> {
    match run.kind {
        RowKind::Storms => send_rows::<Storm>(run),
        RowKind::Narrow => send_rows::<Narrow>(run),
    }
}

fn send_rows<R: Generated>(run: &Send) -> Result<Sent> {
    let connection = ConnectionOptions::builder().cluster_url(&run.cluster).no_auth().build();
    let connection = connection.map_err(Error::sink)?;
    create_table(&connection, run.kind)?;
    let write = write_options(run.kind.table(), &run.settings)?;
    let sink = SinkV2::connect(&connection, &write).map_err(Error::sink)?;

    let generator = generator_cpu::<R>(run.rows, run.workers)?;
    let (cpu, started) = (meter::process_cpu(), Instant::now());
    let delivered = deliver::<R>(run, &sink)?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = (meter::process_cpu() - cpu).as_secs_f64();
    let SinkStats { rows_delivered, raw_bytes, compressed_bytes, blobs, retries, .. } = delivered.stats;
    Ok(Sent {
        rows: rows_delivered,
        raw_bytes,
        compressed_bytes,
        blobs,
        retries,
        seconds,
        steady_rows_per_second: delivered.pace.rate(),
        sink_cpu_seconds: (cpu - generator).max(0.0),
        generator_cpu_seconds: generator,
        full_seconds: delivered.full.as_secs_f64(),
        held_seconds: delivered.stats.held.as_secs_f64(),
        uploading_seconds: delivered.stats.uploading.as_secs_f64(),
        peak_held_bytes: delivered.peak_held as u64,
        peak_memory_bytes: meter::peak_memory(),
    })
}

/// Creates the table, with a client and a runtime that are gone before anything is measured.
pub(crate) fn create_table(connection: &ConnectionOptions, kind: RowKind) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::sink)?;
    let client = Client::connect(connection.clone()).map_err(Error::sink)?;
    runtime.block_on(client.command_at_start(DATABASE, &kind.create_command())).map_err(Error::sink)?;
    Ok(())
}

/// The most rows that the generator is measured with; its rate does not depend on how many follow.
const GENERATOR_SAMPLE: u64 = 1_000_000;

/// Seconds of CPU that generating the rows of the run takes: the dataflow with nothing behind the source.
pub(crate) fn generator_cpu<R: Generated>(all: u64, workers: usize) -> Result<f64> {
    let rows = all.min(GENERATOR_SAMPLE);
    let started = meter::process_cpu();
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let share = Share::of(worker, rows);
        let probe = worker.dataflow(|scope| feed::<R>(scope, share, Gate::default()).probe().0);
        worker.step_or_park_while(None, || !probe.done());
    });
    guards.map_err(Error::sink)?.join().into_iter().try_for_each(|done| done.map_err(Error::sink))?;
    Ok((meter::process_cpu() - started).as_secs_f64() * all as f64 / rows as f64)
}

/// What the workers saw.
#[derive(Debug, Default)]
struct Delivered {
    stats: SinkStats,
    pace: Pace,
    full: Duration,
    peak_held: usize,
}

fn deliver<R: Generated>(run: &Send, sink: &SinkV2) -> Result<Delivered> {
    let (sink, rows) = (sink.clone(), run.rows);
    let seen = Arc::new(Mutex::new(Delivered::default()));
    let told = Arc::clone(&seen);
    let guards = timely::execute(timely::Config::process(run.workers), move |worker| {
        let delivered = drive::<R>(worker, &sink, rows)?;
        if worker.index() == 0 {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = delivered;
        }
        Ok::<_, Error>(())
    });
    for worker in guards.map_err(Error::sink)?.join() {
        worker.map_err(Error::sink)??;
    }
    Ok(std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// One worker: builds the dataflow and steps it until all rows of all workers are delivered.
fn drive<R: Generated>(worker: &mut Worker, sink: &SinkV2, rows: u64) -> Result<Delivered> {
    let (share, gate) = (Share::of(worker, rows), Gate::default());
    let (probe, handle) = worker.dataflow(|scope| {
        let (clock, handle) = feed::<R>(scope, share, gate.clone()).sink_v2(sink);
        gate.lead_to(Sink::V2(handle.clone()));
        (clock.probe().0, handle)
    });
    let mut pace = Pace::default();
    while !probe.done() {
        if let Some(error) = handle.error() {
            worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
            return Err(Error::sink(error));
        }
        worker.step_or_park(None);
        pace.note(Instant::now(), handle.stats().rows_delivered);
    }
    Ok(Delivered { stats: handle.stats(), pace, full: gate.closed(), peak_held: handle.peak_bytes() })
}
