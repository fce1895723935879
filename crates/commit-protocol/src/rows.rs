//! The rows of `kt_epochs`: what they say ([`Row`]) and how they are written ([`RawRow`]).
//!
//! | Kind | Key | Says |
//! |---|---|---|
//! | `claim` | start | this start holds the staging table |
//! | `start` | start | from here on only the named head and intents of this start count |
//! | `intent` | start, seq | these extents are to be moved; with them epochs, positions and whose logs count after it |
//! | `resolution` | intent's start, seq | a person decided what became of an intent that left no evidence |
//!
//! **Written form.** A row's content is JSON with a format number `v` (2 where it says something of sums over rows, else 1), cut into parts of at most [`PART_BYTES`] at
//! character bounds. Each part is one table row, with columns in this order:
//!
//! | Column | Type | Content |
//! |---|---|---|
//! | `Lineage` | string | 16 hex digits |
//! | `Kind` | string | as above |
//! | `Generation` | long | of the start |
//! | `Nonce` | string | of the start, 16 hex digits |
//! | `Seq` | long | of the intent; 0 in other rows |
//! | `Part`, `Parts` | int | number from 0, and how many |
//! | `Body` | string | this part of the content |
//! | `Digest` | string | first 32 hex digits of SHA-256 over the whole content |
//! | `Check` | string | the same over all other columns, each as text followed by a zero byte |
//!
//! Writing is deterministic: the same row gives the same bytes, so that an append whose outcome is unknown can be
//! repeated and both copies count as one.

#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, ExtentId, Lineage, Seq, StartId};
use crate::positions::Positions;
use crate::tag::Tag;

pub(crate) use wire::write_row;
pub use wire::{FORMAT, PART_BYTES, RawRow, RowError, read_rows};

/// Names an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentId {
    /// The start that appended it.
    pub by: StartId,
    /// Its place in the chain.
    pub seq: Seq,
}

impl std::fmt::Display for IntentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "intent {} of start {}", self.seq, self.by)
    }
}

/// "This start holds the staging table."
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Who.
    pub by: StartId,
}

/// "Only this head, and intents of this start that chain from it, count from here on."
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Who.
    pub by: StartId,
    /// The last valid intent before this start, if there is any.
    pub head: Option<IntentId>,
    /// What sums over rows that this start logs are over, if it makes such: the text behind [`RowSum::over`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums_over: Option<String>,
}

/// Whose logs count: those of one start, of so many workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// The start that writes them.
    pub start: StartId,
    /// How many workers it has, so that a missing log can be named even if none is left.
    pub workers: u32,
}

/// One chunk as an intent claims it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimedChunk {
    /// The one attempt that was verified.
    pub tag: Tag,
    /// Its rows.
    pub rows: u64,
    /// Its extents in the staging table; their rows were counted and are `rows`.
    pub extents: Vec<ExtentId>,
    /// A sum over its rows, for audits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<RowSum>,
}

/// A sum over the rows of a chunk, made when they were logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowSum {
    /// Names what it is over: a [`Start`] row has the text.
    pub over: u64,
    /// The sum.
    pub sum: u64,
}

/// Where a start goes on: the state after an intent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frontier {
    /// Epochs below are in the target.
    pub cover: Epoch,
    /// Whose logs hold what comes after; nobody's before the first intent.
    pub logs: Option<Logs>,
    /// Where sources go on.
    pub positions: Positions,
}

/// "These extents are to be moved, and then this holds."
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Its name.
    pub id: IntentId,
    /// The intent before it in the chain.
    pub parent: Option<IntentId>,
    /// The cover of its parent: it brings the epochs from here on.
    pub from: Epoch,
    /// What holds once it has committed.
    pub after: Frontier,
    /// What to move.
    pub chunks: Vec<ClaimedChunk>,
    /// Rows per epoch, for audits; epochs without rows are left out.
    pub rows_per_epoch: Vec<(Epoch, u64)>,
    /// The highest intent known to be done when this one was written.
    pub settled: Option<Seq>,
}

impl Intent {
    /// All rows it moves.
    pub fn rows(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.rows).sum()
    }

    /// The ids of all extents it moves.
    pub fn extents(&self) -> impl Iterator<Item = ExtentId> + '_ {
        self.chunks.iter().flat_map(|chunk| chunk.extents.iter().copied())
    }
}

/// What a person found out about an intent that left no evidence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Decision {
    /// Chunks without evidence were in the target: go on behind the intent.
    Committed,
    /// None of its rows is in the target: go on as before it, from logs or sources.
    Restage(Frontier),
}

/// "A person decided what became of this intent."
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// Which intent.
    pub intent: IntentId,
    /// What about it.
    pub decision: Decision,
}

impl Resolution {
    /// Records that the intent's rows are in the target.
    pub fn committed(intent: &Intent) -> Resolution {
        Resolution { intent: intent.id, decision: Decision::Committed }
    }

    /// The table rows to append by one command.
    pub fn raw(&self, lineage: Lineage) -> Vec<RawRow> {
        write_row(lineage, &Row::Resolution(self.clone()))
    }

    /// Records that none of the intent's rows is in the target. `parent` is the intent before it, `None` if it was the
    /// first. Returns nothing if `parent` is another one.
    pub fn restage(intent: &Intent, parent: Option<&Intent>) -> Option<Resolution> {
        let before = parent.map(|parent| parent.after.clone()).unwrap_or_default();
        let fits = intent.parent == parent.map(|parent| parent.id) && intent.from == before.cover;
        fits.then_some(Resolution { intent: intent.id, decision: Decision::Restage(before) })
    }
}

/// One row of `kt_epochs`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Row {
    /// A start holds the staging table.
    Claim(Claim),
    /// A start names its head.
    Start(Start),
    /// A commit is to be done.
    Intent(Arc<Intent>),
    /// A person decided.
    Resolution(Resolution),
}

/// What makes two rows the same row: equal rows under one key count once, different ones are an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Which kind of row.
    pub kind: RowKind,
    /// The start it is about.
    pub start: StartId,
    /// The intent it is about; 0 in other rows.
    pub seq: Seq,
}

/// The kinds of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// See [`Claim`].
    Claim,
    /// See [`Start`].
    Start,
    /// See [`Intent`].
    Intent,
    /// See [`Resolution`].
    Resolution,
}

impl RowKind {
    /// As it is written in the column `Kind`.
    pub fn name(self) -> &'static str {
        match self {
            RowKind::Claim => "claim",
            RowKind::Start => "start",
            RowKind::Intent => "intent",
            RowKind::Resolution => "resolution",
        }
    }
}

impl std::fmt::Display for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            RowKind::Claim | RowKind::Start => write!(f, "{} row of start {}", self.kind.name(), self.start),
            RowKind::Intent | RowKind::Resolution => {
                write!(f, "{} row {} of start {}", self.kind.name(), self.seq, self.start)
            }
        }
    }
}

impl Row {
    /// Its key.
    pub fn key(&self) -> RowKey {
        let (kind, start, seq) = match self {
            Row::Claim(row) => (RowKind::Claim, row.by, Seq(0)),
            Row::Start(row) => (RowKind::Start, row.by, Seq(0)),
            Row::Intent(row) => (RowKind::Intent, row.id.by, row.id.seq),
            Row::Resolution(row) => (RowKind::Resolution, row.intent.by, row.intent.seq),
        };
        RowKey { kind, start, seq }
    }
}
