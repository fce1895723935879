//! Commands and queries over HTTP: one request, one answer, every failure found.

mod advice;
mod v1;
mod v2;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::json;
use url::Url;
use uuid::Uuid;

pub use advice::Role;

use crate::auth::Tokens;
use crate::http::{ANSWER_LIMIT, Answer, Attempt, Http};
use crate::options::ConnectionOptions;
use crate::{Effect, Error, ErrorKind, Result, Table, endpoint, failure, kql};

/// The revision of the REST interface that this client speaks
/// (`Azure/azure-kusto-python azure-kusto-data/azure/kusto/data/client_details.py`).
const REST_VERSION: &str = "2024-12-12";
/// What is added to the service's own limit, so that its answer is heard; as the official clients do. A shorter limit
/// is doubled.
const GRACE: Duration = Duration::from_secs(30);
/// The database named where a command needs none.
pub(crate) const NO_DATABASE: &str = "NetDefaultDB";

/// Which of the two services of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Engine,
    DataManagement,
}

/// Speaks to engine and data management.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    options: ConnectionOptions,
    http: Http,
    tokens: Arc<Tokens>,
}

/// How this client calls itself: `Name:{version}`, joined by bars, white space and braces replaced.
pub(crate) fn client_version() -> String {
    format!(
        "Kusto.Timely.Client:{{{}}}|Runtime.Rust:{{{}}}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    )
}

impl Rest {
    pub(crate) fn new(options: ConnectionOptions, http: Http, tokens: Arc<Tokens>) -> Self {
        Rest { options, http, tokens }
    }

    /// Runs a command and returns its first table.
    pub(crate) async fn command(&self, side: Side, database: &str, text: &str) -> Result<Table> {
        self.command_within(self.options.0.timeouts.command, side, database, text).await
    }

    /// Asks data management for something that uploads wait for: with their deadline, not that of a command.
    pub(crate) async fn lend(&self, text: &str) -> Result<Table> {
        self.command_within(self.options.0.timeouts.storage, Side::DataManagement, NO_DATABASE, text).await
    }

    async fn command_within(
        &self,
        timeout: Duration,
        side: Side,
        database: &str,
        text: &str,
    ) -> Result<Table> {
        let effect = if kql::has_effect(text) { Effect::Unknown } else { Effect::None };
        let attempt = self.attempt("run a command", side, database, effect, timeout);
        let answer = self.post(side, "/v1/rest/mgmt", database, text, &attempt).await?;
        v1::parse(&answer.body).map_err(|failure| self.inside(failure, &answer, &attempt))
    }

    /// Runs a query and returns its primary results.
    pub(crate) async fn query(&self, database: &str, text: &str) -> Result<Vec<Table>> {
        let timeout = self.options.0.timeouts.query;
        let attempt = self.attempt("run a query", Side::Engine, database, Effect::None, timeout);
        let answer = self.post(Side::Engine, "/v2/rest/query", database, text, &attempt).await?;
        v2::parse(&answer.body).map_err(|failure| self.inside(failure, &answer, &attempt))
    }

    fn attempt(
        &self,
        operation: &'static str,
        side: Side,
        database: &str,
        effect: Effect,
        timeout: Duration,
    ) -> Attempt {
        let host = endpoint::host_and_port(self.url(side));
        let target = match side {
            Side::Engine => format!("database {database} at {host}"),
            Side::DataManagement => format!("data management at {host}"),
        };
        Attempt { operation, target, effect, timeout: timeout + GRACE.min(timeout) }
    }

    fn url(&self, side: Side) -> &Url {
        match side {
            Side::Engine => &self.options.0.cluster,
            Side::DataManagement => &self.options.0.ingestion,
        }
    }

    /// Posts, and posts once more with a fresh token after a 401.
    async fn post(
        &self,
        side: Side,
        path: &str,
        database: &str,
        text: &str,
        attempt: &Attempt,
    ) -> Result<Answer> {
        let advise = |error| advice::advise(error, side, database, text, &self.options);
        let mut retried = false;
        loop {
            let bearer = self.tokens.bearer(self.url(side)).await.map_err(advise)?;
            let mut request = self.request(side, path, database, text, attempt)?;
            if let Some(bearer) = &bearer {
                request.headers_mut().insert(AUTHORIZATION, bearer.header()?);
            }
            let answer = self.send(request, attempt).await?;
            if answer.is_success() {
                return Ok(answer);
            }
            if answer.status == 401 && !retried && bearer.is_some_and(|bearer| bearer.refuse()) {
                retried = true;
                continue;
            }
            let refusal = failure::refusal(&answer, attempt);
            let clock = (answer.status == 401).then(|| answer.skew()?.advice()).flatten();
            return Err(match clock {
                Some(advice) => refusal.with_advice(advice),
                None => advise(refusal),
            });
        }
    }

    /// Sends, and sees to it that whatever comes of it names the request.
    async fn send(&self, request: reqwest::Request, attempt: &Attempt) -> Result<Answer> {
        let id = request.headers().get(CLIENT_REQUEST_ID).cloned();
        let sent = self.http.send(request, attempt, ANSWER_LIMIT).await;
        let text = || id.as_ref().and_then(|id| id.to_str().ok()).map(str::to_owned);
        let mut answer = sent.map_err(|error| error.with_ids(text(), None))?;
        if let Some(id) = id {
            answer.headers.entry(CLIENT_REQUEST_ID).or_insert(id);
        }
        Ok(answer)
    }

    fn request(
        &self,
        side: Side,
        path: &str,
        database: &str,
        text: &str,
        attempt: &Attempt,
    ) -> Result<reqwest::Request> {
        let mut url = self.url(side).clone();
        url.set_path(path);
        let body = json!({
            "db": database,
            "csl": text.trim_start(),
            "properties": {"Options": {
                "servertimeout": timespan(served(attempt.timeout)),
                // The service's default, said aloud: decisions are made from what is read
                // (`data-explorer/kusto/concepts/query-consistency.md`).
                "queryconsistency": "strongconsistency",
            }},
        });
        let mut request = reqwest::Request::new(reqwest::Method::POST, url);
        *request.body_mut() = Some(body.to_string().into());
        let settings = &self.options.0;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(CLIENT_REQUEST_ID, header(&format!("KTK.execute;{}", Uuid::new_v4())));
        headers.insert(HeaderName::from_static("x-ms-version"), HeaderValue::from_static(REST_VERSION));
        headers.insert(HeaderName::from_static("x-ms-client-version"), header(&client_version()));
        headers.insert(HeaderName::from_static("x-ms-app"), header(&settings.application));
        headers.insert(HeaderName::from_static("x-ms-user"), header(&settings.user));
        Ok(request)
    }

    /// A failure inside an answer whose status said success.
    fn inside(&self, failure: Inside, answer: &Answer, attempt: &Attempt) -> Error {
        let error = match failure {
            Inside::Garbled(message) => {
                Error::new(ErrorKind::Protocol, attempt.operation, &attempt.target, message).with_advice(
                    "Check that the URL is that of a Kusto cluster; a gateway, a proxy or the login page of a network \
                     may have answered in its place.",
                )
            }
            Inside::Failed(failure) => {
                let kind = match failure.permanent {
                    Some(true) => ErrorKind::BadRequest,
                    _ => ErrorKind::Service,
                };
                Error::new(kind, attempt.operation, &attempt.target, failure.message).with_code(failure.code)
            }
        };
        error
            .with_effect(attempt.effect)
            .with_http_status(answer.status)
            .with_ids(answer.header("x-ms-client-request-id"), answer.header("x-ms-activity-id"))
    }
}

/// The service's part of a deadline.
fn served(deadline: Duration) -> Duration {
    deadline.saturating_sub(GRACE).max(deadline / 2)
}

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// Why an answer with a good status is none.
#[derive(Debug, PartialEq)]
pub(crate) enum Inside {
    /// The service says that it failed.
    Failed(failure::Failure),
    /// It cannot be understood: cut off, or not what was asked for.
    Garbled(String),
}

/// A header value; characters that may not stand there become question marks, as in the official clients.
fn header(text: &str) -> HeaderValue {
    let plain: String =
        text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect();
    HeaderValue::from_str(&plain).unwrap_or_else(|_| HeaderValue::from_static("[none]"))
}

/// A duration as the service writes it: `hh:mm:ss`.
fn timespan(duration: Duration) -> String {
    let seconds = duration.as_secs().max(1);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Kusto's name for a column's type, where an answer of version 1 gives only the .NET name.
fn column_type(data_type: &str) -> &'static str {
    match data_type.trim_start_matches("System.").trim_start_matches("Data.SqlTypes.") {
        "SByte" | "Boolean" => "bool",
        "Int32" => "int",
        "Int64" => "long",
        "Double" => "real",
        "SqlDecimal" => "decimal",
        "DateTime" => "datetime",
        "TimeSpan" => "timespan",
        "Guid" => "guid",
        "Object" => "dynamic",
        _ => "string",
    }
}

/// The first table of an answer, for tests of what reads it.
#[cfg(test)]
pub(crate) fn first_table(body: &[u8]) -> Result<Table, Inside> {
    v1::parse(body)
}

#[cfg(test)]
mod tests;
