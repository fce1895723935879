//! Blobs that are sent in blocks: the faults between and at the blocks.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kusto_emulator::clock::ManualClock;
use kusto_emulator::{Endpoint, Fault};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use timely_kusto::WriteOptionsBuilder;

use crate::rig::{Rig, Row, options, send};

/// Rows of so many bytes each that compression does not make small.
const LONG: usize = 600 << 10;
const LONG_ROWS: u64 = 60;

const DAY: Duration = Duration::from_secs(86_400);

fn long_rows() -> Vec<Row> {
    let mut chance = StdRng::seed_from_u64(7);
    let mut bytes = vec![0; LONG];
    let row = |id| {
        chance.fill_bytes(&mut bytes);
        Row { id, text: STANDARD.encode(&bytes) }
    };
    (0..LONG_ROWS).map(row).collect()
}

fn one_blob() -> WriteOptionsBuilder {
    options().batch_rows(LONG_ROWS).batch_bytes(128 << 20).memory(512 << 20)
}

#[track_caller]
fn arrives_once(rig: &Rig, case: &str) {
    let table = rig.table();
    assert_eq!(table.len() as u64, LONG_ROWS, "{case}");
    assert!(table.values().all(|count| *count == 1), "{case}: {table:?}");
}

#[test]
fn a_fault_at_a_block_or_at_the_list_of_blocks_is_passed_over() {
    let rows = long_rows();
    for (operation, fault) in [
        ("PutBlock", Fault::Refuse),
        ("PutBlock", Fault::LoseAnswer),
        ("PutBlock", Fault::Garble),
        ("PutBlockList", Fault::LoseAnswer),
        ("PutBlockList", Fault::FailAfter { status: 500 }),
        ("PutBlockList", Fault::Garble),
    ] {
        let case = format!("{operation}: {fault:?}");
        let rig = Rig::new();
        let hits = rig.fault(Endpoint::Blob, operation, fault, 1);
        if let Err(error) = send(&rig.connection(), one_blob(), rows.clone()) {
            panic!("{case}: {error}");
        }
        assert_eq!(hits.count(), 1, "{case}");
        assert!(rig.requests(Endpoint::Blob, "PutBlock") > 4, "{case}: it went in blocks");
        arrives_once(&rig, &case);
    }
}

/// The second block waits on the cluster's clock until the signature has expired.
#[test]
fn a_signature_that_expires_between_two_blocks_is_replaced_and_the_blob_is_sent_again() {
    let clock = ManualClock::default();
    let own = clock.clone();
    let rig = Rig::with(|builder| {
        builder.clock(own).batching_time(Duration::from_secs(1)).sas_lifetime(DAY).token_lifetime(DAY * 9)
    });
    let late = kusto_emulator::FaultRule::new(Endpoint::Blob, Fault::Delay(DAY * 2));
    let hits = rig.handle.add_fault(late.operation("PutBlock").skip(1).times(1));
    let connection = rig.unsigned().storage_timeout(Duration::from_secs(60));
    let connection =
        connection.application(crate::rig::APP, crate::rig::KEY, crate::rig::TENANT).build().unwrap();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(&connection, one_blob(), long_rows()).map(drop));
        while hits.count() == 0 && !sender.is_finished() {
            std::thread::yield_now();
        }
        clock.advance(DAY * 2);
        rig.pump(&clock, &sender);
        sender.join().unwrap().unwrap();
    });
    assert_eq!(hits.count(), 1);
    assert_eq!(rig.requests(Endpoint::Management, ".get ingestion resources"), 2);
    arrives_once(&rig, "expired between two blocks");
}
