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
fn what_the_sink_says_of_itself_is_what_its_clocks_say() {
    let place = Place::new();
    let ahead = place.ahead();
    assert_eq!(ahead.state().start, None, "it is not open");
    let watched = ahead.clone();
    let outcomes = on_workers(2, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        for _ in 0..5 {
            run.feed(u64::MAX, 3);
        }
        let last = run.epoch;
        run.step_until(worker, |run| !run.committed.less_than(&last));
        let state = run.handle.state();
        let bounds = [state.committed_below, state.staged_below, state.sealed_below];
        assert!(bounds.is_sorted() && state.committed_below >= Some(last), "{last}: {state:?}");
        run.finish(worker)
    });
    all_well(&outcomes);
    let state = watched.state();
    assert_eq!((state.start, state.staging_chunks, state.limits.open_epochs.0), (Some(1), 0, 0), "{state:?}");
    assert_eq!(state.committed_below, state.sealed_below);
    assert!(state.commits > 0 && state.last_commit_extents <= state.committed_extents, "{state:?}");
    let extents = place.query(&format!("{TABLE} | summarize by Extent = extent_id() | count"));
    assert_eq!(extents[0][0], state.committed_extents);
    assert_eq!((state.limits.paused_by, state.limits.uploads.0), (None, 0));
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
