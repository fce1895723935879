//! Rows that are encoded already.

use super::tail::{EPOCH, Extra};
use super::{ColumnName, EncodeError, Encoder};
use crate::options::Format;
use crate::rows::EncodedRows;

/// Takes batches of rows as they are. Their columns are what the caller says, or unknown: then fields find their
/// columns by position (CSV) or name (JSON), or by the mapping that the options name.
#[derive(Clone, Debug, Default)]
pub struct RawEncoder {
    columns: Option<Vec<ColumnName>>,
    /// What goes behind each row, if anything does.
    epoch: Option<(Format, Vec<u8>)>,
}

impl RawEncoder {
    /// An encoder for rows whose columns are not known.
    pub fn new() -> Self {
        RawEncoder::default()
    }

    /// An encoder for rows with these columns, in the order of their fields.
    pub fn with_columns(names: impl IntoIterator<Item = impl Into<ColumnName>>) -> Self {
        RawEncoder { columns: Some(names.into_iter().map(Into::into).collect()), epoch: None }
    }

    /// The same encoder for rows in `format` to which their epoch is added, in a last field.
    pub(crate) fn with_epoch(mut self, format: Format) -> Self {
        if let Some(columns) = &mut self.columns {
            columns.push(EPOCH.into());
        }
        RawEncoder { epoch: Some((format, Vec::new())), ..self }
    }
}

impl Encoder<EncodedRows> for RawEncoder {
    fn encode(&mut self, record: &EncodedRows, out: &mut Vec<u8>) -> Result<u64, EncodeError> {
        let Some((format, epoch)) = &self.epoch else {
            out.extend_from_slice(record.bytes());
            return Ok(record.len() as u64);
        };
        let start = out.len();
        for row in record.rows() {
            extend(row, *format, epoch, out).inspect_err(|_| out.truncate(start))?;
        }
        Ok(record.len() as u64)
    }

    fn in_epoch(&mut self, epoch: u64) -> Result<(), EncodeError> {
        let Some((format, field)) = &mut self.epoch else { return Ok(()) };
        let Extra::Long(epoch) = Extra::epoch(epoch)? else { return Ok(()) };
        *field = match format {
            Format::Csv => format!(",{epoch}\n").into_bytes(),
            Format::Json => format!("\"{EPOCH}\":{epoch}}}\n").into_bytes(),
        };
        Ok(())
    }

    fn columns(&self) -> Option<&[ColumnName]> {
        self.columns.as_deref()
    }
}

/// Copies a row, which ends with `\n`, with one more field.
fn extend(row: &[u8], format: Format, field: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match format {
        Format::Csv => out.extend_from_slice(without_row_end(row)),
        Format::Json => {
            let fields = row.trim_ascii_end().strip_suffix(b"}").ok_or_else(no_object)?;
            out.extend_from_slice(fields);
            if fields.trim_ascii_end() != b"{" {
                out.push(b',');
            }
        }
    }
    out.extend_from_slice(field);
    Ok(())
}

/// A row of CSV without its `\n` or `\r\n`: any other blank at its end is its last field's.
fn without_row_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

#[cold]
fn no_object() -> EncodeError {
    EncodeError::new(
        "a JSON row is an object, and this one does not end as one",
        "give the sink rows in its format",
    )
}
