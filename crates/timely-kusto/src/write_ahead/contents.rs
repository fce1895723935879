//! What rows contain: the sum of hashes that was made when they were logged beside the same sum over the table.
//!
//! ```text
//! intents ─► epochs with a sum ─┬─► by what it is over ─► is it comparable here? ─► sums in the table ─► equal, or not
//!                               └─ rows agree by column      columns, text forms        in pages
//! ```
//! Only epochs whose rows agree by `_kt_epoch` are looked at: of the others it is known that they differ. What cannot be
//! compared is said, and is no difference.

use std::collections::{BTreeMap, BTreeSet};

use commit_protocol::{Epoch, Intent, Ledger, Row, RowSum};

use super::WriteAheadError;
use super::audit::{EpochAudit, EpochState, SumAudit};
use super::process::Process;
use super::survey::asked;
use crate::row_hash::{Deviation, Kind, RowHash};

/// The sums that intents promise, by epoch: none where a chunk has none, or one over something else.
#[derive(Debug, Default)]
pub(super) struct PromisedSums(BTreeMap<Epoch, Option<RowSum>>);

impl PromisedSums {
    pub(super) fn add(&mut self, intent: &Intent) {
        intent.chunks.iter().for_each(|chunk| self.add_chunk(chunk.tag.chunk.epoch, chunk.sum));
    }

    fn add_chunk(&mut self, epoch: Epoch, sum: Option<RowSum>) {
        let both = |so_far: Option<RowSum>| {
            let (so_far, sum) = (so_far?, sum?);
            (so_far.over == sum.over).then(|| RowSum { sum: so_far.sum.wrapping_add(sum.sum), ..so_far })
        };
        self.0.entry(epoch).and_modify(|so_far| *so_far = both(*so_far)).or_insert(sum);
    }

    fn of(&self, epoch: u64) -> Option<RowSum> {
        self.0.get(&Epoch(epoch)).copied().flatten()
    }
}

/// Compares, and writes what it finds into `epochs`; returns what could not be compared, and why.
pub(super) async fn compare(
    process: &Process,
    ledger: &Ledger,
    promised: &PromisedSums,
    epochs: &mut [EpochAudit],
) -> Result<Vec<String>, WriteAheadError> {
    let mut by_hash = BTreeMap::<u64, Vec<&mut EpochAudit>>::new();
    for epoch in
        epochs.iter_mut().filter(|it| it.state == EpochState::Agrees && it.by_column.unwrap_or(0) > 0)
    {
        if let Some(sum) = promised.of(epoch.epoch) {
            epoch.sum = Some(SumAudit { promised: sum.sum, found: None });
            by_hash.entry(sum.over).or_default().push(epoch);
        }
    }
    let mut remarks = Vec::new();
    if by_hash.is_empty() {
        return Ok(remarks);
    }
    let known = hashes(ledger);
    let columns = asked(process.desk.target_columns().await)?;
    let columns = columns.into_iter().map(|column| (column.name, Kind::from_name(&column.kind))).collect();
    for (over, mut epochs) in by_hash {
        match comparable(process, known.get(&over), &columns).await? {
            Ok(hash) => compare_epochs(process, hash, &mut epochs).await?,
            Err(why) => {
                remarks.push(format!("the contents of {} epochs are not compared: {why}", epochs.len()))
            }
        }
    }
    Ok(remarks)
}

/// What sums are over, by their names.
fn hashes(ledger: &Ledger) -> BTreeMap<u64, RowHash> {
    let texts = ledger.rows().iter().filter_map(|row| match row {
        Row::Start(start) => start.sums_over.as_deref(),
        _ => None,
    });
    let distinct: BTreeSet<&str> = texts.collect();
    let hashes = distinct.into_iter().filter_map(|text| RowHash::parse(text).ok());
    hashes.map(|hash| (hash.id(), hash)).collect()
}

/// Whether the table can be asked for sums over this; if not, why.
async fn comparable<'a>(
    process: &Process,
    hash: Option<&'a RowHash>,
    columns: &BTreeMap<String, Option<Kind>>,
) -> Result<Result<&'a RowHash, String>, WriteAheadError> {
    let Some(hash) = hash else {
        let why = "a newer version made their sums, or the row that says what these are over is gone";
        return Ok(Err(why.to_owned()));
    };
    let gone = |(name, kind): &&(String, Kind)| columns.get(name) != Some(&Some(*kind));
    if let Some((name, kind)) = hash.columns().iter().find(gone) {
        let kind = kind.name();
        return Ok(Err(format!(
            "they were hashed with a column {name}: {kind}, which the table has no more"
        )));
    }
    let deviations = asked(process.desk.deviations(hash).await)?;
    Ok(deviations.first().map_or(Ok(hash), |Deviation { kind, value }| {
        Err(format!(
            "this cluster does not compute a {kind} as this version does, for instance of {value:?}; where that is a type, \
             leave its columns out of hash_columns"
        ))
    }))
}

async fn compare_epochs(
    process: &Process,
    hash: &RowHash,
    epochs: &mut [&mut EpochAudit],
) -> Result<(), WriteAheadError> {
    let expected: Vec<(u64, u64)> = epochs.iter().map(|epoch| (epoch.epoch, epoch.promised)).collect();
    let found = asked(process.desk.sums_by_epoch(hash, &expected).await)?;
    for epoch in epochs {
        let Some(sum) = &mut epoch.sum else { continue };
        sum.found = found.get(&epoch.epoch).copied();
        if sum.found != Some(sum.promised) {
            epoch.state = EpochState::Altered;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_a_sum_if_all_its_chunks_have_one_over_the_same() {
        let sum = |over, sum| Some(RowSum { over, sum });
        let of = |sums: [Option<RowSum>; 2]| {
            let mut promised = PromisedSums::default();
            sums.into_iter().for_each(|one| promised.add_chunk(Epoch(7), one));
            promised.of(7)
        };
        assert_eq!(of([sum(1, 5), sum(1, u64::MAX)]), sum(1, 4));
        for other in [[None, None], [sum(1, 5), None], [None, sum(1, 5)], [sum(1, 5), sum(2, 5)]] {
            assert_eq!(of(other), None, "{other:?}");
        }
        assert_eq!(PromisedSums::default().of(7), None);
    }
}
