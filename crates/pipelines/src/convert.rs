//! Blocks of a file into rows of the sink, every field checked against the type of its column.
//!
//! ```text
//! Block ─► csv fields / json members ─► types::value ─► RowWriter (csv or json) ─► EncodedRows
//!              (places in the text)        (checked, canonical)
//! ```
//!
//! 1. A row holds the fields in the order of [`Columns`], the order of the source; the sink's mapping finds their
//!    columns by name.
//! 2. A field that does not fit its column is an error with file, line, column, value and type. Nothing is skipped,
//!    nothing silently becomes null. csv: an empty field is null, and the empty string in a string column. json: null
//!    and a member that is not there are null, and the empty string in a string column.
//! 3. A member of a json object that has no column is an error; so is a csv record with more or fewer fields than
//!    there are columns.
//! 4. A value larger than [`Columns::max_value_bytes`] is an error: the service would cut a string and drop a dynamic,
//!    without a word.
//! 5. Text that is not UTF-8 is an error: the service would put U+FFFD in its place.
//! 6. Nothing is allocated per row once buffers have grown.

use std::fmt;
use std::sync::Arc;

use timely_kusto::encode::MAX_VALUE_BYTES;
use timely_kusto::{EncodedRows, Format};

use crate::error::Result;
use crate::file::{Block, FileFormat};
use crate::json::{self, Members, Unknown};
use crate::types::{ColumnType, Misfit, Value, value};
use crate::{csv, file};

mod misfit;
mod write;

pub(crate) use misfit::{Place, Trouble};
use write::RowWriter;

/// A column of the table, as one field of the source feeds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundColumn {
    /// The name of the field in the source: of the csv header or the json member.
    pub field: String,
    /// The name of the column in the table.
    pub column: String,
    /// The type of the column.
    pub column_type: ColumnType,
}

/// What a file's records are made into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The columns, in the order of the source's fields.
    pub columns: Vec<BoundColumn>,
    /// The largest value, in bytes. The service keeps 1 MiB of a string unless the column's encoding policy says more,
    /// up to 32 MiB (`data-explorer/kusto/management/alter-encoding-policy.md`).
    pub max_value_bytes: usize,
}

impl Columns {
    /// Columns with the service's own limit for values.
    pub fn new(columns: Vec<BoundColumn>) -> Self {
        Columns { columns, max_value_bytes: MAX_VALUE_BYTES }
    }
}

/// Turns blocks into rows; one instance per worker.
pub struct BlockConverter {
    files: Arc<[String]>,
    source: FileFormat,
    columns: Arc<Columns>,
    writer: RowWriter,
    members: Members,
    text: String,
    bytes: Vec<u8>,
}

impl BlockConverter {
    /// A converter of blocks of these files (their names, as errors show them) into rows of `format`.
    pub fn new(files: Arc<[String]>, source: FileFormat, columns: Arc<Columns>, format: Format) -> Self {
        let members = Members::new(columns.columns.iter().map(|column| column.field.clone()));
        let writer = RowWriter::new(format, columns.columns.iter().map(|column| column.column.as_str()));
        BlockConverter { files, source, columns, writer, members, text: String::new(), bytes: Vec::new() }
    }

    /// Appends the block's records to `rows`.
    ///
    /// # Errors
    /// [`ErrorKind::Record`](crate::ErrorKind::Record) for the first record that is malformed or does not fit; `rows` then ends within it.
    pub fn convert(&mut self, block: &Block, rows: &mut EncodedRows) -> Result<()> {
        let result = match std::str::from_utf8(&block.text) {
            Ok(text) if self.source == FileFormat::Csv => self.convert_csv(text, rows),
            Ok(text) => self.convert_json(text, block.array, rows),
            Err(error) => Err(Trouble::at(error.valid_up_to(), NO_UTF8)),
        };
        result.map_err(|trouble| trouble.into_error(&Place::of(block, &self.files), &self.columns))
    }

    fn convert_csv(&mut self, text: &str, rows: &mut EncodedRows) -> Result<(), Trouble> {
        let mut at = 0;
        while let Some(start) = csv::next_record(text, at) {
            let mut result = Ok(start);
            rows.push_with(|row| result = self.csv_record(text, start, row));
            at = result?;
        }
        Ok(())
    }

    fn csv_record(&mut self, text: &str, start: usize, row: &mut Vec<u8>) -> Result<usize, Trouble> {
        let columns = &self.columns.columns;
        let (mut at, mut index) = (start, 0);
        self.writer.begin(row);
        loop {
            let field = csv::field(text, at).map_err(|bad| Trouble::in_field(bad.at, bad.wrong, index))?;
            let column = columns.get(index).ok_or_else(|| field_count(text, start, columns.len()))?;
            let content = csv::content(&field, &mut self.text);
            self.bytes.clear();
            let value = value(column.column_type, content, &mut self.bytes)
                .and_then(|value| fits(value, self.columns.max_value_bytes))
                .map_err(|misfit| Trouble::value(field.start, misfit, index, content))?;
            self.writer.field(row, index, value);
            (at, index) = (field.next, index + 1);
            if field.last {
                break;
            }
        }
        if index < columns.len() {
            return Err(field_count(text, start, columns.len()));
        }
        self.writer.end(row);
        Ok(at)
    }

    fn convert_json(&mut self, text: &str, array: bool, rows: &mut EncodedRows) -> Result<(), Trouble> {
        let mut at = 0;
        while let Some(start) = json::next_object(text, at, array) {
            let object = json::object(&text[start..], array);
            self.members
                .find(object, Unknown::Refuse)
                .map_err(|error| Trouble::json(start, object, &error))?;
            let mut result = Ok(());
            rows.push_with(|row| result = self.json_record(object, start, row));
            result?;
            at = start + object.len();
        }
        Ok(())
    }

    fn json_record(&mut self, object: &str, start: usize, row: &mut Vec<u8>) -> Result<(), Trouble> {
        self.writer.begin(row);
        for (index, column) in self.columns.columns.iter().enumerate() {
            let (from, to) = self.members.place(index).unwrap_or((0, 0));
            let raw = &object[from..to];
            self.bytes.clear();
            let value = json_value(column.column_type, raw, &mut self.text, &mut self.bytes)
                .and_then(|value| fits(value, self.columns.max_value_bytes))
                .map_err(|misfit| Trouble::value(start + from, misfit, index, raw))?;
            self.writer.field(row, index, value);
        }
        self.writer.end(row);
        Ok(())
    }
}

impl fmt::Debug for BlockConverter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockConverter").field("source", &self.source).finish_non_exhaustive()
    }
}

pub(crate) const NO_UTF8: Misfit = "the text is not UTF-8";

/// A record that begins at `start` and has not the fields that it should have.
pub(crate) fn field_count(text: &str, start: usize, expected: usize) -> Trouble {
    let record = &text[start..start + file::skip_csv_record(&text.as_bytes()[start..])];
    let (mut at, mut count) = (0, 0_usize);
    while let Ok(field) = csv::field(record, at) {
        (at, count) = (field.next, count + 1);
        if field.last {
            break;
        }
    }
    Trouble::fields(start, count, expected)
}

fn fits(value: Value<'_>, max: usize) -> Result<Value<'_>, Misfit> {
    match value {
        Value::Text(text) | Value::Json(text) if text.len() > max => Err(misfit::TOO_LONG),
        value => Ok(value),
    }
}

/// The value that a json text is in a column. An empty `raw` is a member that is not there.
fn json_value<'a>(
    column: ColumnType,
    raw: &'a str,
    text: &'a mut String,
    scratch: &'a mut Vec<u8>,
) -> Result<Value<'a>, Misfit> {
    match raw.as_bytes().first() {
        None | Some(b'n') if column == ColumnType::String => Ok(Value::Text("")),
        None | Some(b'n') => Ok(Value::Null),
        _ if column == ColumnType::Dynamic => Ok(Value::Json(raw)),
        Some(b'"') => value(column, json::string(raw, text)?, scratch),
        Some(b'{' | b'[') if column != ColumnType::String => {
            Err("an object or array fits dynamic and string only")
        }
        Some(b't' | b'f') if !matches!(column, ColumnType::Bool | ColumnType::String) => {
            Err("a truth value fits bool, string and dynamic only")
        }
        Some(_) => value(column, raw, scratch),
    }
}
