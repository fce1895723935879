//! v2 answers in the form that the request asks for: whole tables, fragments on lines of their own, progressive; and failures
//! that are found while rows are made, which the service reports inside a 200.
//!
//! | `results_...` | effect |
//! |---|---|
//! | `progressive_enabled` | fragments, with progress between them |
//! | `v2_fragment_primary_tables` | fragments |
//! | `v2_newlines_between_frames` | a frame per line: `[`, then `,` before each further frame, then `]` |
//! | `error_reporting_placement` | `in_data` (rows and the end), `end_of_table`, `end_of_dataset` |
//!
//! Sources: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/rest/response-v2.md`, `request-properties.md`;
//! `Azure/azure-kusto-go azkustodata/query/v2/`, whose reader takes the header with the four properties below and no other.

use std::fmt::Write;

use serde_json::{Map, Value as Json};

use super::answer::{self, Part};
use super::{RequestIds, answer::write_columns};
use crate::data::{ResultTable, write_json_string};
use jiff::Timestamp;

/// Rows of one fragment.
const FRAGMENT_ROWS: usize = 4096;

/// Where a failure is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    InData,
    EndOfTable,
    EndOfDataset,
}

/// The form that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    progressive: bool,
    fragmented: bool,
    lines: bool,
    placement: Placement,
}

impl Form {
    /// The form by the options of the request; flags may be texts.
    pub(super) fn of(options: &Map<String, Json>) -> Form {
        let flag = |name: &str| match options.get(name) {
            Some(Json::Bool(flag)) => *flag,
            Some(Json::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        };
        let placement = options.get("results_error_reporting_placement").and_then(Json::as_str);
        Form {
            progressive: flag("results_progressive_enabled"),
            fragmented: flag("results_v2_fragment_primary_tables"),
            lines: flag("results_v2_newlines_between_frames"),
            placement: match placement {
                Some("end_of_table") => Placement::EndOfTable,
                Some("end_of_dataset") => Placement::EndOfDataset,
                _ => Placement::InData,
            },
        }
    }

    fn header(self) -> String {
        let placement = match self.placement {
            Placement::InData => "InData",
            Placement::EndOfTable => "EndOfTable",
            Placement::EndOfDataset => "EndOfDataset",
        };
        let mut header = format!(
            "{{\"FrameType\":\"DataSetHeader\",\"IsProgressive\":{},\"Version\":\"v2.0\"",
            self.progressive
        );
        if self.fragmented {
            let _ = write!(header, ",\"IsFragmented\":true,\"ErrorReportingPlacement\":\"{placement}\"");
        }
        header.push('}');
        header
    }
}

/// The answer to a v2 query: tables, and the failure (a `{"error": ..}`) that ended the last of them.
pub(super) fn v2_query(
    tables: &[ResultTable],
    failure: Option<&Json>,
    form: Form,
    ids: &RequestIds,
    now: Timestamp,
) -> String {
    let mut frames = vec![form.header(), answer::properties_frame()];
    for (at, table) in tables.iter().enumerate() {
        let failure = failure.filter(|_| at + 1 == tables.len());
        if form.progressive || form.fragmented {
            in_fragments(&mut frames, at + 1, table, failure, form);
        } else {
            let in_rows = failure.filter(|_| form.placement == Placement::InData);
            frames.push(whole(at + 1, table, in_rows));
        }
    }
    frames.push(answer::completion_information_frame(tables.len() + 1, ids, now));
    frames.push(completion(failure));
    joined(&frames, form)
}

fn joined(frames: &[String], form: Form) -> String {
    if form.lines { format!("[{}\n]", frames.join("\n,")) } else { format!("[{}]", frames.join(",\n")) }
}

fn table_start(frame: &str, id: usize, table: &ResultTable) -> String {
    let mut out = format!(
        "{{\"FrameType\":\"{frame}\",\"TableId\":{id},\"TableKind\":\"PrimaryResult\",\"TableName\":"
    );
    write_json_string(&table.name, &mut out);
    out.push_str(",\"Columns\":[");
    write_columns(&mut out, table, Part::V2);
    out.push(']');
    out
}

fn write_rows(out: &mut String, table: &ResultTable, rows: std::ops::Range<usize>, failure: Option<&Json>) {
    out.push_str("\"Rows\":[");
    let first = rows.start;
    for row in rows.clone() {
        if row > first {
            out.push(',');
        }
        table.write_row_json(row, out);
    }
    if let Some(failure) = failure {
        let comma = if rows.is_empty() { "" } else { "," };
        let _ = write!(out, "{comma}{{\"OneApiErrors\":[{failure}]}}");
    }
    out.push_str("]}");
}

fn whole(id: usize, table: &ResultTable, failure: Option<&Json>) -> String {
    let mut frame = table_start("DataTable", id, table);
    frame.push(',');
    write_rows(&mut frame, table, 0..table.rows, failure);
    frame
}

/// Header, fragments (with progress, when it is asked for), completion.
fn in_fragments(
    frames: &mut Vec<String>,
    id: usize,
    table: &ResultTable,
    failure: Option<&Json>,
    form: Form,
) {
    frames.push(table_start("TableHeader", id, table) + "}");
    let in_rows = failure.filter(|_| form.placement == Placement::InData);
    let mut start = 0;
    while start < table.rows || start == 0 && in_rows.is_some() {
        let end = (start + FRAGMENT_ROWS).min(table.rows);
        let mut frame = format!(
            "{{\"FrameType\":\"TableFragment\",\"TableFragmentType\":\"DataAppend\",\"TableId\":{id},"
        );
        if form.progressive {
            let _ = write!(frame, "\"FieldCount\":{},", table.schema.len());
        }
        write_rows(&mut frame, table, start..end, in_rows.filter(|_| end == table.rows));
        frames.push(frame);
        if form.progressive {
            let progress = 100.0 * end as f64 / table.rows.max(1) as f64;
            frames.push(format!(
                "{{\"FrameType\":\"TableProgress\",\"TableId\":{id},\"TableProgress\":{progress:.1}}}"
            ));
        }
        start = end.max(1);
    }
    let mut frame =
        format!("{{\"FrameType\":\"TableCompletion\",\"TableId\":{id},\"RowCount\":{}", table.rows);
    if let Some(failure) = failure.filter(|_| form.placement == Placement::EndOfTable) {
        let _ = write!(frame, ",\"OneApiErrors\":[{failure}]");
    }
    frames.push(frame + "}");
}

fn completion(failure: Option<&Json>) -> String {
    let errors = failure.map_or_else(String::new, |failure| format!(",\"OneApiErrors\":[{failure}]"));
    format!(
        "{{\"FrameType\":\"DataSetCompletion\",\"HasErrors\":{},\"Cancelled\":false{errors}}}",
        failure.is_some()
    )
}

/// The answer to a v1 query that passed a limit: the rows before it, then the exception in place of a row, and again at the end.
pub(super) fn v1_failure(tables: &[ResultTable], message: &str) -> String {
    let mut text = String::new();
    write_json_string(message, &mut text);
    let mut out = String::from("{\"Tables\":[");
    for (at, table) in tables.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(out, "{comma}{{\"TableName\":\"Table_{at}\",\"Columns\":[");
        write_columns(&mut out, table, Part::V1);
        out.push_str("],\"Rows\":[");
        let last = at + 1 == tables.len();
        for row in 0..table.rows {
            out.push_str(if row > 0 { "," } else { "" });
            table.write_row_json(row, &mut out);
        }
        if last {
            let comma = if table.rows > 0 { "," } else { "" };
            let _ = write!(out, "{comma}{{\"Exceptions\":[{text}]}}");
        }
        out.push_str("]}");
    }
    let _ = write!(out, "],\"Exceptions\":[{text}]}}");
    out
}
