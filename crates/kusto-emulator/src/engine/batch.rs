//! What goes into an ingestion and what comes out: properties, sources, failures.
//!
//! Property names and forms: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/includes/ingestion-properties.md`;
//! failure codes: `.../error-codes.md`.

use std::fmt;
use std::io::Read;

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::error::{EngineError, InnerError};
use super::principal::Principal;
use crate::data::parse_datetime;
use crate::faults::Mischief;
use crate::holds::Died;

/// Opens the blobs that an ingestion names.
pub(crate) trait BlobReader: Send + Sync + fmt::Debug {
    /// Opens the blob at `url`, which may carry a SAS (`?...`) or a key or identity behind `;`. The bytes are as stored:
    /// the engine decompresses by the name's suffix.
    ///
    /// # Errors
    /// `Download_SourceNotFound`, `Download_Forbidden`, or a transient code.
    fn open(&self, url: &str) -> Result<Box<dyn Read + Send>, IngestFailure>;
}

/// One blob of a batch.
#[derive(Debug, Clone)]
pub(crate) struct IngestSource {
    /// Where it is, SAS included; given to [`BlobReader::open`], never shown with its secret.
    pub(crate) url: String,
    /// The sender's id of the source.
    pub(crate) id: Uuid,
}

/// A batch for one table.
#[derive(Debug, Clone)]
pub(crate) struct IngestRequest {
    /// In whose name.
    pub(crate) principal: Principal,
    /// The database's name, in any case.
    pub(crate) database: String,
    /// The table's name.
    pub(crate) table: String,
    /// Format, tags, mapping and the like; the same for all sources.
    pub(crate) properties: IngestionProperties,
    /// The blobs.
    pub(crate) sources: Vec<IngestSource>,
    /// The id under which failures are recorded.
    pub(crate) activity_id: Uuid,
    /// It came through data management, which knows names and reads policies in its own time.
    pub(crate) queued: bool,
    /// What a fault rule does to it.
    pub(crate) mischief: Mischief,
}

/// What became of a batch.
#[derive(Debug, Clone)]
pub(crate) struct IngestOutcome {
    /// The operation's id.
    pub(crate) operation_id: Uuid,
    /// The new extents; none if no source had rows.
    pub(crate) extents: Vec<Uuid>,
    /// One per source, in order.
    pub(crate) sources: Vec<SourceOutcome>,
}

/// What became of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceOutcome {
    /// All its rows are in the table.
    Ingested {
        /// How many.
        rows: u64,
    },
    /// None of its rows is in the table.
    Failed(IngestFailure),
}

/// Why a source or a batch could not be ingested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct IngestFailure {
    /// A documented code, such as `Stream_WrongNumberOfFields`.
    pub(crate) code: &'static str,
    /// What is wrong, and where.
    pub(crate) message: String,
    /// Trying the same again cannot succeed.
    pub(crate) permanent: bool,
}

impl IngestFailure {
    /// A failure that stays.
    pub(crate) fn permanent(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), permanent: true }
    }

    /// A failure that may pass.
    pub(crate) fn transient(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), permanent: false }
    }

    /// `Permanent` or `Transient`, as in `FailureKind`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.permanent { "Permanent" } else { "Transient" }
    }
}

impl From<Died> for IngestFailure {
    fn from(died: Died) -> Self {
        Self::transient("General_InternalServerError", died.to_string())
    }
}

impl From<IngestFailure> for EngineError {
    fn from(failure: IngestFailure) -> Self {
        if failure.code == "Forbidden" {
            return Self::forbidden(failure.message);
        }
        let exception = "Kusto.DataNode.Exceptions.StreamIngestionException";
        let inner = InnerError { code: failure.code.to_owned(), message: failure.message.clone(), exception };
        let base = if failure.permanent { Self::bad_request(&failure) } else { Self::internal(&failure) };
        Self { inner: Some(Box::new(inner)), code: failure.code, exception, ..base }
    }
}

/// The documented ingestion properties, read from `with (...)` or from a message's `AdditionalProperties`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct IngestionProperties {
    /// `format`, in lower case; from the blob's name, else csv, when absent.
    pub(crate) format: Option<String>,
    /// `tags`, prefixes included.
    pub(crate) tags: Vec<String>,
    /// `ingestIfNotExists`: bare values of `ingest-by:` tags.
    pub(crate) ingest_if_not_exists: Vec<String>,
    /// `ingestionMapping`: JSON text of a mapping.
    pub(crate) mapping: Option<String>,
    /// `ingestionMappingReference`: the name of a mapping.
    pub(crate) mapping_reference: Option<String>,
    /// `ingestionMappingType`, in lower case; from the format when absent.
    pub(crate) mapping_kind: Option<String>,
    /// `ignoreFirstRecord`: the first record of every source is a header.
    pub(crate) ignore_first_record: bool,
    /// `creationTime` of the extents, in ticks; now when absent.
    pub(crate) creation_time: Option<i64>,
    /// `TreatGzAsUncompressed`: a name's suffix `.gz` says nothing.
    pub(crate) treat_gz_as_uncompressed: bool,
    /// Given, but not understood: they are kept so that a command can refuse them.
    pub(crate) unknown: Vec<String>,
}

impl IngestionProperties {
    /// Reads properties by name (in any case). Numbers and booleans may be strings, lists JSON arrays or their text;
    /// null, the empty string and `0001-01-01T00:00:00Z` count as absent.
    ///
    /// # Errors
    /// `BadRequest_DuplicateMapping` if a mapping is given inline and by name; `General_BadRequest` for a value that
    /// cannot be read.
    pub(crate) fn from_json(properties: &Map<String, Json>) -> Result<Self, IngestFailure> {
        let mut read = Self::default();
        for (name, value) in properties {
            if !value.is_null() && value.as_str() != Some("") {
                read.set(name, value)?;
            }
        }
        if read.mapping.is_some() && read.mapping_reference.is_some() {
            return Err(IngestFailure::permanent(
                "BadRequest_DuplicateMapping",
                "ingestionMapping and ingestionMappingReference exclude each other",
            ));
        }
        Ok(read)
    }

    /// The properties that `.show ingestion failures` tells.
    pub(crate) fn summary(&self) -> String {
        serde_json::json!({
            "Format": self.format, "Tags": self.tags, "IngestIfNotExists": self.ingest_if_not_exists,
            "IngestionMappingReference": self.mapping_reference, "IgnoreFirstRecord": self.ignore_first_record,
        })
        .to_string()
    }

    fn set(&mut self, name: &str, value: &Json) -> Result<(), IngestFailure> {
        match name.to_ascii_lowercase().as_str() {
            "format" => self.format = Some(text(name, value)?.to_ascii_lowercase()),
            "tags" => self.tags = list(name, value)?,
            "ingestifnotexists" => self.ingest_if_not_exists = list(name, value)?,
            "ingestionmapping" | "csvmapping" | "jsonmapping" => self.mapping = Some(json_text(value)),
            "ingestionmappingreference"
            | "csvmappingreference"
            | "jsonmappingreference"
            | "mappingreference" => {
                self.mapping_reference = Some(text(name, value)?);
            }
            "ingestionmappingtype" | "ingestionmappingkind" => {
                self.mapping_kind = Some(text(name, value)?.to_ascii_lowercase());
            }
            "ignorefirstrecord" => self.ignore_first_record = boolean(name, value)?,
            "creationtime" => self.creation_time = moment(name, value)?,
            "treatgzasuncompressed" => self.treat_gz_as_uncompressed = boolean(name, value)?,
            // True is what happens anyway; false would be a promise that is not kept.
            "policy_ingestiontime" if boolean(name, value)? => {}
            // These change nothing here: one node, details are always kept, a ragged source always fails.
            "authorizationcontext" | "validationpolicy" | "persistdetails" | "distributed" => {}
            _ => self.unknown.push(name.to_owned()),
        }
        Ok(())
    }
}

fn unreadable(name: &str, value: &Json, wanted: &str) -> IngestFailure {
    IngestFailure::permanent(
        "General_BadRequest",
        format!("ingestion property {name} is {value}; it must be {wanted}"),
    )
}

fn text(name: &str, value: &Json) -> Result<String, IngestFailure> {
    value.as_str().map(str::to_owned).ok_or_else(|| unreadable(name, value, "a string"))
}

fn json_text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn boolean(name: &str, value: &Json) -> Result<bool, IngestFailure> {
    match value {
        Json::Bool(flag) => Ok(*flag),
        Json::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Json::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(unreadable(name, value, "true or false")),
    }
}

/// A JSON array of strings, its text, or (as some clients send it) one bare value.
fn list(name: &str, value: &Json) -> Result<Vec<String>, IngestFailure> {
    let wanted = "a JSON array of strings";
    let parsed;
    let items = match value {
        Json::Array(items) => items,
        Json::String(text) if text.trim_start().starts_with('[') => {
            parsed = serde_json::from_str::<Vec<Json>>(text).map_err(|_| unreadable(name, value, wanted))?;
            &parsed
        }
        Json::String(bare) => return Ok(vec![bare.clone()]),
        _ => return Err(unreadable(name, value, wanted)),
    };
    items
        .iter()
        .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| unreadable(name, value, wanted)))
        .collect()
}

/// Ticks; none for the zero time that stands for "not set".
fn moment(name: &str, value: &Json) -> Result<Option<i64>, IngestFailure> {
    let ticks =
        value.as_str().and_then(parse_datetime).ok_or_else(|| unreadable(name, value, "a datetime"))?;
    Ok(Some(ticks).filter(|ticks| *ticks > 0))
}

/// A blob's address without SAS, key or identity, as it may be shown and logged.
pub(crate) fn without_secret(url: &str) -> &str {
    let end = url.find(['?', ';']).unwrap_or(url.len());
    &url[..end]
}
