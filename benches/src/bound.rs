//! What bounds the whole: what each part could do if the others cost nothing, and the least of it.

use serde::Serialize;
use timely_kusto::WriteOptions;

use crate::report::{EndToEnd, Machine, Stage, find};
use crate::rows::RowKind;

/// What could be the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// The workers: they generate and encode.
    Workers,
    /// Compression: as many chunks at a time as compressors and memory allow.
    Compression,
    /// The machine's cores, by all that the process does.
    Cores,
    /// Uploads under way at a time.
    Uploads,
}

/// The bound of the storm-event runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bound {
    /// Rows per second of wall time that each part could do.
    pub capacities: Vec<(Limit, f64)>,
    /// The least of them; nothing when there was no run.
    pub limit: Option<Limit>,
    /// It in words, with what was measured beside it and where the CPU time goes.
    pub words: String,
}

impl Bound {
    /// Of the last storm-event run without latency.
    pub(crate) fn of(machine: &Machine, stages: &[Stage], runs: &[EndToEnd], write: &WriteOptions) -> Self {
        let run = runs.iter().rfind(|run| run.kind == RowKind::Storms && run.latency_ms == 0);
        let (Some(run), Some(csv), Some(gzip)) =
            (run, find(stages, "encode csv", RowKind::Storms), find(stages, "gzip csv", RowKind::Storms))
        else {
            return Bound { capacities: Vec::new(), limit: None, words: "nothing was measured".to_owned() };
        };
        let capacities = capacities(machine, csv, gzip, run, write);
        let least = capacities.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
        let words = least.map_or_else(String::new, |least| words(least, machine, csv, gzip, run));
        Bound { capacities, limit: least.map(|(limit, _)| limit), words }
    }
}

fn capacities(
    machine: &Machine,
    csv: &Stage,
    gzip: &Stage,
    run: &EndToEnd,
    write: &WriteOptions,
) -> Vec<(Limit, f64)> {
    let rows = run.sent.rows as f64;
    let (workers, cores) = (run.workers as f64, machine.cores as f64);
    let generate = run.sent.generator_cpu_seconds / rows;
    let a_row_of_a_worker = generate + 1.0 / csv.rows_per_second;
    let a_row = generate + 1.0 / run.rows_per_cpu_second;
    let upload = run.sent.uploading_seconds / rows;
    vec![
        (Limit::Workers, workers.min(cores) / a_row_of_a_worker),
        (Limit::Compression, chunks_in_compression(machine, run, write) * gzip.rows_per_second),
        (Limit::Cores, cores / a_row),
        (Limit::Uploads, write.uploads() as f64 / upload),
    ]
}

/// Chunks that are compressed at the same time: as many as memory holds. (The rows that arrive meanwhile begin the next
/// ones, which stay small until there is room.)
fn chunks_in_compression(machine: &Machine, run: &EndToEnd, write: &WriteOptions) -> f64 {
    let held = write.memory() / write.chunk_bytes(run.workers);
    held.clamp(1, write.compressors().min(machine.cores)) as f64
}

fn words(
    (limit, rate): (Limit, f64),
    machine: &Machine,
    csv: &Stage,
    gzip: &Stage,
    run: &EndToEnd,
) -> String {
    let what = match limit {
        Limit::Workers => "the workers, which generate and encode: more workers help, while there are cores",
        Limit::Compression => "compression: a chunk fills faster than the one before it is compressed",
        Limit::Cores => "the cores: all of them are busy",
        Limit::Uploads => "uploads under way at a time: more `uploads` help",
    };
    let sink = 1.0 / run.rows_per_cpu_second;
    let (encode, gzip) = (1.0 / csv.rows_per_second / sink, 1.0 / gzip.rows_per_second / sink);
    let measured = run.rows_per_second;
    let mut text = format!(
        "{what} ({:.0} rows/s; measured {measured:.0}). Of the sink's CPU time gzip takes {:.0} %, encoding {:.0} %, \
         the rest {:.0} %. The sink was full for {:.0} % of the time.",
        rate,
        100.0 * gzip,
        100.0 * encode,
        100.0 * (1.0 - gzip - encode).max(0.0),
        100.0 * run.sent.full_seconds / run.sent.seconds,
    );
    if measured < 0.7 * rate {
        text.push_str(" The rate is far below that: ");
        text.push_str(match machine.load_average {
            Some(load) if load > machine.cores as f64 => "the machine has other work to do.",
            _ => "a short run, or waiting for requests.",
        });
    }
    text
}
