//! What a sink has done so far, counted per process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Running counts; each is updated once per chunk or per container of rows, never per row.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    rows_in: AtomicU64,
    rows_delivered: AtomicU64,
    rows_skipped: AtomicU64,
    rows_dropped: AtomicU64,
    long_values: AtomicU64,
    blobs: AtomicU64,
    raw_bytes: AtomicU64,
    compressed_bytes: AtomicU64,
    retries: AtomicU64,
    encode_nanos: AtomicU64,
    compress_nanos: AtomicU64,
    upload_nanos: AtomicU64,
    queue_nanos: AtomicU64,
    confirm_nanos: AtomicU64,
    held_nanos: AtomicU64,
}

/// A reading of a sink's counts; see [`SinkV2::stats`](crate::SinkV2::stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkStats {
    /// Rows taken from the dataflow and written into chunks.
    pub rows_in: u64,
    /// Rows that are where `delivery` wants them.
    pub rows_delivered: u64,
    /// Rows that the service skipped on request (`ingest_if_not_exists`).
    pub rows_skipped: u64,
    /// Rows given up under `Delivery::None`.
    pub rows_dropped: u64,
    /// Values above 1 MB, which the service cuts or drops unless the column's encoding policy says otherwise.
    pub long_values: u64,
    /// Blobs uploaded.
    pub blobs: u64,
    /// Bytes of rows before compression, of the chunks compressed so far.
    pub raw_bytes: u64,
    /// Bytes after compression.
    pub compressed_bytes: u64,
    /// Attempts beyond the first, of all operations.
    pub retries: u64,
    /// Time in encoding, summed over workers.
    pub encoding: Duration,
    /// Time in compression, summed over chunks.
    pub compressing: Duration,
    /// Time in uploads, summed over chunks.
    pub uploading: Duration,
    /// Time in queueing, summed over chunks.
    pub queueing: Duration,
    /// Time until the service's word, summed over chunks.
    pub confirming: Duration,
    /// Time that workers were held at twice the memory limit.
    pub held: Duration,
}

impl Counters {
    pub(crate) fn encoded(&self, rows: u64, time: Duration) {
        self.rows_in.fetch_add(rows, Relaxed);
        add(&self.encode_nanos, time);
    }

    pub(crate) fn compressed(&self, raw: u64, compressed: u64, time: Duration) {
        self.raw_bytes.fetch_add(raw, Relaxed);
        self.compressed_bytes.fetch_add(compressed, Relaxed);
        add(&self.compress_nanos, time);
    }

    pub(crate) fn uploaded(&self, time: Duration) {
        self.blobs.fetch_add(1, Relaxed);
        add(&self.upload_nanos, time);
    }

    pub(crate) fn queued(&self, time: Duration) {
        add(&self.queue_nanos, time);
    }

    pub(crate) fn confirmed(&self, time: Duration) {
        add(&self.confirm_nanos, time);
    }

    pub(crate) fn held(&self, time: Duration) {
        add(&self.held_nanos, time);
    }

    pub(crate) fn rows_delivered(&self, rows: u64) {
        self.rows_delivered.fetch_add(rows, Relaxed);
    }

    pub(crate) fn rows_skipped(&self, rows: u64) {
        self.rows_skipped.fetch_add(rows, Relaxed);
    }

    pub(crate) fn rows_dropped(&self, rows: u64) {
        self.rows_dropped.fetch_add(rows, Relaxed);
    }

    pub(crate) fn long_values(&self, count: u64) {
        self.long_values.fetch_add(count, Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> SinkStats {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        let time = |counter: &AtomicU64| Duration::from_nanos(counter.load(Relaxed));
        SinkStats {
            rows_in: count(&self.rows_in),
            rows_delivered: count(&self.rows_delivered),
            rows_skipped: count(&self.rows_skipped),
            rows_dropped: count(&self.rows_dropped),
            long_values: count(&self.long_values),
            blobs: count(&self.blobs),
            raw_bytes: count(&self.raw_bytes),
            compressed_bytes: count(&self.compressed_bytes),
            retries: count(&self.retries),
            encoding: time(&self.encode_nanos),
            compressing: time(&self.compress_nanos),
            uploading: time(&self.upload_nanos),
            queueing: time(&self.queue_nanos),
            confirming: time(&self.confirm_nanos),
            held: time(&self.held_nanos),
        }
    }
}

fn add(counter: &AtomicU64, time: Duration) {
    counter.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
}
