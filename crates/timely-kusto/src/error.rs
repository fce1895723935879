//! What can stop a sink.

use std::time::Duration;

use kusto_client::IngestionStatus;
use uuid::Uuid;

use crate::codec::CodecError;
use crate::encode::EncodeError;
use crate::mapping::MappingError;
use crate::options::OptionError;

/// A result of this crate.
pub type Result<T, E = SinkError> = std::result::Result<T, E>;

/// Why a sink could not be made, or stopped.
///
/// Rows named in an error are not known to be in the table; those whose effect is unknown may be. A source that is
/// acknowledged behind the sink's clock still has them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// An option cannot work.
    #[error(transparent)]
    Options(#[from] OptionError),
    /// A record could not be written as a row.
    #[error("row {row} of this worker cannot be written for {table}: {source}")]
    Encode {
        /// Rows that this worker had taken before, from 0.
        row: u64,
        /// The target.
        table: String,
        /// Which field, and why.
        source: EncodeError,
    },
    /// No ingestion mapping could be made of the record's columns.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The codec failed.
    #[error("a chunk could not be compressed: {0}")]
    Codec(#[from] CodecError),
    /// The cluster could not be asked, or refused.
    #[error("{}{source}", undelivered(.rows, .table, .attempts, .after))]
    Service {
        /// Rows that are not delivered because of it.
        rows: u64,
        /// The target.
        table: String,
        /// How many attempts were made.
        attempts: u32,
        /// How long they took.
        after: Duration,
        /// The last attempt's error.
        source: kusto_client::Error,
    },
    /// The service took the rows and then could not, or would not, ingest them.
    #[error(
        "{rows} rows were not ingested into {table}: {}\n  blob {blob}, source id {source_id}; \
         `.show ingestion failures` has the service's record{}{}",
        describe(.status),
        partly(.status),
        next_line(.advice)
    )]
    Ingestion {
        /// Rows in the blob.
        rows: u64,
        /// The target.
        table: String,
        /// The blob's name.
        blob: String,
        /// Id of the ingestion.
        source_id: Uuid,
        /// What a person can do about it, if anything is known.
        advice: Option<String>,
        /// What the service said.
        status: Box<IngestionStatus>,
    },
    /// The service did not say in time what became of the rows.
    #[error(
        "{rows} rows for {table} are queued, and the service has not said for {} s whether they are ingested: they \
         may still arrive\n  blob {blob}, source id {source_id}; if the table's batching policy (`{policy}`) seals \
         later than `poll_timeout`, raise `poll_timeout` or lower MaximumBatchingTimeSpan",
        waited.as_secs()
    )]
    Unconfirmed {
        /// Rows in the blob.
        rows: u64,
        /// The target.
        table: String,
        /// The blob's name.
        blob: String,
        /// Id of the ingestion.
        source_id: Uuid,
        /// The command that shows the table's batching policy.
        policy: String,
        /// How long the status was looked at.
        waited: Duration,
    },
    /// The service has the rows, and what became of them cannot be read.
    #[error(
        "{rows} rows for {table} are queued, and what became of them cannot be read{}: they may still arrive, or be \
         there already\n  {source}\n  blob {blob}, source id {source_id}; look with `.show ingestion failures` and \
         count the rows before you start again, which sends what is not confirmed once more",
        tried(.attempts, .after)
    )]
    StatusUnread {
        /// Rows in the blob.
        rows: u64,
        /// The target.
        table: String,
        /// The blob's name.
        blob: String,
        /// Id of the ingestion.
        source_id: Uuid,
        /// How many looks were taken.
        attempts: u32,
        /// How long they took.
        after: Duration,
        /// The last look's error.
        source: kusto_client::Error,
    },
    /// The runtime for the sink's requests could not be started.
    #[error("the sink's threads could not be started: {0}")]
    Runtime(#[source] std::io::Error),
    /// The write-ahead mode stopped.
    #[error(transparent)]
    WriteAhead(Box<crate::WriteAheadError>),
    /// A part of the sink panicked: a defect.
    #[error("a part of the sink broke down, which is a defect, please report it: {0}")]
    Broken(String),
    /// The sink had stopped before; the failure itself is on the handle.
    #[error("the sink had stopped before; its handle has the reason")]
    Stopped,
}

impl SinkError {
    /// The exit code of a process that ends with it: 1 start it again, 2 mend the configuration first, 3 fenced by a newer
    /// start, 4 a person has to decide.
    pub fn exit_code(&self) -> u8 {
        match self {
            SinkError::Options(_) => 2,
            // The next start would meet the same record.
            SinkError::Encode { .. } => 4,
            SinkError::WriteAhead(error) => error.exit_code(),
            _ => 1,
        }
    }
}

impl From<crate::WriteAheadError> for SinkError {
    fn from(error: crate::WriteAheadError) -> Self {
        SinkError::WriteAhead(Box::new(error))
    }
}

fn tried(attempts: &u32, after: &Duration) -> String {
    match attempts {
        0 | 1 => String::new(),
        n => format!(" after {n} attempts in {:.1} s", after.as_secs_f64()),
    }
}

fn undelivered(rows: &u64, table: &str, attempts: &u32, after: &Duration) -> String {
    let tried = tried(attempts, after);
    match rows {
        0 => format!("{table}{tried}: "),
        rows => format!("{rows} rows for {table} are not delivered{tried}: "),
    }
}

fn describe(status: &IngestionStatus) -> String {
    let code = status.error_code.as_deref().unwrap_or("no error code");
    let details = status.details.as_deref().unwrap_or("no details");
    format!("the service says {:?}, {code}: {details}", status.state)
}

fn partly(status: &IngestionStatus) -> &'static str {
    match status.state {
        kusto_client::IngestionState::PartiallySucceeded => {
            "; a part of them is in the table, so they are not sent again"
        }
        kusto_client::IngestionState::Skipped => {
            "; an ingest-by tag kept them out, though `ingest_if_not_exists` is not set"
        }
        _ => "",
    }
}

fn next_line(advice: &Option<String>) -> String {
    advice.as_ref().map(|advice| format!("\n  {advice}")).unwrap_or_default()
}
