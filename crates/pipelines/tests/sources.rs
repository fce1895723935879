//! Every source keeps the promises of the seam.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{csv_records, json_records};
use pipelines::generator::{GeneratorOptions, StormSource};
use pipelines::source::{MemorySource, Source};
use pipelines::testing::{Fault, FaultySource, conformance};

fn numbers() -> MemorySource<u64> {
    let partitions = [("even", 0), ("odd", 17), ("empty", 0)];
    let records = |(name, count): (&str, u64)| (name.to_owned(), (0..count).collect());
    MemorySource::new("numbers", partitions.into_iter().map(records).collect())
}

fn number_records(batch: &[u64]) -> Vec<Vec<u8>> {
    batch.iter().map(|number| number.to_le_bytes().to_vec()).collect()
}

#[test]
fn the_source_in_memory_keeps_the_promises() {
    conformance::check(&numbers(), |batch| number_records(batch));
}

#[test]
fn a_source_that_has_to_wait_and_gives_little_keeps_the_promises() {
    conformance::check(&FaultySource::new(numbers(), Fault::Pending { every: 3 }), |batch| {
        number_records(batch)
    });
    conformance::check(&FaultySource::new(numbers(), Fault::Small { rows: 2 }), |batch| {
        number_records(batch)
    });
}

#[test]
fn the_generator_keeps_the_promises() {
    for rows in [0, 1, 5, 40] {
        let source = StormSource::new(GeneratorOptions { rows: Some(rows), partitions: 3, seed: 7 }).unwrap();
        conformance::check(&source, |batch| {
            batch.iter().map(|storm| format!("{storm:?}").into_bytes()).collect()
        });
    }
}

#[test]
fn the_generator_gives_the_same_rows_whatever_the_number_of_partitions() {
    let rows = |partitions| {
        let source = StormSource::new(GeneratorOptions { rows: Some(100), partitions, seed: 3 }).unwrap();
        let mut ids = Vec::new();
        for name in source.partitions().unwrap() {
            let mut reader = source.open(&name, None).unwrap();
            while let pipelines::source::Polled::Batch(batch) =
                reader.poll(pipelines::source::Budget::DEFAULT).unwrap()
            {
                ids.extend(batch.into_iter().map(|storm| storm.event_id));
            }
        }
        ids.sort();
        ids
    };
    assert_eq!(rows(1).len(), 100);
    assert_eq!(rows(1), rows(16));
    assert_eq!(rows(16), rows(101));
}

const CSV: &[(&str, &str)] = &[
    ("empty", ""),
    ("header only", "a,b,c\n"),
    ("header without line end", "a,b,c"),
    ("one row", "a,b\n1,2\n"),
    ("no last line end", "a,b\n1,2\n3,4"),
    ("line ends of Windows", "a,b\r\n1,2\r\n3,4\r\n"),
    ("blank lines", "\n\na,b\n\n1,2\n\n\r\n3,4\n\n"),
    ("byte order mark", "\u{feff}a,b\n1,2\n3,4\n"),
    ("quotes", "a,b\n\"x, y\",\"z \"\"q\"\"\"\n\"two\nlines\",\"\"\nbare \"quote\",5\" pipe\n"),
    ("header with a line break", "\"a\nb\",c\n1,2\n3,4\n5,6\n7,8\n"),
];

#[test]
fn csv_files_keep_the_promises_plain_and_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let long: String =
        (0..500).map(|row| format!("{row},\"text {row}, with a \"\"quote\"\"\nand a line\"\r\n")).collect();
    let long = format!("n,text\r\n{long}");
    for (what, text) in CSV.iter().copied().chain([("long", long.as_str())]) {
        println!("{what}");
        conformance::check(&common::csv(&common::write(dir.path(), "a.csv", text)), csv_records);
        let plain = common::csv_without_header(&common::write(dir.path(), "b.csv", text));
        conformance::check(&plain, csv_records);
        let packed = common::write_gzip(dir.path(), "a.csv.gz", text.as_bytes(), 3);
        conformance::check(&common::csv(&packed), csv_records);
    }
}

#[test]
fn json_files_keep_the_promises_plain_and_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let tricky = r#"{"a":"}]{[\"\\","b":{"c":[1,{"d":"\u0022"}]}}"#;
    let lines: String = (0..100).map(|row| format!("{{\"n\":{row},\"t\":{tricky}}}\n")).collect();
    let array: Vec<String> =
        (0..100).map(|row| format!("  {{\n \"n\": {row},\n \"t\": {tricky} }}")).collect();
    let texts = [
        ("empty", String::new()),
        ("blank", " \n\n ".to_owned()),
        ("one", tricky.to_owned()),
        ("lines", lines.clone()),
        ("lines of Windows with blank ones", lines.replace('\n', "\r\n\r\n")),
        ("one over several lines", "\n{\n \"n\": 1,\n \"t\": {}\n}".to_owned()),
        ("objects over several lines", array.join("\n\n")),
        ("objects one after another", array.join("")),
        ("empty array", "[ ]\n".to_owned()),
        ("array", format!("[{}]", array.join(","))),
        ("array on one line", format!("[{}]", vec![tricky; 50].join(","))),
        ("array with byte order mark", format!("\u{feff}[\n{}\n]\n\n", array.join("\n,\n"))),
    ];
    for (what, text) in texts {
        println!("{what}");
        conformance::check(&common::json(&common::write(dir.path(), "a.json", &text)), json_records);
        let packed = common::write_gzip(dir.path(), "a.json.gz", text.as_bytes(), 2);
        conformance::check(&common::json(&packed), json_records);
    }
}
