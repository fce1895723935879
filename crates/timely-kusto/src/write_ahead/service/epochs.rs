//! Rows of the target by the epoch that they carry.

use std::collections::BTreeMap;

use kusto_client::quote_name;
use serde::Deserialize;

use super::{Asked, Desk};
use crate::encode::tail::EPOCH;

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
}
