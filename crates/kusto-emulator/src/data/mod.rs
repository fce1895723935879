//! The vocabulary that every part of the emulator shares: types, values, columns of values, and tables of columns.
//!
//! ```text
//!   text (CSV, literals) ──┐                                 ┌──► JSON of an answer   (json.rs)
//!   JSON (multijson) ──────┼──► ColumnBuilder ──► ColumnData ─┼──► text, tostring()    (text.rs)
//!   Value (one scalar) ────┘      (build.rs)      (column.rs) └──► Value, for rare paths
//! ```
//!
//! Invariants, on which the query engine and the persistence of extents rely:
//!
//! 1. A column holds values of one [`ColumnType`]; a null of any type but `string` is a cleared bit beside a default value.
//! 2. A `string` is never null: the missing string is the empty string.
//! 3. A `dynamic` value is valid, compact JSON text; JSON `null` at the top is the null of `dynamic`.
//! 4. Instants are ticks of 100 ns since 0001-01-01T00:00:00Z within the years 1 to 9999; durations are ticks.
//! 5. A decimal has at most 34 significant digits, exactly.
//!
//! Types and their encodings: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/scalar-data-types/`.

mod build;
mod column;
mod decimal;
mod json;
mod table;
mod text;
mod time;
mod types;
mod value;

pub(crate) use build::ColumnBuilder;
pub(crate) use column::{Arena, ColumnData, NullMask, Values};
pub(crate) use decimal::Decimal;
pub(crate) use json::{compact_json, write_json_string, write_value_json};
pub(crate) use table::{Column, ResultTable, Schema};
pub(crate) use text::{parse_text, write_value_text};
pub(crate) use time::{
    Civil, MAX_DATETIME, TICKS_PER_DAY, TICKS_PER_SECOND, UNIX_EPOCH, format_datetime, format_guid,
    format_timespan, parse_datetime, parse_guid, parse_timespan,
};
pub(crate) use types::ColumnType;
pub(crate) use value::Value;

#[cfg(test)]
mod tests;
