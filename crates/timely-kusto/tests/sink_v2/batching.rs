//! When a chunk is closed: invariants 2 and 3.

use std::time::Duration;

use kusto_client::testing::MemoryService;
use timely::dataflow::operators::{Input, Probe};
use timely_kusto::{Format, RowsToKusto};

use crate::support::{DATABASE, TABLE, blobs, options, reading, send, sink, table};

#[test]
fn a_chunk_is_closed_by_rows() {
    let service = MemoryService::new();
    assert!(send(&sink(service.clone(), options().batch_rows(300)), 1, 0..1000)[0].is_ok());
    let mut blobs = blobs(&service);
    blobs.sort_unstable();
    assert_eq!(blobs, [100, 300, 300, 300]);
}

#[test]
fn a_chunk_is_closed_by_bytes_and_every_record_is_in_one_blob_as_a_whole() {
    let service = MemoryService::new();
    let bytes = 64 << 10;
    assert!(send(&sink(service.clone(), options().batch_bytes(bytes)), 1, 0..10_000)[0].is_ok());
    let bodies = service.bodies(DATABASE, TABLE);
    let longest_row = 40;
    assert!(bodies.len() > 3);
    assert!(bodies.iter().all(|body| body.len() < bytes + longest_row && body.ends_with(b"\n")));
    assert_eq!(blobs(&service).iter().sum::<usize>(), 10_000);
    assert_eq!(table(&service), (0..10_000).map(reading).collect::<Vec<_>>());
}

#[test]
fn a_chunk_comes_of_age_though_no_row_arrives() {
    let service = MemoryService::new();
    let sink = sink(service.clone(), options().batch_interval(Duration::from_millis(20)));
    timely::execute_directly(move |worker| {
        let (mut input, probe) = worker.dataflow(|scope| {
            let (input, rows) = scope.new_input();
            (input, rows.sink_v2(&sink).0.probe().0)
        });
        input.send(reading(1));
        input.advance_to(1);
        while probe.less_than(&1) {
            worker.step_or_park(None); // nothing but the chunk's age can wake it
        }
        assert_eq!(table(&service), [reading(1)]);
    });
}

#[test]
fn flush_closes_the_open_chunk() {
    let service = MemoryService::new();
    let sink = sink(service.clone(), options().batch_interval(Duration::from_secs(3600)));
    timely::execute_directly(move |worker| {
        let (mut input, probe, handle) = worker.dataflow(|scope| {
            let (input, rows) = scope.new_input();
            let (clock, handle) = rows.sink_v2(&sink);
            (input, clock.probe().0, handle)
        });
        input.send(reading(1));
        input.advance_to(1);
        worker.step();
        handle.flush();
        while probe.less_than(&1) {
            worker.step_or_park(None);
        }
        assert_eq!(table(&service), [reading(1)]);
    });
}

#[test]
fn a_struct_finds_its_columns_by_name_and_json_is_queued_as_multijson() {
    let service = MemoryService::by_hand();
    let sink_json = sink(service.clone(), options().format(Format::Json));
    let sender = std::thread::spawn(move || send(&sink_json, 1, 0..2));
    while service.queued().is_empty() {
        std::thread::yield_now();
    }
    let message = service.queued().remove(0);
    assert_eq!(message.ingestion.format, "multijson");
    assert!(message.blob.ends_with(".multijson.gz"), "{}", message.blob);
    let Some(kusto_client::IngestionMapping::Inline(mapping)) = &message.ingestion.mapping else {
        panic!("{message:?}")
    };
    assert_eq!(
        mapping,
        r#"[{"Column":"id","Properties":{"Path":"$.id"}},{"Column":"text","Properties":{"Path":"$.text"}}]"#
    );
    service.ingest_all();
    assert!(sender.join().unwrap()[0].is_ok());
    assert_eq!(service.json_rows(DATABASE, TABLE).len(), 2);
}

#[test]
fn the_message_states_the_bytes_before_compression() {
    let service = MemoryService::by_hand();
    let sink = sink(service.clone(), options());
    let sender = std::thread::spawn(move || send(&sink, 1, 0..1));
    while service.queued().is_empty() {
        std::thread::yield_now();
    }
    let row = "0,\"reading, number \"\"0\"\"\n\"\n";
    assert_eq!(service.queued()[0].raw_bytes, row.len() as u64);
    service.ingest_all();
    assert!(sender.join().unwrap()[0].is_ok());
}
