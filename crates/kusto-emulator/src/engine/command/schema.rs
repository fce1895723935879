//! `(name:type, ...)` in commands, and how results show a schema.

use serde_json::json;

use super::super::catalog::{Database, Table};
use super::super::error::{EngineError, EngineResult};
use super::super::names;
use crate::data::{Column, ColumnType, ResultTable, Schema, Value};
use crate::kql::{Punct, Tokens};

/// The most columns of a table; the service documents no number, and this one keeps rows manageable.
const MAX_COLUMNS: usize = 10_000;

/// Takes a schema in brackets.
pub(super) fn parse(tokens: &mut Tokens<'_>) -> EngineResult<Schema> {
    tokens.expect(Punct::Open)?;
    let mut columns: Vec<Column> = Vec::new();
    while !tokens.eat(Punct::Close) {
        columns.push(column(tokens)?);
        if !tokens.eat(Punct::Comma) {
            tokens.expect(Punct::Close)?;
            break;
        }
    }
    validate(&columns)?;
    Ok(Schema::new(columns))
}

fn column(tokens: &mut Tokens<'_>) -> EngineResult<Column> {
    let name = tokens.expect_name("a column name")?;
    names::validate("Column", &name)?;
    tokens.expect(Punct::Colon)?;
    let mut word = tokens.word().unwrap_or_default().to_owned();
    if word == "System" {
        // The .NET names are taken too: System.Int64.
        tokens.next();
        tokens.expect(Punct::Dot)?;
        word = format!("System.{}", tokens.word().unwrap_or_default());
    }
    let Some(ty) = ColumnType::parse(&word) else { return Err(tokens.unexpected("a column type").into()) };
    tokens.next();
    Ok(Column::new(name, ty))
}

/// The rows of several such results in one.
pub(super) fn united(mut shown: Vec<ResultTable>) -> ResultTable {
    if shown.len() == 1 {
        return shown.remove(0);
    }
    let row =
        |table: &ResultTable, row| (0..table.schema.len()).map(|at| table.value(row, at)).collect::<Vec<_>>();
    let rows =
        shown.iter().flat_map(|table| (0..table.rows).map(move |at| row(table, at))).collect::<Vec<_>>();
    let (name, schema) = (shown[0].name.clone(), shown[0].schema.clone());
    ResultTable::from_rows(&name, schema, rows)
}

/// Refuses a schema that no table can have.
pub(super) fn validate(columns: &[Column]) -> EngineResult<()> {
    if columns.is_empty() {
        return Err(EngineError::bad_request("a table needs at least one column."));
    }
    if columns.len() > MAX_COLUMNS {
        let count = columns.len();
        return Err(EngineError::bad_request(format!(
            "a table has at most {MAX_COLUMNS} columns, not {count}."
        )));
    }
    let mut seen = std::collections::HashSet::with_capacity(columns.len());
    match columns.iter().find(|column| !seen.insert(column.name.as_str())) {
        None => Ok(()),
        Some(twice) => Err(EngineError::bad_request(format!("column '{}' is declared twice.", twice.name))),
    }
}

/// The columns of both `old` and `new`, the missing ones at the end.
///
/// # Errors
/// 400 if a column has another type in `new`.
pub(super) fn merged(table: &str, old: &Schema, new: &Schema) -> EngineResult<Schema> {
    let mut columns = old.columns.clone();
    for column in &new.columns {
        match old.index_of(&column.name).map(|at| old.columns[at].ty) {
            None => columns.push(column.clone()),
            Some(ty) if ty == column.ty => {}
            Some(ty) => return Err(other_type(table, &column.name, ty, column.ty)),
        }
    }
    validate(&columns)?;
    Ok(Schema::new(columns))
}

/// The error of a column whose type would change.
pub(super) fn other_type(table: &str, column: &str, old: ColumnType, new: ColumnType) -> EngineError {
    EngineError::bad_request(format!(
        "column '{column}' of table '{table}' has the type {old}, which cannot be changed to {new}."
    ))
}

const COLUMNS: [(&str, ColumnType); 5] = [
    ("TableName", ColumnType::String),
    ("Schema", ColumnType::String),
    ("DatabaseName", ColumnType::String),
    ("Folder", ColumnType::String),
    ("DocString", ColumnType::String),
];

/// The result of `.show table T cslschema`.
pub(super) fn show_csl(database: &Database, table: &Table) -> ResultTable {
    let columns = table.schema.columns.iter();
    let parts: Vec<_> =
        columns.map(|column| format!("{}:{}", names::quoted(&column.name), column.ty)).collect();
    show(database, table, parts.join(","))
}

/// The result of `.show table T schema as json`, and of commands that create or alter a table.
pub(super) fn show_json(database: &Database, table: &Table) -> ResultTable {
    show(database, table, ordered_columns(table).to_string())
}

/// A table's name and columns as JSON.
pub(super) fn ordered_columns(table: &Table) -> serde_json::Value {
    let columns = table.schema.columns.iter();
    let columns: Vec<_> = columns
        .map(|column| json!({"Name": column.name, "Type": column.ty.system_name(), "CslType": column.ty.csl_name()}))
        .collect();
    json!({"Name": table.name, "OrderedColumns": columns})
}

fn show(database: &Database, table: &Table, schema: String) -> ResultTable {
    let row = [&table.name, &schema, &database.name, &table.folder, &table.docstring];
    super::result(&COLUMNS, vec![row.map(|text| Value::string(text.as_str())).to_vec()])
}
