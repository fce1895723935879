//! The queue message: what data management is told about a blob.
//!
//! JSON with the property names of `MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/api/netfx/kusto-ingest-client-rest.md`, base64-encoded. Values and spellings are those that the
//! Python client sends (`Azure/azure-kusto-python azure-kusto-ingest/azure/kusto/ingest/ingestion_blob_info.py`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::{Error, ErrorKind, Ingestion, IngestionMapping, Report, Result, UploadedBlob};

/// The largest text a storage queue takes, after encoding
/// (<https://learn.microsoft.com/rest/api/storageservices/put-message>).
pub(crate) const LIMIT: usize = 64 * 1024;

/// What a message says that is no property of the ingestion.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// The opaque proof of who is asking, from `.get kusto identity token`.
    pub(crate) authorization: &'a SecretString,
    /// The signature with which the service can read the blob.
    pub(crate) signature: &'a SecretString,
    /// Address and signature of the status table, for [`Report::Table`].
    pub(crate) status_table: Option<(&'a str, &'a SecretString)>,
    pub(crate) application: &'a str,
    pub(crate) client_version: &'a str,
    pub(crate) now: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Message<'a> {
    blob_path: String,
    raw_data_size: u64,
    database_name: &'a str,
    table_name: &'a str,
    retain_blob_on_success: bool,
    flush_immediately: bool,
    ignore_size_limit: bool,
    report_level: u8,
    report_method: u8,
    source_message_creation_time: String,
    id: String,
    application_for_tracing: &'a str,
    client_version_for_tracing: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingestion_status_in_table: Option<StatusRow>,
    additional_properties: Properties<'a>,
}

/// Where the service writes the outcome.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StatusRow {
    table_connection_string: String,
    partition_key: String,
    row_key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties<'a> {
    authorization_context: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingest_if_not_exists: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingestion_mapping: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingestion_mapping_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingestion_mapping_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_time: Option<&'a str>,
    format: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ignore_first_record: bool,
}

/// `ReportLevel`: nothing, or failures and successes.
const LEVEL_NONE: u8 = 1;
const LEVEL_ALL: u8 = 2;
/// `ReportMethod`: a queue (meaningless with level none), or the status table.
const METHOD_QUEUE: u8 = 0;
const METHOD_TABLE: u8 = 1;

/// The text to post: base64 of the JSON.
///
/// # Errors
/// [`ErrorKind::TooLarge`] when it does not fit into a queue message, naming the longest part;
/// [`ErrorKind::InvalidOption`] for a mapping with a format that has none.
pub(crate) fn encode(ingestion: &Ingestion, blob: &UploadedBlob, context: &Context<'_>) -> Result<String> {
    let message = build(ingestion, blob, context)?;
    let json = serde_json::to_vec(&message).map_err(|error| {
        Error::new(ErrorKind::Protocol, "write a queue message", &ingestion.table, error.to_string())
    })?;
    let text = BASE64.encode(json);
    if text.len() > LIMIT {
        return Err(too_large(ingestion, text.len()));
    }
    Ok(text)
}

fn build<'a>(
    ingestion: &'a Ingestion,
    blob: &'a UploadedBlob,
    context: &'a Context<'a>,
) -> Result<Message<'a>> {
    let report = ingestion.report == Report::Table;
    let id = ingestion.source_id.to_string();
    let status = context.status_table.filter(|_| report).map(|(table, signature)| StatusRow {
        table_connection_string: signed(table, signature),
        partition_key: id.clone(),
        row_key: id.clone(),
    });
    Ok(Message {
        blob_path: signed(&blob_address(blob), context.signature),
        raw_data_size: blob.raw_bytes,
        database_name: &ingestion.database,
        table_name: &ingestion.table,
        retain_blob_on_success: ingestion.retain_blob_on_success,
        flush_immediately: ingestion.flush_immediately,
        ignore_size_limit: false,
        report_level: if report { LEVEL_ALL } else { LEVEL_NONE },
        report_method: if report { METHOD_TABLE } else { METHOD_QUEUE },
        source_message_creation_time: context.now.to_string(),
        id,
        application_for_tracing: context.application,
        client_version_for_tracing: context.client_version,
        ingestion_status_in_table: status,
        additional_properties: properties(ingestion, context.authorization)?,
    })
}

fn properties<'a>(ingestion: &'a Ingestion, authorization: &'a SecretString) -> Result<Properties<'a>> {
    let (inline, reference) = match &ingestion.mapping {
        None => (None, None),
        Some(IngestionMapping::Inline(mapping)) => (Some(mapping.as_str()), None),
        Some(IngestionMapping::Reference(name)) => (None, Some(name.as_str())),
    };
    let kind = ingestion.mapping.as_ref().map(|_| mapping_kind(&ingestion.format)).transpose()?;
    Ok(Properties {
        authorization_context: authorization.expose_secret(),
        tags: json_array(all_tags(ingestion)),
        ingest_if_not_exists: json_array(ingestion.ingest_if_not_exists.clone()),
        ingestion_mapping: inline,
        ingestion_mapping_reference: reference,
        ingestion_mapping_type: kind,
        creation_time: ingestion.creation_time.as_deref(),
        format: &ingestion.format,
        ignore_first_record: ingestion.ignore_first_record,
    })
}

/// All tags in full: additional ones as they stand, then `drop-by:`, then `ingest-by:`.
fn all_tags(ingestion: &Ingestion) -> Vec<String> {
    let prefixed = |prefix: &str, tags: &[String]| -> Vec<String> {
        tags.iter().map(|tag| format!("{prefix}{tag}")).collect()
    };
    [
        ingestion.additional_tags.clone(),
        prefixed("drop-by:", &ingestion.drop_by_tags),
        prefixed("ingest-by:", &ingestion.ingest_by_tags),
    ]
    .concat()
}

/// The service wants lists as strings that hold a JSON array.
fn json_array(values: Vec<String>) -> Option<String> {
    (!values.is_empty()).then(|| serde_json::Value::from(values).to_string())
}

/// The kind of ingestion mapping that goes with a data format
/// (`data-explorer/kusto/management/mappings.md`).
fn mapping_kind(format: &str) -> Result<&'static str> {
    match format {
        "csv" | "tsv" | "tsve" | "psv" | "scsv" | "sohsv" | "txt" | "raw" => Ok("Csv"),
        "json" | "singlejson" | "multijson" => Ok("Json"),
        "avro" => Ok("Avro"),
        "apacheavro" => Ok("ApacheAvro"),
        "parquet" => Ok("Parquet"),
        "orc" => Ok("Orc"),
        "sstream" => Ok("SStream"),
        "w3clogfile" => Ok("W3CLogFile"),
        other => Err(Error::new(
            ErrorKind::InvalidOption,
            "queue a blob",
            format!("format {other}"),
            "no kind of ingestion mapping goes with this format",
        )),
    }
}

/// The blob's address without a signature; its name is percent-encoded as a path segment.
pub(crate) fn blob_address(blob: &UploadedBlob) -> String {
    let name = percent_encoding::utf8_percent_encode(&blob.name, SEGMENT);
    format!("{}/{name}", blob.container.trim_end_matches('/'))
}

/// Everything but what RFC 3986 leaves unreserved.
const SEGMENT: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) fn signed(address: &str, signature: &SecretString) -> String {
    match signature.expose_secret() {
        "" => address.to_owned(),
        signature => format!("{address}?{signature}"),
    }
}

/// Whether the message would fit, with plausible lengths for what is not known yet.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn check_size(ingestion: &Ingestion, blob: &UploadedBlob) -> Result<()> {
    let context = Context {
        authorization: &SecretString::from("a".repeat(2048)),
        signature: &SecretString::from("s".repeat(256)),
        status_table: None,
        application: "application",
        client_version: "version",
        now: Timestamp::UNIX_EPOCH,
    };
    encode(ingestion, blob, &context).map(|_| ())
}

fn too_large(ingestion: &Ingestion, bytes: usize) -> Error {
    let mapping = match &ingestion.mapping {
        Some(IngestionMapping::Inline(mapping)) => mapping.len(),
        _ => 0,
    };
    let tags: usize = [
        &ingestion.additional_tags,
        &ingestion.drop_by_tags,
        &ingestion.ingest_by_tags,
        &ingestion.ingest_if_not_exists,
    ]
    .iter()
    .flat_map(|tags| tags.iter())
    .map(|tag| tag.len() + "ingest-by:".len())
    .sum();
    let advice = if mapping >= tags {
        format!(
            "Create the ingestion mapping ({mapping} bytes) in the table and refer to it by name: \
             .create-or-alter table {} ingestion {} mapping 'name' '[...]'",
            crate::quote_name(&ingestion.table),
            mapping_kind(&ingestion.format).unwrap_or("csv").to_ascii_lowercase(),
        )
    } else {
        format!("Use fewer or shorter tags: they take {tags} bytes.")
    };
    Error::new(
        ErrorKind::TooLarge,
        "queue a blob",
        format!("{}.{}", ingestion.database, ingestion.table),
        format!("the message has {bytes} bytes, a storage queue takes {LIMIT}"),
    )
    .with_advice(advice)
}

#[cfg(test)]
mod tests;
