//! Each fault at each kind of request.

use std::time::Duration;

use kusto_emulator::{Endpoint, Fault};

use crate::rig::{BLOBS, Rig};

const SECOND: Option<Duration> = Some(Duration::from_secs(1));

/// Two of each in a row; of those that stall, one.
const FAULTS: [Fault; 14] = [
    Fault::Throttle { retry_after: None },
    Fault::Throttle { retry_after: SECOND },
    Fault::Fail { status: 429, retry_after: None },
    Fault::Fail { status: 503, retry_after: None },
    Fault::Fail { status: 503, retry_after: SECOND },
    Fault::Fail { status: 500, retry_after: None },
    Fault::Refuse,
    Fault::LoseAnswer,
    Fault::FailAfter { status: 500 },
    Fault::Truncate { bytes: 0 },
    Fault::Truncate { bytes: 10 },
    Fault::Garble,
    Fault::Lengthen { bytes: 8 << 20 },
    STALL,
];

/// Longer than any deadline here.
const STALL: Fault = Fault::Delay(Duration::from_secs(3600));

fn times(fault: Fault) -> u64 {
    if fault == STALL { 1 } else { 2 }
}

/// How often it happens: what is repeated meets it again. Answers to commands may be longer than these.
fn happens(endpoint: Endpoint, fault: Fault) -> u64 {
    match fault {
        Fault::Lengthen { .. } if endpoint == Endpoint::Management => 1,
        fault => times(fault),
    }
}

/// Runs a pipeline under each fault: every row arrives, and once.
#[track_caller]
fn every_row_arrives_once(endpoint: Endpoint, operation: &str) {
    for fault in FAULTS {
        let case = format!("{endpoint:?} {operation}: {fault:?}");
        let rig = Rig::new();
        let hits = rig.fault(endpoint, operation, fault, times(fault));
        if let Err(error) = rig.send() {
            panic!("{case}: {error}");
        }
        assert_eq!(hits.count(), happens(endpoint, fault), "{case}");
        rig.has_every_row_once(&case);
    }
}

#[test]
fn sign_in_metadata() {
    every_row_arrives_once(Endpoint::Metadata, "Metadata");
}

#[test]
fn sign_in() {
    every_row_arrives_once(Endpoint::SignIn, "Token");
}

#[test]
fn the_first_look_at_the_table() {
    every_row_arrives_once(Endpoint::Management, ".show table");
}

#[test]
fn ingestion_resources() {
    every_row_arrives_once(Endpoint::Management, ".get ingestion resources");
}

#[test]
fn the_identity_token() {
    every_row_arrives_once(Endpoint::Management, ".get kusto identity token");
}

#[test]
fn the_blob() {
    every_row_arrives_once(Endpoint::Blob, "PutBlob");
}

#[test]
fn the_status_row_written() {
    every_row_arrives_once(Endpoint::Table, "InsertEntity");
}

#[test]
fn the_status_row_read() {
    every_row_arrives_once(Endpoint::Table, "GetEntity");
}

/// Messages of one blob meet in one batch, as in the service, whose batches take minutes: here they wait until all that
/// will come have come.
#[test]
fn the_message() {
    for fault in FAULTS {
        let case = format!("PutMessage: {fault:?}");
        let (rig, clock) = Rig::by_hand();
        let hits = rig.fault(Endpoint::Queue, "PutMessage", fault, times(fault));
        let expected = BLOBS + if has_effect(fault) { times(fault) } else { 0 };
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| rig.send());
            while rig.handle.statistics().messages < expected && !sender.is_finished() {
                std::thread::yield_now();
            }
            while !sender.is_finished() {
                clock.advance(Duration::from_secs(1));
                rig.handle.settle_blocking();
            }
            if let Err(error) = sender.join().unwrap() {
                panic!("{case}: {error}");
            }
        });
        assert_eq!(hits.count(), times(fault), "{case}");
        rig.has_every_row_once(&case);
        clock.advance(Duration::from_secs(7200)); // also when a request that stalled goes on at last
        rig.handle.settle_blocking();
        rig.has_every_row_once(&case);
    }
}

fn has_effect(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::LoseAnswer | Fault::FailAfter { .. } | Fault::Truncate { .. } | Fault::Lengthen { .. }
    )
}
