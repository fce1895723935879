//! Rows that are hashed when they are logged: an audit compares what the table holds of them.

use kusto_emulator::{Endpoint, Fault, FaultRule, HoldPoint};
use serde_json::Value;
use timely_kusto::{Audit, EpochState, Format, WriteAhead, WriteAheadOptions};

use crate::support::*;

/// The target of [`Place`] with a column for epochs.
fn place() -> Place {
    let place = Place::new();
    place.command(&format!(".alter-merge table {TABLE} (_kt_epoch:long)"));
    place
}

fn hashing(place: &Place, columns: &[&str]) -> WriteAhead {
    hashing_as(place, columns, Format::Csv)
}

fn hashing_as(place: &Place, columns: &[&str], format: Format) -> WriteAhead {
    place.ahead_with(write().format(format), |options| options.hash_columns(columns.iter().copied()))
}

fn audit(place: &Place) -> Audit {
    place.ahead().audit().unwrap()
}

/// Epochs whose contents were compared, and were equal.
fn equal(audit: &Audit) -> Vec<u64> {
    let equal = audit.epochs.iter().filter(|it| it.sum.is_some_and(|sum| sum.found == Some(sum.promised)));
    equal.map(|epoch| epoch.epoch).collect()
}

fn altered(audit: &Audit) -> Vec<u64> {
    let altered = audit.epochs.iter().filter(|epoch| epoch.state == EpochState::Altered);
    altered.map(|epoch| epoch.epoch).collect()
}

/// Replaces all rows of the target by what a query makes of them.
fn replace(place: &Place, by: &str) {
    place.command(".drop table Changed ifexists");
    place.command(&format!(".set Changed <| {TABLE} | {by}"));
    place.command(&format!(".set-or-replace {TABLE} <| Changed | project text, id, _kt_epoch"));
}

#[test]
fn a_value_that_was_changed_in_the_table_is_found_in_its_epoch() {
    for format in [Format::Csv, Format::Json] {
        let place = place();
        all_well(&send(&hashing_as(&place, &["*"], format), 2, 60, 4));
        let whole = audit(&place);
        assert!(whole.agrees() && equal(&whole) == [0, 1, 2, 3, 4], "{whole:?}");
        let epoch =
            place.query(&format!("{TABLE} | where id == 31 | project _kt_epoch"))[0][0].as_u64().unwrap();
        replace(&place, "extend text = iff(id == 31, strcat(text, '.'), text)");
        let changed = audit(&place);
        assert!(!changed.agrees() && altered(&changed) == [epoch], "{changed:?}");
        assert!(changed.not_compared.is_empty(), "{changed:?}");
    }
}

#[test]
fn values_that_changed_places_between_rows_are_found_and_the_order_of_rows_is_not_looked_at() {
    let place = place();
    all_well(&send(&hashing(&place, &["id", "text"]), 1, 30, 10));
    replace(&place, "order by id desc");
    assert!(audit(&place).agrees());
    replace(&place, "extend id = case(id == 3, 4, id == 4, 3, id)");
    assert_eq!(altered(&audit(&place)), [0]);
}

#[test]
fn columns_that_are_not_hashed_may_change() {
    let place = place();
    all_well(&send(&hashing(&place, &["id"]), 1, 30, 10));
    replace(&place, "extend text = 'other'");
    assert!(audit(&place).agrees());
    replace(&place, "extend id = iff(id == 7, 1007, id)");
    assert_eq!(altered(&audit(&place)), [0]);
}

#[test]
fn hashes_survive_a_crash_before_the_commit_and_another_number_of_workers() {
    let place = place();
    let handle = place.handle();
    handle.add_fault(
        FaultRule::new(Endpoint::Management, Fault::Hold(HoldPoint::Resolved))
            .operation(".move extents")
            .times(1),
    );
    let (ahead, cluster) = (hashing(&place, &["*"]), place.handle());
    on_workers(3, move |worker| {
        let mut run = Run::open(worker, &ahead).unwrap();
        while run.feed(90, 6) {}
        let end = run.epoch;
        run.step_until(worker, |run| !run.durable.less_than(&end));
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
        cluster.clear_faults();
        cluster.release_all();
    });
    // The next start hashes nothing itself: what it adopts is hashed already.
    let plain = place.ahead_with(write(), |options| options.epoch_column(true));
    all_well(&send(&plain, 2, 120, 6));
    place.holds(0..120);
    let found = audit(&place);
    assert!(found.agrees() && equal(&found) == [0, 1, 2, 3, 4], "{found:?}");
    assert!(found.epochs.len() > 5 && found.epochs[5..].iter().all(|epoch| epoch.sum.is_none()), "{found:?}");
}

#[test]
fn each_epoch_is_compared_over_the_columns_that_counted_when_it_was_logged() {
    let place = place();
    for (columns, end) in [(&["text"][..], 30), (&[], 60), (&["id", "text"], 90), (&["text", "id"], 120)] {
        let ahead = place
            .ahead_with(write(), |options| options.epoch_column(true).hash_columns(columns.iter().copied()));
        all_well(&send(&ahead, 1, end, 10));
    }
    let found = audit(&place);
    assert!(found.agrees() && equal(&found) == [0, 2, 3], "{found:?}");
    replace(&place, "extend id = iff(id in (1, 61), id + 1000, id)");
    assert_eq!(altered(&audit(&place)), [2], "the id of row 1 was not hashed");
}

#[test]
fn columns_that_the_table_gets_later_change_nothing_and_one_that_is_gone_is_said() {
    let place = place();
    all_well(&send(&hashing(&place, &["*"]), 1, 30, 10));
    place.command(&format!(".alter-merge table {TABLE} (more:real)"));
    all_well(&send(&hashing(&place, &["*"]), 1, 60, 10));
    assert_eq!(equal(&audit(&place)), [0, 1]);
    place.command(&format!(".alter table {TABLE} (text:string, id:long, _kt_epoch:long)"));
    let less = audit(&place);
    assert!(less.agrees() && equal(&less) == [0], "{less:?}");
    assert!(less.not_compared.len() == 1 && less.not_compared[0].contains("more: real"), "{less:?}");
}

#[test]
fn what_cannot_be_asked_is_said_and_everything_else_is_compared_as_ever() {
    let place = place();
    all_well(&send(&hashing(&place, &["*"]), 1, 60, 10));
    for query in ["let kt_", "set notruncation; let kt_"] {
        let refused = Fault::Fail { status: 400, retry_after: None };
        place.handle().add_fault(FaultRule::new(Endpoint::Query, refused).operation(query));
        let counted = audit(&place);
        assert!(counted.agrees() && equal(&counted).is_empty(), "{counted:?}");
        let [said] = &counted.not_compared[..] else { panic!("{counted:?}") };
        assert!(said.contains("of 2 epochs") && said.contains("does not answer"), "{said}");
        place.handle().clear_faults();
    }
    assert_eq!(equal(&audit(&place)), [0, 1]);
    place.command(&format!(".alter table {TABLE} (text:string, id:long)"));
    let unnumbered = audit(&place);
    assert!(unnumbered.agrees(), "tags tell: {unnumbered:?}");
    assert!(unnumbered.not_compared[0].contains("no row carries their number"), "{unnumbered:?}");
}

#[test]
fn programs_that_know_no_hashes_read_what_a_start_without_hashes_writes() {
    let formats = |place: &Place| {
        let query =
            "kt_epochs | summarize by V = tostring(parse_json(Body).v), Kind | order by Kind asc, V asc";
        let rows = place.query(query);
        rows.iter()
            .map(|row| format!("{} {}", row[1].as_str().unwrap(), row[0].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let place = place();
    all_well(&send(&place.ahead(), 1, 30, 10));
    assert_eq!(formats(&place), ["claim 1", "intent 1", "start 1"]);
    all_well(&send(&hashing(&place, &["*"]), 1, 60, 10));
    assert_eq!(formats(&place), ["claim 1", "intent 1", "intent 2", "start 1", "start 2"]);
}

#[test]
fn what_cannot_be_hashed_is_refused_before_a_row_is_read() {
    for (columns, told) in [
        (&["id", "nothing"][..], "nothing"),
        (&["id", "data"], "dynamic"),
        (&["id", "id"], "id"),
        (&["_kt_epoch"], "leave it out"),
    ] {
        let place = place();
        place.command(&format!(".alter-merge table {TABLE} (data:dynamic)"));
        let refused = send(&hashing(&place, columns), 1, 30, 10).remove(0).unwrap_err();
        assert!(refused.exit_code() == 2 && refused.to_string().contains(told), "{refused}");
        let init = hashing(&place, columns).init().unwrap_err();
        assert_eq!(init.to_string(), refused.to_string());
    }
}

#[test]
fn a_value_that_the_service_would_not_read_as_its_type_ends_the_run_before_it_is_logged() {
    let place = Place::new();
    place.command(".drop table Readings");
    place.command(".create table Readings (id:long, text:timespan, _kt_epoch:long)");
    let error = send(&hashing(&place, &["id", "text"]), 1, 30, 10).remove(0).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("text") && text.contains("timespan"), "{text}");
    assert_eq!((error.exit_code(), &place.query("Readings | count")[0][0]), (4, &0.into()));
}

#[test]
fn an_epoch_of_many_chunks_from_several_workers_has_one_sum() {
    let place = place();
    let ahead =
        place.ahead_with(write().batch_rows(7), |options| options.hash_columns(["*"]).chunks_per_commit(3));
    all_well(&send(&ahead, 3, 600, 100));
    let found = audit(&place);
    assert!(found.agrees() && equal(&found) == [0, 1], "{found:?}");
    let query = format!("{TABLE} | summarize Rows = count() by _kt_epoch | count");
    assert_eq!(place.query(&query), [Value::from(vec![2])]);
}

#[test]
fn hash_columns_alone_have_rows_carry_their_epoch() {
    let options = WriteAheadOptions::new("p", "state").hash_columns(["*"]);
    let without = vec![("id".to_owned(), "long".to_owned())];
    let refused = options.check_columns("t", &without).unwrap_err().to_string();
    assert!(refused.contains("_kt_epoch"), "{refused}");
}
