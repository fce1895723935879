//! What the write-ahead mode is told beyond the write options.

use std::path::{Path, PathBuf};
use std::time::Duration;

use commit_protocol::{Limits, Lineage};
use epoch_log::Budget;

use super::WriteAheadError;
use super::guards::Guards;
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
    limits: Limits,
    deadlines: Deadlines,
    pub(super) guards: Guards,
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
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            visible: Duration::from_secs(120),
            whole: Duration::from_secs(60),
            refused: Duration::from_secs(300),
            name_learned: Duration::from_secs(600),
        }
    }
}

impl WriteAheadOptions {
    /// Epochs that may wait for their commit, by default: each holds a file per worker.
    pub const OPEN_EPOCHS: u64 = 1024;

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

    /// The most chunks, and so extents, of one commit; an epoch with more is still one commit. Default 1,000.
    pub fn chunks_per_commit(mut self, chunks: usize) -> Self {
        self.limits.chunks_per_commit = chunks.max(1);
        self
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
