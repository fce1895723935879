//! What the table is to hold, and whether it does: rows of the source and rows of the table, each as often.
//!
//! ```text
//! source ── pipelines: read, checked against the table's columns ─► one text per row ─┐
//!                                                                                    ├─► digest ─► +1 / -1
//! table  ── query, page by page ─────────────────────────────────► one text per row ─┘
//! ```
//! The way of the source's rows has nothing of the sink in it: neither epochs, chunks, positions nor workers. Values are
//! compared in one form of the several that a type has as text. Memory is bounded: rows are compared by digests of 128 bits,
//! and in several passes over both when there are many.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use kusto_client::{Service, quote_name};
use kusto_emulator::Handle;
use pipelines::PipelineOptions;
use pipelines::convert::{BlockConverter, BoundColumn, Columns};
use pipelines::file::{FileOptions, FileSource};
use pipelines::generator::{COLUMNS, GeneratorOptions, StormSource};
use pipelines::options::SourceOptions;
use pipelines::sample::Sample;
use pipelines::schema::TableSchema;
use pipelines::source::{Budget, Polled, Source as _};
use pipelines::types::ColumnType;
use serde_json::Value;
use timely_kusto::types::{DateTime, Timespan};
use timely_kusto::{EncodedRows, Format};

/// Rows that a pass compares, at most: some 100 MB of counts.
const ROWS_OF_A_PASS: u64 = 2_000_000;
/// Rows of one answer of the cluster.
const PAGE: u64 = 10_000;
/// Rows that are shown of each kind of difference.
const SHOWN: usize = 3;

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// Rows of the source.
    pub(super) rows: u64,
    /// Rows of the source that the table has not, or not often enough.
    pub(super) lost: u64,
    /// Rows that the table has more often than the source.
    pub(super) repeated: u64,
    /// Rows of the table that the source does not have at all.
    pub(super) strange: u64,
    /// Some of them.
    pub(super) examples: Vec<String>,
}

impl Compared {
    pub(super) fn agrees(&self) -> bool {
        (self.lost, self.repeated, self.strange) == (0, 0, 0)
    }
}

/// The table to compare with.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) handle: &'a Handle,
    pub(super) database: &'a str,
    pub(super) table: &'a str,
}

/// Why no comparison was possible.
pub(super) type Error = String;

/// A source, read without a sink.
#[derive(Debug)]
pub(super) struct Expected {
    source: Input,
    columns: Vec<(String, ColumnType)>,
}

#[derive(Debug)]
enum Input {
    File(FileSource, Arc<Columns>),
    Generator(StormSource),
}

impl Expected {
    /// The source of these options for the table as the cluster has it.
    pub(super) async fn new(options: &PipelineOptions, service: &dyn Service) -> Result<Self, Error> {
        match &options.source {
            SourceOptions::File(file) => Self::of_files(file, options, service).await,
            SourceOptions::Generator(generator) => Self::of_generator(generator),
            other => Err(format!("rows of {other:?} cannot be compared")),
        }
    }

    async fn of_files(
        file: &FileOptions,
        options: &PipelineOptions,
        service: &dyn Service,
    ) -> Result<Self, Error> {
        let (database, table) = (options.sink.write.database(), options.sink.write.table());
        let schema = TableSchema::read(service, database, table).await.map_err(text)?;
        let schema = schema.ok_or_else(|| format!("there is no table {database}.{table}"))?;
        let source = FileSource::new(file.clone()).map_err(text)?;
        let bound = schema.bind(&Sample::of(&source).map_err(text)?).map_err(text)?;
        let columns =
            bound.iter().map(|column: &BoundColumn| (column.column.clone(), column.column_type)).collect();
        let mut bound = Columns::new(bound);
        bound.max_value_bytes = options.sink.max_value_bytes;
        Ok(Expected { source: Input::File(source, Arc::new(bound)), columns })
    }

    fn of_generator(generator: &GeneratorOptions) -> Result<Self, Error> {
        let source = StormSource::new(generator.clone()).map_err(text)?;
        let column = |(name, kind): &(&str, &str)| {
            ColumnType::from_name(kind)
                .map(|kind| ((*name).to_owned(), kind))
                .ok_or_else(|| format!("no type {kind}"))
        };
        Ok(Expected {
            source: Input::Generator(source),
            columns: COLUMNS.iter().map(column).collect::<Result<_, _>>()?,
        })
    }

    /// Compares the table with the source; `go_on` is asked now and then.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub(super) fn compare(&self, target: &Target<'_>, go_on: &dyn Fn() -> bool) -> Result<Compared, Error> {
        self.compare_by(target, ROWS_OF_A_PASS, go_on)
    }

    fn compare_by(
        &self,
        target: &Target<'_>,
        rows_of_a_pass: u64,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Compared, Error> {
        let rows = self.count(go_on)?;
        let passes = rows.max(target.count()?).div_ceil(rows_of_a_pass).max(1);
        let mut compared = Compared { rows, ..Compared::default() };
        for pass in 0..passes {
            let mut counts = Counts { pass, passes, rows: HashMap::new() };
            self.each(&mut |row| counts.add(row, (1, 0)), go_on)?;
            target.each(&self.columns, &mut |row| counts.add(row, (0, 1)), go_on)?;
            let differing = counts.differing(&mut compared);
            self.show(target, &differing, &mut compared.examples, go_on)?;
        }
        Ok(compared)
    }

    /// The number of rows.
    pub(super) fn count(&self, go_on: &dyn Fn() -> bool) -> Result<u64, Error> {
        let mut rows = 0;
        self.each(&mut |_| rows += 1, go_on)?;
        Ok(rows)
    }

    fn show(
        &self,
        target: &Target<'_>,
        differing: &HashMap<u128, (u32, u32)>,
        examples: &mut Vec<String>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        if differing.is_empty() || examples.len() >= 3 * SHOWN {
            return Ok(());
        }
        let mut shown = HashMap::new();
        let mut look = |row: &str| {
            if let Some((expected, found)) = differing.get(&digest(row)) {
                shown.entry(row.to_owned()).or_insert((*expected, *found));
            }
        };
        self.each(&mut look, go_on)?;
        target.each(&self.columns, &mut look, go_on)?;
        let line = |(row, (expected, found)): (String, (u32, u32))| {
            format!("{found} times instead of {expected}: {}", row.replace(SEPARATOR, " | "))
        };
        examples.extend(shown.into_iter().map(line).take(3 * SHOWN));
        Ok(())
    }

    fn each(&self, take: &mut dyn FnMut(&str), go_on: &dyn Fn() -> bool) -> Result<(), Error> {
        let mut row = Row { columns: &self.columns, text: String::new() };
        match &self.source {
            Input::Generator(source) => each_batch(source, go_on, |storms| {
                for storm in storms {
                    let storm = serde_json::to_value(storm).map_err(text)?;
                    take(row.of(|_, name| &storm[name])?);
                }
                Ok(())
            }),
            Input::File(source, columns) => {
                let files = source.partitions().map_err(text)?.into();
                let mut converter =
                    BlockConverter::new(files, source.options().format, Arc::clone(columns), Format::Json);
                let mut rows = EncodedRows::default();
                each_batch(source, go_on, |block| {
                    rows.clear();
                    converter.convert(&block, &mut rows).map_err(text)?;
                    for encoded in rows.rows() {
                        let object: Value = serde_json::from_slice(encoded).map_err(text)?;
                        take(row.of(|_, name| &object[name])?);
                    }
                    Ok(())
                })
            }
        }
    }
}

/// Reads all partitions of a source, one after the other.
fn each_batch<S: pipelines::source::Source>(
    source: &S,
    go_on: &dyn Fn() -> bool,
    mut take: impl FnMut(S::Batch) -> Result<(), Error>,
) -> Result<(), Error> {
    for partition in source.partitions().map_err(text)? {
        let mut reader = source.open(&partition, None).map_err(text)?;
        loop {
            check(go_on)?;
            match reader.poll(Budget::DEFAULT).map_err(text)? {
                Polled::Batch(batch) => take(batch)?,
                Polled::Pending(pause) => std::thread::sleep(pause),
                Polled::End => break,
            }
        }
    }
    Ok(())
}

impl Target<'_> {
    /// Rows of the table, as the cluster counts them.
    pub(super) fn count(&self) -> Result<u64, Error> {
        let answer =
            self.handle.query(self.database, &format!("{} | count", quote_name(self.table))).map_err(text)?;
        answer.first().and_then(|row| row[0].as_u64()).ok_or_else(|| "a count without a number".to_owned())
    }

    fn each(
        &self,
        columns: &[(String, ColumnType)],
        take: &mut dyn FnMut(&str),
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let mut row = Row { columns, text: String::new() };
        let names: Vec<_> = columns.iter().map(|(name, _)| quote_name(name)).collect();
        let table = quote_name(self.table);
        let extents = format!(".show table {table} extents | project ExtentId, RowCount");
        for extent in self.handle.command(self.database, &extents).map_err(text)? {
            let (id, rows) = (extent[0].as_str().unwrap_or_default(), extent[1].as_u64().unwrap_or_default());
            for first in (1..=rows).step_by(PAGE as usize) {
                check(go_on)?;
                let query = format!(
                    "set notruncation; {table} | where extent_id() == guid({id}) | serialize kt_row = row_number() \
                     | where kt_row between ({first} .. {}) | project {}",
                    first + PAGE - 1,
                    names.join(", ")
                );
                for found in self.handle.query(self.database, &query).map_err(text)? {
                    take(row.of(|index, _| &found[index])?);
                }
            }
        }
        Ok(())
    }
}

fn check(go_on: &dyn Fn() -> bool) -> Result<(), Error> {
    if go_on() { Ok(()) } else { Err("it was stopped".to_owned()) }
}

/// How often rows of one pass were found in the source, and in the table.
struct Counts {
    pass: u64,
    passes: u64,
    rows: HashMap<u128, (u32, u32)>,
}

impl Counts {
    fn add(&mut self, row: &str, more: (u32, u32)) {
        let digest = digest(row);
        if (digest as u64) % self.passes == self.pass {
            let counts = self.rows.entry(digest).or_default();
            *counts = (counts.0 + more.0, counts.1 + more.1);
        }
    }

    /// Adds up what differs, and gives some of it.
    fn differing(self, compared: &mut Compared) -> HashMap<u128, (u32, u32)> {
        let mut shown = HashMap::new();
        let mut kinds = [0; 3];
        for (digest, (expected, found)) in
            self.rows.into_iter().filter(|(_, (expected, found))| expected != found)
        {
            let (kind, total, rows) = match (expected, found) {
                (0, found) => (0, &mut compared.strange, found),
                (expected, found) if found > expected => (1, &mut compared.repeated, found - expected),
                (expected, found) => (2, &mut compared.lost, expected - found),
            };
            *total += u64::from(rows);
            kinds[kind] += 1;
            if kinds[kind] <= SHOWN {
                shown.insert(digest, (expected, found));
            }
        }
        shown
    }
}

/// 128 bits of a row: two hashes of 64, which are the same for the same row in this process.
fn digest(row: &str) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, row).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

/// Stands between two values: no type but string can hold it, and there it is escaped.
const SEPARATOR: char = '\u{1f}';

/// Puts a row into one text; the buffer is used again.
struct Row<'a> {
    columns: &'a [(String, ColumnType)],
    text: String,
}

impl Row<'_> {
    fn of<'v>(&mut self, value: impl Fn(usize, &str) -> &'v Value) -> Result<&str, Error> {
        self.text.clear();
        for (index, (name, kind)) in self.columns.iter().enumerate() {
            if index > 0 {
                self.text.push(SEPARATOR);
            }
            let value = value(index, name);
            canonical(value, *kind, &mut self.text)
                .map_err(|why| format!("{name}: {value} is no {kind}: {why}"))?;
        }
        Ok(&self.text)
    }
}

/// One text for a value, of the several that its type has. A null is nothing at all, and a string has quotes.
fn canonical(value: &Value, kind: ColumnType, out: &mut String) -> Result<(), Error> {
    let owned;
    let given = match value {
        Value::Null => return Ok(()),
        Value::String(given) => given.as_str(),
        other => {
            owned = other.to_string();
            &owned
        }
    };
    match kind {
        ColumnType::String => out.push_str(&Value::from(given).to_string()),
        ColumnType::Dynamic => {
            let mut bag = value.clone();
            bag.sort_all_objects();
            out.push_str(&bag.to_string());
        }
        ColumnType::Real => {
            let number: f64 = given.parse().map_err(text)?;
            let _ = write!(out, "{number:?}"); // writing to a String cannot fail
        }
        ColumnType::Int | ColumnType::Long => {
            let number: i64 = given.parse().map_err(text)?;
            let _ = write!(out, "{number}");
        }
        ColumnType::Decimal => {
            let number: timely_kusto::types::Decimal = given.parse().map_err(text)?;
            out.push_str(&plain_decimal(&number.to_string()));
        }
        ColumnType::DateTime => {
            let time: DateTime = given.parse().map_err(text)?;
            let _ = write!(out, "{time}");
        }
        ColumnType::TimeSpan => {
            let length: Timespan = given.parse().map_err(text)?;
            let _ = write!(out, "{length}");
        }
        ColumnType::Guid | ColumnType::Bool => out.push_str(&given.to_lowercase()),
    }
    Ok(())
}

/// Sign, digits without zeros at either end, and the power of ten.
fn plain_decimal(text: &str) -> String {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0').trim_end_matches('0');
    if digits.is_empty() {
        return "0".to_owned();
    }
    let zeros = all.len() - all.trim_end_matches('0').len();
    let power = exponent.parse::<i64>().unwrap_or(0) - fraction.len() as i64 + zeros as i64;
    format!("{sign}{digits}e{power}")
}

fn text(error: impl std::fmt::Display) -> Error {
    error.to_string()
}

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod tests;
