//! What a pipeline is, as a user writes it down.
//!
//! The structs mirror the sections of a configuration file; a program can fill them in itself. Nothing here touches a
//! file or the network: [`PipelineOptions::validate`] says what cannot work before anything is opened.

use std::path::PathBuf;
use std::time::Duration;

use timely_kusto::encode::MAX_VALUE_BYTES;
use timely_kusto::{Reader, Staging, WriteAheadOptions, WriteOptions};

use crate::error::{Error, ErrorKind, Result};
use crate::file::FileOptions;
use crate::generator::GeneratorOptions;

/// A pipeline: a job, a source and a sink.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// The job.
    pub job: JobOptions,
    /// What is read.
    pub source: SourceOptions,
    /// The most rows per second over all workers; as fast as it goes when absent.
    pub rate: Option<u64>,
    /// Where the rows go.
    pub sink: SinkOptions,
}

/// The job of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOptions {
    /// The pipeline's name: lower case letters, digits and hyphens, at most 64.
    pub name: String,
    /// The length of an epoch. Default: 10 s. What a crash makes the pipeline read again is about that much, and what
    /// was not delivered yet.
    pub checkpoint_interval: Duration,
    /// How long a stop waits for commits, in the write-ahead mode. Default: 1 minute. What is not committed by then is in
    /// epoch files.
    pub stop_timeout: Duration,
    /// The directory that holds the positions.
    pub state: PathBuf,
}

impl JobOptions {
    /// The default length of an epoch.
    pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

    /// The default of [`stop_timeout`](Self::stop_timeout).
    pub const STOP_TIMEOUT: Duration = Duration::from_secs(60);

    /// A job with epochs of the default length.
    pub fn new(name: impl Into<String>, state: impl Into<PathBuf>) -> Self {
        JobOptions {
            name: name.into(),
            checkpoint_interval: Self::CHECKPOINT_INTERVAL,
            stop_timeout: Self::STOP_TIMEOUT,
            state: state.into(),
        }
    }
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceOptions {
    /// Files of csv or json.
    File(FileOptions),
    /// Storm events made up from a seed.
    Generator(GeneratorOptions),
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkMode {
    /// At least once, by queued ingestion.
    #[default]
    SinkV2,
    /// Exactly once, by epochs, through epoch files and a staging table.
    WriteAhead,
}

/// Where the rows go.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// How rows are written.
    pub mode: SinkMode,
    /// Creates a missing table with the columns of the source. Default: false.
    pub create: bool,
    /// The largest value in bytes. Default: 1 MiB, which the service keeps of a string; raise it together with the
    /// columns' encoding policy (`MaxValueSize`), up to 32 MiB. The write-ahead mode copies these policies to its staging
    /// table at each start, and stops if it is to take more than 1 MiB and cannot copy them.
    pub max_value_bytes: usize,
    /// How chunks come into the staging table, in the write-ahead mode. Default: by queued ingestion.
    pub staging: Staging,
    /// Bytes of epoch files in this process at which the source pauses, in the write-ahead mode. Default: 4 GiB.
    pub log_bytes: u64,
    /// What shows the collection that the rows are changes of, in the write-ahead mode. Default: none, rows are rows.
    pub reader: Option<Reader>,
    /// Whether rows carry their epoch in the column `_kt_epoch`, in the write-ahead mode. Default: false.
    pub epoch_column: bool,
    /// Columns over which rows are hashed for audits, `*` for all that have a text form, in the write-ahead mode. Default: none.
    /// With some, rows carry their epoch, too.
    pub hash_columns: Vec<String>,
    /// The options of the sink.
    pub write: WriteOptions,
}

impl SinkOptions {
    /// The largest value that an encoding policy allows.
    pub const MAX_VALUE_BYTES: usize = 32 << 20;
    /// The default of [`log_bytes`](Self::log_bytes).
    pub const LOG_BYTES: u64 = 4 << 30;

    /// SinkV2 into a table that exists.
    pub fn new(write: WriteOptions) -> Self {
        SinkOptions {
            mode: SinkMode::SinkV2,
            create: false,
            max_value_bytes: MAX_VALUE_BYTES,
            staging: Staging::Queued,
            log_bytes: Self::LOG_BYTES,
            reader: None,
            epoch_column: false,
            hash_columns: Vec::new(),
            write,
        }
    }
}

impl PipelineOptions {
    /// What the write-ahead mode is told.
    pub fn write_ahead(&self) -> WriteAheadOptions {
        WriteAheadOptions::new(&self.job.name, &self.job.state)
            .log_bytes(self.sink.log_bytes)
            .staging(self.sink.staging)
            .long_values(self.sink.max_value_bytes > MAX_VALUE_BYTES)
            .epoch_column(self.sink.epoch_column)
            .hash_columns(&self.sink.hash_columns)
    }

    /// Checks what can be checked without touching a file or the network.
    ///
    /// # Errors
    /// [`ErrorKind::Options`] naming the option, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        let JobOptions { name, checkpoint_interval, stop_timeout, state } = &self.job;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return wrong(format!(
                "name is {name:?}: it must be 1 to 64 lower case letters, digits and hyphens"
            ));
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(3600)).contains(checkpoint_interval) {
            return wrong(format!("checkpoint_interval is {checkpoint_interval:?}: it must be 100ms to 1h"));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(stop_timeout) {
            return wrong(format!("stop_timeout is {stop_timeout:?}: it must be 1s to 1d"));
        }
        if state.as_os_str().is_empty() {
            return wrong("state is empty: name a directory for the positions".into());
        }
        if let Some(rate) = self.rate
            && !(1..=1_000_000_000).contains(&rate)
        {
            return wrong(format!("rate is {rate}: it must be 1 to 1_000_000_000 rows per second"));
        }
        let (value, most) = (self.sink.max_value_bytes, SinkOptions::MAX_VALUE_BYTES);
        if !(1..=most).contains(&value) {
            return wrong(format!("max_value_bytes is {value}: it must be 1 to {most}"));
        }
        match &self.source {
            SourceOptions::File(options) => options.validate(),
            SourceOptions::Generator(options) => options.validate(),
        }
    }
}

fn wrong(what: String) -> Result<()> {
    Err(Error::new(ErrorKind::Options, what))
}
