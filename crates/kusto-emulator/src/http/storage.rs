//! Storage requests: which service, which operation, signed by whom, and errors in the form of Azure Storage.
//!
//! ```text
//!   cluster's port ─► any ──────┐ service: whose name it is    /account                  account.rs    lists, properties
//!   port of a service ─► router ┴─► handle ─► operation ─►     /account/container        container.rs
//!                                   then `authorise`, effect   /account/container/blob   blob.rs
//!                                                              /account/queue[/messages] queues.rs, queue.rs
//!                                                              /account/Tables, /table   tables.rs, table.rs
//! ```

use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::control::Peer;
use super::front::{Foreign, Front};
use super::{
    BodyError, Exchange, RequestBody, account, blob, container, error, queue, queues, table, tables, xml,
};
use crate::faults::Mischief;
use crate::requests::Endpoint;
use crate::storage::{
    Claim, Level, Needs, Origin, Place, Query, Service, StorageError, StorageResult, Target, VERSION,
};

/// A storage request, taken apart.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// As it was sent.
    pub(super) path: String,
    /// The container, queue or table; its name is empty if the request is about the account.
    pub(super) place: Place,
    /// What follows the container, queue or table, decoded; without the slash.
    pub(super) item: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) peer: IpAddr,
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

    fn claim(&self, service: Service, secure: bool) -> Claim<'_> {
        let item = (service == Service::Blob && !self.item.is_empty()).then_some(self.item.as_str());
        let resource = self.place.resource.as_str();
        let target = Target { service, account: &self.place.account, resource, item };
        Claim {
            target,
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            origin: Origin { peer: self.peer, secure },
        }
    }
}

/// An operation of a storage service: its name in the REST API, and what it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) needs: Needs,
}

/// An operation by name, level, and one of the permissions that it needs in a service SAS and in an account SAS.
pub(super) const fn op(
    name: &'static str,
    level: Level,
    sas: &'static str,
    account_sas: &'static str,
) -> Operation {
    Operation { name, needs: Needs { level, sas, account_sas } }
}

/// What the emulator does not do.
pub(super) const UNSUPPORTED: Operation = op("Unsupported", Level::Service, "", "");

/// Everything on the cluster's port that no other route takes.
pub(super) async fn any(State(front): State<Front>, request: Request) -> Response<Body> {
    handle(front, request, None).await
}

/// What answers on the port of one service.
pub(crate) fn service_router(front: Front, service: Service) -> Router {
    let answer = move |State(front): State<Front>, request: Request| handle(front, request, Some(service));
    Router::new().fallback(answer).with_state(front)
}

async fn handle(front: Front, request: Request, door: Option<Service>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut body = RequestBody::new(body, front.client_patience);
    let here = |asked: &Asked| {
        front.storage.account(&asked.place.account).is_some()
            && (door.is_some() || !asked.place.resource.is_empty())
    };
    let Some(mut asked) = take_apart(&head).filter(here) else {
        return match door {
            None => unknown(&front, &head.uri, &head.headers, body).await,
            Some(service) => nobody(&front, service, &head, body).await,
        };
    };
    let scope = format!("{}/{}", asked.place.account, asked.place.resource);
    let Some(service) = door.or_else(|| front.storage.service(&asked.place)) else {
        let effect = async { refused(&front, &StorageError::entity_not_found()) };
        let response =
            front.exchange(Exchange::new(Endpoint::Unknown, head.uri.path(), scope, ""), effect).await;
        body.drain().await;
        return finished(&front, &asked.headers, response);
    };
    if service == Service::Table {
        asked.place = front.storage.table_by_any_case(asked.place);
    }
    let operation = operation(service, &asked);
    let exchange = Exchange::new(endpoint(service), operation.name, scope, "");
    let effect = async |mischief: Mischief| {
        let answered = perform(&front, (service, operation), &asked, &mut body, mischief).await;
        answered.unwrap_or_else(|error| refused_by(service, &front, &error))
    };
    let response = front.exchange_with(exchange, effect).await;
    body.drain().await;
    finished(&front, &asked.headers, response)
}

fn endpoint(service: Service) -> Endpoint {
    match service {
        Service::Blob => Endpoint::Blob,
        Service::Queue => Endpoint::Queue,
        Service::Table => Endpoint::Table,
    }
}

fn operation(service: Service, asked: &Asked) -> Operation {
    match service {
        _ if asked.place.resource.is_empty() => account::operation(service, asked),
        Service::Blob if asked.item.is_empty() => container::operation(asked),
        Service::Blob => blob::operation(asked),
        Service::Queue if asked.item.is_empty() => queues::operation(asked),
        Service::Queue => queue::operation(asked),
        Service::Table if tables::is_about(asked) => tables::operation(asked),
        Service::Table => table::operation(asked),
    }
}

async fn perform(
    front: &Front,
    (service, operation): (Service, Operation),
    asked: &Asked,
    body: &mut RequestBody,
    mischief: Mischief,
) -> StorageResult<Response<Body>> {
    if operation.name == UNSUPPORTED.name {
        return Err(unsupported(service, asked));
    }
    let right =
        front.storage.authorise(&asked.claim(service, front.base.starts_with("https:")), operation.needs)?;
    let name = operation.name;
    match service {
        _ if asked.place.resource.is_empty() => account::answer(front, name, service, asked),
        Service::Blob if asked.item.is_empty() => container::answer(front, name, asked, body).await,
        Service::Blob => blob::answer(front, name, asked, body, &right).await,
        Service::Queue if asked.item.is_empty() => queues::answer(front, name, asked, body).await,
        Service::Queue => queue::answer(front, name, asked, (body, mischief.message)).await,
        Service::Table if tables::is_about(asked) => tables::answer(front, name, asked, body).await,
        Service::Table => table::answer(front, name, asked, body, &right).await,
    }
}

fn unsupported(service: Service, asked: &Asked) -> StorageError {
    let part = |name: &str| asked.query.get(name).map(|value| format!(" {name}={value}")).unwrap_or_default();
    let (comp, kind) = (part("comp"), part("restype"));
    StorageError::unsupported(&format!(
        "{}{kind}{comp} of {} storage at this path",
        asked.method,
        service.name()
    ))
}

/// `/account[/resource[/item]]`. The official Node client for tables encodes the slash behind the account.
fn take_apart(head: &Parts) -> Option<Asked> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    let path = head.uri.path().strip_prefix('/')?;
    let (account, path) = match (path.split_once('/'), path.split_once("%2F")) {
        (Some(plain), Some(encoded)) if plain.0.len() > encoded.0.len() => encoded,
        (plain, encoded) => plain.or(encoded).unwrap_or((path, "")),
    };
    let account = decode(account)?;
    let mut parts = path.splitn(2, '/');
    let mut resource = decode(parts.next().unwrap_or_default())?;
    let mut item = decode(parts.next().unwrap_or_default())?;
    // A table's keys stand behind its name: T(PartitionKey='..',RowKey='..'), slashes in them included.
    if let Some(keys) = resource.find('(') {
        let rest = resource.split_off(keys);
        item = if item.is_empty() { rest } else { format!("{rest}/{item}") };
    }
    let peer = head.extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical());
    Some(Asked {
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        place: Place::new(account, resource),
        item,
        query: Query::parse(head.uri.query().unwrap_or_default()),
        headers: head.headers.clone(),
        peer: peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    })
}

/// No account of that name, or no readable path, on the port of a service.
async fn nobody(front: &Front, service: Service, head: &Parts, mut body: RequestBody) -> Response<Body> {
    let effect = async { refused_by(service, front, &StorageError::entity_not_found()) };
    let exchange = Exchange::new(endpoint(service), "Unknown", head.uri.path(), "");
    let response = front.exchange(exchange, effect).await;
    body.drain().await;
    finished(front, &head.headers, response)
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

/// An error in the form of a service.
fn refused_by(service: Service, front: &Front, error: &StorageError) -> Response<Body> {
    match service {
        Service::Table => table::refused(error),
        Service::Blob | Service::Queue => refused(front, error),
    }
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

/// The headers that every answer of storage has. `headers` are the request's.
fn finished(front: &Front, headers: &HeaderMap, mut response: Response<Body>) -> Response<Body> {
    if response.extensions().get::<Foreign>().is_some() {
        return response;
    }
    set(&mut response, "x-ms-request-id", &front.storage.new_id().to_string());
    set(
        &mut response,
        "x-ms-version",
        headers.get("x-ms-version").and_then(|value| value.to_str().ok()).unwrap_or(VERSION),
    );
    set(&mut response, "date", &http_date(front.clock.now()));
    if let Some(id) = headers.get("x-ms-client-request-id") {
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
