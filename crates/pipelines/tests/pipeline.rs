//! A pipeline by its options: the table is made or looked at, the columns are bound, the rows arrive.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kusto_client::testing::MemoryService;
use kusto_client::{Column, Service, Table};
use pipelines::file::{FileFormat, FileOptions};
use pipelines::generator::GeneratorOptions;
use pipelines::options::{JobOptions, SinkMode, SinkOptions, SourceOptions};
use pipelines::{Error, ErrorKind, Pipeline, PipelineOptions, Report, StopHandle, Topology};
use serde_json::{Value, json};
use timely_kusto::{Format, WriteOptions};

/// A cluster whose tables have schemas: what `.create table` is given, `.show table` shows.
fn cluster(columns: Option<&str>) -> MemoryService {
    let service = MemoryService::new();
    let schema: Mutex<Option<String>> = Mutex::new(columns.map(str::to_owned));
    service.on_command(move |_, command| {
        let mut schema = schema.lock().unwrap();
        if let Some(columns) = command.strip_prefix(".create table T (") {
            let given = columns.strip_suffix(')').unwrap().to_owned();
            schema.get_or_insert(given);
        } else if !command.starts_with(".show table T schema") {
            return None;
        }
        Some(schema.as_deref().map(shown).ok_or_else(|| {
            kusto_client::Error::new(
                kusto_client::ErrorKind::BadRequest,
                "run a command",
                "T",
                "'T' was not found",
            )
            .with_code(Some("BadRequest_EntityNotFound".into()))
        }))
    });
    service
}

fn shown(columns: &str) -> Table {
    let columns: Vec<Value> = columns
        .split(", ")
        .map(|column| column.split_once(": ").unwrap())
        .map(|(name, kind)| json!({"Name": name, "CslType": kind}))
        .collect();
    let schema = json!({"Name": "T", "OrderedColumns": columns}).to_string();
    let column = |name: &str| Column { name: name.into(), column_type: "string".into() };
    Table {
        name: "PrimaryResult".into(),
        columns: vec![column("TableName"), column("Schema")],
        rows: vec![vec![json!("T"), json!(schema)]],
    }
}

fn options(source: SourceOptions, state: &Path, create: bool, format: Format) -> PipelineOptions {
    let write = WriteOptions::builder().database("D").table("T").format(format);
    let write = write.batch_interval(Duration::from_millis(50)).build().unwrap();
    PipelineOptions {
        job: JobOptions {
            checkpoint_interval: Duration::from_millis(100),
            ..JobOptions::new("strikes", state)
        },
        source,
        rate: None,
        sink: SinkOptions { create, ..SinkOptions::new(write) },
    }
}

fn prepare(options: PipelineOptions, service: &dyn Service) -> Result<Pipeline, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Pipeline::prepare(options, service, "memory"))
}

fn run(pipeline: Pipeline, service: &MemoryService) -> Result<Report, Error> {
    pipeline.run(Arc::new(service.clone()), Topology::workers(2), &StopHandle::new(), |_| {})
}

fn strikes() -> SourceOptions {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/strikes.csv");
    SourceOptions::File(FileOptions::new([path], FileFormat::Csv))
}

#[test]
fn a_missing_table_is_created_and_filled_with_what_the_file_says() {
    let (service, state) = (cluster(None), tempfile::tempdir().unwrap());
    let pipeline = prepare(options(strikes(), state.path(), true, Format::Csv), &service).unwrap();
    assert!(
        pipeline.created().unwrap().starts_with(".create table T (AirportName: string, FlightDate: datetime")
    );
    let report = run(pipeline, &service).unwrap();
    assert_eq!((report.rows_read, report.rows_delivered, report.blobs > 0), (200, 200, true));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/strikes.csv");
    let mut reader = csv::Reader::from_path(path).unwrap();
    let mut expected: Vec<Vec<String>> =
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    expected.iter_mut().for_each(|row| row[1].push_str("T00:00:00Z"));
    let mut found = service.rows("D", "T");
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn rows_can_be_sent_as_json() {
    let (service, state) = (cluster(None), tempfile::tempdir().unwrap());
    let pipeline = prepare(options(strikes(), state.path(), true, Format::Json), &service).unwrap();
    run(pipeline, &service).unwrap();
    let rows = service.json_rows("D", "T");
    assert_eq!(rows.len(), 200);
    assert!(rows.iter().all(|row| row["AirportName"].is_string() && row["CostTotal"].is_number()));
}

#[test]
fn a_missing_table_that_is_not_to_be_created_is_an_error_with_the_command() {
    let (service, state) = (cluster(None), tempfile::tempdir().unwrap());
    let error = prepare(options(strikes(), state.path(), false, Format::Csv), &service).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!(error.to_string().contains(".create table T (AirportName: string"), "{error}");
    assert!(error.to_string().contains("create = true"), "{error}");
}

#[test]
fn a_table_that_exists_is_not_altered_and_must_have_every_column() {
    let (service, state) =
        (cluster(Some("AirportName: string, FlightDate: datetime")), tempfile::tempdir().unwrap());
    let error = prepare(options(strikes(), state.path(), true, Format::Csv), &service).unwrap_err();
    assert!(error.to_string().contains("no column for \"Wildlife Size\", \"Cost Total $\""), "{error}");
    assert!(service.commands().iter().all(|(_, command)| command.starts_with(".show")));
}

#[test]
fn generated_rows_arrive_through_the_typed_encoder() {
    let (service, state) = (cluster(None), tempfile::tempdir().unwrap());
    let source = || SourceOptions::Generator(GeneratorOptions { rows: Some(1000), ..Default::default() });
    let pipeline = prepare(options(source(), state.path(), true, Format::Csv), &service).unwrap();
    assert!(pipeline.created().unwrap().contains("EventId: guid, StartTime: datetime"));
    run(pipeline, &service).unwrap();
    assert_eq!(service.count("D", "T"), 1000);
    let other = cluster(Some("EventId: guid"));
    let error = prepare(options(source(), state.path(), true, Format::Csv), &other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
}

#[test]
fn an_empty_file_with_a_header_fills_nothing_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let service = cluster(None);
    let path = common::write(dir.path(), "a.csv", "a,b\n");
    let source = SourceOptions::File(FileOptions::new([path], FileFormat::Csv));
    let pipeline = prepare(options(source, &dir.path().join("state"), true, Format::Csv), &service).unwrap();
    assert_eq!(pipeline.created(), Some(".create table T (a: string, b: string)"));
    assert_eq!(run(pipeline, &service).unwrap().rows_read, 0);
    let path = common::write(dir.path(), "empty.csv", "");
    let source = SourceOptions::File(FileOptions::new([path], FileFormat::Csv));
    let error =
        prepare(options(source, &dir.path().join("state"), true, Format::Csv), &cluster(None)).unwrap_err();
    assert!(error.to_string().contains("no fields to make one of"), "{error}");
}

#[test]
fn options_that_cannot_work_are_named_before_anything_is_touched() {
    let state = Path::new("state");
    let with = |change: fn(&mut PipelineOptions)| {
        let mut options = options(strikes(), state, false, Format::Csv);
        change(&mut options);
        options.validate().unwrap_err().to_string()
    };
    assert!(with(|options| options.job.name = "Storms!".into()).contains("name is \"Storms!\""));
    assert!(
        with(|options| options.job.checkpoint_interval = Duration::ZERO)
            .contains("checkpoint_interval is 0ns")
    );
    assert!(with(|options| options.job.state = "".into()).contains("state is empty"));
    assert!(with(|options| options.rate = Some(0)).contains("rate is 0"));
    assert!(with(|options| options.sink.max_value_bytes = 33 << 20).contains("max_value_bytes is 34603008"));
    assert!(with(|options| options.job.stop_timeout = Duration::ZERO).contains("stop_timeout is 0ns"));
    let mut largest = options(strikes(), state, false, Format::Csv);
    (largest.sink.mode, largest.sink.max_value_bytes) = (SinkMode::WriteAhead, 32 << 20);
    largest.validate().unwrap();
    let generator = SourceOptions::Generator(GeneratorOptions { partitions: 0, ..Default::default() });
    let wrong = options(generator, state, false, Format::Csv).validate().unwrap_err();
    assert!(wrong.to_string().contains("partitions is 0"), "{wrong}");
}
