//! Table names of a lineage, and what a look at them means.
//!
//! | Name | Table |
//! |---|---|
//! | `kt_stage_<lineage>_<generation>_<nonce>` | S, the staging table, renamed by each start: the fence |
//! | `kt_anchor_<lineage>` | empty, made once and never renamed: of several first starts one wins |
//! | `kt_init_<lineage>_<nonce>_stage`, `…_anchor` | both under names of their own, until one rename makes them count |
//!
//! Names are parsed, not matched by prefix.

use std::fmt;
use std::str::FromStr;

use crate::ids::{Generation, Lineage, Nonce, ParseIdError, StartId, decimal};

/// The name of the staging table; who holds it is named in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StagingName {
    /// Whose table.
    pub lineage: Lineage,
    /// The start that gave it this name; generation 0 is `init`.
    pub start: StartId,
}

impl fmt::Display for StagingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kt_stage_{}_{}_{}", self.lineage, self.start.generation, self.start.nonce)
    }
}

impl FromStr for StagingName {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<StagingName, ParseIdError> {
        let read = || {
            let mut parts = text.strip_prefix("kt_stage_")?.split('_');
            let lineage = parts.next()?.parse().ok()?;
            let generation = Generation(decimal(parts.next()?, "").ok()?);
            let nonce = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(StagingName { lineage, start: StartId { generation, nonce } })
        };
        read().ok_or_else(|| ParseIdError::new(text, "a staging table (kt_stage_lineage_generation_nonce)"))
    }
}

/// The name of the anchor table of a lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnchorName(pub Lineage);

impl fmt::Display for AnchorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kt_anchor_{}", self.0)
    }
}

/// The two names under which one `init` makes its tables before the rename that makes them count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InitNames {
    /// Whose tables.
    pub lineage: Lineage,
    /// Of the `init` that makes them.
    pub nonce: Nonce,
}

impl InitNames {
    /// The staging table to be.
    pub fn stage(&self) -> String {
        format!("kt_init_{}_{}_stage", self.lineage, self.nonce)
    }

    /// The anchor to be.
    pub fn anchor(&self) -> String {
        format!("kt_init_{}_{}_anchor", self.lineage, self.nonce)
    }
}

/// The tables of one lineage, from a strongly consistent listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Names {
    /// Staging tables; exactly one is right.
    pub staging: Vec<StagingName>,
    /// Whether the anchor is there.
    pub anchor: bool,
}

impl Names {
    /// Picks the tables of `lineage` from a listing of table names.
    pub fn parse<'a>(lineage: Lineage, tables: impl IntoIterator<Item = &'a str>) -> Names {
        let anchor = AnchorName(lineage).to_string();
        let mut names = Names::default();
        for table in tables {
            names.anchor |= table == anchor;
            names.staging.extend(table.parse().ok().filter(|name: &StagingName| name.lineage == lineage));
        }
        names
    }

    /// What these names mean to somebody who looks for the staging table.
    pub fn standing(&self) -> Standing<'_> {
        match (self.staging.as_slice(), self.anchor) {
            ([], false) => Standing::Unknown,
            ([], true) => Standing::StagingGone,
            ([_], false) => Standing::AnchorGone,
            ([name], true) => Standing::Held(*name),
            (several, _) => Standing::Several(several),
        }
    }
}

/// What the names of a lineage mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// The service does not know the lineage: `init` is due.
    Unknown,
    /// One start, or `init`, holds the staging table.
    Held(StagingName),
    /// There is an anchor and no staging table: somebody dropped it.
    StagingGone,
    /// There is a staging table and no anchor: somebody dropped the anchor, or renamed the staging table by hand.
    AnchorGone,
    /// More than one staging table carries the lineage.
    Several(&'a [StagingName]),
}
