//! The way of a chunk to its table, off the worker threads.
//!
//! ```text
//! Chunk ─► compress ─► upload ─► queue ─► confirm ─► Delivered
//!          (a thread)   (blob)   (message)  (status row)
//! ```
//!
//! One file per stage; each is an async function over the [`Courier`], which has what all chunks share. A stage makes as
//! many attempts as [`retry`] allows and then gives up with the error that names table, rows and cause.
//!
//! 1. The raw rows are freed as soon as they are compressed, the compressed body as soon as it is uploaded: what waits
//!    for the service holds no rows, and is bounded in number by the memory limit all the same.
//! 2. An upload is repeated whatever became of the attempt before (names are unique to their content).
//! 3. A queue post whose outcome is unknown is repeated at once, with the same source id and the same blob: the
//!    service may have said by then that it has the first (`Service::queue` looks), and messages that meet in one batch
//!    are ingested once (`BlobAlreadyReceived_BlobAlreadyFoundInBatch`).
//! 4. A chunk is delivered only when the state asked for by [`Delivery`](crate::Delivery) was seen.
//! 5. After the first failure of the sink no further attempt is begun.

mod advice;
mod compress;
mod confirm;
mod queue;
pub(crate) mod retry;
pub(crate) mod stage;
pub(crate) mod stall;
pub(crate) mod trouble;
mod upload;

pub(crate) use compress::Packed;
pub(crate) use stage::{Staging, Uploaded};

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use kusto_client::Service;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::stall::Stalls;
use self::trouble::Troubles;
use crate::chunk::{Buffers, Chunk};
use crate::codec::Codec;
use crate::failure::Failure;
use crate::options::{Delivery, Retry, WriteOptions};
use crate::stats::Counters;
use crate::{Result, SinkError};

/// What a chunk takes of the memory limit while it waits for the service: far more than it needs, so that the limit also
/// bounds how many can wait (16,384 with the default limit).
pub(crate) const WAITING_BYTES: usize = 4 << 10;

/// What the service does with a message, as an operation that may stall.
const INGESTION: &str = "ingest";

/// What all chunks of a sink share on their way.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) options: Arc<WriteOptions>,
    pub(crate) codec: Arc<dyn Codec>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) troubles: Troubles,
    pub(crate) stalls: Stalls,
    pub(crate) failure: Arc<Failure>,
    pub(crate) buffers: Arc<Buffers>,
    /// Told of every attempt that failed and is made again.
    pub(crate) watch: OnceLock<Watch>,
    compressors: Arc<Semaphore>,
    uploads: Semaphore,
    messages: Semaphore,
    looks: Semaphore,
    ingestions: Semaphore,
}

/// Who wants to know of failed attempts.
pub(crate) struct Watch(pub(crate) Box<dyn Fn(&kusto_client::Error) + Send + Sync>);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

/// How a chunk ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// Its rows are where [`Delivery`] wants them.
    Rows,
    /// The service skipped them since `ingest_if_not_exists` found its tag.
    Skipped,
    /// They could not be delivered, and [`Delivery::None`] asks to go on.
    Dropped,
}

impl Courier {
    /// Status rows read at the same time. A look takes a few milliseconds; more would only hammer the status table
    /// of the cluster, which all clients share.
    const LOOKS: usize = 8;

    /// Status rows and messages written at the same time. Each takes a connection, so as many chunks of small epochs as may
    /// wait would take as many descriptors (1,024 is all that a process may have by default), and some 50 kB of memory each.
    /// At 20 ms a request this is 800 messages a second.
    const MESSAGES: usize = 32;

    /// `.ingest into` commands at the same time. The cluster's capacity for ingestion is a share of its cores, which data
    /// management and all others use, too (`MicrosoftDocs/dataexplorer-docs
    /// data-explorer/kusto/management/capacity-policy.md`).
    const INGESTIONS: usize = 4;

    pub(crate) fn new(
        service: Arc<dyn Service>,
        options: Arc<WriteOptions>,
        codec: Arc<dyn Codec>,
        failure: Arc<Failure>,
    ) -> Arc<Self> {
        Arc::new(Courier {
            ingestions: Semaphore::new(Self::INGESTIONS),
            compressors: Arc::new(Semaphore::new(options.compressors())),
            uploads: Semaphore::new(options.uploads()),
            messages: Semaphore::new(Self::MESSAGES),
            looks: Semaphore::new(Self::LOOKS),
            watch: OnceLock::new(),
            service,
            options,
            codec,
            counters: Arc::default(),
            troubles: Troubles::default(),
            stalls: Stalls::default(),
            failure,
            buffers: Arc::default(),
        })
    }

    /// Brings one chunk all the way.
    ///
    /// # Errors
    /// What stopped it after all attempts. With [`Delivery::None`] that is counted and logged instead.
    pub(crate) async fn deliver(&self, chunk: Chunk) -> Result<Delivered> {
        let rows = chunk.rows;
        match self.bring(chunk).await {
            Err(error) if self.options.delivery() == Delivery::None => {
                self.counters.rows_dropped(rows);
                tracing::error!(rows, table = self.options.table(), "rows dropped: {error}");
                Ok(Delivered::Dropped)
            }
            outcome => outcome,
        }
    }

    async fn bring(&self, chunk: Chunk) -> Result<Delivered> {
        let (rows, mapping) = (chunk.rows, chunk.mapping.clone());
        let id = Uuid::new_v4();
        let packed = self.compress(chunk).await?;
        let (blob, _memory) = self.upload(self.blob_name(id), packed).await?;
        let mut ingestion = self.options.ingestion(id, mapping);
        let (since, mut attempt) = (Instant::now(), 0);
        loop {
            let ticket = self.queue(&ingestion, &blob, rows).await?;
            if self.options.delivery() != Delivery::Ingested {
                return Ok(Delivered::Rows);
            }
            match self.confirm(&ticket, &blob.name, rows).await? {
                confirm::Verdict::Delivered(delivered) => {
                    self.stalls.went_through(INGESTION);
                    return Ok(delivered);
                }
                confirm::Verdict::QueueAgain(error) => {
                    let policy = self.options.retry();
                    let policy = Retry { total: policy.total.max(self.options.poll_timeout()), ..policy };
                    if retry::is_over(policy, attempt, since) {
                        return Err(*error);
                    }
                    self.troubles.of_ingestion(&error);
                    self.stalls.failed(INGESTION, &error);
                    retry::pause(policy, attempt).await;
                    attempt += 1;
                    self.counters.retried();
                    ingestion.source_id = Uuid::new_v4();
                }
            }
        }
    }

    /// `<database>__<table>__<id>.<format>[.gz]`, as the official clients name blobs; the suffix is how the service
    /// knows the compression.
    fn blob_name(&self, id: Uuid) -> String {
        let options = &self.options;
        let (database, table) = (options.database(), options.table());
        format!("{database}__{table}__{id}{}{}", options.format().suffix(), self.codec.suffix())
    }

    /// Uploads under way.
    pub(crate) fn uploads_in_flight(&self) -> usize {
        self.options.uploads().saturating_sub(self.uploads.available_permits())
    }

    /// The target, for errors and logs.
    pub(crate) fn table(&self) -> String {
        qualified(&self.options)
    }

    fn stopped(&self) -> Option<SinkError> {
        self.failure.get().map(|_| SinkError::Stopped)
    }
}

/// `database.table`, for errors and logs.
pub(crate) fn qualified(options: &WriteOptions) -> String {
    format!("{}.{}", options.database(), options.table())
}
