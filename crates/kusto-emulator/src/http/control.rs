//! `/emulator/v1/...`: what [`crate::Handle`] does, for tests in other processes. No client of the service uses the path.
//!
//! | request | does |
//! |---|---|
//! | `GET faults` | the rules in force, each with its `hits` |
//! | `POST faults` | puts a rule in force: a [`FaultRule`] as JSON |
//! | `DELETE faults` | takes all rules out of force |
//! | `GET held` | the requests that are held; `?at_least=2` waits for so many |
//! | `POST release` | `{"id":3}` lets one go on, `{}` all; `{"die":true}` ends them without effect |
//! | `GET assumptions`, `PUT assumptions` | [`Assumptions`] as JSON; what is left out has its default |
//! | `POST merge` | `{"database":"D","table":"T"}`, each may be left out: merges what policies allow |
//! | `POST revoke` | `{"principal":"aadapp=...","roles":true}`: its tokens, and if asked its roles |
//! | `POST fail-over` | what is held dies, batches begin anew, operations in progress are abandoned |
//! | `POST settle` | answers when everything that is due now is done |
//! | `GET statistics`, `GET requests` | what came in |
//!
//! It answers peers on loopback only, whatever address the emulator listens on, and takes bodies only as
//! `application/json` (which a page in a browser cannot send to another origin without being asked). These requests are
//! not written down, and no rule hits them.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::routing::any;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::front::Front;
use super::json_response;
use crate::assumptions::Assumptions;
use crate::engine::Principal;
use crate::faults::FaultRule;
use crate::holds::Died;
use crate::storage::Query;

/// The largest body, in bytes: a rule is short.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

pub(super) fn routes() -> Router<Front> {
    Router::new()
        .route("/emulator/v1/{what}", any(answer))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(only_loopback))
}

async fn only_loopback(request: Request, next: Next) -> Response<Body> {
    let near =
        request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
    if near { next.run(request).await } else { refused(StatusCode::FORBIDDEN, "only on loopback") }
}

fn refused(status: StatusCode, why: &str) -> Response<Body> {
    json_response(status, json!({ "error": why }).to_string())
}

async fn answer(
    State(front): State<Front>,
    Path(what): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if method != Method::GET && !json.is_some_and(|kind| kind.starts_with("application/json")) {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send content-type: application/json");
    }
    let answered = match (method.as_str(), what.as_str()) {
        ("GET", "held") => held(&front, &uri).await,
        ("POST", "settle") => {
            front.settle().await;
            Ok(json!({}))
        }
        ("POST", "merge") => merge(front, &body).await,
        (method, what) => at_once(&front, method, what, &body),
    };
    match answered {
        Ok(answer) => json_response(StatusCode::OK, answer.to_string()),
        Err((status, why)) => refused(status, &why),
    }
}

type Answered = Result<Json, (StatusCode, String)>;

fn at_once(front: &Front, method: &str, what: &str, body: &[u8]) -> Answered {
    match (method, what) {
        ("GET", "faults") => {
            let rules = front.faults.all();
            Ok(rules.into_iter().map(|(rule, hits)| json!({"rule": rule, "hits": hits})).collect())
        }
        ("POST", "faults") => {
            front.add_fault(read::<FaultRule>(body)?);
            Ok(json!({}))
        }
        ("DELETE", "faults") => {
            front.clear_faults();
            Ok(json!({}))
        }
        ("POST", "release") => {
            let Release { id, die } = read(body)?;
            Ok(json!({ "released": release(front, id, die) }))
        }
        ("GET", "assumptions") => Ok(json!(front.engine.assumptions())),
        ("PUT", "assumptions") => {
            front.engine.assume(read::<Assumptions>(body)?);
            Ok(json!(front.engine.assumptions()))
        }
        ("POST", "fail-over") => {
            fail_over(front);
            Ok(json!({}))
        }
        ("POST", "revoke") => revoke(front, &read(body)?),
        ("GET", "statistics") => Ok(json!(front.data_management.statistics())),
        ("GET", "requests") => Ok(requests(front)),
        _ => Err((StatusCode::NOT_FOUND, format!("there is no {method} {what}"))),
    }
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, (StatusCode, String)> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

async fn held(front: &Front, uri: &Uri) -> Answered {
    let query = Query::parse(uri.query().unwrap_or_default());
    if let Some(wanted) = query.get("at_least") {
        let count =
            wanted.parse().map_err(|_| (StatusCode::BAD_REQUEST, "at_least is no number".to_owned()))?;
        front.faults.holds().until_held(count).await;
    }
    Ok(json!(front.faults.holds().held()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    id: Option<u64>,
    #[serde(default)]
    die: bool,
}

/// Releases one request, or all; how many.
pub(crate) fn release(front: &Front, id: Option<u64>, die: bool) -> usize {
    let holds = front.faults.holds();
    let fate = if die { Err(Died) } else { Ok(()) };
    let ids = id.map_or_else(|| holds.held().iter().map(|request| request.id).collect(), |id| vec![id]);
    ids.into_iter().filter(|id| holds.decide(*id, fate)).count()
}

/// The node that does the work goes away, and another one takes its place.
pub(crate) fn fail_over(front: &Front) {
    release(front, None, true);
    front.engine.abandon_operations();
    front.data_management.fail_over();
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    database: Option<String>,
    table: Option<String>,
}

async fn merge(front: Front, body: &[u8]) -> Answered {
    let Merge { database, table } = read(body)?;
    let work = move || front.engine.merge(database.as_deref(), table.as_deref());
    let failed = |why: String| (StatusCode::INTERNAL_SERVER_ERROR, why);
    let merged = tokio::task::spawn_blocking(work).await.map_err(|error| failed(error.to_string()))?;
    merged.map(|fewer| json!({ "fewer": fewer })).map_err(|error| failed(error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    principal: String,
    #[serde(default)]
    roles: bool,
}

fn revoke(front: &Front, wanted: &Revoke) -> Answered {
    let principal = Principal::parse(&wanted.principal);
    let principal = principal.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    front.sign_in.revoke(&principal);
    if wanted.roles {
        front.engine.forget_principal(&principal);
    }
    Ok(json!({}))
}

fn requests(front: &Front) -> Json {
    let all = front.requests.all().into_iter();
    all.map(|request| {
        json!({
            "number": request.number, "endpoint": request.endpoint, "operation": request.operation,
            "scope": request.scope, "principal": request.principal, "at": request.at.to_string(),
        })
    })
    .collect()
}
