//! A wire tap: passes requests on to a cluster, and keeps them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::response::Response;
use tokio::runtime::Runtime;

/// A request as a client sent it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// `GET`, `POST`, ...
    pub method: String,
    /// The path, as it was encoded.
    pub path: String,
    /// What follows the question mark.
    pub query: String,
    /// The headers, by name in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, as it was encoded.
    pub body: Bytes,
}

/// Stands between clients and a cluster. Addresses of the cluster in answers become its own, so that storage is reached
/// through it too.
#[derive(Debug)]
pub struct Recorder {
    url: String,
    tap: Tap,
    _runtime: Runtime,
}

#[derive(Debug, Clone)]
struct Tap {
    upstream: String,
    url: String,
    client: reqwest::Client,
    seen: Arc<Mutex<Vec<Recorded>>>,
}

impl Recorder {
    /// Starts one before the cluster at `upstream`.
    pub fn start(upstream: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let tap = Tap { upstream: upstream.to_owned(), url: url.clone(), client, seen: Arc::default() };
        let router = Router::new().fallback(pass_on).with_state(tap.clone());
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Recorder { url, tap, _runtime: runtime }
    }

    /// Where clients find it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Everything so far, in order of arrival; forgotten then.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.tap.seen.lock().unwrap())
    }
}

async fn pass_on(State(tap): State<Tap>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    tap.seen.lock().unwrap().push(Recorded {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: body.clone(),
    });
    let mut headers = head.headers;
    for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    let url = format!("{}{}", tap.upstream, head.uri);
    let answer = tap.client.request(head.method, url).headers(headers).body(body).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONTENT_ENCODING] {
        headers.remove(name);
    }
    let mut response = Response::new(Body::from(readdressed(&body, &tap)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The body, with the recorder's address for the cluster's.
fn readdressed(body: &Bytes, tap: &Tap) -> Bytes {
    match std::str::from_utf8(body) {
        Ok(text) if text.contains(&tap.upstream) => Bytes::from(text.replace(&tap.upstream, &tap.url)),
        _ => body.clone(),
    }
}
