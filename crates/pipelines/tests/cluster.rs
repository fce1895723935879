//! Two processes, as timely's own cluster: here two threads that talk over loopback.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kusto_client::testing::MemoryService;
use pipelines::generator::{GeneratorOptions, Storm, StormSource};
use pipelines::source::Source;
use pipelines::state::Identity;
use pipelines::testing::{Fault, FaultySource};
use pipelines::{Error, ErrorKind, Job, Report, RunOptions, StopHandle, Topology, Unchanged, run};
use timely_kusto::{SinkV2, WriteOptions};

/// Ports that the system had free a moment ago.
fn hosts(count: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

fn process<S: Source<Batch = Vec<Storm>>>(
    source: S,
    topology: Topology,
    service: &MemoryService,
    state: &Path,
    stop: &StopHandle,
    observe: impl Fn(&pipelines::Progress) + Send + Sync + 'static,
) -> Result<Report, Error> {
    let write = WriteOptions::builder().database("D").table("T").batch_interval(Duration::from_millis(50));
    let sink = SinkV2::with_service(Arc::new(service.clone()), write.build().unwrap()).unwrap();
    let identity = Identity {
        pipeline: "storms".into(),
        cluster: "memory".into(),
        database: "D".into(),
        table: "T".into(),
        source: source.identity(),
        format: "csv".into(),
    };
    let job = Job { source, stage: Unchanged::<Storm>::default, sink, state: (state.to_owned(), identity) };
    let options = RunOptions {
        topology,
        checkpoint_interval: Duration::from_millis(5),
        progress_interval: Duration::from_millis(1),
        ..RunOptions::default()
    };
    run(job, &options, stop, observe)
}

fn storms(rows: u64) -> StormSource {
    StormSource::new(GeneratorOptions { rows: Some(rows), ..Default::default() }).unwrap()
}

/// Runs two processes of two workers; `fault` is injected in the second, `stop` stops the first once rows were read.
fn cluster(
    rows: u64,
    fault: Option<Fault>,
    stop: bool,
    service: &MemoryService,
    state: &Path,
) -> Vec<Result<Report, Error>> {
    let hosts = hosts(2);
    let processes = [0, 1].map(|number| {
        let topology = Topology { workers: 2, process: number, hosts: hosts.clone() };
        let (service, state) = (service.clone(), state.to_owned());
        thread::spawn(move || {
            let handle = StopHandle::new();
            let from_within = handle.clone();
            let observe = move |progress: &pipelines::Progress| {
                if stop && number == 1 && progress.rows_read > 0 {
                    from_within.stop();
                }
            };
            let fault = fault.filter(|_| number == 1).unwrap_or(Fault::Small { rows: 50 });
            process(FaultySource::new(storms(rows), fault), topology, &service, &state, &handle, observe)
        })
    });
    processes.into_iter().map(|process| process.join().unwrap()).collect()
}

fn ids(service: &MemoryService) -> Vec<String> {
    let mut ids: Vec<_> = service.rows("D", "T").into_iter().map(|mut row| row.remove(0)).collect();
    ids.sort();
    ids
}

fn expected(rows: u64) -> Vec<String> {
    let mut ids: Vec<_> =
        (0..rows).map(|row| pipelines::generator::storm(1, row).event_id.to_string()).collect();
    ids.sort();
    ids
}

#[test]
fn two_processes_deliver_every_row_once() {
    let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
    let reports = cluster(5_000, None, false, &service, state.path());
    let read: u64 = reports.into_iter().map(|report| report.unwrap().rows_read).sum();
    assert_eq!(read, 5_000);
    assert_eq!(ids(&service), expected(5_000));
}

#[test]
fn stopping_one_process_stops_both_and_nothing_is_lost_or_repeated() {
    let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
    for _ in 0..3 {
        cluster(20_000, None, true, &service, state.path())
            .into_iter()
            .for_each(|report| _ = report.unwrap());
    }
    cluster(20_000, None, false, &service, state.path()).into_iter().for_each(|report| _ = report.unwrap());
    assert_eq!(ids(&service), expected(20_000));
}

#[test]
fn an_error_in_one_process_ends_both_with_the_same_words() {
    let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
    let results = cluster(5_000, Some(Fault::FailAt { poll: 3 }), false, &service, state.path());
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source);
        assert!(error.to_string().contains("injected: poll 3 fails"), "{error}");
    }
    cluster(5_000, None, false, &service, state.path()).into_iter().for_each(|report| _ = report.unwrap());
    let mut found = ids(&service);
    found.dedup();
    assert_eq!(found, expected(5_000));
}
