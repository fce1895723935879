//! The rows of a source in the making: one builder per column of the table, and the limits on single values.

use std::sync::Arc;

use serde_json::Value as Json;

use super::super::batch::IngestFailure;
use crate::data::{ColumnBuilder, ColumnData, ColumnType, Schema};

/// A longer string is cut, a longer dynamic is null, unless an encoding policy says otherwise. Sources: `MicrosoftDocs/dataexplorer-docs
/// data-explorer/kusto/query/scalar-data-types/{string,dynamic}.md`.
pub(super) const MAX_VALUE_BYTES: usize = 1 << 20;

/// Columns that grow row by row.
pub(crate) struct Columns {
    builders: Vec<ColumnBuilder>,
    rows: u64,
    text_bytes: u64,
}

impl Columns {
    pub(super) fn new(schema: &Schema) -> Self {
        let builders = schema.columns.iter().map(|column| ColumnBuilder::new(column.ty)).collect();
        Self { builders, rows: 0, text_bytes: 0 }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of text that the rows came from.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// One row: `value` fills each column in turn, exactly once.
    pub(super) fn row(&mut self, mut value: impl FnMut(usize, &mut ColumnBuilder)) {
        self.builders.iter_mut().enumerate().for_each(|(i, builder)| value(i, builder));
        self.rows += 1;
    }

    /// # Errors
    /// `BadRequest_EmptyBlob` if there was no text at all.
    pub(super) fn finish(mut self, text_bytes: u64) -> Result<Self, IngestFailure> {
        if text_bytes == 0 {
            return Err(IngestFailure::permanent("BadRequest_EmptyBlob", "the source is empty"));
        }
        self.text_bytes = text_bytes;
        Ok(self)
    }

    /// Appends the rows of another source.
    pub(super) fn append(&mut self, other: Self) {
        for (builder, more) in self.builders.iter_mut().zip(other.builders) {
            builder.extend(&more.finish());
        }
        self.rows += other.rows;
        self.text_bytes += other.text_bytes;
    }

    pub(super) fn into_data(self) -> Vec<Arc<ColumnData>> {
        self.builders.into_iter().map(|builder| Arc::new(builder.finish())).collect()
    }
}

/// Appends a field of a delimited record: invalid UTF-8 becomes U+FFFD. `longest` is how many bytes a value may have.
pub(super) fn push_field(builder: &mut ColumnBuilder, field: &[u8], longest: usize) {
    match std::str::from_utf8(field) {
        Ok(text) => push_text(builder, text, longest),
        Err(_) => push_text(builder, &String::from_utf8_lossy(field), longest),
    }
}

/// Appends text within the limits of a value.
pub(super) fn push_text(builder: &mut ColumnBuilder, text: &str, longest: usize) {
    if text.len() <= longest {
        builder.push_text(text);
    } else if builder.ty() == ColumnType::String {
        builder.push_text(cut(text, longest));
    } else {
        builder.push_null();
    }
}

/// As much of a text as a value may have, without dividing a character.
fn cut(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// Appends a JSON value within the limits; `long` says that its record was longer than one value may be.
pub(super) fn push_json(builder: &mut ColumnBuilder, json: &Json, long: bool, longest: usize) {
    match json {
        Json::String(text) if builder.ty() != ColumnType::Dynamic => push_text(builder, text, longest),
        json if long && json.to_string().len() > longest => match builder.ty() {
            ColumnType::String => push_text(builder, &json.to_string(), longest),
            _ => builder.push_null(),
        },
        json => builder.push_json(json),
    }
}
