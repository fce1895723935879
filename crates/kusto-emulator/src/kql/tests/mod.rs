//! Queries and what they answer. Helpers here; one file per area.

mod corners;
mod documented;
mod errors;
mod examples;
mod expressions;
mod functions;
mod fuzz;
mod identities;
mod joins;
mod lexing;
mod tables;
mod windows;

use super::{Answer, Catalog, ExtentBatch, KqlError, Options, Query, TableSource, parse};
use crate::data::{ColumnBuilder, ColumnType, ResultTable, Schema, Value, parse_datetime};
use std::collections::HashMap;
use std::sync::Arc;

/// A table in memory.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) schema: Schema,
    pub(super) extents: Vec<ExtentBatch>,
}

impl TableSource for Memory {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn extents(&self) -> Vec<ExtentBatch> {
        self.extents.clone()
    }
}

/// A database in memory, at noon of 2024-05-06.
#[derive(Debug, Default)]
pub(super) struct Database(pub(super) HashMap<String, Arc<Memory>>);

impl Catalog for Database {
    fn table(&self, name: &str) -> Result<Arc<dyn TableSource>, KqlError> {
        let table = self.0.get(name).ok_or_else(|| KqlError::no_table(name))?;
        Ok(Arc::clone(table) as Arc<dyn TableSource>)
    }

    fn tables(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn now(&self) -> i64 {
        parse_datetime("2024-05-06T12:00:00Z").unwrap()
    }

    fn principal(&self) -> String {
        "aadapp=a;b".to_owned()
    }

    fn database(&self) -> String {
        "Samples".to_owned()
    }
}

/// An extent of rows given as text by the rules of CSV.
pub(super) fn extent(schema: &Schema, id: u128, tags: &[&str], rows: &[&[&str]]) -> ExtentBatch {
    let mut builders: Vec<ColumnBuilder> = schema.columns.iter().map(|c| ColumnBuilder::new(c.ty)).collect();
    for row in rows {
        builders.iter_mut().zip(*row).for_each(|(builder, text)| {
            builder.push_text(text);
        });
    }
    ExtentBatch {
        id,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ingestion_time: parse_datetime("2024-05-05"),
        columns: builders.into_iter().map(|builder| Arc::new(builder.finish())).collect(),
        rows: rows.len(),
    }
}

/// Storms in two extents.
pub(super) fn storms() -> Database {
    let schema = Schema::of(&[
        ("Start", ColumnType::DateTime),
        ("State", ColumnType::String),
        ("Kind", ColumnType::String),
        ("Deaths", ColumnType::Int),
        ("Damage", ColumnType::Long),
        ("Lat", ColumnType::Real),
        ("Details", ColumnType::Dynamic),
    ]);
    let first: &[&[&str]] = &[
        &[
            "2007-01-01T10:30:00Z",
            "TEXAS",
            "Hail",
            "0",
            "100",
            "31.5",
            r#"{"a": 1, "b": [10, 20], "c d": "x"}"#,
        ],
        &["2007-01-01T22:00:00Z", "TEXAS", "Flood", "2", "5000", "", ""],
        &["2007-01-02T01:00:00Z", "KANSAS", "Hail", "", "0", "38.25", r#"{"a": 2}"#],
    ];
    let second: &[&[&str]] = &[
        &["2007-02-01T00:00:00Z", "FLORIDA", "Thunderstorm Wind", "1", "", "25.0", "[]"],
        &["", "", "Flash Flood", "0", "7", "NaN", "\"text\""],
    ];
    let extents =
        vec![extent(&schema, 1, &["drop-by:a", "free"], first), extent(&schema, 2, &["ingest-by:b"], second)];
    let table = Arc::new(Memory { schema, extents });
    Database(HashMap::from([("Storms".to_owned(), table)]))
}

/// The tables of a query whose rows are all there.
pub(super) fn run(
    query: &Query,
    catalog: &dyn Catalog,
    options: &Options,
) -> Result<Vec<ResultTable>, KqlError> {
    super::run(query, catalog, options).and_then(Answer::complete)
}

pub(super) fn query(text: &str) -> Result<ResultTable, KqlError> {
    let mut tables = run(&parse(text)?, &storms(), &Options::default())?;
    assert_eq!(tables.len(), 1);
    Ok(tables.remove(0))
}

/// The answer as lines: names of the columns, then the rows as JSON arrays.
pub(super) fn shown(table: &ResultTable) -> String {
    let names: Vec<&str> = table.schema.columns.iter().map(|column| column.name.as_str()).collect();
    let mut lines = names.join(" ");
    for row in 0..table.rows {
        lines.push('\n');
        table.write_row_json(row, &mut lines);
    }
    lines
}

#[track_caller]
pub(super) fn answers(text: &str, expected: &str) {
    match query(text) {
        Ok(table) => assert_eq!(shown(&table), expected, "\nquery: {text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

/// The value of `print x = <expression>`, as JSON.
#[track_caller]
pub(super) fn prints(expression: &str, expected: &str) {
    answers(&format!("print x = {expression}"), &format!("x\n[{expected}]"));
}

#[track_caller]
pub(super) fn fails(text: &str, code: &str, part: &str) {
    match query(text) {
        Ok(table) => panic!("{text}: answered\n{}", shown(&table)),
        Err(error) => {
            assert_eq!(error.code, code, "{text}: {error}");
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }
}

pub(super) fn long(n: i64) -> Value {
    Value::Long(n)
}
