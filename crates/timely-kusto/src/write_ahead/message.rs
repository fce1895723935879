//! What workers and processes say to each other.

use commit_protocol as protocol;
use commit_protocol::{Epoch, PositionChange, StagedChunk, StagingName, StartId, Worker};
use serde::{Deserialize, Serialize};

use super::error::Told;

/// A message on its way to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) to: u64,
    pub(super) message: Message,
}

/// What is said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// A worker is there; to worker 0.
    Hello { process: u64, worker: u64, local_logs: bool },
    /// What every worker is to do; from worker 0.
    Order { id: u64, order: Order },
    /// It is done; to worker 0.
    Answer { id: u64, process: u64, answer: Answer },
    /// Staging does not find its table; to worker 0.
    Suspect,
    /// Something failed for good; to worker 0, or to all if nothing has to be looked at first.
    Trouble { told: Told, look: bool },
}

/// What every worker is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Lock and list the logs of this process.
    ListLogs,
    /// Make the directory of each worker.
    Prepare { start: StartId },
    /// Stage those of these chunks that are here.
    Stage { into: Name, chunks: Vec<StagedChunk> },
    /// The start is over.
    Open(Opened),
    /// It failed.
    Fail(Told),
}

/// What an answer says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done,
    Logs { directories: Vec<Listed>, held: Vec<Held> },
    Staged(Vec<StagedChunk>),
    Failed(Told),
}

/// The name of a staging table, as text on the way.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Name {
    pub(super) lineage: protocol::Lineage,
    pub(super) start: StartId,
}

impl From<StagingName> for Name {
    fn from(name: StagingName) -> Self {
        Name { lineage: name.lineage, start: name.start }
    }
}

impl From<Name> for StagingName {
    fn from(name: Name) -> Self {
        StagingName { lineage: name.lineage, start: name.start }
    }
}

/// What a run begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Opened {
    pub(super) staging: Name,
    pub(super) first_epoch: u64,
    pub(super) positions: Vec<(String, Vec<u8>)>,
    /// The target's columns: name and type.
    pub(super) columns: Vec<(String, String)>,
    /// What the hash of a row is over, as its text, if rows are hashed.
    pub(super) hashed: Option<String>,
}

/// A log directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) start: StartId,
    pub(super) worker: u32,
    pub(super) place: String,
    pub(super) files: Vec<ListedFile>,
}

/// A sealed file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ListedFile {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) chunks: Vec<ListedChunk>,
    pub(super) positions: Vec<(u64, String, Vec<u8>)>,
}

/// A chunk as its footer has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ListedChunk {
    pub(super) epoch: u64,
    pub(super) index: u32,
    pub(super) rows: u64,
    pub(super) columns: Vec<(String, String)>,
}

/// A directory that somebody else holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) start: StartId,
    pub(super) worker: u32,
    pub(super) holder: String,
}

impl ListedFile {
    pub(super) fn of(file: &epoch_log::SealedFile) -> Self {
        let layouts = &file.footer().layouts;
        let columns = |layout: u32| {
            let columns = layouts.get(layout as usize).map(|layout| layout.columns.as_slice());
            let pair = |column: &epoch_log::Column| (column.name.clone(), column.column_type.clone());
            columns.unwrap_or_default().iter().map(pair).collect()
        };
        let chunk = |chunk: &epoch_log::Chunk| ListedChunk {
            epoch: chunk.epoch.0,
            index: chunk.number,
            rows: chunk.rows,
            columns: columns(chunk.layout),
        };
        ListedFile {
            from: file.from().0,
            to: file.to().0,
            chunks: file.chunks().iter().map(chunk).collect(),
            positions: positions_of(file),
        }
    }
}

/// The positions that changed in a file.
pub(super) fn positions_of(file: &epoch_log::SealedFile) -> Vec<(u64, String, Vec<u8>)> {
    let position = |it: &epoch_log::Position| (it.epoch.0, it.partition.clone(), it.position.clone());
    file.positions().iter().map(position).collect()
}

pub(super) fn change((epoch, partition, position): (u64, String, Vec<u8>)) -> PositionChange {
    PositionChange { epoch: Epoch(epoch), partition, position }
}

impl From<Listed> for protocol::LogDirectory {
    fn from(listed: Listed) -> Self {
        protocol::LogDirectory {
            start: listed.start,
            worker: Worker(listed.worker),
            place: listed.place,
            files: listed.files.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<ListedFile> for protocol::LogFile {
    fn from(file: ListedFile) -> Self {
        let chunk = |chunk: ListedChunk| protocol::LoggedChunk {
            epoch: Epoch(chunk.epoch),
            index: chunk.index,
            rows: chunk.rows,
            columns: chunk.columns.into_iter().map(|(name, kind)| protocol::Column { name, kind }).collect(),
        };
        protocol::LogFile {
            from: Epoch(file.from),
            to: Epoch(file.to),
            chunks: file.chunks.into_iter().map(chunk).collect(),
            positions: file.positions.into_iter().map(change).collect(),
        }
    }
}

impl From<Held> for protocol::HeldLog {
    fn from(held: Held) -> Self {
        protocol::HeldLog { start: held.start, worker: Worker(held.worker), holder: held.holder }
    }
}
