//! Rows without names: they stand in the order of the table's columns at the start that logged them.

use kusto_emulator::{Endpoint, Fault, FaultRule};
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::vec::input::Input;
use timely_kusto::{RowsWrittenAhead, SinkStats, WriteAhead, WriteAheadSink};

use crate::support::*;

/// Sends ten pairs in one epoch; goes away once they are sealed, or waits for their commit.
fn pairs(ahead: &WriteAhead, vanish: bool) -> Outcome {
    send_pairs(ahead, |id| format!("pair {id}"), vanish)
}

fn send_pairs(ahead: &WriteAhead, text: fn(u64) -> String, vanish: bool) -> Outcome {
    let ahead = ahead.clone();
    let run = move |worker: &mut timely::worker::Worker| {
        let sink = WriteAheadSink::open(worker, &ahead)?;
        let first = sink.resume().first_epoch;
        let (mut rows, mut positions, (durable, handle)) = worker.dataflow::<u64, _, _>(|scope| {
            let (rows, stream) = scope.new_input::<(String, u64)>();
            let (positions, position_stream) = scope.new_input();
            let (clocks, handle) = stream.write_ahead_sink(&sink, position_stream);
            (rows, positions, (clocks.durable.probe().0, handle))
        });
        rows.advance_to(first);
        positions.advance_to(first);
        (0..10).for_each(|id| rows.send((text(id), id)));
        rows.advance_to(first + 1);
        positions.send(("p".to_owned(), Vec::new()));
        positions.advance_to(first + 1);
        while durable.less_than(&(first + 1)) && handle.error().is_none() {
            worker.step_or_park(Some(std::time::Duration::from_millis(20)));
        }
        if vanish {
            worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
            return Ok(SinkStats::default());
        }
        drop((rows, positions));
        handle.drive(worker)
    };
    on_workers(1, run).remove(0)
}

/// Pairs in epoch files, none of them staged.
fn logged() -> Place {
    let place = Place::new();
    let away = Fault::Fail { status: 503, retry_after: None };
    place.handle().add_fault(FaultRule::new(Endpoint::Blob, away).operation("PutBlob"));
    pairs(&place.ahead(), true).unwrap();
    place.handle().clear_faults();
    place
}

fn ids(place: &Place, text: &str) -> Vec<u64> {
    let rows = place.query(&format!("{TABLE} | project id, {text} | order by id asc"));
    let id = |row: &serde_json::Value| {
        let id = row[0].as_u64().unwrap();
        assert_eq!(row[1], format!("pair {id}"));
        id
    };
    rows.iter().map(id).collect()
}

#[test]
fn rows_without_names_find_their_columns_by_the_order_in_which_these_were_when_they_were_logged() {
    let place = logged();
    place.command(&format!(".alter table {TABLE} (id:long, text:string, more:string)"));
    let nothing = on_workers(1, {
        let ahead = place.ahead();
        move |worker| Run::open(worker, &ahead)?.finish(worker)
    });
    all_well(&nothing);
    assert_eq!(ids(&place, "text"), (0..10).collect::<Vec<_>>());
}

#[test]
fn rows_without_names_whose_columns_are_gone_stop_the_next_start() {
    let place = logged();
    place.command(&format!(".alter table {TABLE} (id:long)"));
    let error = send(&place.ahead(), 1, 30, 10).remove(0).unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    assert!(error.to_string().contains("was logged with columns (text:string, id:long)"), "{error}");
}

#[test]
fn rows_without_names_are_committed_like_others() {
    let place = Place::new();
    pairs(&place.ahead(), false).unwrap();
    assert_eq!(ids(&place, "text"), (0..10).collect::<Vec<_>>());
}

/// Longer than what a column without an encoding policy takes.
const LONG: u64 = (1 << 20) + 5_000;

fn long(id: u64) -> String {
    id.to_string().repeat(usize::try_from(LONG).unwrap())
}

fn lengths(place: &Place) -> Vec<serde_json::Value> {
    place.query(&format!("{TABLE} | summarize n = count() by length = strlen(text)"))
}

#[test]
fn values_above_1_mib_are_whole_where_the_targets_column_has_an_encoding_policy_for_them() {
    let place = Place::new();
    all_well(&send(&place.ahead(), 1, 30, 10));
    place.command(&format!(".clear table {TABLE} data"));
    place.command(&format!(".alter column {TABLE}.text policy encoding type='BigObject32'"));
    let expected = || place.ahead_with(write(), |options| options.long_values(true));
    send_pairs(&expected(), long, false).unwrap();
    assert_eq!(lengths(&place), [serde_json::json!([LONG, 10])]);
    // A policy that is taken back in the target is taken back in the staging table, too.
    place.command(&format!(".alter column {TABLE}.text policy encoding"));
    place.command(&format!(".clear table {TABLE} data"));
    send_pairs(&expected(), long, false).unwrap();
    assert_eq!(lengths(&place), [serde_json::json!([1 << 20, 10])]);
}
