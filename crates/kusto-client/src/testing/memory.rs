//! A service in memory.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use super::store::{Store, Stored, status};
use crate::kql::first_word;
use crate::{
    Blob, Column, Error, ErrorKind, FailureStatus, Ingestion, IngestionState, IngestionStatus, Report,
    Result, Service, Table, Ticket, UploadedBlob,
};

/// A cluster in memory, for tests: every table exists until [`drop_table`](Self::drop_table), a queued blob is
/// ingested at once (or when the test says so), its rows can be read back. A clone is the same cluster.
///
/// ```
/// # use kusto_client::testing::MemoryService;
/// let service = MemoryService::new();
/// // ... hand `service.clone()` to the code under test, let it deliver ...
/// assert_eq!(service.rows("Samples", "Storms"), Vec::<Vec<String>>::new());
/// ```
///
/// It knows the commands `.show tables` and `.show version`, and the queries `T | count`, `T | where c == 'text' | count`
/// (of CSV; any field, since it knows no names of columns) and `print <integer>`; a test that needs more answers it itself with [`on_command`](Self::on_command) and [`on_query`](Self::on_query).
#[derive(Clone)]
pub struct MemoryService(Arc<Inner>);

struct Inner {
    store: Mutex<Store>,
    answers: Mutex<Answers>,
    /// Whether a message is ingested as soon as it is queued.
    at_once: bool,
}

type Answer<T> = Arc<dyn Fn(&str, &str) -> Option<Result<T>> + Send + Sync>;

#[derive(Default)]
struct Answers {
    command: Option<Answer<Table>>,
    query: Option<Answer<Vec<Table>>>,
}

/// A message in the queue of a [`MemoryService`].
#[derive(Clone, Debug)]
pub struct Message {
    /// What the sender asked for.
    pub ingestion: Ingestion,
    /// Name of the blob.
    pub blob: String,
    /// The bytes before compression that the sender stated.
    pub raw_bytes: u64,
}

impl Default for MemoryService {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryService").finish_non_exhaustive()
    }
}

/// What a test sets up.
impl MemoryService {
    /// A cluster that ingests as soon as a message is queued.
    pub fn new() -> Self {
        Self::with(true)
    }

    /// A cluster that ingests only when [`ingest_next`](Self::ingest_next) or [`ingest_all`](Self::ingest_all) says so:
    /// until then the status of a message is pending.
    pub fn by_hand() -> Self {
        Self::with(false)
    }

    fn with(at_once: bool) -> Self {
        let (store, answers) = (Mutex::default(), Mutex::default());
        MemoryService(Arc::new(Inner { store, answers, at_once }))
    }

    /// Ingests the oldest message of the queue; false when there is none.
    pub fn ingest_next(&self) -> bool {
        self.store().ingest_next()
    }

    /// Ingests every message that is in the queue now, in order.
    pub fn ingest_all(&self) {
        self.store().ingest_round();
    }

    /// The next ingestion ends with `status` instead of being carried out; several calls line up. A pending status is
    /// a message that the service tries again: it goes back to the end of the queue, and a cluster that ingests at
    /// once tries it again when a status is read.
    pub fn script_status(&self, status: IngestionStatus) {
        self.store().script.push_back(status);
    }

    /// The next ingestion fails with `code`; a short form of [`script_status`](Self::script_status).
    pub fn fail_ingestion(&self, code: &str, failure: FailureStatus) {
        self.script_status(status(IngestionState::Failed, failure, Some(code)));
    }

    /// The next `count` messages are accepted and then lost: their status stays pending for ever.
    pub fn lose_next(&self, count: usize) {
        self.store().lose += count;
    }

    /// The next `count` messages are delivered twice, as the service may do (it promises at least once).
    pub fn deliver_twice(&self, count: usize) {
        self.store().double += count;
    }

    /// Makes the table vanish: ingestions into it fail, queries do not find it.
    pub fn drop_table(&self, database: &str, table: &str) {
        let key = (database.to_owned(), table.to_owned());
        let mut store = self.store();
        store.tables.remove(&key);
        store.dropped.insert(key);
    }

    /// Answers commands before the built-in ones are tried: `answer(database, command)`, `None` for "not mine".
    pub fn on_command(
        &self,
        answer: impl Fn(&str, &str) -> Option<Result<Table>> + Send + Sync + 'static,
    ) -> &Self {
        self.answers().command = Some(Arc::new(answer));
        self
    }

    /// Answers queries before the built-in ones are tried: `answer(database, query)`, `None` for "not mine".
    pub fn on_query(
        &self,
        answer: impl Fn(&str, &str) -> Option<Result<Vec<Table>>> + Send + Sync + 'static,
    ) -> &Self {
        self.answers().query = Some(Arc::new(answer));
        self
    }

    /// Overwrites the status row of a message.
    pub fn set_status(&self, source_id: Uuid, status: IngestionStatus) {
        self.store().statuses.insert(source_id, status);
    }

    /// Removes the status row of a message, as a cleaning job would.
    pub fn forget_status(&self, source_id: Uuid) {
        self.store().statuses.remove(&source_id);
    }
}

/// What a test reads back.
impl MemoryService {
    /// The CSV records in the table, in the order of ingestion, headers left out.
    ///
    /// # Panics
    /// When the table holds blobs of another format.
    pub fn rows(&self, database: &str, table: &str) -> Vec<Vec<String>> {
        self.read(database, table, |blob| blob.csv().expect("a blob of another format cannot be read as CSV"))
    }

    /// The JSON records in the table, in the order of ingestion.
    ///
    /// # Panics
    /// When the table holds blobs of another format.
    pub fn json_rows(&self, database: &str, table: &str) -> Vec<Value> {
        self.read(database, table, |blob| {
            blob.json().expect("a blob of another format cannot be read as JSON")
        })
    }

    /// The uncompressed bodies that were ingested into the table, in order.
    pub fn bodies(&self, database: &str, table: &str) -> Vec<Bytes> {
        self.read(database, table, |blob| vec![blob.body.clone()])
    }

    fn read<T>(
        &self,
        database: &str,
        table: &str,
        read: impl Fn(&super::store::Ingested) -> Vec<T>,
    ) -> Vec<T> {
        let store = self.store();
        store.contents(database, table).into_iter().flat_map(|table| &table.blobs).flat_map(read).collect()
    }

    /// How many rows the table holds.
    pub fn count(&self, database: &str, table: &str) -> usize {
        self.store().count(database, table)
    }

    /// Names of the blobs that are stored now.
    pub fn blobs(&self) -> Vec<String> {
        self.store().blobs.keys().cloned().collect()
    }

    /// The body of a stored blob, as it was uploaded.
    pub fn blob(&self, name: &str) -> Option<Bytes> {
        self.store().blobs.get(name).map(|blob| blob.body.clone())
    }

    /// Every message that was ever queued, lost ones included, in order.
    pub fn queued(&self) -> Vec<Message> {
        self.store().queued.clone()
    }

    /// How many messages wait to be ingested.
    pub fn backlog(&self) -> usize {
        self.store().queue.len()
    }

    /// Every command that was run, with its database.
    pub fn commands(&self) -> Vec<(String, String)> {
        self.store().commands.clone()
    }

    /// Every query that was run, with its database.
    pub fn queries(&self) -> Vec<(String, String)> {
        self.store().queries.clone()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CONTAINER: &str = "memory://storage/blobs";
const STATUS_TABLE: &str = "memory://storage/status";

impl MemoryService {
    fn put(&self, blob: Blob) -> Result<UploadedBlob> {
        let mut store = self.store();
        if store.blobs.get(&blob.name).is_some_and(|stored| stored.body.len() != blob.body.len()) {
            let message = "another blob of this name is there, with another length";
            return Err(Error::new(ErrorKind::Conflict, "upload a blob", &blob.name, message));
        }
        let stored = Stored { body: blob.body, raw_bytes: blob.raw_bytes };
        let raw_bytes = store.blobs.entry(blob.name.clone()).or_insert(stored).raw_bytes;
        let (container, signature) = (CONTAINER.to_owned(), SecretString::default());
        Ok(UploadedBlob { container, name: blob.name, raw_bytes, signature })
    }

    fn post(&self, ingestion: &Ingestion, blob: &UploadedBlob) -> Result<Ticket> {
        let mut store = self.store();
        crate::ingest::message::check_size(ingestion, blob)?;
        let message =
            Message { ingestion: ingestion.clone(), blob: blob.name.clone(), raw_bytes: blob.raw_bytes };
        let report = ingestion.report == Report::Table;
        let status_table = report.then(|| STATUS_TABLE.to_owned());
        let ticket = Ticket { source_id: ingestion.source_id, status_table, signature: None };
        let known = store.statuses.get(&ingestion.source_id);
        if report && known.is_some_and(|status| status.state != IngestionState::Pending) {
            return Ok(ticket); // promise 8
        }
        if report {
            let pending = status(IngestionState::Pending, FailureStatus::Unknown, None);
            store.statuses.entry(ingestion.source_id).or_insert(pending);
        }
        store.queued.push(message.clone());
        store.accept(message);
        if self.0.at_once {
            store.ingest_round();
        }
        Ok(ticket)
    }

    fn look(&self, ticket: &Ticket) -> Result<IngestionStatus> {
        let error = |kind, message| {
            Err(Error::new(kind, "read an ingestion's status", ticket.source_id.to_string(), message))
        };
        if ticket.status_table.is_none() {
            return error(ErrorKind::InvalidOption, "it was queued without a report");
        }
        let mut store = self.store();
        let status = store.statuses.get(&ticket.source_id).cloned();
        if self.0.at_once {
            store.ingest_round();
        }
        match status {
            Some(status) => Ok(status),
            None => error(ErrorKind::NotFound, "there is no status row for it"),
        }
    }

    fn run_command(&self, database: &str, command: &str) -> Result<Table> {
        self.store().commands.push((database.to_owned(), command.to_owned()));
        let answer = self.answers().command.clone();
        if let Some(answer) = answer.and_then(|answer| answer(database, command)) {
            return answer;
        }
        let words: Vec<_> = command.split_whitespace().collect();
        match words.as_slice() {
            [".show", "tables", ..] => Ok(self.show_tables(database)),
            [".show", "version", ..] => {
                Ok(table(&["BuildVersion", "ServiceType"], vec![json!(["1.0", "Engine"])]))
            }
            _ => Err(Error::new(ErrorKind::BadRequest, "run a command", database, first_word(command))
                .with_http_status(400)
                .with_code(Some("SYN0002".to_owned()))),
        }
    }

    fn show_tables(&self, database: &str) -> Table {
        let store = self.store();
        let tables = store.tables.keys().filter(|(of, _)| of == database);
        table(&["TableName", "DatabaseName"], tables.map(|(of, name)| json!([name, of])).collect())
    }

    fn run_query(&self, database: &str, query: &str) -> Result<Vec<Table>> {
        self.store().queries.push((database.to_owned(), query.to_owned()));
        let answer = self.answers().query.clone();
        if let Some(answer) = answer.and_then(|answer| answer(database, query)) {
            return answer;
        }
        if let Some(number) = query.trim().strip_prefix("print ").and_then(|n| n.trim().parse::<i64>().ok()) {
            return Ok(vec![table(&["print_0"], vec![json!([number])])]);
        }
        let bad = |kind, message: String| Error::new(kind, "run a query", database, message);
        let Some((name, wanted)) = counted(query) else {
            return Err(bad(ErrorKind::BadRequest, format!("`{query}` is not known here")));
        };
        let store = self.store();
        if store.dropped.contains(&(database.to_owned(), name.clone())) {
            return Err(bad(ErrorKind::NotFound, format!("there is no table {name}"))
                .with_http_status(400)
                .with_code(Some("SEM0100".to_owned())));
        }
        let count = match wanted {
            None => store.count(database, &name),
            Some(text) => store.count_where(database, &name, &text),
        };
        Ok(vec![table(&["Count"], vec![json!([count])])])
    }
}

/// Takes `T | count` or `T | where c == 'text' | count` apart: the table, and the text that a field has to be.
fn counted(query: &str) -> Option<(String, Option<String>)> {
    let parts: Vec<_> = query.split('|').map(str::trim).collect();
    match parts.as_slice() {
        [name, "count"] => Some((unquote(name), None)),
        [name, filter, "count"] => {
            let (_, literal) = filter.strip_prefix("where ")?.split_once("==")?;
            Some((unquote(name), Some(unquote(&format!("[{}]", literal.trim())))))
        }
        _ => None,
    }
}

fn unquote(name: &str) -> String {
    let quoted = name.strip_prefix("['").and_then(|name| name.strip_suffix("']"));
    quoted.map_or_else(|| name.to_owned(), |name| name.replace("\\'", "'").replace("\\\\", "\\"))
}

fn table(columns: &[&str], rows: Vec<Value>) -> Table {
    let rows: Vec<_> = rows
        .into_iter()
        .filter_map(|row| if let Value::Array(cells) = row { Some(cells) } else { None })
        .collect();
    let kind = |at: usize| match rows.first().and_then(|row| row.get(at)) {
        Some(Value::Number(_)) => "long",
        _ => "string",
    };
    let column =
        |(at, name): (usize, &&str)| Column { name: (*name).to_owned(), column_type: kind(at).to_owned() };
    let columns = columns.iter().enumerate().map(column).collect();
    Table { name: "PrimaryResult".to_owned(), columns, rows }
}

impl Store {
    fn accept(&mut self, message: Message) {
        if self.lose > 0 {
            self.lose -= 1;
            return;
        }
        if self.double > 0 {
            self.double -= 1;
            self.queue.push_back(message.clone());
        }
        self.queue.push_back(message);
    }
}

impl Service for MemoryService {
    fn upload(&self, blob: Blob) -> BoxFuture<'_, Result<UploadedBlob>> {
        async move { self.put(blob) }.boxed()
    }

    fn queue<'a>(
        &'a self,
        ingestion: &'a Ingestion,
        blob: &'a UploadedBlob,
    ) -> BoxFuture<'a, Result<Ticket>> {
        async move { self.post(ingestion, blob) }.boxed()
    }

    fn status<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<IngestionStatus>> {
        async move { self.look(ticket) }.boxed()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a str) -> BoxFuture<'a, Result<Table>> {
        async move { self.run_command(database, command) }.boxed()
    }

    fn query<'a>(&'a self, database: &'a str, query: &'a str) -> BoxFuture<'a, Result<Vec<Table>>> {
        async move { self.run_query(database, query) }.boxed()
    }
}
