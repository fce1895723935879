//! What was measured. A megabyte is 1,000,000 bytes of rows before compression.

use serde::Serialize;

use crate::bars::Bar;
use crate::bound::Bound;
use crate::rows::RowKind;
use crate::send::Sent;

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Encoding and compression by themselves.
    pub stages: Vec<Stage>,
    /// The end-to-end runs.
    pub end_to_end: Vec<EndToEnd>,
    /// What the storm-event runs are bound by.
    pub bound: Bound,
    /// What was aimed at.
    pub bars: Vec<Bar>,
}

/// The machine and the build.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Machine {
    /// The processor, where the system tells.
    pub processor: Option<String>,
    /// How many threads run in parallel.
    pub cores: usize,
    /// Processes that wanted to run in the minute before, on average: above the number of cores, wall time means little.
    pub load_average: Option<f64>,
    /// Whether this is a release build. Figures of others mean nothing.
    pub release_build: bool,
}

/// A stage by itself, in CPU time of one thread: the median of several rounds.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Stage {
    /// What it does.
    pub name: &'static str,
    /// With which rows.
    pub kind: RowKind,
    /// Rows per second.
    pub rows_per_second: f64,
    /// Megabytes per second.
    pub mb_per_second: f64,
    /// Seconds per gigabyte.
    pub cpu_seconds_per_gb: f64,
    /// Bytes of a row in this format.
    pub bytes_per_row: f64,
    /// The slowest round's time less the fastest's, as a part of the median.
    pub spread: f64,
}

impl Default for Stage {
    fn default() -> Self {
        Stage {
            name: "",
            kind: RowKind::Storms,
            rows_per_second: 0.0,
            mb_per_second: 0.0,
            cpu_seconds_per_gb: 0.0,
            bytes_per_row: 0.0,
            spread: 0.0,
        }
    }
}

/// An end-to-end run: generator, dataflow, sink, and a cluster in another process.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EndToEnd {
    /// Which rows.
    pub kind: RowKind,
    /// Time added to each request.
    pub latency_ms: u64,
    /// Workers.
    pub workers: usize,
    /// Rows per second of the sink's CPU time.
    pub rows_per_cpu_second: f64,
    /// Megabytes per second of the sink's CPU time.
    pub mb_per_cpu_second: f64,
    /// Seconds of the sink's CPU time per gigabyte.
    pub cpu_seconds_per_gb: f64,
    /// Rows per second of wall time: between the first and the last delivery, or over the whole run when it has few.
    pub rows_per_second: f64,
    /// What the process measured.
    #[serde(flatten)]
    pub sent: Sent,
}

impl EndToEnd {
    pub(crate) fn new(kind: RowKind, latency_ms: u64, workers: usize, sent: Sent) -> Self {
        let cpu = sent.sink_cpu_seconds.max(f64::MIN_POSITIVE);
        let overall = sent.rows as f64 / sent.seconds.max(f64::MIN_POSITIVE);
        EndToEnd {
            kind,
            latency_ms,
            workers,
            rows_per_cpu_second: sent.rows as f64 / cpu,
            mb_per_cpu_second: sent.raw_bytes as f64 / cpu / 1e6,
            cpu_seconds_per_gb: cpu / (sent.raw_bytes as f64 / 1e9),
            rows_per_second: sent.steady_rows_per_second.unwrap_or(overall),
            sent,
        }
    }
}

impl Report {
    /// The stage of this name.
    pub fn stage(&self, name: &str, kind: RowKind) -> Option<&Stage> {
        find(&self.stages, name, kind)
    }
}

/// The stage of this name.
pub(crate) fn find<'a>(stages: &'a [Stage], name: &str, kind: RowKind) -> Option<&'a Stage> {
    stages.iter().find(|stage| stage.name == name && stage.kind == kind)
}
