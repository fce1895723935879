//! Rows that are encoded already.

use super::{ColumnName, EncodeError, Encoder};
use crate::rows::EncodedRows;

/// Takes batches of rows as they are. Their columns are what the caller says, or unknown: then fields find their
/// columns by position (CSV) or name (JSON), or by the mapping that the options name.
#[derive(Clone, Debug, Default)]
pub struct RawEncoder {
    columns: Option<Vec<ColumnName>>,
}

impl RawEncoder {
    /// An encoder for rows whose columns are not known.
    pub fn new() -> Self {
        RawEncoder::default()
    }

    /// An encoder for rows with these columns, in the order of their fields.
    pub fn with_columns(names: impl IntoIterator<Item = impl Into<ColumnName>>) -> Self {
        RawEncoder { columns: Some(names.into_iter().map(Into::into).collect()) }
    }
}

impl Encoder<EncodedRows> for RawEncoder {
    fn encode(&mut self, record: &EncodedRows, out: &mut Vec<u8>) -> Result<u64, EncodeError> {
        out.extend_from_slice(record.bytes());
        Ok(record.len() as u64)
    }

    fn columns(&self) -> Option<&[ColumnName]> {
        self.columns.as_deref()
    }
}
