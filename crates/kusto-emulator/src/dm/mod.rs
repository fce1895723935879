//! Data management: takes queue messages, gathers them into batches, has the engine ingest them, says what came of it.
//!
//! ```text
//!  queues ─► message.rs: decode ─► who, may he, which table ─► batch.rs: gather until sealed ─► engine.ingest
//!    ▲                    │                    │                                                    │
//!    │                    ▼ counted, dropped   ▼ permanent failure                                  ▼
//!    └── transient: back with a later time ◄───────────────────── report.rs: status row, queues, blob deleted
//! ```
//!
//! Invariants:
//! 1. A message leaves its queue only after what became of it is durable: ingested, reported, and then forgotten. A kill
//!    in between repeats it: at least once, as the service.
//! 2. Blobs share a batch only if database, table, principal and every ingestion property are equal; blobs with
//!    `ingest-by:` tags, `ingestIfNotExists` or of unknown size never do. A blob named twice in a batch is ingested once.
//! 3. Batches are ingested one after another, in the order in which they were sealed; one that a fault rule holds lets the
//!    others pass.
//! 4. Whatever a message holds, the consumer goes on.
//!
//! Sources: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/batching-policy.md`,
//! `.../kusto/api/netfx/kusto-ingest-client-rest.md`, `.../ingest-data-overview.md`.

mod batch;
mod commands;
mod consumer;
mod message;
mod report;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::clock::Clock;
use crate::engine::{BatchingPolicy, Engine};
use crate::faults::Faults;
use crate::requests::RequestLog;
use crate::signin::SignIn;
use crate::storage::{Depot, Place, Service};

/// How data management works.
#[derive(Debug, Clone)]
pub(crate) struct DmOptions {
    /// `http://127.0.0.1:<port>`.
    pub(crate) base: String,
    /// How long blobs gather for a table without a batching policy of its own.
    pub(crate) batching_time: Duration,
    /// Nothing is ingested: blobs are counted by their metadata.
    pub(crate) accept_only: bool,
}

/// What clients are told to use, and data management itself uses.
#[derive(Debug, Clone)]
pub(crate) struct Resources {
    pub(crate) ready: Vec<Place>,
    pub(crate) containers: Vec<Place>,
    pub(crate) failed: Place,
    pub(crate) succeeded: Place,
    pub(crate) status: Place,
}

impl Resources {
    /// Two containers and a queue per account; queues and table for reports in the first one.
    pub(crate) fn of(accounts: &[String]) -> Self {
        let each = |name: &str| accounts.iter().map(|account| Place::new(account, name)).collect::<Vec<_>>();
        let first = |name: &str| Place::new(accounts.first().map_or("", String::as_str), name);
        Self {
            ready: each("readyforaggregation-secured"),
            containers: [each("ingestdata-0"), each("ingestdata-1")].concat(),
            failed: first("failedingestions"),
            succeeded: first("successfulingestions"),
            status: first("ingestionsstatus"),
        }
    }

    /// Every resource: the type that `.get ingestion resources` names, its service, and what its SAS allows.
    fn all(&self) -> Vec<(&'static str, Service, &Place, &'static str)> {
        let queue = |name: &'static str| move |place| (name, Service::Queue, place, "raup");
        let mut all: Vec<_> = self.ready.iter().map(queue("SecuredReadyForAggregationQueue")).collect();
        all.extend(self.containers.iter().map(|place| ("TempStorage", Service::Blob, place, "rwdl")));
        all.push(queue("FailedIngestionsQueue")(&self.failed));
        all.push(queue("SuccessfulIngestionsQueue")(&self.succeeded));
        all.push(("IngestionsStatusTable", Service::Table, &self.status, "raud"));
        all
    }

    /// Creates what is missing in `depot`.
    ///
    /// # Errors
    /// If its journal cannot be written, or the storage cannot be reached.
    pub(crate) fn create(&self, depot: &Depot) -> Result<(), crate::storage::StorageError> {
        self.all().into_iter().try_for_each(|(_, service, place, _)| depot.create(place.clone(), service))
    }
}

/// Counters since the start.
#[derive(Debug, Default)]
struct Counters {
    blobs: AtomicU64,
    blob_bytes: AtomicU64,
    messages: AtomicU64,
    undecodable: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    rows: AtomicU64,
    raw_bytes: AtomicU64,
    batches: AtomicU64,
}

/// What came in since the start, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Blobs and blocks uploaded to this emulator's storage.
    pub blobs: u64,
    /// Their bytes, as they were sent.
    pub blob_bytes: u64,
    /// Queue messages taken.
    pub messages: u64,
    /// Messages that could not be understood at all; nobody is told of these.
    pub undecodable: u64,
    /// Messages whose blob was ingested.
    pub succeeded: u64,
    /// Messages that failed for good.
    pub failed: u64,
    /// Times a message was put back to be tried later.
    pub retried: u64,
    /// Rows ingested; in accept-only mode the sum of the blobs' metadata `rows`.
    pub rows: u64,
    /// Uncompressed bytes as messages said; in accept-only mode the sum of the blobs' metadata `rawbytes`.
    pub raw_bytes: u64,
    /// Ingestions run.
    pub batches: u64,
}

/// The data management service.
#[derive(Debug)]
pub(crate) struct DataManagement {
    options: DmOptions,
    resources: Resources,
    depot: Depot,
    engine: Arc<Engine>,
    sign_in: Arc<SignIn>,
    faults: Arc<Faults>,
    requests: Arc<RequestLog>,
    clock: Arc<dyn Clock>,
    counters: Counters,
    /// Rings when somebody waits for it to come to rest.
    nudge: Notify,
    failed_over: AtomicBool,
    wanted: AtomicU64,
    rested: watch::Sender<u64>,
    /// What became of messages by their ids, where that is assumed to be remembered.
    concluded: Mutex<HashMap<Uuid, report::Verdict>>,
}

/// What data management works with.
pub(crate) struct Parts {
    pub(crate) depot: Depot,
    pub(crate) engine: Arc<Engine>,
    pub(crate) sign_in: Arc<SignIn>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) requests: Arc<RequestLog>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl DataManagement {
    pub(crate) fn new(options: DmOptions, resources: Resources, parts: Parts) -> Self {
        let Parts { depot, engine, sign_in, faults, requests, clock } = parts;
        Self {
            options,
            resources,
            depot,
            engine,
            sign_in,
            faults,
            requests,
            clock,
            counters: Counters::default(),
            nudge: Notify::new(),
            failed_over: AtomicBool::new(false),
            wanted: AtomicU64::new(0),
            rested: watch::Sender::new(0),
            concluded: Mutex::default(),
        }
    }

    /// Counts an upload.
    pub(crate) fn uploaded(&self, bytes: u64) {
        count(&self.counters.blobs, 1);
        count(&self.counters.blob_bytes, bytes);
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters {
            blobs,
            blob_bytes,
            messages,
            undecodable,
            succeeded,
            failed,
            retried,
            rows,
            raw_bytes,
            batches,
        } = &self.counters;
        Statistics {
            blobs: read(blobs),
            blob_bytes: read(blob_bytes),
            messages: read(messages),
            undecodable: read(undecodable),
            succeeded: read(succeeded),
            failed: read(failed),
            retried: read(retried),
            rows: read(rows),
            raw_bytes: read(raw_bytes),
            batches: read(batches),
        }
    }

    /// Forgets the batches that gather; their messages are in their queues again.
    pub(crate) fn fail_over(&self) {
        self.failed_over.store(true, Ordering::SeqCst);
        self.nudge.notify_one();
    }

    /// Waits until everything is done that is due at the clock's present moment.
    pub(crate) async fn rest(&self) {
        let wanted = self.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        let mut rested = self.rested.subscribe();
        self.nudge.notify_one();
        // An error means that data management has stopped: it will do nothing any more, which is rest.
        let _ = rested.wait_for(|done| *done >= wanted).await;
    }

    /// The table's batching policy; where none is set, the service's default with this emulator's shorter time.
    fn policy(&self, database: &str, table: &str) -> BatchingPolicy {
        self.engine.batching_policy(database, table).unwrap_or_else(|| BatchingPolicy {
            time_span: self.options.batching_time,
            items: self.engine.assumptions().default_batch_items.max(1),
            ..BatchingPolicy::default()
        })
    }
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
