//! What a [`MemoryService`](super::MemoryService) remembers, and how it ingests.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::Read;

use bytes::Bytes;
use uuid::Uuid;

use super::Message;
use crate::{FailureStatus, Ingestion, IngestionState, IngestionStatus, Report};

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) blobs: BTreeMap<String, Stored>,
    pub(super) queue: VecDeque<Message>,
    /// Every message that was ever queued, in order.
    pub(super) queued: Vec<Message>,
    pub(super) statuses: HashMap<Uuid, IngestionStatus>,
    pub(super) tables: BTreeMap<(String, String), Contents>,
    pub(super) dropped: BTreeSet<(String, String)>,
    /// What the next ingestions end with instead of being carried out.
    pub(super) script: VecDeque<IngestionStatus>,
    pub(super) commands: Vec<(String, String)>,
    pub(super) queries: Vec<(String, String)>,
    pub(super) lose: usize,
    pub(super) double: usize,
}

/// A blob and what its metadata says.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) body: Bytes,
    pub(super) raw_bytes: u64,
}

/// What was ingested into one table, in order.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) blobs: Vec<Ingested>,
    pub(super) ingest_by: BTreeSet<String>,
}

/// One ingested blob.
#[derive(Clone, Debug)]
pub(super) struct Ingested {
    pub(super) body: Bytes,
    pub(super) format: String,
    pub(super) ignore_first_record: bool,
    pub(super) rows: usize,
}

/// A status without details.
pub(super) fn status(state: IngestionState, failure: FailureStatus, code: Option<&str>) -> IngestionStatus {
    IngestionStatus {
        state,
        failure,
        error_code: code.map(str::to_owned),
        details: None,
        operation_id: None,
        activity_id: None,
    }
}

fn failed(code: &str, details: impl Into<String>) -> IngestionStatus {
    let details = Some(details.into());
    IngestionStatus { details, ..status(IngestionState::Failed, FailureStatus::Permanent, Some(code)) }
}

impl Store {
    /// Ingests the oldest message; false when the queue is empty.
    pub(super) fn ingest_next(&mut self) -> bool {
        let Some(message) = self.queue.pop_front() else { return false };
        let outcome = match self.script.pop_front() {
            Some(scripted) => scripted,
            None => self.ingest(&message),
        };
        let transient = outcome.state == IngestionState::Pending;
        if message.ingestion.report == Report::Table {
            self.report(message.ingestion.source_id, outcome);
        }
        if transient {
            self.queue.push_back(message);
        }
        true
    }

    /// Ingests every message that is in the queue now.
    pub(super) fn ingest_round(&mut self) {
        (0..self.queue.len()).for_each(|_| _ = self.ingest_next());
    }

    fn ingest(&mut self, message: &Message) -> IngestionStatus {
        let ingestion = &message.ingestion;
        let key = (ingestion.database.clone(), ingestion.table.clone());
        if self.dropped.contains(&key) {
            return failed("BadRequest_TableNotExist", format!("Table '{}' does not exist", ingestion.table));
        }
        let contents = self.tables.entry(key).or_default();
        if ingestion.ingest_if_not_exists.iter().any(|tag| contents.ingest_by.contains(tag)) {
            let code = Some("Skipped_IngestByTagAlreadyExists");
            return status(IngestionState::Skipped, FailureStatus::Permanent, code);
        }
        let Some(blob) = self.blobs.get(&message.blob) else {
            return failed("Download_SourceNotFound", format!("There is no blob '{}'", message.blob));
        };
        match read(blob, &message.blob, ingestion) {
            Ok(ingested) => contents.blobs.push(ingested),
            Err((code, details)) => return failed(code, details),
        }
        contents.ingest_by.extend(ingestion.ingest_by_tags.iter().cloned());
        if !ingestion.retain_blob_on_success {
            self.blobs.remove(&message.blob);
        }
        status(IngestionState::Succeeded, FailureStatus::Unknown, None)
    }

    /// A final status stays, whatever a second delivery of the same message ends with.
    fn report(&mut self, source_id: Uuid, outcome: IngestionStatus) {
        let row = self.statuses.entry(source_id).or_insert_with(|| outcome.clone());
        if row.state == IngestionState::Pending {
            *row = outcome;
        }
    }

    pub(super) fn count(&self, database: &str, table: &str) -> usize {
        self.contents(database, table).map_or(0, |contents| contents.blobs.iter().map(|blob| blob.rows).sum())
    }

    /// Rows of CSV in which some field is `text`.
    pub(super) fn count_where(&self, database: &str, table: &str, text: &str) -> usize {
        let blobs = self.contents(database, table).into_iter().flat_map(|contents| &contents.blobs);
        let rows = blobs.filter_map(|blob| blob.csv().ok()).flatten();
        rows.filter(|row| row.iter().any(|field| field == text)).count()
    }

    pub(super) fn contents(&self, database: &str, table: &str) -> Option<&Contents> {
        self.tables.get(&(database.to_owned(), table.to_owned()))
    }
}

/// Unpacks a blob and counts its rows, or says with the service's code why that cannot be done.
fn read(blob: &Stored, name: &str, ingestion: &Ingestion) -> Result<Ingested, (&'static str, String)> {
    let body = unpack(&blob.body, name).map_err(|error| ("BadRequest_InvalidBlob", error.to_string()))?;
    let ignore_first_record = ingestion.ignore_first_record;
    let mut ingested = Ingested { body, format: ingestion.format.clone(), ignore_first_record, rows: 0 };
    ingested.rows = match ingested.format.as_str() {
        "csv" => ingested.csv().map_err(|error| ("Stream_WrongNumberOfFields", error.to_string()))?.len(),
        "json" | "multijson" => {
            ingested.json().map_err(|error| ("BadRequest_InvalidBlob", error.to_string()))?.len()
        }
        other => {
            return Err(("BadRequest_FormatNotSupported", format!("the format {other} is not known here")));
        }
    };
    match ingested.rows {
        0 => Err(("Stream_NoDataToIngest", "the blob holds no record".to_owned())),
        _ => Ok(ingested),
    }
}

fn unpack(body: &Bytes, name: &str) -> std::io::Result<Bytes> {
    if !name.ends_with(".gz") {
        return Ok(body.clone());
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body.as_ref()).read_to_end(&mut plain)?;
    Ok(plain.into())
}

impl Ingested {
    pub(super) fn csv(&self) -> Result<Vec<Vec<String>>, csv::Error> {
        csv::ReaderBuilder::new()
            .has_headers(self.ignore_first_record)
            .from_reader(self.body.as_ref())
            .records()
            .map(|record| record.map(|record| record.iter().map(str::to_owned).collect()))
            .collect()
    }

    pub(super) fn json(&self) -> serde_json::Result<Vec<serde_json::Value>> {
        serde_json::Deserializer::from_slice(&self.body)
            .into_iter()
            .map(|value| {
                value.map(|value| match value {
                    serde_json::Value::Array(values) => values,
                    value => vec![value],
                })
            })
            .collect::<Result<Vec<_>, _>>()
            .map(|values| values.concat())
    }
}
