//! The emulator's HTTP side: one port for the cluster, and one for each storage service.
//!
//! ```text
//!  /v1/rest/mgmt  /v1|v2/rest/query            kusto.rs    ─► engine, or data management's own commands (dm.rs)
//!  /v1/rest/auth/metadata                      signin.rs
//!  /{tenant}/oauth2/v2.0/token  /msi/token     signin.rs   ─► signin
//!  /{account}/{container|queue|table}/...      storage.rs  ─► container.rs  blob.rs  queue.rs  table.rs ─► storage
//!  /emulator/v1/...                            control.rs  ─► faults, held requests, assumptions, merges
//!  anything else                               404
//! ```
//!
//! Every handler describes its request as an [`Exchange`] and lets [`Front::exchange`] run it, which logs it and applies
//! the fault rules; `server.rs` beneath has the sockets, and closes those whose answer a fault took away.

mod about;
mod account;
mod answer;
mod blob;
mod body;
mod container;
pub(crate) mod control;
mod error;
mod frames;
mod front;
mod kusto;
mod queue;
mod queues;
mod server;
mod signin;
mod storage;
mod table;
mod tables;
mod xml;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post};

use body::{BodyError, RequestBody};
use front::{Exchange, RequestIds};
pub(crate) use front::{Front, Shared};
pub(crate) use server::{ClientLimits, serve};
pub(crate) use storage::service_router;

/// All routes.
pub(crate) fn router(front: Front) -> Router {
    Router::new()
        .route("/v1/rest/mgmt", post(kusto::management))
        .route("/v1/rest/query", post(kusto::query_v1).get(kusto::query_v1))
        .route("/v2/rest/query", post(kusto::query_v2).get(kusto::query_v2))
        .route("/v1/rest/ingest/{database}/{table}", post(kusto::streaming))
        .route("/v1/rest/auth/metadata", get(signin::metadata))
        .route("/msi/token", get(signin::app_service))
        .route("/metadata/identity/oauth2/token", get(signin::instance_metadata))
        .route("/common/discovery/instance", get(signin::instance_discovery))
        .route("/{tenant}/oauth2/v2.0/token", post(signin::token))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(signin::openid))
        .route("/{tenant}/.well-known/openid-configuration", get(signin::openid))
        .route("/{tenant}/discovery/v2.0/keys", get(signin::keys))
        .merge(control::routes())
        .fallback(storage::any)
        .with_state(front)
}

/// An answer in JSON.
fn json_response(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
