//! Runs that end well, and runs that go on after one that did not.

use crate::support::*;

#[test]
fn every_row_is_there_once_with_one_worker_and_with_four() {
    for workers in [1, 4] {
        let place = Place::new();
        let outcomes = send(&place.ahead(), workers, 1000, 20);
        all_well(&outcomes);
        place.holds(0..1000);
        assert_eq!(outcomes[0].as_ref().unwrap().rows_delivered, 1000);
        assert!(place.sealed_files().is_empty(), "what is committed is unlinked");
        assert_eq!(place.query("kt_epochs | where Kind == 'start' | count")[0][0], 1);
    }
}

#[test]
fn the_next_start_goes_on_at_the_positions_of_the_last_commit_with_other_workers() {
    let place = Place::new();
    for (workers, end) in [(1, 300), (4, 700), (2, 1000)] {
        all_well(&send(&place.ahead(), workers, end, 10));
        place.holds(0..end);
    }
}

#[test]
fn after_a_run_that_vanished_every_row_is_there_once() {
    let place = Place::new();
    for (workers, until) in [(1, 0), (4, 1), (2, 3), (1, 5)] {
        send_and_vanish(&place.ahead(), workers, 6, 5, until);
    }
    let end = 1200;
    all_well(&send(&place.ahead(), 3, end, 50));
    place.holds(0..end);
}
