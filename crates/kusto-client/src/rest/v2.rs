//! Answers of version 2: an array of frames, for queries.
//!
//! ```text
//! DataSetHeader, DataTable (properties), DataTable (primary)..., DataTable (completion), DataSetCompletion
//! ```
//! A failure stands among the rows as `{"OneApiErrors":[..]}`, or in the last frame. An answer without its last frame
//! was cut off (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/rest/response-v2.md`).

use serde::Deserialize;
use serde_json::Value;

use super::Inside;
use super::v1::{self, DataColumn, garbled_text};
use crate::Table;
use crate::failure::Failure;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Frame {
    frame_type: String,
    #[serde(default)]
    is_progressive: bool,
    #[serde(default)]
    table_kind: String,
    #[serde(default)]
    table_name: String,
    #[serde(default)]
    columns: Vec<DataColumn>,
    #[serde(default)]
    rows: Vec<Value>,
    #[serde(default)]
    has_errors: bool,
    #[serde(default)]
    cancelled: bool,
    #[serde(default)]
    one_api_errors: Vec<Value>,
}

/// Reads an answer and returns its primary results in order.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Table>, Inside> {
    let frames: Vec<Frame> = serde_json::from_slice(body).map_err(|error| v1::garbled(body, &error))?;
    let mut primary = Vec::new();
    let mut complete = false;
    for frame in frames {
        match frame.frame_type.as_str() {
            "DataSetHeader" if frame.is_progressive => return Err(unasked("progressive frames")),
            "DataTable" => primary.extend(read(frame)?),
            "DataSetCompletion" => {
                finish(&frame)?;
                complete = true;
            }
            "TableHeader" | "TableFragment" | "TableCompletion" => return Err(unasked("fragments")),
            _ => {}
        }
    }
    if complete { Ok(primary) } else { Err(garbled_text("it ends without its last frame")) }
}

/// A table; only primary results are kept, but failures are found in all.
fn read(frame: Frame) -> Result<Option<Table>, Inside> {
    let columns: Vec<_> = frame.columns.into_iter().map(DataColumn::column).collect();
    let rows = v1::rows(frame.rows, columns.len())?;
    let primary = frame.table_kind == "PrimaryResult";
    Ok(primary.then_some(Table { name: frame.table_name, columns, rows }))
}

fn finish(frame: &Frame) -> Result<(), Inside> {
    if let Some(failure) = frame.one_api_errors.iter().find_map(Failure::from_value) {
        return Err(Inside::Failed(failure));
    }
    if frame.has_errors || frame.cancelled {
        let message =
            if frame.cancelled { "the query was cancelled" } else { "the query failed without a reason" };
        return Err(Inside::Failed(Failure { message: message.to_owned(), ..Failure::default() }));
    }
    Ok(())
}

fn unasked(what: &str) -> Inside {
    garbled_text(format!("it comes in {what}, which were not asked for"))
}
