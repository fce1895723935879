//! What is aimed at, and whether it is reached.

use serde::Serialize;

use crate::report::{EndToEnd, Stage, find};
use crate::rows::RowKind;

/// One aim.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bar {
    /// What is compared, in words.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// What it is to be: at least this, or at most where `at_most` says so.
    pub bar: f64,
    /// Whether the bar is an upper one.
    pub at_most: bool,
    /// `x`, `%`, `MB`, `MB/s` or `commands`.
    pub unit: &'static str,
    /// Whether it is reached; nothing when it could not be judged.
    pub passed: Option<bool>,
    /// What else there is to know.
    pub note: String,
}

/// The most memory of a process with one worker, in bytes.
pub(crate) const MEMORY: f64 = 256e6;

/// Rows per CPU second of the Flink connector 1.1.0 (JVM, one core of such a machine): storm events, and narrow rows of
/// 46 bytes at their best.
const FLINK_STORMS: f64 = 30_000.0;
const FLINK_NARROW: f64 = 165_000.0;

/// How many times as many rows per CPU second the sink is to deliver.
const TIMES_FLINK: f64 = 12.0;

/// The part of its rate that a run may lose to slow requests, where two runs without them differ by less.
const NOISE: f64 = 0.05;

/// Two equal runs that differ by more tell nothing.
const TOO_MUCH_NOISE: f64 = 0.3;

/// Judges what was measured.
pub(crate) fn bars(stages: &[Stage], runs: &[EndToEnd]) -> Vec<Bar> {
    let mut bars = Vec::new();
    let (csv, gzip) =
        (find(stages, "encode csv", RowKind::Storms), find(stages, "gzip csv", RowKind::Storms));
    let plain = plain_runs(runs);
    if let (Some(csv), Some(gzip)) = (csv, gzip) {
        bars.push(encode_against_gzip(csv, gzip));
        if !plain.is_empty() {
            bars.push(whole_against_stages(csv, gzip, &plain));
        }
    }
    bars.extend(memory(runs));
    bars.extend(runs.iter().filter(|run| run.latency_ms > 0).map(|run| slow_requests(run, &plain)));
    bars.extend(against_flink("storm events", FLINK_STORMS, &plain));
    let narrow: Vec<_> = runs.iter().filter(|run| run.kind == RowKind::Narrow).collect();
    bars.extend(against_flink("narrow rows", FLINK_NARROW, &narrow));
    bars
}

/// The long runs with storm events and nothing added to requests.
fn plain_runs(runs: &[EndToEnd]) -> Vec<&EndToEnd> {
    let plain = |run: &&EndToEnd| run.kind == RowKind::Storms && run.latency_ms == 0;
    let most = runs.iter().map(|run| run.sent.rows).max().unwrap_or_default();
    runs.iter().filter(plain).filter(|run| run.sent.rows == most).collect()
}

fn at_least(name: String, value: f64, bar: f64, unit: &'static str, note: String) -> Bar {
    Bar { name, value, bar, at_most: false, unit, passed: Some(value >= bar), note }
}

fn encode_against_gzip(csv: &Stage, gzip: &Stage) -> Bar {
    let name = "encode csv, of gzip".to_owned();
    at_least(name, csv.mb_per_second / gzip.mb_per_second, 3.0, "x", String::new())
}

fn whole_against_stages(csv: &Stage, gzip: &Stage, plain: &[&EndToEnd]) -> Bar {
    let ideal = 1.0 / (1.0 / csv.mb_per_second + 1.0 / gzip.mb_per_second);
    let value = 100.0 * mean(plain, |run| run.mb_per_cpu_second) / ideal;
    let note = format!("{ideal:.0} MB/s is 1/(1/encode + 1/gzip)");
    at_least("end to end, of encode and gzip alone".to_owned(), value, 75.0, "%", note)
}

fn memory(runs: &[EndToEnd]) -> Option<Bar> {
    let most = runs.iter().filter_map(|run| run.sent.peak_memory_bytes).max()? as f64;
    let one_worker = runs.iter().all(|run| run.workers == 1);
    Some(Bar {
        name: "peak memory of every run".to_owned(),
        value: most / 1e6,
        bar: MEMORY / 1e6,
        at_most: true,
        unit: "MB",
        passed: one_worker.then_some(most < MEMORY),
        note: if one_worker { String::new() } else { "the bar is for one worker".to_owned() },
    })
}

fn slow_requests(run: &EndToEnd, plain: &[&EndToEnd]) -> Bar {
    let rates: Vec<_> = plain.iter().map(|run| run.rows_per_second).collect();
    let mean = rates.iter().sum::<f64>() / rates.len().max(1) as f64;
    let (least, most) =
        rates.iter().fold((f64::MAX, 0.0_f64), |(least, most), rate| (least.min(*rate), most.max(*rate)));
    let noise = (most - least) / mean;
    let few = run.sent.steady_rows_per_second.is_none();
    let judged = !few && noise <= TOO_MUCH_NOISE;
    let value = 100.0 * run.rows_per_second / mean;
    let bar = 100.0 * (1.0 - noise.max(NOISE));
    let mut note = format!("two runs without differ by {:.0} %", 100.0 * noise);
    if few {
        note = "too few blobs to tell: more rows are needed".to_owned();
    } else if !judged {
        note.push_str(", too much to tell: the machine has other work");
    }
    Bar {
        name: format!("rate with {} ms more per request, of the rate without", run.latency_ms),
        value,
        bar,
        at_most: false,
        unit: "%",
        passed: judged.then_some(value >= bar),
        note,
    }
}

fn against_flink(what: &str, theirs: f64, runs: &[&EndToEnd]) -> Option<Bar> {
    let ours = (!runs.is_empty()).then(|| mean(runs, |run| run.rows_per_cpu_second))?;
    let name = format!("{what} per CPU second, of the Flink connector's {theirs:.0}");
    Some(at_least(name, ours / theirs, TIMES_FLINK, "x", String::new()))
}

/// The mean over runs.
fn mean(runs: &[&EndToEnd], value: impl Fn(&EndToEnd) -> f64) -> f64 {
    runs.iter().map(|run| value(run)).sum::<f64>() / runs.len() as f64
}
