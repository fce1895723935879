//! The list of options against the builder, the documentation, and what cannot work.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use kusto_client::{Backoff, IngestionMapping, Report};
use uuid::Uuid;

use super::{Delivery, Format, OPTIONS, OptionError, Retry, WriteOptions, WriteOptionsBuilder};
use super::{format_bytes, format_duration, parse_bytes, parse_duration};

fn builder() -> WriteOptionsBuilder {
    WriteOptions::builder().database("Samples").table("StormEvents")
}

fn from_text(name: &str, text: &str) -> Result<WriteOptions, OptionError> {
    let mut builder = builder();
    builder.set(name, text)?;
    builder.build()
}

#[test]
fn defaults_of_the_list_are_those_of_the_builder() {
    for info in OPTIONS.iter().filter(|info| !["", "required"].contains(&info.default)) {
        let options = from_text(info.name, info.default).unwrap();
        assert_eq!(options, builder().build().unwrap(), "{}", info.name);
    }
}

/// For every option, a text that is not its default.
const OTHERS: &[(&str, &str)] = &[
    ("database", "Other"),
    ("table", "Other table"),
    ("format", "json"),
    ("ingestion_mapping_ref", "M"),
    ("flush_immediately", "true"),
    ("additional_tags", "[\"a\",\"b, c\"]"),
    ("ingest_by_tags", "[\"a\"]"),
    ("drop_by_tags", "[\"a\"]"),
    ("ingest_if_not_exists", "[\"a\"]"),
    ("creation_time", "2020-01-01"),
    ("retain_blob_on_success", "true"),
    ("batch_rows", "1_000"),
    ("batch_interval", "1h 30min"),
    ("batch_bytes", "1GiB"),
    ("delivery", "queued"),
    ("poll_interval", "250ms"),
    ("poll_timeout", "2d"),
    ("retry_attempts", "5"),
    ("retry_backoff", "1s"),
    ("retry_max_backoff", "2min"),
    ("retry_timeout", "1h"),
    ("compression_level", "12"),
    ("memory", "300MB"),
    ("uploads", "16"),
    ("compressors", "2"),
];

#[test]
fn every_option_is_set_by_name_and_changes_something() {
    let defaults = builder().build().unwrap();
    for info in OPTIONS {
        let (_, text) = OTHERS.iter().find(|(name, _)| *name == info.name).unwrap();
        assert_ne!(from_text(info.name, text).unwrap(), defaults, "{}", info.name);
    }
    assert_eq!(OPTIONS.len(), OTHERS.len());
    assert_eq!(OPTIONS.iter().map(|info| info.name).collect::<HashSet<_>>().len(), OPTIONS.len());
}

#[test]
fn text_and_methods_set_the_same() {
    let mut text = WriteOptions::builder();
    for (name, value) in OTHERS {
        text.set(name, value).unwrap();
    }
    let methods = WriteOptions::builder()
        .database("Other")
        .table("Other table")
        .format(Format::Json)
        .ingestion_mapping_ref("M")
        .flush_immediately(true)
        .additional_tags(["a", "b, c"])
        .ingest_by_tags(["a"])
        .drop_by_tags(["a"])
        .ingest_if_not_exists(["a"])
        .creation_time("2020-01-01T00:00:00Z".parse().unwrap())
        .retain_blob_on_success(true)
        .batch_rows(1000)
        .batch_interval(Duration::from_secs(5400))
        .batch_bytes(1 << 30)
        .delivery(Delivery::Queued)
        .poll_interval(Duration::from_millis(250))
        .poll_timeout(Duration::from_secs(2 * 86_400))
        .retry_attempts(5)
        .retry_backoff(Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(120) })
        .retry_timeout(Duration::from_secs(3600))
        .compression_level(12)
        .memory(300_000_000)
        .uploads(16)
        .compressors(2);
    let options = methods.build().unwrap();
    assert_eq!(text.build().unwrap(), options);
    let retry = Retry {
        attempts: 5,
        backoff: Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(120) },
        total: Duration::from_secs(3600),
    };
    assert_eq!(options.retry(), retry);
    assert_eq!(options.compressors(), 2);
}

#[test]
fn what_cannot_work_is_refused_with_option_value_and_range() {
    let cases = [
        ("database", "", "required"),
        ("database", "a\nb", "'\\n'"),
        ("table", "a;b", "';'"),
        ("table", "__x", "underscores"),
        ("table", "x__", "underscores"),
        ("table", "kt_epochs", "write-ahead"),
        ("table", "kt_stage_0123", "write-ahead"),
        ("ingestion_mapping_ref", "", "empty"),
        ("ingestion_mapping_ref", "a\tb", "control"),
        ("additional_tags", "[\"\"]", "empty"),
        ("additional_tags", "[\"ingest-by:x\"]", "ingest_by_tags"),
        ("additional_tags", "[\"drop-by:x\"]", "drop_by_tags"),
        ("ingest_by_tags", "[\"ingest-by:x\"]", "prefix"),
        ("drop_by_tags", "[\"a\\u0000\"]", "control"),
        ("ingest_if_not_exists", "[\"ingest-by:x\"]", "prefix"),
        ("batch_rows", "0", "without rows"),
        ("batch_bytes", "0", "1 GB"),
        ("batch_bytes", "1025MiB", "1 GB"),
        ("batch_interval", "0s", "short"),
        ("batch_interval", "25h", "long"),
        ("poll_interval", "0s", "short"),
        ("poll_timeout", "0s", "short"),
        ("poll_timeout", "1s", "short"),
        ("poll_timeout", "8d", "long"),
        ("retry_attempts", "0", "first attempt"),
        ("retry_backoff", "31s", "long"),
        ("retry_max_backoff", "2h", "long"),
        ("retry_timeout", "0s", "short"),
        ("compression_level", "0", "levels"),
        ("compression_level", "13", "levels"),
        ("memory", "1MB", "two chunks"),
        ("uploads", "0", "finish"),
        ("compressors", "0", "finish"),
        ("compressors", "257", "finish"),
    ];
    for (name, text, reason) in cases {
        let error = from_text(name, text).unwrap_err();
        assert_eq!(error.option(), name, "{error}");
        assert!(error.reason().contains(reason), "{error}");
        assert!(!error.allowed().is_empty() && !error.value().is_empty(), "{error}");
    }
}

#[test]
fn text_that_is_no_value_is_refused_when_it_is_set() {
    let cases = [
        ("flush_immediately", "yes"),
        ("format", "parquet"),
        ("delivery", "exactly-once"),
        ("additional_tags", "a"),
        ("additional_tags", "[1]"),
        ("creation_time", "yesterday"),
        ("batch_rows", "many"),
        ("batch_interval", "30"),
        ("batch_bytes", "64 Mi"),
        ("compression_level", "99999999999999"),
    ];
    for (name, text) in cases {
        let error = builder().set(name, text).unwrap_err();
        assert_eq!((error.option(), error.value()), (name, text));
    }
}

#[test]
fn an_unknown_name_gives_the_nearest_one() {
    let error = builder().set("batch_intervall", "1s").unwrap_err();
    assert!(error.to_string().contains("batch_interval "), "{error}");
    let error = builder().set("poling_timeout", "1s").unwrap_err();
    assert!(error.to_string().contains("poll_timeout"), "{error}");
}

#[test]
fn names_as_long_as_the_service_allows_are_taken() {
    let longest = "ä".repeat(1024);
    assert!(builder().table(longest.clone()).build().is_ok());
    assert!(builder().table(longest + "x").build().is_err());
}

#[test]
fn a_chunk_is_a_batch_or_what_memory_holds_two_of_per_worker() {
    let options = builder().build().unwrap();
    assert_eq!(options.chunk_bytes(1), 16 << 20);
    assert_eq!(options.chunk_bytes(4), 8 << 20);
    assert_eq!(options.chunk_bytes(0), 16 << 20);
    assert_eq!(options.chunk_bytes(usize::MAX), 1);
    let small = builder().batch_bytes(4096).build().unwrap();
    assert_eq!(small.chunk_bytes(16), 4096);
}

#[test]
fn what_is_unwise_is_said() {
    let said = |builder: WriteOptionsBuilder| builder.build().unwrap().warnings();
    assert!(said(builder()).is_empty());
    let twice = said(builder().ingest_by_tags(["a"]).ingest_if_not_exists(["a"]));
    assert!(twice[0].contains("every blob after the first"), "{twice:?}");
    assert_eq!(said(builder().poll_timeout(Duration::from_secs(300))).len(), 1);
    assert_eq!(said(builder().delivery(Delivery::None)).len(), 1);
}

#[test]
fn the_queue_message_says_what_the_options_say() {
    let mut all = WriteOptions::builder();
    for (name, value) in OTHERS {
        all.set(name, value).unwrap();
    }
    let id = Uuid::from_u128(7);
    let options = all.build().unwrap();
    let mapping = options.mapping(Some(&["a".into()])).unwrap();
    assert_eq!(mapping, Some(IngestionMapping::Reference("M".into())));
    let said = options.ingestion(id, mapping.clone());
    assert_eq!((said.source_id, said.mapping), (id, mapping));
    assert_eq!((said.database.as_str(), said.table.as_str()), ("Other", "Other table"));
    assert_eq!(said.format, "multijson");
    assert_eq!(said.additional_tags, ["a", "b, c"]);
    assert_eq!((said.ingest_by_tags, said.drop_by_tags), (vec!["a".to_owned()], vec!["a".to_owned()]));
    assert_eq!(said.ingest_if_not_exists, ["a"]);
    assert_eq!(said.creation_time.as_deref(), Some("2020-01-01T00:00:00.0000000Z"));
    assert!(said.flush_immediately && said.retain_blob_on_success && !said.ignore_first_record);
    assert_eq!(said.report, Report::None);
}

#[test]
fn columns_become_an_inline_mapping_unless_one_is_named() {
    let options = builder().build().unwrap();
    assert_eq!(options.mapping(None).unwrap(), None);
    let Some(IngestionMapping::Inline(json)) = options.mapping(Some(&["a".into()])).unwrap() else {
        panic!("no inline mapping")
    };
    assert_eq!(json, r#"[{"Column":"a","Properties":{"Ordinal":"0"}}]"#);
    assert_eq!(options.ingestion(Uuid::nil(), None).report, Report::Table);
}

#[test]
fn durations_are_read_and_written() {
    let cases = [
        ("0s", 0),
        ("1ns", 1),
        ("250ms", 250_000_000),
        ("30s", 30_000_000_000),
        ("5min", 300_000_000_000),
        ("1h 30min", 5_400_000_000_000),
        ("2d", 172_800_000_000_000),
    ];
    for (text, nanos) in cases {
        assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)));
        assert_eq!(format_duration(Duration::from_nanos(nanos)), text);
    }
    assert_eq!(parse_duration(" 1h30m "), Ok(Duration::from_secs(5400)));
    assert_eq!(parse_duration("1_000 ms"), Ok(Duration::from_secs(1)));
    for wrong in
        ["", "30", "s", "1.5s", "-1s", "30 s x", "1y", "1S", "99999999999999999999s", "600d 999999999999h"]
    {
        assert!(parse_duration(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn sizes_are_read_and_written() {
    let cases = [
        ("0B", 0),
        ("1B", 1),
        ("1000B", 1000),
        ("1KiB", 1024),
        ("64MiB", 64 << 20),
        ("3GiB", 3 << 30),
        ("1TiB", 1 << 40),
    ];
    for (text, bytes) in cases {
        assert_eq!(parse_bytes(text), Ok(bytes));
        assert_eq!(format_bytes(bytes), text);
    }
    assert_eq!(parse_bytes("1_000"), Ok(1000));
    assert_eq!(parse_bytes("300 MB"), Ok(300_000_000));
    for wrong in ["", "x", "1XB", "-1", "1.5MiB", "_1", "99999999999999999999", "16777216TiB"] {
        assert!(parse_bytes(wrong).is_err(), "{wrong}");
    }
}

/// The documentation, made from the list.
fn documentation() -> String {
    let mut text = String::from(include_str!("write-options.head.md"));
    for info in OPTIONS {
        let cell = |text: &str| text.replace('|', "\\|");
        let code = |text: &str| if text.is_empty() { "not set".to_owned() } else { format!("`{text}`") };
        let default = if info.default == "required" { "required".to_owned() } else { code(info.default) };
        let flink = if info.flink_name.is_empty() { "" } else { info.flink_name };
        let row = [info.kind, &default, info.range, info.reason, flink].map(cell).join(" | ");
        text.push_str(&format!("| `{}` | {row} |\n", info.name));
    }
    text
}

#[test]
fn the_documentation_has_the_options_as_the_code_has_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/write-options.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, documentation()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == documentation(),
        "docs/write-options.md is out of date: run the tests with UPDATE_DOCS=1 set"
    );
}
