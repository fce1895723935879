//! Reads what the service says when it refuses.
//!
//! The body is `{"error":{"code","message","@type","@message","@permanent","innererror"}}`
//! (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/rest/response-v2.md`), but need not be: gateways answer
//! with HTML, storage with XML, sign-in with its own JSON. What cannot be read is quoted, shortened.

use std::time::Duration;

use serde_json::Value;

use crate::http::{Answer, Attempt, PROXY_ADVICE};
use crate::redact::{excerpt, redact};
use crate::{Effect, Error, ErrorKind};

/// The longest quotation of a body that is no error of the service's form.
const EXCERPT: usize = 300;
/// The longest message of the service that is passed on; some list every column of a table.
const MESSAGE: usize = 4_000;

/// What an error body says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) exception: Option<String>,
    pub(crate) permanent: Option<bool>,
}

impl Failure {
    /// Reads a body of any kind.
    pub(crate) fn from_body(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&body[..body.len().min(64 << 10)]);
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::from_value(&value)
                .unwrap_or_else(|| Failure { message: excerpt(&text, EXCERPT), ..Failure::default() }),
            Err(_) => Self::from_xml(&text)
                .unwrap_or_else(|| Failure { message: excerpt(&text, EXCERPT), ..Failure::default() }),
        }
    }

    /// Reads `{"error":{..}}`, in the service's form or in that of table storage (`odata.error`).
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let error =
            value.get("error").or_else(|| value.get("odata.error")).filter(|error| error.is_object())?;
        let text = |value: &Value, name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let message = text(error, "@message")
            .or_else(|| text(error, "message"))
            .or_else(|| error.get("message").and_then(|message| text(message, "value")))
            .unwrap_or_default();
        Some(Failure {
            code: innermost_code(error),
            message: shortened(&redact(message.trim())),
            exception: text(error, "@type"),
            permanent: error.get("@permanent").and_then(Value::as_bool),
        })
    }

    /// Reads `<Error><Code>..</Code><Message>..</Message></Error>` of storage. Its message ends with lines for support.
    fn from_xml(text: &str) -> Option<Self> {
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            rest.split_once(&format!("</{name}>")).map(|(inner, _)| excerpt(inner, EXCERPT))
        };
        let message = element("Message")?;
        Some(Failure { code: element("Code"), message, ..Failure::default() })
    }

    fn mentions(&self, word: &str) -> bool {
        self.message.contains(word)
            || self.exception.as_deref().is_some_and(|exception| exception.contains(word))
            || self.code.as_deref().is_some_and(|code| code.contains(word))
    }

    /// A command for data management that reached the engine.
    pub(crate) fn is_wrong_endpoint(&self) -> bool {
        self.mentions("AdminCommandWrongEndpoint") || self.mentions("appropriate endpoint is most likely")
    }

    /// Something that the request names is not there.
    fn is_missing_entity(&self) -> bool {
        ["EntityNotFound", "TableNotExist", "DatabaseNotExist", "EntityNameNotFound", "was not found"]
            .iter()
            .any(|word| self.mentions(word))
    }
}

/// The code of the most exact cause: `SEM0100` rather than `General_BadRequest`.
fn innermost_code(error: &Value) -> Option<String> {
    let outer = error.get("code").and_then(Value::as_str).map(str::to_owned);
    match error.get("innererror").filter(|inner| inner.is_object()) {
        Some(inner) => innermost_code(inner).or(outer),
        None => outer,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What a status means, with what the body says about permanence
/// (`data-explorer/kusto/api/rest/response.md`).
pub(crate) fn kind(status: u16, failure: &Failure, waits: bool) -> ErrorKind {
    match status {
        400 if failure.is_wrong_endpoint() => ErrorKind::BadRequest,
        400 if failure.is_missing_entity() => ErrorKind::NotFound,
        400 if failure.permanent == Some(false) => ErrorKind::Service,
        401 => ErrorKind::SignIn,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        407 => ErrorKind::Unreachable,
        408 | 504 => ErrorKind::Timeout,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::Throttled,
        503 if waits => ErrorKind::Throttled,
        500..=599 if failure.permanent == Some(true) => ErrorKind::BadRequest,
        500..=599 => ErrorKind::Service,
        400..=499 => ErrorKind::BadRequest,
        _ => ErrorKind::Protocol,
    }
}

/// A request that was refused with a 4xx was not carried out; after a 5xx nobody knows.
pub(crate) fn effect(status: u16, of_request: Effect) -> Effect {
    match status {
        408 => of_request,
        400..=499 => Effect::None,
        _ => of_request,
    }
}

/// The error for an answer that is no success.
pub(crate) fn refusal(answer: &Answer, attempt: &Attempt) -> Error {
    let failure = Failure::from_body(&answer.body);
    from_failure(failure, answer.status, answer.retry_after(), attempt)
        .with_ids(answer.header("x-ms-client-request-id"), answer.header("x-ms-activity-id"))
}

/// The error for what a body says.
pub(crate) fn from_failure(
    failure: Failure,
    status: u16,
    retry_after: Option<Duration>,
    attempt: &Attempt,
) -> Error {
    let kind = kind(status, &failure, retry_after.is_some());
    let message = match failure.message.as_str() {
        "" => meaning(status).to_owned(),
        message => message.to_owned(),
    };
    let error = Error::new(kind, attempt.operation, &attempt.target, message)
        .with_effect(effect(status, attempt.effect))
        .with_http_status(status)
        .with_code(failure.code)
        .with_retry_after(retry_after);
    if status == 407 { error.with_advice(PROXY_ADVICE) } else { error }
}

/// Says for an answer without words what its status means.
fn meaning(status: u16) -> &'static str {
    match status {
        301 | 302 | 303 | 307 | 308 => "the host answered with a redirect, and redirects are not followed",
        401 => "the token was refused",
        403 => "the principal has no right to do this",
        404 => "there is nothing at this address",
        407 => "the proxy wants credentials",
        413 => "the request is too large",
        429 => "too many requests",
        500..=599 => "the service failed without a reason",
        _ => "the service refused without a reason",
    }
}

#[cfg(test)]
mod tests;
