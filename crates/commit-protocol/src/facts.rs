//! Facts: what the driver saw. Each is the answer to the [`Action`](crate::Action) before it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::adopt::{Column, LogLists};
use crate::ids::{Epoch, ExtentId};
use crate::ledger::Ledger;
use crate::names::Names;
use crate::positions::PositionChange;
use crate::rows::{RowError, RowSum};
use crate::tag::Tag;

/// Whether the driver is willing to look once more. Deadlines are the driver's; this crate has no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patience {
    /// Look again.
    Left,
    /// The deadline is over.
    Over,
}

/// An extent of the staging table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Its id.
    pub id: ExtentId,
    /// Its rows.
    pub rows: u64,
    /// Its tags that parse as [`Tag`]; more than one means that extents were merged.
    pub tags: Vec<Tag>,
}

/// A strongly consistent listing of the staging table under the own name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listing {
    /// Its extents.
    Extents(Vec<Extent>),
    /// No table has that name.
    NoSuchTable,
}

/// A chunk that was handed to ingestion and reported to have arrived. Only a listing says how much of it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StagedChunk {
    /// With which tag.
    pub tag: Tag,
    /// How many rows it has.
    pub rows: u64,
    /// A sum over its rows, for audits. No decision looks at it.
    pub sum: Option<RowSum>,
}

/// What became of a request other than a move.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// It took effect.
    Done,
    /// No answer, or one that says nothing: it may have taken effect, or may do so later.
    Lost,
    /// The service refused it.
    Refused(Refusal),
}

/// An answer that refuses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// 401 or 403. Repeating it is useless.
    Rights {
        /// The role that is missing and on what, as well as the driver can tell.
        role: String,
        /// The service's words.
        message: String,
    },
    /// A name in the request is gone.
    NoSuchTable,
    /// Anything else, such as a schema that does not fit.
    Other {
        /// The service's words.
        message: String,
        /// Whether it lasts: the driver repeated looks and requests until its deadline.
        patience: Patience,
    },
}

/// One row of the answer to a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MovedExtent {
    /// The id it had in the staging table.
    pub original: ExtentId,
    /// Whether the answer says it moved (a row may say `Failed`).
    pub moved: bool,
}

/// What the staging operators report while the coordinator waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct News {
    /// The frontier S: every worker has staged everything below.
    pub staged_below: Epoch,
    /// Chunks staged since the last news.
    pub chunks: Vec<StagedChunk>,
    /// Positions that changed, from the footers of the sealed files.
    pub positions: Vec<PositionChange>,
}

/// What the driver saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The tables of the lineage (to [`ListNames`](crate::Action::ListNames)).
    Names(Names),
    /// What became of a request.
    Replied(Reply),
    /// All rows of the answer to a move that says it took effect. If rows of it keep saying `Failed` beyond the driver's
    /// deadline, the answer is a [`Refusal::Other`] instead: this one leads to a look and to the same move, as often as it
    /// comes.
    Moved(Vec<MovedExtent>),
    /// Rows of `kt_epochs` (to [`ReadRows`](crate::Action::ReadRows)), at least [`Ledger::relevant`] ones.
    Rows {
        /// The rows, or what is wrong with them.
        ledger: Result<Ledger, RowError>,
        /// Whether to read again if they do not show what must be there.
        patience: Patience,
    },
    /// The staging table (to [`ListStaging`](crate::Action::ListStaging)).
    Staging {
        /// Its extents.
        listing: Listing,
        /// Whether to look again if chunks are not whole.
        patience: Patience,
    },
    /// Which of the asked tags the target carries (to [`ListTarget`](crate::Action::ListTarget)).
    Target(BTreeSet<Tag>),
    /// The logs of all processes (to [`ListLogs`](crate::Action::ListLogs)).
    Logs {
        /// What lies where.
        lists: LogLists,
        /// The columns of the target, in order.
        target: Vec<Column>,
    },
    /// The chunks that were to be staged are (to [`Stage`](crate::Action::Stage)): one for each that was asked for.
    Staged(Vec<StagedChunk>),
    /// The staging operators' news (to [`Open`](crate::Action::Open), [`Committed`](crate::Action::Committed),
    /// [`Wait`](crate::Action::Wait)).
    News(News),
    /// The run ends in good order: settle the head (at the same places as news).
    Close,
}

impl Fact {
    /// Its name, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Fact::Names(_) => "Names",
            Fact::Replied(_) => "Replied",
            Fact::Moved(_) => "Moved",
            Fact::Rows { .. } => "Rows",
            Fact::Staging { .. } => "Staging",
            Fact::Target(_) => "Target",
            Fact::Logs { .. } => "Logs",
            Fact::Staged(_) => "Staged",
            Fact::News(_) => "News",
            Fact::Close => "Close",
        }
    }
}
