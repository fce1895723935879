//! Rows of the status table: written before a message is posted, kept up to date by the service, read by us.
//!
//! Two requests of the table service's REST interface, by hand: no maintained crate has them. The row is keyed by the
//! source id twice, as the Java and Node clients do; states and columns:
//! `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/netfx/kusto-ingest-client-status.md`.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::message::blob_address;
use super::resources::Storage;
use crate::http::{Answer, Attempt, Http, SMALL_LIMIT};
use crate::redact::redact;
use crate::transport::NOT_STORAGE;
use crate::{
    Effect, Error, ErrorKind, FailureStatus, Ingestion, IngestionState, IngestionStatus, Result,
    UploadedBlob, failure, quote_name,
};

/// Version of the table service that knows JSON without metadata and every signature of today.
const VERSION: HeaderValue = HeaderValue::from_static("2019-02-02");
const JSON: HeaderValue = HeaderValue::from_static("application/json;odata=nometadata");

/// Whether a row was made, or is one of an earlier attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    New,
    WasThere,
}

/// Makes sure that the row is there. One of an earlier attempt stays as it is.
pub(crate) async fn insert(
    http: &Http,
    table: &Storage,
    ingestion: &Ingestion,
    blob: &UploadedBlob,
    timeout: Duration,
) -> Result<Inserted> {
    let attempt = Attempt {
        operation: "insert an ingestion's status row",
        target: table.address.to_string(),
        effect: Effect::Unknown,
        timeout,
    };
    let id = ingestion.source_id.to_string();
    let row = json!({
        "PartitionKey": id,
        "RowKey": id,
        "Status": "Pending",
        "IngestionSourceId": id,
        "IngestionSourcePath": blob_address(blob),
        "Database": ingestion.database,
        "Table": ingestion.table,
        "UpdatedOn": Timestamp::now().to_string(),
        "UpdatedOn@odata.type": "Edm.DateTime",
    });
    let mut request = request(Method::POST, table.signed());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let no_content = HeaderValue::from_static("return-no-content");
    request.headers_mut().insert(HeaderName::from_static("prefer"), no_content);
    *request.body_mut() = Some(row.to_string().into());
    let answer = http.send(request, &attempt, SMALL_LIMIT).await?;
    match answer.status {
        201 | 204 => Ok(Inserted::New),
        409 => Ok(Inserted::WasThere),
        200..=299 => Err(Error::new(ErrorKind::Protocol, attempt.operation, &attempt.target, NOT_STORAGE)
            .with_effect(Effect::Unknown)),
        _ => Err(refusal(&answer, &attempt)),
    }
}

/// Reads the row.
pub(crate) async fn read(
    http: &Http,
    table: &Storage,
    id: Uuid,
    timeout: Duration,
) -> Result<IngestionStatus> {
    let attempt = Attempt {
        operation: "read an ingestion's status",
        target: format!("{id} in {}", table.address),
        effect: Effect::None,
        timeout,
    };
    let mut url = table.signed();
    let path = format!("{}(PartitionKey='{id}',RowKey='{id}')", url.path());
    url.set_path(&path);
    let answer = http.send(request(Method::GET, url), &attempt, SMALL_LIMIT).await?;
    match answer.status {
        200 => parse(&answer.body, &attempt),
        _ => Err(refusal(&answer, &attempt)),
    }
}

fn request(method: Method, url: Url) -> Request {
    let mut request = Request::new(method, url);
    request.headers_mut().insert(ACCEPT, JSON);
    request.headers_mut().insert(HeaderName::from_static("x-ms-version"), VERSION);
    let data = HeaderValue::from_static("3.0;NetFx");
    request.headers_mut().insert(HeaderName::from_static("dataserviceversion"), data);
    request
}

fn refusal(answer: &Answer, attempt: &Attempt) -> Error {
    let id = answer.header("x-ms-request-id");
    failure::refusal(answer, attempt).with_ids(None, id)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    status: String,
    failure_status: Option<Value>,
    error_code: Option<Value>,
    details: Option<String>,
    operation_id: Option<String>,
    activity_id: Option<String>,
}

fn parse(body: &[u8], attempt: &Attempt) -> Result<IngestionStatus> {
    let garbled =
        |message: String| Error::new(ErrorKind::Protocol, attempt.operation, &attempt.target, message);
    let row: Row =
        serde_json::from_slice(body).map_err(|error| garbled(format!("the row cannot be read: {error}")))?;
    let state = state(&row.status)
        .ok_or_else(|| garbled(format!("the state `{}` is not known", redact(&row.status))))?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(IngestionStatus {
        state,
        failure: row.failure_status.as_ref().map(failure_status).unwrap_or_default(),
        error_code: filled(row.error_code.map(plain)),
        details: filled(row.details.map(|details| redact(&details))),
        operation_id: filled(row.operation_id),
        activity_id: filled(row.activity_id),
    })
}

/// Text as it is, a number as its digits.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn state(name: &str) -> Option<IngestionState> {
    Some(match name.to_ascii_lowercase().as_str() {
        "pending" => IngestionState::Pending,
        "succeeded" => IngestionState::Succeeded,
        "failed" => IngestionState::Failed,
        "queued" => IngestionState::Queued,
        "skipped" => IngestionState::Skipped,
        "partiallysucceeded" => IngestionState::PartiallySucceeded,
        _ => return None,
    })
}

/// By name or by number, as the services of different ages write it.
fn failure_status(value: &Value) -> FailureStatus {
    match plain(value.clone()).to_ascii_lowercase().as_str() {
        "permanent" | "1" => FailureStatus::Permanent,
        "transient" | "2" => FailureStatus::Transient,
        "exhausted" | "3" => FailureStatus::Exhausted,
        _ => FailureStatus::Unknown,
    }
}

impl IngestionStatus {
    /// A sentence for a person: state, code and the service's words.
    pub fn summary(&self, ingestion: &Ingestion) -> String {
        let code = self.error_code.as_deref().map(|code| format!(" with {code}")).unwrap_or_default();
        let details = self.details.as_deref().map(|details| format!(": {details}")).unwrap_or_default();
        let table = format!("{}.{}", quote_name(&ingestion.database), quote_name(&ingestion.table));
        format!("the ingestion into {table} ended as {:?}{code}{details}", self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<IngestionStatus> {
        let attempt =
            Attempt { operation: "read", target: "t".into(), effect: Effect::None, timeout: Duration::ZERO };
        parse(body.as_bytes(), &attempt)
    }

    #[test]
    fn a_row_is_read_in_every_spelling() {
        let status = read(
            r#"{"PartitionKey":"x","Status":"Failed","FailureStatus":"Permanent","ErrorCode":"Stream_WrongNumberOfFields",
                "Details":"https://a/b?sig=abc","OperationId":"o","ActivityId":""}"#,
        )
        .unwrap();
        assert_eq!(status.state, IngestionState::Failed);
        assert_eq!(status.failure, FailureStatus::Permanent);
        assert_eq!(status.error_code.as_deref(), Some("Stream_WrongNumberOfFields"));
        assert_eq!(status.details.as_deref(), Some("https://a/b?sig=[hidden]"));
        assert_eq!((status.operation_id.as_deref(), status.activity_id), (Some("o"), None));
        assert_eq!(read(r#"{"Status":"pending"}"#).unwrap().state, IngestionState::Pending);
        assert_eq!(
            read(r#"{"Status":"Failed","FailureStatus":2}"#).unwrap().failure,
            FailureStatus::Transient
        );
    }

    #[test]
    fn a_state_that_is_not_known_is_no_state() {
        for body in [r#"{"Status":"Sideways"}"#, "{}", "", "[]", r#"{"Status":1}"#] {
            assert_eq!(read(body).unwrap_err().kind(), ErrorKind::Protocol, "{body}");
        }
    }

    #[test]
    fn no_damage_to_a_row_makes_the_reader_panic_or_invents_a_state() {
        let examples = [
            r#"{"PartitionKey":"x","RowKey":"x","Status":"Failed","FailureStatus":"Permanent","ErrorCode":"BadRequest",
                "Details":"https://a/b?sig=abc","OperationId":"o","ActivityId":"a","UpdatedOn":"2026-01-01T00:00:00Z"}"#,
            r#"{"Status":"PartiallySucceeded","FailureStatus":3,"ErrorCode":-2147,"Details":null}"#,
            r#"{"odata.metadata":"m","value":[{"Status":"Pending"}]}"#,
            "<entry><content><m:properties><d:Status>Pending</d:Status></m:properties></content></entry>",
        ];
        crate::fuzz::fuzz("status row", &examples, |body| {
            let attempt = Attempt {
                operation: "read",
                target: "t".into(),
                effect: Effect::None,
                timeout: Duration::ZERO,
            };
            if let Ok(status) = parse(body, &attempt) {
                let name = format!("{:?}", status.state).to_ascii_lowercase();
                assert!(
                    String::from_utf8_lossy(body).to_ascii_lowercase().contains(&name)
                        || body.contains(&b'\\')
                );
            }
        });
    }
}
