//! Rows of the target by the epoch that they carry.

use std::collections::BTreeMap;

use kusto_client::quote_name;
use serde::Deserialize;

use super::{Asked, Desk};
use crate::encode::tail::EPOCH;
use crate::row_hash::{Deviation, RowHash};

/// Epochs that are asked about at a time; an answer has a row for each.
const EPOCHS_PER_PAGE: usize = 10_000;

/// Rows whose hashes are asked for at a time, unless one epoch has more: a query may take four minutes by default
/// (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/set-timeout-limits.md`), and these take seconds.
const ROWS_PER_PAGE: u64 = 10_000_000;

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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summed {
    epoch: i64,
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

    /// The sum of the hashes of the target's rows, by epoch. `epochs` are those that are wanted, in order, with the rows that
    /// they are expected to have.
    pub(in super::super) async fn sums_by_epoch(
        &self,
        hash: &RowHash,
        epochs: &[(u64, u64)],
    ) -> Asked<BTreeMap<u64, u64>> {
        let (table, mut sums) = (quote_name(&self.table), BTreeMap::new());
        let (functions, hashed) = (hash.functions(), hash.expression());
        for page in pages(epochs) {
            let (Some((first, _)), Some((last, _))) = (page.first(), page.last()) else { continue };
            let query = format!(
                "set notruncation; {functions}{table} | where {EPOCH} >= {first} and {EPOCH} <= {last} \
                 | summarize Sum = sum({hashed}) by Epoch = {EPOCH}"
            );
            let summed: Vec<Summed> = self.query(&query).await?.rows_as()?;
            sums.extend(summed.into_iter().map(|it| (it.epoch as u64, it.sum as u64)));
        }
        Ok(sums)
    }
}

/// Divides epochs so that no part has too many of them, or of rows.
fn pages(epochs: &[(u64, u64)]) -> Vec<&[(u64, u64)]> {
    let (mut pages, mut rest) = (Vec::new(), epochs);
    while !rest.is_empty() {
        let mut rows = 0u64;
        let fits = rest.iter().take(EPOCHS_PER_PAGE).take_while(|(_, more)| {
            rows = rows.saturating_add(*more);
            rows <= ROWS_PER_PAGE
        });
        let (page, others) = rest.split_at(fits.count().max(1));
        pages.push(page);
        rest = others;
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_few_epochs_and_few_rows_and_every_epoch_once() {
        let of = |rows: &[u64]| {
            let epochs: Vec<_> = rows.iter().enumerate().map(|(at, rows)| (at as u64, *rows)).collect();
            let lengths: Vec<usize> = pages(&epochs).into_iter().map(<[_]>::len).collect();
            assert_eq!(pages(&epochs).concat(), epochs);
            lengths
        };
        assert_eq!(of(&[]), [0; 0]);
        assert_eq!(of(&[4_000_000, 6_000_000, 1, u64::MAX, 5, 5]), [2, 1, 1, 2]);
        assert_eq!(of(&[1; 25_000]), [10_000, 10_000, 5_000]);
    }
}
