//! Writes checked values as a row of the sink's format.

use timely_kusto::Format;
use timely_kusto::encode::csv;

use crate::types::Value;

/// Writes rows of one format with the same columns.
pub(super) enum RowWriter {
    Csv,
    /// Per column, `"name":`, with the comma that stands before all but the first.
    Json(Vec<Box<[u8]>>),
}

impl RowWriter {
    pub(super) fn new<'a>(format: Format, names: impl Iterator<Item = &'a str>) -> Self {
        match format {
            Format::Json => {
                RowWriter::Json(names.enumerate().map(|(index, name)| key(index, name)).collect())
            }
            _ => RowWriter::Csv,
        }
    }

    #[inline]
    pub(super) fn begin(&self, row: &mut Vec<u8>) {
        if let RowWriter::Json(_) = self {
            row.push(b'{');
        }
    }

    #[inline]
    pub(super) fn field(&self, row: &mut Vec<u8>, index: usize, value: Value<'_>) {
        match self {
            RowWriter::Csv => {
                if index > 0 {
                    row.push(b',');
                }
                csv_field(row, value);
            }
            RowWriter::Json(keys) => {
                row.extend_from_slice(&keys[index]);
                json_field(row, value);
            }
        }
    }

    #[inline]
    pub(super) fn end(&self, row: &mut Vec<u8>) {
        match self {
            // A record of one empty field would be a blank line, which is no record.
            RowWriter::Csv if row.last().is_none_or(|last| *last == b'\n') => {
                row.extend_from_slice(b"\"\"\n")
            }
            RowWriter::Csv => row.push(b'\n'),
            RowWriter::Json(_) => row.extend_from_slice(b"}\n"),
        }
    }
}

fn key(index: usize, name: &str) -> Box<[u8]> {
    let mut key = Vec::new();
    if index > 0 {
        key.push(b',');
    }
    json_string(&mut key, name);
    key.push(b':');
    key.into_boxed_slice()
}

#[inline]
fn csv_field(row: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Null => {}
        Value::Text(text) | Value::Json(text) => csv::write_string(row, text),
        Value::Bare(bytes) | Value::Plain(bytes) => row.extend_from_slice(bytes),
    }
}

fn json_field(row: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Null => row.extend_from_slice(b"null"),
        Value::Text(text) => json_string(row, text),
        Value::Json(text) => row.extend_from_slice(text.as_bytes()),
        Value::Bare(bytes) => row.extend_from_slice(bytes),
        Value::Plain(bytes) => {
            row.push(b'"');
            row.extend_from_slice(bytes);
            row.push(b'"');
        }
    }
}

fn json_string(row: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(row, text).expect("text can be written to a vector");
}
