//! Switches that turn single rules of the protocol off, so that the explorer can prove each of them necessary.
//!
//! Outside this crate's own tests [`Rules`] has no size and every rule is on: there is nothing to switch.

/// A rule without which rows are lost or repeated, or a start stops for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "some are only asked where a test can switch them off"))]
pub(crate) enum Rule {
    /// A start renames the staging table, so that nothing of an older start can name it.
    Fence,
    /// The head is what the newest start row names, not the longest chain.
    StartRows,
    /// The head comes from a read that shows the own claim.
    Claim,
    /// The claim is appended after the rename, not before it.
    RenameBeforeClaim,
    /// Rows are counted in a listing; that a chunk was reported ingested is not enough.
    Listing,
    /// The head says whose logs count, not what lies on the disk.
    LogsOfHead,
    /// Staged extents are swept only if their generation is over.
    GenerationOver,
    /// Nothing is swept before the own start row is known to be there.
    SweepAfterStart,
    /// Evidence is looked for in S first, then in T.
    StagingBeforeTarget,
    /// A superseded attempt is never accepted, even if it arrives whole.
    SupersededRefused,
    /// The newest start row is that of the highest generation, not the last in the table.
    StartByGeneration,
    /// D is what every worker has sealed, not what one has.
    DurableIsFrontier,
    /// A log directory is read only when nobody alive holds it.
    LogLock,
    /// A stop for a person is reported only after a look at the names.
    LookBeforeStop,
    /// An intent without rows commits only after a look at the names.
    LookAfterEmpty,
    /// A run is opened by an intent that names its logs.
    OpeningIntent,
}

/// Which rules are switched off, as bits.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rules(u32);

#[cfg(test)]
impl Rules {
    pub(crate) const ALL: Rules = Rules(0);

    pub(crate) fn without(rule: Rule) -> Rules {
        Rules(1 << rule as u32)
    }

    pub(crate) fn on(self, rule: Rule) -> bool {
        self.0 >> rule as u32 & 1 == 0
    }
}

/// All rules are on, always.
#[cfg(not(test))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules;

#[cfg(not(test))]
impl Rules {
    pub(crate) const ALL: Rules = Rules;

    #[inline]
    pub(crate) const fn on(self, _rule: Rule) -> bool {
        true
    }
}
