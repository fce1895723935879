//! Rows of `kt_epochs`.
//!
//! A read is one query with few rows, however long a generation ran: what [`Ledger::relevant`] asks for. It names no time
//! and no order of rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use commit_protocol::{AppendPermit, Intent, Ledger, Positions, RawRow, Resolution, Row, RowError};
use kusto_client::{Table, quote_string};
use serde::Deserialize;

use super::tables::EPOCHS_COLUMNS;
use super::{Asked, Desk, EPOCHS};

/// Intents that are read at a time: with the positions of a thousand partitions each, some 10 MB.
const INTENTS_PER_PAGE: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Cells {
    lineage: String,
    kind: String,
    generation: Option<i64>,
    nonce: String,
    seq: Option<i64>,
    part: Option<i64>,
    parts: Option<i64>,
    body: String,
    digest: String,
    check: String,
}

impl From<Cells> for RawRow {
    fn from(cells: Cells) -> Self {
        let Cells { lineage, kind, generation, nonce, seq, part, parts, body, digest, check } = cells;
        RawRow { lineage, kind, generation, nonce, seq, part, parts, body, digest, check }
    }
}

impl Desk {
    /// Appends the rows of one permit by one command.
    pub(super) async fn append(&self, permit: &AppendPermit) -> Asked<()> {
        self.append_raw(&permit.raw()).await
    }

    /// Appends what a person decided.
    pub(in super::super) async fn append_resolution(&self, resolution: &Resolution) -> Asked<()> {
        self.append_raw(&resolution.raw(self.lineage)).await
    }

    async fn append_raw(&self, rows: &[RawRow]) -> Asked<()> {
        let values = rows.iter().map(literals).collect::<Vec<_>>().join(",\n");
        let command = format!(".append {EPOCHS} <| datatable({EPOCHS_COLUMNS}) [\n{values}\n]");
        self.command(&command).await.map(drop)
    }

    /// Reads what a decision needs.
    pub(in super::super) async fn read(&self) -> Asked<Result<Ledger, RowError>> {
        let answer = self.query(&relevant(&quote_string(&self.lineage.to_string()))).await?;
        Ok(Ledger::parse(self.lineage, &raw_rows(&answer)?))
    }

    /// Reads all rows of the lineage as of now, for audits and decisions by hand. Intents that no decision needs are outlines:
    /// without positions and extents. They come in pages, so that memory holds one page of whole rows, and of each intent its
    /// tags and its rows per epoch: some hundred bytes per chunk and epoch of the pipeline's history.
    pub(in super::super) async fn read_all(&self) -> Asked<Result<Ledger, RowError>> {
        let lineage = quote_string(&self.lineage.to_string());
        let near = match self.read().await? {
            Ok(near) => near,
            damaged => return Ok(damaged),
        };
        let frame = format!("set notruncation; {EPOCHS} | where Lineage == {lineage} and Kind != 'intent'");
        let mut rows = match self.rows(&frame).await? {
            Ok(rows) => rows,
            Err(damaged) => return Ok(Err(damaged)),
        };
        rows.extend(near.rows().iter().filter(|row| matches!(row, Row::Intent(_))).cloned());
        let whole: BTreeSet<_> = rows.iter().map(Row::key).collect();
        let last = whole.iter().map(|key| key.seq).max().unwrap_or_default();
        for first in (0..=last.0).step_by(INTENTS_PER_PAGE) {
            let end = (first + INTENTS_PER_PAGE as u64 - 1).min(last.0);
            let page = format!(
                "set notruncation; {EPOCHS} | where Lineage == {lineage} and Kind == 'intent' and Seq between ({first} .. {end})"
            );
            match self.rows(&page).await? {
                Ok(page) => {
                    rows.extend(page.into_iter().filter(|row| !whole.contains(&row.key())).map(outline));
                }
                Err(damaged) => return Ok(Err(damaged)),
            }
        }
        Ok(Ok(Ledger::of(rows)))
    }

    async fn rows(&self, query: &str) -> Asked<Result<Vec<Row>, RowError>> {
        let answer = self.query(query).await?;
        Ok(commit_protocol::read_rows(self.lineage, &raw_rows(&answer)?))
    }
}

/// An intent without what only a start needs.
fn outline(row: Row) -> Row {
    let Row::Intent(intent) = row else { return row };
    let mut outline = Intent::clone(&intent);
    outline.after.positions = Positions::default();
    outline.chunks.iter_mut().for_each(|chunk| chunk.extents = Vec::new());
    Row::Intent(Arc::new(outline))
}

fn raw_rows(answer: &Table) -> Asked<Vec<RawRow>> {
    Ok(answer.rows_as::<Cells>()?.into_iter().map(RawRow::from).collect())
}

fn literals(row: &RawRow) -> String {
    let number = |n: Option<i64>| n.map_or_else(|| "long(null)".to_owned(), |n| n.to_string());
    let cells = [
        quote_string(&row.lineage),
        quote_string(&row.kind),
        number(row.generation),
        quote_string(&row.nonce),
        number(row.seq),
        number(row.part),
        number(row.parts),
        quote_string(&row.body),
        quote_string(&row.digest),
        quote_string(&row.check),
    ];
    cells.join(", ")
}

/// The newest claim and start rows, the intent that the start names, the last two of that start, and what a person decided
/// about any of them.
fn relevant(lineage: &str) -> String {
    format!(
        "set notruncation;\n\
         let rows = {EPOCHS} | where Lineage == {lineage};\n\
         let claim = toscalar(rows | where Kind == 'claim' | summarize max(Generation));\n\
         let start = toscalar(rows | where Kind == 'start' | summarize max(Generation));\n\
         let last = toscalar(rows | where Kind == 'intent' and Generation == start | summarize max(Seq));\n\
         let named = rows | where Kind == 'start' and Generation == start\n\
         \x20   | extend Head = parse_json(Body).row.head\n\
         \x20   | project Id = strcat(tostring(Head.by), '/', tostring(Head.seq));\n\
         rows\n\
         | extend Id = strcat(tostring(Generation), '-', Nonce, '/', tostring(Seq))\n\
         | where (Kind == 'claim' and Generation == claim) or (Kind == 'start' and Generation == start)\n\
         \x20   or (Kind in ('intent', 'resolution')\n\
         \x20       and ((Generation == start and Seq >= last - 1) or Id in (named)))\n\
         | project-away Id"
    )
}
