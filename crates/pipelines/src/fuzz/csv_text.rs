//! csv: the scanner, the splitting into blocks, inference and conversion.

use std::sync::Arc;

use timely_kusto::{EncodedRows, Format};

use super::*;
use crate::convert::{BlockConverter, BoundColumn, Columns};
use crate::csv;
use crate::sample::Sample;
use crate::schema::TableSchema;

const EXAMPLES: &[&[u8]] = &[
    b"name,n,when\na,1,2020-01-01\n\"b, c\",2.5,2020-01-01T10:00:00Z\n",
    b"\xef\xbb\xbfk,v\r\n\"x \"\"y\"\" z\",\"1\r\n2\"\r\n,\r\n\r\nlast,",
    b"5\" pipe,true\n \"x\",FALSE\n\"\",1\n",
    "ü,{\"\"a\"\":1}\n\"{\"\"a\"\": [1, \"\"b\"\"]}\",74be27de-1e4e-49d9-b579-fe0b331d3642\n".as_bytes(),
    b"-1.02:03:04.5,1e308\n00:00:00,.5\n1.00:00:00,NaN\n",
    b"a\nb\nc\n\n\"\"\nd",
    b"007,9223372036854775807,1234567890123456789012345678901234\n-1,-9223372036854775808,0.1\n",
];

const WORDS: &[&str] = &[
    "\"",
    "\"\"",
    "\"\"\"",
    ",",
    ",,",
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "İ",
    "𝄞",
    "null",
    "-0",
    "1e999",
    "+",
    "1_000",
    "2020-02-30",
    "2020-01-01T00:00:00+18:00",
    "{\"a\":",
    "[[",
    " ",
    "\t",
    "\\",
    "x",
];

/// The records of a text, and what is wrong with the one after them.
fn scan(text: &str) -> (Vec<Vec<String>>, Option<csv::Malformed>) {
    let (mut records, mut at, mut scratch) = (Vec::new(), 0, String::new());
    while let Some(start) = csv::next_record(text, at) {
        let mut record = Vec::new();
        at = start;
        loop {
            let field = match csv::field(text, at) {
                Ok(field) => field,
                Err(malformed) => return (records, Some(malformed)),
            };
            assert!(field.next > at || field.last, "the scanner stands still at {at}");
            record.push(csv::content(&field, &mut scratch).to_owned());
            at = field.next;
            if field.last {
                break;
            }
        }
        records.push(record);
    }
    (records, None)
}

fn splitting_keeps_all(input: &[u8], source: &FileSource, chance: &mut Chance) {
    let text = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (whole, wrong) = scan(text);
    for budget in budgets(chance) {
        let (blocks, result) = blocks(source, budget);
        assert!(result.is_ok() || input.starts_with(b"\xff\xfe"), "{result:?}");
        let (mut records, mut malformed) = (Vec::new(), None);
        for block in &blocks {
            let (some, bad) = scan(std::str::from_utf8(&block.text).unwrap());
            records.extend(some);
            malformed = bad.map(|bad| bad.wrong);
            if malformed.is_some() {
                break;
            }
        }
        assert_eq!(malformed, wrong.map(|wrong| wrong.wrong), "{budget:?}");
        assert_eq!(records, whole, "{budget:?}");
    }
    let agreed = !text.replace("\r\n", "\n").contains('\r') && !text.starts_with('\u{feff}');
    if wrong.is_none() && agreed {
        assert_eq!(whole, by_the_csv_crate(text));
    }
}

/// The dialects agree on all that is well formed here, but for a carriage return on its own, which ends a record there,
/// and a second byte order mark, which is passed over there.
fn by_the_csv_crate(text: &str) -> Vec<Vec<String>> {
    let mut reader =
        ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Columns of the inferred types.
fn inferred(sample: &Sample) -> Arc<Columns> {
    let columns = sample.fields.iter().map(|field| BoundColumn {
        field: field.name.clone(),
        column: field.name.clone(),
        column_type: field.inferred,
    });
    Arc::new(Columns::new(columns.collect()))
}

/// The rows of all blocks, in `format`; how many there should be.
pub(super) fn converted(
    source: &FileSource,
    sample: &Sample,
    format: Format,
    budget: Budget,
) -> Result<EncodedRows, Error> {
    let files: Arc<[String]> = source.partitions()?.into();
    let mut converter = BlockConverter::new(files, source.options().format, inferred(sample), format);
    let mut rows = EncodedRows::default();
    for block in blocks(source, budget).0 {
        converter.convert(&block, &mut rows)?;
    }
    Ok(rows)
}

fn what_inference_says_is_converted(source: &FileSource, budget: Budget) {
    let Ok(sample) = Sample::of(source) else { return };
    assert!(sample.rows < Sample::ROWS, "the input is too long for this check");
    for format in [Format::Csv, Format::Json] {
        match converted(source, &sample, format, budget) {
            Ok(rows) => well_formed(&rows, &sample, format),
            Err(error) => assert!(error.to_string().contains("fields"), "{error}"),
        }
    }
}

/// Every row can be read again, and they are as many as the sample had.
pub(super) fn well_formed(rows: &EncodedRows, sample: &Sample, format: Format) {
    let text = std::str::from_utf8(rows.bytes()).unwrap();
    let count = match format {
        Format::Json => {
            let rows = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
            rows.map(Result::unwrap).count()
        }
        _ => by_the_csv_crate(text)
            .iter()
            .inspect(|row| assert_eq!(row.len(), sample.fields.len().max(1)))
            .count(),
    };
    assert_eq!(count as u64, sample.rows, "{text:?}");
}

#[test]
fn damaged_csv_has_the_same_records_in_blocks_of_every_size_and_by_the_csv_crate() {
    let scratch = Scratch::new("f.csv");
    fuzz("csv", ROUNDS, EXAMPLES, WORDS, |input, chance| {
        let source = scratch.source(FileFormat::Csv, input);
        within_memory(input.len(), || splitting_keeps_all(input, &source, chance));
    });
}

#[test]
fn damaged_csv_that_inference_understands_is_converted() {
    let scratch = Scratch::new("f.csv");
    fuzz("csv conversion", ROUNDS, EXAMPLES, WORDS, |input, chance| {
        let source = scratch.source(FileFormat::Csv, input);
        let budget = budgets(chance)[chance.below(3)];
        within_memory(input.len(), || what_inference_says_is_converted(&source, budget));
    });
}

#[test]
fn ten_thousand_fields_are_bound_at_once_and_more_are_refused() {
    let scratch = Scratch::new("f.csv");
    let mut options = FileOptions::new([&scratch.path], FileFormat::Csv);
    options.header = true;
    let source = FileSource::new(options).unwrap();
    for name in ["a", "$", "Ab c"] {
        let header = |count: usize| format!("{}\n", vec![name; count].join(","));
        std::fs::write(&scratch.path, header(Sample::FIELDS)).unwrap();
        let sample = Sample::of(&source).unwrap();
        let bound = TableSchema::for_fields("D", "T", &sample.fields).bind(&sample).unwrap();
        assert_eq!(bound.len(), Sample::FIELDS);
        std::fs::write(&scratch.path, header(Sample::FIELDS + 1)).unwrap();
        assert!(Sample::of(&source).unwrap_err().to_string().contains("10001 fields"));
    }
}
