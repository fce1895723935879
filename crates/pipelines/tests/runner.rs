//! Pipelines from a source to a table in memory: ends, stops, restarts and failures.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use kusto_client::Service;
use kusto_client::testing::{Faulty, MemoryService, Operation};
use pipelines::convert::{BlockConverter, BoundColumn, Columns};
use pipelines::file::{FileFormat, FileOptions, FileSource};
use pipelines::generator::{GeneratorOptions, Storm, StormSource};
use pipelines::source::{MemorySource, Source};
use pipelines::state::Identity;
use pipelines::testing::{Fault, FaultySource};
use pipelines::types::ColumnType;
use pipelines::{
    EncodedSinkV2, Error, ErrorKind, Job, Monitor, Report, RunOptions, StopHandle, Topology, Unchanged, run,
};
use timely_kusto::{Format, SinkV2, WriteOptions};

const DATABASE: &str = "Samples";
const TABLE: &str = "Storms";

fn write_options() -> WriteOptions {
    let builder = WriteOptions::builder().database(DATABASE).table(TABLE);
    builder.batch_interval(Duration::from_millis(50)).build().unwrap()
}

fn sink(service: &MemoryService) -> SinkV2 {
    SinkV2::with_service(Arc::new(service.clone()), write_options()).unwrap()
}

fn identity(source: &impl Source) -> Identity {
    Identity {
        pipeline: "storms".into(),
        cluster: "memory".into(),
        database: DATABASE.into(),
        table: TABLE.into(),
        source: source.identity(),
        format: "csv".into(),
    }
}

fn options(workers: usize) -> RunOptions {
    RunOptions {
        topology: Topology::workers(workers),
        checkpoint_interval: Duration::from_millis(5),
        ..RunOptions::default()
    }
}

fn run_storms<S: Source<Batch = Vec<Storm>>>(
    source: S,
    service: &MemoryService,
    state: &Path,
    options: &RunOptions,
    stop: &StopHandle,
) -> Result<Report, Error> {
    let state = (state.to_owned(), identity(&source));
    let job = Job { source, stage: Unchanged::<Storm>::default, sink: sink(service), state };
    run(job, options, stop, |_| {})
}

fn storms(rows: u64) -> StormSource {
    StormSource::new(GeneratorOptions { rows: Some(rows), ..Default::default() }).unwrap()
}

/// The ids of the events in the table, sorted.
fn ids(service: &MemoryService) -> Vec<String> {
    let mut ids: Vec<_> = service.rows(DATABASE, TABLE).into_iter().map(|mut row| row.remove(0)).collect();
    ids.sort();
    ids
}

fn expected_ids(rows: u64) -> Vec<String> {
    let mut ids: Vec<_> =
        (0..rows).map(|row| pipelines::generator::storm(1, row).event_id.to_string()).collect();
    ids.sort();
    ids
}

fn distinct(mut ids: Vec<String>) -> Vec<String> {
    ids.dedup();
    ids
}

#[test]
fn every_row_of_a_source_that_ends_is_delivered_once_on_any_number_of_workers() {
    for workers in [1, 2, 4, 20] {
        for rows in [0, 1, 5_000] {
            let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
            let report =
                run_storms(storms(rows), &service, state.path(), &options(workers), &StopHandle::new())
                    .unwrap();
            assert_eq!(ids(&service), expected_ids(rows), "{workers} workers, {rows} rows");
            assert_eq!((report.rows_read, report.rows_delivered), (rows, rows));
            assert!(!report.stopped);
        }
    }
}

#[test]
fn a_pipeline_that_was_finished_has_nothing_more_to_do() {
    let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
    for workers in [2, 1, 4] {
        run_storms(storms(1000), &service, state.path(), &options(workers), &StopHandle::new()).unwrap();
        assert_eq!(ids(&service), expected_ids(1000));
    }
}

#[test]
fn a_monitor_reads_a_run_while_it_goes_on_and_what_was_last_after_it() {
    let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
    let monitor = Monitor::new();
    assert_eq!(monitor.read(), None);
    let (seen, inside) = (Arc::new(AtomicBool::new(false)), monitor.clone());
    let noted = Arc::clone(&seen);
    let observe = move |progress: &pipelines::Progress| {
        let reading = inside.read().unwrap();
        assert!(reading.running && reading.report.rows_read >= progress.rows_read, "{reading:?}");
        noted.store(true, SeqCst);
    };
    let source = FaultySource::new(storms(5_000), Fault::Small { rows: 100 });
    let job = Job {
        state: (state.path().to_owned(), identity(&source)),
        source,
        stage: Unchanged::<Storm>::default,
        sink: sink(&service),
    };
    let progress_interval = Duration::from_millis(1);
    let options = RunOptions { progress_interval, monitor: monitor.clone(), ..options(2) };
    let report = run(job, &options, &StopHandle::new(), observe).unwrap();
    let last = monitor.read().unwrap();
    assert!(seen.load(SeqCst) && !last.running);
    assert_eq!(
        (last.report.rows_read, last.report.rows_delivered),
        (report.rows_read, report.rows_delivered)
    );
    assert!(last.sink.memory.1 > 0 && last.sink.uploads.0 == 0 && last.sink.ahead.is_none(), "{last:?}");
}

/// Stops again and again, with another number of workers each time, until the source ends.
#[test]
fn graceful_stops_neither_lose_nor_repeat_a_row() {
    let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
    let mut starts = 0;
    loop {
        let stop = StopHandle::new();
        let from_within = stop.clone();
        let source = FaultySource::new(storms(20_000), Fault::Small { rows: 100 });
        let job = Job {
            state: (state.path().to_owned(), identity(&source)),
            source,
            stage: Unchanged::<Storm>::default,
            sink: sink(&service),
        };
        let options =
            RunOptions { progress_interval: Duration::from_millis(1), ..options([1, 4, 3][starts % 3]) };
        // A stop after some rows, whenever that is.
        let observe = move |progress: &pipelines::Progress| {
            if progress.rows_read > 0 {
                from_within.stop();
            }
        };
        let report = run(job, &options, &stop, observe).unwrap();
        assert_eq!(report.rows_read, report.rows_delivered);
        starts += 1;
        if report.rows_read == 0 {
            break;
        }
    }
    assert!(starts > 2, "it was never stopped before its end");
    assert_eq!(ids(&service), expected_ids(20_000));
}

#[test]
fn a_stop_before_the_start_reads_nothing() {
    let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
    let stop = StopHandle::new();
    stop.stop();
    let endless = StormSource::new(GeneratorOptions::default()).unwrap();
    let report = run_storms(endless, &service, state.path(), &options(2), &stop).unwrap();
    assert!(report.stopped);
    assert_eq!(report.rows_read, report.rows_delivered);
}

#[test]
fn a_failing_source_ends_all_workers_and_the_next_start_loses_nothing() {
    for workers in [1, 4] {
        let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
        for poll in [0, 3, 40] {
            let small = FaultySource::new(storms(5_000), Fault::Small { rows: 50 });
            let source = FaultySource::new(small, Fault::FailAt { poll });
            let error = run_storms(source, &service, state.path(), &options(workers), &StopHandle::new())
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Source);
            assert!(error.to_string().contains(&format!("poll {poll} fails")), "{error}");
        }
        run_storms(storms(5_000), &service, state.path(), &options(workers), &StopHandle::new()).unwrap();
        assert_eq!(distinct(ids(&service)), expected_ids(5_000));
    }
}

#[test]
fn a_failing_sink_ends_all_workers_with_its_error_and_the_next_start_loses_nothing() {
    for workers in [1, 4] {
        let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
        service.fail_ingestion("Stream_WrongNumberOfFields", kusto_client::FailureStatus::Permanent);
        let error = run_storms(storms(5_000), &service, state.path(), &options(workers), &StopHandle::new())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Sink);
        assert!(error.to_string().contains("Stream_WrongNumberOfFields"), "{error}");
        run_storms(storms(5_000), &service, state.path(), &options(workers), &StopHandle::new()).unwrap();
        assert_eq!(distinct(ids(&service)), expected_ids(5_000));
    }
}

#[test]
fn a_panic_in_one_worker_is_an_error_of_the_run() {
    let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
    let source = storms(5_000);
    let state = (state.path().to_owned(), identity(&source));
    let made = std::sync::atomic::AtomicUsize::new(0);
    let stage = move || {
        assert_ne!(made.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 2, "the third stage is bad");
        Unchanged::<Storm>::default()
    };
    let error =
        run(Job { source, stage, sink: sink(&service), state }, &options(4), &StopHandle::new(), |_| {});
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Worker);
    assert!(error.to_string().contains("the third stage is bad"), "{error}");
}

#[test]
fn a_second_pipeline_in_the_same_state_directory_is_refused() {
    let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
    let source = storms(10);
    let held = pipelines::state::StateDir::open(state.path(), identity(&source)).unwrap();
    let error = run_storms(source, &service, state.path(), &options(2), &StopHandle::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(held);
    run_storms(storms(10), &service, state.path(), &options(2), &StopHandle::new()).unwrap();
}

#[test]
fn a_rate_is_kept_to_and_progress_is_shown() {
    let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
    let source = storms(400);
    let state = (state.path().to_owned(), identity(&source));
    let shown = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let options = RunOptions { rate: Some(1000), progress_interval: Duration::from_millis(20), ..options(2) };
    let job = Job { source, stage: Unchanged::<Storm>::default, sink: sink(&service), state };
    let report =
        run(job, &options, &StopHandle::new(), move |progress| seen.lock().unwrap().push(progress.clone()));
    // 400 rows at 1,000 a second cannot take less than this; how much longer depends on the machine.
    assert!(report.unwrap().seconds > 0.25);
    assert!(!shown.lock().unwrap().is_empty());
    assert_eq!(ids(&service), expected_ids(400));
}

fn file_job(
    path: &Path,
    service: &MemoryService,
    state: &Path,
) -> Job<FileSource, impl Fn() -> BlockConverter + Send + Sync + 'static, EncodedSinkV2> {
    let source = FileSource::new(FileOptions::new([path], FileFormat::Csv)).unwrap();
    let bound =
        |name: &str, column_type| BoundColumn { field: name.into(), column: name.into(), column_type };
    let columns =
        Arc::new(Columns::new(vec![bound("n", ColumnType::Long), bound("text", ColumnType::String)]));
    let files: Arc<[String]> = source.partitions().unwrap().into();
    let names = vec!["n".into(), "text".into()];
    let state = (state.to_owned(), identity(&source));
    let stage =
        move || BlockConverter::new(Arc::clone(&files), FileFormat::Csv, Arc::clone(&columns), Format::Csv);
    Job { source, stage, sink: EncodedSinkV2 { sink: sink(service), columns: names }, state }
}

#[test]
fn a_file_is_read_by_one_worker_and_converted_by_all() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<Vec<String>> =
        (0..100_000).map(|row| vec![row.to_string(), format!("text, \"{row}\"\nä")]).collect();
    let line = |row: &Vec<String>| format!("{},\"{}\"\r\n", row[0], row[1].replace('"', "\"\""));
    let text: String = std::iter::once("n,text\r\n".to_owned()).chain(rows.iter().map(line)).collect();
    let path = common::write(dir.path(), "a.csv", text);
    for workers in [1, 4] {
        let service = MemoryService::new();
        let state = dir.path().join(format!("state-{workers}"));
        // A window of less than a block: credit comes back for each one.
        let options = RunOptions { window: 100_000, ..options(workers) };
        let report = run(file_job(&path, &service, &state), &options, &StopHandle::new(), |_| {}).unwrap();
        let mut delivered = service.rows(DATABASE, TABLE);
        delivered.sort_by_key(|row| row[0].parse::<u64>().unwrap());
        assert!(delivered == rows, "{workers} workers");
        assert_eq!(report.rows_read, 100_000);
    }
}

#[test]
fn a_field_that_does_not_fit_ends_all_workers_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let mut text: String = (0..50_000).map(|row| format!("{row},text\n")).collect();
    text.push_str("many,more\n");
    let path = common::write(dir.path(), "a.csv", format!("n,text\n{text}"));
    for workers in [1, 4] {
        let service = MemoryService::new();
        let state = dir.path().join(format!("state-{workers}"));
        let error = run(file_job(&path, &service, &state), &options(workers), &StopHandle::new(), |_| {})
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Record);
        assert!(error.to_string().contains("a.csv, line 50002, column 1, field \"n\": \"many\""), "{error}");
    }
}

#[test]
fn another_source_in_the_same_state_directory_is_refused_and_both_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (service, state) = (MemoryService::new(), dir.path().join("state"));
    let first = common::write(dir.path(), "first.csv", "n,text\n1,a\n");
    let second = common::write(dir.path(), "second.csv", "n,text\n2,b\n");
    run(file_job(&first, &service, &state), &options(1), &StopHandle::new(), |_| {}).unwrap();
    let error =
        run(file_job(&second, &service, &state), &options(1), &StopHandle::new(), |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OtherPipeline);
    assert!(error.to_string().contains("first.csv") && error.to_string().contains("second.csv"), "{error}");
}

/// A source of two partitions, of which one worker of two has none to convert for.
#[test]
fn workers_that_never_see_a_row_end_like_the_others() {
    let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
    let source = MemorySource::new("pairs", vec![("only".to_owned(), vec![(1_i64, "one".to_owned())])]);
    let state = (state.path().to_owned(), identity(&source));
    let job = Job { source, stage: Unchanged::<(i64, String)>::default, sink: sink(&service), state };
    run(job, &options(8), &StopHandle::new(), |_| {}).unwrap();
    assert_eq!(service.rows(DATABASE, TABLE), [["1", "one"]]);
}

#[test]
fn a_full_sink_is_given_no_more_rows_until_a_blob_is_written() {
    const MEMORY: usize = 1 << 20;
    const ROWS: u64 = 60_000; // about 17 MB of csv
    for workers in [1, 3] {
        let (service, state) = (MemoryService::new(), tempfile::tempdir().unwrap());
        let held = Arc::new(Faulty::new(service.clone()));
        held.hold(Operation::Upload);
        let write = WriteOptions::builder().database(DATABASE).table(TABLE).memory(MEMORY).build().unwrap();
        let cluster: Arc<dyn Service> = Arc::clone(&held) as _;
        let sink = SinkV2::with_service(cluster, write).unwrap();
        let source = storms(ROWS);
        let state = (state.path().to_owned(), identity(&source));
        let options = RunOptions { progress_interval: Duration::from_millis(1), ..options(workers) };
        let job = Job { source, stage: Unchanged::<Storm>::default, sink, state };
        let most = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&most);
        let times_full = AtomicU64::new(0);
        let observe = move |progress: &pipelines::Progress| {
            assert!(progress.held_bytes <= 3 * MEMORY, "{} bytes are held", progress.held_bytes);
            if progress.waiting_for.starts_with("the sink") && times_full.fetch_add(1, SeqCst) == 50 {
                seen.store(progress.rows_read, SeqCst);
                held.release(Operation::Upload);
            }
        };
        let report = run(job, &options, &StopHandle::new(), observe).unwrap();
        let most = most.load(SeqCst);
        assert!(0 < most && most < ROWS / 2, "{most} rows were read while no blob could be written");
        assert_eq!(report.rows_delivered, ROWS);
        assert_eq!(service.count(DATABASE, TABLE), ROWS as usize);
    }
}
