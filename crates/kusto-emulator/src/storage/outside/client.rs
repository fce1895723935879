//! One request to other storage: signed with the account's key, repeated if that may help.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use jiff::Timestamp;
use percent_encoding::utf8_percent_encode;
use url::Url;

use crate::storage::access::Target;
use crate::storage::connection::Connection;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::query::Query;
use crate::storage::sas::{Service, UNRESERVED, VERSION};
use crate::storage::shared_key;

/// Waits between attempts: about two seconds in all, then whoever asked decides.
const WAITS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];

/// How long a connection may take, and how long an answer may be silent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The largest answer that is read whole: 32 messages of 64 KiB, escaped.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What is asked of a service, below its endpoint.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) service: Service,
    method: Method,
    /// Percent-encoded.
    path: String,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    pub(super) fn new(service: Service, method: Method, path: impl Into<String>) -> Self {
        let (path, query, headers) = (path.into(), Vec::new(), HeaderMap::new());
        Self { service, method, path, query, headers, body: Bytes::new() }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(super) fn xml(self, body: String) -> Self {
        self.body("application/xml", body)
    }

    pub(super) fn json(mut self, body: String) -> Self {
        self.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json;odata=nometadata"));
        self.body("application/json", body)
    }

    fn body(mut self, kind: &'static str, body: String) -> Self {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        self.body = body.into();
        self
    }
}

/// An answer that was read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
}

impl Client {
    pub(super) fn new() -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A redirect would lead away from the endpoints that were given.
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip();
        client.build().map(|http| Self { http }).map_err(|error| error.to_string())
    }

    /// Sends a call until it is answered with more than "later", and reads the answer.
    ///
    /// # Errors
    /// What the storage says, with its code; 503 if it cannot be reached.
    pub(super) async fn send(&self, account: &Connection, call: Call) -> StorageResult<Answer> {
        let mut waits = WAITS.into_iter();
        loop {
            let answered = self.once(account, &call).await;
            let Err(error) = &answered else { return answered };
            let Some(wait) = waits.next().filter(|_| may_pass(error)) else { return answered };
            tracing::debug!(account = %account.account, %error, ?wait, "other storage is asked again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, account: &Connection, call: &Call) -> StorageResult<Answer> {
        let query: Vec<_> = call
            .query
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, UNRESERVED)))
            .collect();
        let (endpoint, query) = (account.endpoint(call.service), query.join("&"));
        let mark = if query.is_empty() { "" } else { "?" };
        let url = Url::parse(&format!("{endpoint}/{}{mark}{query}", call.path))
            .map_err(|error| StorageError::invalid_input(format!("no address can be made: {error}")))?;
        let response = self.request(account, call, url).await?;
        read(response).await
    }

    async fn request(&self, account: &Connection, call: &Call, url: Url) -> StorageResult<reqwest::Response> {
        let mut headers = call.headers.clone();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(call.body.len()));
        self.sign(account, call.service, &call.method, &url, &mut headers)?;
        let request = self.http.request(call.method.clone(), url).headers(headers).body(call.body.clone());
        request.send().await.map_err(|error| unreachable(&error))
    }

    /// Gets a blob by its address: with the right that stands in it, or with the account's key.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(super) async fn blob(
        &self,
        method: Method,
        url: Url,
        key: Option<&Connection>,
    ) -> StorageResult<reqwest::Response> {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
        if let Some(account) = key {
            self.sign(account, Service::Blob, &method, &url, &mut headers)?;
        }
        let answered = self.http.request(method, url).headers(headers).send().await;
        let response = answered.map_err(|error| unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    fn sign(
        &self,
        account: &Connection,
        service: Service,
        method: &Method,
        url: &Url,
        headers: &mut HeaderMap,
    ) -> StorageResult<()> {
        let now = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now());
        let text = |text: String| {
            HeaderValue::from_str(&text).map_err(|_| StorageError::invalid_header("x-ms-date"))
        };
        headers.insert(HeaderName::from_static("x-ms-date"), text(now.unwrap_or_default())?);
        headers.insert(HeaderName::from_static("x-ms-version"), HeaderValue::from_static(VERSION));
        let target = Target { service, account: &account.account, resource: "", item: None };
        let query = Query::parse(url.query().unwrap_or_default());
        let signed = shared_key::authorization(target, &account.key, method, url.path(), &query, headers);
        let mut signed = text(signed)?;
        signed.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, signed);
        Ok(())
    }
}

async fn read(response: reqwest::Response) -> StorageResult<Answer> {
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    let headers = response.headers().clone();
    let body = whole(response).await?;
    Ok(Answer { headers, body })
}

async fn whole(mut response: reqwest::Response) -> StorageResult<Bytes> {
    let mut body = bytes::BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(StorageError::too_large(MAX_ANSWER_BYTES as u64));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What other storage says when it refuses: status and code, and what is exactly wrong if it says so.
async fn refused(response: reqwest::Response) -> StorageError {
    let status = response.status();
    let code = response.headers().get("x-ms-error-code").and_then(|value| value.to_str().ok());
    let code = code.map_or_else(|| status.to_string(), str::to_owned);
    StorageError::new(
        status.as_u16(),
        "OutsideStorage",
        format!("the storage answered {} {code}", status.as_u16()),
    )
}

/// Without the address: a SAS may stand in it.
fn unreachable(error: &reqwest::Error) -> StorageError {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let why = causes.last().map_or_else(|| "no answer".to_owned(), ToString::to_string);
    let what =
        if error.is_connect() { "the storage cannot be reached" } else { "the storage did not answer" };
    StorageError::new(503, "ServerBusy", format!("{what}: {why}"))
}

fn may_pass(error: &StorageError) -> bool {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}
