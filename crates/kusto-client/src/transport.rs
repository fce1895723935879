//! Lends our HTTP clients to the Azure libraries.
//!
//! So that one pool, one set of proxies and one set of deadlines hold for every host, and so that no URL with a
//! signature gets into an error or a log line of theirs: their own adapter keeps the URL in the error, and their
//! pipeline logs errors.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use azure_core::error::{Error as AzureError, ErrorKind as AzureErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{
    AsyncRawResponse, Body, ClientOptions, HttpClient, Method, Request, RetryOptions, Transport,
};
use url::Url;

use crate::clock::Observed;
use crate::failure::{self, Failure};
use crate::http::{self, Attempt, Http, ReadError, SMALL_LIMIT};
use crate::redact::{excerpt, redact};
use crate::{Error, ErrorKind};

/// The slowest upload that is waited for: what remains of a poor mobile line. Slower than this is taken for stalled.
pub(crate) const BYTES_PER_SECOND: u64 = 256 << 10;

/// A deadline for moving `bytes`, beside the fixed part.
pub(crate) fn deadline(fixed: Duration, bytes: u64) -> Duration {
    fixed + Duration::from_secs(bytes / BYTES_PER_SECOND)
}

/// Sends the requests of an Azure library.
#[derive(Clone, Debug)]
pub(crate) struct Lent {
    http: Http,
    /// Fixed part of each request's deadline.
    timeout: Duration,
    /// Where sign-in requests go instead, on loopback.
    redirect: Option<Url>,
    /// A parameter of the query that goes by another name.
    rename: Option<(&'static str, &'static str)>,
    /// What answers tell about the time.
    clock: Observed,
    /// Whether a success must carry the header that every answer of Azure Storage has.
    of_storage: bool,
}

impl Lent {
    pub(crate) fn new(http: Http, timeout: Duration) -> Self {
        Lent { http, timeout, redirect: None, rename: None, clock: Observed::default(), of_storage: false }
    }

    /// Notes what answers tell about the time.
    pub(crate) fn observed(self, clock: Observed) -> Self {
        Lent { clock, ..self }
    }

    /// Sends the parameter `from` of each query under the name `to`.
    pub(crate) fn renamed(self, from: &'static str, to: &'static str) -> Self {
        Lent { rename: Some((from, to)), ..self }
    }

    /// For requests to storage: a success that something else answered in its place (a gateway, the login page of a
    /// network) is none.
    pub(crate) fn for_storage(self) -> Self {
        Lent { of_storage: true, ..self }
    }

    /// Sends every request to `address` instead, keeping path and query.
    pub(crate) fn redirected(self, address: Option<Url>) -> Self {
        Lent { redirect: address, ..self }
    }

    /// Options for a client of an Azure library: this transport, and no retries but the given.
    pub(crate) fn options(self, retry: RetryOptions) -> ClientOptions {
        ClientOptions { transport: Some(Transport::new(Arc::new(self))), retry, ..ClientOptions::default() }
    }

    fn target(&self, url: &Url) -> Url {
        let mut target = self.redirect.as_ref().unwrap_or(url).clone();
        target.set_path(url.path());
        target.set_query(url.query());
        if let Some((from, to)) = self.rename {
            let renamed = |(name, value)| (if name == from { to.into() } else { name }, value);
            target.query_pairs_mut().clear().extend_pairs(url.query_pairs().map(renamed));
        }
        target
    }

    async fn execute(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let url = self.target(request.url());
        let mut builder = self.http.client(&url).request(method(request.method())?, url);
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let size = request.body().len().unwrap_or(0);
        builder = builder.timeout(deadline(self.timeout, size));
        builder = match request.body().clone() {
            Body::Bytes(bytes) => builder.body(bytes),
            Body::SeekableStream(stream) => builder.body(reqwest::Body::wrap_stream(stream)),
        };
        let response = builder.send().await.map_err(azure_error)?;
        let status = response.status().as_u16();
        self.clock.note(response.headers().get("date").and_then(|date| date.to_str().ok()));
        let headers = headers(response.headers());
        let body = http::read(response, SMALL_LIMIT).await.map_err(|error| match error {
            ReadError::Http(error) => azure_error(error),
            ReadError::TooLong => AzureError::with_message(AzureErrorKind::Io, "the answer is too long"),
        })?;
        if self.of_storage && status < 300 && !from_storage(&headers) {
            return Err(AzureError::with_message(AzureErrorKind::DataConversion, NOT_STORAGE));
        }
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
    }
}

/// What is said of an answer that claims a success and is not storage's.
pub(crate) const NOT_STORAGE: &str =
    "something else than Azure Storage answered: a gateway, a proxy, or the login page of a network";

/// Every answer of the storage services has the id of its request
/// (`MicrosoftDocs/azure-docs-rest-apis docs-ref-conceptual/StorageServices/common-rest-api-headers`).
fn from_storage(headers: &Headers) -> bool {
    headers.get_optional_str(&HeaderName::from_static("x-ms-request-id")).is_some()
}

/// Written out by hand what `#[async_trait]` would make of it.
impl HttpClient for Lent {
    fn execute_request<'a, 'b, 'c>(
        &'a self,
        request: &'b Request,
    ) -> Pin<Box<dyn Future<Output = azure_core::Result<AsyncRawResponse>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(self.execute(request))
    }
}

fn method(method: Method) -> azure_core::Result<reqwest::Method> {
    match method {
        Method::Delete => Ok(reqwest::Method::DELETE),
        Method::Get => Ok(reqwest::Method::GET),
        Method::Head => Ok(reqwest::Method::HEAD),
        Method::Patch => Ok(reqwest::Method::PATCH),
        Method::Post => Ok(reqwest::Method::POST),
        Method::Put => Ok(reqwest::Method::PUT),
        other => {
            Err(AzureError::with_message(AzureErrorKind::Other, format!("the method {other} is not known")))
        }
    }
}

fn headers(headers: &reqwest::header::HeaderMap) -> Headers {
    let mut copied = Headers::new();
    for (name, value) in headers {
        if let Ok(value) = value.to_str() {
            copied.insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value.to_owned()));
        }
    }
    copied
}

fn azure_error(error: reqwest::Error) -> AzureError {
    let error = error.without_url();
    let kind = if error.is_connect() { AzureErrorKind::Connection } else { AzureErrorKind::Io };
    let message = http::cause(&error);
    AzureError::with_error(kind, error, message)
}

/// Translates an error of an Azure library. `url` is where the request went; its query is not used.
pub(crate) fn translate(error: &AzureError, attempt: &Attempt, url: &Url) -> Error {
    let base = |kind, message: String| {
        Error::new(kind, attempt.operation, &attempt.target, message).with_effect(attempt.effect)
    };
    if let AzureErrorKind::HttpResponse { status, error_code, raw_response } = error.kind() {
        let response = raw_response.as_deref();
        let failure = response.map(|response| Failure::from_body(response.body())).unwrap_or_default();
        let failure = Failure { code: failure.code.or_else(|| error_code.clone()), ..failure };
        let header = |name: &str| {
            let name = HeaderName::from(name.to_owned());
            response.and_then(|response| response.headers().get_optional_string(&name))
        };
        let wait = http::retry_after(header, std::time::SystemTime::now());
        return failure::from_failure(failure, u16::from(*status), wait, attempt)
            .with_ids(None, header("x-ms-request-id"));
    }
    let message = redact(&error.to_string());
    match error.kind() {
        AzureErrorKind::Connection => http::unreachable(url, &attempt.target, attempt.operation, &message),
        AzureErrorKind::Io if is_timeout(error) => base(
            ErrorKind::Timeout,
            format!("{} did not answer in time: {message}", crate::endpoint::host_and_port(url)),
        ),
        AzureErrorKind::Io => base(ErrorKind::Interrupted, message),
        _ => base(ErrorKind::Protocol, excerpt(&message, 500)),
    }
}

/// Looks for our HTTP client's verdict inside an error of an Azure library.
fn is_timeout(error: &AzureError) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<reqwest::Error>() {
            return error.is_timeout();
        }
        next = error.source();
    }
    false
}
