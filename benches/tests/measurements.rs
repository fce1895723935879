//! The measurements run, and measure what they say. No figure is judged here: machines differ, and this one is busy.
#![allow(clippy::unwrap_used, missing_docs)]

use std::cell::RefCell;
use std::time::Duration;

use timely_kusto_benches::{Error, Helpers, Options, RowKind, measure};

fn options() -> Options {
    Options { rows: 3_000, workers: 2, latencies: vec![Duration::from_millis(1)], settings: Vec::new() }
}

#[test]
fn a_report_has_every_stage_and_run_with_figures_that_fit_each_other() {
    let told = RefCell::new(Vec::new());
    let report = measure(&options(), &Helpers::InProcess, |next| told.borrow_mut().push(next.to_owned()));
    let report = report.unwrap();

    let stages: Vec<_> = report.stages.iter().map(|stage| (stage.name, stage.kind)).collect();
    let names = ["encode csv", "encode json", "gzip csv", "encode and gzip csv"];
    assert_eq!(stages[..4], names.map(|name| (name, RowKind::Storms)));
    for stage in &report.stages {
        assert!(stage.mb_per_second > 0.0 && stage.cpu_seconds_per_gb > 0.0, "{stage:?}");
        let mb = stage.rows_per_second * stage.bytes_per_row / 1e6;
        assert!((mb / stage.mb_per_second - 1.0).abs() < 1e-6, "{stage:?}");
    }
    let csv = report.stage("encode csv", RowKind::Storms).unwrap().bytes_per_row;
    assert!((250.0..350.0).contains(&csv), "{csv}");
    assert_eq!(report.stage("gzip csv", RowKind::Narrow).unwrap().bytes_per_row, 46.0);

    let runs: Vec<_> = report.end_to_end.iter().map(|r| (r.kind, r.sent.rows, r.latency_ms)).collect();
    let storms = |rows, latency| (RowKind::Storms, rows, latency);
    let expected =
        [storms(30, 0), storms(3_000, 0), storms(3_000, 1), storms(3_000, 0), (RowKind::Narrow, 3_000, 0)];
    assert_eq!(runs, expected);
    assert_eq!(told.into_inner().len(), 1 + expected.len());
    for run in &report.end_to_end {
        let sent = &run.sent;
        assert!(sent.blobs >= 1 && sent.compressed_bytes > 0 && sent.seconds > 0.0, "{run:?}");
        assert_eq!(sent.retries, 0, "{run:?}");
        assert!(sent.peak_held_bytes >= sent.raw_bytes / sent.blobs / 2, "{run:?}");
        assert_eq!(sent.peak_memory_bytes.is_some(), cfg!(target_os = "linux"));
    }
    let narrow = &report.end_to_end[4];
    assert_eq!(narrow.sent.raw_bytes, 3_000 * 46);
}

#[test]
fn what_bounds_the_whole_is_the_least_capacity_and_each_bar_is_there() {
    let report = measure(&options(), &Helpers::InProcess, |_| {}).unwrap();
    let capacities = &report.bound.capacities;
    let least = capacities.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    assert_eq!((capacities.len(), report.bound.limit), (4, Some(least)));

    let bars: Vec<_> = report.bars.iter().map(|bar| bar.name.split(',').next().unwrap()).collect();
    assert_eq!(bars[..2], ["encode csv", "end to end"]);
    let slow = report.bars.iter().find(|bar| bar.name.starts_with("rate with 1 ms")).unwrap();
    assert_eq!(slow.passed, None, "a run of one blob has no rate: {slow:?}");
    for bar in &report.bars {
        let reached = if bar.at_most { bar.value < bar.bar } else { bar.value >= bar.bar };
        assert!(bar.passed.is_none_or(|passed| passed == reached), "{bar:?}");
    }
}

#[test]
fn a_report_is_a_table_and_an_object() {
    let report = measure(&options(), &Helpers::InProcess, |_| {}).unwrap();
    let text = report.to_string();
    assert!(
        ["encode csv, ", "3,000 storms, +1 ms/request", "bound by "].iter().all(|part| text.contains(part))
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["end_to_end"][1]["rows"], 3_000);
    assert_eq!(json["end_to_end"][4]["kind"], "narrow");
    assert!(json["bound"]["words"].is_string() && json["bars"][0]["passed"].is_boolean());
}

#[test]
fn a_setting_reaches_the_sink() {
    let smaller = Options { settings: vec![("batch_bytes".into(), "64KiB".into())], ..options() };
    let report = measure(&smaller, &Helpers::InProcess, |_| {}).unwrap();
    for run in report.end_to_end.iter().filter(|run| run.sent.rows == 3_000) {
        assert!(run.sent.blobs > run.sent.raw_bytes / (2 * 64 * 1024), "{run:?}");
    }
}

#[test]
fn options_that_cannot_work_are_named() {
    let wrong = |options: Options| measure(&options, &Helpers::InProcess, |_| {}).unwrap_err().to_string();
    assert_eq!(wrong(Options { rows: 99, ..options() }), "rows is 99: it must be at least 100");
    assert_eq!(wrong(Options { workers: 0, ..options() }), "workers is 0: it must be 1 to 1024");
    let set = |text: &str| Options { settings: vec![Options::parse_setting(text).unwrap()], ..options() };
    assert!(wrong(set("memory=1KiB")).contains("memory"));
    assert!(wrong(set("memmory=1GiB")).contains("memory"));
    assert!(wrong(set("table=T")).contains("set is table"));
    assert!(Options::parse_setting("memory").is_err());
    let long = Options { latencies: vec![Duration::from_secs(11)], ..options() };
    assert_eq!(wrong(long), "latencies is 11s: it must be at most 10 s each");
}

#[test]
fn a_helper_that_cannot_be_started_or_says_nothing_is_an_error() {
    let started = |executable: &str| {
        let helpers = Helpers::Processes { executable: executable.into(), arguments: Vec::new() };
        measure(&options(), &helpers, |_| {}).unwrap_err()
    };
    assert!(matches!(started("/nonexistent/timely-kusto"), Error::Helper { .. }));
    assert!(matches!(started("/bin/true"), Error::HelperFailed { .. }));
}
