//! What every request passes: it is written down, it may be spoiled by a fault, and its answer gets the ids.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use futures::{StreamExt, stream};
use uuid::Uuid;

use super::{error, json_response};
use crate::clock::{Clock, after};
use crate::dm::DataManagement;
use crate::engine::{Engine, EngineError, Principal};
use crate::faults::{Fault, FaultHits, FaultRule, Faults, Mischief};
use crate::requests::{Endpoint, Request, RequestLog};
use crate::signin::SignIn;
use crate::storage::{Storage, StorageError};

/// Everything that the endpoints share.
#[derive(Debug, Clone)]
pub(crate) struct Front(Arc<Shared>);

/// See [`Front`].
pub(crate) struct Shared {
    /// `http://127.0.0.1:<port>`, or https.
    pub(crate) base: String,
    /// The ports of the storage services, likewise.
    pub(crate) blob_base: String,
    pub(crate) queue_base: String,
    pub(crate) table_base: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) sign_in: Arc<SignIn>,
    pub(crate) data_management: Arc<DataManagement>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) requests: Arc<RequestLog>,
    pub(crate) sign_in_required: bool,
    /// Added to every request.
    pub(crate) latency: Duration,
    /// How long a client may be silent in the middle of a body; real time: it guards a real socket.
    pub(crate) client_patience: Duration,
    /// How long a SAS in the ingestion resources is valid.
    pub(crate) sas_lifetime: Duration,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("base", &self.base).finish_non_exhaustive()
    }
}

impl std::ops::Deref for Front {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What a request is, as rules and the log see it.
#[derive(Debug)]
pub(super) struct Exchange(Request);

impl Exchange {
    pub(super) fn new(
        endpoint: Endpoint,
        operation: impl Into<String>,
        scope: impl Into<String>,
        principal: impl Into<String>,
    ) -> Self {
        Self(Request {
            number: 0,
            endpoint,
            operation: operation.into(),
            scope: scope.into(),
            principal: principal.into(),
            at: jiff::Timestamp::UNIX_EPOCH,
        })
    }
}

/// The ids of a request: the client's and the service's own.
#[derive(Debug, Clone)]
pub(crate) struct RequestIds {
    pub(crate) client: String,
    pub(crate) activity: Uuid,
}

/// Marks an answer that must not arrive: the server closes the connection instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut;

/// Marks an answer that stands for one of somebody else: no header of the service's is added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreign;

impl Front {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Lets one request happen: logs it, waits, applies faults around `effect`.
    pub(super) async fn exchange(
        &self,
        exchange: Exchange,
        effect: impl Future<Output = Response<Body>>,
    ) -> Response<Body> {
        self.exchange_with(exchange, |_| effect).await
    }

    /// [`Front::exchange`] for an effect that faults can change from within.
    pub(super) async fn exchange_with<E: Future<Output = Response<Body>>>(
        &self,
        exchange: Exchange,
        effect: impl FnOnce(Mischief) -> E,
    ) -> Response<Body> {
        let request = Request { at: self.clock.now(), ..exchange.0 };
        let endpoint = request.endpoint;
        let (delay, fault) = self.faults.decide(&request);
        let caller = fault.and_then(|_| Principal::parse(&request.principal).ok());
        self.requests.record(request.clone());
        let delay = delay.saturating_add(self.latency);
        if !delay.is_zero() {
            self.clock.sleep_until(after(self.clock.now(), delay)).await;
        }
        // Only now: a request that waits for the clock is not yet one that is about to be held.
        let mischief = self.faults.mischief(fault, &request);
        let (takes, hold) = (mischief.takes.clone(), mischief.hold.clone());
        let effect = effect(mischief);
        let effect = async {
            let answer = effect.await;
            if !takes.get().is_zero() {
                self.clock.sleep_until(after(self.clock.now(), takes.get())).await;
            }
            answer
        };
        match fault {
            Some(Fault::RevokeTokens) => {
                caller.iter().for_each(|caller| self.sign_in.revoke(caller));
                self.spoiled(endpoint, 401, None)
            }
            Some(Fault::RevokeRoles) => {
                caller.iter().for_each(|caller| self.engine.forget_principal(caller));
                effect.await
            }
            Some(Fault::Fail { status, retry_after }) => self.spoiled(endpoint, status, retry_after),
            Some(Fault::Quote { status }) => self.quoted(&request, status),
            Some(Fault::Throttle { retry_after }) => self.spoiled(endpoint, throttled(endpoint), retry_after),
            Some(Fault::Refuse) => cut(),
            Some(Fault::LoseAnswer) => {
                drop(effect.await);
                cut()
            }
            Some(Fault::HoldUnanswered(_)) => {
                let held = async {
                    match &hold {
                        Some(hold) => hold.until_reached().await,
                        None => std::future::pending().await,
                    }
                };
                // What is held goes on without whoever waits for its answer. What does not come so far ends by itself.
                futures::future::select(pin!(held), pin!(effect)).await;
                cut()
            }
            Some(Fault::FailAfter { status } | Fault::Half { status }) => {
                drop(effect.await);
                self.spoiled(endpoint, status, None)
            }
            Some(Fault::Truncate { bytes }) => truncated(effect.await, bytes).await,
            Some(Fault::Lengthen { bytes }) => lengthened(effect.await, bytes),
            Some(Fault::Garble) => page(),
            // The others work from within, or wait.
            _ => effect.await,
        }
    }

    /// An error whose message has the request's text in it.
    fn quoted(&self, request: &Request, status: u16) -> Response<Body> {
        if !matches!(request.endpoint, Endpoint::Query | Endpoint::Management) {
            return self.spoiled(request.endpoint, status, None);
        }
        let ids = RequestIds { client: String::new(), activity: self.storage.new_id() };
        let detail = format!("A fault rule refused this request: {}", request.operation);
        error::answer(&EngineError { detail, ..fault_error(status) }, &ids, self.clock.now())
    }

    /// The error that a fault asks for, in the form of the endpoint.
    fn spoiled(&self, endpoint: Endpoint, status: u16, retry_after: Option<Duration>) -> Response<Body> {
        let mut response = match endpoint {
            Endpoint::Blob | Endpoint::Queue | Endpoint::Table => {
                let code = match status {
                    403 => "AuthenticationFailed",
                    404 => "ResourceNotFound",
                    503 => "ServerBusy",
                    _ => "InternalError",
                };
                super::storage::refused(
                    self,
                    &StorageError::new(status, code, "A fault rule refused this request."),
                )
            }
            Endpoint::SignIn | Endpoint::Metadata => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                json_response(
                    status,
                    r#"{"error":"temporarily_unavailable","error_description":"fault rule"}"#.to_owned(),
                )
            }
            _ => {
                let ids = RequestIds { client: String::new(), activity: self.storage.new_id() };
                error::answer(&fault_error(status), &ids, self.clock.now())
            }
        };
        if let Some(wait) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        response
    }

    /// Puts a rule in force.
    pub(crate) fn add_fault(&self, rule: FaultRule) -> FaultHits {
        if rule.looks_back() {
            self.engine.remember();
        }
        self.faults.add(rule)
    }

    /// Takes all rules out of force.
    pub(crate) fn clear_faults(&self) {
        self.faults.clear();
        self.engine.forget();
    }

    /// Waits until everything is done that is due now; what is held counts as done.
    pub(crate) async fn settle(&self) {
        self.data_management.rest().await;
        self.faults.holds().until_still().await;
        self.data_management.rest().await;
    }

    /// The ids of a request; the client's is echoed, or made up for clients that send none.
    pub(super) fn ids(&self, headers: &HeaderMap) -> RequestIds {
        let activity = self.storage.new_id();
        let client = headers.get("x-ms-client-request-id").and_then(|value| value.to_str().ok());
        RequestIds {
            client: client.map_or_else(|| format!("unspecified;{activity}"), str::to_owned),
            activity,
        }
    }

    /// Who calls. Without sign-in a token of this cluster still says who, and any other is ignored.
    ///
    /// # Errors
    /// 401 where sign-in is required and the token is missing, expired, revoked, or for somebody else.
    pub(super) fn principal(&self, headers: &HeaderMap) -> Result<Principal, EngineError> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|value| value.split_once(' '));
        let token =
            token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer")).map(|(_, token)| token.trim());
        let verified = token.map(|token| self.sign_in.verify(token));
        match verified {
            Some(Ok(principal)) => Ok(principal),
            _ if !self.sign_in_required => Ok(self.sign_in.principal("anonymous")),
            Some(Err(why)) => Err(error::unauthorized(&why.to_string())),
            None => Err(error::unauthorized("The request has no bearer token.")),
        }
    }
}

fn throttled(endpoint: Endpoint) -> u16 {
    match endpoint {
        Endpoint::Blob | Endpoint::Queue | Endpoint::Table => 503,
        _ => 429,
    }
}

fn fault_error(status: u16) -> EngineError {
    if status == 401 {
        return error::unauthorized("A fault rule revoked the token.");
    }
    let throttled = status == 429;
    EngineError {
        status,
        code: if throttled { "General_ThrottledRequest" } else { "General_InternalServerError" },
        exception: if throttled {
            "Kusto.Data.Exceptions.KustoRequestThrottledException"
        } else {
            "Kusto.Data.Exceptions.KustoServiceException"
        },
        permanent: matches!(status, 400 | 403 | 404 | 413),
        ..EngineError::internal(
            "A fault rule refused this request. Retrying after some backoff might succeed.",
        )
    }
}

fn cut() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Cut);
    response
}

/// The head says how long the body would be; the body ends before.
async fn truncated(response: Response<Body>, bytes: usize) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let first = whole.slice(..bytes.min(whole.len()));
    let broken = stream::once(async {
        // The server sends what it has only when it has to wait for more.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("the answer was cut by a fault rule"))
    });
    let body = stream::iter([Ok::<Bytes, _>(first)]).chain(broken);
    Response::from_parts(head, Body::from_stream(body))
}

/// The body goes on, and the head does not say how far.
fn lengthened(response: Response<Body>, bytes: u64) -> Response<Body> {
    /// Written at a time.
    const BLANKS: Bytes = Bytes::from_static(&[b' '; 16 << 10]);
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    let whole = BLANKS.len() as u64;
    let rest = (bytes % whole) as usize;
    let blanks = (0..bytes / whole).map(|_| BLANKS).chain((rest > 0).then(|| BLANKS.slice(..rest)));
    let blanks = stream::iter(blanks.map(Ok::<Bytes, axum::Error>));
    Response::from_parts(head, Body::from_stream(body.into_data_stream().chain(blanks)))
}

/// What something that is no Kusto and no storage answers.
fn page() -> Response<Body> {
    let page = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Please sign in to this network.</body></html>";
    let mut response = Response::new(Body::from(page));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.extensions_mut().insert(Foreign);
    response
}
