//! Switches that turn single rules of the protocol off, so that tests can prove each of them necessary: the explorer here,
//! written-down interleavings in the crate of the operators.
//!
//! Only this crate's tests, and those who ask for its feature `testing`, have switches. Otherwise [`Rules`] has no size and
//! every rule is on.
#![cfg_attr(not(feature = "testing"), expect(unreachable_pub, reason = "public with the feature `testing`"))]

/// A rule without which rows are lost or repeated, or a start stops for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(test, feature = "testing")),
    expect(dead_code, reason = "some are only asked where a test can switch them off")
)]
pub enum Rule {
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
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules(u32);

#[cfg(any(test, feature = "testing"))]
impl Rule {
    /// All rules.
    pub const ALL: [Rule; 16] = [
        Rule::Fence,
        Rule::StartRows,
        Rule::Claim,
        Rule::RenameBeforeClaim,
        Rule::Listing,
        Rule::LogsOfHead,
        Rule::GenerationOver,
        Rule::SweepAfterStart,
        Rule::StagingBeforeTarget,
        Rule::SupersededRefused,
        Rule::StartByGeneration,
        Rule::DurableIsFrontier,
        Rule::LogLock,
        Rule::LookBeforeStop,
        Rule::LookAfterEmpty,
        Rule::OpeningIntent,
    ];
}

#[cfg(any(test, feature = "testing"))]
impl Rules {
    /// Every rule is on.
    pub const ALL: Rules = Rules(0);

    /// Every rule but this one is on.
    pub const fn without(rule: Rule) -> Rules {
        Rules(1 << rule as u32)
    }

    /// Whether a rule is on.
    pub const fn on(self, rule: Rule) -> bool {
        self.0 >> rule as u32 & 1 == 0
    }
}

/// All rules are on, always.
#[cfg(not(any(test, feature = "testing")))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules;

#[cfg(not(any(test, feature = "testing")))]
impl Rules {
    pub(crate) const ALL: Rules = Rules;

    #[inline]
    pub(crate) const fn on(self, _rule: Rule) -> bool {
        true
    }
}
