//! Answers of the engine on the wire: v1 (`{"Tables":[...]}`) whole, and the parts of v2 that `frames.rs` puts together.
//!
//! Source: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/rest/response.md`, `response-v2.md`. The order of keys
//! matters: the Python client's streaming reader wants `FrameType` first and `TableKind` before `Rows`.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::RequestIds;
use crate::clock::seven_digits;
use crate::data::{ResultTable, write_json_string};

/// The answer to a management command: one table called `Table_0`.
pub(super) fn v1_command(table: &ResultTable) -> String {
    let mut out = String::from("{\"Tables\":[");
    write_v1_table(&mut out, "Table_0", table);
    out.push_str("]}");
    out
}

/// The answer to a v1 query: results, then properties, status, and the table of contents that names them.
pub(super) fn v1_query(tables: &[ResultTable], ids: &RequestIds, now: Timestamp) -> String {
    let mut out = String::from("{\"Tables\":[");
    for (index, table) in tables.iter().enumerate() {
        write_v1_table(&mut out, &format!("Table_{index}"), table);
        out.push(',');
    }
    let count = tables.len();
    let small = |name: &str, columns: &[(&str, &str, &str)], rows: Json| {
        let columns: Vec<_> = columns
            .iter()
            .map(|(name, data, column)| json!({"ColumnName": name, "DataType": data, "ColumnType": column}))
            .collect();
        json!({"TableName": name, "Columns": columns, "Rows": rows}).to_string()
    };
    let properties = small(
        &format!("Table_{count}"),
        &[("Value", "String", "string")],
        json!([["{\"Visualization\":null,\"Title\":null}"]]),
    );
    let status = small(&format!("Table_{}", count + 1), &STATUS_COLUMNS, status_rows(ids, now));
    let contents = small(&format!("Table_{}", count + 2), &CONTENTS_COLUMNS, contents_rows(tables, ids));
    let _ = write!(out, "{properties},{status},{contents}]}}");
    out
}

const STATUS_COLUMNS: [(&str, &str, &str); 10] = [
    ("Timestamp", "DateTime", "datetime"),
    ("Severity", "Int32", "int"),
    ("SeverityName", "String", "string"),
    ("StatusCode", "Int32", "int"),
    ("StatusDescription", "String", "string"),
    ("Count", "Int32", "int"),
    ("RequestId", "Guid", "guid"),
    ("ActivityId", "Guid", "guid"),
    ("SubActivityId", "Guid", "guid"),
    ("ClientActivityId", "String", "string"),
];

const CONTENTS_COLUMNS: [(&str, &str, &str); 5] = [
    ("Ordinal", "Int64", "long"),
    ("Kind", "String", "string"),
    ("Name", "String", "string"),
    ("Id", "String", "string"),
    ("PrettyName", "String", "string"),
];

fn status_rows(ids: &RequestIds, now: Timestamp) -> Json {
    let activity = ids.activity.to_string();
    json!([[
        seven_digits(now),
        4,
        "Info",
        0,
        "Query completed successfully",
        1,
        activity,
        activity,
        activity,
        ids.client
    ]])
}

fn contents_rows(tables: &[ResultTable], ids: &RequestIds) -> Json {
    let id = ids.activity.to_string();
    let mut rows: Vec<_> = tables
        .iter()
        .enumerate()
        .map(|(index, table)| json!([index, "QueryResult", table.name, id, ""]))
        .collect();
    rows.push(json!([tables.len(), "QueryProperties", "@ExtendedProperties", id, ""]));
    rows.push(json!([tables.len() + 1, "QueryStatus", "QueryStatus", id, ""]));
    Json::Array(rows)
}

fn write_v1_table(out: &mut String, name: &str, table: &ResultTable) {
    out.push_str("{\"TableName\":");
    write_json_string(name, out);
    out.push_str(",\"Columns\":[");
    write_columns(out, table, Part::V1);
    out.push_str("],");
    write_rows(out, table);
    out.push('}');
}

/// Which version's columns are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    V1,
    V2,
}

/// The columns of a table, without the brackets.
pub(super) fn write_columns(out: &mut String, table: &ResultTable, part: Part) {
    for (index, column) in table.schema.columns.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(out, "{comma}{{\"ColumnName\":");
        write_json_string(&column.name, out);
        if part == Part::V1 {
            let _ = write!(out, ",\"DataType\":\"{}\"", column.ty.v1_name());
        }
        let _ = write!(out, ",\"ColumnType\":\"{}\"}}", column.ty.csl_name());
    }
}

fn write_rows(out: &mut String, table: &ResultTable) {
    out.push_str("\"Rows\":[");
    for row in 0..table.rows {
        if row > 0 {
            out.push(',');
        }
        table.write_row_json(row, out);
    }
    out.push(']');
}

/// The frame of properties that stands before the results of a v2 query.
pub(super) fn properties_frame() -> String {
    "{\"FrameType\":\"DataTable\",\"TableId\":0,\"TableKind\":\"QueryProperties\",\"TableName\":\"@ExtendedProperties\",\
     \"Columns\":[{\"ColumnName\":\"TableId\",\"ColumnType\":\"int\"},{\"ColumnName\":\"Key\",\"ColumnType\":\"string\"},\
     {\"ColumnName\":\"Value\",\"ColumnType\":\"dynamic\"}],\
     \"Rows\":[[1,\"Visualization\",\"{\\\"Visualization\\\":null,\\\"Title\\\":null}\"]]}"
        .to_owned()
}

/// The frame of table `id`, which tells how a v2 query ended.
pub(super) fn completion_information_frame(id: usize, ids: &RequestIds, now: Timestamp) -> String {
    format!(
        "{{\"FrameType\":\"DataTable\",\"TableId\":{id},\"TableKind\":\"QueryCompletionInformation\",\
         \"TableName\":\"QueryCompletionInformation\",\"Columns\":[{}],\"Rows\":[{}]}}",
        COMPLETION_COLUMNS
            .map(|(name, ty)| format!("{{\"ColumnName\":\"{name}\",\"ColumnType\":\"{ty}\"}}"))
            .join(","),
        completion_row(ids, now),
    )
}

const COMPLETION_COLUMNS: [(&str, &str); 12] = [
    ("Timestamp", "datetime"),
    ("ClientRequestId", "string"),
    ("ActivityId", "guid"),
    ("SubActivityId", "guid"),
    ("ParentActivityId", "guid"),
    ("Level", "int"),
    ("LevelName", "string"),
    ("StatusCode", "int"),
    ("StatusCodeName", "string"),
    ("EventType", "int"),
    ("EventTypeName", "string"),
    ("Payload", "string"),
];

fn completion_row(ids: &RequestIds, now: Timestamp) -> Json {
    let activity = ids.activity.to_string();
    let payload = "{\"Count\":1,\"Text\":\"Query completed successfully\"}";
    json!([
        seven_digits(now),
        ids.client,
        activity,
        activity,
        activity,
        4,
        "Info",
        0,
        "S_OK (0)",
        4,
        "QueryInfo",
        payload
    ])
}
