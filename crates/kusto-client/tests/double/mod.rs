//! A cluster on loopback that is written for these tests only: engine, data management, storage and sign-in behind one
//! port, every request recorded, any answer replaced by order. What it ingests goes into a `MemoryService`.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use kusto_client::testing::MemoryService;
use kusto_client::{Blob, ErrorKind, IngestionState, Service, Ticket, UploadedBlob};
use serde_json::{Value, json};
use uuid::Uuid;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    /// The host, where the request line names it, as it does towards a proxy.
    pub host: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An ordered answer.
#[derive(Clone)]
pub enum Order {
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Carries the request out, and then breaks off in the middle of the answer.
    CutAfterEffect,
    /// Never answers.
    Stall,
}

pub fn answer(status: u16, body: impl Into<String>) -> Order {
    Order::Answer(status, vec![], body.into())
}

#[derive(Default)]
pub struct Inner {
    pub seen: Vec<Seen>,
    orders: HashMap<&'static str, VecDeque<Order>>,
    blobs: BTreeMap<String, (Bytes, HeaderMap)>,
    blocks: BTreeMap<String, Bytes>,
    rows: BTreeMap<String, Value>,
    /// The valid signature; storage refuses others.
    generation: usize,
    tokens: usize,
    /// The addresses of containers, queues and tables that clients are told instead of the true one.
    advertised: Option<[String; 3]>,
    /// The login endpoint and the resource that clients are told instead of the usual ones.
    cloud: Option<(String, String)>,
    /// The only token that is accepted, if any is wanted.
    valid: Option<String>,
}

#[derive(Clone)]
pub struct Double {
    pub url: String,
    pub memory: MemoryService,
    inner: Arc<Mutex<Inner>>,
    _task: Arc<Stop>,
}

/// Ends the server with the last clone of the double.
struct Stop(tokio::task::JoinHandle<()>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Double {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner::default()));
        let memory = MemoryService::new();
        let state = Server { url: url.clone(), memory: memory.clone(), inner: Arc::clone(&inner) };
        let router = Router::new().fallback(serve).with_state(state);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Double { url, memory, inner, _task: Arc::new(Stop(task)) }
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The next request whose path and query contain `part` gets `order`.
    pub fn order(&self, part: &'static str, order: Order) {
        self.inner().orders.entry(part).or_default().push_back(order);
    }

    /// From now on only signatures handed out afterwards are good.
    pub fn expire_signatures(&self) {
        self.inner().generation += 1;
    }

    /// From now on clients are told these addresses for containers, queues and tables.
    pub fn advertise(&self, urls: [&str; 3]) {
        self.inner().advertised = Some(urls.map(str::to_owned));
    }

    /// From now on clients are told to sign in there, for this resource.
    pub fn sign_in_at(&self, login: &str, resource: &str) {
        self.inner().cloud = Some((login.to_owned(), resource.to_owned()));
    }

    /// From now on only the `n`th token of the sign-in endpoint is good.
    pub fn accept_token(&self, n: usize) {
        self.inner().valid = Some(format!("token-{n}"));
    }

    /// The requests whose path and query contain `part`.
    pub fn seen(&self, part: &str) -> Vec<Seen> {
        let matches = |seen: &&Seen| format!("{}?{}", seen.path, seen.query).contains(part);
        self.inner().seen.iter().filter(matches).cloned().collect()
    }

    /// The commands that came, in order.
    pub fn commands(&self) -> Vec<String> {
        let text = |seen: Seen| seen.json()["csl"].as_str().unwrap().to_owned();
        self.seen("/v1/rest/mgmt").into_iter().map(text).collect()
    }

    /// Metadata headers of the stored blob.
    pub fn blob_headers(&self, name: &str) -> HeaderMap {
        self.inner().blobs[name].1.clone()
    }
}

#[derive(Clone)]
struct Server {
    url: String,
    memory: MemoryService,
    inner: Arc<Mutex<Inner>>,
}

async fn serve(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let seen = Seen {
        method: parts.method,
        host: parts.uri.host().unwrap_or_default().to_owned(),
        path: percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: to_bytes(body, usize::MAX).await.unwrap(),
    };
    let order = {
        let mut inner = server.inner.lock().unwrap();
        inner.seen.push(seen.clone());
        let target = format!("{}?{} {}", seen.path, seen.query, String::from_utf8_lossy(&seen.body));
        let mut lines = inner.orders.iter_mut();
        lines
            .find(|(part, line)| target.contains(*part) && !line.is_empty())
            .and_then(|(_, line)| line.pop_front())
    };
    match order {
        Some(Order::Answer(status, headers, body)) => reply(status, &headers, body),
        Some(Order::Stall) => std::future::pending().await,
        Some(Order::CutAfterEffect) => {
            server.route(&seen).await;
            let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
            Response::builder().status(200).body(Body::from_stream(broken)).unwrap()
        }
        None => of_storage(server.route(&seen).await),
    }
}

/// Every answer of storage has an id; those of the others do not mind one.
fn of_storage(mut response: Response) -> Response {
    response.headers_mut().insert("x-ms-request-id", "storage-1".parse().unwrap());
    response
}

fn reply(status: u16, headers: &[(&'static str, String)], body: impl Into<Body>) -> Response {
    let mut builder = Response::builder().status(status).header("x-ms-activity-id", "activity-1");
    for (name, value) in headers {
        builder = builder.header(*name, value);
    }
    builder.body(body.into()).unwrap()
}

fn json_reply(value: &Value) -> Response {
    reply(200, &[("content-type", "application/json".into())], value.to_string())
}

pub fn kusto_error(code: &str, message: &str, permanent: bool) -> String {
    json!({"error": {"code": code, "message": "general", "@message": message, "@permanent": permanent}})
        .to_string()
}

fn v1(columns: &[&str], rows: Value) -> Response {
    let columns: Vec<_> = columns
        .iter()
        .map(|name| json!({"ColumnName": name, "DataType": "String", "ColumnType": "string"}))
        .collect();
    json_reply(&json!({"Tables": [{"TableName": "Table_0", "Columns": columns, "Rows": rows}]}))
}

impl Server {
    async fn route(&self, seen: &Seen) -> Response {
        match seen.path.as_str() {
            "/v1/rest/auth/metadata" => self.metadata(),
            "/v1/rest/mgmt" => self.refusal(seen).unwrap_or_else(|| self.mgmt(seen)),
            "/v2/rest/query" => match self.refusal(seen) {
                None => self.query(seen).await,
                Some(refusal) => refusal,
            },
            path if path.ends_with("/oauth2/v2.0/token") => self.token("expires_in"),
            "/metadata/identity/oauth2/token" | "/msi/token" => self.token("expires_on"),
            path if path.starts_with("/acct") => self.storage(seen).await,
            _ => reply(404, &[], ""),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn metadata(&self) -> Response {
        let usual = || (self.url.clone(), "https://double.kusto".to_owned());
        let (login, resource) = self.inner().cloud.clone().unwrap_or_else(usual);
        json_reply(&json!({"AzureAD": {
            "LoginEndpoint": login, "LoginMfaRequired": false, "KustoServiceResourceId": resource
        }}))
    }

    fn token(&self, expiry: &str) -> Response {
        let mut inner = self.inner();
        inner.tokens += 1;
        let token = format!("token-{}", inner.tokens);
        let expires = match expiry {
            "expires_in" => json!(3600),
            _ => json!("4102444800"),
        };
        json_reply(&json!({"access_token": token, "token_type": "Bearer", "resource": "r", expiry: expires}))
    }

    /// The refusal of a request that lacks the token that is wanted.
    fn refusal(&self, seen: &Seen) -> Option<Response> {
        let valid = self.inner().valid.clone()?;
        let good = seen.header("authorization") == format!("Bearer {valid}");
        (!good).then(|| reply(401, &[("www-authenticate", "Bearer".into())], ""))
    }

    fn mgmt(&self, seen: &Seen) -> Response {
        let body = seen.json();
        match body["csl"].as_str().unwrap() {
            ".get ingestion resources" => v1(&["ResourceTypeName", "StorageRoot"], self.resources()),
            ".get kusto identity token" => v1(&["AuthorizationContext"], json!([["opaque-identity"]])),
            ".show tables" => v1(&["TableName", "DatabaseName"], json!([["t", "db"]])),
            ".fail inside" => json_reply(&json!({"Tables": [{"TableName": "Table_0",
                "Columns": [{"ColumnName": "a", "ColumnType": "string"}], "Rows": [{"Exceptions": ["it broke"]}]}]})),
            other => reply(400, &[], kusto_error("SYN0002", &format!("Syntax error: {other}"), true)),
        }
    }

    fn resources(&self) -> Value {
        let signature = format!("sv=1&sig=secret{}", self.inner().generation);
        let usual = || std::array::from_fn(|_| self.url.clone());
        let [blobs, queues, tables] = self.inner().advertised.clone().unwrap_or_else(usual);
        let root = |url: &str, path: &str| format!("{url}/{path}?{signature}");
        json!([
            ["TempStorage", root(&blobs, "acct0/blobs")],
            ["SecuredReadyForAggregationQueue", root(&queues, "acct0/queue")],
            ["IngestionsStatusTable", root(&tables, "acct0/status")],
            ["FailedIngestionsQueue", root(&queues, "acct0/failed")],
        ])
    }

    async fn query(&self, seen: &Seen) -> Response {
        let body = seen.json();
        let completion = |failed: bool| match failed {
            false => json!({"FrameType": "DataSetCompletion", "HasErrors": false, "Cancelled": false}),
            true => json!({"FrameType": "DataSetCompletion", "HasErrors": true, "Cancelled": false,
                "OneApiErrors": [{"error": {"code": "LimitsExceeded", "@message": "too many", "@permanent": true}}]}),
        };
        let text = body["csl"].as_str().unwrap();
        if text == "fail inside" {
            return json_reply(
                &json!([{"FrameType": "DataSetHeader", "IsProgressive": false}, completion(true)]),
            );
        }
        match self.memory.query(body["db"].as_str().unwrap(), text).await {
            Ok(tables) => json_reply(&json!([
                {"FrameType": "DataSetHeader", "IsProgressive": false, "Version": "v2.0"},
                {"FrameType": "DataTable", "TableKind": "PrimaryResult", "TableName": "PrimaryResult",
                 "Columns": [{"ColumnName": tables[0].columns[0].name, "ColumnType": "long"}], "Rows": tables[0].rows},
                completion(false)
            ])),
            Err(error) => reply(400, &[], kusto_error("SEM0100", error.message(), true)),
        }
    }

    async fn storage(&self, seen: &Seen) -> Response {
        let good = format!("sig=secret{}", self.inner().generation);
        if !seen.query.split('&').any(|part| part == good) {
            return storage_error(403, "AuthenticationFailed");
        }
        let (_, rest) = seen.path.trim_start_matches('/').split_once('/').unwrap();
        match (&seen.method, rest.split_once('/')) {
            (&Method::PUT, Some(("blobs", name))) => self.put(name, seen),
            (&Method::HEAD, Some(("blobs", name))) => match self.inner().blobs.get(name) {
                Some((body, _)) => reply(200, &[("content-length", body.len().to_string())], ""),
                None => storage_error(404, "BlobNotFound"),
            },
            (&Method::POST, Some(("queue", "messages"))) => self.message(seen).await,
            (&Method::POST, None) if rest == "status" => self.insert(seen),
            (&Method::GET, None) if rest.starts_with("status(") => self.row(rest).await,
            _ => storage_error(404, "ResourceNotFound"),
        }
    }

    fn put(&self, name: &str, seen: &Seen) -> Response {
        let mut inner = self.inner();
        let pairs: HashMap<_, _> = seen.query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let body = match pairs.get("comp") {
            Some(&"block") => {
                inner.blocks.insert(percent_decoded(pairs["blockid"]), seen.body.clone());
                return reply(201, &[], "");
            }
            Some(&"blocklist") => {
                let list = seen.text();
                let ids = list
                    .split("<Latest>")
                    .skip(1)
                    .map(|part| percent_decoded(part.split('<').next().unwrap()));
                let blocks: Vec<_> = ids.map(|id| inner.blocks[&id].clone()).collect();
                Bytes::from(blocks.concat())
            }
            _ => seen.body.clone(),
        };
        assert_eq!(seen.header("if-none-match"), "*");
        if inner.blobs.contains_key(name) {
            return storage_error(409, "BlobAlreadyExists");
        }
        inner.blobs.insert(name.to_owned(), (body, seen.headers.clone()));
        let modified = ("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT".to_owned());
        reply(201, &[("etag", "\"1\"".into()), modified], "")
    }

    async fn message(&self, seen: &Seen) -> Response {
        let xml = seen.text();
        let (_, rest) = xml.split_once("<MessageText>").unwrap();
        let json: Value =
            serde_json::from_slice(&BASE64.decode(rest.split_once('<').unwrap().0).unwrap()).unwrap();
        self.ingest(&json).await;
        let sent = "<?xml version=\"1.0\"?><QueueMessagesList><QueueMessage><MessageId>1</MessageId></QueueMessage>\
                    </QueueMessagesList>";
        reply(201, &[("content-type", "application/xml".into())], sent)
    }

    async fn ingest(&self, message: &Value) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |value: &Value| -> Vec<String> {
            value.as_str().map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default()
        };
        let properties = &message["AdditionalProperties"];
        assert_eq!(properties["authorizationContext"], "opaque-identity");
        let tags = list(&properties["tags"]);
        let ingestion = kusto_client::Ingestion {
            source_id: message["Id"].as_str().unwrap().parse().unwrap(),
            database: text(&message["DatabaseName"]),
            format: text(&properties["format"]),
            ignore_first_record: properties["ignoreFirstRecord"] == true,
            ingest_by_tags: tags
                .iter()
                .filter_map(|tag| tag.strip_prefix("ingest-by:"))
                .map(Into::into)
                .collect(),
            ingest_if_not_exists: list(&properties["ingestIfNotExists"]),
            flush_immediately: true,
            ..crate::support::ingestion_into(&text(&message["TableName"]))
        };
        let path = text(&message["BlobPath"]);
        let name = percent_decoded(path.split('?').next().unwrap().rsplit('/').next().unwrap());
        let body = self.inner().blobs[&name].0.clone();
        let raw_bytes = message["RawDataSize"].as_u64().unwrap();
        let blob = Blob { name, body, rows: 0, raw_bytes };
        let stored: UploadedBlob = self.memory.upload(blob).await.unwrap();
        self.memory.queue(&ingestion, &stored).await.unwrap();
    }

    fn insert(&self, seen: &Seen) -> Response {
        let row = seen.json();
        let key = row["PartitionKey"].as_str().unwrap().to_owned();
        let mut inner = self.inner();
        if inner.rows.contains_key(&key) {
            let body =
                json!({"odata.error": {"code": "EntityAlreadyExists", "message": {"value": "It is there."}}});
            return reply(409, &[], body.to_string());
        }
        inner.rows.insert(key, row);
        reply(204, &[], "")
    }

    async fn row(&self, path: &str) -> Response {
        let key = path.split('\'').nth(1).unwrap();
        let Some(mut row) = self.inner().rows.get(key).cloned() else {
            let body =
                json!({"odata.error": {"code": "ResourceNotFound", "message": {"value": "No such row."}}});
            return reply(404, &[], body.to_string());
        };
        let source_id: Uuid = key.parse().unwrap();
        let ticket = Ticket { source_id, status_table: Some("memory".into()), signature: None };
        match self.memory.status(&ticket).await {
            Ok(status) => {
                row["Status"] = format!("{:?}", status.state).into();
                row["FailureStatus"] = format!("{:?}", status.failure).into();
                row["ErrorCode"] = status.error_code.into();
                row["Details"] = status.details.into();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{:?}", IngestionState::Pending),
        }
        json_reply(&row)
    }
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn storage_error(status: u16, code: &str) -> Response {
    let xml = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>storage says {code}</Message></Error>"
    );
    reply(status, &[("x-ms-error-code", code.into()), ("content-type", "application/xml".into())], xml)
}
