//! Bounded memory: invariants 4 and 6.

use kusto_client::testing::{MemoryService, Operation};
use timely::dataflow::operators::Input;
use timely::dataflow::operators::vec::ToStream;
use timely_kusto::RowsToKusto;

use crate::support::{Reading, faulty, options, reading, sink, table};

const LIMIT: usize = 1 << 20;

/// A row of about 400 bytes that hardly compresses.
fn noise(id: u64) -> Reading {
    let mut state = id;
    let mut word = || {
        state = state.wrapping_add(1).wrapping_mul(6_364_136_223_846_793_005).rotate_left(29);
        format!("{state:016x}")
    };
    Reading { id, text: (0..24).map(|_| word()).collect() }
}

#[test]
fn at_twice_the_limit_the_worker_is_held_until_a_blob_is_written() {
    let (memory, service) = faulty();
    service.hold(Operation::Upload);
    let sink = sink(service.clone(), options().memory(LIMIT).batch_bytes(LIMIT / 4));
    let seen = sink.clone();
    let sender = std::thread::spawn(move || {
        timely::execute_directly(move |worker| {
            let rows = (0..20_000).map(noise);
            let handle = worker.dataflow::<u64, _, _>(|scope| rows.to_stream(scope).sink_v2(&sink).1);
            handle.drive(worker).map(|stats| (stats, handle.peak_bytes()))
        })
    });
    while seen.workers_held() == 0 {
        std::thread::yield_now();
    }
    service.release_all();
    let (stats, peak) = sender.join().unwrap().unwrap();
    assert!(stats.held > std::time::Duration::ZERO, "nothing held the worker");
    // What is taken in one go, a container of rows, comes on top.
    assert!((2 * LIMIT..3 * LIMIT).contains(&peak), "{peak}");
    assert_eq!(table(&memory).len(), 20_000);
}

#[test]
fn a_full_sink_says_so_and_wakes_its_source_when_there_is_room() {
    let (memory, service) = faulty();
    service.hold(Operation::Upload);
    let sink = sink(service.clone(), options().memory(LIMIT).batch_bytes(LIMIT / 4));
    timely::execute_directly(move |worker| {
        let (mut input, handle) = worker.dataflow(|scope| {
            let (input, rows) = scope.new_input();
            (input, rows.sink_v2(&sink).1)
        });
        // Any operator can be woken; here it is the sink itself.
        let mut sent = 0;
        while !handle.is_full() {
            (0..100).for_each(|_| {
                input.send(reading(sent));
                sent += 1;
            });
            input.advance_to(sent);
            worker.step();
        }
        assert!(handle.undelivered().rows >= sent - 100);
        service.release_all();
        input.close();
        handle.drive(worker).unwrap();
        assert!(!handle.is_full());
        assert_eq!((handle.undelivered().rows, handle.undelivered().bytes), (0, 0));
        assert_eq!(table(&memory).len() as u64, sent);
    });
}

#[test]
fn chunks_that_only_wait_for_the_service_count_however_small_they_are() {
    let service = MemoryService::by_hand();
    let sink = sink(service.clone(), options().memory(LIMIT).batch_rows(1));
    timely::execute_directly(move |worker| {
        let (mut input, handle) = worker.dataflow(|scope| {
            let (input, rows) = scope.new_input();
            (input, rows.sink_v2(&sink).1)
        });
        (0..256).for_each(|id| input.send(reading(id)));
        input.advance_to(1);
        worker.step();
        while service.queued().len() < 256 {
            std::thread::yield_now();
        }
        assert!(handle.is_full(), "{handle:?}");
        input.close();
        service.ingest_all();
        handle.drive(worker).unwrap();
        assert_eq!((handle.is_full(), handle.undelivered().bytes), (false, 0));
        assert_eq!(table(&service).len(), 256);
    });
}
