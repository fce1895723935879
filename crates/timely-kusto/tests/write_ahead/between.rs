//! A service between the sink and the cluster: answers that a cluster never gives here, and defects.

use std::sync::Arc;
use std::time::Duration;

use kusto_client::{Client, Table};
use kusto_emulator::{Endpoint, Fault, FaultRule};
use timely_kusto::{Deadlines, Reader, WriteAhead, WriteAheadOptions};

use crate::service::Between;
use crate::support::*;

fn ahead(place: &Place, before: fn(&str), after: fn(&str, Table) -> Table) -> WriteAhead {
    ahead_of(place, before, after, WriteAheadOptions::new("numbers", place.state.path()))
}

fn ahead_of(
    place: &Place,
    before: fn(&str),
    after: fn(&str, Table) -> Table,
    options: WriteAheadOptions,
) -> WriteAhead {
    let client = Client::connect(place.connection()).unwrap();
    let service = Arc::new(Between { before, after, ..Between::new(client) });
    WriteAhead::with_service(service, write().build().unwrap(), options).unwrap()
}

#[track_caller]
fn all_say_that_it_broke(outcomes: Vec<Outcome>) {
    for outcome in outcomes {
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains("is a defect") && text.contains("on purpose"), "{text}");
    }
}

#[test]
fn a_panic_while_a_start_is_under_way_ends_it_on_all_workers() {
    let place = Place::new();
    let panics = |what: &str| assert!(!what.starts_with(".rename"), "on purpose");
    all_say_that_it_broke(send(&ahead(&place, panics, |_, table| table), 2, 30, 10));
}

#[test]
fn a_panic_while_a_chunk_is_staged_ends_the_run_on_all_workers() {
    let place = Place::new();
    let panics = |what: &str| assert!(what != "upload", "on purpose");
    all_say_that_it_broke(send(&ahead(&place, panics, |_, table| table), 2, 30, 10));
    all_well(&send(&place.ahead(), 2, 30, 10));
    place.holds(0..30);
}

#[test]
fn a_panic_of_what_commits_ends_the_other_processes_too() {
    let place = Place::new();
    let elsewhere = tempfile::TempDir::new().unwrap();
    let panics = |what: &str| assert!(!what.starts_with(".move"), "on purpose");
    let processes = [ahead(&place, panics, |_, table| table), place.ahead_elsewhere(&elsewhere)];
    all_say_that_it_broke(on_workers(2, move |worker| {
        let mut run = Run::open(worker, &processes[worker.index()])?;
        run.feed(u64::MAX, 5);
        run.finish(worker)
    }));
}

#[test]
fn encoding_policies_that_nobody_can_copy_stop_a_start_that_needs_them_and_no_other() {
    let place = Place::new();
    let strange = |command: &str, mut table: Table| {
        if command.starts_with(".show column ['Readings']") || command.starts_with(".show column Readings") {
            let policy = table.position("Policy").unwrap();
            table.rows.iter_mut().for_each(|row| row[policy] = "{\"Type\": \"OfTomorrow\"}".into());
        }
        table
    };
    let options = |demand| WriteAheadOptions::new("numbers", place.state.path()).long_values(demand);
    let error = send(&ahead_of(&place, |_| {}, strange, options(true)), 1, 30, 10).remove(0).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.to_string().contains("encoding policies of the columns text, id"), "{error}");
    all_well(&send(&ahead_of(&place, |_| {}, strange, options(false)), 1, 30, 10));
    place.holds(0..30);
}

#[test]
fn encoding_policies_are_copied_also_where_one_command_shows_all_columns_in_part_or_not_at_all() {
    let shows: [fn(&str, Table) -> Table; 4] = [
        |_, table| table,
        |command, mut table| {
            table.rows.truncate(if command.contains(".*") { 1 } else { usize::MAX });
            table
        },
        |command, mut table| {
            table.rows.truncate(if command.contains(".*") { 0 } else { usize::MAX });
            table
        },
        |command, mut table| {
            // Of another table.
            let named = |row: &mut Vec<serde_json::Value>| {
                row[1] = format!("[x].{}", row[1].as_str().unwrap()).into()
            };
            table.rows.iter_mut().filter(|_| command.contains(".*")).for_each(named);
            table
        },
    ];
    for after in shows {
        copies_encodings(after, false);
    }
    copies_encodings(|_, table| table, true);
}

fn copies_encodings(after: fn(&str, Table) -> Table, refused: bool) {
    let place = Place::new();
    place.command(&format!(".alter column {TABLE}.id policy encoding type='Identifier'"));
    place.command(&format!(".alter column {TABLE}.text policy encoding type='BigObject'"));
    if refused {
        // Those of both tables are asked for first.
        let refuse = FaultRule::new(Endpoint::Management, Fault::Fail { status: 400, retry_after: None });
        place.handle().add_fault(refuse.operation(".show column").times(2));
    }
    let options = WriteAheadOptions::new("numbers", place.state.path()).long_values(true);
    all_well(&send(&ahead_of(&place, |_| {}, after, options), 1, 30, 10));
    let staging =
        &place.command(".show tables | where TableName startswith 'kt_stage_' | project TableName")[0];
    for (column, profile) in [("id", "Identifier"), ("text", "BigObject")] {
        let shown =
            place.command(&format!(".show column {}.{column} policy encoding", staging[0].as_str().unwrap()));
        assert!(shown[0][2].as_str().unwrap().contains(profile), "{shown:?}");
    }
}

/// A view that never is complete.
#[test]
fn a_view_that_takes_too_long_is_told_with_what_may_have_happened_and_the_next_call_finds_it() {
    let place = Place::new();
    place.command(&format!(".alter-merge table {TABLE} (_kt_time: long, _kt_diff: long)"));
    let reader = Reader::change_stream().materialized(true);
    let hangs = |command: &str, mut table: Table| {
        if command.starts_with(".show operations") {
            table.rows.iter_mut().for_each(|row| row[0] = "InProgress".into());
        }
        table
    };
    let patience = Deadlines { view: Duration::ZERO, ..Deadlines::default() };
    let options = WriteAheadOptions::new("numbers", place.state.path()).deadlines(patience);
    let error = ahead_of(&place, |_| {}, hangs, options).init_reader(&reader).unwrap_err().to_string();
    for part in ["not complete after 0 s: InProgress", "may be there already", ".show operations "] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let made = place.ahead().init_reader(&reader).unwrap();
    assert!(!made.made_view, "it was made by the first call");
}

#[test]
fn an_ingestor_of_a_table_that_is_called_admins_is_not_taken_for_an_admin() {
    let place = Place::new();
    let roles = |command: &str, mut table: Table| {
        if command.starts_with(".show table ") && command.ends_with("principal roles") {
            let role = table.position("Role").unwrap();
            table.rows.iter_mut().for_each(|row| row[role] = "Table Admins Ingestor".into());
        }
        table
    };
    for outcome in send(&ahead(&place, |_| {}, roles), 1, 30, 10) {
        let error = outcome.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains("Table Admin on"), "{error}");
    }
}
