//! What a run says about attempts that it repeats: bounded, one line per cause, and counted in the report.

use std::time::Duration;

use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule};
use serde_json::Value;
use timely_kusto_tests::{Config, Outcome, Place};

fn cluster() -> Emulator {
    Emulator::builder().database("Samples").batching_time(Duration::from_millis(5)).start().unwrap()
}

/// Forty blobs of five rows.
fn config(emulator: &Emulator) -> Config {
    let config = Config::new(emulator.cluster_url()).storms(200).sink("batch_rows = 5");
    config.sink("retry_backoff = \"1ms\"").sink("retry_max_backoff = \"20ms\"")
}

fn busy() -> Fault {
    Fault::Throttle { retry_after: None }
}

fn lines<'a>(outcome: &'a Outcome, text: &str) -> Vec<&'a str> {
    outcome.stderr.lines().filter(|line| line.contains(text)).collect()
}

#[test]
fn many_attempts_for_one_cause_are_one_line_in_the_log_and_one_count_in_the_report() {
    let (place, emulator) = (Place::new(), cluster());
    let blobs = FaultRule::new(Endpoint::Blob, busy()).operation("PutBlob").times(30);
    let looks = FaultRule::new(Endpoint::Table, Fault::Fail { status: 500, retry_after: None });
    let blobs = emulator.handle().add_fault(blobs);
    let looks = emulator.handle().add_fault(looks.operation("GetEntity").times(7));
    let outcome = place.run(&config(&emulator), &[]).expect(0);
    assert_eq!((blobs.count(), looks.count()), (30, 7));
    assert_eq!(outcome.number("rows_delivered"), 200);
    assert_eq!(outcome.number("retries"), 37);
    let causes = outcome.json()["retry_causes"].clone();
    let cause = |operation: &str| -> Value {
        let all = causes.as_array().unwrap();
        all.iter().find(|cause| cause["operation"] == operation).cloned().unwrap_or_default()
    };
    assert_eq!(cause("upload")["retries"], 30, "{causes}");
    assert_eq!(cause("upload")["cause"], "Service, HTTP 503, ServerBusy", "{causes}");
    assert_eq!(cause("status")["retries"], 7, "{causes}");
    assert_eq!(lines(&outcome, "ServerBusy").len(), 1, "{}", outcome.stderr);
    assert_eq!(lines(&outcome, "InternalError").len(), 1, "{}", outcome.stderr);
    assert!(lines(&outcome, "will be tried again").len() == 2, "{}", outcome.stderr);
}

#[test]
fn the_write_ahead_mode_reports_causes_of_what_it_asks_the_cluster_too() {
    let (place, emulator) = (Place::new(), cluster());
    emulator.handle().add_fault(FaultRule::new(Endpoint::Blob, busy()).operation("PutBlob").times(3));
    let moves = FaultRule::new(Endpoint::Management, busy()).operation(".move extents").times(2);
    emulator.handle().add_fault(moves);
    let report = place.run(&config(&emulator).sink("mode = \"write-ahead\""), &[]).expect(0).json();
    let retries = |operation: &str| -> u64 {
        let causes = report["retry_causes"].as_array().unwrap().iter();
        causes.filter(|it| it["operation"] == operation).map(|it| it["retries"].as_u64().unwrap()).sum()
    };
    assert_eq!(retries("upload"), 3, "{report}");
    assert_eq!(retries("moving extents"), 2, "{report}");
}

#[test]
fn the_report_for_people_names_the_causes() {
    let (place, emulator) = (Place::new(), cluster());
    emulator.handle().add_fault(FaultRule::new(Endpoint::Blob, busy()).operation("PutBlob").times(3));
    let config = place.write_config(&config(&emulator));
    let outcome = place.command(&["run", config.to_str().unwrap()]).expect(0);
    assert!(outcome.stdout.contains("3 attempts repeated"), "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("repeated 3: upload: Service, HTTP 503, ServerBusy"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_service_that_stays_down_ends_the_run_after_the_bounds_and_the_error_says_how_long_it_tried() {
    let (place, emulator) = (Place::new(), cluster());
    emulator.handle().add_fault(FaultRule::new(Endpoint::Blob, busy()));
    let by_count = config(&emulator).sink("retry_attempts = 6");
    let outcome = place.run(&by_count, &[]);
    outcome.refused(1, &["are not delivered after 6 attempts in ", "ServerBusy"]);
    assert_eq!(lines(&outcome, "will be tried again").len(), 1, "{}", outcome.stderr);
    let by_time = config(&emulator).state("by-time").sink("retry_timeout = \"300ms\"");
    let by_time = by_time.sink("retry_attempts = 1000");
    place.run(&by_time, &[]).refused(1, &["are not delivered after ", "ServerBusy"]);
    assert_eq!(emulator.handle().query("Samples", "T | count").unwrap()[0][0], 0);
}

#[test]
fn a_wait_that_the_service_asks_for_is_kept_before_the_next_attempt() {
    let (place, emulator) = (Place::new(), cluster());
    let wait = Duration::from_secs(2);
    let rule = FaultRule::new(Endpoint::Blob, Fault::Throttle { retry_after: Some(wait) });
    emulator.handle().add_fault(rule.operation("PutBlob").times(1));
    let one_blob = config(&emulator).storms(5);
    place.run(&one_blob, &[]).expect(0);
    let puts: Vec<_> =
        emulator.handle().requests().into_iter().filter(|it| it.operation == "PutBlob").collect();
    assert_eq!(puts.len(), 2);
    let waited = Duration::try_from(puts[1].at.duration_since(puts[0].at)).unwrap();
    assert!(waited >= wait, "{waited:?}");
}

#[test]
fn a_moments_trouble_at_the_start_is_passed_over_and_a_wrong_address_is_not_waited_for() {
    let (place, emulator) = (Place::new(), cluster());
    let rule = FaultRule::new(Endpoint::Management, Fault::Fail { status: 503, retry_after: None });
    let hits = emulator.handle().add_fault(rule.operation(".show table").times(2));
    place.run(&config(&emulator), &[]).expect(0);
    assert_eq!(hits.count(), 2);
    let config = config(&emulator);
    drop(emulator);
    let outcome = place.run(&config.state("gone"), &[]);
    outcome.refused(1, &["no connection to 127.0.0.1"]);
    assert!(lines(&outcome, "will be tried again").is_empty(), "{}", outcome.stderr);
}
