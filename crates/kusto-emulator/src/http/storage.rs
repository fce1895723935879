//! Storage requests: which service, which operation, signed by whom, and errors in the form of Azure Storage.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::front::Front;
use super::{BodyError, Exchange, RequestBody, blob, error, queue, table, xml};
use crate::faults::Mischief;
use crate::requests::Endpoint;
use crate::storage::{Place, Query, Service, StorageError, StorageResult, VERSION};

/// A storage request, taken apart.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) place: Place,
    /// What follows the container, queue or table, decoded; without the slash.
    pub(super) item: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
}

impl Asked {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A whole number of the query within `range`, or `default`.
    pub(super) fn number(
        &self,
        name: &str,
        default: i64,
        range: std::ops::RangeInclusive<i64>,
    ) -> StorageResult<i64> {
        match self.query.number(name) {
            None => Ok(default),
            Some(Ok(number)) if range.contains(&number) => Ok(number),
            Some(_) => Err(StorageError::new(
                400,
                "OutOfRangeQueryParameterValue",
                format!("{name} is not a whole number from {} to {}.", range.start(), range.end()),
            )),
        }
    }
}

/// Everything that no other route takes.
pub(super) async fn any(
    State(front): State<Front>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let mut body = RequestBody::new(body);
    let known = take_apart(&method, &uri, &headers)
        .filter(|asked| front.storage.account(&asked.place.account).is_some());
    let Some(asked) = known else { return unknown(&front, &uri, &headers, body).await };
    let Some(service) = front.storage.service(&asked.place) else {
        let scope = format!("{}/{}", asked.place.account, asked.place.resource);
        let effect = async { refused(&front, &StorageError::entity_not_found()) };
        let response = front.exchange(Exchange::new(Endpoint::Unknown, uri.path(), scope, ""), effect).await;
        body.drain().await;
        return finished(&front, &asked, response);
    };
    let (endpoint, operation) = match service {
        Service::Blob => (Endpoint::Blob, blob::operation(&asked)),
        Service::Queue => (Endpoint::Queue, queue::operation(&asked)),
        Service::Table => (Endpoint::Table, table::operation(&asked)),
    };
    let scope = format!("{}/{}", asked.place.account, asked.place.resource);
    let exchange = Exchange::new(endpoint, operation, scope, "");
    let effect = async |mischief: Mischief| {
        let answered = match service {
            Service::Blob => blob::answer(&front, operation, &asked, &mut body).await,
            Service::Queue => queue::answer(&front, operation, &asked, (&mut body, mischief.message)).await,
            Service::Table => table::answer(&front, operation, &asked, &mut body).await,
        };
        match answered {
            Ok(response) => response,
            Err(error) if service == Service::Table => table::refused(&error),
            Err(error) => refused(&front, &error),
        }
    };
    let response = front.exchange_with(exchange, effect).await;
    body.drain().await;
    finished(&front, &asked, response)
}

/// `/account/resource[/item]`. The official Node client for tables encodes the slash behind the account.
fn take_apart(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Asked> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    let path = uri.path().strip_prefix('/')?;
    let (account, path) = match (path.split_once('/'), path.split_once("%2F")) {
        (Some(plain), Some(encoded)) if plain.0.len() > encoded.0.len() => encoded,
        (plain, encoded) => plain.or(encoded)?,
    };
    let account = decode(account)?;
    let mut parts = path.splitn(2, '/');
    let mut resource = decode(parts.next()?)?;
    let mut item = decode(parts.next().unwrap_or_default())?;
    // A table's keys stand behind its name: T(PartitionKey='..',RowKey='..'), slashes in them included.
    if let Some(keys) = resource.find('(') {
        let rest = resource.split_off(keys);
        item = if item.is_empty() { rest } else { format!("{rest}/{item}") };
    }
    Some(Asked {
        method: method.clone(),
        place: Place::new(account, resource),
        item,
        query: Query::parse(uri.query().unwrap_or_default()),
        headers: headers.clone(),
    })
}

async fn unknown(front: &Front, uri: &Uri, headers: &HeaderMap, mut body: RequestBody) -> Response<Body> {
    let ids = front.ids(headers);
    let effect = async { error::answer(&error::unknown_path(uri.path()), &ids, front.clock.now()) };
    let mut response = front.exchange(Exchange::new(Endpoint::Unknown, uri.path(), "", ""), effect).await;
    body.drain().await;
    set(&mut response, "x-ms-client-request-id", &ids.client);
    set(&mut response, "x-ms-activity-id", &ids.activity.to_string());
    response
}

/// An error as blob and queue storage say it.
pub(super) fn refused(front: &Front, error: &StorageError) -> Response<Body> {
    let id = front.storage.new_id();
    let message = format!("{}\nRequestId:{id}\nTime:{}", error.message, front.clock.now());
    let detail = error.detail.as_deref().map(|text| ("AuthenticationErrorDetail", text));
    let fields = [("Code", error.code), ("Message", &message)];
    let fields: Vec<_> = fields.into_iter().chain(detail).collect();
    let mut response = xml::response(StatusCode::OK, &xml::error(&fields));
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status == StatusCode::NOT_MODIFIED {
        *response.body_mut() = Body::empty();
    }
    *response.status_mut() = status;
    set(&mut response, "x-ms-error-code", error.code);
    if status == StatusCode::UNAUTHORIZED {
        set(
            &mut response,
            "www-authenticate",
            "Bearer authorization_uri=https://login.microsoftonline.com/common",
        );
    }
    response
}

/// The headers that every answer of storage has.
fn finished(front: &Front, asked: &Asked, mut response: Response<Body>) -> Response<Body> {
    set(&mut response, "x-ms-request-id", &front.storage.new_id().to_string());
    set(&mut response, "x-ms-version", asked.header("x-ms-version").unwrap_or(VERSION));
    set(&mut response, "date", &http_date(front.clock.now()));
    if let Some(id) = asked.headers.get("x-ms-client-request-id") {
        response.headers_mut().insert("x-ms-client-request-id", id.clone());
    }
    response
}

/// Sets a header; a value that no header can hold is left out.
pub(super) fn set(response: &mut Response<Body>, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
        response.headers_mut().insert(name, value);
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// `Fri, 02 Jan 2026 03:04:05 GMT`.
pub(super) fn http_date(moment: Timestamp) -> String {
    let printed = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&moment);
    printed.unwrap_or_else(|_| moment.to_string())
}

/// Reads a body into memory.
pub(super) async fn small_body(body: &mut RequestBody, limit: u64) -> StorageResult<axum::body::Bytes> {
    body.read_all(limit as usize).await.map_err(|error| body_error(error, limit))
}

/// What a broken body means in storage's words.
pub(super) fn body_error(error: BodyError, limit: u64) -> StorageError {
    match error {
        BodyError::TooLarge => StorageError::too_large(limit),
        BodyError::Silent => StorageError::new(408, "OperationTimedOut", "The body did not arrive in time."),
        BodyError::Broken | BodyError::NotGzip => StorageError::invalid_input("The body broke off."),
    }
}
