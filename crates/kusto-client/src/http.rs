//! Sending one request and telling truly what became of it.
//!
//! Every host is reached through the same two HTTP clients: one that honours the proxies of the environment, and one
//! that goes directly, for loopback and for the metadata address of virtual machines, which no proxy can reach. The
//! storage and identity libraries are given the same two (see [`crate::transport`]).
//!
//! 1. Every request has a deadline, from connecting to the last byte of the answer.
//! 2. Redirects are not followed: a token must not wander.
//! 3. An answer is read up to a limit; nothing that a server sends can fill the memory.
//! 4. No error holds the query part of a URL.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use url::{Host, Url};

use crate::clock::Skew;
use crate::options::Timeouts;
use crate::redact::redact;
use crate::{Effect, Error, ErrorKind, Result, endpoint, proxy};

/// The largest answer to a command or a query. The service cuts results at 64 MB by default; written as JSON and with
/// the limit raised by request, this leaves room and still bounds the memory.
pub(crate) const ANSWER_LIMIT: usize = 256 << 20;
/// The largest answer of storage, sign-in and metadata: a few hundred bytes in truth.
pub(crate) const SMALL_LIMIT: usize = 4 << 20;

/// How long a connection may idle in the pool; below the four minutes after which Azure's load balancers forget it.
const POOL_IDLE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub(crate) struct Http {
    proxied: reqwest::Client,
    direct: reqwest::Client,
}

/// What is being done: for errors, and for the deadline.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// A verb phrase.
    pub(crate) operation: &'static str,
    /// On what, without secrets.
    pub(crate) target: String,
    /// What a failure means that comes after the request was sent.
    pub(crate) effect: Effect,
    pub(crate) timeout: Duration,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }

    /// How far the clock of who answered is ahead of ours.
    pub(crate) fn skew(&self) -> Option<Skew> {
        Skew::of(&self.header("date")?, SystemTime::now())
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry_after(|name| self.header(name), SystemTime::now())
    }
}

impl Http {
    pub(crate) fn new(timeouts: &Timeouts) -> Result<Self> {
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(timeouts.connect)
                .pool_idle_timeout(POOL_IDLE)
                .redirect(Policy::none())
        };
        let failed = |error: reqwest::Error| {
            Error::new(ErrorKind::InvalidOption, "set up HTTP", "TLS and proxies", cause(&error))
                .with_source(error)
        };
        let proxied = builder().build().map_err(failed)?;
        let direct = builder().no_proxy().build().map_err(failed)?;
        Ok(Http { proxied, direct })
    }

    /// The client through which this address is reached.
    pub(crate) fn client(&self, url: &Url) -> &reqwest::Client {
        if is_direct(url) { &self.direct } else { &self.proxied }
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub(crate) async fn send(
        &self,
        mut request: reqwest::Request,
        attempt: &Attempt,
        limit: usize,
    ) -> Result<Answer> {
        *request.timeout_mut() = Some(attempt.timeout);
        let url = request.url().clone();
        let failed = |error| send_error(error, attempt, &url);
        let response = self.client(&url).execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        tracing::trace!(operation = attempt.operation, target = attempt.target, status, "answered");
        let body = read(response, limit).await.map_err(|error| match error {
            ReadError::Http(error) => send_error(error, attempt, &url),
            ReadError::TooLong => Error::new(
                ErrorKind::Protocol,
                attempt.operation,
                &attempt.target,
                format!("the answer is longer than {} MiB", limit >> 20),
            )
            .with_effect(attempt.effect),
        })?;
        Ok(Answer { status, headers, body })
    }
}

/// Whether no proxy can help to reach this address.
pub(crate) fn is_direct(url: &Url) -> bool {
    let link_local = matches!(url.host(), Some(Host::Ipv4(address)) if address.is_link_local());
    link_local || endpoint::is_loopback(url)
}

/// Why an answer could not be read to its end.
#[derive(Debug)]
pub(crate) enum ReadError {
    Http(reqwest::Error),
    TooLong,
}

/// Reads a body of at most `limit` bytes, counted after decompression.
pub(crate) async fn read(mut response: reqwest::Response, limit: usize) -> Result<Bytes, ReadError> {
    let expected = response.content_length().unwrap_or(0).min(1 << 20) as usize;
    let mut body = BytesMut::with_capacity(expected);
    while let Some(chunk) = response.chunk().await.map_err(ReadError::Http)? {
        if body.len() + chunk.len() > limit {
            return Err(ReadError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Turns a failure to get an answer into an error. Only a failure to connect is surely without effect.
pub(crate) fn send_error(error: reqwest::Error, attempt: &Attempt, url: &Url) -> Error {
    let error = error.without_url();
    let reason = cause(&error);
    if error.is_connect() {
        return unreachable(url, &attempt.target, attempt.operation, &reason).with_source(error);
    }
    let host = endpoint::host_and_port(url);
    let (kind, message) = if error.is_timeout() {
        (ErrorKind::Timeout, format!("{host} did not answer in full within {:?}", attempt.timeout))
    } else if error.is_builder() {
        (ErrorKind::InvalidOption, format!("the request cannot be made: {reason}"))
    } else {
        (ErrorKind::Interrupted, format!("the connection to {host} broke: {reason}"))
    };
    let effect = if kind == ErrorKind::InvalidOption { Effect::None } else { attempt.effect };
    Error::new(kind, attempt.operation, &attempt.target, message).with_effect(effect).with_source(error)
}

/// No connection: what was tried, and what to look at.
pub(crate) fn unreachable(url: &Url, target: &str, operation: &str, reason: &str) -> Error {
    let host = endpoint::host_and_port(url);
    let lower = reason.to_ascii_lowercase();
    let nameless = ["dns error", "lookup address", "invalid dns name"];
    let by_proxy = proxy::named_for(url);
    let advice = if by_proxy.is_some() {
        PROXY_ADVICE
    } else if nameless.iter().any(|sign| lower.contains(sign)) {
        "Check the host name and the region in the URL. A cluster with a private endpoint needs DNS that knows it."
    } else if lower.contains("certificate") || lower.contains("tls") {
        "Check the time of this machine and the certificates it trusts; something on the way may intercept TLS."
    } else if endpoint::is_loopback(url) {
        "Check that the local cluster runs and listens on this port."
    } else {
        "Check the port, a firewall on the way, the cluster's network rules, and HTTPS_PROXY if there is a proxy."
    };
    let message = match by_proxy {
        Some(proxy) => format!("no connection to {host} {proxy}: {reason}"),
        None => format!("no connection to {host}: {reason}"),
    };
    Error::new(ErrorKind::Unreachable, operation, target, message).with_advice(advice)
}

/// What to do about a proxy that is in the way.
pub(crate) const PROXY_ADVICE: &str = "Check the proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: that it runs, that it \
    lets this host pass, and its user and password if it wants them (http://user:password@host:port). Hosts in NO_PROXY \
    are reached without it.";

/// The innermost causes of an error, without repeating what the outer ones say.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = redact(&error.to_string());
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

/// How long the service asks to wait: milliseconds, seconds, or a date (RFC 9110, 10.2.3).
pub(crate) fn retry_after(header: impl Fn(&str) -> Option<String>, now: SystemTime) -> Option<Duration> {
    /// No server is obeyed for longer than this; a caller with a deadline gives up earlier anyway.
    const LONGEST: Duration = Duration::from_secs(3600);
    let milliseconds = ["x-ms-retry-after-ms", "retry-after-ms"].into_iter().find_map(&header);
    if let Some(wait) = milliseconds.and_then(|text| text.trim().parse().ok()) {
        return Some(Duration::from_millis(wait).min(LONGEST));
    }
    let text = header("retry-after")?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    let date = SystemTime::from(date);
    Some(date.duration_since(now).unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&str, &str)]) -> Option<Duration> {
        let now = SystemTime::from("2015-10-21T07:27:30Z".parse::<jiff::Timestamp>().unwrap());
        let find =
            |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        retry_after(find, now)
    }

    #[test]
    fn no_connection_says_what_to_look_at() {
        let url = Url::parse("https://c.kusto.windows.net").unwrap();
        for (reason, advice) in [
            (
                "dns error: failed to lookup address information: Name or service not known",
                "needs DNS that knows it",
            ),
            ("invalid peer certificate: UnknownIssuer", "certificates it trusts"),
            (
                "invalid peer certificate: certificate expired: verification time 1 (UNIX)",
                "time of this machine",
            ),
            ("tunnel error: proxy authorization required", "HTTPS_PROXY"),
            ("tcp connect error: deadline has elapsed", "a firewall on the way"),
        ] {
            let error = unreachable(&url, "t", "ask", reason);
            assert!(error.advice().is_some_and(|said| said.contains(advice)), "{error}");
        }
    }

    #[test]
    fn a_wait_is_read_as_seconds_milliseconds_or_a_date() {
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]), Some(Duration::from_secs(30)));
        assert_eq!(wait(&[("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT")]), Some(Duration::ZERO));
        assert_eq!(
            wait(&[("x-ms-retry-after-ms", "250"), ("retry-after", "9")]),
            Some(Duration::from_millis(250))
        );
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("retry-after", "99999999")]), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn no_damage_to_a_header_makes_the_reader_panic_or_the_wait_long() {
        let examples =
            ["7", "Wed, 21 Oct 2015 07:28:00 GMT", "-1", "99999999999999999999", "21 Oct 15 07:28 +0000"];
        crate::fuzz::fuzz("retry-after", &examples, |text| {
            let text = String::from_utf8_lossy(text);
            let waits = wait(&[("retry-after", &text)]).max(wait(&[("x-ms-retry-after-ms", &text)]));
            assert!(waits.unwrap_or_default() <= Duration::from_secs(3600));
            if let Some(skew) = Skew::of(&text, SystemTime::now()) {
                _ = skew.ours(SystemTime::now());
                assert!(!skew.to_string().is_empty());
            }
        });
    }
}
