//! Values of Kusto's types that Rust has no type for, written the way the service reads them, without a string between.
//!
//! | Kusto | here | others that work as they are |
//! |---|---|---|
//! | `datetime` | [`DateTime`] | `jiff::Timestamp`, `chrono::DateTime<Utc>` (anything that serializes as ISO 8601) |
//! | `timespan` | [`Timespan`], [`duration_as_timespan`] on a field of `std::time::Duration` | |
//! | `decimal` | [`Decimal`] | integers to 128 bits |
//! | `guid` | | `uuid::Uuid` with its feature `serde` |
//!
//! Towards a human-readable format (the rows) they are text; between processes they are compact.

mod datetime;
mod decimal;
mod digits;
mod timespan;

#[cfg(test)]
mod tests;

pub use datetime::DateTime;
pub use decimal::Decimal;
pub use timespan::{Timespan, duration_as_timespan};

/// Text, or a value, that is none of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} is no {kind}: {reason}")]
pub struct ValueError {
    kind: &'static str,
    value: String,
    reason: &'static str,
}

impl ValueError {
    fn new(kind: &'static str, value: impl Into<String>, reason: &'static str) -> Self {
        ValueError { kind, value: value.into(), reason }
    }
}

/// The proper name of a column's type for a synonym of it, and any other name as it is
/// (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/scalar-data-types/index.md`).
pub fn without_synonym(name: &str) -> &str {
    match name {
        "boolean" => "bool",
        "double" => "real",
        "date" => "datetime",
        "time" => "timespan",
        "uuid" | "uniqueid" => "guid",
        other => other,
    }
}

/// How many ticks of 100 ns a second has.
const TICKS_PER_SECOND: i64 = 10_000_000;

/// How many ticks of 100 ns a day has.
const TICKS_PER_DAY: i64 = 86_400 * TICKS_PER_SECOND;
