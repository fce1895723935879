//! The configurations. By default each is explored for about a second; `KT_EXPLORE=deep` goes to 20 million states
//! (10 GB of memory, four minutes), `KT_EXPLORE=<number>` to that many (at least), in each of them. Run with `--nocapture`
//! to see the figures, and with `--test-threads=1` if it is much.

use super::search::Found;
use super::*;

fn cap(default: usize) -> usize {
    match std::env::var("KT_EXPLORE").ok().as_deref() {
        None | Some("") => default,
        Some("deep") => 20_000_000,
        Some(number) => default.max(number.parse().expect("KT_EXPLORE is `deep` or a number of states")),
    }
}

/// Explores and prints; a violation fails with its trace in words.
fn holds(config: Config) -> Found {
    let found = explore(&Config { cap: cap(config.cap), ..config });
    println!("{found}");
    assert!(found.violation.is_none(), "{found}");
    found
}

/// One row in one epoch, and small enough to be exhausted by default.
fn small(name: &'static str) -> Config {
    Config { epochs: 1, offsets: [0, 1], cap: 2_000_000, ..Config::named(name) }
}

#[test]
fn one_row_and_two_starts_are_exhausted() {
    let found = holds(small("one row, two starts"));
    assert!(found.exhausted && found.finished > 0 && found.stopped == 0);
}

#[test]
fn one_row_and_a_lost_answer_are_exhausted() {
    let found = holds(Config { lost_answers: 1, ..small("one row, a lost answer") });
    assert!(found.exhausted && found.finished > 0 && found.stopped == 0);
}

#[test]
fn one_row_and_names_that_are_resolved_late_are_exhausted() {
    let found = holds(Config { late_names: true, ..small("one row, late names") });
    assert!(found.exhausted && found.finished > 0 && found.stopped == 0);
}

#[test]
fn one_row_delivered_twice_staged_again_and_swept() {
    let more = Config {
        duplicates: 1,
        retries: 1,
        sweeps: 1,
        cap: 150_000,
        ..small("one row, twice, again, swept")
    };
    assert!(holds(more).finished > 0);
}

#[test]
fn one_row_and_three_starts_are_exhausted() {
    let found = holds(Config { starts: 3, ..small("one row, three starts") });
    assert!(found.exhausted && found.finished > 0 && found.stopped == 0);
}

#[test]
fn two_starts_lose_two_answers() {
    holds(Config { lost_answers: 2, ..Config::named("two starts, two answers lost") });
}

#[test]
fn two_starts_take_one_epoch_at_a_time() {
    holds(Config {
        lost_answers: 1,
        chunks_per_commit: 1,
        ..Config::named("two starts, an epoch at a time")
    });
}

#[test]
fn two_starts_with_duplicates_retries_and_sweeps() {
    let more = Config {
        lost_answers: 1,
        duplicates: 1,
        retries: 1,
        sweeps: 1,
        ..Config::named("two starts, all faults")
    };
    holds(more);
}

#[test]
fn two_starts_with_rows_that_land_twice() {
    holds(Config { lost_answers: 2, rows_twice: true, ..Config::named("two starts, rows land twice") });
}

#[test]
fn two_starts_where_a_move_with_missing_ids_moves_the_rest() {
    holds(Config {
        lost_answers: 1,
        duplicates: 1,
        partial_moves: true,
        ..Config::named("two starts, partial moves")
    });
}

#[test]
fn two_starts_with_names_that_are_resolved_late() {
    holds(Config { lost_answers: 1, sweeps: 1, late_names: true, ..Config::named("two starts, late names") });
}

#[test]
fn two_starts_and_a_lost_disk() {
    let found = holds(Config { lost_answers: 1, disks: 1, ..Config::named("two starts, a disk lost") });
    assert_eq!(found.stopped, 0, "sources that can replay make up for a lost disk");
}

#[test]
fn two_starts_on_two_sets_of_hosts() {
    holds(Config { lost_answers: 1, hosts: 2, ..Config::named("two starts, two sets of hosts") });
}

#[test]
fn sources_that_cannot_replay_stop_at_a_lost_disk() {
    let found =
        holds(Config { replay: false, disks: 1, cap: 400_000, ..Config::named("no replay, a disk lost") });
    assert!(found.exhausted && found.stopped > 0);
}

#[test]
fn sources_that_cannot_replay_on_two_sets_of_hosts() {
    let named = Config::named("no replay, two sets of hosts");
    let found = holds(Config { replay: false, hosts: 2, disks: 1, cap: 400_000, ..named });
    assert!(found.exhausted && found.stopped > 0);
}

#[test]
fn of_several_first_starts_one_makes_the_tables() {
    let found =
        holds(Config { init: true, lost_answers: 1, cap: 2_000_000, ..small("one row, two first starts") });
    assert!(found.exhausted && found.finished > 0 && found.stopped == 0);
}

#[test]
fn a_run_is_closed_with_an_empty_intent() {
    let found = holds(Config { close: true, ..Config::named("two starts, closed") });
    assert!(found.exhausted && found.finished > 0);
}

#[test]
fn extents_dropped_by_hand_are_ambiguous_and_nothing_else_is() {
    let found = holds(Config { by_hand: 1, cap: 2_000_000, ..small("one row, dropped by hand") });
    assert!(found.exhausted && found.stopped > 0);
}

#[test]
fn what_a_person_has_staged_again_is_there_once() {
    let found = holds(Config {
        by_hand: 1,
        starts: 3,
        cap: 150_000,
        ..small("one row, dropped by hand, three starts")
    });
    assert!(found.stopped > 0);
}

#[test]
fn three_starts() {
    holds(Config { starts: 3, lost_answers: 1, chunks_per_commit: 1, ..Config::named("three starts") });
}

#[test]
fn three_starts_that_sweep() {
    holds(Config { starts: 3, sweeps: 1, duplicates: 1, ..Config::named("three starts, sweep, duplicate") });
}

#[test]
fn three_starts_and_a_lost_disk() {
    holds(Config {
        starts: 3,
        disks: 1,
        replay: false,
        ..Config::named("three starts, a disk lost, no replay")
    });
}

#[test]
fn three_epochs_and_three_rows() {
    holds(Config { epochs: 3, offsets: [2, 1], duplicates: 1, ..Config::named("three epochs, three rows") });
}
