//! The rows that are measured.

use pipelines::generator::{COLUMNS, Storm, storm};
use serde::{Deserialize, Serialize};
use timely_kusto::types::DateTime;

/// Which rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// The generator's storm events: 14 columns, about 296 bytes of CSV.
    Storms,
    /// Three columns, 46 bytes of CSV.
    Narrow,
}

impl RowKind {
    /// The table that takes the rows.
    pub(crate) fn table(self) -> &'static str {
        match self {
            RowKind::Storms => "StormEvents",
            RowKind::Narrow => "Readings",
        }
    }

    /// The command that creates it.
    pub(crate) fn create_command(self) -> String {
        let columns: Vec<_> = match self {
            RowKind::Storms => COLUMNS.iter().map(column).collect(),
            RowKind::Narrow => Narrow::COLUMNS.iter().map(column).collect(),
        };
        format!(".create-merge table {} ({})", self.table(), columns.join(", "))
    }
}

fn column((name, kind): &(&str, &str)) -> String {
    format!("{name}: {kind}")
}

/// A row made from its number.
pub(crate) trait Generated: Serialize + Clone + 'static {
    /// Row `index`.
    fn generate(index: u64) -> Self;
}

impl Generated for Storm {
    fn generate(index: u64) -> Self {
        storm(1, index)
    }
}

/// A reading of a meter.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Narrow {
    /// Nine digits.
    id: u64,
    time: DateTime,
    /// Six digits.
    value: i64,
}

impl Narrow {
    const COLUMNS: [(&str, &str); 3] = [("Id", "long"), ("Time", "datetime"), ("Value", "long")];
}

impl Generated for Narrow {
    fn generate(index: u64) -> Self {
        /// 2007-01-01T00:00:00Z in nanoseconds.
        const FIRST: i64 = 1_167_609_600_000_000_000;
        // A multiplicative hash: values that neither repeat in order nor compress to nothing.
        let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Narrow {
            id: 100_000_000 + index % 900_000_000,
            time: DateTime::from_unix_nanos(FIRST + (index as i64 * 1_000_000) + (mixed >> 44) as i64),
            value: 100_000 + ((mixed >> 32) % 900_000) as i64,
        }
    }
}

#[cfg(test)]
mod tests;
