//! Where questions are put from: tables of their own, rows, blobs and looks.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use kusto_client::{
    Backoff, Blob, Effect, Error, ErrorKind, Ingestion, IngestionState, IngestionStatus, Report, Result,
    Service, Table, Ticket, UploadedBlob, ingest_command, quote_string,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Duration, sleep};
use uuid::Uuid;

use super::AskOptions;
use crate::codec::{Codec, Gzip};

/// Tries of a request that surely had no effect and may pass.
const TRIES: u32 = 6;

const BACKOFF: Backoff = Backoff { initial: Duration::from_millis(500), max: Duration::from_secs(10) };

/// Pause between two looks at something that should change.
pub(super) const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Desk<'a> {
    service: &'a dyn Service,
    database: &'a str,
    pub(super) options: &'a AskOptions,
    nonce: String,
    /// All names that tables of this desk ever had.
    names: Mutex<Vec<String>>,
}

/// An extent of a listing.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Extent {
    #[serde(rename = "ExtentId")]
    pub(super) id: String,
    #[serde(rename = "RowCount")]
    pub(super) rows: u64,
    #[serde(rename = "Tags", default)]
    tags: Option<String>,
}

impl Extent {
    pub(super) fn tags(&self) -> Vec<&str> {
        self.tags.as_deref().unwrap_or_default().split_whitespace().collect()
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(service: &'a dyn Service, database: &'a str, options: &'a AskOptions) -> Self {
        let nonce = Uuid::new_v4().simple().to_string()[..12].to_owned();
        Desk { service, database, options, nonce, names: Mutex::default() }
    }

    /// A name for a table, which is dropped at the end whether it was created or not.
    pub(super) fn name(&self, what: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("kt_ask_{}_{}_{what}", self.nonce, names.len());
        names.push(name.clone());
        name
    }

    /// A new table `(n: long, s: string)` whose extents keep their ids.
    pub(super) async fn table(&self, what: &str) -> Result<String> {
        let name = self.name(what);
        self.command(&format!(".create table {name} (n: long, s: string)")).await?;
        let policy = r#"'{"AllowMerge":false,"AllowRebuild":false}'"#;
        self.command(&format!(".alter-merge table {name} policy merge {policy}")).await?;
        Ok(name)
    }

    /// Runs a command, again if it surely had no effect and may pass.
    pub(super) async fn command(&self, text: &str) -> Result<Table> {
        let mut attempt = 0;
        loop {
            let error = match self.service.command(self.database, text).await {
                Ok(table) => return Ok(table),
                Err(error) => error,
            };
            if !passes(&error) || attempt + 1 == TRIES {
                return Err(error);
            }
            sleep(BACKOFF.pause(attempt, 0.5, error.retry_after())).await;
            attempt += 1;
        }
    }

    /// Runs a command that may well be refused, once. `None`: it was refused.
    pub(super) async fn try_command(&self, text: &str) -> Result<Option<Table>> {
        refused(self.command(text).await)
    }

    /// The only value of a query's answer; `None` if the query is refused.
    pub(super) async fn try_number(&self, query: &str) -> Result<Option<u64>> {
        let tables = match refused(self.service.query(self.database, query).await)? {
            Some(tables) => tables,
            None => return Ok(None),
        };
        let number = tables.first().and_then(Table::scalar).and_then(Value::as_u64);
        number.map(Some).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "read a number", query, "the answer is not one number")
        })
    }

    /// The rows of a query's answer.
    pub(super) async fn rows(&self, query: &str) -> Result<Vec<Vec<Value>>> {
        let tables = self.service.query(self.database, query).await?;
        Ok(tables.into_iter().next().map(|table| table.rows).unwrap_or_default())
    }

    pub(super) async fn number(&self, query: &str) -> Result<u64> {
        let missing = || Error::new(ErrorKind::NotFound, "run a query", query, "it was refused");
        self.try_number(query).await?.ok_or_else(missing)
    }

    pub(super) async fn count(&self, table: &str) -> Result<u64> {
        self.number(&format!("{table} | count")).await
    }

    /// One extent of one row.
    pub(super) async fn append(&self, table: &str, n: u64, tag: &str) -> Result<()> {
        self.command(&append(table, n, tag)).await.map(drop)
    }

    pub(super) async fn extents(&self, table: &str) -> Result<Vec<Extent>> {
        self.command(&format!(".show table {table} extents")).await?.rows_as()
    }

    pub(super) async fn rename(&self, old: &str, new: &str) -> Result<()> {
        self.command(&format!(".rename table {old} to {new}")).await.map(drop)
    }

    pub(super) async fn upload(&self, body: Bytes, rows: u64, raw_bytes: u64) -> Result<UploadedBlob> {
        let name = format!("kt_ask_{}_{}.csv.gz", self.nonce, Uuid::new_v4().simple());
        self.service.upload(Blob { name, body, rows, raw_bytes }).await
    }

    /// A blob of these lines, as one gzip member.
    pub(super) async fn upload_lines(&self, lines: &str) -> Result<UploadedBlob> {
        let rows = lines.lines().count() as u64;
        self.upload(gzip(lines)?, rows, lines.len() as u64).await
    }

    pub(super) async fn queue(&self, table: &str, blob: &UploadedBlob, tag: &str) -> Result<Ticket> {
        self.service.queue(&self.ingestion(table, tag), blob).await
    }

    /// Has the engine pull these lines: whether its answer has errors; `None` if it refuses.
    pub(super) async fn ingest_lines(&self, table: &str, lines: &str, tag: &str) -> Result<Option<bool>> {
        let blob = self.upload_lines(lines).await?;
        let command = ingest_command(&self.ingestion(table, tag), &blob);
        match self.try_command(&command).await? {
            Some(answer) => crate::delivery::stage::has_errors(&answer).map(Some),
            None => Ok(None),
        }
    }

    fn ingestion(&self, table: &str, tag: &str) -> Ingestion {
        Ingestion {
            source_id: Uuid::new_v4(),
            database: self.database.to_owned(),
            table: table.to_owned(),
            format: "csv".to_owned(),
            mapping: None,
            ignore_first_record: false,
            additional_tags: vec![tag.to_owned()],
            ingest_by_tags: Vec::new(),
            drop_by_tags: Vec::new(),
            ingest_if_not_exists: Vec::new(),
            creation_time: None,
            flush_immediately: true,
            retain_blob_on_success: false,
            report: Report::Table,
        }
    }

    /// The present state of a queued blob.
    pub(super) async fn look(&self, ticket: &Ticket) -> Result<IngestionStatus> {
        self.service.status(ticket).await
    }

    /// The final state of a queued blob.
    pub(super) async fn settled(&self, ticket: &Ticket) -> Result<IngestionStatus> {
        let started = Instant::now();
        loop {
            let status = self.look(ticket).await?;
            if status.state != IngestionState::Pending {
                return Ok(status);
            }
            if started.elapsed() > self.options.ingestion_deadline {
                return Err(self.late(ticket));
            }
            sleep(LOOK).await;
        }
    }

    pub(super) fn late(&self, ticket: &Ticket) -> Error {
        let waited = format!("its status was still Pending after {:?}", self.options.ingestion_deadline);
        Error::new(ErrorKind::Timeout, "wait for a queued blob", ticket.source_id.to_string(), waited)
    }

    /// Queues one row for `table` and waits for what becomes of it.
    pub(super) async fn ingest_row(&self, table: &str, n: u64, tag: &str) -> Result<IngestionStatus> {
        let blob = self.upload_lines(&format!("{n},queued\n")).await?;
        let ticket = self.queue(table, &blob, tag).await?;
        self.settled(&ticket).await
    }

    /// A query whose answer is one row `(n: long, s: string)` and that takes about a second here.
    pub(super) async fn slow_query(&self) -> Result<(String, Duration)> {
        let query = |rows: u64| {
            format!("range x from 1 to {rows} step 1 | summarize n = count() | extend s = 'slow'")
        };
        let mut rows = 50_000;
        loop {
            let started = Instant::now();
            let answer = self.service.query(self.database, &query(rows)).await;
            let took = started.elapsed();
            match answer {
                Ok(_) if took < Duration::from_millis(700) && rows < MOST_ROWS => rows *= 4,
                Ok(_) => return Ok((query(rows), took)),
                Err(_) if rows > 50_000 => return Ok((query(rows / 4), took / 4)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Drops all tables; returns the names of those that may still be there.
    pub(super) async fn clean_up(&self) -> Vec<String> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let dropped = self.command(&format!(".drop tables ({}) ifexists", names.join(", "))).await;
        if dropped.is_ok() { Vec::new() } else { names }
    }
}

/// The most rows that a query is made to count to be slow.
const MOST_ROWS: u64 = 10_000_000_000;

/// The command that appends one row as one extent.
pub(super) fn append(table: &str, n: u64, tag: &str) -> String {
    let tags = quote_string(&serde_json::json!([tag]).to_string());
    format!(".append {table} with (tags = {tags}) <| print n = long({n}), s = 'row'")
}

pub(super) fn gzip(text: &str) -> Result<Bytes> {
    let wrong = |error: crate::CodecError| {
        Error::new(ErrorKind::InvalidOption, "compress", "a blob", error.to_string())
    };
    let mut out = Vec::new();
    Gzip::new(1).map_err(wrong)?.compress(text.as_bytes(), &mut out).map_err(wrong)?;
    Ok(out.into())
}

fn passes(error: &Error) -> bool {
    error.is_transient() && error.effect() == Effect::None
}

/// A refusal is an answer: the service understood, and did nothing.
fn refused<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::BadRequest | ErrorKind::Conflict => Ok(None),
            _ => Err(error),
        },
    }
}

/// A duration for people: `0.25 s`.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
