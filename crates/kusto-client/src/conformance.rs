//! The suite that every [`Service`] passes: one public function per promise of the seam, numbered as there.
//!
//! The functions need a table of two columns, `a: long` and `b: string`, and the right to ingest into it and to query
//! it. They panic with what was broken, so a test calls them and nothing more:
//!
//! ```
//! # use kusto_client::{conformance::{self, Fixture}, testing::MemoryService};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance::all(&MemoryService::new(), &Fixture::new("Samples", "Conformance")).await;
//! # }
//! ```
//!
//! They meet errors as a caller should: what has no effect is asked again, what may have had one is repeated under the
//! same name and id. So a service that fails now and then passes too, as long as its errors tell the truth.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    Blob, Effect, Error, ErrorKind, Ingestion, IngestionMapping, IngestionState, IngestionStatus, Report,
    Result, Service, Ticket, UploadedBlob, quote_name, quote_string,
};

/// Where the suite works, and what it cannot know about the service.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// A database that exists.
    pub database: String,
    /// A table `(a: long, b: string)` in it.
    pub table: String,
    /// A table that does not exist.
    pub missing_table: String,
    /// A command that fails inside an HTTP 200, if the service has one.
    pub failing_command: Option<String>,
    /// A query that fails inside an HTTP 200, if the service has one.
    pub failing_query: Option<String>,
    /// How long an ingestion may take.
    pub patience: Duration,
}

impl Fixture {
    /// A fixture for `table` in `database`; ingestions may take a minute.
    pub fn new(database: impl Into<String>, table: impl Into<String>) -> Self {
        Fixture {
            database: database.into(),
            table: table.into(),
            missing_table: "NoSuchTable".to_owned(),
            failing_command: None,
            failing_query: None,
            patience: Duration::from_secs(60),
        }
    }

    fn ingestion(&self) -> Ingestion {
        Ingestion {
            source_id: Uuid::new_v4(),
            database: self.database.clone(),
            table: self.table.clone(),
            format: "csv".to_owned(),
            mapping: None,
            ignore_first_record: false,
            additional_tags: Vec::new(),
            ingest_by_tags: Vec::new(),
            drop_by_tags: Vec::new(),
            ingest_if_not_exists: Vec::new(),
            creation_time: None,
            flush_immediately: true,
            retain_blob_on_success: true,
            report: Report::Table,
        }
    }
}

/// Every promise, one after the other.
///
/// # Panics
/// Where a promise is broken.
pub async fn all(service: &dyn Service, fixture: &Fixture) {
    upload_never_overwrites_and_can_be_repeated(service).await;
    upload_returns_once_the_whole_body_is_stored(service, fixture).await;
    queue_leaves_no_message_behind_an_error_without_effect(service, fixture).await;
    a_ticket_always_has_a_status(service, fixture).await;
    a_final_status_is_what_happened(service, fixture).await;
    queue_looks_before_it_repeats(service, fixture).await;
    a_failure_inside_an_answer_is_an_error(service, fixture).await;
    errors_say_what_they_mean_and_keep_secrets(service, fixture).await;
}

/// Promise 1.
///
/// # Panics
/// When it is broken.
pub async fn upload_never_overwrites_and_can_be_repeated(service: &dyn Service) {
    let blob = rows_blob(3);
    let first = persist(|| service.upload(blob.clone())).await.value;
    let second = persist(|| service.upload(blob.clone())).await.value;
    assert_eq!(first.name, second.name, "promise 1: a repeated upload stores the same blob");
    // The second body may go to another storage account and then overwrites nothing either; where it meets the first
    // it has to be refused.
    let other = Blob { body: Bytes::from_static(b"1,other body\n"), ..blob };
    if let Err(error) = settle(|| service.upload(other.clone())).await {
        assert_eq!(error.kind(), ErrorKind::Conflict, "promise 1: {error}");
        assert_eq!(error.effect(), Effect::None, "promise 1: {error}");
    }
}

/// Promise 2: what `upload` returned can be ingested whole.
///
/// # Panics
/// When it is broken.
pub async fn upload_returns_once_the_whole_body_is_stored(service: &dyn Service, fixture: &Fixture) {
    for rows in [1, 2_000] {
        let blob = rows_blob(rows);
        let sent = send(service, &fixture.ingestion(), blob.clone()).await;
        let status = wait(service, &sent.value, fixture).await;
        assert_eq!(status.state, IngestionState::Succeeded, "promise 2: {status:?}");
        let ingested = count(service, fixture, &blob).await;
        match sent.repeated {
            false => assert_eq!(ingested, rows, "promise 2: rows of one blob"),
            true => assert!(ingested >= rows, "promise 2: {ingested} of {rows} rows"),
        }
    }
}

/// Promise 3: a message that is refused is not ingested, one that is accepted is.
///
/// # Panics
/// When it is broken.
pub async fn queue_leaves_no_message_behind_an_error_without_effect(
    service: &dyn Service,
    fixture: &Fixture,
) {
    let refused = rows_blob(7);
    let stored = persist(|| service.upload(refused.clone())).await.value;
    let mapping = Some(IngestionMapping::Inline("x".repeat(100_000)));
    let oversized = Ingestion { mapping, ..fixture.ingestion() };
    let error =
        settle(|| service.queue(&oversized, &stored)).await.expect_err("promise 3: 64 KiB is the limit");
    assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::None), "promise 3: {error}");

    let accepted = rows_blob(2);
    let sent = send(service, &fixture.ingestion(), accepted.clone()).await;
    wait(service, &sent.value, fixture).await;
    assert!(count(service, fixture, &accepted).await >= 2, "promise 3: an accepted message is ingested");
    assert_eq!(count(service, fixture, &refused).await, 0, "promise 3: a refused message is not");
}

/// Promise 4.
///
/// # Panics
/// When it is broken.
pub async fn a_ticket_always_has_a_status(service: &dyn Service, fixture: &Fixture) {
    let sent = send(service, &fixture.ingestion(), rows_blob(1)).await;
    assert!(sent.value.status_table.is_some(), "promise 4: a report was asked for");
    persist(|| service.status(&sent.value)).await;
    wait(service, &sent.value, fixture).await;

    let silent = Ingestion { report: Report::None, ..fixture.ingestion() };
    let sent = send(service, &silent, rows_blob(1)).await;
    assert!(sent.value.status_table.is_none(), "promise 4: no report was asked for");
    assert!(
        settle(|| service.status(&sent.value)).await.is_err(),
        "promise 4: without a report there is no status"
    );
}

/// Promise 5: success means that the rows are there, and what cannot be ingested is never called a success.
///
/// # Panics
/// When it is broken.
pub async fn a_final_status_is_what_happened(service: &dyn Service, fixture: &Fixture) {
    let good = rows_blob(1);
    let broken = Blob { body: [&good.body[..], b"2,y,z,too,many\n"].concat().into(), ..good };
    let sent = send(service, &fixture.ingestion(), broken.clone()).await;
    let status = wait(service, &sent.value, fixture).await;
    let ingested = count(service, fixture, &broken).await;
    if status.state == IngestionState::Succeeded {
        assert!(ingested > 0, "promise 5: success without a row");
    } else {
        assert_eq!(ingested, 0, "promise 5: {ingested} rows of an ingestion that ended with {status:?}");
    }

    let tagged = Ingestion { ingest_by_tags: vec![Uuid::new_v4().to_string()], ..fixture.ingestion() };
    let again = Ingestion {
        source_id: Uuid::new_v4(),
        ingest_if_not_exists: tagged.ingest_by_tags.clone(),
        ..tagged.clone()
    };
    let first = send(service, &tagged, rows_blob(1)).await;
    assert_eq!(wait(service, &first.value, fixture).await.state, IngestionState::Succeeded, "promise 5");
    let second = send(service, &again, rows_blob(1)).await;
    let status = wait(service, &second.value, fixture).await;
    assert_ne!(status.state, IngestionState::Succeeded, "promise 5: its tag is there already: {status:?}");
}

/// Promise 8.
///
/// # Panics
/// When it is broken.
pub async fn queue_looks_before_it_repeats(service: &dyn Service, fixture: &Fixture) {
    let (ingestion, blob) = (fixture.ingestion(), rows_blob(1));
    let stored = persist(|| service.upload(blob.clone())).await.value;
    let sent = persist(|| service.queue(&ingestion, &stored)).await;
    wait(service, &sent.value, fixture).await;
    let before = count(service, fixture, &blob).await;
    let again = persist(|| service.queue(&ingestion, &stored)).await;
    wait(service, &again.value, fixture).await;
    // Where an answer was lost there may be two messages already, and the second may be ingested by now.
    if !sent.repeated {
        let after = count(service, fixture, &blob).await;
        assert_eq!(after, before, "promise 8: a message that the service has was posted again");
    }
}

/// Promise 6.
///
/// # Panics
/// When it is broken.
pub async fn a_failure_inside_an_answer_is_an_error(service: &dyn Service, fixture: &Fixture) {
    if let Some(command) = &fixture.failing_command {
        let answer = settle(|| service.command(&fixture.database, command)).await;
        assert!(answer.is_err(), "promise 6: the command failed inside a 200");
    }
    if let Some(query) = &fixture.failing_query {
        let answer = settle(|| service.query(&fixture.database, query)).await;
        assert!(answer.is_err(), "promise 6: the query failed inside a 200");
    }
    let tables = persist(|| service.query(&fixture.database, "print 7")).await.value;
    assert_eq!(tables[0].scalar().and_then(Value::as_i64), Some(7), "promise 6: what succeeds is no error");
    let tables = persist(|| service.command(&fixture.database, ".show tables")).await.value;
    assert!(tables.position("TableName").is_ok(), "promise 6: commands have results");
}

/// Promise 7.
///
/// # Panics
/// When it is broken.
pub async fn errors_say_what_they_mean_and_keep_secrets(service: &dyn Service, fixture: &Fixture) {
    let command = format!(".drop-nothing table {}", quote_name(&fixture.table));
    let error = settle(|| service.command(&fixture.database, &command))
        .await
        .expect_err("promise 7: no such command");
    assert_eq!((error.kind(), error.effect()), (ErrorKind::BadRequest, Effect::None), "promise 7: {error}");
    no_secret(&error);

    let mut ticket = send(service, &fixture.ingestion(), rows_blob(1)).await.value;
    wait(service, &ticket, fixture).await;
    ticket.source_id = Uuid::new_v4();
    let error = settle(|| service.status(&ticket)).await.expect_err("promise 7: nobody queued this");
    assert_eq!((error.kind(), error.effect()), (ErrorKind::NotFound, Effect::None), "promise 7: {error}");
    no_secret(&error);
}

fn no_secret(error: &Error) {
    let text = format!("{error} {error:?}").to_ascii_lowercase();
    assert!(!text.contains("sig=") || text.contains("sig=[hidden]"), "promise 7: a signature in {text}");
    assert!(!text.contains("bearer ey"), "promise 7: a token in {text}");
}

/// A result, and whether something had to be done again after an unknown outcome.
struct Done<T> {
    value: T,
    repeated: bool,
}

/// Attempts before the suite gives up: enough for a service that fails half of its calls.
const ATTEMPTS: usize = 60;

/// Does it until it is done, as long as the errors say that they may pass.
async fn persist<T, F: Future<Output = Result<T>>>(attempt: impl Fn() -> F) -> Done<T> {
    let (result, repeated) = attempts(attempt).await;
    let value = result.unwrap_or_else(|error| panic!("expected success, got {error:?}"));
    Done { value, repeated }
}

/// The answer that lasts: a success, or an error that will not pass.
async fn settle<T, F: Future<Output = Result<T>>>(attempt: impl Fn() -> F) -> Result<T> {
    attempts(attempt).await.0
}

async fn attempts<T, F: Future<Output = Result<T>>>(attempt: impl Fn() -> F) -> (Result<T>, bool) {
    let mut repeated = false;
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_transient() => {
                repeated |= error.effect() == Effect::Unknown;
                tokio::time::sleep(error.retry_after().unwrap_or_default()).await;
            }
            result => return (result, repeated),
        }
    }
    (attempt().await, repeated)
}

async fn send(service: &dyn Service, ingestion: &Ingestion, blob: Blob) -> Done<Ticket> {
    let stored: UploadedBlob = persist(|| service.upload(blob.clone())).await.value;
    persist(|| service.queue(ingestion, &stored)).await
}

/// Looks until the status is final.
async fn wait(service: &dyn Service, ticket: &Ticket, fixture: &Fixture) -> IngestionStatus {
    let end = Instant::now() + fixture.patience;
    loop {
        let status = persist(|| service.status(ticket)).await.value;
        if status.state != IngestionState::Pending {
            return status;
        }
        assert!(Instant::now() < end, "promise 5: still pending after {:?}", fixture.patience);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How many rows of `blob` are in the table. They carry its name, so that what others sent, or what comes twice and
/// late, is not mistaken for them.
async fn count(service: &dyn Service, fixture: &Fixture, blob: &Blob) -> u64 {
    let query = format!("{} | where b == {} | count", quote_name(&fixture.table), quote_string(&blob.name));
    let tables = persist(|| service.query(&fixture.database, &query)).await.value;
    tables[0].scalar().and_then(Value::as_u64).expect("a count is a number")
}

/// A blob whose rows have its own name in the second column. The name has a comma in it, as data has.
fn rows_blob(rows: u64) -> Blob {
    let name = format!("conformance,{}.csv", Uuid::new_v4());
    let text: String = (0..rows).map(|row| format!("{row},\"{name}\"\n")).collect();
    Blob { name, raw_bytes: text.len() as u64, body: Bytes::from(text), rows }
}
