//! The clock: invariant 1.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use kusto_client::testing::MemoryService;
use timely::dataflow::operators::vec::UnorderedInput;
use timely::dataflow::operators::{Input, Probe};
use timely_kusto::{Delivery, RowsToKusto};

use crate::support::{faulty, options, reading, send, sink, table};

#[test]
fn every_row_is_in_the_table_once_when_the_dataflow_is_complete() {
    for workers in [1, 4] {
        let service = MemoryService::new();
        let outcomes = send(&sink(service.clone(), options()), workers, 0..10_000);
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(table(&service), (0..10_000).map(reading).collect::<Vec<_>>());
    }
}

#[test]
fn a_time_is_passed_only_when_its_rows_are_ingested() {
    let service = MemoryService::by_hand();
    let sink = sink(service.clone(), options().batch_rows(10));
    timely::execute_directly(move |worker| {
        let (mut input, probe) = worker.dataflow(|scope| {
            let (input, rows) = scope.new_input();
            let (clock, _handle) = rows.sink_v2(&sink);
            let (probe, _) = clock.probe();
            (input, probe)
        });
        (0..10).for_each(|id| input.send(reading(id)));
        input.advance_to(1);
        (10..20).for_each(|id| input.send(reading(id)));
        input.advance_to(2);
        while service.backlog() < 2 {
            worker.step_or_park(Some(Duration::from_millis(1)));
        }
        assert!(probe.less_equal(&0), "rows are queued, none is ingested");
        assert!(service.ingest_next() && service.ingest_next());
        while probe.less_than(&2) {
            worker.step_or_park(None);
        }
        assert_eq!(table(&service).len(), 20);
        assert!(!probe.done());
    });
}

#[test]
fn a_time_without_rows_passes_at_once() {
    let service = MemoryService::by_hand();
    let sink = sink(service, options());
    timely::execute_directly(move |worker| {
        let (mut input, probe) = worker.dataflow(|scope| {
            let (input, rows) = scope.new_input::<Vec<crate::support::Reading>>();
            (input, rows.sink_v2(&sink).0.probe().0)
        });
        input.advance_to(7);
        while probe.less_than(&7) {
            worker.step();
        }
    });
}

#[test]
fn a_row_of_an_earlier_time_in_an_open_chunk_holds_the_clock_back() {
    let service = MemoryService::by_hand();
    let sink = sink(service.clone(), options().batch_rows(2));
    timely::execute_directly(move |worker| {
        let ((mut input, capability), probe) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, rows) = scope.new_unordered_input();
            (input, rows.sink_v2(&sink).0.probe().0)
        });
        input.activate().session(&capability.delayed(&5)).give(reading(5));
        worker.step();
        input.activate().session(&capability.delayed(&3)).give(reading(3));
        drop(capability);
        while service.backlog() < 1 {
            worker.step_or_park(Some(Duration::from_millis(1)));
        }
        while probe.less_equal(&2) {
            worker.step(); // the news that nothing earlier comes is on its way
        }
        assert!(probe.less_equal(&3), "the chunk has a row of time 3");
        service.ingest_all();
        while !probe.done() {
            worker.step_or_park(None);
        }
    });
}

#[test]
fn the_clock_waits_for_the_slowest_worker() {
    let service = MemoryService::by_hand();
    let sink = sink(service.clone(), options());
    let both_see_it = Arc::new(Barrier::new(2));
    let guards = timely::execute(timely::Config::process(2), move |worker| {
        let index = worker.index() as u64;
        let (mut input, probe) = worker.dataflow(|scope| {
            let (input, rows) = scope.new_input();
            (input, rows.sink_v2(&sink).0.probe().0)
        });
        input.send(reading(index));
        input.close();
        while service.backlog() < 2 {
            worker.step_or_park(Some(Duration::from_millis(1)));
        }
        // Both workers' rows are queued; ingest one of them, and no clock may pass.
        both_see_it.wait();
        if index == 0 {
            service.ingest_next();
        }
        for _ in 0..50 {
            worker.step_or_park(Some(Duration::from_millis(1)));
            assert!(probe.less_equal(&0));
        }
        both_see_it.wait();
        if index == 0 {
            service.ingest_all();
        }
        while !probe.done() {
            worker.step_or_park(None);
        }
    });
    guards.unwrap().join().into_iter().for_each(|outcome| outcome.unwrap());
}

#[test]
fn queued_delivery_does_not_wait_for_the_ingestion() {
    let service = MemoryService::by_hand();
    let outcomes = send(&sink(service.clone(), options().delivery(Delivery::Queued)), 1, 0..100);
    assert_eq!(outcomes[0].as_ref().unwrap().rows_delivered, 100);
    assert_eq!((service.backlog(), table(&service).len()), (1, 0));
}

#[test]
fn empty_input_and_workers_that_never_see_a_row_complete() {
    for (workers, rows) in [(1, 0), (4, 0), (4, 2)] {
        let service = MemoryService::new();
        let outcomes = send(&sink(service.clone(), options()), workers, 0..rows);
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(table(&service).len() as u64, rows);
    }
}

#[test]
fn an_upload_that_is_under_way_keeps_the_dataflow_alive() {
    let (memory, service) = faulty();
    service.hold(kusto_client::testing::Operation::Upload);
    let sink = sink(service.clone(), options());
    let sender = std::thread::spawn(move || send(&sink, 1, 0..3));
    service.wait_until_held(kusto_client::testing::Operation::Upload, 1);
    assert!(!sender.is_finished());
    service.release_all();
    assert!(sender.join().unwrap()[0].is_ok());
    assert_eq!(table(&memory).len(), 3);
}
