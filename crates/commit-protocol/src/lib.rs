//! stub docs
mod action;
mod adopt;
mod coordinator;
mod durable;
mod error;
mod evidence;
mod facts;
mod ids;
mod ledger;
mod names;
mod plan;
mod positions;
mod rows;
mod rules;
mod sweep;
mod tag;
mod verify;

pub use action::{
    AcknowledgePermit, Action, AppendPermit, CreatePermit, MovePermit, OpenPermit, PreparePermit,
    RenamePermit, StagePermit, SweepPermit,
};
pub use adopt::{
    Adopted, Adoption, Column, HeldLog, LogDirectory, LogError, LogFile, LogLists, LoggedChunk, adopt,
};
pub use coordinator::{Coordinator, Limits, Setup};
pub use durable::Durable;
pub use error::{Ambiguous, MissingChunk, MissingLogs, Stop};
pub use evidence::{RollForward, roll_forward, still_staged, to_look_for};
pub use facts::{Extent, Fact, Listing, MovedExtent, News, Patience, Refusal, Reply, StagedChunk};
pub use ids::{Attempt, Epoch, ExtentId, Generation, Lineage, Nonce, ParseIdError, Seq, StartId, Worker};
pub use ledger::{Head, Ledger, LedgerError};
pub use names::{AnchorName, InitNames, Names, StagingName, Standing};
pub use plan::next_bound;
pub use positions::{ConflictingPositions, PositionChange, Positions};
pub use rows::{
    Claim, ClaimedChunk, Decision, FORMAT, Frontier, Intent, IntentId, Logs, PART_BYTES, RawRow, Resolution,
    Row, RowError, RowKey, RowKind, Start, read_rows, write_row,
};
pub use sweep::{Dropped, Fate, Kept, SweepFacts, classify};
pub use tag::{ChunkId, Tag};
pub use verify::{Verified, verify};

#[cfg(test)]
mod explore;
