//! What clocks say, and when rows are visible.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use kusto_emulator::{Endpoint, Fault, FaultRule, HoldPoint};

use crate::support::*;

#[test]
fn the_clocks_are_in_their_order_at_all_times() {
    let place = Place::new();
    let ahead = place.ahead();
    let outcomes = on_workers(2, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        let in_order = |run: &Run| {
            // Read from the last clock to the first: each may only have moved on meanwhile.
            let at = |probe: &timely::dataflow::operators::probe::Handle<u64>| {
                probe.with_frontier(|frontier| frontier.first().copied().unwrap_or(u64::MAX))
            };
            let (committed, staged, durable) = (at(&run.committed), at(&run.staged), at(&run.durable));
            assert!(committed <= staged && staged <= durable, "{committed} {staged} {durable}");
            assert!(durable <= run.epoch, "durable {durable}, input {}", run.epoch);
        };
        for _ in 0..30 {
            run.feed(u64::MAX, 3);
            for _ in 0..5 {
                worker.step();
                in_order(&run);
            }
        }
        let last = run.epoch;
        run.step_until(worker, |run| {
            in_order(run);
            !run.committed.less_than(&last)
        });
        run.finish(worker)
    });
    all_well(&outcomes);
    place.holds(0..30 * 3 * PARTITIONS);
}

#[test]
fn rows_of_an_epoch_become_visible_at_once_and_the_log_does_not_wait_for_commits() {
    let place = Place::new();
    let handle = place.handle();
    handle.add_fault(
        FaultRule::new(Endpoint::Management, Fault::Hold(HoldPoint::Resolved))
            .operation(".move extents")
            .times(1),
    );
    let (ahead, seen) = (place.ahead(), Arc::new(AtomicU64::new(0)));
    let (counted, cluster) = (Arc::clone(&seen), handle.clone());
    let outcomes = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        for _ in 0..4 {
            run.feed(u64::MAX, 2);
        }
        let last = run.epoch;
        // The move of the first commit is held: everything is logged and staged all the same, nothing is visible.
        run.step_until(worker, |run| !run.staged.less_than(&last) && !cluster.held().is_empty());
        assert!(run.committed.less_than(&last) && !run.durable.less_than(&last));
        let count = cluster.query(DATABASE, &format!("{TABLE} | count")).unwrap();
        counted.store(count[0][0].as_u64().unwrap(), SeqCst);
        cluster.release_all();
        run.finish(worker)
    });
    all_well(&outcomes);
    assert_eq!(seen.load(SeqCst), 0, "rows were visible before their move");
    place.holds(0..4 * 2 * PARTITIONS);
}

#[test]
fn the_commands_of_a_commit_do_not_grow_with_its_rows() {
    let commands = |rows: u64| {
        let place = Place::new();
        let ahead = place.ahead();
        let handle = place.handle();
        let outcomes = on_workers(1, move |worker| {
            let mut run = Run::open(worker, &ahead)?;
            handle.forget_requests();
            run.feed(rows, rows);
            let last = run.epoch;
            run.step_until(worker, |run| !run.committed.less_than(&last));
            let asked = handle.requests().into_iter();
            let texts: Vec<_> = asked
                .filter(|request| request.endpoint == Endpoint::Management)
                .map(|request| request.operation)
                .collect();
            let count = |prefix: &str| texts.iter().filter(|text| text.starts_with(prefix)).count();
            let commands = [count(".append"), count(".move"), count(".show table kt_stage")];
            run.finish(worker).map(|_| commands)
        });
        place.holds(0..rows);
        outcomes.into_iter().next().unwrap().unwrap()
    };
    for rows in [10, 20_000] {
        let [appends, moves, listings] = commands(rows);
        assert_eq!((appends, moves), (1, 1), "{rows} rows");
        // That of the sweep after the start may come in between.
        assert!((1..=2).contains(&listings), "{rows} rows, {listings} listings");
    }
}
