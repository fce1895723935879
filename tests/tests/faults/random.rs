//! A bad day: a tenth of all requests fails, before or after its effect, at random.

use std::time::Duration;

use kusto_emulator::seed::Seed;
use kusto_emulator::{Endpoint, Fault, FaultRule};

use crate::rig::{ROWS, Rig, options, rows, send};

#[test]
fn a_tenth_of_all_requests_fails_and_every_row_arrives() {
    let replay = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = replay.unwrap_or_else(rand::random::<u64>);
    println!("SEED={seed} repeats this run");
    // Time enough that a message which is posted again meets the first one in its batch.
    let rig = Rig::with(|builder| builder.batching_time(Duration::from_secs(2)).seed(Seed::new(seed)));
    let faults = [
        Fault::Throttle { retry_after: None },
        Fault::Fail { status: 500, retry_after: None },
        Fault::Refuse,
        Fault::LoseAnswer,
        Fault::FailAfter { status: 503 },
    ];
    let places = [
        Endpoint::Metadata,
        Endpoint::SignIn,
        Endpoint::Management,
        Endpoint::Blob,
        Endpoint::Queue,
        Endpoint::Table,
    ];
    let rule = |(endpoint, fault)| FaultRule::new(endpoint, fault).probability(0.02);
    let rules = places.into_iter().flat_map(|place| faults.map(|fault| (place, fault)));
    let hits: Vec<_> = rules.map(|rule_of| rig.handle.add_fault(rule(rule_of))).collect();
    let sink = send(&rig.connection(), options().batch_rows(2), rows(0..ROWS)).unwrap();
    let table = rig.table();
    assert_eq!(table.len() as u64, ROWS, "SEED={seed}: {table:?}");
    let failed: u64 = hits.iter().map(kusto_emulator::FaultHits::count).sum();
    let told: u64 = sink.retry_causes().iter().map(|cause| cause.retries).sum();
    println!("{failed} requests failed; {told} attempts followed: {:#?}", sink.retry_causes());
    assert_eq!(told, sink.stats().retries, "the causes add up");
}
