//! Starts: two at once, zombies, rights, and what needs a person.

use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use kusto_client::ConnectionOptions;
use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule, Grant, HoldPoint, ResolvedNames};
use tempfile::TempDir;
use timely_kusto::{Deadlines, WriteAhead, WriteAheadOptions};

use crate::support::*;

/// The exit code that a failed run has.
#[track_caller]
fn code(outcome: &Outcome) -> u8 {
    outcome.as_ref().err().unwrap_or_else(|| panic!("it ended well")).exit_code()
}

#[test]
fn the_later_of_two_starts_runs_and_the_other_ends_as_fenced() {
    let place = Place::new();
    let (first, elsewhere) = (place.ahead(), TempDir::new().unwrap());
    let zombie = thread::spawn(move || {
        on_workers(2, move |worker| {
            let mut run = Run::open(worker, &first).unwrap();
            while run.handle.error().is_none() {
                run.feed(u64::MAX, 1);
                worker.step_or_park(Some(std::time::Duration::from_millis(5)));
            }
            run.finish(worker)
        })
    });
    while place.ids().is_empty() {
        thread::yield_now();
    }
    let second = place.ahead_elsewhere(&elsewhere);
    let outcomes = send(&second, 1, 900, 300);
    all_well(&outcomes);
    let fenced = zombie.join().unwrap();
    assert!(fenced.iter().all(|outcome| code(outcome) == 3), "{fenced:?}");
    let text = fenced[0].as_ref().unwrap_err().to_string();
    assert!(text.contains("fenced by start 2-"), "{text}");
    let found = place.ids();
    place.holds(0..found.len() as u64);
}

/// A request of a run is held at a point of its way, while another start takes over; then it goes on.
fn zombie(command: &str, point: HoldPoint, names: ResolvedNames, late: bool) {
    // Without patience, too: a refusal is then final at once, and the names say that it is a zombie's.
    for refused in [Deadlines::default().refused, Duration::ZERO] {
        zombie_with(Deadlines { refused, ..Deadlines::default() }, command, point, names, late);
    }
}

fn zombie_with(deadlines: Deadlines, command: &str, point: HoldPoint, names: ResolvedNames, late: bool) {
    let place = Place::new();
    let handle = place.handle();
    let mut doubts = handle.assumptions();
    doubts.resolved_names = names;
    handle.assume(doubts);
    all_well(&send(&place.ahead(), 1, 60, 20));
    handle.add_fault(FaultRule::new(Endpoint::Management, Fault::Hold(point)).operation(command).times(1));
    let first = place.ahead_with(write(), |options| options.deadlines(deadlines));
    let old = thread::spawn(move || send(&first, 1, 300, 100));
    block_on(handle.until_held(1));
    if !late {
        handle.release_all();
    }
    let elsewhere = TempDir::new().unwrap();
    all_well(&send(&place.ahead_elsewhere(&elsewhere), 2, 600, 60));
    handle.release_all();
    let old = old.join().unwrap();
    if late {
        assert_eq!(code(&old[0]), 3, "{command}: {old:?}");
    }
    handle.settle_blocking();
    place.holds(0..600);
}

#[test]
fn a_move_of_an_older_start_that_comes_late_repeats_nothing() {
    for names in [ResolvedNames::FollowTheTable, ResolvedNames::CheckedAgain] {
        for point in [HoldPoint::Resolved, HoldPoint::Commit] {
            zombie(".move extents", point, names, true);
        }
    }
}

#[test]
fn an_intent_of_an_older_start_that_lands_late_is_void() {
    for point in [HoldPoint::Resolved, HoldPoint::Commit] {
        zombie(".append", point, ResolvedNames::FollowTheTable, true);
    }
}

/// If a rename may take effect after its name was resolved and the table has got another name since, two starts share a
/// generation. Whoever came late sees the other's rows and stops; the next start takes a generation of its own.
#[test]
fn a_rename_that_comes_late_stops_its_start_and_the_next_one_goes_on() {
    let place = Place::new();
    let handle = place.handle();
    all_well(&send(&place.ahead(), 1, 60, 20));
    let held = Fault::Hold(HoldPoint::Resolved);
    handle.add_fault(FaultRule::new(Endpoint::Management, held).operation(".rename").times(1));
    let first = place.ahead();
    let old = thread::spawn(move || send(&first, 1, 300, 100));
    block_on(handle.until_held(1));
    let elsewhere = TempDir::new().unwrap();
    all_well(&send(&place.ahead_elsewhere(&elsewhere), 2, 300, 60));
    handle.release_all();
    let old = old.join().unwrap();
    assert_eq!(code(&old[0]), 1, "a supervisor may start it again: {old:?}");
    let text = old[0].as_ref().unwrap_err().to_string();
    assert!(text.contains("whose rename took effect late"), "{text}");
    place.holds(0..300);
    let state = TempDir::new().unwrap();
    all_well(&send(&place.ahead_elsewhere(&state), 2, 400, 60));
    place.holds(0..400);
}

#[test]
fn of_several_first_starts_every_row_is_there_once_in_the_end() {
    let place = Place::new();
    let starts: Vec<_> = (0..3)
        .map(|_| {
            let state = TempDir::new().unwrap();
            let ahead = place.ahead_elsewhere(&state);
            thread::spawn(move || (send(&ahead, 1, 200, 40), state))
        })
        .collect();
    for start in starts {
        let (outcomes, _) = start.join().unwrap();
        assert!(outcomes[0].is_ok() || code(&outcomes[0]) == 3, "{outcomes:?}");
    }
    let state = TempDir::new().unwrap();
    all_well(&send(&place.ahead_elsewhere(&state), 1, 200, 40));
    place.holds(0..200);
}

#[test]
fn a_principal_without_table_admin_gets_the_role_and_the_command_before_anything_is_done() {
    let emulator =
        Emulator::builder().database(DATABASE).sign_in(true).tenant("contoso.example").start().unwrap();
    let handle = emulator.handle().clone();
    handle.command(DATABASE, &format!(".create table {TABLE} (text:string, id:long)")).unwrap();
    let grants = [Grant::database(DATABASE, "users"), Grant::table(DATABASE, TABLE, "ingestors")];
    let principal = handle.add_app("app", "key", &grants).unwrap();
    let connection = ConnectionOptions::builder()
        .cluster_url(emulator.cluster_url())
        .application("app", "key", "contoso.example")
        .build()
        .unwrap();
    let state = TempDir::new().unwrap();
    let ahead = |name: &str| {
        let options = WriteAheadOptions::new(name, state.path());
        WriteAhead::connect(&connection, &write().build().unwrap(), options).unwrap()
    };
    let outcome = send(&ahead("numbers"), 2, 10, 10).remove(0);
    assert_eq!(code(&outcome), 2);
    let text = outcome.unwrap_err().to_string();
    assert!(text.contains("Table Admin"), "{text}");
    assert!(text.contains(&format!(".add table {TABLE} admins ('{principal}')")), "{text}");
    assert!(handle.query(DATABASE, "kt_epochs | count").is_err(), "nothing was made");
    handle.grant(&principal, &[Grant::table(DATABASE, TABLE, "admins")]).unwrap();
    all_well(&send(&ahead("numbers"), 2, 10, 10));
    assert_eq!(handle.query(DATABASE, &format!("{TABLE} | count")).unwrap()[0][0], 10);
}

#[test]
fn the_first_tables_can_be_made_before_the_first_run_and_are_made_once() {
    let place = Place::new();
    let first = place.ahead().init().unwrap();
    assert!(first.made && first.staging_table.starts_with("kt_stage_"));
    let again = place.ahead().init().unwrap();
    assert_eq!((again.made, again.staging_table), (false, first.staging_table.clone()));
    let policies = place.command(&format!(".show table {} policy merge", first.staging_table));
    assert!(policies[0][2].as_str().unwrap().contains("\"AllowMerge\":false"), "{policies:?}");
    all_well(&send(&place.ahead(), 1, 60, 20));
    place.holds(0..60);
}

#[test]
fn extents_that_somebody_dropped_are_reported_as_ambiguous_and_nothing_goes_on() {
    let place = Place::new();
    let handle = place.handle();
    handle.add_fault(
        FaultRule::new(Endpoint::Management, Fault::Hold(HoldPoint::Resolved))
            .operation(".move extents")
            .times(1),
    );
    let first = place.ahead();
    let old = thread::spawn(move || send(&first, 1, 30, 30));
    block_on(handle.until_held(1));
    let staging = place.query("kt_epochs | where Kind == 'claim' | project strcat('kt_stage_', Lineage, '_', tostring(Generation), '_', Nonce)");
    place.command(&format!(".clear table {} data", staging[0][0].as_str().unwrap()));
    handle.release_all();
    let old = old.join().unwrap();
    assert_eq!(code(&old[0]), 4, "{old:?}");
    let text = old[0].as_ref().unwrap_err().to_string();
    assert!(text.contains("30 rows") && text.contains("resolve"), "{text}");
    let state = TempDir::new().unwrap();
    let again = send(&place.ahead_elsewhere(&state), 1, 30, 30);
    assert_eq!(code(&again[0]), 4, "the next start says the same");
}

#[test]
fn logs_of_a_lineage_that_the_service_does_not_know_stop_the_start() {
    let place = Place::new();
    send_and_vanish(&place.ahead(), 1, 3, 5, 0);
    let other = Place::new();
    let options = WriteAheadOptions::new("numbers", place.state.path());
    let ahead = WriteAhead::connect(&other.connection(), &write().build().unwrap(), options).unwrap();
    let outcome = send(&ahead, 1, 10, 10).remove(0);
    assert_eq!(code(&outcome), 4, "{outcome:?}");
}

#[test]
fn logs_that_are_missing_stop_a_start_whose_sources_cannot_replay() {
    let place = Place::new();
    send_and_vanish(&place.ahead(), 2, 4, 5, 1);
    let state = TempDir::new().unwrap();
    let options = WriteAheadOptions::new("numbers", state.path()).sources_replay(false);
    let ahead = WriteAhead::connect(&place.connection(), &write().build().unwrap(), options).unwrap();
    let outcome = send(&ahead, 1, 10, 10).remove(0);
    assert_eq!(code(&outcome), 4, "{outcome:?}");
    assert!(outcome.unwrap_err().to_string().contains("workers 0, 1 of 2"));
    all_well(&send(&place.ahead(), 1, 200, 20));
    place.holds(0..200);
}

#[test]
fn columns_that_the_target_has_got_since_are_taken_over() {
    let place = Place::new();
    all_well(&send(&place.ahead(), 1, 60, 20));
    place.command(&format!(".alter-merge table {TABLE} (more:string)"));
    all_well(&send(&place.ahead(), 1, 120, 20));
    place.holds(0..120);
}

/// What a start of a pipeline without rows asks of the engine, until it is open and looks into the staging table.
fn asked(place: &Place) -> Vec<String> {
    let before = place.handle().requests().len();
    all_well(&send(&place.ahead(), 1, 0, 1));
    let engine = |endpoint| matches!(endpoint, Endpoint::Management | Endpoint::Query);
    let requests = place.handle().requests().into_iter().skip(before);
    let requests =
        requests.filter(|request| engine(request.endpoint) && !request.operation.starts_with(".get "));
    let asked = requests.map(|request| request.operation);
    asked.take_while(|command| !command.contains(" extents ")).collect()
}

#[test]
fn a_start_asks_a_few_commands_however_many_columns_the_target_has() {
    for columns in [0, 40] {
        let place = Place::new();
        for number in 0..columns {
            place.command(&format!(".alter-merge table {TABLE} (more_{number}:string)"));
        }
        let (first, second) = (asked(&place), asked(&place));
        // Of those of a first start, 17 make its tables.
        assert_eq!((first.len(), second.len()), (32, 16), "{first:#?}\n{second:#?}");
    }
}
