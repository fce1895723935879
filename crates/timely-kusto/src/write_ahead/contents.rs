//! What rows contain: the sum of hashes that was made when they were logged beside the same sum over the table.
//!
//! ```text
//! intents ─► epochs with a sum ─┬─► by what it is over ─► is it comparable here? ─► sums in the table ─► equal, or not
//!                               └─ rows agree by column      columns, text forms        in pages
//! ```
//! Only epochs whose rows agree by `_kt_epoch` are looked at: of the others it is known that they differ. What cannot be
//! compared, since a column is gone, the cluster writes values otherwise, or a query fails, is said, and is no difference.

use std::collections::{BTreeMap, BTreeSet};

use commit_protocol::{Epoch, Intent, Ledger, Row, RowSum};
use kusto_client::ErrorKind;

use super::WriteAheadError;
use super::audit::{EpochAudit, EpochState, SumAudit};
use super::process::Process;
use super::service::{Asked, Summed};
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

/// Compares, and writes what it finds into `epochs`, which are in order; returns what could not be compared, and why.
pub(super) async fn compare(
    process: &Process,
    ledger: &Ledger,
    promised: &PromisedSums,
    epochs: &mut [EpochAudit],
) -> Result<Vec<String>, WriteAheadError> {
    let (mut by_hash, mut remarks, mut unnumbered) = (BTreeMap::<u64, Vec<usize>>::new(), Vec::new(), 0);
    for (at, epoch) in epochs.iter_mut().enumerate() {
        if !matches!(epoch.state, EpochState::Agrees | EpochState::NoTags) {
            continue;
        }
        let Some(sum) = promised.of(epoch.epoch) else { continue };
        epoch.sum = Some(SumAudit { promised: sum.sum, found: None });
        match epoch.by_column.unwrap_or(0) {
            0 => unnumbered += 1,
            _ => by_hash.entry(sum.over).or_default().push(at),
        }
    }
    if unnumbered > 0 {
        remarks.push(not_compared(unnumbered, "no row carries their number in _kt_epoch (any more)"));
    }
    if by_hash.is_empty() {
        return Ok(remarks);
    }
    let known = hashes(ledger);
    let columns = asked(process.desk.target_columns().await)?;
    let columns = columns.into_iter().map(|column| (column.name, Kind::from_name(&column.kind))).collect();
    for (over, places) in by_hash {
        match comparable(process, known.get(&over), &columns).await? {
            Ok(hash) => remarks.extend(compare_epochs(process, hash, epochs, &places).await?),
            Err(why) => remarks.push(not_compared(places.len(), &why)),
        }
    }
    Ok(remarks)
}

fn not_compared(epochs: usize, why: &str) -> String {
    format!("the contents of {epochs} epochs are not compared: {why}")
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
        let why = format!("they were hashed with a column {name}: {kind}, which the table has no more");
        return Ok(Err(why));
    }
    let deviation = readable(process.desk.deviations(hash).await)?.map(|all| all.into_iter().next());
    Ok(deviation.and_then(|first| first.map_or(Ok(hash), |deviation| Err(of_deviation(&deviation)))))
}

fn of_deviation(Deviation { kind, value }: &Deviation) -> String {
    format!(
        "this cluster does not compute a {kind} as this version does, for instance of {value:?}; where that is a type, leave \
         its columns out of hash_columns"
    )
}

/// An answer, or in words why there is none. Who cannot sign in is to hear that, and not of hashes.
fn readable<T>(answer: Asked<T>) -> Result<Result<T, String>, WriteAheadError> {
    match answer {
        Err(error) if error.kind() == ErrorKind::SignIn => asked(Err(error)),
        answer => {
            Ok(answer.map_err(|error| format!("the service does not answer a query about them: {error}")))
        }
    }
}

/// Compares the epochs at these places; returns what could not be asked.
async fn compare_epochs(
    process: &Process,
    hash: &RowHash,
    epochs: &mut [EpochAudit],
    places: &[usize],
) -> Result<Option<String>, WriteAheadError> {
    let (mut failed, mut last) = (0, None);
    for page in pages(places, hash.columns().len(), |at| epochs[at].promised) {
        let (Some(first), Some(end)) = (page.first(), page.last()) else { continue };
        let answer = process.desk.sums_by_epoch(hash, epochs[*first].epoch, epochs[*end].epoch).await;
        match readable(answer)? {
            Ok(found) => page.iter().for_each(|at| judge(&mut epochs[*at], &found)),
            Err(why) => (failed, last) = (failed + page.len(), Some(why)),
        }
    }
    Ok(last.map(|why| not_compared(failed, &why)))
}

/// Compares an epoch. Its rows were counted a while ago: if they are others now, that is what is wrong with it.
fn judge(epoch: &mut EpochAudit, found: &BTreeMap<u64, Summed>) {
    let Some(sum) = &mut epoch.sum else { return };
    match found.get(&epoch.epoch) {
        Some(now) if now.rows == epoch.promised => {
            sum.found = Some(now.sum);
            if now.sum != sum.promised {
                epoch.state = EpochState::Altered;
            }
        }
        now => {
            epoch.by_column = Some(now.map_or(0, |now| now.rows));
            epoch.state = EpochState::Differs;
        }
    }
}

/// Epochs that are asked about at a time; an answer has a row for each.
const EPOCHS_PER_PAGE: usize = 10_000;

/// Values that are hashed at a time, unless one epoch has more: a query may take four minutes by default
/// (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/set-timeout-limits.md`), and this takes seconds.
const VALUES_PER_PAGE: u64 = 100_000_000;

/// Divides places in the list of all epochs so that no part has too many of them, or of values, and none of another kind lies
/// between two of one part: a query goes by the first and the last.
fn pages(places: &[usize], columns: usize, rows: impl Fn(usize) -> u64) -> Vec<&[usize]> {
    let mut pages = Vec::new();
    for mut rest in places.chunk_by(|one, next| one + 1 == *next) {
        while !rest.is_empty() {
            let mut values = 0u64;
            let fits = rest.iter().take(EPOCHS_PER_PAGE).take_while(|at| {
                values = values.saturating_add(rows(**at).saturating_mul(columns as u64));
                values <= VALUES_PER_PAGE
            });
            let (page, others) = rest.split_at(fits.count().max(1));
            pages.push(page);
            rest = others;
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_few_epochs_and_few_values_and_none_of_another_kind_between() {
        let of = |places: &[usize], rows: &[u64], columns| {
            let pages = pages(places, columns, |at| rows[at]);
            assert_eq!(pages.concat(), places);
            pages.into_iter().map(<[_]>::len).collect::<Vec<_>>()
        };
        let all: Vec<usize> = (0..25_000).collect();
        assert_eq!(of(&[], &[], 1), [0; 0]);
        assert_eq!(of(&all[..6], &[4_000_000, 6_000_000, 1, u64::MAX, 5, 5], 10), [2, 1, 1, 2]);
        assert_eq!(of(&all, &[1; 25_000], 1), [10_000, 10_000, 5_000]);
        assert_eq!(of(&[0, 1, 3, 4, 9], &[1; 10], 1), [2, 2, 1]);
    }

    #[test]
    fn an_epoch_whose_rows_are_fewer_by_the_time_of_the_second_query_differs_and_is_not_altered() {
        let epoch = |epoch| EpochAudit {
            epoch,
            promised: 5,
            found: None,
            shared_by: 1,
            by_column: Some(5),
            sum: Some(SumAudit { promised: 77, found: None }),
            state: EpochState::Agrees,
        };
        let found = BTreeMap::from([
            (1, Summed { rows: 5, sum: 77 }),
            (2, Summed { rows: 5, sum: 78 }),
            (3, Summed { rows: 4, sum: 70 }),
        ]);
        let judged = |at| {
            let mut epoch = epoch(at);
            judge(&mut epoch, &found);
            (epoch.state, epoch.by_column, epoch.sum.and_then(|sum| sum.found))
        };
        assert_eq!(judged(1), (EpochState::Agrees, Some(5), Some(77)));
        assert_eq!(judged(2), (EpochState::Altered, Some(5), Some(78)));
        assert_eq!(judged(3), (EpochState::Differs, Some(4), None));
        assert_eq!(judged(4), (EpochState::Differs, Some(0), None));
    }

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
