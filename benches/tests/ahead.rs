//! The measurements of the write-ahead mode run, and measure what they say. No figure that a clock makes is judged here.
#![allow(clippy::unwrap_used, missing_docs)]

use std::cell::RefCell;
use std::time::Duration;

use timely_kusto_benches::{AheadOptions, AheadReport, Error, Helpers, measure_ahead};

fn options() -> AheadOptions {
    AheadOptions {
        rounds: 1,
        rows_per_epoch: 1_000,
        epoch_sizes: vec![100, 1_000],
        epochs: vec![5, 20],
        command_delay: Duration::from_millis(5),
        small_log_bytes: 512 << 10,
        logs: vec![1_000, 3_000],
        pace: 1_000,
        time: Duration::from_millis(400),
        epoch: Duration::from_millis(200),
        workers: 2,
        ..AheadOptions::of_rows(3_000)
    }
}

#[test]
fn the_directory_for_epoch_files_is_made_and_nothing_is_left_in_it() {
    let place = tempfile::TempDir::new().unwrap();
    let state = place.path().join("not/yet/there");
    report(&AheadOptions { state: Some(state.clone()), ..options() });
    assert_eq!(std::fs::read_dir(state).unwrap().count(), 0);
}

fn report(options: &AheadOptions) -> AheadReport {
    measure_ahead(options, &Helpers::InProcess, |_| {}).unwrap()
}

#[test]
fn each_measurement_is_made_with_every_row_in_the_table_once() {
    let told = RefCell::new(Vec::new());
    let tell = |next: &str| told.borrow_mut().push(next.to_owned());
    let report = measure_ahead(&options(), &Helpers::InProcess, tell).unwrap();

    // That the table holds each row once is checked run by run: a report is the proof.
    let round = &report.rounds[0];
    for rows in [round.sink_v2.rows, round.write_ahead.sent.rows, round.slow.sent.rows] {
        assert_eq!(rows, 3_000);
    }
    assert!(round.ratio() > 0.0 && round.slow_ratio() > 0.0);
    for run in report.by_rows.iter().chain(report.by_epochs.iter().map(|run| &run.written)) {
        assert!(
            run.staged_seconds >= run.sealed_seconds && run.sent.seconds >= run.staged_seconds,
            "{run:?}"
        );
        assert!(run.peak_log_bytes > 0 && run.sent.blobs > 0, "{run:?}");
        assert_eq!(run.sent.retries, 0, "{run:?}");
    }
    let rows: Vec<_> = report.by_rows.iter().map(|run| run.sent.rows).collect();
    assert_eq!(rows, [30, 300, 3_000]);
    let epochs: Vec<_> = report.by_epochs.iter().map(|run| (run.epochs, run.written.sent.rows)).collect();
    assert_eq!(epochs, [(5, 500), (20, 2_000)]);
    assert_eq!((report.visible.rows, report.small_log.sent.rows), (400, 1_500));
    assert_eq!(report.small_log.log_limit_bytes, 512 << 10);
    assert_eq!(told.into_inner().len(), 1 + 2 + 1 + 2 + 3 + 2 + 1);
}

#[test]
fn a_commit_is_three_commands_however_large_the_epochs_are() {
    for run in report(&options()).commands {
        let commands = run.commands;
        assert!((1..=2).contains(&commands.moves), "two epochs, in one commit or in two: {run:?}");
        assert_eq!(commands.listings, commands.moves + 1, "one more at the start: {run:?}");
        assert!(
            commands.intents > commands.moves,
            "one more at the end, and each second that nothing is committed: {run:?}"
        );
        assert_eq!((commands.others, commands.drops), (0, 0), "{run:?}");
        assert!(
            commands.looks >= 1,
            "whether the last intent counts, and while nothing is committed: {run:?}"
        );
        let idle = commands.intents - commands.moves - 1;
        assert_eq!(
            commands.per_commit() * commands.moves as f64,
            (3 * commands.moves + idle) as f64,
            "{run:?}"
        );
    }
}

#[test]
fn a_start_takes_over_what_a_run_left_sealed() {
    let recovery = report(&options()).recovery;
    assert_eq!(recovery.iter().map(|start| start.rows).collect::<Vec<_>>(), [1_000, 3_000]);
    assert!(recovery[0].log_bytes < recovery[1].log_bytes, "{recovery:?}");
    assert!(recovery.iter().all(|start| start.open_seconds > 0.0 && start.first_row_seconds.is_some()));
}

#[test]
fn a_report_is_a_table_and_an_object_with_each_bar() {
    let report = report(&options());
    let text = report.to_string();
    let parts = ["write-ahead, +5ms/command", "from row to visible (400 rows)", "per commit", "20 epochs"];
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["rounds"][0]["write_ahead"]["rows"], 3_000);
    assert_eq!(json["by_epochs"][1]["epochs"], 20);
    assert_eq!(json["commands"][0]["rows_per_epoch"], 100);
    let bars: Vec<_> = report.bars.iter().map(|bar| bar.name.as_str()).collect();
    let memory = if cfg!(target_os = "linux") { 3 } else { 2 };
    assert_eq!(bars.len(), 5 + memory, "{bars:?}");
    assert_eq!(report.bars[1].passed, Some(true), "{:?}", report.bars[1]);
}

#[test]
fn options_that_cannot_work_are_named() {
    let wrong =
        |options: AheadOptions| measure_ahead(&options, &Helpers::InProcess, |_| {}).unwrap_err().to_string();
    let few = AheadOptions { rows: 999, ..options() };
    assert_eq!(wrong(few), "rows is 999: it must be at least 1,000 in the write-ahead mode");
    assert_eq!(wrong(AheadOptions { workers: 0, ..options() }), "workers is 0: it must be 1 to 1024");
    let nowhere = AheadOptions { state: Some("/dev/null/place".into()), ..options() };
    assert!(wrong(nowhere).contains("a directory for epoch files in /dev/null/place"));
    let no_epochs = AheadOptions { epochs: vec![10, 0], ..options() };
    assert_eq!(wrong(no_epochs), "epochs is 0: it must be at least 1");
    let helpers = Helpers::Processes { executable: "/bin/true".into(), arguments: Vec::new() };
    let silent = measure_ahead(&options(), &helpers, |_| {}).unwrap_err();
    assert!(matches!(silent, Error::HelperFailed { .. }));
}
