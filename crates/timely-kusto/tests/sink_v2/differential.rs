//! Insert-only collections.

use differential_dataflow::input::Input;
use kusto_client::testing::MemoryService;
use timely_kusto::{InsertOnlyToKusto, SinkError};

use crate::support::{blobs, options, reading, sink, table};

#[test]
fn a_difference_of_n_is_n_rows_and_what_cancels_within_a_time_is_none() {
    let service = MemoryService::new();
    let sink = sink(service.clone(), options());
    timely::execute_directly(move |worker| {
        let (mut input, handle) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, collection) = scope.new_collection();
            (input, collection.sink_v2_insert_only(&sink).1)
        });
        input.update(reading(1), 2);
        input.update(reading(2), 1);
        input.update(reading(2), -1);
        input.advance_to(1);
        input.insert(reading(1));
        input.close();
        handle.drive(worker).unwrap();
        assert_eq!(table(&service), [reading(1), reading(1), reading(1)]);
    });
}

#[test]
fn the_rows_of_a_large_difference_fill_as_many_blobs_as_they_need() {
    let service = MemoryService::new();
    let sink = sink(service.clone(), options().batch_rows(100));
    timely::execute_directly(move |worker| {
        let (mut input, handle) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, collection) = scope.new_collection();
            (input, collection.sink_v2_insert_only(&sink).1)
        });
        input.update(reading(1), 1_000);
        input.close();
        handle.drive(worker).unwrap();
        assert_eq!(blobs(&service), [100; 10]);
    });
}

#[test]
fn a_retraction_stops_the_sink_with_the_record() {
    let service = MemoryService::new();
    let sink = sink(service.clone(), options());
    timely::execute_directly(move |worker| {
        let (mut input, handle) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, collection) = scope.new_collection();
            (input, collection.sink_v2_insert_only(&sink).1)
        });
        input.insert(reading(7));
        input.advance_to(1);
        input.remove(reading(7));
        input.close();
        let error = handle.drive(worker).unwrap_err();
        assert!(matches!(*error, SinkError::Encode { .. }));
        assert!(error.to_string().contains("reading, number \\\"7\\\""), "{error}");
    });
}
