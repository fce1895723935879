//! Rows of the target by the epoch that they carry.

use std::collections::BTreeMap;

use kusto_client::quote_name;
use serde::Deserialize;

use super::{Asked, Desk};
use crate::encode::tail::EPOCH;
use crate::row_hash::{Deviation, RowHash};

/// Epochs that are asked about at a time; an answer has a row for each.
const EPOCHS_PER_PAGE: usize = 10_000;

/// What the column with epochs shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct ByColumn {
    /// Rows of each epoch that has some.
    pub(in super::super) rows: BTreeMap<u64, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Counted {
    epoch: i64,
    rows: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Probed {
    r#type: String,
    row: i64,
    number: Option<i64>,
}

/// Rows of an epoch as the table has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Summed {
    pub(in super::super) rows: u64,
    /// Of their hashes.
    pub(in super::super) sum: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SumRow {
    epoch: i64,
    rows: u64,
    sum: i64,
}

impl Desk {
    /// The rows of the target by epoch, where it has the column; rows without an epoch are left out. `epochs` are those that are
    /// expected, in order: they divide the answer into pages.
    pub(in super::super) async fn by_epoch(&self, epochs: &[u64]) -> Asked<Option<ByColumn>> {
        let columns = self.target_columns().await?;
        if !columns.iter().any(|column| column.name == EPOCH && column.kind == "long") {
            return Ok(None);
        }
        let (table, mut found) = (quote_name(&self.table), ByColumn::default());
        let bounds: Vec<u64> =
            epochs.iter().copied().skip(EPOCHS_PER_PAGE).step_by(EPOCHS_PER_PAGE).collect();
        for page in 0..=bounds.len() {
            let from =
                page.checked_sub(1).map_or(String::new(), |at| format!(" and {EPOCH} >= {}", bounds[at]));
            let to = bounds.get(page).map_or(String::new(), |bound| format!(" and {EPOCH} < {bound}"));
            let query = format!(
                "set notruncation; {table} | where isnotnull({EPOCH}){from}{to} | summarize Rows = count() by Epoch = {EPOCH}"
            );
            let counted: Vec<Counted> = self.query(&query).await?.rows_as()?;
            found.rows.extend(counted.into_iter().map(|it| (it.epoch as u64, it.rows)));
        }
        Ok(Some(found))
    }

    /// Values that the service writes in another form than the hash is made of.
    pub(in super::super) async fn deviations(&self, hash: &RowHash) -> Asked<Vec<Deviation>> {
        let probe = hash.probe();
        let answers: Vec<Probed> = self.query(probe.query()).await?.rows_as()?;
        let answers: Vec<_> = answers.into_iter().map(|it| (it.r#type, it.row, it.number)).collect();
        Ok(probe.deviations(&answers))
    }

    /// The rows of the target from one epoch to another, counted, and the sums of their hashes.
    pub(in super::super) async fn sums_by_epoch(
        &self,
        hash: &RowHash,
        first: u64,
        last: u64,
    ) -> Asked<BTreeMap<u64, Summed>> {
        let (table, functions, number) = (quote_name(&self.table), hash.functions(), hash.expression());
        // 32 bits for each row: 2^31 rows of an epoch fit a long.
        let query = format!(
            "set notruncation; {functions}{table} | where {EPOCH} >= {first} and {EPOCH} <= {last} \
             | summarize Rows = count(), Sum = sum({number}) by Epoch = {EPOCH}"
        );
        let sums: Vec<SumRow> = self.query(&query).await?.rows_as()?;
        let sums = sums.into_iter().map(|it| (it.epoch as u64, Summed { rows: it.rows, sum: it.sum as u64 }));
        Ok(sums.collect())
    }
}
