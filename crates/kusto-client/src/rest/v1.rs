//! Answers of version 1: `{"Tables":[{"TableName","Columns","Rows"}]}`, for commands.
//!
//! A failure after the status was sent stands among the rows as `{"Exceptions":["text"]}`, or beside the tables
//! (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/rest/response.md`).

use serde::Deserialize;
use serde_json::Value;

use super::{Inside, column_type};
use crate::failure::Failure;
use crate::redact::redact;
use crate::{Column, Table};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DataSet {
    tables: Option<Vec<DataTable>>,
    exceptions: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DataTable {
    #[serde(default)]
    table_name: String,
    columns: Vec<DataColumn>,
    rows: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DataColumn {
    column_name: String,
    column_type: Option<String>,
    data_type: Option<String>,
}

impl DataColumn {
    pub(super) fn column(self) -> Column {
        let of_data_type = || column_type(self.data_type.as_deref().unwrap_or_default()).to_owned();
        let column_type = self.column_type.filter(|name| !name.is_empty()).unwrap_or_else(of_data_type);
        Column { name: self.column_name, column_type }
    }
}

/// Reads an answer and returns its first table, which is the result of a command.
pub(super) fn parse(body: &[u8]) -> Result<Table, Inside> {
    let set: DataSet = serde_json::from_slice(body).map_err(|error| garbled(body, &error))?;
    if let Some(failure) = set.exceptions.as_deref().and_then(exceptions) {
        return Err(Inside::Failed(failure));
    }
    let mut first = None;
    for table in set.tables.ok_or_else(|| garbled_text("it has no Tables"))? {
        let table = read(table)?;
        first = first.or(Some(table));
    }
    first.ok_or_else(|| garbled_text("it has no table"))
}

fn read(table: DataTable) -> Result<Table, Inside> {
    let columns: Vec<_> = table.columns.into_iter().map(DataColumn::column).collect();
    let rows = rows(table.rows, columns.len())?;
    Ok(Table { name: table.table_name, columns, rows })
}

/// Checks rows one by one: an element that is an object is a failure, one of another length is no row.
pub(super) fn rows(rows: Vec<Value>, columns: usize) -> Result<Vec<Vec<Value>>, Inside> {
    let read = |row| match row {
        Value::Array(cells) if cells.len() == columns => Ok(cells),
        Value::Array(cells) => {
            Err(garbled_text(format!("a row has {} values for {columns} columns", cells.len())))
        }
        other => Err(failed_row(&other)),
    };
    rows.into_iter().map(read).collect()
}

fn failed_row(row: &Value) -> Inside {
    let errors = row.get("OneApiErrors").and_then(Value::as_array);
    if let Some(failure) = errors.and_then(|errors| errors.iter().find_map(Failure::from_value)) {
        return Inside::Failed(failure);
    }
    match row.get("Exceptions").and_then(Value::as_array).and_then(|texts| exceptions(texts)) {
        Some(failure) => Inside::Failed(failure),
        None => garbled_text("a row is neither a list of values nor an error"),
    }
}

fn exceptions(texts: &[Value]) -> Option<Failure> {
    let texts: Vec<_> =
        texts.iter().map(|text| text.as_str().map_or_else(|| text.to_string(), str::to_owned)).collect();
    (!texts.is_empty()).then(|| Failure { message: redact(&texts.join("; ")), ..Failure::default() })
}

pub(super) fn garbled(body: &[u8], error: &serde_json::Error) -> Inside {
    let start = String::from_utf8_lossy(&body[..body.len().min(400)]);
    let start = crate::redact::excerpt(&start, 80);
    garbled_text(format!("{error}; it has {} bytes and begins with `{start}`", body.len()))
}

pub(super) fn garbled_text(why: impl std::fmt::Display) -> Inside {
    Inside::Garbled(format!("the answer cannot be understood: {why}"))
}
