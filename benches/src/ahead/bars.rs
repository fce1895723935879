//! What is aimed at, and whether it is reached.

use timely_kusto::WriteAheadOptions;

use super::report::AheadReport;
use super::{Recovered, Written};
use crate::bars::{Bar, MEMORY};

/// Rows per CPU second, of SinkV2's, in percent. The aim beyond it is 90.
const BESIDE_SINK_V2: f64 = 85.0;

/// Commands of a commit: listing, intent, move.
const COMMANDS: f64 = 3.0;

/// The rate with slow commands, in percent of the rate without.
const SLOW: f64 = 90.0;

/// How much more memory ten times as much may take, in percent of the smaller run's: the allocator's noise.
const FLAT: f64 = 120.0;

/// Epoch files that a start takes over, in MB a second: a log at its default limit within two minutes.
const RECOVERY: f64 = 40.0;

/// Two rounds that differ by more tell nothing.
const TOO_MUCH_NOISE: f64 = 0.3;

/// Judges what was measured, with so much memory for rows.
pub(super) fn bars(report: &AheadReport, memory: usize) -> Vec<Bar> {
    let mut bars = Vec::new();
    bars.push(beside_sink_v2(report));
    bars.push(commands(report));
    bars.push(slow_commands(report));
    bars.extend(report.recovery.iter().max_by_key(|start| start.log_bytes).map(recovery));
    bars.push(flat("rows", 1_000_000, report.by_rows.iter().map(|run| (run.sent.rows, run))));
    bars.push(flat(
        "epochs",
        2 * WriteAheadOptions::OPEN_EPOCHS,
        report.by_epochs.iter().map(|run| (run.epochs, &run.written)),
    ));
    bars.extend(peak(report));
    bars.push(disk(&report.small_log, memory));
    bars
}

fn bar(name: impl Into<String>, value: f64, bar: f64, at_most: bool, unit: &'static str) -> Bar {
    let passed = value.is_finite().then_some(if at_most { value <= bar } else { value >= bar });
    Bar { name: name.into(), value, bar, at_most, unit, passed, note: String::new() }
}

/// The median, and the least and the most.
pub(super) fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(values.len() / 2), at(0), at(values.len().saturating_sub(1)))
}

fn beside_sink_v2(report: &AheadReport) -> Bar {
    let (median, least, most) = spread(report.rounds.iter().map(|round| 100.0 * round.ratio()).collect());
    let note = format!("{least:.0} to {most:.0} % over {} rounds; the goal is 90 %", report.rounds.len());
    let bar = bar("rows per CPU second, of SinkV2's", median, BESIDE_SINK_V2, false, "%");
    Bar { note, ..bar }
}

fn commands(report: &AheadReport) -> Bar {
    let all = || report.commands.iter().map(|run| run.commands.per_commit());
    let most = all().fold(0.0, f64::max);
    let exact = all().all(|commands| commands == COMMANDS);
    let sizes: Vec<_> = report.commands.iter().map(|run| run.rows_per_epoch.to_string()).collect();
    let note = format!("in each run, with {} rows an epoch", sizes.join(", "));
    Bar { note, passed: Some(exact), ..bar("commands per commit", most, COMMANDS, true, "commands") }
}

fn slow_commands(report: &AheadReport) -> Bar {
    let (median, least, most) =
        spread(report.rounds.iter().map(|round| 100.0 * round.slow_ratio()).collect());
    let (_, slowest, fastest) =
        spread(report.rounds.iter().map(|round| round.write_ahead.rows_per_second()).collect());
    let noise = (fastest - slowest) / fastest;
    let name = format!("rate with {:?} more per command, of the rate without", report.command_delay);
    let note = format!("{least:.0} to {most:.0} %; runs without differ by {:.0} %", 100.0 * noise);
    let judged = bar(name, median, SLOW, false, "%");
    let passed = judged.passed.filter(|_| noise <= TOO_MUCH_NOISE);
    Bar { note, passed, ..judged }
}

fn recovery(start: &Recovered) -> Bar {
    let megabytes = start.log_bytes as f64 / 1e6;
    let note = format!("{megabytes:.0} MB in {:.1} s", start.open_seconds);
    Bar {
        note,
        ..bar("epoch files taken over at a start", megabytes / start.open_seconds, RECOVERY, false, "MB/s")
    }
}

/// The longest run beside the one before, which says something from `fills` on.
fn flat<'a>(of: &str, fills: u64, runs: impl Iterator<Item = (u64, &'a Written)>) -> Bar {
    let what = "peak memory";
    let peak = |(count, run): (u64, &Written)| Some((count, run.sent.peak_memory_bytes? as f64));
    let peaks: Vec<_> = runs.filter_map(peak).collect();
    let [.., before, last] = peaks.as_slice() else {
        return bar(format!("{what} by {of}"), f64::NAN, FLAT, true, "%");
    };
    let name = format!("{what} at {} {of}, of that at {}", last.0, before.0);
    let mut note = format!("{:.0} MB and {:.0} MB", last.1 / 1e6, before.1 / 1e6);
    let judged = bar(name, 100.0 * last.1 / before.1, FLAT, true, "%");
    let fills = before.0 >= fills;
    if !fills {
        note.push_str("; the smaller run does not fill the sink's buffers");
    }
    Bar { note, passed: judged.passed.filter(|_| fills), ..judged }
}

fn peak(report: &AheadReport) -> Option<Bar> {
    let runs = report.by_rows.iter().chain(report.by_epochs.iter().map(|run| &run.written));
    let runs = runs.chain(report.rounds.iter().map(|round| &round.write_ahead));
    let most = runs.filter_map(|run| run.sent.peak_memory_bytes).max()? as f64;
    let judged = bar("peak memory of every run", most / 1e6, MEMORY / 1e6, true, "MB");
    let one = report.workers == 1;
    let note = if one { String::new() } else { "the bar is for one worker".to_owned() };
    Some(Bar { passed: judged.passed.filter(|_| one), note, ..judged })
}

/// What is on its way into the files when sources are told to pause may come on top: no more than fits into memory.
fn disk(run: &Written, memory: usize) -> Bar {
    let (limit, memory) = (run.log_limit_bytes as f64 / 1e6, memory as f64 / 1e6);
    let note = format!("the limit of {limit:.0} MB and {memory:.0} MB of memory");
    Bar {
        note,
        ..bar("epoch files at their limit", run.peak_log_bytes as f64 / 1e6, limit + memory, true, "MB")
    }
}
