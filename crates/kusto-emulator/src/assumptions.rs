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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Assumptions {
    /// What a request that resolved a name before a rename does after it.
    pub resolved_names: ResolvedNames,
    /// When the rights of a request are looked at that waits between its arrival and its effect.
    pub rights: RightsOfWaiting,
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
    /// Which reads lag behind.
    pub weak_reads: WeakReads,
    /// What a move of listed extents does when some of them are gone.
    pub missing_extents: MissingExtents,
    /// Whether a move or a replacement needs `extentCreatedOnFrom` and `extentCreatedOnTo`.
    pub created_range: CreatedRange,
    /// For how long after its effect the answer of a move or a replacement is on its way, for each extent. Default: no
    /// time.
    #[serde(with = "seconds")]
    pub move_takes: Duration,
    /// The same, on top of it, if the move sets a new ingestion time. Default: no time.
    #[serde(with = "seconds")]
    pub new_ingestion_time_takes: Duration,
    /// How long an `async` command is `InProgress`: it takes effect at the end of that. Default: no time.
    #[serde(with = "seconds")]
    pub async_takes: Duration,
    /// When `ingestIfNotExists` is looked at.
    pub ingest_if_not_exists: IngestIfNotExists,
    /// What the status of a queued blob says that `ingestIfNotExists` kept out.
    pub skipped_status: SkippedStatus,
    /// Whether the rows of a blob become visible at once.
    pub blobs_visible: BlobsVisible,
    /// How many extents an ingestion of blobs makes, as far as it has rows; 0 counts as 1. Default: 1 (below 4,000,000
    /// rows).
    pub extents_per_ingestion: u32,
    /// What a source that fails means for the other sources of one `.ingest into`. Queued blobs never suffer from each
    /// other.
    pub failed_sources: FailedSources,
    /// What a record with another number of fields than the first one means for its source.
    pub ragged_records: RaggedRecords,
    /// How much of a gzip blob with several members is read.
    pub gzip_members: GzipMembers,
    /// How a queued blob without `RawDataSize` is gathered.
    pub unknown_size: UnknownSize,
    /// What a queue message does whose `Id` was ingested before.
    pub repeated_messages: RepeatedMessages,
    /// How many blobs fill a batch where no policy says so: one document says 500 (the default), another 1000.
    pub default_batch_items: u64,
    /// Whether `.ingest into` may name a blob with `;managed_identity=`.
    pub direct_managed_identity: DirectManagedIdentity,
    /// Whether things are understood that only connectors' code tells of: `hidden=true`, `IncludeHiddenTables`,
    /// `extentsShowFilteringRuntimePolicy`, `.show principal access`, `.refresh database ... cache
    /// ingestionbatchingpolicy`, `.create tempstorage`.
    pub undocumented: Undocumented,
    /// Which columns `.show operations` has.
    pub operation_columns: OperationColumns,
    /// Whether extents are merged in the background.
    pub merges: Merges,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            resolved_names: ResolvedNames::default(),
            rights: RightsOfWaiting::default(),
            old_names_last: Duration::ZERO,
            ingestion_learns_names_after: Duration::ZERO,
            batching_learned_after: Duration::ZERO,
            reads_lag: Duration::ZERO,
            weak_reads: WeakReads::default(),
            missing_extents: MissingExtents::default(),
            created_range: CreatedRange::default(),
            move_takes: Duration::ZERO,
            new_ingestion_time_takes: Duration::ZERO,
            async_takes: Duration::ZERO,
            ingest_if_not_exists: IngestIfNotExists::default(),
            skipped_status: SkippedStatus::default(),
            blobs_visible: BlobsVisible::default(),
            extents_per_ingestion: 1,
            failed_sources: FailedSources::default(),
            ragged_records: RaggedRecords::default(),
            gzip_members: GzipMembers::default(),
            unknown_size: UnknownSize::default(),
            repeated_messages: RepeatedMessages::default(),
            default_batch_items: 500,
            direct_managed_identity: DirectManagedIdentity::default(),
            undocumented: Undocumented::default(),
            operation_columns: OperationColumns::default(),
            merges: Merges::default(),
        }
    }
}

/// A switch: an enumeration of answers, the first of which is the default.
macro_rules! switch {
    ($(#[$about:meta])* $name:ident { $(#[$first_about:meta])* $first:ident, $($(#[$answer_about:meta])* $answer:ident),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $(#[$first_about])*
            #[default]
            $first,
            $($(#[$answer_about])* $answer),+
        }
    };
}

switch! {
    /// What a request that resolved a name before a rename does after it.
    ResolvedNames {
        /// Default: it takes effect on the table that the name meant, under whatever name that has now.
        FollowTheTable,
        /// It fails, because the name no longer means that table.
        CheckedAgain,
    }
}

switch! {
    /// When the rights of a request are looked at that waits between its arrival and its effect: it is held, `async`, or
    /// an ingestion that reads its blobs.
    RightsOfWaiting {
        /// Default: when it takes effect (an ingestion also when it starts), so that a role taken away meanwhile stops it.
        WhenItTakesEffect,
        /// When it arrives, and never again.
        WhenItArrives,
    }
}

switch! {
    /// Which reads lag behind, as far as [`Assumptions::reads_lag`] says.
    WeakReads {
        /// Default: all, whatever they ask for.
        Forced,
        /// Those with the request property `queryconsistency` of a value that begins with `weakconsistency`.
        WhenAsked,
    }
}

switch! {
    /// What a move of listed extents does when some of them are gone.
    MissingExtents {
        /// Default: it fails and moves nothing.
        Refused,
        /// It succeeds, moves nothing, and answers without rows.
        NothingMoves,
        /// It succeeds and moves those that are there.
        OthersMove,
        /// It succeeds, moves nothing, and every row of its answer says `Failed`.
        RowsSayFailed,
    }
}

switch! {
    /// Whether a move or a replacement needs `extentCreatedOnFrom` and `extentCreatedOnTo`: the document calls them
    /// required, and leaves them out of its own examples.
    CreatedRange {
        /// Default: no.
        Optional,
        /// Without both it is refused.
        Required,
    }
}

switch! {
    /// When `ingestIfNotExists` is looked at.
    IngestIfNotExists {
        /// Default: when the ingestion starts, and again in the transaction that makes it visible.
        Atomic,
        /// Only when the ingestion starts: two at once both go in.
        CheckedAtStart,
    }
}

switch! {
    /// What the status of a queued blob says that `ingestIfNotExists` kept out.
    SkippedStatus {
        /// Default: `Skipped`.
        Skipped,
        /// `Failed`. The error code is `Skipped_IngestByTagAlreadyExists` in both cases.
        Failed,
    }
}

switch! {
    /// Whether the rows of a blob become visible at once. Single ingestions: [`crate::Fault::Half`],
    /// [`crate::HoldPoint::Halfway`].
    BlobsVisible {
        /// Default: yes.
        AtOnce,
        /// As two extents, one after the other: reads in between see the first.
        InTwoSteps,
    }
}

switch! {
    /// What a source that fails means for the others of its command.
    FailedSources {
        /// Default: nothing; the others are ingested, and `HasErrors` says so.
        LeaveTheOthers,
        /// Nothing of the command is ingested.
        VoidTheCommand,
    }
}

switch! {
    /// What a record with another number of fields than the first one means for its source: the table of errors says
    /// `Stream_WrongNumberOfFields`, the documented default of the validation policy says best effort.
    RaggedRecords {
        /// Default: the source fails.
        FailTheSource,
        /// The record is read as far as it goes; what is missing is null.
        BestEffort,
    }
}

switch! {
    /// How much of a gzip blob with several members is read.
    GzipMembers {
        /// Default: all of it.
        All,
        /// The first member; the rest is passed over in silence.
        FirstOnly,
    }
}

switch! {
    /// How a queued blob without `RawDataSize` is gathered.
    UnknownSize {
        /// Default: it is a batch of its own.
        Alone,
        /// With others; the size of the blob as it is stored counts.
        Estimated,
    }
}

switch! {
    /// What a queue message does whose `Id` was ingested before (since the start of the emulator).
    RepeatedMessages {
        /// Default: it is ingested again.
        IngestedAgain,
        /// Nothing, and its status says what the first one's said.
        IngestedOnce,
    }
}

switch! {
    /// Whether `.ingest into` may name a blob with `;managed_identity=`: one document forbids it, another shows it.
    DirectManagedIdentity {
        /// Default: yes, as far as the managed identity policy allows.
        Allowed,
        /// No: `BadRequest_InvalidManagedIdentity`.
        Refused,
    }
}

switch! {
    /// Whether things are understood that no document tells of, only connectors' code and queries in the wild.
    Undocumented {
        /// Default: yes.
        Known,
        /// They are syntax errors, or properties that nobody knows; hexadecimal digits in a text are no number.
        Refused,
    }
}

switch! {
    /// Which columns `.show operations` has.
    OperationColumns {
        /// Default: those of the document, and five more that the service is known to send.
        WithMore,
        /// Those of the document.
        Documented,
    }
}

switch! {
    /// Whether extents are merged in the background.
    Merges {
        /// Default: as the merge policy of each table says, every `LoopPeriod` (an hour unless set) on the clock.
        ByPolicy,
        /// Only when somebody asks: [`crate::Handle::merge`], [`crate::Fault::Merge`].
        OnDemand,
    }
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
