//! The client: requests by hand, signed by hand, and what the answers are held to.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{Timestamp, ToSpan};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use serde_json::Value;
use sha2::Sha256;

use super::Kind;

const VERSION: &str = "2022-11-02";
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why an answer of Azurite has no code.
pub(super) const NO_CODE: &str = "Azurite answers without a code what the reader before its handlers refuses";

/// Percent-encodes a part of a path or query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Blob,
    Queue,
    Table,
}

/// An account of a storage.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) kind: Kind,
    pub(super) account: String,
    key: Vec<u8>,
    endpoints: [String; 3],
    http: reqwest::Client,
}

/// A request: a path below the service's endpoint with its query, encoded, and more.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    service: Service,
    method: Method,
    path: String,
    headers: Vec<(&'a str, String)>,
    body: Vec<u8>,
}

pub(super) fn ask<'a>(service: Service, method: &str, path: impl Into<String>) -> Ask<'a> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    Ask { service, method, path: path.into(), headers: Vec::new(), body: Vec::new() }
}

pub(super) fn blob<'a>(method: &str, path: impl Into<String>) -> Ask<'a> {
    ask(Service::Blob, method, path)
}

pub(super) fn queue<'a>(method: &str, path: impl Into<String>) -> Ask<'a> {
    ask(Service::Queue, method, path)
}

/// Answers without metadata, so that nothing in them depends on the server.
pub(super) fn table<'a>(method: &str, path: impl Into<String>) -> Ask<'a> {
    ask(Service::Table, method, path).header("accept", "application/json;odata=nometadata")
}

impl<'a> Ask<'a> {
    pub(super) fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn json(self, body: Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// A block blob.
    pub(super) fn block_blob(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("x-ms-blob-type", "BlockBlob").body(body)
    }
}

/// An answer that was read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The error's code, from the header or the document.
    pub(super) fn code(&self) -> String {
        let header = self.header("x-ms-error-code");
        if !header.is_empty() {
            return header.to_owned();
        }
        let document: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        document["odata.error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Status, and code of an error: what a client decides by.
    pub(super) fn said(&self) -> String {
        format!("{} {}", self.status, self.code()).trim().to_owned()
    }

    /// All texts of an XML element.
    pub(super) fn elements(&self, name: &str) -> Vec<String> {
        let (text, open, close) = (self.text(), format!("<{name}>"), format!("</{name}>"));
        let parts = text.split(&open).skip(1);
        parts.filter_map(|part| part.split_once(&close).map(|(inner, _)| inner.to_owned())).collect()
    }

    /// Holds the answer to this status and code.
    #[track_caller]
    pub(super) fn is(self, expected: &str) -> Self {
        assert_eq!(self.said(), expected, "{:?}\n{}", self.headers, self.text());
        self
    }
}

impl Server {
    pub(super) fn new(kind: Kind, connection: &str) -> Self {
        let fields: BTreeMap<_, _> = connection.split(';').filter_map(|part| part.split_once('=')).collect();
        let endpoint = |name: &str| fields[name].to_owned();
        Self {
            kind,
            account: endpoint("AccountName"),
            key: STANDARD.decode(fields["AccountKey"]).unwrap(),
            endpoints: ["BlobEndpoint", "QueueEndpoint", "TableEndpoint"].map(endpoint),
            http: reqwest::Client::builder().no_proxy().no_gzip().build().unwrap(),
        }
    }

    pub(super) fn endpoint(&self, service: Service) -> &str {
        let [blob, queue, table] = &self.endpoints;
        match service {
            Service::Blob => blob,
            Service::Queue => queue,
            Service::Table => table,
        }
    }

    /// Sends a request that the account's key signs.
    pub(super) async fn send(&self, ask: Ask<'_>) -> Answer {
        self.send_at(ask, Timestamp::now()).await
    }

    /// [`Server::send`] at another time than now.
    pub(super) async fn send_at(&self, mut ask: Ask<'_>, date: Timestamp) -> Answer {
        let printed = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date);
        ask.headers.push(("x-ms-date", printed.unwrap()));
        ask.headers.push(("x-ms-version", VERSION.to_owned()));
        let url = self.url(&ask);
        let signature = self.sign(&self.text(&ask, &url));
        ask.headers.push(("authorization", format!("SharedKey {}:{signature}", self.account)));
        self.raw(ask, url).await
    }

    /// Sends a request with a SAS or with nothing at all.
    pub(super) async fn send_with(&self, mut ask: Ask<'_>, sas: &str) -> Answer {
        let mark = if ask.path.contains('?') { "&" } else { "?" };
        ask.path = format!("{}{mark}{sas}", ask.path);
        ask.headers.push(("x-ms-version", VERSION.to_owned()));
        let url = self.url(&ask);
        self.raw(ask, url).await
    }

    /// Sends a request as it is.
    pub(super) async fn raw(&self, ask: Ask<'_>, url: Url) -> Answer {
        let mut request = self.http.request(ask.method, url).header("content-length", ask.body.len());
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let response = request.body(ask.body).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    pub(super) fn url(&self, ask: &Ask<'_>) -> Url {
        let endpoint = self.endpoint(ask.service);
        let below = if ask.path.is_empty() || ask.path.starts_with('?') { "" } else { "/" };
        Url::parse(&format!("{endpoint}{below}{}", ask.path)).unwrap()
    }

    /// The text that shared key signs: "Authorize with Shared Key" of the REST API.
    fn text(&self, ask: &Ask<'_>, url: &Url) -> String {
        let header = |name: &str| {
            ask.headers.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str())
        };
        let resource = format!("/{}{}", self.account, url.path());
        if ask.service == Service::Table {
            let comp = url.query_pairs().find(|(name, _)| name == "comp");
            let comp = comp.map(|(_, comp)| format!("?comp={comp}")).unwrap_or_default();
            let (kind, date) = (header("content-type"), header("x-ms-date"));
            return format!("{}\n\n{kind}\n{date}\n{resource}{comp}", ask.method);
        }
        let length = if ask.body.is_empty() { String::new() } else { ask.body.len().to_string() };
        let standard = [
            header("content-encoding"),
            header("content-language"),
            &length,
            header("content-md5"),
            header("content-type"),
            "",
            header("if-modified-since"),
            header("if-match"),
            header("if-none-match"),
            header("if-unmodified-since"),
            header("range"),
        ];
        let own: BTreeMap<_, _> =
            ask.headers.iter().filter(|(name, _)| name.starts_with("x-ms-")).cloned().collect();
        let own: String = own.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        // `query_pairs` would read a plus sign as a blank.
        let decode =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let query: BTreeMap<_, _> = url
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decode(name).to_lowercase(), decode(value)))
            .collect();
        let query: String = query.iter().map(|(name, value)| format!("\n{name}:{value}")).collect();
        format!("{}\n{}\n{own}{resource}{query}", ask.method, standard.join("\n"))
    }

    fn sign(&self, text: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).unwrap();
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    /// A service SAS with these fields, `sv` besides: "Create a service SAS" of the REST API.
    pub(super) fn service_sas(&self, service: Service, resource: &str, fields: &[(&str, &str)]) -> String {
        let get = |name: &str| fields.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        let (prefix, resource) = match service {
            Service::Blob => ("blob", resource.to_owned()),
            Service::Queue => ("queue", resource.to_owned()),
            Service::Table => ("table", resource.to_lowercase()),
        };
        let whole = format!("/{prefix}/{}/{resource}", self.account);
        let mut signed =
            vec![get("sp"), get("st"), get("se"), &whole, get("si"), get("sip"), get("spr"), VERSION];
        match service {
            Service::Blob => {
                signed.extend([get("sr"), "", ""]);
                signed.extend(["rscc", "rscd", "rsce", "rscl", "rsct"].map(get));
            }
            Service::Queue => {}
            Service::Table => signed.extend(["spk", "srk", "epk", "erk"].map(get)),
        }
        self.with_signature(fields, &signed.join("\n"))
    }

    /// An account SAS with these fields, `sv` besides: "Create an account SAS" of the REST API.
    pub(super) fn account_sas(&self, fields: &[(&str, &str)]) -> String {
        let get = |name: &str| fields.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        let mut signed = vec![self.account.as_str()];
        signed.extend(["sp", "ss", "srt", "st", "se", "sip", "spr"].map(get));
        signed.extend([VERSION, "", ""]);
        self.with_signature(fields, &signed.join("\n"))
    }

    fn with_signature(&self, fields: &[(&str, &str)], text: &str) -> String {
        let signature = self.sign(text);
        let all =
            [("sv", VERSION)].into_iter().chain(fields.iter().copied()).chain([("sig", signature.as_str())]);
        all.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
    }

    /// Holds an answer to what each storage is known to say, where the two differ; `_why` is for the reader.
    #[track_caller]
    pub(super) fn differs<T: PartialEq + std::fmt::Debug>(&self, found: T, ours: T, azurite: T, _why: &str) {
        assert_ne!(ours, azurite, "this is no difference");
        let expected = if self.kind == Kind::Ours { ours } else { azurite };
        assert_eq!(found, expected, "{:?}", self.kind);
    }
}

/// A moment `hours` from now, as SAS have it.
pub(super) fn in_hours(hours: i64) -> String {
    format!("{:.0}", Timestamp::now().checked_add(hours.hours()).unwrap())
}
