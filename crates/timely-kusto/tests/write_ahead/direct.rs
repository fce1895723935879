//! Staging by `.ingest into`: no queue message, and the same promise whatever goes wrong with the command.

use std::time::Duration;

use kusto_emulator::{Endpoint, Fault, FaultRule};
use timely_kusto::{Deadlines, Staging, WriteAhead};

use crate::support::*;

const ROWS: u64 = 200;

fn direct(place: &Place) -> WriteAhead {
    let soon = Deadlines { whole: Duration::from_millis(300), ..Deadlines::default() };
    place.ahead_with(write(), |options| options.staging(Staging::Direct).deadlines(soon))
}

fn messages(place: &Place) -> usize {
    place.handle().requests().iter().filter(|it| it.operation == "PutMessage").count()
}

#[test]
fn chunks_are_pulled_by_commands_and_nothing_is_queued() {
    let place = Place::new();
    all_well(&send(&direct(&place), 2, ROWS, 15));
    place.holds(0..ROWS);
    let commands = place.handle().requests().into_iter();
    assert!(commands.filter(|it| it.operation.starts_with(".ingest into table kt_stage_")).count() > 0);
    assert_eq!(messages(&place), 0);
    // What one way left, the other one finishes.
    send_and_vanish(&direct(&place), 2, 4, 5, 1);
    all_well(&send(&place.ahead(), 1, 2 * ROWS, 50));
    place.holds(0..2 * ROWS);
}

#[test]
fn whatever_becomes_of_the_command_no_row_is_lost_or_repeated() {
    let faults = [
        Fault::LoseAnswer,
        Fault::FailAfter { status: 500 },
        Fault::Fail { status: 503, retry_after: None },
        Fault::Throttle { retry_after: None },
        Fault::Garble,
        Fault::Truncate { bytes: 20 },
        Fault::Merge,
        Fault::Half { status: 500 },
        Fault::Refuse,
    ];
    for fault in faults {
        let place = Place::new();
        let rule = FaultRule::new(Endpoint::Management, fault).operation(".ingest into").times(3);
        let hits = place.handle().add_fault(rule);
        all_well(&send(&direct(&place), 2, ROWS, 15));
        place.holds(0..ROWS);
        assert!(hits.count() > 0, "{fault:?}");
        assert_eq!(messages(&place), 0, "{fault:?}");
    }
}

#[test]
fn a_start_that_lost_its_staging_table_ends_as_fenced_and_not_with_the_refusal_of_the_command() {
    let place = Place::new();
    let (first, handle) = (direct(&place), place.handle());
    let elsewhere = tempfile::TempDir::new().unwrap();
    let second = place.ahead_elsewhere(&elsewhere);
    let outcome = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &first)?;
        let second = second.clone();
        std::thread::spawn(move || all_well(&send(&second, 1, ROWS, 50))).join().unwrap();
        handle.forget_requests();
        run.feed(u64::MAX, 5);
        run.finish(worker)
    });
    let error = outcome.into_iter().next().unwrap().unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    place.holds(0..ROWS);
}

#[test]
fn a_chunk_that_the_service_refuses_for_good_is_named_without_the_signature_of_its_blob() {
    let place = Place::new();
    let refused = Fault::Fail { status: 400, retry_after: None };
    place.handle().add_fault(FaultRule::new(Endpoint::Management, refused).operation(".ingest into"));
    let error = send(&direct(&place), 1, ROWS, 50).remove(0).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("staging kt:") && !text.contains("sig="), "{text}");
    assert!(place.ids().is_empty());
}
