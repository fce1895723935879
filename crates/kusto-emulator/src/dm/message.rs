//! The queue message of an ingestion, in all the spellings that clients use.
//!
//! Base64 of JSON or bare JSON; keys in any case; numbers and booleans as themselves or as strings; enumerations by
//! number or name; null, `{}` and the empty string for "not set". Source: `MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/api/netfx/kusto-ingest-client-rest.md`, and what the official SDKs send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::storage::Key;

/// A decoded message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct IngestionMessage {
    pub(super) id: Uuid,
    /// Address with its secret: never shown.
    pub(super) blob: String,
    /// Uncompressed bytes; 0 and absent both mean unknown.
    pub(super) raw_size: Option<u64>,
    pub(super) database: String,
    pub(super) table: String,
    pub(super) retain: bool,
    pub(super) flush: bool,
    pub(super) level: ReportLevel,
    pub(super) method: ReportMethod,
    pub(super) status: Option<StatusRow>,
    /// `AdditionalProperties`.
    pub(super) properties: Map<String, Value>,
    /// `authorizationContext`.
    pub(super) authorization: String,
}

/// Where a client expects the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatusRow {
    /// Address with its secret: never shown.
    pub(super) table: String,
    pub(super) key: Key,
}

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReportLevel {
    FailuresOnly,
    None,
    FailuresAndSuccesses,
}

/// Where it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReportMethod {
    pub(super) queue: bool,
    pub(super) table: bool,
}

impl IngestionMessage {
    /// Reads a message; the error says which part is missing or odd.
    pub(super) fn decode(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let decoded;
        let json = if text.starts_with('{') {
            text.as_bytes()
        } else {
            decoded = STANDARD.decode(text).map_err(|_| "it is neither JSON nor base64")?;
            &decoded
        };
        match serde_json::from_slice(json) {
            Ok(Value::Object(fields)) => Self::read(&Fields::new(fields)),
            Ok(_) => Err("it is not a JSON object".to_owned()),
            Err(error) => Err(format!("it is not JSON: {error}")),
        }
    }

    fn read(fields: &Fields) -> Result<Self, String> {
        let properties = fields.object("AdditionalProperties")?.cloned().unwrap_or_default();
        let authorization = Fields::new(properties.clone()).text("authorizationContext").unwrap_or_default();
        Ok(Self {
            id: fields.required("Id")?.parse().map_err(|_| "its Id is no GUID")?,
            blob: fields.required("BlobPath")?,
            raw_size: fields.number("RawDataSize")?.filter(|size| *size > 0),
            database: fields.required("DatabaseName")?,
            table: fields.required("TableName")?,
            retain: fields.boolean("RetainBlobOnSuccess")?,
            flush: fields.boolean("FlushImmediately")?,
            level: level(fields.get("ReportLevel"))?,
            method: method(fields.get("ReportMethod"))?,
            status: fields.object("IngestionStatusInTable")?.and_then(status_row),
            properties,
            authorization,
        })
    }
}

/// An object's fields by lower-case name, without those that are not set.
struct Fields(Map<String, Value>);

impl Fields {
    fn new(fields: Map<String, Value>) -> Self {
        Self(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(k, v)| (k.to_lowercase(), v))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(&name.to_lowercase())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn required(&self, name: &str) -> Result<String, String> {
        self.text(name).ok_or_else(|| format!("it has no {name}"))
    }

    fn object(&self, name: &str) -> Result<Option<&Map<String, Value>>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(format!("its {name} is no object")),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let odd = || format!("its {name} is no size");
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| odd()),
            Some(value) => {
                let whole = value.as_u64().or_else(|| value.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64));
                whole.map(Some).ok_or_else(odd)
            }
        }
    }

    fn boolean(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.is_empty() || text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(format!("its {name} is neither true nor false")),
        }
    }
}

/// The name or the number of an enumeration's value, in lower case.
fn word(value: Option<&Value>) -> String {
    match value {
        None => "0".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "0".to_owned(),
        Some(Value::String(text)) => text.to_ascii_lowercase(),
        Some(other) => other.to_string(),
    }
}

fn level(value: Option<&Value>) -> Result<ReportLevel, String> {
    match word(value).as_str() {
        "0" | "failuresonly" => Ok(ReportLevel::FailuresOnly),
        "1" | "none" | "donotreport" => Ok(ReportLevel::None),
        "2" | "failuresandsuccesses" => Ok(ReportLevel::FailuresAndSuccesses),
        other => Err(format!("its ReportLevel is {other}")),
    }
}

fn method(value: Option<&Value>) -> Result<ReportMethod, String> {
    let (queue, table) = match word(value).as_str() {
        "0" | "queue" => (true, false),
        "1" | "table" => (false, true),
        "2" | "queueandtable" => (true, true),
        // Azure Monitor is not here to be told.
        "3" | "azuremonitoring" => (false, false),
        other => return Err(format!("its ReportMethod is {other}")),
    };
    Ok(ReportMethod { queue, table })
}

/// `None` for `{}`.
fn status_row(given: &Map<String, Value>) -> Option<StatusRow> {
    let fields = Fields::new(given.clone());
    let table = fields.text("TableConnectionString")?;
    Some(StatusRow { table, key: (fields.text("PartitionKey")?, fields.text("RowKey")?) })
}
