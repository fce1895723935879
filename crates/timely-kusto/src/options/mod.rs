//! What a sink is told: where rows go, how they are batched, when they count as delivered, and what that may cost.
//!
//! ```text
//! code ──► WriteOptionsBuilder ──┐                          ┌─► the batcher, the uploader, the poller
//! file ──► WriteOptionsBuilder::set(name, text) ─ build() ─► WriteOptions ─► ingestion(): the queue message
//! ```
//!
//! 1. [`OPTIONS`] lists every option once: name, kind, default, range, reason, the Flink connector's name. A
//!    configuration file, the documentation (`docs/write-options.md`) and the tests work from this list.
//! 2. [`WriteOptionsBuilder::build`] refuses what cannot work, and nothing else, with an [`OptionError`] that names the
//!    option, the value and the range. What works but is unwise, [`WriteOptions::warnings`] says.
//! 3. Units are in types: [`Duration`] for time, bytes (as `usize`) for sizes.

mod builder;
mod check;
mod error;
mod table;
mod text;
mod values;

#[cfg(test)]
mod tests;

use std::time::Duration;

use kusto_client::{Ingestion, IngestionMapping};
use uuid::Uuid;

use crate::encode::ColumnName;
use crate::mapping::{MappingError, inline_mapping};
use crate::types::DateTime;

pub use builder::WriteOptionsBuilder;
pub use error::OptionError;
pub use table::{OPTIONS, OptionInfo};
pub use text::{format_bytes, format_duration, parse_bytes, parse_duration};
pub use values::{Delivery, Format, Retry};

/// The options of a sink, checked; [`WriteOptions::builder`] makes them, and `docs/write-options.md` explains them.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteOptions {
    values: Values,
}

/// The plain values, shared with the builder.
#[derive(Clone, Debug, PartialEq)]
struct Values {
    database: String,
    table: String,
    format: Format,
    ingestion_mapping_ref: Option<String>,
    flush_immediately: bool,
    additional_tags: Vec<String>,
    ingest_by_tags: Vec<String>,
    drop_by_tags: Vec<String>,
    ingest_if_not_exists: Vec<String>,
    creation_time: Option<DateTime>,
    retain_blob_on_success: bool,
    batch_rows: Option<u64>,
    batch_interval: Duration,
    batch_bytes: usize,
    delivery: Delivery,
    poll_interval: Duration,
    poll_timeout: Duration,
    retry: Retry,
    compression_level: i32,
    memory: usize,
    uploads: usize,
    compressors: Option<usize>,
}

impl WriteOptions {
    /// A builder with every option at its default; `database` and `table` have none and must be given.
    pub fn builder() -> WriteOptionsBuilder {
        WriteOptionsBuilder::default()
    }

    /// The database that holds the table.
    pub fn database(&self) -> &str {
        &self.values.database
    }

    /// The table that rows go to.
    pub fn table(&self) -> &str {
        &self.values.table
    }

    /// How rows are written.
    pub fn format(&self) -> Format {
        self.values.format
    }

    /// The name of an ingestion mapping of the table, if one is to be used instead of the columns' names.
    pub fn ingestion_mapping_ref(&self) -> Option<&str> {
        self.values.ingestion_mapping_ref.as_deref()
    }

    /// Whether each blob makes the service seal its batch at once.
    pub fn flush_immediately(&self) -> bool {
        self.values.flush_immediately
    }

    /// Tags that every extent gets as they stand.
    pub fn additional_tags(&self) -> &[String] {
        &self.values.additional_tags
    }

    /// Values of `ingest-by:` tags that every extent gets.
    pub fn ingest_by_tags(&self) -> &[String] {
        &self.values.ingest_by_tags
    }

    /// Values of `drop-by:` tags that every extent gets.
    pub fn drop_by_tags(&self) -> &[String] {
        &self.values.drop_by_tags
    }

    /// Values of `ingest-by:` tags; a blob is skipped when the table has an extent with one of them.
    pub fn ingest_if_not_exists(&self) -> &[String] {
        &self.values.ingest_if_not_exists
    }

    /// The creation time that extents get; the time of ingestion when absent.
    pub fn creation_time(&self) -> Option<DateTime> {
        self.values.creation_time
    }

    /// Whether the service keeps a blob after it was ingested.
    pub fn retain_blob_on_success(&self) -> bool {
        self.values.retain_blob_on_success
    }

    /// The most rows in a blob, if rows are counted at all.
    pub fn batch_rows(&self) -> Option<u64> {
        self.values.batch_rows
    }

    /// The longest time that a row waits for its blob to be closed.
    pub fn batch_interval(&self) -> Duration {
        self.values.batch_interval
    }

    /// The most bytes of rows in a blob, before compression; [`WriteOptions::chunk_bytes`] is what memory allows.
    pub fn batch_bytes(&self) -> usize {
        self.values.batch_bytes
    }

    /// When a row counts as delivered.
    pub fn delivery(&self) -> Delivery {
        self.values.delivery
    }

    /// The pause between two looks at the status of a blob.
    pub fn poll_interval(&self) -> Duration {
        self.values.poll_interval
    }

    /// The longest time from queueing a blob to a final status.
    pub fn poll_timeout(&self) -> Duration {
        self.values.poll_timeout
    }

    /// How what may pass is repeated.
    pub fn retry(&self) -> Retry {
        self.values.retry
    }

    /// The gzip level, 1 (fast) to 12 (small).
    pub fn compression_level(&self) -> i32 {
        self.values.compression_level
    }

    /// Bytes that this sink may hold in this process: rows being batched, being compressed and compressed.
    pub fn memory(&self) -> usize {
        self.values.memory
    }

    /// Uploads at a time in this process.
    pub fn uploads(&self) -> usize {
        self.values.uploads
    }

    /// Compressions at a time in this process: the option, or else as many as the machine runs in parallel.
    pub fn compressors(&self) -> usize {
        self.values.compressors.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// The bytes at which one of `local_workers` workers of this process closes its chunk: `batch_bytes`, or less where
    /// [`memory`](WriteOptions::memory) does not hold two chunks per worker (one that grows, one on its way).
    pub fn chunk_bytes(&self, local_workers: usize) -> usize {
        self.values.batch_bytes.min(self.chunk_share(local_workers)).max(1)
    }

    /// The memory that the chunk of one of so many workers may have.
    pub(crate) fn chunk_share(&self, local_workers: usize) -> usize {
        self.values.memory / local_workers.max(1).saturating_mul(2)
    }

    /// The mapping that blobs of rows with these columns are queued with: the table's own by name when
    /// `ingestion_mapping_ref` is set, else one made of the columns' names, else none (fields find columns by position
    /// in CSV, by name in JSON).
    ///
    /// # Errors
    /// When the columns are too many for a queue message; the error holds the command that creates the mapping.
    pub fn mapping(&self, columns: Option<&[ColumnName]>) -> Result<Option<IngestionMapping>, MappingError> {
        if let Some(name) = self.ingestion_mapping_ref() {
            return Ok(Some(IngestionMapping::Reference(name.to_owned())));
        }
        columns
            .map(|columns| inline_mapping(self.format(), columns, self.table()).map(IngestionMapping::Inline))
            .transpose()
    }

    /// Everything that a queue message says beside the blob.
    pub fn ingestion(&self, source_id: Uuid, mapping: Option<IngestionMapping>) -> Ingestion {
        let values = &self.values;
        Ingestion {
            source_id,
            database: values.database.clone(),
            table: values.table.clone(),
            format: values.format.ingestion_format().to_owned(),
            mapping,
            ignore_first_record: false,
            additional_tags: values.additional_tags.clone(),
            ingest_by_tags: values.ingest_by_tags.clone(),
            drop_by_tags: values.drop_by_tags.clone(),
            ingest_if_not_exists: values.ingest_if_not_exists.clone(),
            creation_time: values.creation_time.map(|time| time.to_string()),
            flush_immediately: values.flush_immediately,
            retain_blob_on_success: values.retain_blob_on_success,
            report: values.delivery.report(),
        }
    }

    /// What works but is unwise, a sentence each, for the log of a start.
    pub fn warnings(&self) -> Vec<String> {
        check::warnings(&self.values)
    }
}
