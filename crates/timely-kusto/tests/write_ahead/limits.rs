//! Limits: what happens when the service is away, and what a damaged file leads to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kusto_client::Client;
use kusto_client::testing::{Faulty, Operation};
use kusto_emulator::{Endpoint, Fault, FaultRule};
use timely_kusto::{Deadlines, WriteAhead, WriteAheadOptions};

use crate::support::*;

#[test]
fn while_the_service_is_away_rows_go_into_the_log_until_its_limit_and_then_all_goes_on() {
    let place = Place::new();
    let handle = place.handle();
    let ahead = place.ahead_with(write(), |options| options.log_bytes(20_000));
    let outcomes = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        let away = Fault::Fail { status: 503, retry_after: None };
        handle.add_fault(FaultRule::new(Endpoint::Blob, away).operation("PutBlob"));
        assert!(!run.handle.is_full());
        // As a source does: hands over while there is room, and goes on ending epochs.
        while !run.handle.is_full() {
            run.feed(u64::MAX, 20);
            let last = run.epoch;
            run.step_until(worker, |run| !run.durable.less_than(&last));
        }
        run.step_until(worker, |run| run.handle.limits().stalled_for.is_some());
        let limits = run.handle.limits();
        assert!(limits.log_bytes.0 >= limits.log_bytes.1, "{limits:?}");
        assert!(limits.paused_for.is_some_and(|why| why.contains("epoch files")), "{limits:?}");
        assert!(run.staged.less_than(&run.epoch), "nothing can be staged");
        handle.clear_faults();
        let last = run.epoch;
        run.step_until(worker, |run| !run.committed.less_than(&last) && !run.handle.is_full());
        let sent = last * 20 * PARTITIONS;
        run.finish(worker).map(|_| sent)
    });
    let sent = outcomes.into_iter().next().unwrap().unwrap();
    place.holds(0..sent);
}

#[test]
fn as_many_epochs_as_may_wait_for_their_commit_make_the_sink_full() {
    let place = Place::new();
    let handle = place.handle();
    let ahead = place.ahead_with(write(), |options| options.open_epochs(3));
    let outcomes = on_workers(2, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        if worker.index() == 0 {
            let away = Fault::Fail { status: 503, retry_after: None };
            handle.add_fault(FaultRule::new(Endpoint::Queue, away).operation("PutMessage"));
        }
        while !run.handle.is_full() && run.handle.error().is_none() {
            run.feed(u64::MAX, 2);
            worker.step_or_park(Some(Duration::from_millis(5)));
        }
        if worker.index() == 0 {
            handle.clear_faults();
        }
        run.finish(worker)
    });
    all_well(&outcomes);
    let found = place.ids();
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "a row is there twice");
}

#[test]
fn however_many_chunks_wait_few_of_their_messages_are_on_their_way_at_a_time() {
    const EPOCHS: u64 = 100;
    let place = Place::new();
    let service = Faulty::new(Client::connect(place.connection()).unwrap());
    service.hold(Operation::Queue);
    let state = place.state.path().canonicalize().unwrap();
    let options = WriteAheadOptions::new("numbers", &state);
    let shared = Arc::new(service.clone());
    let ahead = WriteAhead::with_service(shared, write().build().unwrap(), options).unwrap();
    let outcomes = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        for _ in 0..EPOCHS {
            run.feed(u64::MAX, 1);
            worker.step();
        }
        // All are uploaded, and each that may has come to its message.
        run.step_until(worker, |run| {
            run.handle.stats().blobs == EPOCHS && service.held(Operation::Queue) >= 32
        });
        assert_eq!(service.held(Operation::Queue), 32);
        assert_eq!(open_epoch_files(&state), 0, "what waits is not kept open");
        service.release_all();
        run.finish(worker)
    });
    all_well(&outcomes);
    place.holds(0..EPOCHS * PARTITIONS);
}

/// Sealed epoch files below `state` that this process has open, where that can be told.
fn open_epoch_files(state: &Path) -> usize {
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let files = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    files.filter(|file| file.starts_with(state) && file.extension().is_some_and(|it| it == "epochs")).count()
}

#[test]
fn storage_is_lent_before_there_are_rows() {
    let place = Place::new();
    let (ahead, handle) = (place.ahead(), place.handle());
    all_well(&on_workers(2, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        run.step_until(worker, |_| {
            let asked: Vec<_> = handle.requests().into_iter().map(|request| request.operation).collect();
            let lent = [".get ingestion resources", ".get kusto identity token"];
            lent.iter().all(|command| asked.iter().any(|asked| asked == command))
        });
        run.feed(30, 30);
        run.finish(worker)
    }));
    place.holds(0..30);
}

#[test]
fn a_damaged_epoch_file_stops_the_next_start_and_is_never_taken_for_no_rows() {
    let place = Place::new();
    let handle = place.handle();
    handle.add_fault(
        FaultRule::new(Endpoint::Blob, Fault::Fail { status: 503, retry_after: None }).operation("PutBlob"),
    );
    let ahead = place.ahead();
    on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead).unwrap();
        run.feed(u64::MAX, 50);
        let last = run.epoch;
        run.step_until(worker, |run| !run.durable.less_than(&last));
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    });
    handle.clear_faults();
    let [file] = place.sealed_files().try_into().unwrap();
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    let outcome = send(&place.ahead(), 1, 300, 50).remove(0);
    let error = outcome.unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert!(place.ids().is_empty());
    std::fs::write(&file, whole).unwrap();
    all_well(&send(&place.ahead(), 2, 300, 50));
    place.holds(0..300);
}

/// Of refusals that do not pass.
fn impatient() -> Deadlines {
    Deadlines { refused: Duration::from_millis(300), ..Deadlines::default() }
}

#[test]
fn a_target_that_somebody_drops_under_a_run_ends_it_and_is_named() {
    let place = Place::new();
    let handle = place.handle();
    let ahead = place.ahead_with(write(), |options| options.deadlines(impatient()));
    let outcome = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        run.feed(u64::MAX, 5);
        let last = run.epoch;
        run.step_until(worker, |run| !run.committed.less_than(&last));
        handle.command(DATABASE, &format!(".drop table {TABLE}")).unwrap();
        run.feed(u64::MAX, 5);
        run.finish(worker)
    })
    .remove(0);
    let error = outcome.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("there is no table {TABLE}")), "{text}");
}

#[test]
fn a_command_that_keeps_failing_is_told_although_other_requests_go_through() {
    let place = Place::new();
    let handle = place.handle();
    let ahead = place.ahead();
    let outcomes = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        let late = Fault::Fail { status: 504, retry_after: None };
        let hits = handle.add_fault(FaultRule::new(Endpoint::Management, late).operation(".move extents"));
        run.feed(u64::MAX, 5);
        let stalled = |run: &Run| run.handle.limits().stalled_for.is_some_and(|it| it.as_millis() > 500);
        run.step_until(worker, |run| hits.count() > 5 && stalled(run));
        handle.clear_faults();
        let last = run.epoch;
        run.step_until(worker, |run| !run.committed.less_than(&last));
        run.step_until(worker, |run| run.handle.limits().stalled_for.is_none());
        run.finish(worker)
    });
    all_well(&outcomes);
    place.holds(0..5 * PARTITIONS);
}

#[test]
fn answers_that_nobody_can_read_are_waited_out_for_a_while_only() {
    let place = Place::new();
    let handle = place.handle();
    let ahead = place.ahead_with(write(), |options| options.deadlines(impatient()));
    let outcome = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        handle.add_fault(FaultRule::new(Endpoint::Management, Fault::Garble).operation(".show"));
        run.feed(u64::MAX, 5);
        run.finish(worker)
    })
    .remove(0);
    let text = outcome.unwrap_err().to_string();
    assert!(text.contains("listing the staging table"), "{text}");
}
