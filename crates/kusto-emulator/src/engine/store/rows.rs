//! The file of an extent: lines of JSON, for people and their tools.
//!
//! ```text
//! {"format":"kusto-emulator-extent","version":1,"rows":2,"columns":[{"name":"n","type":"long"},{"name":"d","type":"dynamic"}]}
//! [1,"{\"a\":1}"]
//! [null,"[2]"]
//! {"crc32":"1c291ca3"}
//! ```
//!
//! A line per row, its values in the order of the columns, written as answers write them; a `dynamic` is a string with its
//! JSON in it. Names are those of the columns when the file was written. The last line has the CRC-32 (as in gzip) of all
//! bytes before it.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::super::extent::ExtentColumns;
use super::{StoreError, files};
use crate::data::{ColumnBuilder, ColumnData, ColumnType, Schema, Value, write_json_string};

const FORMAT: &str = "kusto-emulator-extent";
const VERSION: u32 = 1;

/// Text that gathers before it is written.
const BUFFER_BYTES: usize = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    rows: usize,
    columns: Vec<HeaderColumn>,
}

#[derive(Debug, Serialize, Deserialize)]
struct HeaderColumn {
    name: String,
    r#type: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Trailer {
    crc32: String,
}

/// Writes the file at `path`.
pub(super) fn write(path: &Path, schema: &Schema, columns: &ExtentColumns) -> Result<(), StoreError> {
    let mut file = files::create_private(path)?;
    write_to(&mut file, schema, columns).map_err(|source| StoreError::io("write", path, source))
}

fn write_to(file: &mut impl Write, schema: &Schema, columns: &ExtentColumns) -> io::Result<()> {
    let (rows, mut crc) = (columns.first().map_or(0, |column| column.len()), flate2::Crc::new());
    let mut text = serde_json::to_string(&header(schema, rows))?;
    text.push('\n');
    for row in 0..rows {
        write_row(columns, row, &mut text);
        if text.len() >= BUFFER_BYTES {
            crc.update(text.as_bytes());
            file.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    crc.update(text.as_bytes());
    text.push_str(&trailer(crc.sum()));
    file.write_all(text.as_bytes())
}

fn header(schema: &Schema, rows: usize) -> Header {
    let column = |column: &crate::data::Column| HeaderColumn {
        name: column.name.clone(),
        r#type: column.ty.csl_name().to_owned(),
    };
    let columns = schema.columns.iter().map(column).collect();
    Header { format: FORMAT.to_owned(), version: VERSION, rows, columns }
}

fn trailer(sum: u32) -> String {
    format!("{{\"crc32\":\"{sum:08x}\"}}\n")
}

fn write_row(columns: &[Arc<ColumnData>], row: usize, text: &mut String) {
    for (at, column) in columns.iter().enumerate() {
        text.push(if at == 0 { '[' } else { ',' });
        match column.text(row) {
            Some(json) if column.ty() == ColumnType::Dynamic && !column.is_null(row) => {
                write_json_string(json, text);
            }
            _ => column.write_json(row, text),
        }
    }
    text.push_str("]\n");
}

/// Reads the file at `path`.
pub(super) fn read(path: &Path) -> Result<ExtentColumns, StoreError> {
    let bytes = std::fs::read(path).map_err(|source| StoreError::io("read", path, source))?;
    let damaged = |what: String| StoreError::damaged(path, what);
    let body = checked(&bytes).ok_or_else(|| damaged("its checksum fails".to_owned()))?;
    let mut lines = body.split_inclusive(|byte| *byte == b'\n');
    let header: Header = serde_json::from_slice(lines.next().unwrap_or_default())
        .map_err(|error| damaged(format!("line 1: {error}")))?;
    if header.format != FORMAT || header.version != VERSION {
        let found = format!("{} {}", header.format, header.version);
        return Err(StoreError::Version { path: path.to_owned(), found, expected: VERSION });
    }
    let builder = |column: &HeaderColumn| {
        let ty = ColumnType::parse(&column.r#type);
        ty.map(|ty| ColumnBuilder::with_capacity(ty, header.rows.min(body.len())))
    };
    let builders = header.columns.iter().map(builder).collect::<Option<Vec<_>>>();
    let mut builders = builders.ok_or_else(|| damaged("line 1: a type that nobody knows".to_owned()))?;
    for (number, line) in lines.enumerate() {
        let mut line = serde_json::Deserializer::from_slice(line);
        let read = Row(&mut builders).deserialize(&mut line);
        read.map_err(|error| damaged(format!("line {}: {error}", number + 2)))?;
    }
    Ok(builders.into_iter().map(|builder| Arc::new(builder.finish())).collect())
}

/// What stands before the last line, if that has its checksum.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.strip_suffix(b"\n")?.iter().rposition(|byte| *byte == b'\n')? + 1;
    let (body, last) = bytes.split_at(end);
    (last == trailer(files::checksum(body)).as_bytes()).then_some(body)
}

/// Reads a line into the columns.
struct Row<'a>(&'a mut [ColumnBuilder]);

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {} values", self.0.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let expected = self.0.len();
        for (at, builder) in self.0.iter_mut().enumerate() {
            values.next_element_seed(Cell(builder))?.ok_or_else(|| A::Error::invalid_length(at, &"more"))?;
        }
        match values.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::invalid_length(expected + 1, &"fewer")),
        }
    }
}

/// Reads a value into its column.
struct Cell<'a>(&'a mut ColumnBuilder);

impl Cell<'_> {
    fn push<E: Error>(self, value: &Value) -> Result<(), E> {
        self.0.push_value(value);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Cell<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Cell<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of type {}", self.0.ty())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.push_null();
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.push(&Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        match self.0.ty() {
            ColumnType::Int => self.push(&Value::Int(i32::try_from(value).map_err(E::custom)?)),
            _ => self.push(&Value::Long(value)),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.visit_i64(i64::try_from(value).map_err(E::custom)?)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.push(&Value::Real(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.0.push_text(text) || self.0.ty() == ColumnType::String {
            Ok(())
        } else {
            Err(E::custom(format!("'{text}' is no {}", self.0.ty())))
        }
    }
}
