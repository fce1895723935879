//! The cluster's endpoints: commands and queries, in; v1 and v2 answers, out.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use serde_json::{Map, Value as Json};

use super::front::Front;
use super::{BodyError, Exchange, RequestBody, RequestIds, answer, body, error, frames, json_response};
use crate::data::ResultTable;
use crate::engine::{EngineError, EngineResult, Principal, RequestContext, RequestProperties};
use crate::faults::Mischief;
use crate::requests::Endpoint;
use crate::storage::Query;

/// The largest body of a command or query, compressed or not: `.ingest inline` is the reason for so much.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// A command or query as it arrived.
#[derive(Debug)]
struct Asked {
    database: String,
    text: String,
    properties: RequestProperties,
    client_request_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Command,
    QueryV1,
    QueryV2,
}

/// `POST /v1/rest/mgmt`.
pub(super) async fn management(
    State(front): State<Front>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    handle(front, Form::Command, &uri, &headers, body).await
}

/// `/v1/rest/query`.
pub(super) async fn query_v1(
    State(front): State<Front>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    handle(front, Form::QueryV1, &uri, &headers, body).await
}

/// `/v2/rest/query`.
pub(super) async fn query_v2(
    State(front): State<Front>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    handle(front, Form::QueryV2, &uri, &headers, body).await
}

/// `POST /v1/rest/ingest/{database}/{table}`: not there yet, and refused in words that clients fall back on.
pub(super) async fn streaming(
    State(front): State<Front>,
    Path((database, table)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let mut body = RequestBody::new(body, front.client_patience);
    let ids = front.ids(&headers);
    let principal = front.principal(&headers);
    let name = principal.as_ref().map(Principal::fqn).unwrap_or_default();
    let exchange =
        Exchange::new(Endpoint::StreamingIngest, "StreamingIngest", format!("{database}/{table}"), name);
    let effect = async {
        let refusal = principal.err().unwrap_or_else(|| {
            EngineError::bad_request(
                "Streaming ingestion is disabled: this emulator takes queued ingestion only.",
            )
        });
        error::answer(&refusal, &ids, front.clock.now())
    };
    let response = front.exchange(exchange, effect).await;
    body.drain().await;
    with_ids(response, &ids)
}

async fn handle(front: Front, form: Form, uri: &Uri, headers: &HeaderMap, body: Body) -> Response<Body> {
    let mut body = RequestBody::new(body, front.client_patience);
    let mut ids = front.ids(headers);
    let principal = front.principal(headers);
    let asked = match uri.query().filter(|_| form != Form::Command && body_is_empty(headers)) {
        Some(query) => from_uri(query),
        None => read(&mut body).await,
    };
    body.drain().await;
    if let Ok(Asked { client_request_id: Some(id), .. }) = &asked
        && !headers.contains_key("x-ms-client-request-id")
    {
        ids.client.clone_from(id);
    }
    let (text, database) = asked.as_ref().map_or(("", ""), |asked| (&asked.text, &asked.database));
    let endpoint = if form == Form::Command { Endpoint::Management } else { Endpoint::Query };
    let name = principal.as_ref().map(Principal::fqn).unwrap_or_default();
    let exchange = Exchange::new(endpoint, text, database, name);
    let effect = async |mischief: Mischief| {
        let answered = match (principal, asked) {
            (Ok(principal), Ok(asked)) => run(&front, form, principal, asked, (&ids, mischief)).await,
            (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
        };
        match answered {
            Ok(answer) => json_response(StatusCode::OK, answer),
            Err(refusal) => error::answer(&refusal, &ids, front.clock.now()),
        }
    };
    with_ids(front.exchange_with(exchange, effect).await, &ids)
}

/// Runs one request on a thread that may block, since the engine does.
async fn run(
    front: &Front,
    form: Form,
    principal: Principal,
    asked: Asked,
    (ids, mischief): (&RequestIds, Mischief),
) -> EngineResult<String> {
    if form == Form::Command
        && let Some(table) = front.data_management.command(front, &asked.text, &principal)
    {
        return table.map(|table| answer::v1_command(&table));
    }
    if form != Form::Command && asked.text.trim_start().starts_with('.') {
        return Err(EngineError::bad_request(
            "a control command goes to /v1/rest/mgmt, not to the query endpoint.",
        ));
    }
    let context = RequestContext {
        principal,
        client_request_id: ids.client.clone(),
        activity_id: ids.activity,
        mischief,
    };
    let (front, ids) = (front.clone(), ids.clone());
    let work = tokio::task::spawn_blocking(move || {
        let (engine, now) = (&front.engine, || front.clock.now());
        match form {
            Form::Command => engine
                .execute(&context, &asked.database, &asked.text, &asked.properties)
                .map(|table| answer::v1_command(&table)),
            Form::QueryV1 => query(&front, &context, &asked).map(|(tables, failure)| match failure {
                Some(limit) => frames::v1_failure(&tables, &limit.detail),
                None => answer::v1_query(&tables, &ids, now()),
            }),
            Form::QueryV2 => {
                let form = frames::Form::of(&asked.properties.options);
                query(&front, &context, &asked).map(|(tables, limit)| {
                    let failure = limit.map(|limit| error::one_api(&limit, &ids, now()));
                    frames::v2_query(&tables, failure.as_ref(), form, &ids, now())
                })
            }
        }
    });
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "the engine did not finish a request");
        Err(EngineError::internal("the engine did not finish the request; this is a defect of the emulator."))
    })
}

/// The tables of a query, and the limit at which the last of them ends too early.
fn query(
    front: &Front,
    context: &RequestContext,
    asked: &Asked,
) -> EngineResult<(Vec<ResultTable>, Option<EngineError>)> {
    front.engine.answer(context, &asked.database, &asked.text, &asked.properties)
}

fn body_is_empty(headers: &HeaderMap) -> bool {
    !headers.contains_key("content-length") && !headers.contains_key("transfer-encoding")
}

/// `GET ...?db=...&csl=...&properties=...`.
fn from_uri(query: &str) -> EngineResult<Asked> {
    let query = Query::parse(query);
    let mut fields = Map::new();
    for name in ["csl", "db", "properties"] {
        if let Some(value) = query.get(name) {
            fields.insert(name.to_owned(), Json::String(value.to_owned()));
        }
    }
    asked(&fields)
}

async fn read(body: &mut RequestBody) -> EngineResult<Asked> {
    let unreadable = |error| match error {
        BodyError::TooLarge => error::too_large(MAX_BODY_BYTES),
        BodyError::Silent => {
            EngineError { status: 408, ..EngineError::bad_request("the body did not arrive in time.") }
        }
        BodyError::Broken => EngineError::bad_request("the body broke off."),
        BodyError::NotGzip => EngineError::bad_request("the body starts like gzip and is not."),
    };
    let bytes = body.read_all(MAX_BODY_BYTES).await.map_err(unreadable)?;
    let bytes = body::plain(bytes, MAX_BODY_BYTES).map_err(unreadable)?;
    match serde_json::from_slice(&bytes) {
        Ok(Json::Object(fields)) => asked(&fields),
        Ok(_) => Err(EngineError::bad_request("the body is not a JSON object.")),
        Err(error) => Err(EngineError::bad_request(format!("the body is not JSON: {error}."))),
    }
}

fn asked(fields: &Map<String, Json>) -> EngineResult<Asked> {
    let text = |name: &str| fields.get(name).and_then(Json::as_str);
    let csl = text("csl").ok_or_else(|| EngineError::bad_request("the request has no 'csl'."))?;
    let (properties, client_request_id) = properties(fields.get("properties"))?;
    Ok(Asked {
        database: text("db").unwrap_or_default().to_owned(),
        text: csl.to_owned(),
        properties,
        client_request_id,
    })
}

/// An object, or (Python, Java) a string with one.
fn properties(given: Option<&Json>) -> EngineResult<(RequestProperties, Option<String>)> {
    let invalid = || EngineError::bad_request("'properties' is neither a JSON object nor a string with one.");
    let parsed = match given {
        None | Some(Json::Null) => return Ok((RequestProperties::default(), None)),
        Some(Json::String(text)) if text.is_empty() => return Ok((RequestProperties::default(), None)),
        Some(Json::String(text)) => serde_json::from_str(text).map_err(|_| invalid())?,
        Some(other) => other.clone(),
    };
    let Json::Object(mut parsed) = parsed else { return Err(invalid()) };
    let mut part = |name: &str| match parsed.remove(name) {
        Some(Json::Object(part)) => Ok(part),
        None | Some(Json::Null) => Ok(Map::new()),
        Some(_) => Err(invalid()),
    };
    let (options, parameters) = (part("Options")?, part("Parameters")?);
    let id = parsed.get("ClientRequestId").and_then(Json::as_str).map(str::to_owned);
    Ok((RequestProperties { options, parameters }, id))
}

/// The ids on an answer; `front` gave one in an error of its own, the request's stand.
fn with_ids(mut response: Response<Body>, ids: &RequestIds) -> Response<Body> {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&ids.client) {
        headers.insert("x-ms-client-request-id", id);
    }
    if let Ok(id) = HeaderValue::from_str(&ids.activity.to_string()) {
        headers.insert("x-ms-activity-id", id);
    }
    response
}
