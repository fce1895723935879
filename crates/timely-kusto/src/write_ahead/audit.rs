//! The rows that intents promise beside the rows that the table shows, epoch by epoch.
//!
//! The evidence is the tags of the target's extents. Extents that were merged carry the tags of all; then their epochs are
//! compared together. Where an extent with tags was merged with rows of other writers, it shows more rows than were
//! promised. Where tags are gone (dropped, or the extents were rewritten), only the total is left: rows without tags.
//!
//! Where rows carry their epoch (`_kt_epoch`), that is what counts, whatever became of extents and tags. An epoch none of whose
//! rows carries it was written without, and goes by its tags.
//!
//! Where rows were hashed, also what they contain is compared (`contents.rs`).
//!
//! In memory are all intents without positions and extents, the tags in the target, and a number per epoch: some hundred bytes per
//! chunk and epoch of the pipeline's history. `kt_epochs`, and the rows by epoch, are read in pages.
//!
//! Differences that are no fault: rows that aged out or were deleted on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use commit_protocol::{Epoch, Intent, IntentId, RollForward, Tag};
use epoch_log::fs::{FileSystem, RealFileSystem};
use epoch_log::{Error, Footer, inspect};

use super::WriteAheadError;
use super::contents::{self, PromisedSums};
use super::process::Process;
use super::survey::{Survey, chain};

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// What the pipeline is called in names of tables and in tags.
    pub lineage: String,
    /// The staging table, which names the start that holds it.
    pub staging_table: String,
    /// Epochs below are committed, or claimed by the last intent.
    pub cover: u64,
    /// Intents that count.
    pub intents: usize,
    /// Epochs with rows, in order.
    pub epochs: Vec<EpochAudit>,
    /// Rows of all writers in the table.
    pub table_rows: u64,
    /// Rows in extents that carry tags of this pipeline.
    pub tagged_rows: u64,
    /// Rows that carry an epoch in `_kt_epoch`; none where the table has no such column.
    pub column_rows: Option<u64>,
    /// Rows that carry an epoch in `_kt_epoch` of which no intent promises rows; none where the table has no such column.
    pub unpromised_rows: Option<u64>,
    /// Epochs whose contents could not be compared, although their rows were hashed, and why.
    pub not_compared: Vec<String>,
    /// Tags in the table that no intent names, with the rows of their extents.
    pub unclaimed: Vec<(String, u64)>,
    /// Rows in the staging table.
    pub staged_rows: u64,
    /// Rows of the staging table that the last intent claims.
    pub claimed_rows: u64,
    /// Epoch files in this state directory that are not committed yet.
    pub logged: LoggedRows,
}

/// Rows in epoch files that are not committed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoggedRows {
    /// Files with epochs from the cover on.
    pub files: u64,
    /// Their rows in these epochs.
    pub rows: u64,
    /// Files that cannot be read.
    pub damaged: u64,
}

/// An epoch with rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochAudit {
    /// The epoch.
    pub epoch: u64,
    /// Rows that an intent promises.
    pub promised: u64,
    /// Rows in the extents with its tags; none when no extent has them.
    pub found: Option<u64>,
    /// How many epochs share these extents, since they were merged: `found` is of all of them.
    pub shared_by: usize,
    /// Rows that carry its number in `_kt_epoch`; none where the table has no such column.
    pub by_column: Option<u64>,
    /// The sum over the hashes of its rows, if all of them were hashed and as many rows as promised carry its number.
    pub sum: Option<SumAudit>,
    /// What that means.
    pub state: EpochState,
}

/// The sum over the hashes of an epoch's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumAudit {
    /// Made when the rows were logged.
    pub promised: u64,
    /// Over the rows that carry its number in `_kt_epoch`; none where it was not asked for ([`Audit::not_compared`]).
    pub found: Option<u64>,
}

/// What became of an epoch's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochState {
    /// As many in the table as promised.
    Agrees,
    /// Claimed by the last intent, and about to be moved: by the start that runs, or by the next one.
    Claimed,
    /// Committed, and no extent carries their tags any more.
    NoTags,
    /// Claimed by the last intent, and neither in the staging table nor, by tags, in the table.
    Ambiguous,
    /// Another number of rows than promised.
    Differs,
    /// As many rows as promised, and not those that were logged.
    Altered,
}

impl Audit {
    /// Rows that intents promise, without those that are still to be moved.
    pub fn promised(&self) -> u64 {
        let done = self.epochs.iter().filter(|epoch| epoch.state != EpochState::Claimed);
        done.map(|epoch| epoch.promised).sum()
    }

    /// Rows that neither a tag of their extent nor `_kt_epoch` tells anything about: those of epochs without tags must be among
    /// them.
    pub fn untold_rows(&self) -> u64 {
        self.table_rows.saturating_sub(self.tagged_rows.max(self.column_rows.unwrap_or(0)))
    }

    /// Whether nothing contradicts the promises: no epoch differs, is altered or is ambiguous, no extent of the table has tags that no
    /// intent names, no row carries an epoch without a promise, and rows without tags are enough for the epochs without tags.
    pub fn agrees(&self) -> bool {
        let rows_of =
            |state| self.epochs.iter().filter(move |it| it.state == state).map(|it| it.promised).sum::<u64>();
        let wrong = |epoch: &EpochAudit| {
            matches!(epoch.state, EpochState::Differs | EpochState::Altered | EpochState::Ambiguous)
        };
        !self.epochs.iter().any(wrong)
            && self.unclaimed.is_empty()
            && self.unpromised_rows.unwrap_or(0) == 0
            && rows_of(EpochState::NoTags) <= self.untold_rows()
    }
}

/// Looks and compares.
pub(super) async fn audit(process: &Process) -> Result<Audit, WriteAheadError> {
    let survey = Survey::take(&process.desk, process.options.pipeline(), true).await?;
    let promises = Promises::of(&survey)?;
    let total = process.desk.count().await;
    let table_rows =
        total.map_err(|source| WriteAheadError::Service { doing: "counting rows".to_owned(), source })?;
    let head = survey.head.as_deref();
    let claimed: BTreeSet<_> = head.into_iter().flat_map(Intent::extents).collect();
    let mut epochs = promises.compare(&survey);
    let not_compared = contents::compare(process, &survey.after, &promises.sums, &mut epochs).await?;
    let of_head = survey.staged.iter().filter(|extent| claimed.contains(&extent.id));
    Ok(Audit {
        lineage: process.lineage.to_string(),
        staging_table: survey.staging.to_string(),
        cover: head.map_or(0, |head| head.after.cover.0),
        intents: promises.intents,
        epochs,
        table_rows,
        tagged_rows: survey.tagged.iter().map(|extent| extent.rows).sum(),
        column_rows: survey.by_column.as_ref().map(|found| found.rows.values().sum()),
        unpromised_rows: promises.unpromised(&survey),
        not_compared,
        unclaimed: promises.unclaimed(&survey),
        staged_rows: survey.staged.iter().map(|extent| extent.rows).sum(),
        claimed_rows: of_head.map(|extent| extent.rows).sum(),
        logged: logged(process, head)?,
    })
}

/// How sure an intent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Settled,
    Pending,
    Ambiguous,
}

/// What the intents that count say.
#[derive(Default)]
struct Promises {
    intents: usize,
    /// Rows, by epoch.
    rows: BTreeMap<Epoch, (u64, Standing)>,
    /// Sums over the hashes of rows, by epoch.
    sums: PromisedSums,
    /// All tags that they name.
    tags: BTreeSet<Tag>,
}

impl Promises {
    fn of(survey: &Survey) -> Result<Self, WriteAheadError> {
        let known: BTreeSet<IntentId> = chain(&survey.before)?.iter().map(|intent| intent.id).collect();
        let all = chain(&survey.after)?;
        let outlook = survey.outlook();
        let mut promises = Promises::default();
        for (at, intent) in all.iter().enumerate() {
            let standing = match &outlook {
                Some((head, RollForward::Restage(_))) if head.id == intent.id => continue,
                Some((head, RollForward::Move(_))) if head.id == intent.id => Standing::Pending,
                Some((head, RollForward::Ambiguous(_))) if head.id == intent.id => Standing::Ambiguous,
                _ if !known.contains(&intent.id) => Standing::Pending,
                _ => Standing::Settled,
            };
            // A person decided that it is staged again: its successor begins where it began.
            if all.get(at + 1).is_some_and(|next| next.from != intent.after.cover) {
                continue;
            }
            promises.add(intent, standing);
        }
        Ok(promises)
    }

    fn add(&mut self, intent: &Intent, standing: Standing) {
        self.intents += 1;
        self.sums.add(intent);
        self.tags.extend(intent.chunks.iter().map(|chunk| chunk.tag));
        for (epoch, rows) in &intent.rows_per_epoch {
            let promise = self.rows.entry(*epoch).or_insert((0, standing));
            *promise = (promise.0 + rows, promise.1.max(standing));
        }
    }

    /// Tags in T that nobody promised. (An intent may be void: then its extents must not be there either.)
    fn unclaimed(&self, survey: &Survey) -> Vec<(String, u64)> {
        let of = |tags: &BTreeSet<Tag>| tags.iter().find(|tag| !self.tags.contains(tag)).map(Tag::to_string);
        survey.tagged.iter().filter_map(|extent| Some((of(&extent.tags)?, extent.rows))).collect()
    }

    /// Rows of T whose epoch nobody promised.
    fn unpromised(&self, survey: &Survey) -> Option<u64> {
        let found = &survey.by_column.as_ref()?.rows;
        Some(
            found
                .iter()
                .filter(|(epoch, _)| !self.rows.contains_key(&Epoch(**epoch)))
                .map(|(_, rows)| rows)
                .sum(),
        )
    }

    fn compare(&self, survey: &Survey) -> Vec<EpochAudit> {
        let mut groups = Groups::new(self.rows.keys().copied());
        for extent in &survey.tagged {
            groups.join(
                extent.tags.iter().filter(|tag| self.tags.contains(tag)).map(|tag| tag.chunk.epoch),
                extent.rows,
            );
        }
        let mut epochs = Vec::new();
        for (members, found) in groups.all() {
            let promised: u64 = members.iter().map(|epoch| self.rows[epoch].0).sum();
            for epoch in &members {
                let (own, standing) = self.rows[epoch];
                let by_column =
                    survey.by_column.as_ref().map(|it| it.rows.get(&epoch.0).copied().unwrap_or(0));
                let state = match by_column {
                    Some(rows) if rows > 0 => state(standing, own, Some(rows)),
                    _ => state(standing, promised, found),
                };
                epochs.push(EpochAudit {
                    epoch: epoch.0,
                    promised: own,
                    found,
                    shared_by: members.len(),
                    by_column,
                    sum: None,
                    state,
                });
            }
        }
        epochs.sort_by_key(|epoch| epoch.epoch);
        epochs
    }
}

fn state(standing: Standing, promised: u64, found: Option<u64>) -> EpochState {
    match (standing, found) {
        (_, Some(found)) if found == promised => EpochState::Agrees,
        (Standing::Pending, _) => EpochState::Claimed,
        (Standing::Ambiguous, _) => EpochState::Ambiguous,
        (Standing::Settled, None) => EpochState::NoTags,
        (Standing::Settled, Some(_)) => EpochState::Differs,
    }
}

/// Epochs that share extents.
struct Groups {
    group: BTreeMap<Epoch, usize>,
    /// Members, and rows if there is an extent.
    members: Vec<(Vec<Epoch>, Option<u64>)>,
}

impl Groups {
    fn new(epochs: impl Iterator<Item = Epoch>) -> Self {
        let epochs: Vec<Epoch> = epochs.collect();
        let group = epochs.iter().enumerate().map(|(index, epoch)| (*epoch, index)).collect();
        Groups { group, members: epochs.into_iter().map(|epoch| (vec![epoch], None)).collect() }
    }

    /// An extent with rows of these epochs; the smaller group joins the larger one.
    fn join(&mut self, epochs: impl Iterator<Item = Epoch>, rows: u64) {
        let touched: BTreeSet<usize> = epochs.filter_map(|epoch| self.group.get(&epoch).copied()).collect();
        let Some(&into) = touched.iter().max_by_key(|index| self.members[**index].0.len()) else { return };
        for other in touched.into_iter().filter(|index| *index != into) {
            let (moved, found) = std::mem::take(&mut self.members[other]);
            self.group.extend(moved.iter().map(|epoch| (*epoch, into)));
            self.members[into].0.extend(moved);
            let sum = self.members[into].1.into_iter().chain(found).reduce(|one, two| one + two);
            self.members[into].1 = sum;
        }
        let found = &mut self.members[into].1;
        *found = Some(found.unwrap_or(0) + rows);
    }

    fn all(self) -> impl Iterator<Item = (Vec<Epoch>, Option<u64>)> {
        self.members.into_iter().filter(|(members, _)| !members.is_empty())
    }
}

/// Epoch files of the start whose logs count, as far as they are in this state directory.
fn logged(process: &Process, head: Option<&Intent>) -> Result<LoggedRows, WriteAheadError> {
    let mut logged = LoggedRows::default();
    let Some((head, logs)) = head.and_then(|head| Some((head, head.after.logs?))) else { return Ok(logged) };
    let counts = super::names::start(logs.start)?;
    for footer in footers(&process.log, &counts)? {
        let Ok(footer) = footer else {
            logged.damaged += 1;
            continue;
        };
        if footer.to.0 > head.after.cover.0 {
            let chunks = footer.chunks.iter().filter(|chunk| chunk.epoch.0 >= head.after.cover.0);
            logged.files += 1;
            logged.rows += chunks.map(|chunk| chunk.rows).sum::<u64>();
        }
    }
    Ok(logged)
}

/// The footers of a start's files, or what is wrong with them.
fn footers(log: &epoch_log::Log, start: &epoch_log::Start) -> Result<Vec<Result<Footer, Error>>, Error> {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFileSystem);
    let mut footers = Vec::new();
    for id in log.directories()?.into_iter().filter(|id| id.start == *start) {
        let found = inspect::directory(&fs, &log.path_of(&id), inspect::show)?;
        footers.extend(found.into_iter().map(|file| file.outcome));
    }
    Ok(footers)
}
