//! Actions: what to do next. Whatever changes the world needs a permit, and only a decision makes one.
//!
//! Permits have private fields, no constructor and no `Clone`: code outside this crate cannot make an intent, a move, a
//! sweep or an acknowledgement that was not decided.
//!
//! ```compile_fail
//! # use commit_protocol::AppendPermit;
//! fn forged(permit: AppendPermit) -> AppendPermit { AppendPermit { ..permit } }
//! ```
//!
//! ```compile_fail
//! # use commit_protocol::MovePermit;
//! fn forged(permit: MovePermit) -> MovePermit { MovePermit { ..permit } }
//! ```
//!
//! ```compile_fail
//! # use commit_protocol::SweepPermit;
//! fn forged(permit: SweepPermit) -> SweepPermit { SweepPermit { ..permit } }
//! ```
//!
//! ```compile_fail
//! # use commit_protocol::AcknowledgePermit;
//! fn forged(permit: AcknowledgePermit) -> AcknowledgePermit { AcknowledgePermit { ..permit } }
//! ```
//!
//! ```compile_fail
//! fn twice(permit: &commit_protocol::AcknowledgePermit) -> commit_protocol::AcknowledgePermit { permit.clone() }
//! ```

use crate::facts::StagedChunk;
use crate::ids::{Epoch, ExtentId, Lineage, StartId};
use crate::names::{AnchorName, InitNames, StagingName};
use crate::positions::Positions;
use crate::rows::{RawRow, Row, write_row};
use crate::sweep::Dropped;
use crate::tag::Tag;

/// What the driver does next. It answers with the [`Fact`](crate::Fact) named here and orders nothing itself. An action
/// equal to the one before it is a repetition: wait a little first.
#[derive(Debug)]
#[must_use]
pub enum Action {
    /// List the tables of the lineage → [`Names`](crate::Fact::Names).
    ListNames,
    /// Make staging table and anchor under own names, then rename both in one command →
    /// [`Replied`](crate::Fact::Replied).
    Create(CreatePermit),
    /// Rename the staging table → [`Replied`](crate::Fact::Replied).
    Rename(RenamePermit),
    /// Append a row to `kt_epochs` → [`Replied`](crate::Fact::Replied).
    Append(AppendPermit),
    /// Read `kt_epochs`, strongly consistent and not from a cache → [`Rows`](crate::Fact::Rows).
    ReadRows,
    /// List the extents of the staging table under this name → [`Staging`](crate::Fact::Staging).
    ListStaging(StagingName),
    /// Ask which of these tags extents of the target carry → [`Target`](crate::Fact::Target).
    ListTarget(Vec<Tag>),
    /// Move extents to the target, all or nothing → [`Moved`](crate::Fact::Moved), or
    /// [`Replied`](crate::Fact::Replied) if there is no such answer.
    Move(MovePermit),
    /// Let all processes lock and list their logs → [`Logs`](crate::Fact::Logs). If somebody holds one, say for whom
    /// the start waits and list again.
    ListLogs,
    /// Create and sync every worker's log directory, and give the staging table the target's columns if chunks will be
    /// adopted → [`Replied`](crate::Fact::Replied).
    Prepare(PreparePermit),
    /// Stage chunks under new tags → [`Staged`](crate::Fact::Staged).
    Stage(StagePermit),
    /// The start is over: hand out positions, remove older logs, seal from here on → [`News`](crate::Fact::News).
    Open(OpenPermit),
    /// A commit took effect → [`News`](crate::Fact::News).
    Committed(AcknowledgePermit),
    /// Nothing can be committed yet → [`News`](crate::Fact::News).
    Wait,
    /// The run ended and its last intent is settled. Nothing more to do.
    Closed,
}

/// Permits the first tables of a lineage.
#[derive(Debug)]
pub struct CreatePermit {
    pub(crate) names: InitNames,
}

impl CreatePermit {
    /// The names under which both are made; leftovers of them are dropped by who made them.
    pub fn first_names(&self) -> InitNames {
        self.names
    }

    /// What the staging table becomes.
    pub fn staging(&self) -> StagingName {
        let start = StartId { generation: Default::default(), nonce: self.names.nonce };
        StagingName { lineage: self.names.lineage, start }
    }

    /// What the anchor becomes. The rename fails if it exists.
    pub fn anchor(&self) -> AnchorName {
        AnchorName(self.names.lineage)
    }
}

/// Permits the rename that fences all older starts.
#[derive(Debug)]
pub struct RenamePermit {
    pub(crate) from: StagingName,
    pub(crate) to: StagingName,
}

impl RenamePermit {
    /// The name that is there now.
    pub fn from(&self) -> StagingName {
        self.from
    }

    /// The name that only this start knows.
    pub fn to(&self) -> StagingName {
        self.to
    }
}

/// Permits one row in `kt_epochs`.
#[derive(Debug)]
pub struct AppendPermit {
    pub(crate) lineage: Lineage,
    pub(crate) row: Row,
}

impl AppendPermit {
    /// What the row says.
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// The table rows to append by one command: always the same bytes for the same row.
    pub fn raw(&self) -> Vec<RawRow> {
        write_row(self.lineage, &self.row)
    }
}

/// Permits the move of exactly these extents: they stand in an intent of the valid chain.
#[derive(Debug)]
pub struct MovePermit {
    pub(crate) from: StagingName,
    pub(crate) extents: Vec<ExtentId>,
}

impl MovePermit {
    /// Out of which table. A request under this name dies with the name.
    pub fn from(&self) -> StagingName {
        self.from
    }

    /// Which extents.
    pub fn extents(&self) -> &[ExtentId] {
        &self.extents
    }
}

/// Permits the directories of a run, before its opening intent.
#[derive(Debug)]
pub struct PreparePermit {
    pub(crate) start: StartId,
    pub(crate) workers: u32,
    pub(crate) align: bool,
}

impl PreparePermit {
    /// Whose directories: `g<generation>-<nonce>`.
    pub fn start(&self) -> StartId {
        self.start
    }

    /// One for each of so many workers.
    pub fn workers(&self) -> u32 {
        self.workers
    }

    /// Whether the staging table gets the target's columns, because chunks will be adopted.
    pub fn align_columns(&self) -> bool {
        self.align
    }
}

/// Permits the ingestion of chunks of sealed files into the staging table.
#[derive(Debug)]
pub struct StagePermit {
    pub(crate) into: StagingName,
    pub(crate) chunks: Vec<StagedChunk>,
}

impl StagePermit {
    /// Into which table.
    pub fn into_table(&self) -> StagingName {
        self.into
    }

    /// Which chunks, and the least attempt number of each: a worker that has to try again takes the next one.
    pub fn chunks(&self) -> &[StagedChunk] {
        &self.chunks
    }
}

/// Permits a run: its opening intent is committed.
#[derive(Debug)]
pub struct OpenPermit {
    pub(crate) start: StartId,
    pub(crate) first_epoch: Epoch,
    pub(crate) positions: Positions,
}

impl OpenPermit {
    /// Whose logs count from now on; log directories of other generations may be removed.
    pub fn start(&self) -> StartId {
        self.start
    }

    /// The first epoch that may be sealed; rows of earlier epochs are in the target.
    pub fn first_epoch(&self) -> Epoch {
        self.first_epoch
    }

    /// Where sources go on.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }
}

/// Permits to acknowledge sources up to positions, and to remove sealed files below a bound.
#[derive(Debug, PartialEq, Eq)]
pub struct AcknowledgePermit {
    pub(crate) below: Epoch,
    pub(crate) positions: Positions,
    pub(crate) rows: u64,
}

impl AcknowledgePermit {
    /// Epochs below are done: C, or D for sources that cannot replay.
    pub fn below(&self) -> Epoch {
        self.below
    }

    /// Up to where.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// How many rows became visible by it.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// Permits to drop extents from the staging table.
#[derive(Debug)]
pub struct SweepPermit {
    pub(crate) from: StagingName,
    pub(crate) extents: Vec<(ExtentId, Dropped)>,
}

impl SweepPermit {
    /// Out of which table.
    pub fn from(&self) -> StagingName {
        self.from
    }

    /// Which extents, and why each.
    pub fn extents(&self) -> &[(ExtentId, Dropped)] {
        &self.extents
    }
}
