//! Sets options, from code by method or from text by name.

use std::time::Duration;

use kusto_client::Backoff;

use super::check::check;
use super::{Delivery, Format, OPTIONS, OptionError, Retry, Values, WriteOptions};
use crate::types::DateTime;

/// Sets the options of a sink; made by [`WriteOptions::builder`].
///
/// ```
/// use std::time::Duration;
/// use timely_kusto::WriteOptions;
///
/// let options = WriteOptions::builder()
///     .database("Samples")
///     .table("StormEvents")
///     .batch_interval(Duration::from_secs(10))
///     .build()?;
/// assert_eq!(options.batch_bytes(), 16 << 20);
///
/// // The same from text, as a configuration file has it:
/// let mut builder = WriteOptions::builder();
/// builder.set("database", "Samples")?.set("table", "StormEvents")?.set("batch_interval", "10s")?;
/// assert_eq!(builder.build()?, options);
/// # Ok::<(), timely_kusto::OptionError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct WriteOptionsBuilder {
    pub(super) values: Values,
}

impl Default for WriteOptionsBuilder {
    fn default() -> Self {
        WriteOptionsBuilder {
            values: Values {
                database: String::new(),
                table: String::new(),
                format: Format::Csv,
                ingestion_mapping_ref: None,
                flush_immediately: false,
                additional_tags: Vec::new(),
                ingest_by_tags: Vec::new(),
                drop_by_tags: Vec::new(),
                ingest_if_not_exists: Vec::new(),
                creation_time: None,
                retain_blob_on_success: false,
                batch_rows: None,
                batch_interval: Duration::from_secs(30),
                batch_bytes: 16 << 20,
                delivery: Delivery::Ingested,
                poll_interval: Duration::from_secs(2),
                poll_timeout: Duration::from_secs(15 * 60),
                retry: Retry::default(),
                compression_level: 1,
                memory: 64 << 20,
                uploads: 8,
                compressors: None,
            },
        }
    }
}

fn texts(items: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    items.into_iter().map(Into::into).collect()
}

impl WriteOptionsBuilder {
    /// The database that holds the table. Required.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.values.database = name.into();
        self
    }

    /// The table that rows go to. Required.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.values.table = name.into();
        self
    }

    /// How rows are written: CSV by default.
    pub fn format(mut self, format: Format) -> Self {
        self.values.format = format;
        self
    }

    /// The name of an ingestion mapping of the table. By default a struct's field names are sent as the mapping.
    pub fn ingestion_mapping_ref(mut self, name: impl Into<String>) -> Self {
        self.values.ingestion_mapping_ref = Some(name.into());
        self
    }

    /// Whether each blob makes the service seal its batch at once: earlier rows for smaller extents. Off by default.
    pub fn flush_immediately(mut self, flush: bool) -> Self {
        self.values.flush_immediately = flush;
        self
    }

    /// Tags that every extent gets as they stand.
    pub fn additional_tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.values.additional_tags = texts(tags);
        self
    }

    /// Values of `ingest-by:` tags, without the prefix. The service does not put blobs with such tags into one batch.
    pub fn ingest_by_tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.values.ingest_by_tags = texts(tags);
        self
    }

    /// Values of `drop-by:` tags, without the prefix: what is written can be dropped by them later.
    pub fn drop_by_tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.values.drop_by_tags = texts(tags);
        self
    }

    /// Skips a blob when the table has an extent with one of these `ingest-by:` values (without the prefix). **A value
    /// that is also in `ingest_by_tags` skips every blob after the first.** Skipped rows are counted apart.
    pub fn ingest_if_not_exists(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.values.ingest_if_not_exists = texts(tags);
        self
    }

    /// The creation time that extents get, for rows of the past: retention and caching go by it.
    pub fn creation_time(mut self, time: DateTime) -> Self {
        self.values.creation_time = Some(time);
        self
    }

    /// Whether the service keeps a blob after it was ingested. Off by default.
    pub fn retain_blob_on_success(mut self, retain: bool) -> Self {
        self.values.retain_blob_on_success = retain;
        self
    }

    /// The most rows in a blob. Not limited by default: blobs of a fixed number of small rows are too small.
    pub fn batch_rows(mut self, rows: u64) -> Self {
        self.values.batch_rows = Some(rows);
        self
    }

    /// The longest time that a row waits for its blob to be closed: 30 s by default.
    pub fn batch_interval(mut self, interval: Duration) -> Self {
        self.values.batch_interval = interval;
        self
    }

    /// The most bytes of rows in a blob, before compression: 16 MiB by default.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.values.batch_bytes = bytes;
        self
    }

    /// When a row counts as delivered: when the service reports it ingested, by default.
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.values.delivery = delivery;
        self
    }

    /// The pause between two looks at the status of a blob: 2 s by default.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.values.poll_interval = interval;
        self
    }

    /// The longest time from queueing a blob to a final status: 15 minutes by default. The service batches for up to
    /// 5 minutes unless the table's policy says otherwise, and then has its own work and retries to do.
    pub fn poll_timeout(mut self, timeout: Duration) -> Self {
        self.values.poll_timeout = timeout;
        self
    }

    /// How an operation is repeated that failed in a way that may pass; sets the four `retry_` options at once.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.values.retry = retry;
        self
    }

    /// Attempts in all, the first included: 30 by default; 1 repeats nothing.
    pub fn retry_attempts(mut self, attempts: u32) -> Self {
        self.values.retry.attempts = attempts;
        self
    }

    /// The pauses between attempts: up to 500 ms at first, doubled each time up to 30 s, by default.
    pub fn retry_backoff(mut self, backoff: Backoff) -> Self {
        self.values.retry.backoff = backoff;
        self
    }

    /// No attempt begins later than this after the first one began: 10 minutes by default.
    pub fn retry_timeout(mut self, total: Duration) -> Self {
        self.values.retry.total = total;
        self
    }

    /// The gzip level, 1 (fast, the default) to 12 (small).
    pub fn compression_level(mut self, level: i32) -> Self {
        self.values.compression_level = level;
        self
    }

    /// Bytes that this sink may hold in one process, over all its workers: 64 MiB by default.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.values.memory = bytes;
        self
    }

    /// Uploads at a time in one process: 8 by default.
    pub fn uploads(mut self, uploads: usize) -> Self {
        self.values.uploads = uploads;
        self
    }

    /// Compressions at a time in one process: as many as the machine runs in parallel, by default.
    pub fn compressors(mut self, compressors: usize) -> Self {
        self.values.compressors = Some(compressors);
        self
    }

    /// Sets any option of [`OPTIONS`] from text: `30s`, `64MiB`, `1_000`, `true`; a list is a JSON array of strings.
    ///
    /// # Errors
    /// An unknown name (the error has the nearest one), or text that is no value of the option. Ranges are checked by
    /// [`build`](WriteOptionsBuilder::build).
    pub fn set(&mut self, name: &str, text: &str) -> Result<&mut Self, OptionError> {
        let Some(info) = OPTIONS.iter().find(|info| info.name == name) else {
            return Err(unknown(name, text));
        };
        (info.parse)(&mut self.values, text)
            .map_err(|reason| OptionError::new(info.name, text, info.range, reason))?;
        Ok(self)
    }

    /// Checks the options and finishes them.
    ///
    /// # Errors
    /// The first option that cannot work, with its value, the range and the reason.
    pub fn build(self) -> Result<WriteOptions, OptionError> {
        check(&self.values)?;
        Ok(WriteOptions { values: self.values })
    }
}

fn unknown(name: &str, text: &str) -> OptionError {
    let nearest = OPTIONS.iter().min_by_key(|info| strsim::damerau_levenshtein(info.name, name));
    let nearest = nearest.map_or("database", |info| info.name);
    OptionError::new(name, text, format!("an option such as {nearest}"), "there is no option of this name")
}
