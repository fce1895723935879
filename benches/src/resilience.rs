//! What faults, distance and idleness cost: throughput while requests fail, the time from a row to the word that it is
//! delivered, the CPU time of a sink to which nothing comes.
//!
//! ```text
//!  fault-free, failing, fault-free, failing, ...     the ratio of the medians; runs alternate, so that a machine that gets
//!                                                    slower gets slower for both
//!  rows at a steady pace ─► SinkV2 ─► clock           how far the clock is behind, row by row
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use kusto_client::ConnectionOptions;
use pipelines::generator::Storm;
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::{Input, Probe};
use timely_kusto::{RowsToKusto, SinkV2};

use crate::helper::{Helpers, Manners};
use crate::options::write_options;
use crate::rows::{Generated, RowKind};
use crate::send::{Send, create_table};
use crate::{Error, Result, meter};

/// What is measured.
#[derive(Clone, Debug)]
pub struct ResilienceOptions {
    /// Rows of each run with and without faults. Default: 2,000,000.
    pub rows: u64,
    /// Runs of each kind. Default: 3.
    pub rounds: usize,
    /// The share of requests that fail. Default: a tenth.
    pub failing: f64,
    /// How long rows are sent at a steady pace, and how long nothing is sent. Default: 60 s.
    pub time: Duration,
    /// Rows per second at the steady pace. Default: 1,000.
    pub pace: u64,
    /// How long the service gathers blobs while rows come at a steady pace. Default: 1 s.
    pub batching: Duration,
    /// Write options that do not have their default, for the steady pace.
    pub settings: Vec<(String, String)>,
}

impl Default for ResilienceOptions {
    fn default() -> Self {
        ResilienceOptions {
            rows: 2_000_000,
            rounds: 3,
            failing: 0.1,
            time: Duration::from_secs(60),
            pace: 1_000,
            batching: Duration::from_secs(1),
            settings: Vec::new(),
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Resilience {
    /// Rows per second of wall time of the runs without faults.
    pub fault_free: Vec<f64>,
    /// The same with faults.
    pub failing: Vec<f64>,
    /// Attempts that the faults cost, of all runs with them.
    pub retries: u64,
    /// The median with faults over the median without.
    pub ratio: f64,
    /// How long rows took at the steady pace.
    pub latency: Latency,
    /// The share of one core that an idle sink takes.
    pub idle: f64,
}

/// Rows at a steady pace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Paced {
    cluster: String,
    pace: u64,
    time: Duration,
    settings: Vec<(String, String)>,
}

/// Nothing at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Idle {
    cluster: String,
    time: Duration,
}

/// Milliseconds from a row to the word that it is delivered; what it is made of, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Rows that were sent.
    pub rows: u64,
    /// Half of the rows took no longer.
    pub median_ms: f64,
    /// 99 of 100 rows took no longer.
    pub p99_ms: f64,
    /// On average.
    pub mean_ms: f64,
    /// Of that, in the chunk that was not closed yet: `batch_interval` at most.
    pub open_ms: f64,
    /// Compression.
    pub compressing_ms: f64,
    /// The blob's upload.
    pub uploading_ms: f64,
    /// The status row and the message.
    pub queueing_ms: f64,
    /// The service's gathering and ingestion, and the time to the next look at the status.
    pub confirming_ms: f64,
}

/// Measures everything; `progress` is told what is done next.
///
/// # Errors
/// When a helper cannot be started, the sink fails, or rows did not arrive.
pub fn resilience(
    options: &ResilienceOptions,
    helpers: &Helpers,
    progress: impl Fn(&str),
) -> Result<Resilience> {
    let (mut fault_free, mut failing, mut retries) = (Vec::new(), Vec::new(), 0);
    for _ in 0..options.rounds {
        progress("without faults");
        fault_free.push(run(options.rows, 0.0, helpers)?.0);
        progress("with faults");
        let (rate, tried_again) = run(options.rows, options.failing, helpers)?;
        failing.push(rate);
        retries += tried_again;
    }
    progress("at a steady pace");
    let gathering = Manners { batching: Some(options.batching), ..Manners::default() };
    let (cluster, url) = helpers.cluster(gathering)?;
    let ResilienceOptions { pace, time, settings, .. } = options;
    let latency = helpers.paced(Paced {
        cluster: url.clone(),
        pace: *pace,
        time: *time,
        settings: settings.clone(),
    })?;
    progress("idle");
    let idle = helpers.idle(Idle { cluster: url, time: *time })?;
    cluster.end()?;
    let ratio = median(&failing) / median(&fault_free);
    Ok(Resilience { fault_free, failing, retries, ratio, latency, idle })
}

/// Rows per second, and attempts beyond the first.
fn run(rows: u64, failing: f64, helpers: &Helpers) -> Result<(f64, u64)> {
    let (cluster, url) = helpers.cluster(Manners { failing, ..Manners::default() })?;
    let run = Send { cluster: url, kind: RowKind::Storms, rows, workers: 1, settings: Vec::new() };
    let sent = helpers.send(run)?;
    let arrived = cluster.end()?.rows;
    if sent.rows != rows || arrived != rows {
        return Err(Error::Lost { sent: sent.rows, arrived });
    }
    Ok((rows as f64 / sent.seconds, sent.retries))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn connected(cluster: &str, settings: &[(String, String)]) -> Result<SinkV2> {
    let connection = ConnectionOptions::builder().cluster_url(cluster).no_auth().build();
    let connection = connection.map_err(Error::sink)?;
    create_table(&connection, RowKind::Storms)?;
    let write = write_options(RowKind::Storms.table(), settings)?;
    SinkV2::connect(&connection, &write).map_err(Error::sink)
}

/// Rows are handed over together, ten times a second.
const TICKS: u64 = 10;

/// Sends, and looks each time the clock moves.
pub(crate) fn paced(run: &Paced) -> Result<Latency> {
    let sink = connected(&run.cluster, &run.settings)?;
    let (pace, ticks) = (run.pace / TICKS, run.time.as_secs() * TICKS);
    timely::execute_directly(move |worker| {
        let (mut input, probe, handle) = worker.dataflow(|scope| {
            let (input, rows) = scope.new_input::<Vec<Storm>>();
            let (clock, handle) = rows.sink_v2(&sink);
            (input, clock.probe().0, handle)
        });
        let (started, mut on_the_way, mut took) =
            (Instant::now(), VecDeque::<(u64, Instant)>::new(), Vec::new());
        let mut tick = 0;
        while tick < ticks || !on_the_way.is_empty() {
            let due =
                started + Duration::from_secs(1) * u32::try_from(tick).unwrap_or(u32::MAX) / TICKS as u32;
            if tick < ticks && Instant::now() >= due {
                (0..pace).for_each(|row| input.send(Storm::generate(tick * pace + row)));
                on_the_way.push_back((tick, Instant::now()));
                tick += 1;
                input.advance_to(tick);
                if tick == ticks {
                    handle.flush(); // the last chunk's wait would say nothing
                }
            }
            worker.step_or_park(Some(Duration::from_millis(2)));
            if let Some(error) = handle.error() {
                worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
                return Err(Error::sink(error));
            }
            while let Some((_, sent)) = on_the_way.front().filter(|(tick, _)| !probe.less_equal(tick)) {
                took.push(Instant::elapsed(sent).as_secs_f64() * 1e3);
                on_the_way.pop_front();
            }
        }
        Ok(latency(&took, pace, &handle.stats()))
    })
}

fn latency(took: &[f64], pace: u64, stats: &timely_kusto::SinkStats) -> Latency {
    let mut sorted = took.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get((sorted.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
    let of_a_blob = |time: Duration| time.as_secs_f64() * 1e3 / stats.blobs.max(1) as f64;
    let [compressing, uploading, queueing, confirming] =
        [stats.compressing, stats.uploading, stats.queueing, stats.confirming].map(of_a_blob);
    Latency {
        rows: sorted.len() as u64 * pace,
        median_ms: at(0.5),
        p99_ms: at(0.99),
        mean_ms: mean,
        open_ms: (mean - compressing - uploading - queueing - confirming).max(0.0),
        compressing_ms: compressing,
        uploading_ms: uploading,
        queueing_ms: queueing,
        confirming_ms: confirming,
    }
}

/// The share of one core that the process takes while a dataflow with a sink is open and nothing comes.
pub(crate) fn idle(run: &Idle) -> Result<f64> {
    let sink = connected(&run.cluster, &[])?;
    let time = run.time;
    Ok(timely::execute_directly(move |worker| {
        let (input, _handle) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, rows) = scope.new_input::<Vec<Storm>>();
            (input, rows.sink_v2(&sink).1)
        });
        for _ in 0..100 {
            worker.step(); // until nothing is left to be set up
        }
        let (started, cpu) = (Instant::now(), meter::process_cpu());
        while let Some(left) = time.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
            worker.step_or_park(Some(left));
        }
        let taken = (meter::process_cpu() - cpu).as_secs_f64() / started.elapsed().as_secs_f64();
        drop(input);
        taken
    }))
}

impl fmt::Display for Resilience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rates = |rates: &[f64]| {
            rates.iter().map(|rate| format!("{:.0}", rate / 1e3)).collect::<Vec<_>>().join(", ")
        };
        writeln!(f, "thousand rows/s without faults: {}", rates(&self.fault_free))?;
        writeln!(f, "thousand rows/s with faults:    {}", rates(&self.failing))?;
        writeln!(f, "ratio of the medians: {:.0} %, {} attempts repeated", self.ratio * 100.0, self.retries)?;
        let Latency { rows, median_ms, p99_ms, mean_ms, .. } = self.latency;
        writeln!(
            f,
            "from row to confirmed ({rows} rows): median {median_ms:.0} ms, p99 {p99_ms:.0} ms, mean {mean_ms:.0} ms"
        )?;
        let Latency { open_ms, compressing_ms, uploading_ms, queueing_ms, confirming_ms, .. } = self.latency;
        writeln!(
            f,
            "  of that on average: open chunk {open_ms:.0}, compression {compressing_ms:.0}, upload {uploading_ms:.0}, \
             queue {queueing_ms:.0}, service and poll {confirming_ms:.0}"
        )?;
        writeln!(f, "idle: {:.3} % of a core", self.idle * 100.0)
    }
}
