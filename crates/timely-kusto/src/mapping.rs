//! From the names of columns to an ingestion mapping that is sent along with each blob.
//!
//! Facts: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/mappings.md`, `csv-mapping.md`,
//! `json-mapping.md`; a queue message holds 64 KiB after base64, a limit of Azure Storage.

use serde_json::{Value, json};
use thiserror::Error;

use crate::encode::ColumnName;
use crate::options::Format;

/// The longest mapping that is sent along, in bytes as it stands in the message (as a JSON string within JSON). A
/// message of 64 KiB holds 48 KiB of JSON; 16 KiB are left to the blob's address and signature, the identity token and
/// the tags.
pub const MAX_INLINE_BYTES: usize = 32 << 10;

/// Columns that make no ingestion mapping.
#[derive(Debug, Error)]
pub enum MappingError {
    /// There are too many columns to send their names along.
    #[error(
        "a mapping of {columns} columns takes {bytes} bytes of a queue message, and {MAX_INLINE_BYTES} are allowed. \
         Create it in the table once, and set ingestion_mapping_ref = \"rows\":\n{command}"
    )]
    TooLong {
        /// How many columns there are.
        columns: usize,
        /// How many bytes the mapping takes.
        bytes: usize,
        /// The command that creates the mapping.
        command: String,
    },
    /// Two fields have one name, so that one of them would be lost.
    #[error("two fields of a row are called {0:?}: rename one of them")]
    Duplicate(String),
}

/// The inline mapping of fields to the columns of the same names: by ordinal in CSV, by path in JSON.
///
/// # Errors
/// When it is longer than [`MAX_INLINE_BYTES`], with the command that creates it in `table` instead, or when two
/// columns have one name.
///
/// ```
/// use timely_kusto::{Format, inline_mapping};
///
/// let columns = ["id".into(), "event type".into()];
/// assert_eq!(
///     inline_mapping(Format::Csv, &columns, "T")?,
///     r#"[{"Column":"id","Properties":{"Ordinal":"0"}},{"Column":"event type","Properties":{"Ordinal":"1"}}]"#
/// );
/// # Ok::<(), timely_kusto::MappingError>(())
/// ```
pub fn inline_mapping(format: Format, columns: &[ColumnName], table: &str) -> Result<String, MappingError> {
    if let Some(name) = duplicate(columns) {
        return Err(MappingError::Duplicate(name.to_owned()));
    }
    let mapping = mapping_json(format, columns).to_string();
    let bytes = serde_json::Value::from(mapping.as_str()).to_string().len();
    if bytes > MAX_INLINE_BYTES {
        let command = create_command(format, table, "rows", &mapping);
        return Err(MappingError::TooLong { columns: columns.len(), bytes, command });
    }
    Ok(mapping)
}

fn duplicate(columns: &[ColumnName]) -> Option<&str> {
    let mut names: Vec<_> = columns.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    names.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0]))
}

fn mapping_json(format: Format, columns: &[ColumnName]) -> Value {
    let element = |(ordinal, name): (usize, &ColumnName)| match format {
        Format::Csv => json!({ "Column": name, "Properties": { "Ordinal": ordinal.to_string() } }),
        Format::Json => json!({ "Column": name, "Properties": { "Path": json_path(name) } }),
    };
    columns.iter().enumerate().map(element).collect()
}

/// The JSONPath of a field of the record: `$.name`, or `$['a name']` where the name is no plain word.
pub(crate) fn json_path(name: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(word) {
        return format!("$.{name}");
    }
    let quote = if name.contains('\'') { '"' } else { '\'' };
    let mut path = format!("$[{quote}");
    for c in name.chars() {
        if c == quote || c == '\\' {
            path.push('\\');
        }
        path.push(c);
    }
    path.push(quote);
    path.push(']');
    path
}

/// The command that creates the mapping `name` in `table`.
fn create_command(format: Format, table: &str, name: &str, mapping: &str) -> String {
    let kind = match format {
        Format::Csv => "csv",
        Format::Json => "json",
    };
    let text = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    format!(".create table ['{}'] ingestion {kind} mapping '{name}' '{}'", text(table), text(mapping))
}

#[cfg(test)]
mod tests;
