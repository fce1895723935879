//! What all tests of the sink use.

use std::sync::Arc;
use std::time::Duration;

use kusto_client::Service;
use kusto_client::testing::{Faulty, MemoryService};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::vec::ToStream;
use timely_kusto::{RowsToKusto, SinkError, SinkStats, SinkV2, WriteOptions, WriteOptionsBuilder};

pub(crate) const DATABASE: &str = "Samples";
pub(crate) const TABLE: &str = "Readings";

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) id: u64,
    pub(crate) text: String,
}

pub(crate) fn reading(id: u64) -> Reading {
    Reading { id, text: format!("reading, number \"{id}\"\n") }
}

/// Options that make tests quick: statuses are looked at often, pauses are short.
pub(crate) fn options() -> WriteOptionsBuilder {
    WriteOptions::builder()
        .database(DATABASE)
        .table(TABLE)
        .poll_interval(Duration::from_millis(10))
        .retry_backoff(kusto_client::Backoff {
            initial: Duration::from_millis(1),
            max: Duration::from_millis(5),
        })
}

pub(crate) fn sink(service: impl Service, options: WriteOptionsBuilder) -> SinkV2 {
    SinkV2::with_service(Arc::new(service), options.build().unwrap()).unwrap()
}

pub(crate) fn faulty() -> (MemoryService, Faulty<MemoryService>) {
    let memory = MemoryService::new();
    (memory.clone(), Faulty::new(memory))
}

/// What one worker's `drive` returned.
pub(crate) type Outcome = Result<SinkStats, Arc<SinkError>>;

/// Sends the readings with these ids through a dataflow on `workers` workers, dealt round robin, and drives it.
pub(crate) fn send(sink: &SinkV2, workers: usize, ids: std::ops::Range<u64>) -> Vec<Outcome> {
    let sink = sink.clone();
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let (index, peers) = (worker.index() as u64, worker.peers() as u64);
        let mine: Vec<_> = ids.clone().filter(|id| id % peers == index).map(reading).collect();
        let handle = worker.dataflow::<u64, _, _>(|scope| mine.to_stream(scope).sink_v2(&sink).1);
        handle.drive(worker)
    });
    guards.unwrap().join().into_iter().map(|outcome| outcome.unwrap()).collect()
}

/// The rows of the table as readings, in order of their ids.
pub(crate) fn table(service: &MemoryService) -> Vec<Reading> {
    let mut rows: Vec<_> = service
        .rows(DATABASE, TABLE)
        .into_iter()
        .map(|row| Reading { id: row[0].parse().unwrap(), text: row[1].clone() })
        .collect();
    rows.sort();
    rows
}

/// The rows of each blob of the table.
pub(crate) fn blobs(service: &MemoryService) -> Vec<usize> {
    let rows = |body: &bytes::Bytes| {
        let reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&body[..]);
        reader.into_records().map(|record| assert_eq!(record.unwrap().len(), 2)).count()
    };
    service.bodies(DATABASE, TABLE).iter().map(rows).collect()
}
