//! What the write-ahead mode is told beyond the write options.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use commit_protocol::{Limits, Lineage};
use epoch_log::Budget;
use epoch_log::fs::FileSystem;

use super::WriteAheadError;
use super::guards::Guards;
use crate::encode::tail::EPOCH;
use crate::row_hash::RowHash;
use crate::{Delivery, WriteOptions};

/// Where a sink keeps its log, whose it is, and its bounds.
///
/// ```
/// use timely_kusto::WriteAheadOptions;
///
/// let options = WriteAheadOptions::new("storms", "state/storms").log_bytes(8 << 30);
/// assert_eq!(options.pipeline(), "storms");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct WriteAheadOptions {
    pipeline: String,
    state: PathBuf,
    log_bytes: u64,
    open_epochs: u64,
    sources_replay: bool,
    drop_replayed: bool,
    staging: Staging,
    long_values: bool,
    chunks_per_epoch: usize,
    files: Option<Arc<dyn FileSystem>>,
    epoch_column: bool,
    hash_columns: Vec<String>,
    limits: Limits,
    deadlines: Deadlines,
    pub(super) guards: Guards,
}

/// How chunks come into the staging table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Staging {
    /// By queued ingestion, each message with the wish to be ingested at once: what the service advises, for any amount.
    #[default]
    Queued,
    /// By `.ingest into`, at most four at a time: no queue to wait in, so that an epoch is in the table a few seconds after
    /// its end. The cluster's capacity for ingestion is shared, and the command is meant for exploration; beyond the capacity
    /// it is refused, and tried again later. Blobs stay in the cluster's temporary storage until it cleans up.
    Direct,
}

/// How long something is looked at before it counts as a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// A row that was appended does not appear in `kt_epochs`. Default 2 minutes: reads are strongly consistent, so
    /// that only a workload group that forces weak ones gets there.
    pub visible: Duration,
    /// A chunk that is reported as ingested does not appear whole in the staging table. Default 1 minute; then it is
    /// staged again.
    pub whole: Duration,
    /// The service keeps refusing a request. Default 5 minutes; then the sink stops and says what is refused.
    pub refused: Duration,
    /// Ingestion does not know the name that the staging table has since the start. Default 10 minutes, twice what its
    /// caches are documented to take.
    pub name_learned: Duration,
    /// The disk of the epoch files is full and no commit can make room, since nothing that is sealed waits for one. Default 5
    /// minutes, for somebody who makes room; then the sink stops. While commits can make room it is waited for without end.
    pub disk_full: Duration,
    /// A materialized view for readers has not taken in what the table holds. Default 1 hour, in which a backfill of some
    /// hundred million rows is over; then [`init_reader`](super::WriteAhead::init_reader) ends with an error, and the service
    /// goes on making the view.
    pub view: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            visible: Duration::from_secs(120),
            whole: Duration::from_secs(60),
            refused: Duration::from_secs(300),
            name_learned: Duration::from_secs(600),
            disk_full: Duration::from_secs(300),
            view: Duration::from_secs(3600),
        }
    }
}

impl WriteAheadOptions {
    /// Epochs that may wait for their commit, by default: each holds a file per worker.
    pub const OPEN_EPOCHS: u64 = 1024;

    /// Chunks of one epoch over all workers, by default: their intent is a command of some 3 MB, their move one of 400 kB.
    /// The service documents no limit of a command's text; it takes such with ease.
    pub const CHUNKS_PER_EPOCH: usize = 10_000;

    /// Options of the pipeline `pipeline`, whose epoch files are kept below `state`, a directory of its own. The name, the
    /// database and the table together are what makes two starts the same pipeline: a start that finds the directory used
    /// and is not known to the service stops, since it would write everything again.
    pub fn new(pipeline: impl Into<String>, state: impl Into<PathBuf>) -> Self {
        WriteAheadOptions {
            pipeline: pipeline.into(),
            state: state.into(),
            log_bytes: Budget::DEFAULT_HIGH_BYTES,
            open_epochs: Self::OPEN_EPOCHS,
            sources_replay: true,
            drop_replayed: false,
            staging: Staging::Queued,
            long_values: false,
            chunks_per_epoch: Self::CHUNKS_PER_EPOCH,
            files: None,
            epoch_column: false,
            hash_columns: Vec::new(),
            // More attempts than the protocol's own default: an outage of the service uses some up, too.
            limits: Limits { attempts_per_chunk: 100, ..Limits::default() },
            deadlines: Deadlines::default(),
            guards: Guards::default(),
        }
    }

    /// Bytes of epoch files in this process at which sources are to pause; they go on at three quarters of it. Default 4
    /// GiB, some 12 GiB of rows: an hour without the service at 3 MB of rows a second.
    pub fn log_bytes(self, log_bytes: u64) -> Self {
        WriteAheadOptions { log_bytes: log_bytes.max(2), ..self }
    }

    /// Epochs of a worker that may have rows and wait for their commit before sources are to pause. Default
    /// [`OPEN_EPOCHS`](Self::OPEN_EPOCHS).
    pub fn open_epochs(self, open_epochs: u64) -> Self {
        WriteAheadOptions { open_epochs: open_epochs.max(1), ..self }
    }

    /// The most chunks, and so extents, of one commit; an epoch with more is still one commit. Default 1,000, at most
    /// [`CHUNKS_PER_EPOCH`](Self::CHUNKS_PER_EPOCH).
    pub fn chunks_per_commit(mut self, chunks: usize) -> Self {
        self.limits.chunks_per_commit = chunks.clamp(1, Self::CHUNKS_PER_EPOCH);
        self
    }

    /// The most chunks of one epoch over all processes, each of which may have as large a part as it has of the workers. An
    /// epoch is committed as a whole, and no pause ends it sooner. So from half of its part on chunks get larger than
    /// [`batch_bytes`](WriteOptions::batch_bytes) and [`batch_rows`](WriteOptions::batch_rows), twice with each sixteenth, as
    /// far as [`memory`](WriteOptions::memory) goes; where that is not enough, the sink stops before the epoch is sealed.
    /// Default [`CHUNKS_PER_EPOCH`](Self::CHUNKS_PER_EPOCH).
    pub fn chunks_per_epoch(self, chunks: usize) -> Self {
        WriteAheadOptions { chunks_per_epoch: chunks.max(1), ..self }
    }

    /// How chunks come into the staging table. Default [`Staging::Queued`].
    pub fn staging(self, staging: Staging) -> Self {
        WriteAheadOptions { staging, ..self }
    }

    /// Whether values above 1 MiB are to be expected. Their columns need an encoding policy with a larger `MaxValueSize` in
    /// the target. Each start copies these policies to the staging table; where that cannot be done, it stops if this is
    /// true, and warns if not. Default false.
    pub fn long_values(self, long_values: bool) -> Self {
        WriteAheadOptions { long_values, ..self }
    }

    /// Keeps epoch files in another file system than that of this machine: for tests, with
    /// `epoch_log::testing::SimulatedDisk`.
    pub fn file_system(self, files: Arc<dyn FileSystem>) -> Self {
        WriteAheadOptions { files: Some(files), ..self }
    }

    /// Demands that a chunk is one extent: for clusters where one blob may become visible in parts. Default false.
    pub fn one_extent_per_chunk(mut self, demand: bool) -> Self {
        self.limits.one_extent_per_chunk = demand;
        self
    }

    /// Whether sources can go back to the positions of the last commit. Default true: acknowledge them behind
    /// [`Clocks::committed`](crate::Clocks::committed).
    ///
    /// Sources that cannot may be acknowledged behind [`Clocks::durable`](crate::Clocks::durable) once this says false: what
    /// is before that clock is sealed on the disks of all workers, and the next start takes it over. So the next start needs
    /// all of these disks: where one is missing it stops, with exit code 4, and names the directories.
    pub fn sources_replay(self, sources_replay: bool) -> Self {
        WriteAheadOptions { sources_replay, ..self }
    }

    /// Whether rows of epochs that are in the table already are dropped: for dataflows that rebuild their state by
    /// reading their input again. Default false: such a row is an error.
    pub fn drop_replayed(self, drop_replayed: bool) -> Self {
        WriteAheadOptions { drop_replayed, ..self }
    }

    /// Whether each row carries its epoch, in a column `_kt_epoch` of type long, which the target must have. Default false. Then
    /// [`audit`](super::WriteAhead::audit) compares each epoch with the table's rows at any later time, also where extents were
    /// merged or have lost their tags. Costs a number per row.
    pub fn epoch_column(self, epoch_column: bool) -> Self {
        WriteAheadOptions { epoch_column, ..self }
    }

    /// Columns over which rows are hashed, `*` alone for all that have a text form. Default none. Rows then carry their epoch as
    /// with [`epoch_column`](Self::epoch_column), and an [`audit`](super::WriteAhead::audit) compares at any later time also what
    /// the rows of each epoch contain: the sum of their hashes, made when they were logged, with the same sum in the table.
    /// `docs/row-hash.md` has the text forms. A value that the service would not read as its column's type is an error then;
    /// so are times with nanoseconds or with an offset other than `Z`, as crates like `chrono` and `jiff` write them: round them to
    /// 100 ns in UTC, or use [`types::DateTime`](crate::types::DateTime).
    /// Costs an MD5 per row, beside its compression, and some 60 bytes per chunk of an intent.
    pub fn hash_columns(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        WriteAheadOptions { hash_columns: columns.into_iter().map(Into::into).collect(), ..self }
    }

    /// Whether a table with these columns (name and type) can take the rows.
    ///
    /// # Errors
    /// When rows are to carry their epoch and the table has no such column; when rows are to be hashed over columns that it
    /// does not have, or that have no text form.
    pub fn check_columns(&self, table: &str, columns: &[(String, String)]) -> Result<(), WriteAheadError> {
        let wanted: &[_] = if self.has_epoch_column() { &[(EPOCH, "long")] } else { &[] };
        super::collections::lacking(table, columns, wanted).map_or(Ok(()), Err)?;
        self.row_hash(table, columns).map(drop)
    }

    /// What rows for a table with these columns are hashed over, if they are.
    pub(super) fn row_hash(
        &self,
        table: &str,
        columns: &[(String, String)],
    ) -> Result<Option<RowHash>, WriteAheadError> {
        if self.hash_columns.is_empty() {
            return Ok(None);
        }
        if self.hash_columns.iter().any(|name| name == EPOCH) {
            let why = format!("hash_columns names {EPOCH}, by which rows are compared: leave it out");
            return Err(WriteAheadError::Refused { why });
        }
        let columns: Vec<_> = columns.iter().filter(|(name, _)| name != EPOCH).cloned().collect();
        let chosen = RowHash::over(&self.hash_columns, &columns);
        let refused =
            |source| WriteAheadError::Refused { why: format!("rows of {table} cannot be hashed: {source}") };
        chosen.map(Some).map_err(refused)
    }

    /// How long something is looked at before it counts as a fault.
    pub fn deadlines(self, deadlines: Deadlines) -> Self {
        WriteAheadOptions { deadlines, ..self }
    }

    /// The pipeline's name.
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// Where epoch files are kept.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The lineage of this pipeline with the table of `write`.
    pub fn lineage(&self, write: &WriteOptions) -> Lineage {
        Lineage::of(&self.pipeline, write.database(), write.table())
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits.clone()
    }

    pub(super) fn waits(&self) -> Deadlines {
        self.deadlines
    }

    pub(super) fn replays(&self) -> bool {
        self.sources_replay
    }

    pub(super) fn drops_replayed(&self) -> bool {
        self.drop_replayed
    }

    pub(super) fn stages_directly(&self) -> bool {
        self.staging == Staging::Direct
    }

    pub(super) fn expects_long_values(&self) -> bool {
        self.long_values
    }

    /// The most chunks that a process with so many of all workers may have in an epoch.
    pub(super) fn chunks_of_process(&self, workers: usize, peers: usize) -> u64 {
        let (workers, peers) = (workers.clamp(1, peers.max(1)), peers.max(1));
        (self.chunks_per_epoch as u64 * workers as u64 / peers as u64).max(1)
    }

    /// The log of a lineage, in the file system that was chosen.
    pub(super) fn log(&self, lineage: epoch_log::Lineage) -> epoch_log::Log {
        let log = epoch_log::Log::new(&self.state, lineage);
        match &self.files {
            Some(files) => log.on(Arc::clone(files)),
            None => log,
        }
    }

    pub(super) fn hashes_rows(&self) -> bool {
        !self.hash_columns.is_empty()
    }

    pub(super) fn has_epoch_column(&self) -> bool {
        self.epoch_column || self.hashes_rows()
    }

    pub(super) fn most_open_epochs(&self) -> u64 {
        self.open_epochs
    }

    pub(super) fn budget(&self) -> Result<Budget, epoch_log::Error> {
        Budget::new(self.log_bytes, self.log_bytes / 4 * 3)
    }

    /// Refuses write options that cannot work in this mode.
    pub(super) fn check(&self, write: &WriteOptions) -> Result<(), WriteAheadError> {
        let wrong = |option, why| Err(WriteAheadError::Options { option, why });
        if self.pipeline.is_empty() {
            return wrong("pipeline", "it is empty: two starts of one pipeline know each other by its name");
        }
        if write.delivery() != Delivery::Ingested {
            return wrong(
                "delivery",
                "the write-ahead mode commits what is ingested, it must be \"ingested\"",
            );
        }
        if !write.ingest_if_not_exists().is_empty() {
            return wrong(
                "ingest_if_not_exists",
                "a row that the service skips would be missing in its commit",
            );
        }
        if write.ingestion_mapping_ref().is_some() {
            return wrong(
                "ingestion_mapping_ref",
                "rows are ingested into a staging table, which has no mappings: leave it out, and name columns",
            );
        }
        Ok(())
    }
}
