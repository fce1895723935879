//! Rows without names: they stand in the order of the table's columns at the start that logged them.

use kusto_emulator::{Endpoint, Fault, FaultRule};
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::vec::input::Input;
use timely_kusto::{RowsWrittenAhead, SinkStats, WriteAhead, WriteAheadSink};

use crate::support::*;

/// Sends ten pairs in one epoch; goes away once they are sealed, or waits for their commit.
fn pairs(ahead: &WriteAhead, vanish: bool) -> Outcome {
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
        (0..10).for_each(|id| rows.send((format!("pair {id}"), id)));
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
