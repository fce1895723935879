//! Why a coordinator stops, with everything that a person needs to decide what to do.

use std::fmt;

use crate::adopt::LogError;
use crate::ids::{Attempt, Epoch, ExtentId, StartId, Worker};
use crate::ledger::LedgerError;
use crate::names::StagingName;
use crate::positions::ConflictingPositions;
use crate::rows::{IntentId, Logs};
use crate::tag::Tag;

/// A chunk of an intent of which nothing shows what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MissingChunk {
    /// Its tag, which no extent of the target carries.
    pub tag: Tag,
    /// Its rows.
    pub rows: u64,
    /// Its extents that are not in the staging table.
    pub gone: Vec<ExtentId>,
}

/// An intent of which nothing shows what became of all of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ambiguous {
    /// Which intent.
    pub intent: IntentId,
    /// The first epoch that it brings.
    pub from: Epoch,
    /// Epochs below are in the target once it has committed.
    pub cover: Epoch,
    /// All rows of the intent.
    pub rows: u64,
    /// How many chunks it has.
    pub chunks: usize,
    /// Those of them without evidence.
    pub missing: Vec<MissingChunk>,
    /// Where it was looked.
    pub staging: StagingName,
}

impl fmt::Display for Ambiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: u64 = self.missing.iter().map(|chunk| chunk.rows).sum();
        write!(
            f,
            "{} (epochs {} to {}, {} rows) may or may not be in the target: of its {} chunks, {} with {rows} rows are \
             neither in {} nor in the target:",
            self.intent,
            self.from,
            self.cover,
            self.rows,
            self.chunks,
            self.missing.len(),
            self.staging
        )?;
        for chunk in self.missing.iter().take(5) {
            write!(f, " [{} rows, tag {}]", chunk.rows, chunk.tag)?;
        }
        if self.missing.len() > 5 {
            write!(f, " and {} more", self.missing.len() - 5)?;
        }
        write!(
            f,
            ". Somebody dropped extents by hand, or rows of the target were deleted before the commit was settled. \
             Count the rows of these epochs in the target, then record what you found: `resolve --committed` if they \
             are there, `resolve --restage` if none is"
        )
    }
}

/// Logs that count and are not here, while sources cannot replay.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MissingLogs {
    /// Whose logs count.
    pub logs: Logs,
    /// The workers whose logs are missing.
    pub workers: Vec<Worker>,
    /// What they hold is from this epoch on; what is below is in the target.
    pub cover: Epoch,
    /// Directories of that start that are here, as places.
    pub here: Vec<String>,
}

impl fmt::Display for MissingLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers: Vec<String> = self.workers.iter().map(Worker::to_string).collect();
        write!(
            f,
            "the sources cannot replay, and rows from epoch {} on may only be in logs that are not here: start {}, \
             workers {} of {}. ",
            self.cover,
            self.logs.start,
            workers.join(", "),
            self.logs.workers
        )?;
        match self.here.as_slice() {
            [] => write!(f, "No log of that start is here. ")?,
            here => write!(f, "Here: {}. ", here.join(", "))?,
        }
        write!(
            f,
            "Start on the hosts that have g{}, or bring these directories back; if they are lost for good, declare that \
             sources may replay (rows that were acknowledged and are only there are then lost)",
            self.logs.start
        )
    }
}

/// Why a coordinator stops.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(test, derive(Hash))]
pub enum Stop {
    /// Another start took over. Not to be restarted: two that restart each other never end.
    #[error(
        "start {own} was fenced by start {by}: another start of this pipeline runs now, so this one ends"
    )]
    Fenced {
        /// This start, or the one it meant to be.
        own: StartId,
        /// Who has the staging table.
        by: StartId,
    },
    /// The rename of this start took effect when another one had renamed the same table. Both have one generation, so that
    /// nothing of either may count further; the next start has a higher one. The other finds itself fenced.
    #[error(
        "start {other} took the staging table at the same time, and lost it to start {own}, whose rename took effect \
         late. Nothing is lost; start again"
    )]
    LateRename {
        /// This start.
        own: StartId,
        /// The other one.
        other: StartId,
    },
    /// No table carries the lineage any more.
    #[error(
        "the staging table {expected} is gone and no other carries its lineage: somebody dropped it. Bring it back with \
         `.undo drop table`. If that is too late and what was staged can be staged again from logs or sources, create it \
         again, empty, with the generation of the newest start row of kt_epochs in its name"
    )]
    StagingGone {
        /// The name it should have, or a pattern if that is not known.
        expected: String,
    },
    /// The anchor is gone.
    #[error(
        "the anchor table {expected} is gone while {staging} is there: create it again, empty, with that name"
    )]
    AnchorGone {
        /// The anchor's name.
        expected: String,
        /// The staging table.
        staging: StagingName,
    },
    /// More than one staging table.
    #[error("more than one staging table carries the lineage: {}. Keep the one with the highest generation that holds \
             extents, rename or drop the others", list(.names))]
    SeveralStaging {
        /// All of them.
        names: Vec<StagingName>,
    },
    /// Local logs of a lineage that the service does not know.
    #[error(
        "there are local logs for {lineage} and the service knows no table of it: somebody renamed the pipeline, or \
             this is another cluster or database. Undo that, or move the logs away"
    )]
    UnknownLineage {
        /// The lineage.
        lineage: String,
    },
    /// Nothing shows what became of an intent.
    #[error("{0}")]
    Ambiguous(Box<Ambiguous>),
    /// Logs that count are missing and sources cannot replay.
    #[error("{0}")]
    MissingLogs(Box<MissingLogs>),
    /// A right is missing.
    #[error("{request} was refused: {role} is missing ({message})")]
    Rights {
        /// What was refused.
        request: &'static str,
        /// Which role.
        role: String,
        /// The service's words.
        message: String,
    },
    /// The service keeps refusing.
    #[error(
        "{request} is refused again and again ({message}). Nothing is lost: the same request is tried again at the \
             next start, once the cause is mended"
    )]
    Refused {
        /// What was refused.
        request: &'static str,
        /// The service's words.
        message: String,
    },
    /// A row that must be there is not seen.
    #[error(
        "{row} does not appear in kt_epochs: reads are stale beyond the deadline. Is there a workload group policy \
             that forces weak consistency?"
    )]
    NotVisible {
        /// Which row.
        row: String,
    },
    /// A chunk cannot be staged.
    #[error(
        "chunk {tag} with {rows} rows was staged {attempts} times and never arrived whole (last seen: {seen} rows). \
             Kusto drops or splits rows of it: see `.show ingestion failures`"
    )]
    ChunkRefused {
        /// Its last tag.
        tag: Tag,
        /// Its rows.
        rows: u64,
        /// Rows of the last attempt in the last listing.
        seen: u64,
        /// How many attempts.
        attempts: Attempt,
    },
    /// `kt_epochs` contradicts itself.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The logs contradict themselves.
    #[error(transparent)]
    Logs(#[from] LogError),
    /// Positions contradict themselves.
    #[error(transparent)]
    Positions(#[from] ConflictingPositions),
    /// The driver answered something else than it was asked: a defect.
    #[error("defect in the driver: the answer {fact} does not fit what was asked ({asked})")]
    Misuse {
        /// The answer.
        fact: &'static str,
        /// What the coordinator waited for.
        asked: &'static str,
    },
}

fn list(names: &[StagingName]) -> String {
    names.iter().map(StagingName::to_string).collect::<Vec<_>>().join(", ")
}

impl Stop {
    /// The exit code of a process that stops for it: 2 for what an administrator grants, 3 for a fenced start, 4 for
    /// what a person must decide or mend, 1 for a defect and for what the next start settles by itself. After 2, 3 and 4 a supervisor must not restart.
    pub fn exit_code(&self) -> u8 {
        match self {
            Stop::Misuse { .. } | Stop::LateRename { .. } => 1,
            Stop::Rights { .. } => 2,
            Stop::Fenced { .. } => 3,
            _ => 4,
        }
    }
}
