//! A disk that is full, or too small for an epoch; an epoch with more chunks than one commit may name.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use epoch_log::testing::SimulatedDisk;
use timely_kusto::{Deadlines, WriteAhead};

use crate::support::*;

/// A pipeline on a disk of its own.
fn on(disk: &SimulatedDisk, place: &Place, patience: Duration) -> WriteAhead {
    let disk = disk.clone();
    let deadlines = Deadlines { disk_full: patience, ..Deadlines::default() };
    place.ahead_with(write(), |options| options.file_system(Arc::new(disk)).deadlines(deadlines))
}

const PATIENT: Duration = Duration::from_secs(3600);

#[test]
fn a_full_disk_pauses_the_source_and_all_goes_on_when_there_is_room() {
    let (place, disk) = (Place::new(), SimulatedDisk::new(1));
    let (ahead, cluster) = (on(&disk, &place, PATIENT), disk.clone());
    let seen = Arc::new(AtomicUsize::new(0));
    let outcomes = on_workers(2, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        run.feed(60, 5);
        let last = run.epoch;
        run.step_until(worker, |run| !run.committed.less_than(&last));
        if worker.index() == 0 {
            cluster.set_capacity(Some(cluster.used() + 10));
        }
        while run.feed(60, 5) {}
        let reason = |run: &Run| run.handle.limits().paused_for;
        run.step_until(worker, |run| reason(run).is_some_and(|why| why.contains("room on the disk")));
        seen.fetch_add(1, SeqCst);
        if worker.index() == 0 {
            run.step_until(worker, |_| seen.load(SeqCst) == 2);
            cluster.set_capacity(None);
        }
        run.step_until(worker, |run| !run.handle.is_full());
        run.finish(worker)
    });
    all_well(&outcomes);
    place.holds(0..60);
}

#[test]
fn a_disk_on_which_commits_make_room_again_and_again_is_large_enough() {
    let (place, disk) = (Place::new(), SimulatedDisk::new(1));
    let (ahead, small) = (on(&disk, &place, PATIENT), disk.clone());
    let outcomes = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        // All epochs together take four times as much.
        small.set_capacity(Some(small.used() + 4_000));
        // As a source does: hands over while there is room.
        loop {
            run.step_until(worker, |run| !run.handle.is_full());
            if !run.feed(600, 10) {
                break;
            }
            let last = run.epoch;
            run.step_until(worker, |run| run.handle.is_full() || !run.durable.less_than(&last));
        }
        run.finish(worker)
    });
    all_well(&outcomes);
    place.holds(0..600);
}

#[test]
fn a_disk_that_is_too_small_for_an_epoch_stops_the_sink_and_the_next_start_with_room_goes_on() {
    let (place, disk) = (Place::new(), SimulatedDisk::new(1));
    let (ahead, small) = (on(&disk, &place, Duration::from_millis(300)), disk.clone());
    let outcomes = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        small.set_capacity(Some(small.used() + 10));
        run.feed(60, 5);
        run.finish(worker)
    });
    let error = outcomes.into_iter().next().unwrap().unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    let text = error.to_string();
    assert!(text.contains("no commit can make room") && text.contains("checkpoint_interval"), "{text}");
    disk.set_capacity(None);
    all_well(&send(&on(&disk, &place, PATIENT), 2, 60, 5));
    place.holds(0..60);
}

fn limited(place: &Place, chunks: usize) -> WriteAhead {
    place.ahead_with(write().batch_rows(1), |options| options.chunks_per_epoch(chunks))
}

#[test]
fn an_epoch_with_more_chunks_than_a_commit_may_name_is_refused_before_it_is_sealed() {
    let place = Place::new();
    let error = send(&limited(&place, 2), 2, 60, 20).remove(0).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    let text = error.to_string();
    assert!(text.contains("epoch 0 has more than 2 chunks") && text.contains("batch_rows"), "{text}");
    assert!(place.ids().is_empty());
    all_well(&send(&limited(&place, 120), 2, 60, 20));
    place.holds(0..60);
}

#[test]
fn chunks_of_an_epoch_get_larger_as_it_comes_near_their_limit() {
    let place = Place::new();
    all_well(&send(&limited(&place, 20), 1, 60, 20));
    place.holds(0..60);
    let blobs = place.handle().statistics().blobs;
    // Ten of one row each, and then two, four, eight.
    assert!((11..20).contains(&blobs), "{blobs} chunks");
}

#[test]
fn a_worker_that_has_all_rows_may_have_all_chunks_of_its_process() {
    let place = Place::new();
    // Three partitions: five of eight workers have none.
    all_well(&send(&limited(&place, 48), 8, 60, 20));
    place.holds(0..60);
    let blobs = place.handle().statistics().blobs;
    assert!(blobs > 18, "{blobs} chunks, more than three workers' shares");
}

#[test]
fn an_epoch_with_many_chunks_is_one_commit() {
    let place = Place::new();
    let ahead = place.ahead_with(write().batch_rows(1), |options| options.chunks_per_commit(10));
    all_well(&send(&ahead, 2, 600, 600));
    place.holds(0..600);
    let intents =
        "kt_epochs | where Kind == 'intent' | extend Chunks = array_length(parse_json(Body).row.chunks)";
    let largest = place.query(&format!("{intents} | summarize max(Chunks)"));
    assert_eq!(largest[0][0], 600);
}
