//! Sources that cannot replay: acknowledged behind the durable clock, they lose nothing.

use std::collections::BTreeMap;

use kusto_emulator::{Endpoint, Fault, FaultRule};
use timely_kusto::WriteAhead;

use crate::support::*;

fn cannot_replay(place: &Place) -> WriteAhead {
    place.ahead_with(write(), |options| options.sources_replay(false))
}

#[test]
fn what_was_acknowledged_behind_the_durable_clock_is_taken_over_by_the_next_start() {
    let place = Place::new();
    let away = Fault::Fail { status: 503, retry_after: None };
    place.handle().add_fault(FaultRule::new(Endpoint::Blob, away).operation("PutBlob"));
    let ahead = cannot_replay(&place);
    let acknowledged: Vec<BTreeMap<u64, u64>> = on_workers(2, move |worker| {
        let mut run = Run::open(worker, &ahead).unwrap();
        for _ in 0..3 {
            run.feed(u64::MAX, 5);
        }
        let last = run.epoch;
        // What one worker sees is what all have sealed: the other one's rows may be acknowledged, too.
        run.step_until(worker, |run| !run.durable.less_than(&last));
        assert!(run.committed.less_than(&last), "nothing can be committed");
        let acknowledged = run.next.clone();
        worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
        acknowledged
    });
    place.handle().clear_faults();
    let acknowledged: BTreeMap<u64, u64> = acknowledged.into_iter().flatten().collect();
    let (ahead, gone_from_the_source) = (cannot_replay(&place), acknowledged.clone());
    let outcomes = on_workers(1, move |worker| {
        let run = Run::open(worker, &ahead)?;
        assert_eq!(run.next, gone_from_the_source, "nothing that was acknowledged is asked for again");
        run.finish(worker)
    });
    all_well(&outcomes);
    assert!(acknowledged.values().all(|next| *next >= 15 * PARTITIONS));
    place.holds(0..15 * PARTITIONS);
}
