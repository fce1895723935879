//! What a failure leaves: invariant 5.

use std::time::Duration;

use kusto_client::testing::{Fault, MemoryService, Operation};
use kusto_client::{ErrorKind, FailureStatus};
use serde::Serialize;
use timely::dataflow::operators::vec::ToStream;
use timely::dataflow::operators::{Input, Probe};
use timely_kusto::{Delivery, RowsToKusto, SinkError};

use crate::support::{DATABASE, TABLE, faulty, options, reading, send, sink, table};

#[test]
fn after_a_failure_the_clock_stays_and_the_dataflow_can_be_stepped_and_dropped() {
    let service = MemoryService::new();
    service.drop_table(DATABASE, TABLE);
    let sink = sink(service.clone(), options().batch_rows(10));
    timely::execute_directly(move |worker| {
        let (mut input, probe, handle) = worker.dataflow(|scope| {
            let (input, rows) = scope.new_input();
            let (clock, handle) = rows.sink_v2(&sink);
            (input, clock.probe().0, handle)
        });
        (0..10).for_each(|id| input.send(reading(id)));
        input.advance_to(1);
        while handle.error().is_none() {
            worker.step_or_park(None);
        }
        for time in 1..20 {
            input.send(reading(100 + time));
            input.advance_to(time + 1);
            worker.step();
        }
        assert!(probe.less_equal(&0), "the first rows are not delivered");
        let undelivered = handle.undelivered();
        assert_eq!((undelivered.rows, undelivered.refused_records), (10, 19));
        assert_eq!(undelivered.bytes, 0, "what will not be sent takes no memory");
        input.close();
        let error = handle.drive(worker).unwrap_err();
        assert!(matches!(*error, SinkError::Ingestion { rows: 10, .. }), "{error}");
        assert!(!worker.has_dataflows());
    });
}

#[test]
fn a_failure_on_one_worker_ends_all_workers_of_the_process() {
    let (_, service) = faulty();
    service.fail_next(Operation::Upload, Fault::BeforeEffect(ErrorKind::Forbidden));
    let outcomes = send(&sink(service, options().batch_rows(50)), 4, 0..10_000);
    assert_eq!(outcomes.len(), 4);
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(
            matches!(&*error, SinkError::Service { source, .. } if source.kind() == ErrorKind::Forbidden)
        );
    }
}

#[test]
fn a_record_that_makes_no_row_is_named_and_rows_before_it_are_not_lost_track_of() {
    #[derive(Clone, Serialize)]
    struct Mixed {
        id: u64,
        value: Shape,
    }
    #[derive(Clone, Serialize)]
    enum Shape {
        Plain,
        WithData(u64),
    }
    let service = MemoryService::new();
    let sink = sink(service, options());
    timely::execute_directly(move |worker| {
        let rows = vec![
            Mixed { id: 1, value: Shape::Plain },
            Mixed { id: 2, value: Shape::WithData(1) },
            Mixed { id: 3, value: Shape::Plain },
        ];
        let handle = worker.dataflow::<u64, _, _>(|scope| rows.to_stream(scope).sink_v2(&sink).1);
        let error = handle.drive(worker).unwrap_err().to_string();
        assert!(error.contains("row 1 ") && error.contains("value"), "{error}");
        assert_eq!(handle.undelivered().rows, 1);
        assert_eq!(handle.undelivered().refused_records, 1);
    });
}

#[test]
fn a_dataflow_dropped_early_says_what_was_not_delivered() {
    let (memory, service) = faulty();
    service.hold(Operation::Upload);
    let sink = sink(service.clone(), options().batch_rows(10));
    timely::execute_directly(move |worker| {
        let (mut input, handle) = worker.dataflow(|scope| {
            let (input, rows) = scope.new_input();
            (input, rows.sink_v2(&sink).1)
        });
        (0..25).for_each(|id| input.send(reading(id)));
        input.advance_to(1);
        worker.step();
        service.wait_until_held(Operation::Upload, 2);
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
        assert_eq!(handle.undelivered().rows, 25);
        assert!(handle.error().is_none());
        assert_eq!(table(&memory).len(), 0);
    });
}

#[test]
fn delivery_none_counts_what_it_drops_and_goes_on() {
    let (memory, service) = faulty();
    service.fail_next(Operation::Upload, Fault::BeforeEffect(ErrorKind::Forbidden));
    let sink = sink(service, options().delivery(Delivery::None).batch_rows(10).uploads(1));
    let stats = *send(&sink, 1, 0..30)[0].as_ref().unwrap();
    assert_eq!((stats.rows_dropped, stats.rows_delivered), (10, 20));
    assert_eq!(table(&memory).len(), 20);
}

#[test]
fn a_permanent_refusal_says_what_the_service_said_and_is_not_tried_again() {
    let service = MemoryService::new();
    service.fail_ingestion("Stream_WrongNumberOfFields", FailureStatus::Permanent);
    let error = send(&sink(service.clone(), options()), 1, 0..5).remove(0).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("Stream_WrongNumberOfFields") && text.contains("Samples.Readings"), "{text}");
    assert!(text.contains("5 rows") && text.contains(".show ingestion failures"), "{text}");
    assert_eq!(service.backlog(), 0);
}

#[test]
fn a_message_lost_by_the_service_ends_with_an_error_that_says_the_outcome_is_unknown() {
    let service = MemoryService::new();
    service.lose_next(1);
    let sink = sink(service, options().poll_timeout(Duration::from_millis(50)));
    let error = send(&sink, 1, 0..5).remove(0).unwrap_err();
    assert!(matches!(*error, SinkError::Unconfirmed { rows: 5, .. }), "{error}");
    assert!(error.to_string().contains("poll_timeout"), "{error}");
}

#[test]
fn a_service_that_panics_ends_the_sink_with_an_error_and_not_with_a_hang() {
    let service = MemoryService::new();
    let faulty = kusto_client::testing::Faulty::new(service);
    faulty.on_call(|operation| {
        assert!(operation != Operation::Upload, "no uploads today");
        Box::pin(async {})
    });
    let error = send(&sink(faulty, options()), 1, 0..10).remove(0).unwrap_err();
    assert!(matches!(&*error, SinkError::Broken(said) if said.contains("no uploads today")), "{error}");
}
