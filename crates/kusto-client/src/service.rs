//! The service as a sink sees it: the seam between a dataflow and a cluster.
//!
//! Five operations, each of which makes **one attempt** with a deadline and never hangs. Retrying is the caller's
//! decision, from what the error says about the effect. Promises that every implementation keeps (numbered; the
//! conformance suite cites them):
//!
//! 1. `upload` never overwrites. Repeating it under the same name with the same body is safe, whatever became of the
//!    first attempt: names are unique to their content.
//! 2. `upload` returns only once the whole body is stored.
//! 3. `queue` returns only once the service has the message. An error with [`Effect::None`](crate::Effect::None)
//!    means that no message was left.
//! 4. With [`Report::Table`], the status row exists before the message can be read: `status` never answers "unknown
//!    ticket" for a ticket that `queue` returned, unless the row was removed since.
//! 5. `status` never reports a final state that the service did not report.
//! 6. A failure inside an HTTP 200 is an error, for commands and queries alike.
//! 7. Errors carry kind, effect, the least time to wait, the service's code and ids; none carries a secret.
//! 8. `queue` looks before it repeats: where an earlier attempt under the same source id left a status row that is no
//!    longer pending, the service has the message, and no second one is posted.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use secrecy::SecretString;
use uuid::Uuid;

use crate::Error;
use crate::table::Table;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a sink asks of a cluster; see the [module documentation](self) for the promises.
pub trait Service: fmt::Debug + Send + Sync + 'static {
    /// Writes one blob to the cluster's temporary storage.
    fn upload(&self, blob: Blob) -> BoxFuture<'_, Result<UploadedBlob>>;

    /// Queues an uploaded blob for ingestion.
    fn queue<'a>(&'a self, ingestion: &'a Ingestion, blob: &'a UploadedBlob)
    -> BoxFuture<'a, Result<Ticket>>;

    /// Reads what has become of a queued ingestion. One look, no waiting.
    fn status<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<IngestionStatus>>;

    /// Runs a management command (it starts with a dot) and returns its result table.
    fn command<'a>(&'a self, database: &'a str, command: &'a str) -> BoxFuture<'a, Result<Table>>;

    /// Who asks, as commands name a principal (`aadapp=<id>;<tenant>`), where that can be told: for the command in an
    /// error that grants a missing role.
    fn principal(&self) -> Option<String> {
        None
    }

    /// Gets beforehand what every upload and message needs (addresses, signatures, a token), so that the first of them
    /// need not wait for it. They do without: a failure says nothing about them.
    fn prepare(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Runs a query and returns its primary results, in order.
    fn query<'a>(&'a self, database: &'a str, query: &'a str) -> BoxFuture<'a, Result<Vec<Table>>>;
}

/// A body on its way into temporary storage.
#[derive(Clone)]
pub struct Blob {
    /// The blob's name, unique to this content; its suffix tells the service the format and compression
    /// (`.csv.gz`, `.multijson.gz`).
    pub name: String,
    /// The bytes as they are stored. Cheap to clone.
    pub body: Bytes,
    /// How many rows it holds, kept as blob metadata `rows`.
    pub rows: u64,
    /// Bytes before compression, kept as blob metadata `rawbytes`.
    pub raw_bytes: u64,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("name", &self.name)
            .field("bytes", &self.body.len())
            .field("rows", &self.rows)
            .field("raw_bytes", &self.raw_bytes)
            .finish()
    }
}

/// A blob that is stored: its address, and the signature it was written with. The signature expires and stays in
/// memory only.
#[derive(Clone, Debug)]
pub struct UploadedBlob {
    /// Address of the container, without a query.
    pub container: String,
    /// Name of the blob, as given to [`Service::upload`].
    pub name: String,
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// The query part of the container's URL as it was when the blob was written; `queue` prefers a fresher one.
    pub signature: SecretString,
}

/// How the outcome of a queued ingestion is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Report {
    /// Not at all (`ReportLevel` None): the service logs failures for itself.
    None,
    /// As a row of the status table, success and failure both; [`Service::status`] reads it.
    #[default]
    Table,
}

/// Everything a queue message says beside the blob.
///
/// Facts: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/netfx/kusto-ingest-client-rest.md` and
/// `.../kusto/includes/ingestion-properties.md`.
#[derive(Clone, Debug)]
pub struct Ingestion {
    /// Id of this ingestion, the key of its status row. A repeated attempt after an unknown outcome keeps it.
    pub source_id: Uuid,
    /// Target database.
    pub database: String,
    /// Target table.
    pub table: String,
    /// Format name in lower case: `csv`, `multijson`, ...
    pub format: String,
    /// How fields find their columns; by position (csv) or name (json) when absent.
    pub mapping: Option<IngestionMapping>,
    /// Whether the first record is a header.
    pub ignore_first_record: bool,
    /// Tags that the extents get as they stand (no prefix is added).
    pub additional_tags: Vec<String>,
    /// Values of `ingest-by:` tags, without the prefix.
    pub ingest_by_tags: Vec<String>,
    /// Values of `drop-by:` tags, without the prefix.
    pub drop_by_tags: Vec<String>,
    /// Skips the ingestion when an extent with one of these `ingest-by:` values exists.
    pub ingest_if_not_exists: Vec<String>,
    /// Creation time of the extents, RFC 3339 in UTC; the time of ingestion when absent.
    pub creation_time: Option<String>,
    /// Seals the service's batch at once.
    pub flush_immediately: bool,
    /// Whether the service keeps the blob after a success (its own default is to delete it).
    pub retain_blob_on_success: bool,
    /// How the outcome is reported.
    pub report: Report,
}

/// How the fields of a record find their columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestionMapping {
    /// A mapping that the table (or database) has under this name, of the kind that the format needs.
    Reference(String),
    /// A mapping sent along: a JSON array of `{"Column":..,"Properties":{..}}`. It must fit into a queue message of
    /// 64 KiB together with the rest.
    Inline(String),
}

/// Where the outcome of a queued ingestion can be read.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The ingestion's source id.
    pub source_id: Uuid,
    /// Address of the status table, without a query; absent for [`Report::None`].
    pub status_table: Option<String>,
    /// The query part of the status table's URL as it was then; `status` prefers a fresher one.
    pub signature: Option<SecretString>,
}

/// What has become of a queued ingestion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestionStatus {
    /// Where it stands.
    pub state: IngestionState,
    /// Whether the service tries again by itself.
    pub failure: FailureStatus,
    /// The service's code, such as `Stream_WrongNumberOfFields`.
    pub error_code: Option<String>,
    /// The service's own words.
    pub details: Option<String>,
    /// For `.show operations`.
    pub operation_id: Option<String>,
    /// For the service's support.
    pub activity_id: Option<String>,
}

/// States of a queued ingestion, as `data-explorer/kusto/api/netfx/kusto-ingest-client-status.md` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IngestionState {
    /// Not finished.
    Pending,
    /// Ingested.
    Succeeded,
    /// Not ingested; see the error code.
    Failed,
    /// Reported to a queue only: the row never changes.
    Queued,
    /// Nothing was ingested, on purpose: no data, or `ingest_if_not_exists` found its tag.
    Skipped,
    /// A part was ingested.
    PartiallySucceeded,
}

/// Whether a failed ingestion may still succeed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureStatus {
    /// The service does not say.
    #[default]
    Unknown,
    /// It will fail again.
    Permanent,
    /// The service tries again by itself.
    Transient,
    /// The service's own tries are used up.
    Exhausted,
}

/// A pause that grows with each attempt, for callers that repeat an operation.
///
/// Full jitter over an exponential: the `n`th pause (counted from 0) lies between half and the whole of
/// `initial * 2^n`, never above `max`, and never below what the service asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Upper end of the first pause.
    pub initial: Duration,
    /// Upper end of every pause.
    pub max: Duration,
}

impl Backoff {
    /// The pause after attempt `attempt` (from 0); `chance` in `0.0..1.0` picks the point in the range.
    pub fn pause(&self, attempt: u32, chance: f64, retry_after: Option<Duration>) -> Duration {
        let top = self.initial.saturating_mul(2u32.saturating_pow(attempt)).min(self.max);
        top.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0)).max(retry_after.unwrap_or_default())
    }
}
