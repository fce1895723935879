//! A client that speaks the wire by hand: nothing between the test and the bytes.
#![allow(dead_code)]

use std::time::Duration;

use kusto_emulator::clock::ManualClock;
use kusto_emulator::{Emulator, EmulatorBuilder};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

pub(crate) const DATABASE: &str = "Samples";

/// An emulator on a clock that stands still, with the database `Samples` and the table `T (n: long, s: string)`.
pub(crate) struct Cluster {
    pub(crate) emulator: Emulator,
    pub(crate) clock: ManualClock,
    pub(crate) http: reqwest::Client,
    pub(crate) token: Option<String>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::start_with(|options| options)
    }

    pub(crate) fn start_with(options: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Self {
        let clock = ManualClock::default();
        let builder = Emulator::builder().database(DATABASE).clock(clock.clone());
        let emulator = options(builder).start().unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let cluster = Self { emulator, clock, http, token: None };
        cluster.emulator.handle().command(DATABASE, ".create table T (n: long, s: string)").unwrap();
        cluster
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.emulator.cluster_url())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, self.url(path));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn post(&self, path: &str, csl: &str) -> Answer {
        Answer::of(
            self.request(Method::POST, path).json(&json!({"db": DATABASE, "csl": csl})).send().await.unwrap(),
        )
        .await
    }

    pub(crate) async fn command(&self, csl: &str) -> Answer {
        self.post("/v1/rest/mgmt", csl).await
    }

    /// Rows of a v2 query's first result.
    pub(crate) async fn query(&self, csl: &str) -> Value {
        let answer = self.post("/v2/rest/query", csl).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let frames = answer.json();
        let primary =
            frames.as_array().unwrap().iter().find(|frame| frame["TableKind"] == "PrimaryResult").unwrap();
        primary["Rows"].clone()
    }

    /// The rows of a table's extents.
    pub(crate) async fn count(&self, table: &str) -> u64 {
        let answer = self.command(&format!(".show table {table} extents")).await.json();
        let columns = answer["Tables"][0]["Columns"].as_array().unwrap();
        let rows = columns.iter().position(|column| column["ColumnName"] == "RowCount").unwrap();
        answer["Tables"][0]["Rows"].as_array().unwrap().iter().map(|row| row[rows].as_u64().unwrap()).sum()
    }

    /// The addresses of one type of ingestion resource.
    pub(crate) async fn resources(&self, kind: &str) -> Vec<String> {
        let answer = self.command(".get ingestion resources").await.json();
        let rows = answer["Tables"][0]["Rows"].as_array().unwrap();
        rows.iter().filter(|row| row[0] == kind).map(|row| row[1].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn resource(&self, kind: &str) -> String {
        self.resources(kind).await.remove(0)
    }

    pub(crate) async fn identity_token(&self) -> String {
        let answer = self.command(".get kusto identity token").await.json();
        answer["Tables"][0]["Rows"][0][0].as_str().unwrap().to_owned()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let mut request = self.http.request(method, url).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn put_blob(&self, url: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.send(Method::PUT, url, &[("x-ms-blob-type", "BlockBlob")], body).await
    }

    /// Uploads a blob to the first container and returns its address.
    pub(crate) async fn upload(&self, name: &str, body: impl Into<Vec<u8>>) -> String {
        let url = item(&self.resource("TempStorage").await, name);
        let answer = self.put_blob(&url, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        url
    }

    pub(crate) async fn post_message(&self, text: &str) -> Answer {
        let url = item(&self.resource("SecuredReadyForAggregationQueue").await, "messages");
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        self.send(Method::POST, &url, &[("content-type", "application/xml")], body).await
    }

    /// Queues a message (bare JSON needs no escaping in XML but for `&` and `<`).
    pub(crate) async fn queue(&self, message: &Value) {
        let text = message.to_string().replace('&', "&amp;").replace('<', "&lt;");
        let answer = self.post_message(&text).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    /// Lets this much time pass and what is then due happen.
    pub(crate) async fn pass(&self, time: Duration) {
        self.emulator.handle().settle().await;
        self.clock.advance(time);
        self.emulator.handle().settle().await;
    }

    /// A message for the table `T` that reports to a status row; returns it with the row's address.
    pub(crate) async fn message(&self, blob: &str) -> (Value, String) {
        let id = uuid(blob);
        let table = self.resource("IngestionsStatusTable").await;
        let row = json!({"PartitionKey": id, "RowKey": id, "Status": "Pending", "IngestionSourceId": id});
        let inserted = self
            .send(
                Method::POST,
                &table,
                &[("content-type", "application/json"), ("prefer", "return-no-content")],
                row.to_string(),
            )
            .await;
        assert_eq!(inserted.status, 204, "{}", inserted.text);
        let message = json!({
            "Id": id, "BlobPath": blob, "RawDataSize": 100, "DatabaseName": DATABASE, "TableName": "T",
            "RetainBlobOnSuccess": true, "FlushImmediately": false, "ReportLevel": 2, "ReportMethod": 1,
            "IngestionStatusInTable": {"TableConnectionString": table, "PartitionKey": id, "RowKey": id},
            "AdditionalProperties": {"authorizationContext": self.identity_token().await, "format": "csv"},
        });
        (message, entity(&table, &id, &id))
    }

    pub(crate) async fn status(&self, row: &str) -> Value {
        let answer =
            self.send(Method::GET, row, &[("accept", "application/json;odata=nometadata")], "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }
}

/// A name below a signed address: before its query.
pub(crate) fn item(url: &str, name: &str) -> String {
    let (base, sas) = url.split_once('?').unwrap();
    format!("{base}/{name}?{sas}")
}

/// An entity's address.
pub(crate) fn entity(table: &str, partition: &str, row: &str) -> String {
    let (base, sas) = table.split_once('?').unwrap();
    format!("{base}(PartitionKey='{partition}',RowKey='{row}')?{sas}")
}

/// Some GUID that is another for another text.
pub(crate) fn uuid(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:08x}-0000-4000-8000-{:012x}", hash >> 32, hash & 0xffff_ffff_ffff)
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts a storage error.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.header("x-ms-error-code")), (status, code), "{}", self.text);
    }
}
