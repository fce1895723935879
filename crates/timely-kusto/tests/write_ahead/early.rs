//! Bodies of epochs that are still open.

use kusto_emulator::{Endpoint, Fault, FaultRule};

use crate::support::*;

/// Rows of a chunk.
const ROWS: u64 = 10;

#[test]
fn a_body_of_an_open_epoch_is_uploaded_once_and_queued_after_the_seal() {
    let place = Place::new();
    let handle = place.handle();
    let ahead = place.ahead_with(write().batch_rows(ROWS), |options| options);
    let outcomes = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        run.feed_open(60, 20);
        run.step_until(worker, |_| handle.statistics().blobs > 0);
        assert!(run.durable.less_equal(&run.epoch), "the epoch is open");
        assert_eq!(handle.statistics().messages, 0, "its rows are in no message");
        run.feed(60, 0);
        run.finish(worker)
    });
    all_well(&outcomes);
    place.holds(0..60);
    assert_eq!(place.handle().statistics().blobs, 60 / ROWS, "nothing is uploaded again after the seal");
}

#[test]
fn what_a_crash_leaves_uploaded_of_an_open_epoch_is_in_no_message_and_its_rows_come_again() {
    let place = Place::new();
    let handle = place.handle();
    let ahead = place.ahead_with(write().batch_rows(ROWS), |options| options);
    on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead).unwrap();
        run.feed_open(60, 20);
        run.step_until(worker, |_| handle.statistics().blobs > 0);
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    });
    all_well(&send(&place.ahead(), 2, 90, 20));
    place.holds(0..90);
}

#[test]
fn a_body_that_could_not_be_uploaded_early_is_read_from_its_file() {
    let place = Place::new();
    let handle = place.handle();
    let ahead = place.ahead_with(write().batch_rows(ROWS), |options| options);
    let outcomes = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        let away = Fault::Fail { status: 503, retry_after: None };
        let hits = handle.add_fault(FaultRule::new(Endpoint::Blob, away).operation("PutBlob"));
        run.feed_open(60, 20);
        run.step_until(worker, |_| hits.count() > 0);
        run.feed(60, 0);
        let last = run.epoch;
        run.step_until(worker, |run| !run.durable.less_than(&last));
        handle.clear_faults();
        run.finish(worker)
    });
    all_well(&outcomes);
    place.holds(0..60);
}
