//! What a run has done.

use std::time::Duration;

use serde::Serialize;

/// What a run did in this process, from its start to its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Rows that were read from the source and converted.
    pub rows_read: u64,
    /// Rows that are where `delivery` wants them.
    pub rows_delivered: u64,
    /// Rows that the service skipped on request (`ingest_if_not_exists`).
    pub rows_skipped: u64,
    /// Rows given up under `delivery = "none"`.
    pub rows_dropped: u64,
    /// Rows that were put aside with their reason; a run stops at such a row today, so there are none.
    pub rows_dead_lettered: u64,
    /// Bytes of rows before compression.
    pub raw_bytes: u64,
    /// Bytes after compression.
    pub compressed_bytes: u64,
    /// Blobs uploaded.
    pub blobs: u64,
    /// Epochs that were begun.
    pub epochs: u64,
    /// Attempts beyond the first, of all operations of the sink.
    pub retries: u64,
    /// The same by cause, those of the most attempts first.
    pub retry_causes: Vec<RetriedFor>,
    /// Wall time.
    pub seconds: f64,
    /// Whether it was stopped before its source ended; of several processes: before the run ended.
    pub stopped: bool,
    /// Where the time went.
    pub times: Times,
}

/// How often something was tried again for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetriedFor {
    /// What was being done: `upload`, `queue`, `status`, or `ingest` for what the service did; in the write-ahead mode also
    /// `stage`, for a new attempt at a chunk, and what was asked of the cluster.
    pub operation: &'static str,
    /// Kind of error, HTTP status and the service's code, as far as there are any.
    pub cause: String,
    /// Attempts that followed.
    pub retries: u64,
}

impl RetriedFor {
    pub(crate) fn of(causes: Vec<timely_kusto::RetryCause>) -> Vec<Self> {
        let mut causes: Vec<_> = causes
            .into_iter()
            .map(|it| RetriedFor { operation: it.operation, cause: it.cause, retries: it.retries })
            .collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.retries));
        causes
    }
}

/// Seconds, summed over the workers and requests that spent them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Times {
    /// Reading the source: input, decompression, finding the ends of records.
    pub reading: f64,
    /// Parsing, checking and encoding records.
    pub converting: f64,
    /// Encoding in the sink.
    pub encoding: f64,
    /// Compression.
    pub compressing: f64,
    /// Uploads.
    pub uploading: f64,
    /// Queueing.
    pub queueing: f64,
    /// Until the service's word.
    pub confirming: f64,
    /// Workers held by a sink at its memory limit.
    pub held: f64,
}

/// How a run is getting on in this process.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Since the start.
    pub elapsed: Duration,
    /// Rows read and converted so far.
    pub rows_read: u64,
    /// Rows delivered or skipped so far.
    pub rows_delivered: u64,
    /// Rows delivered per second since the last time.
    pub rate: f64,
    /// The epoch that is being read.
    pub epoch: u64,
    /// Rows read and not yet delivered.
    pub backlog_rows: u64,
    /// Bytes that the sink holds.
    pub held_bytes: usize,
    /// What the pipeline is waiting for.
    pub waiting_for: String,
}
