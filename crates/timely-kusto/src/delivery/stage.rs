//! The way of a sealed chunk into the staging table: the same upload, message and look as for any other chunk.
//!
//! One attempt per call: whether there is another one, and under which tag, is decided above, since the write-ahead mode
//! accepts one attempt only.

use std::time::{Duration, Instant};

use epoch_log::Layout;
use kusto_client::{
    Blob, Effect, Error, ErrorKind, Ingestion, IngestionMapping, Report, Table, UploadedBlob, ingest_command,
};
use uuid::Uuid;

use super::retry::GivenUp;
use super::{Courier, Packed, WAITING_BYTES, confirm::Verdict};
use crate::budget::Reservation;
use crate::{Result, SinkError};

/// The body of a chunk in the service's storage, named by no message yet.
#[derive(Debug)]
pub(crate) struct Uploaded {
    /// The id that its message is to have.
    id: Uuid,
    blob: UploadedBlob,
    since: Instant,
    /// What a chunk takes while it waits.
    _memory: Reservation,
}

impl Uploaded {
    /// Whether the signature of its address is good for a while: the service hands out new ones every hour.
    pub(crate) fn is_fresh(&self) -> bool {
        self.since.elapsed() < FRESH
    }
}

const FRESH: Duration = Duration::from_secs(30 * 60);

/// Where a chunk is staged and what it carries.
#[derive(Clone, Debug)]
pub(crate) struct Staging {
    /// The staging table under its present name.
    pub(crate) table: String,
    /// The tag of the attempt.
    pub(crate) tag: String,
    /// The format that the chunk was written in.
    pub(crate) format: String,
    /// How fields find their columns.
    pub(crate) mapping: Option<IngestionMapping>,
    /// By `.ingest into` instead of a queue message.
    pub(crate) direct: bool,
}

impl Courier {
    /// Uploads a body.
    ///
    /// # Errors
    /// When no attempt succeeded.
    pub(crate) async fn upload_body(&self, format: &str, body: Packed) -> Result<Uploaded> {
        let id = Uuid::new_v4();
        let (blob, memory) = self.upload(self.staged_name(id, format), body).await?;
        Ok(Uploaded { id, blob, since: Instant::now(), _memory: memory })
    }

    /// Uploads a body, in one attempt.
    ///
    /// # Errors
    /// When it failed; nothing refers to what it may have left.
    pub(crate) async fn upload_once(&self, format: &str, body: Packed) -> kusto_client::Result<Uploaded> {
        let (id, started) = (Uuid::new_v4(), Instant::now());
        let Packed { body, rows, raw_bytes, mut memory } = body;
        let blob = Blob { name: self.staged_name(id, format), body, rows, raw_bytes };
        let blob = self.service.upload(blob).await?;
        memory.resize(WAITING_BYTES);
        self.counters.uploaded(started.elapsed());
        Ok(Uploaded { id, blob, since: started, _memory: memory })
    }

    /// Queues an uploaded body for the staging table and waits for its status, or has the engine pull it.
    ///
    /// # Errors
    /// What ended this attempt; it may have taken effect all the same, or may still.
    pub(crate) async fn stage(&self, uploaded: Uploaded, staging: &Staging, rows: u64) -> Result<()> {
        let Uploaded { id, blob, _memory, .. } = uploaded;
        crate::write_ahead::failpoint::reach("after upload");
        let mut ingestion = self.options.ingestion(id, staging.mapping.clone());
        ingestion.table.clone_from(&staging.table);
        ingestion.format.clone_from(&staging.format);
        ingestion.additional_tags.push(staging.tag.clone());
        ingestion.flush_immediately = true;
        ingestion.report = Report::Table;
        if staging.direct {
            self.ingest(&ingestion, &blob, rows).await?;
            crate::write_ahead::failpoint::reach("after queue");
            return Ok(());
        }
        let ticket = self.queue(&ingestion, &blob, rows).await?;
        crate::write_ahead::failpoint::reach("after queue");
        match self.confirm(&ticket, &blob.name, rows).await? {
            Verdict::Delivered(_) => Ok(()),
            Verdict::QueueAgain(error) => Err(*error),
        }
    }

    /// Has the engine pull a blob. One attempt: an answer that is lost may hide an ingestion that took effect.
    async fn ingest(&self, ingestion: &Ingestion, blob: &UploadedBlob, rows: u64) -> Result<()> {
        let _one = self.ingestions.acquire().await.map_err(|_| SinkError::Stopped)?;
        let started = Instant::now();
        let command = ingest_command(ingestion, blob);
        let answer = self.service.command(&ingestion.database, &command).await.and_then(without_errors);
        self.counters.confirmed(started.elapsed());
        let given_up = |error| GivenUp { error, attempts: 1, after: started.elapsed() };
        answer.map_err(|error| self.undelivered(rows, given_up(error)))
    }

    fn staged_name(&self, id: Uuid, format: &str) -> String {
        let (database, table) = (self.options.database(), self.options.table());
        format!("{database}__{table}__{id}.{format}{}", self.codec.suffix())
    }
}

/// Whether the answer of `.ingest into` has an extent with errors.
pub(crate) fn has_errors(answer: &Table) -> kusto_client::Result<bool> {
    let errors = answer.position("HasErrors")?;
    let failed = |row: &Vec<serde_json::Value>| row.get(errors).is_some_and(|cell| cell == true || cell == 1);
    Ok(answer.rows.iter().any(failed))
}

/// An answer with an extent that has errors is a failure that left something.
fn without_errors(answer: Table) -> kusto_client::Result<()> {
    match has_errors(&answer)? {
        false => Ok(()),
        true => {
            let (operation, why) = ("ingest a blob", "a part of it could not be ingested");
            Err(Error::new(ErrorKind::Service, operation, "the staging table", why)
                .with_effect(Effect::Unknown))
        }
    }
}

/// The mapping of a chunk by the names of its columns; none where fields find their columns by themselves.
pub(crate) fn mapping_of(layout: &Layout, table: &str) -> Result<Option<IngestionMapping>> {
    if layout.columns.is_empty() {
        return Ok(None);
    }
    let format = match layout.format.as_str() {
        "csv" => crate::Format::Csv,
        _ => crate::Format::Json,
    };
    let names: Vec<crate::ColumnName> =
        layout.columns.iter().map(|column| column.name.clone().into()).collect();
    let mapping = crate::inline_mapping(format, &names, table).map_err(SinkError::from)?;
    Ok(Some(IngestionMapping::Inline(mapping)))
}
