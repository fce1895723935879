//! Rows as a test compares them: one text per value, written by rules of the tests' own.

use std::collections::BTreeMap;

use kusto_client::{Column, Table};
use serde_json::Value;

/// Rows in order; a null is `None`.
pub type Rows = Vec<Vec<Option<String>>>;

/// The rows of an answer.
pub fn rows_of(table: &Table) -> Rows {
    let row = |row: &Vec<Value>| {
        row.iter().zip(&table.columns).map(|(value, column)| cell(value, &column.column_type)).collect()
    };
    table.rows.iter().map(row).collect()
}

/// A JSON value of this column type; the inner text.
pub fn cell(value: &Value, kind: &str) -> Option<String> {
    match value {
        Value::Null => None,
        value if kind == "dynamic" => Some(value.to_string()),
        Value::String(text) => canonical(text, kind),
        other => canonical(&other.to_string(), kind),
    }
}

/// The rows that a csv text with a header is to become in a table with these columns.
pub fn csv_rows(text: &[u8], columns: &[Column]) -> Rows {
    let mut reader = csv::ReaderBuilder::new().from_reader(text);
    let row = |record: csv::StringRecord| {
        assert_eq!(record.len(), columns.len());
        record.iter().zip(columns).map(|(text, column)| canonical(text, &column.column_type)).collect()
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

/// One form of the several that a value of a column type has as text; none for a null.
pub fn canonical(text: &str, kind: &str) -> Option<String> {
    match kind {
        "string" => Some(text.to_owned()),
        _ if text.is_empty() => None,
        "int" | "long" => Some(text.parse::<i64>().unwrap().to_string()),
        "real" => Some(format!("{:?}", text.parse::<f64>().unwrap())),
        "bool" => Some(text.to_lowercase()),
        "datetime" => Some(instant(text)),
        "dynamic" => Some(serde_json::from_str::<Value>(text).unwrap().to_string()),
        _ => Some(text.to_owned()),
    }
}

/// `1990-01-08`, `1990-01-08T00:00:00Z` and `1990-01-08T00:00:00.0000000Z` are one.
fn instant(text: &str) -> String {
    let text = text.trim_end_matches('Z');
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{date}T{clock}.{:0<7}", fraction)
}

/// That both have the same rows, each as often, in any order.
///
/// # Panics
/// With the first rows that differ.
#[track_caller]
pub fn assert_same_rows(found: &Rows, expected: &Rows) {
    let mut surplus: BTreeMap<&Vec<Option<String>>, i64> = BTreeMap::new();
    found.iter().for_each(|row| *surplus.entry(row).or_default() += 1);
    expected.iter().for_each(|row| *surplus.entry(row).or_default() -= 1);
    let differing: Vec<_> = surplus.into_iter().filter(|(_, count)| *count != 0).collect();
    let shown: Vec<_> =
        differing.iter().take(6).map(|(row, count)| format!("{count:+}: {}", cut(row))).collect();
    assert!(
        differing.is_empty(),
        "{} rows instead of {}; {} differ (+ too many, - missing):\n{}",
        found.len(),
        expected.len(),
        differing.len(),
        shown.join("\n")
    );
}

fn cut(row: &[Option<String>]) -> String {
    let cells = row.iter().map(|cell| match cell {
        Some(text) if text.len() > 200 => format!("({} bytes)", text.len()),
        cell => format!("{cell:?}"),
    });
    cells.collect::<Vec<_>>().join(" | ")
}
