//! The heart of the local cluster: catalog, roles, commands, queries, ingestion and what is kept on disk. No HTTP, no
//! async, no thread of its own; every call is answered on the caller's thread and may take as long as its work does.
//!
//! ```text
//!              execute(".create table ...")    query("T | count")       ingest(blobs, properties)
//!                        │                          │                          │
//!   roles.rs ──► may this principal do that? ───────┼──────────────────────────┤
//!                        ▼                          ▼                          ▼
//!                 command/*.rs                   query.rs                 ingest/*.rs
//!                        │ changes                  │ reads                    │ extents, then changes
//!                        ▼                          ▼                          ▼
//!      transaction.rs: one writer ──► journal ──► snapshot (`Arc<State>`) ◄── readers, never blocked by it
//!                                  store/         catalog.rs, change.rs
//! ```
//!
//! Invariants:
//! 1. A state is immutable. A reader works on the one snapshot that it took; two states are never mixed in one answer.
//! 2. A command's changes are applied together or not at all, and are in the journal before anybody sees them.
//! 3. What a call has acknowledged is there after the process was killed and started again on the same directory.
//! 4. A source of an ingestion contributes all its rows or none; the extents of one ingestion appear together.
//! 5. An extent never changes its rows. A move gives it a new id and keeps its tags and, unless asked, its ingestion time.
//! 6. Names are resolved when a request starts; what it then does, it does to those entities, renamed or not, and fails
//!    if they are gone (unless [`crate::Assumptions`] say otherwise).
//! 7. Equal seeds, clocks and request sequences give equal answers, ids included.
//! 8. What is not understood is refused with the service's 400; nothing is guessed.

mod batch;
mod catalog;
mod change;
mod command;
mod error;
mod extent;
mod history;
mod ingest;
mod log;
mod mapping;
mod merge;
mod names;
mod pending;
mod policy;
mod principal;
mod query;
mod roles;
mod store;
mod tag;
mod transaction;
mod upkeep;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

pub(crate) use batch::{
    BlobReader, IngestFailure, IngestOutcome, IngestRequest, IngestSource, IngestionProperties, SourceOutcome,
};
use catalog::State;
pub(crate) use error::{EngineError, EngineResult};
pub(crate) use ingest::CountedRows;
pub(crate) use pending::Pending;
pub(crate) use policy::BatchingPolicy;
pub(crate) use principal::Principal;
pub(crate) use roles::Access;
pub(crate) use store::StoreError;

use crate::assumptions::Assumptions;
use crate::clock::Clock;
use crate::data::{ResultTable, UNIX_EPOCH};
use crate::faults::Mischief;
use crate::seed::{Chance, Seed};

/// How an engine is opened.
#[derive(Debug)]
pub(crate) struct EngineOptions {
    /// The time of everything that is recorded.
    pub(crate) clock: Arc<dyn Clock>,
    /// The number that all ids come from.
    pub(crate) seed: Seed,
    /// Where databases are kept; none: in memory only.
    pub(crate) data_dir: Option<PathBuf>,
    /// Whether roles are looked at.
    pub(crate) access: Access,
    /// Where `.ingest into` and [`Engine::ingest`] find their blobs.
    pub(crate) blobs: Arc<dyn BlobReader>,
    /// Answers to what is not documented.
    pub(crate) assumptions: Assumptions,
}

/// Who asks, and under which ids.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    /// The caller.
    pub(crate) principal: Principal,
    /// The caller's id of the request (`x-ms-client-request-id`).
    pub(crate) client_request_id: String,
    /// The service's id of the request, as in `x-ms-activity-id`.
    pub(crate) activity_id: Uuid,
    /// What a fault rule does to it.
    pub(crate) mischief: Mischief,
}

/// The `properties` of a request's body.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestProperties {
    /// `Options`: by documented name, unknown ones included.
    pub(crate) options: Map<String, Json>,
    /// `Parameters`: values of `declare query_parameters`, by name.
    pub(crate) parameters: Map<String, Json>,
}

/// Catalog, data and their journal; shared behind an `Arc`.
#[derive(Debug)]
pub(crate) struct Engine {
    clock: Arc<dyn Clock>,
    chance: Chance,
    /// Host and port under which clients know the cluster, once it has them.
    address: OnceLock<String>,
    /// The seeds of queries, apart from ids: a query more or less changes no id.
    queries: Chance,
    access: Access,
    blobs: Arc<dyn BlobReader>,
    state: RwLock<Arc<State>>,
    /// Held while a transaction is decided, written and shown.
    journal: Mutex<store::Journal>,
    extents: store::ExtentStore,
    log: log::Log,
    assumptions: RwLock<Assumptions>,
    history: history::History,
    /// When the engine was opened, in ticks.
    opened: i64,
    /// When policies were last looked at, in ticks.
    looked_at: Mutex<i64>,
    /// When tables were last merged, in ticks.
    merged_at: Mutex<HashMap<Uuid, i64>>,
    /// Commands that run `async` and whose time has not come.
    waiting: pending::Waiting,
    /// Until when data management knows batching policies at least, in ticks.
    refreshed_at: AtomicI64,
}

impl Engine {
    /// Opens the data directory, or an empty engine in memory.
    ///
    /// # Errors
    /// If the directory cannot be used: locked by another process, written by another version, damaged, or unwritable.
    pub(crate) fn new(options: EngineOptions) -> Result<Self, StoreError> {
        let opened = store::open(options.data_dir.as_deref())?;
        let now = ticks(options.clock.now());
        let engine = Self {
            clock: options.clock,
            chance: options.seed.stream(&format!("engine {}", opened.starts)),
            address: OnceLock::new(),
            queries: options.seed.stream(&format!("queries {}", opened.starts)),
            access: options.access,
            blobs: options.blobs,
            state: RwLock::new(Arc::new(opened.state)),
            journal: Mutex::new(opened.journal),
            extents: opened.extents,
            log: log::Log::open(options.data_dir.as_deref(), now),
            assumptions: RwLock::default(),
            history: history::History::default(),
            opened: now,
            looked_at: Mutex::new(now),
            merged_at: Mutex::default(),
            waiting: pending::Waiting::default(),
            refreshed_at: AtomicI64::new(i64::MIN),
        };
        engine.assume(options.assumptions);
        Ok(engine)
    }

    /// Creates a database if there is none of that name (in any case).
    ///
    /// # Errors
    /// If the name is not allowed or the journal cannot be written.
    pub(crate) fn create_database(&self, name: &str) -> EngineResult<()> {
        command::databases::create(self, name)
    }

    /// Makes `principal` an AllDatabasesAdmin; repeating it changes nothing.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub(crate) fn add_cluster_admin(&self, principal: &Principal) -> EngineResult<()> {
        command::principals::add_cluster_admin(self, principal)
    }

    /// Takes every role from `principal`, on the cluster, on databases and on tables.
    pub(crate) fn forget_principal(&self, principal: &Principal) {
        if let Err(error) = command::principals::forget(self, principal) {
            tracing::error!(%error, %principal, "roles were not taken away");
        }
    }

    /// Runs a control command (`.show ...`, `.create ...`), query operators behind it included.
    ///
    /// # Errors
    /// The service's answer: 400 for what is not understood or cannot be, 403 for a missing role.
    pub(crate) fn execute(
        &self,
        context: &RequestContext,
        database: &str,
        text: &str,
        properties: &RequestProperties,
    ) -> EngineResult<ResultTable> {
        command::execute(self, context, database, text, properties)
    }

    /// Runs a query and returns its result tables in order.
    ///
    /// # Errors
    /// The service's answer: 400 for what is not understood or cannot be, 403 for a missing role.
    pub(crate) fn query(
        &self,
        context: &RequestContext,
        database: &str,
        text: &str,
        properties: &RequestProperties,
    ) -> EngineResult<Vec<ResultTable>> {
        let (tables, failure) = self.answer(context, database, text, properties)?;
        failure.map_or(Ok(tables), Err)
    }

    /// As [`query`](Self::query); but a limit that is passed while rows are made stands beside the rows before it, as the service
    /// sends them.
    ///
    /// # Errors
    /// As [`query`](Self::query), and 504 for a query that runs longer than its `servertimeout`.
    pub(crate) fn answer(
        &self,
        context: &RequestContext,
        database: &str,
        text: &str,
        properties: &RequestProperties,
    ) -> EngineResult<(Vec<ResultTable>, Option<EngineError>)> {
        let answer = query::run(self, context, database, text, properties)?;
        Ok((answer.tables, answer.failure.map(EngineError::from)))
    }

    /// Ingests a batch of blobs into one table as one operation, as data management does.
    ///
    /// # Errors
    /// If nothing of the batch can be ingested: no such table, no role, no such mapping, tag there already, disk.
    /// Failures of single sources are in the outcome.
    pub(crate) fn ingest(&self, request: IngestRequest) -> Result<IngestOutcome, IngestFailure> {
        ingest::run(self, request)
    }

    /// Whether `principal` may ingest into the table: what data management asks before it takes a message.
    ///
    /// # Errors
    /// `BadRequest_DatabaseNotExist`, `BadRequest_TableNotExist`, or `Forbidden`.
    pub(crate) fn check_ingestion(
        &self,
        principal: &Principal,
        database: &str,
        table: &str,
    ) -> Result<(), IngestFailure> {
        ingest::check(self, principal, database, table)
    }

    /// The batching policy in force for a table, as far as data management knows: its own or the database's.
    pub(crate) fn batching_policy(&self, database: &str, table: &str) -> Option<BatchingPolicy> {
        let lag = self.assumptions().batching_learned_after;
        let moment = self.before(lag).max(self.refreshed_at.load(Ordering::Relaxed));
        let state = if lag.is_zero() { None } else { self.history.at(moment) };
        state.unwrap_or_else(|| self.snapshot()).batching_policy(database, table)
    }

    /// From now on batching policies are known as they are now.
    pub(crate) fn refresh_batching(&self) {
        self.refreshed_at.store(self.now(), Ordering::Relaxed);
    }

    /// Whether the streaming endpoint may take rows for a table.
    pub(crate) fn streaming_enabled(&self, database: &str, table: &str) -> bool {
        self.snapshot().streaming_enabled(database, table)
    }

    /// The answers to what is not documented.
    pub(crate) fn assumptions(&self) -> Assumptions {
        *self.assumptions.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes them, for requests that are to take effect from now on.
    pub(crate) fn assume(&self, assumptions: Assumptions) {
        *self.assumptions.write().unwrap_or_else(PoisonError::into_inner) = assumptions;
        if !assumptions.memory().is_zero() {
            self.remember();
        }
    }

    /// Begins to remember former states.
    pub(crate) fn remember(&self) {
        self.history.want(true);
    }

    /// Forgets former states, unless an assumption needs them.
    pub(crate) fn forget(&self) {
        if self.assumptions().memory().is_zero() {
            self.history.want(false);
        }
    }

    /// What reads that change nothing see: the present state, or what an assumption says.
    pub(crate) fn readable(&self) -> Arc<State> {
        let lag = self.assumptions().reads_lag;
        self.seen_after(lag)
    }

    /// The state as somebody sees it who learns of everything `lag` late.
    fn seen_after(&self, lag: std::time::Duration) -> Arc<State> {
        let old = if lag.is_zero() { None } else { self.history.at(self.before(lag)) };
        old.unwrap_or_else(|| self.snapshot())
    }

    /// The table that was called `name` until recently, as far as an assumption lets old names last.
    fn formerly<'d>(&self, database: &'d catalog::Database, name: &str) -> Option<&'d Arc<catalog::Table>> {
        let lasts = self.assumptions().old_names_last;
        if lasts.is_zero() { None } else { self.history.formerly(self.before(lasts), database, name) }
    }

    /// The moment `ago` before now, in ticks.
    fn before(&self, ago: std::time::Duration) -> i64 {
        let ticks = i64::try_from(ago.as_nanos() / 100).unwrap_or(i64::MAX);
        self.now().saturating_sub(ticks)
    }

    /// Tells the engine the URL of the cluster, for queries that name it.
    pub(crate) fn known_as(&self, url: &str) {
        let address = url.split_once("://").map_or(url, |(_, address)| address);
        let _ = self.address.set(address.trim_end_matches('/').to_owned());
    }

    /// A new id from the engine's seed.
    pub(crate) fn new_id(&self) -> Uuid {
        self.chance.id()
    }

    /// Now, in ticks of 100 ns since the year 1.
    pub(crate) fn now(&self) -> i64 {
        ticks(self.clock.now())
    }
}

/// The moment of ticks since the year 1; the last one there is, where they lie behind it.
pub(crate) fn timestamp(ticks: i64) -> Timestamp {
    let nanoseconds = i128::from(ticks.saturating_sub(UNIX_EPOCH)) * 100;
    Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::MAX)
}

/// A moment in ticks of 100 ns since the year 1.
pub(crate) fn ticks(moment: Timestamp) -> i64 {
    let since_1970 = i64::try_from(moment.as_nanosecond() / 100);
    UNIX_EPOCH + since_1970.expect("timestamps end in the year 9999, which fits 64 bits of ticks")
}
