//! What the service can make of a message.

use std::time::Duration;

use kusto_emulator::{Endpoint, Fault};
use timely_kusto::SinkError;

use crate::rig::{DATABASE, ROWS, Rig, options, rows, says, send};

#[test]
fn an_ingestion_that_fails_in_a_way_that_passes_is_waited_for_while_the_service_tries_again() {
    for status in [500, 504, 429] {
        let rig = Rig::new();
        let fault = Fault::Fail { status, retry_after: Some(Duration::ZERO) };
        let hits = rig.fault(Endpoint::Ingestion, "Ingest", fault, 2);
        rig.send().unwrap();
        assert_eq!(hits.count(), 2);
        rig.has_every_row_once(&format!("{status}"));
    }
}

#[test]
fn an_ingestion_that_fails_for_good_ends_the_run_with_the_services_words_and_is_not_sent_again() {
    let rig = Rig::new();
    let hits = rig.fault(Endpoint::Ingestion, "Ingest", Fault::Fail { status: 400, retry_after: None }, 1);
    let error = rig.send().unwrap_err();
    let texts =
        ["rows were not ingested into Samples.T", "BadRequest_InvalidBlob", ".show ingestion failures"];
    says(&error, &texts);
    assert_eq!(hits.count(), 1);
    assert!(rig.table().values().all(|count| *count == 1), "{:?}", rig.table());
}

#[test]
fn an_ingestion_that_fails_in_part_ends_the_run_and_repeats_nothing() {
    let rig = Rig::new();
    let hits = rig.fault(Endpoint::Ingestion, "Ingest", Fault::Half { status: 400 }, u64::MAX);
    let error = rig.send().unwrap_err();
    says(&error, &["rows were not ingested into Samples.T", "BadRequest_InvalidBlob"]);
    assert!(hits.count() >= 1);
    let table = rig.table();
    assert!(!table.is_empty() && table.len() < ROWS as usize, "{table:?}");
    assert!(table.values().all(|count| *count == 1), "{table:?}");
}

#[test]
fn a_table_that_is_dropped_under_way_is_named() {
    let rig = Rig::new();
    let sink = rig.send().unwrap();
    rig.handle.command(DATABASE, ".drop table T").unwrap();
    let error = crate::rig::send_more(&sink, rows(0..ROWS)).unwrap_err();
    says(&error, &["Samples.T", "BadRequest_TableNotExist", "create it again, or mend `table`"]);
}

#[test]
fn a_message_that_is_lost_ends_with_an_error_that_says_the_outcome_is_unknown() {
    let rig = Rig::new();
    let hits = rig.fault(Endpoint::Queue, "PutMessage", Fault::LoseMessage, 1);
    let impatient = options().poll_timeout(Duration::from_millis(500));
    let error = send(&rig.connection(), impatient, rows(0..ROWS)).map(drop).unwrap_err();
    let texts = [
        "rows for Samples.T are queued",
        "they may still arrive",
        "source id",
        ".show table T policy ingestionbatching",
        "raise `poll_timeout`",
    ];
    says(&error, &texts);
    assert!(matches!(&*error, SinkError::Unconfirmed { rows: 50, .. }), "{error}");
    assert_eq!(hits.count(), 1);
}

#[test]
fn a_message_that_comes_twice_in_a_batch_brings_its_rows_once() {
    let twice = Fault::RepeatMessage { copies: 1, apart: Duration::ZERO };
    let (rig, clock) = Rig::by_hand();
    let hits = rig.fault(Endpoint::Queue, "PutMessage", twice, u64::MAX);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| rig.send().map(drop));
        while rig.handle.statistics().messages < 4 && !sender.is_finished() {
            std::thread::yield_now();
        }
        rig.pump(&clock, &sender);
        sender.join().unwrap().unwrap();
    });
    assert_eq!(hits.count(), 2);
    rig.has_every_row_once("twice in a batch");
}

#[test]
fn a_message_that_comes_again_an_hour_later_finds_no_blob_and_brings_no_row() {
    let (rig, clock) = Rig::by_hand();
    let hour = Duration::from_secs(3600);
    let hits = rig.fault(Endpoint::Queue, "PutMessage", Fault::RepeatMessage { copies: 1, apart: hour }, 2);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| rig.send().map(drop));
        rig.pump(&clock, &sender);
        sender.join().unwrap().unwrap();
    });
    assert_eq!(hits.count(), 2);
    clock.advance(hour * 2);
    rig.handle.settle_blocking();
    clock.advance(hour);
    rig.handle.settle_blocking();
    assert_eq!(rig.handle.statistics().failed, 2, "both came again");
    rig.has_every_row_once("an hour later");
}

#[test]
fn a_status_row_that_is_missing_ends_with_an_error_that_says_the_rows_may_be_there() {
    let rig = Rig::new();
    let gone = Fault::Fail { status: 404, retry_after: None };
    let hits = rig.fault(Endpoint::Table, "GetEntity", gone, u64::MAX);
    let error = rig.send().unwrap_err();
    let texts = [
        "rows for Samples.T are queued, and what became of them cannot be read",
        "after 5 attempts",
        "or be there already",
        "ResourceNotFound",
        "count the rows before you start again",
    ];
    says(&error, &texts);
    assert!(hits.count() <= 10, "{}", hits.count());
}
