//! What nobody has written down about the service, as switches: each open question, the answer that is assumed, and the
//! other answers that a client should survive.
//!
//! ```
//! use kusto_emulator::{Assumptions, Emulator, MissingExtents};
//! let mut doubts = Assumptions::default();
//! doubts.missing_extents = MissingExtents::NothingMoves;
//! let builder = Emulator::builder().assumptions(doubts);
//! ```
//!
//! They can be changed while the emulator runs ([`crate::Handle::assume`], `PUT /emulator/v1/assumptions`); what a
//! request meets is what holds when it takes effect. Two further questions are rules instead of switches, because they
//! are asked of single requests: whether a queued blob may become visible in parts ([`crate::Fault::Half`],
//! [`crate::HoldPoint::Halfway`]) and whether a read may be old ([`crate::Fault::Stale`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Answers to the open questions; the default of each field is told with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Assumptions {
    /// What a request that resolved a name before a rename does after it.
    pub resolved_names: ResolvedNames,
    /// For how long after a rename the old name still leads to the table, as long as no other table has it: for
    /// commands, queries and ingestion. Default: not at all.
    #[serde(with = "seconds")]
    pub old_names_last: Duration,
    /// How long queued ingestion needs to learn a name: it sees the names of that long ago. A new name is
    /// `BadRequest_TableNotExist` until then, an old one still leads to its table. Default: no time.
    #[serde(with = "seconds")]
    pub ingestion_learns_names_after: Duration,
    /// How long data management needs to learn a batching policy; `.refresh database ... cache
    /// ingestionbatchingpolicy` makes it learn at once. Default: no time.
    #[serde(with = "seconds")]
    pub batching_learned_after: Duration,
    /// How old the state may be that queries and `.show` commands read (a workload group may be set to weak
    /// consistency). Default: not old at all. Commands that change something decide on the present state in any case.
    #[serde(with = "seconds")]
    pub reads_lag: Duration,
    /// What a move of listed extents does when some of them are gone.
    pub missing_extents: MissingExtents,
    /// When `ingestIfNotExists` is looked at.
    pub ingest_if_not_exists: IngestIfNotExists,
    /// What a source that fails means for the other sources of one `.ingest into`. Queued blobs never suffer from each
    /// other.
    pub failed_sources: FailedSources,
    /// Whether extents are merged in the background.
    pub merges: Merges,
}

/// What a request that resolved a name before a rename does after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ResolvedNames {
    /// Default: it takes effect on the table that the name meant, under whatever name that has now.
    #[default]
    FollowTheTable,
    /// It fails, because the name no longer means that table.
    CheckedAgain,
}

/// What a move of listed extents does when some of them are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MissingExtents {
    /// Default: it fails and moves nothing.
    #[default]
    Refused,
    /// It succeeds, moves nothing, and answers without rows.
    NothingMoves,
    /// It succeeds and moves those that are there.
    OthersMove,
    /// It succeeds, moves nothing, and every row of its answer says `Failed`.
    RowsSayFailed,
}

/// When `ingestIfNotExists` is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum IngestIfNotExists {
    /// Default: when the ingestion starts, and again in the transaction that makes it visible.
    #[default]
    Atomic,
    /// Only when the ingestion starts: two at once both go in.
    CheckedAtStart,
}

/// What a source that fails means for the others of its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailedSources {
    /// Default: nothing; the others are ingested, and `HasErrors` says so.
    #[default]
    LeaveTheOthers,
    /// Nothing of the command is ingested.
    VoidTheCommand,
}

/// Whether extents are merged in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Merges {
    /// Default: as the merge policy of each table says, every `LoopPeriod` (an hour unless set) on the clock.
    #[default]
    ByPolicy,
    /// Only when somebody asks: [`crate::Handle::merge`], [`crate::Fault::Merge`].
    OnDemand,
}

impl Assumptions {
    /// The longest that an older state is looked at; zero if never.
    pub(crate) fn memory(&self) -> Duration {
        let lags = [
            self.old_names_last,
            self.ingestion_learns_names_after,
            self.batching_learned_after,
            self.reads_lag,
        ];
        lags.into_iter().max().unwrap_or_default()
    }
}

/// Durations as seconds, whole or not: what people type.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// As [`seconds`], for what may be absent.
pub(crate) mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        given: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        given.map(|duration| duration.as_secs_f64()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let given = Option::<f64>::deserialize(deserializer)?;
        given.map(|seconds| Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)).transpose()
    }
}
