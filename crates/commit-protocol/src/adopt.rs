//! Adoption: what a start takes over from the logs of the start before it, from the lists of all processes.
//!
//! Only the logs that the head names count, whether or not they are here; all others are void. Adoptable is what *every*
//! worker of that start has sealed, from the head's cover on:
//!
//! ```text
//!           cover                lowest end
//!  w0  ──────┼──[file)──[file)──────┤──[file)          adopted: what lies between; the rest is replayed
//!  w1  ──────┼─────[file)───────────┤
//! ```

use std::fmt;

use crate::ids::{Epoch, Generation, StartId, Worker};
use crate::positions::{ConflictingPositions, PositionChange, Positions};
use crate::rows::{Frontier, Logs};
use crate::rules::{Rule, Rules};
use crate::tag::ChunkId;

/// Name and type of a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its Kusto scalar type, such as `long`.
    pub kind: String,
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.kind)
    }
}

/// A chunk as the footer of its file describes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoggedChunk {
    /// The epoch of its rows.
    pub epoch: Epoch,
    /// Its number within worker and epoch.
    pub index: u32,
    /// Its rows.
    pub rows: u64,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// A sealed epoch file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogFile {
    /// The first epoch it covers.
    pub from: Epoch,
    /// The first epoch after it.
    pub to: Epoch,
    /// Its chunks.
    pub chunks: Vec<LoggedChunk>,
    /// Positions that changed in it.
    pub positions: Vec<PositionChange>,
}

/// The log directory of one worker of one start, locked by the process that lists it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogDirectory {
    /// Whose.
    pub start: StartId,
    /// Of which worker.
    pub worker: Worker,
    /// Where it lies, for messages: process and path.
    pub place: String,
    /// Its sealed files, in any order.
    pub files: Vec<LogFile>,
}

/// The lists of all processes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogLists {
    /// All directories of the lineage that were found.
    pub directories: Vec<LogDirectory>,
    /// Directories whose lock somebody else holds, with who it is. They are not listed.
    pub held: Vec<HeldLog>,
}

/// A log directory that cannot be read now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeldLog {
    /// Whose.
    pub start: StartId,
    /// Of which worker.
    pub worker: Worker,
    /// Which process holds it, for people.
    pub holder: String,
}

/// What a start does about the logs of the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// Somebody holds one of the logs that count: wait, and list again.
    Held,
    /// Nothing was sealed by all workers beyond the cover: sources go on from the head's positions.
    Nothing,
    /// Take these over.
    Adopt(Adopted),
    /// Logs that count are not here. Sources that can replay make up for them; others cannot.
    Missing {
        /// The start whose logs count.
        logs: Logs,
        /// The workers whose logs are not here.
        workers: Vec<Worker>,
    },
}

/// What is taken over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adopted {
    /// Everything below is taken over.
    pub bound: Epoch,
    /// Chunks from the cover to the bound, in order, with their rows.
    pub chunks: Vec<(ChunkId, u64)>,
    /// Positions that changed below the bound.
    pub positions: Vec<PositionChange>,
    /// Whose logs they are.
    pub logs: Logs,
}

/// What is wrong with logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(test, derive(Hash))]
pub enum LogError {
    /// A sealed file between two others is not there.
    #[error(
        "{place} has no sealed file from epoch {from}, and one from epoch {next}: files were removed by hand"
    )]
    Gap {
        /// Where.
        place: String,
        /// The epoch that is not covered.
        from: Epoch,
        /// The next file begins here.
        next: Epoch,
    },
    /// Two directories of one worker.
    #[error("worker {worker} of start {start} has two logs, in {one} and {other}: one is a copy, remove it")]
    Twice {
        /// Whose.
        start: StartId,
        /// Which worker.
        worker: Worker,
        /// Here.
        one: String,
        /// And here.
        other: String,
    },
    /// A directory of a worker that its start did not have.
    #[error(
        "{place} is the log of worker {worker} of start {start}, which had {workers} workers: move it away, or look \
         where it comes from"
    )]
    Stray {
        /// Whose.
        start: StartId,
        /// Of which worker.
        worker: Worker,
        /// How many workers that start had.
        workers: u32,
        /// Where.
        place: String,
    },
    /// Columns of a logged chunk do not fit the target any more.
    #[error(
        "chunk {chunk} was logged with columns ({logged}) and the target has ({target}): \
         put the columns back under these names and types, and start again"
    )]
    Columns {
        /// Which chunk.
        chunk: ChunkId,
        /// Its columns.
        logged: String,
        /// The target's.
        target: String,
    },
    /// Two logs disagree about a position.
    #[error("the logs disagree: {0}")]
    Positions(#[from] ConflictingPositions),
}

/// Decides what to adopt after `head`, from the lists of all processes.
pub fn adopt(head: &Frontier, lists: &LogLists, target: &[Column]) -> Result<Adoption, LogError> {
    adopt_by(head, lists, target, Rules::ALL)
}

pub(crate) fn adopt_by(
    head: &Frontier,
    lists: &LogLists,
    target: &[Column],
    rules: Rules,
) -> Result<Adoption, LogError> {
    #[cfg(any(test, feature = "testing"))]
    if !(rules.on(Rule::LogsOfHead) && rules.on(Rule::OpeningIntent)) {
        return adopt_what_is_here(head, lists, target, rules);
    }
    match head.logs {
        None => Ok(Adoption::Nothing),
        Some(logs) => adopt_logs(head, logs, head.cover, lists, target, rules),
    }
}

/// What was adopted before the head named the logs: what lies on the disks decides.
#[cfg(any(test, feature = "testing"))]
fn adopt_what_is_here(
    head: &Frontier,
    lists: &LogLists,
    target: &[Column],
    rules: Rules,
) -> Result<Adoption, LogError> {
    let sealed = lists.directories.iter().filter(|dir| !dir.files.is_empty()).map(|dir| dir.start);
    let held = lists.held.iter().map(|held| held.start);
    let all = sealed.chain(held);
    let chosen = if rules.on(Rule::LogsOfHead) { all.max() } else { all.min() };
    let Some(start) = chosen else { return Ok(Adoption::Nothing) };
    let known = head.logs.filter(|logs| logs.start == start);
    if head.logs.is_some_and(|logs| logs.start > start) {
        return Ok(Adoption::Nothing);
    }
    let first = lists.directories.iter().filter(|dir| dir.start == start).flat_map(|dir| &dir.files);
    let from = first.map(|file| file.from).min().unwrap_or(head.cover);
    let cover = if known.is_some() { from.max(head.cover) } else { from };
    adopt_logs(head, known.unwrap_or(Logs { start, workers: 2 }), cover, lists, target, rules)
}

fn adopt_logs(
    head: &Frontier,
    logs: Logs,
    cover: Epoch,
    lists: &LogLists,
    target: &[Column],
    rules: Rules,
) -> Result<Adoption, LogError> {
    if rules.on(Rule::LogLock) && lists.held.iter().any(|held| held.start == logs.start) {
        return Ok(Adoption::Held);
    }
    let here: Vec<&LogDirectory> = lists.directories.iter().filter(|dir| dir.start == logs.start).collect();
    refuse_twins(&here)?;
    refuse_strays(&here, logs)?;
    let has = |worker: &Worker| here.iter().any(|dir| dir.worker == *worker);
    let missing: Vec<Worker> = (0..logs.workers).map(Worker).filter(|worker| !has(worker)).collect();
    if !missing.is_empty() {
        return Ok(Adoption::Missing { logs, workers: missing });
    }
    let ends = here.iter().map(|dir| end_of(dir, cover)).collect::<Result<Vec<Epoch>, LogError>>()?;
    match ends.into_iter().min() {
        Some(bound) if bound > cover => take(head, logs, &here, cover, bound, target).map(Adoption::Adopt),
        _ => Ok(Adoption::Nothing),
    }
}

fn refuse_twins(here: &[&LogDirectory]) -> Result<(), LogError> {
    for (at, dir) in here.iter().enumerate() {
        if let Some(other) = here[..at].iter().find(|other| other.worker == dir.worker) {
            let (one, other) = (other.place.clone(), dir.place.clone());
            return Err(LogError::Twice { start: dir.start, worker: dir.worker, one, other });
        }
    }
    Ok(())
}

/// A log that nobody wrote must not lower the bound: what the others sealed may be acknowledged already.
fn refuse_strays(here: &[&LogDirectory], logs: Logs) -> Result<(), LogError> {
    match here.iter().find(|dir| dir.worker.0 >= logs.workers) {
        Some(stray) => {
            let (worker, place) = (stray.worker, stray.place.clone());
            Err(LogError::Stray { start: logs.start, worker, workers: logs.workers, place })
        }
        None => Ok(()),
    }
}

/// How far a worker sealed without a gap, from the cover on.
fn end_of(dir: &LogDirectory, cover: Epoch) -> Result<Epoch, LogError> {
    let mut files: Vec<&LogFile> = dir.files.iter().filter(|file| file.to > cover).collect();
    files.sort_by_key(|file| (file.from, file.to));
    let mut end = cover;
    for file in files {
        if file.from > end {
            return Err(LogError::Gap { place: dir.place.clone(), from: end, next: file.from });
        }
        end = end.max(file.to);
    }
    Ok(end)
}

fn take(
    head: &Frontier,
    logs: Logs,
    here: &[&LogDirectory],
    cover: Epoch,
    bound: Epoch,
    target: &[Column],
) -> Result<Adopted, LogError> {
    let wanted = |epoch: Epoch| epoch >= cover && epoch < bound;
    let mut chunks = Vec::new();
    let mut positions = Vec::new();
    for dir in here {
        for chunk in dir.files.iter().flat_map(|file| &file.chunks).filter(|chunk| wanted(chunk.epoch)) {
            let id = chunk_id(logs.start.generation, dir.worker, chunk);
            fits(id, chunk, target)?;
            chunks.push((id, chunk.rows));
        }
        let changes = dir.files.iter().flat_map(|file| &file.positions);
        positions.extend(changes.filter(|change| wanted(change.epoch)).cloned());
    }
    chunks.sort_unstable();
    let _checked: Positions = head.positions.advanced(&positions, bound)?;
    Ok(Adopted { bound, chunks, positions, logs })
}

fn chunk_id(log: Generation, worker: Worker, chunk: &LoggedChunk) -> ChunkId {
    ChunkId { epoch: chunk.epoch, log, worker, index: chunk.index }
}

/// A logged chunk fits if each of its columns is still there with its type.
fn fits(id: ChunkId, chunk: &LoggedChunk, target: &[Column]) -> Result<(), LogError> {
    if chunk.columns.iter().all(|column| target.contains(column)) {
        return Ok(());
    }
    let text = |columns: &[Column]| columns.iter().map(Column::to_string).collect::<Vec<_>>().join(", ");
    Err(LogError::Columns { chunk: id, logged: text(&chunk.columns), target: text(target) })
}
