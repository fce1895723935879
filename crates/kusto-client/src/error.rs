//! One error type for everything that can go wrong with a cluster.
//!
//! A caller branches on [`Error::kind`] (what to do about it) and on [`Error::effect`] (whether what was asked for may
//! have happened all the same). Only an error with [`Effect::None`] may be answered by doing the same thing again
//! blindly; with [`Effect::Unknown`] the caller looks first, or knows that doing it twice is harmless.
//!
//! No message ever holds a token, a key or the query part of a URL: targets are cut with
//! [`without_query`](crate::without_query) before they get here.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// An error of this crate, boxed so that results stay small. A clone shares its source: everybody who waited for one
/// failed attempt gets the same error.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    effect: Effect,
    operation: String,
    target: String,
    message: String,
    advice: Option<String>,
    retry_after: Option<Duration>,
    http_status: Option<u16>,
    code: Option<String>,
    client_request_id: Option<String>,
    activity_id: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What an error means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option, a URL or a name that cannot work: mend the configuration.
    InvalidOption,
    /// A token was about to go to a host that is not known to belong to Kusto; nothing was sent.
    UntrustedHost,
    /// No token could be had, or the service refused it (401).
    SignIn,
    /// The principal lacks a right (403).
    Forbidden,
    /// The database, table, blob or endpoint is not there (404, or the service says so).
    NotFound,
    /// The service understood and refused for good (400).
    BadRequest,
    /// Something of this name is there already (409).
    Conflict,
    /// The body is larger than the service takes (413).
    TooLarge,
    /// Too many requests (429, 503 with a back-off): wait [`Error::retry_after`] or longer.
    Throttled,
    /// No connection could be made: name, route, port, proxy or TLS.
    Unreachable,
    /// The connection broke after the request was, or may have been, sent.
    Interrupted,
    /// The deadline passed.
    Timeout,
    /// The service failed in a way that may pass (5xx, or an answer that says it is not permanent).
    Service,
    /// The answer could not be understood.
    Protocol,
}

/// Whether the effect of a failed request may have taken place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It surely did not happen: asking again cannot do it twice.
    None,
    /// It may have happened: look before asking again.
    Unknown,
}

impl Error {
    /// An error of `kind` that arose while doing `operation` (a verb phrase, "upload a blob") on `target` (a table,
    /// a host; without secrets). The effect is [`Effect::None`] until [`Error::with_effect`] says otherwise.
    pub fn new(
        kind: ErrorKind,
        operation: impl Into<String>,
        target: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Error(Box::new(Inner {
            kind,
            effect: Effect::None,
            operation: operation.into(),
            target: target.into(),
            message: message.into(),
            advice: None,
            retry_after: None,
            http_status: None,
            code: None,
            client_request_id: None,
            activity_id: None,
            source: None,
        }))
    }

    /// Says whether the effect may have happened.
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.0.effect = effect;
        self
    }

    /// Adds what a person can do about it: a sentence, or a command to paste.
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// Adds how long the service asks to wait.
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// Adds the HTTP status of the answer.
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.0.http_status = Some(status);
        self
    }

    /// Adds the service's own code, such as `BadRequest_TableNotExist` or `SEM0100`.
    pub fn with_code(mut self, code: Option<String>) -> Self {
        self.0.code = code;
        self
    }

    /// Adds the ids under which the service's support can find the request.
    pub fn with_ids(mut self, client_request_id: Option<String>, activity_id: Option<String>) -> Self {
        self.0.client_request_id = client_request_id;
        self.0.activity_id = activity_id;
        self
    }

    /// Keeps the cause. Its text must hold no secret: HTTP errors are stripped of their URL first.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// What the error means for the caller.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the effect of the request may have taken place.
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// Whether the same request may succeed later without anybody mending anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Throttled
                | ErrorKind::Unreachable
                | ErrorKind::Interrupted
                | ErrorKind::Timeout
                | ErrorKind::Service
        )
    }

    /// The least time the service asks to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The HTTP status of the answer, if there was one.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The service's own error code, if it gave one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Whether the cluster refused a command or a query for want of a role, which somebody has to grant. Storage that refuses
    /// (a network rule, a signature) does not count: it may let a later start through.
    pub fn lacks_role(&self) -> bool {
        self.0.kind == ErrorKind::Forbidden && matches!(self.operation(), "run a command" | "run a query")
    }

    /// What was being done, as a verb phrase.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// What it was done on.
    pub fn target(&self) -> &str {
        &self.0.target
    }

    /// Why it failed, without operation, target and advice.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What a person can do about it, if anything is known.
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    /// The `x-ms-client-request-id` of the request, if one was sent.
    pub fn client_request_id(&self) -> Option<&str> {
        self.0.client_request_id.as_deref()
    }

    /// The `x-ms-activity-id` of the answer, if there was one.
    pub fn activity_id(&self) -> Option<&str> {
        self.0.activity_id.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { operation, target, message, .. } = &*self.0;
        write!(f, "could not {operation} ({target}): {message}")?;
        let mut detail = [
            self.0.http_status.map(|status| format!("HTTP {status}")),
            self.0.code.clone(),
            self.0.client_request_id.as_ref().map(|id| format!("request {id}")),
            self.0.activity_id.as_ref().map(|id| format!("activity {id}")),
        ]
        .into_iter()
        .flatten()
        .peekable();
        if detail.peek().is_some() {
            write!(f, " [{}]", detail.collect::<Vec<_>>().join(", "))?;
        }
        if let Some(advice) = &self.0.advice {
            write!(f, "\n  {advice}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("effect", &self.0.effect)
            .field("text", &self.to_string())
            .field("retry_after", &self.0.retry_after)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
