//! Two processes, as timely's own cluster: here two threads that talk over loopback.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, mpsc};
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
    run(job(source, Unchanged::<Storm>::default, service, state), &options(topology), stop, observe)
}

/// A job that writes storms with `stage`.
fn job<S: Source<Batch = Vec<Storm>>, M>(
    source: S,
    stage: M,
    service: &MemoryService,
    state: &Path,
) -> Job<S, M, SinkV2> {
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
    Job { source, stage, sink, state: (state.to_owned(), identity) }
}

fn options(topology: Topology) -> RunOptions {
    RunOptions {
        topology,
        checkpoint_interval: Duration::from_millis(5),
        progress_interval: Duration::from_millis(1),
        ..RunOptions::default()
    }
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

/// One of two processes, whose other one is not there, with its time to wait for it.
fn alone(
    number: usize,
    hosts: &[String],
    join_timeout: Duration,
    stop: &StopHandle,
    observe: impl Fn(&pipelines::Progress) + Send + Sync + 'static,
) -> Result<Report, Error> {
    let state = tempfile::tempdir().unwrap();
    let topology = Topology { workers: 1, process: number, hosts: hosts.to_vec() };
    let job = job(storms(100), Unchanged::<Storm>::default, &MemoryService::new(), state.path());
    run(job, &RunOptions { join_timeout, ..options(topology) }, stop, observe)
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_process_that_does_not_come_is_named_and_waited_for_no_longer_than_said() {
    for (number, missing) in [(0, 1), (1, 0)] {
        let hosts = hosts(2);
        let error =
            alone(number, &hosts, Duration::from_millis(100), &StopHandle::new(), |_| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Apart);
        let named = format!("process {missing} ({})", hosts[missing]);
        assert!(error.to_string().contains(&named), "{error}");
    }
}

#[test]
fn a_stop_ends_the_waiting_for_other_processes() {
    for number in [0, 1] {
        let stop = StopHandle::new();
        let seen = stop.clone();
        let report = alone(number, &hosts(2), LONG, &stop, move |progress| {
            assert!(progress.waiting_for.starts_with("1 of 2 processes: process "), "{progress:?}");
            seen.stop();
        });
        let report = report.unwrap();
        assert!(report.stopped && report.rows_read == 0, "{report:?}");
    }
}

#[test]
fn processes_with_different_numbers_of_workers_do_not_get_together() {
    let hosts = hosts(2);
    let processes = [0, 1].map(|number| {
        let hosts = hosts.clone();
        thread::spawn(move || {
            let state = tempfile::tempdir().unwrap();
            let topology = Topology { workers: number + 1, process: number, hosts };
            process(storms(1), topology, &MemoryService::new(), state.path(), &StopHandle::new(), |_| {})
        })
    });
    for process in processes {
        let error = process.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Options);
        assert!(error.to_string().contains("the same --workers"), "{error}");
    }
}

/// Calls a process as its peer of number 1, with a hello that begins with `magic`.
fn call(host: &str, magic: &[u8; 8]) -> TcpStream {
    call_as(host, magic, [1, 2, 1])
}

/// The same as this process, of so many, with so many workers.
fn call_as(host: &str, magic: &[u8; 8], numbers: [u64; 3]) -> TcpStream {
    let mut stream = loop {
        match TcpStream::connect(host) {
            Ok(stream) => break stream,
            Err(_) => thread::yield_now(), // it does not listen yet
        }
    };
    let numbers = numbers.map(u64::to_be_bytes);
    stream.write_all(&[magic, numbers.as_flattened()].concat()).unwrap();
    stream
}

#[test]
fn a_caller_that_is_no_process_is_hung_up_on() {
    let hosts = hosts(2);
    let (stop, stopped) = (StopHandle::new(), hosts.clone());
    let asked = stop.clone();
    let waits = thread::spawn(move || alone(0, &stopped, LONG, &asked, |_| {}));
    let mut answer = Vec::new();
    // The end of the stream, or its break: in both cases without a word.
    _ = call(&hosts[0], b"GET / HT").read_to_end(&mut answer);
    assert!(answer.is_empty(), "{answer:?}");
    stop.stop();
    assert!(waits.join().unwrap().unwrap().stopped);
}

#[test]
fn a_process_that_is_lost_ends_the_others_with_an_error_that_says_so() {
    let hosts = hosts(2);
    let others = hosts.clone();
    let left = thread::spawn(move || alone(0, &others, LONG, &StopHandle::new(), |_| {}));
    let mut lost = call(&hosts[0], b"tkusto02");
    let mut hello = [0; 32];
    lost.read_exact(&mut hello).unwrap();
    drop(lost);
    let error = left.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Worker);
    let named = format!("process 1 ({}) of 2 is gone: it closed the connection without a word", hosts[1]);
    assert!(error.to_string().starts_with(&named), "{error}");
}

#[test]
fn a_process_that_is_silent_for_too_long_is_lost() {
    let hosts = hosts(2);
    let others = hosts.clone();
    let left = thread::spawn(move || {
        let state = tempfile::tempdir().unwrap();
        let job = job(storms(100), Unchanged::<Storm>::default, &MemoryService::new(), state.path());
        let topology = Topology { workers: 1, process: 0, hosts: others };
        let options = RunOptions { peer_timeout: Duration::from_millis(200), ..options(topology) };
        run(job, &options, &StopHandle::new(), |_| {})
    });
    let silent = call(&hosts[0], b"tkusto02");
    let error = left.join().unwrap().unwrap_err();
    drop(silent);
    let named = format!("process 1 ({}) of 2 is gone: nothing was heard of it", hosts[1]);
    assert!(error.to_string().starts_with(&named), "{error}");
}

#[test]
fn a_process_that_ends_while_others_are_waited_for_may_come_again() {
    let hosts = hosts(3);
    let (stop, others) = (StopHandle::new(), hosts.clone());
    let asked = stop.clone();
    let (tell, told) = mpsc::channel();
    let waits = thread::spawn(move || {
        alone(0, &others, LONG, &asked, move |progress| _ = tell.send(progress.waiting_for.clone()))
    });
    let both = format!("2 of 3 processes: process 1 ({}), process 2 ({})", hosts[1], hosts[2]);
    let one = format!("1 of 3 processes: process 2 ({})", hosts[2]);
    let until =
        |expected: &str| assert!(told.iter().any(|waiting| waiting.starts_with(expected)), "{expected}");
    until(&both);
    for _ in 0..2 {
        let mut calling = call_as(&hosts[0], b"tkusto02", [1, 3, 1]);
        calling.read_exact(&mut [0; 32]).unwrap();
        until(&one);
        drop(calling);
        until(&both);
    }
    stop.stop();
    assert!(waits.join().unwrap().unwrap().stopped);
}

#[test]
fn a_panic_of_the_only_worker_of_a_process_ends_all_processes() {
    let (service, hosts) = (MemoryService::new(), hosts(2));
    let processes = [0, 1].map(|number| {
        let (service, hosts) = (service.clone(), hosts.clone());
        thread::spawn(move || {
            let state = tempfile::tempdir().unwrap();
            let stage = move || {
                assert_ne!(number, 1, "the stage of this process is bad");
                Unchanged::<Storm>::default()
            };
            let job = job(storms(5_000), stage, &service, state.path());
            let topology = Topology { workers: 1, process: number, hosts };
            run(job, &options(topology), &StopHandle::new(), |_| {})
        })
    });
    let texts = processes.map(|process| process.join().unwrap().unwrap_err().to_string());
    assert!(texts[1].contains("the stage of this process is bad"), "{texts:?}");
    assert_eq!(texts[0], texts[1], "its last words");
}
