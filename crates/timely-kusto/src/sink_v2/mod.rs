//! SinkV2: rows of a dataflow into a Kusto table by queued ingestion, at least once.
//!
//! ```text
//! rows ─► encode ─► open chunk ─► closed by bytes, rows or age ─┐            one Writer per worker
//!                                                               ▼
//!          clock ◄─ outcome ◄─ confirm ◄─ queue ◄─ upload ◄─ compress        the Courier, off the worker threads
//! ```
//!
//! The operator's output is a *clock*: a stream without data whose frontier is the news. Invariants, cited in the
//! tests:
//!
//! 1. The clock passes a time only when every row up to it, of every worker, is delivered as
//!    [`Delivery`](crate::Delivery) asks.
//! 2. A record is in one blob as a whole.
//! 3. A chunk is closed when it has `batch_bytes` or `batch_rows`, when its first row is `batch_interval` old (also if
//!    no further row arrives), and when the input ends.
//! 4. No more than `memory` bytes of rows are held before the sink says that it is full, and the worker is held at
//!    twice as many.
//! 5. After a failure nothing is skipped: the clock stays where it is for good, the error is on the handle, and the
//!    dataflow can still be stepped and dropped.
//! 6. No operator waits for the network, except at the limit of 4.

mod differential;
mod handle;
mod operator;
mod writer;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use kusto_client::{Client, ConnectionOptions, ErrorKind, Service, ServiceExt};
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use crate::budget::Budget;
use crate::codec::{Codec, Gzip};
use crate::delivery::trouble::RetryCause;
use crate::delivery::{Courier, qualified};
use crate::failure::Failure;
use crate::options::WriteOptions;
use crate::stats::SinkStats;
use crate::{Result, SinkError};

pub use self::differential::InsertOnlyToKusto;
pub(crate) use self::differential::insertions;
pub use self::handle::{SinkHandle, Undelivered};
pub use self::operator::{Clock, EncodedRowsToKusto, RowsToKusto};

/// A connection to one table, shared by all workers of a process.
///
/// Make one before `timely::execute` and use it in the dataflow of every worker; it is cheap to clone. Its threads
/// end when the last clone and the last operator are gone.
#[derive(Clone)]
pub struct SinkV2 {
    shared: Arc<Shared>,
}

/// What the workers of a process share.
pub(crate) struct Shared {
    pub(crate) courier: Arc<Courier>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) failure: Arc<Failure>,
    operators: AtomicUsize,
    refused: AtomicU64,
    runtime: Option<Runtime>,
}

impl SinkV2 {
    /// Threads for requests of the sink. They only wait for the network; compression has threads of its own.
    const REQUEST_THREADS: usize = 2;

    /// Connects to the cluster and looks whether the table is there.
    ///
    /// # Errors
    /// When the cluster cannot be reached or refuses the sign-in, and when database or table do not exist. A
    /// principal that may ingest but not look at the table is let through: what it lacks shows with the first blob.
    pub fn connect(connection: &ConnectionOptions, write: &WriteOptions) -> Result<Self> {
        let client =
            Client::connect(connection.clone()).map_err(|source| unreachable_table(write, source))?;
        let sink = Self::with_service(Arc::new(client), write.clone())?;
        sink.check()?;
        for warning in write.warnings() {
            tracing::warn!("{warning}");
        }
        Ok(sink)
    }

    /// A sink over any [`Service`], without looking at it first.
    ///
    /// # Errors
    /// When the threads cannot be started or the compression level does not exist.
    pub fn with_service(service: Arc<dyn Service>, write: WriteOptions) -> Result<Self> {
        let codec: Arc<dyn Codec> = Arc::new(Gzip::new(write.compression_level())?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(Self::REQUEST_THREADS)
            .max_blocking_threads(write.compressors())
            .thread_name("timely-kusto")
            .enable_all()
            .build()
            .map_err(SinkError::Runtime)?;
        let failure = Arc::new(Failure::default());
        let budget = Budget::new(write.memory());
        let courier = Courier::new(service, Arc::new(write), codec, Arc::clone(&failure));
        let (operators, refused) = (AtomicUsize::new(0), AtomicU64::new(0));
        let shared = Shared { courier, budget, failure, operators, refused, runtime: Some(runtime) };
        Ok(SinkV2 { shared: Arc::new(shared) })
    }

    /// Asks the cluster for the table's schema, as [`connect`](Self::connect) does.
    ///
    /// # Errors
    /// When there is no such table, or no answer.
    pub fn check(&self) -> Result<()> {
        let courier = Arc::clone(&self.shared.courier);
        let (tell, told) = crossbeam_channel::bounded(1);
        self.shared.spawn(async move {
            let options = &courier.options;
            let command = format!(".show table {} cslschema", kusto_client::quote_name(options.table()));
            let answer = courier.service.command_at_start(options.database(), &command).await;
            let _ = tell.send(answer.map(drop));
        });
        match told.recv() {
            Ok(Err(error)) if error.kind() == ErrorKind::Forbidden => {
                tracing::debug!("the table's schema may not be read, going on without: {error}");
                Ok(())
            }
            Ok(answer) => answer.map_err(|source| unreachable_table(&self.shared.courier.options, source)),
            Err(_) => Err(SinkError::Stopped),
        }
    }

    /// What the sink has done so far in this process.
    pub fn stats(&self) -> SinkStats {
        self.shared.courier.counters.read()
    }

    /// What was tried again so far in this process, by cause.
    pub fn retry_causes(&self) -> Vec<RetryCause> {
        self.shared.courier.troubles.read()
    }

    /// Bytes of memory that rows take at the moment, in all workers of the process.
    pub fn memory_in_use(&self) -> usize {
        self.shared.budget.used()
    }

    /// Workers of the process that are held at twice the memory limit at the moment.
    pub fn workers_held(&self) -> usize {
        self.shared.budget.held()
    }

    /// Uploads under way in this process, and the most that may be.
    pub fn uploads(&self) -> (usize, usize) {
        (self.shared.courier.uploads_in_flight(), self.shared.courier.options.uploads())
    }

    /// How long the service has not done what it was asked: since the first failure of an operation that did not go
    /// through since.
    pub fn stalled_for(&self) -> Option<std::time::Duration> {
        self.shared.courier.stalls.longest().map(|stall| stall.since.elapsed())
    }

    /// The options it writes with.
    pub fn options(&self) -> &WriteOptions {
        &self.shared.courier.options
    }
}

fn unreachable_table(write: &WriteOptions, source: kusto_client::Error) -> SinkError {
    SinkError::Service { rows: 0, table: qualified(write), attempts: 1, after: Default::default(), source }
}

impl fmt::Debug for SinkV2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkV2")
            .field("table", &self.shared.courier.table())
            .field("failure", &self.shared.failure)
            .field("budget", &self.shared.budget)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Bytes at which a chunk is closed. The chunks of all workers share the memory: each gets half of its worker's
    /// part, so that one can fill while one is on its way.
    fn chunk_bytes(&self) -> usize {
        self.courier.options.chunk_bytes(self.operators.load(Relaxed))
    }

    /// Whether a chunk of this size is to be closed.
    fn is_whole(&self, bytes: usize, rows: u64) -> bool {
        bytes >= self.chunk_bytes() || self.courier.options.batch_rows().is_some_and(|most| rows >= most)
    }

    fn attach(&self) {
        self.operators.fetch_add(1, Relaxed);
    }

    fn detach(&self) {
        self.operators.fetch_sub(1, Relaxed);
    }

    /// Stops the sink: no new attempt is begun, workers held at the memory limit go on.
    fn fail(&self, error: SinkError) {
        self.failure.set(error);
        self.budget.close();
    }

    /// Counts rows that arrived after a failure.
    fn refused(&self, records: u64) {
        self.refused.fetch_add(records, Relaxed);
    }

    /// Runs `task` on the sink's threads; after shutdown it is dropped.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        self.runtime.as_ref().map(|runtime| runtime.spawn(task).abort_handle())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Not to block whoever drops last, be it an async thread: requests under way are given up.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
