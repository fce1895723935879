//! What the clients send for the same input and properties: the official Python and Node clients, and ours.
//!
//! Every field of a queue message, every header and every field of a request is the same with all three, or stands in
//! [`DIFFERENCES`] with the reason; and what stands there does differ. The page `docs/official-clients.md` has the table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use kusto_client::{
    Blob, Client, ConnectionOptions, Ingestion, IngestionMapping, Report, Service, ServiceExt,
};
use kusto_emulator::Emulator;
use serde_json::Value;
use timely_kusto_tests::{Outside, Place, Recorded, Recorder, ask, repository};

use super::inputs;

const FIRST: &str = "5f6e1d3c-9a0b-4c1d-8e2f-0123456789ab";
const SECOND: &str = "6a7b2e4d-0c1f-4d2e-9f30-123456789abc";

/// What was sent, by the place where it stood: `message: Id`, `request header: accept`, ... All values that were there, as
/// there are two messages and several requests.
#[derive(Debug, Default)]
struct Sent(BTreeMap<String, BTreeSet<String>>);

impl Sent {
    fn add(&mut self, place: String, value: impl Into<String>) {
        self.0.entry(place).or_default().insert(value.into());
    }
}

/// Place, and why not all three say the same there.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "blob header: if-none-match",
        "Node overwrites. Ours, like Python's, must not: a retry that meets its own blob looks at its length instead",
    ),
    (
        "blob header: x-ms-blob-content-type",
        "the Rust storage package sends the content type of the blob beside that of the request; the value is the same",
    ),
    (
        "blob header: x-ms-meta-rawbytes",
        "ours notes the size before compression, for those who look through a container",
    ),
    ("blob header: x-ms-meta-rows", "ours notes the number of rows, for those who look through a container"),
    (
        "message: AdditionalProperties.ingestionMapping",
        "ours names no types: a table's columns have theirs. Python's keys are in lower case, the service reads either",
    ),
    (
        "message: AdditionalProperties.ingestionMappingType",
        "Node leaves it out unless the caller names the kind; documented, and sent by Python and ours",
    ),
    ("message: ClientVersionForTracing", "each names itself"),
    (
        "message: IngestionStatusInTable",
        "Python has no status table and Node says null without one; Node writes the names inside in camelCase, the documentation and ours in PascalCase",
    ),
    (
        "message: ReportMethod",
        "Python can only report to queues (0); Node and ours were asked for the status table (1)",
    ),
    (
        "message: SourceMessageCreationTime",
        "an instant in UTC with 6, 3 and 9 digits; Python leaves out the Z",
    ),
    (
        "request body: properties",
        "ours always says how long the service may take, as the Go client does, so that both sides give up together",
    ),
    ("request header: x-ms-client-request-id", "each has its prefix"),
    ("request header: x-ms-client-version", "each names itself"),
    ("request header: x-ms-version", "Node sends it only with request properties"),
];

fn cluster() -> (Emulator, Recorder) {
    let cluster =
        Emulator::builder().database("Samples").batching_time(Duration::from_millis(50)).start().unwrap();
    let url = cluster.cluster_url();
    ask(url, ".create table Golden (id: long, name: string, at: datetime, x: real, ok: bool, more: dynamic)");
    ask(
        url,
        r#".create table Golden ingestion csv mapping 'given' '[{"column":"id","Properties":{"Ordinal":"0"}}]'"#,
    );
    let recorder = Recorder::start(url);
    (cluster, recorder)
}

fn python(outside: &Outside) -> Sent {
    let (place, (_cluster, recorder)) = (Place::new(), cluster());
    inputs::write(&place);
    let arguments = [recorder.url(), place.path().to_str().unwrap(), FIRST, SECOND];
    outside.start_python(&place, "golden", &arguments).wait().expect(0);
    sent(&recorder.take())
}

fn node(outside: &Outside) -> Sent {
    let (place, (_cluster, recorder)) = (Place::new(), cluster());
    inputs::write(&place);
    let arguments = [recorder.url(), place.path().to_str().unwrap(), FIRST, SECOND];
    outside.start_node(&place, "golden", &arguments).wait().expect(0);
    sent(&recorder.take())
}

fn ours() -> Sent {
    let (place, (_cluster, recorder)) = (Place::new(), cluster());
    inputs::write(&place);
    let options = ConnectionOptions::builder().cluster_url(recorder.url()).no_auth();
    let options = options.application_name("golden").user_name("tester").build().unwrap();
    let client = Client::connect(options).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for (ingestion, file) in [(by_reference(), "rows.csv"), (inline(), "rows.json")] {
            let blob = client.upload(blob(&place, file, &ingestion)).await.unwrap();
            client.queue(&ingestion, &blob).await.unwrap();
        }
        client.execute("Samples", "print golden = 1").await.unwrap();
        client.execute("Samples", ".show tables").await.unwrap();
    });
    sent(&recorder.take())
}

fn blob(place: &Place, file: &str, ingestion: &Ingestion) -> Blob {
    let raw = std::fs::read(place.path().join(file)).unwrap();
    let packed = std::fs::read(place.write_gzip("packed.gz", &raw)).unwrap();
    let name = format!("Samples__Golden__{}__{file}.gz", ingestion.source_id);
    Blob { name, body: packed.into(), rows: 4, raw_bytes: raw.len() as u64 }
}

fn ingestion(source_id: &str, format: &str) -> Ingestion {
    Ingestion {
        source_id: source_id.parse().unwrap(),
        database: "Samples".into(),
        table: "Golden".into(),
        format: format.into(),
        mapping: None,
        ignore_first_record: false,
        additional_tags: vec![],
        ingest_by_tags: vec![],
        drop_by_tags: vec![],
        ingest_if_not_exists: vec![],
        creation_time: None,
        flush_immediately: false,
        retain_blob_on_success: true,
        report: Report::None,
    }
}

fn by_reference() -> Ingestion {
    Ingestion {
        mapping: Some(IngestionMapping::Reference("given".into())),
        ignore_first_record: true,
        additional_tags: vec!["free".into()],
        drop_by_tags: vec!["day-1".into()],
        ingest_by_tags: vec!["part-1".into()],
        ingest_if_not_exists: vec!["part-1".into()],
        creation_time: Some("2020-02-03T00:00:00Z".into()),
        flush_immediately: true,
        ..ingestion(FIRST, "csv")
    }
}

/// In the form in which the sink writes mappings.
fn inline() -> Ingestion {
    let mapping =
        r#"[{"Column":"id","Properties":{"Path":"$.id"}},{"Column":"name","Properties":{"Path":"$.name"}}]"#;
    Ingestion {
        mapping: Some(IngestionMapping::Inline(mapping.into())),
        report: Report::Table,
        ..ingestion(SECOND, "multijson")
    }
}

/// Takes apart what was recorded.
fn sent(requests: &[Recorded]) -> Sent {
    let mut sent = Sent::default();
    for request in requests {
        let Some(what) = purpose(request) else { continue };
        sent.add(format!("{what}: method and path"), format!("{} {}", request.method, path(request)));
        for (name, value) in request.headers.iter().filter(|(name, _)| says_something(what, name)) {
            sent.add(format!("{what} header: {name}"), header(name, value));
        }
        match what {
            "message" => message(what, &request.body, &mut sent),
            "blob" => {}
            _ => fields(what, &json(&request.body), &mut sent),
        }
    }
    sent
}

/// Whether a header is of Kusto's protocol. Connections, compression of answers, and what storage packages tell of
/// themselves are HTTP's and those packages' own.
fn says_something(what: &str, name: &str) -> bool {
    match what {
        "blob" | "message" => {
            name.starts_with("x-ms-blob")
                || name.starts_with("x-ms-meta")
                || name.starts_with("if-")
                || name == "content-type"
        }
        _ => !matches!(name, "host" | "connection" | "content-length" | "user-agent"),
    }
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

/// The requests that are compared.
fn purpose(request: &Recorded) -> Option<&'static str> {
    let blob = request.method == "PUT" && request.path.contains("ingestdata");
    Some(match request.path.as_str() {
        _ if blob => "blob",
        path if path.ends_with("/messages") => "message",
        path if path.starts_with("/v") && request.method == "POST" => "request",
        _ => return None,
    })
}

/// The JSON in a message that is posted.
fn decoded(body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(body);
    let inner = text.split("<MessageText>").nth(1).and_then(|rest| rest.split("</MessageText>").next());
    json(&BASE64.decode(inner.unwrap_or_else(|| panic!("no message in {text}"))).unwrap())
}

fn message(what: &str, body: &[u8], sent: &mut Sent) {
    let message = decoded(body);
    for (name, value) in message.as_object().unwrap() {
        match value {
            Value::Object(inner) if name == "AdditionalProperties" => {
                for (name, value) in inner {
                    sent.add(format!("{what}: AdditionalProperties.{name}"), form(name, value));
                }
            }
            value => sent.add(format!("{what}: {name}"), form(name, value)),
        }
    }
}

fn fields(what: &str, body: &Value, sent: &mut Sent) {
    for (name, value) in body.as_object().unwrap() {
        sent.add(format!("{what} body: {name}"), value.to_string());
    }
}

/// A value as it is compared: what is another in every run is replaced by its form.
fn form(name: &str, value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    match name {
        "BlobPath" => {
            let (path, query) = text.split_once('?').unwrap();
            format!("…/{}?{}", path.rsplit('/').next().unwrap(), names(query))
        }
        "authorizationContext" => format!("the identity token: {}", !text.is_empty()),
        "SourceMessageCreationTime" => {
            text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
        }
        "IngestionStatusInTable" if value.is_object() => {
            format!("{:?}", value.as_object().unwrap().keys().collect::<Vec<_>>())
        }
        "ClientVersionForTracing" => version(text),
        "ingestionMapping" => json(text.as_bytes()).to_string(),
        _ => value.to_string(),
    }
}

/// The names in a query, sorted.
fn names(query: &str) -> String {
    let names: BTreeSet<_> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    names.into_iter().collect::<Vec<_>>().join("&")
}

/// The path without the account, the container or queue, and the name, which are everybody's own.
fn path(request: &Recorded) -> &str {
    match request.path.as_str() {
        path if path.starts_with("/v") => path,
        path if path.ends_with("/messages") => "…/messages",
        _ => "…",
    }
}

fn header(name: &str, value: &str) -> String {
    match name {
        "x-ms-client-request-id" => format!("{};…", value.split(';').next().unwrap_or_default()),
        "x-ms-client-version" => version(value),
        "x-ms-meta-rows" | "x-ms-meta-rawbytes" => "(a number)".into(),
        _ => value.to_owned(),
    }
}

/// The first part of `Name:{version}|...`.
fn version(value: &str) -> String {
    format!("{}:…", value.trim_start_matches('"').split(':').next().unwrap_or_default())
}

#[test]
fn what_is_sent_is_the_same_or_the_difference_has_a_reason() {
    let Some(outside) = Outside::find() else { return };
    let all = [python(&outside), node(&outside), ours()];
    let places: BTreeSet<_> = all.iter().flat_map(|sent| sent.0.keys()).collect();
    let differing: BTreeSet<_> = places
        .into_iter()
        .filter(|place| all.iter().any(|sent| sent.0.get(*place) != all[0].0.get(*place)))
        .map(String::as_str)
        .collect();
    let known: BTreeSet<_> = DIFFERENCES.iter().map(|(place, _)| *place).collect();
    let show = |place: &&&str| {
        let [python, node, ours] = all.each_ref().map(|sent| sent.0.get(**place));
        format!("{place}\n  python {python:?}\n  node   {node:?}\n  ours   {ours:?}")
    };
    let new: Vec<_> = differing.difference(&known).map(|place| show(&place)).collect();
    assert!(new.is_empty(), "differences without a reason:\n{}", new.join("\n"));
    let gone: Vec<_> = known.difference(&differing).collect();
    assert!(gone.is_empty(), "these are the same by now: {gone:?}");
}

#[test]
fn the_page_on_official_clients_has_every_difference() {
    let page = std::fs::read_to_string(repository().join("docs/official-clients.md")).unwrap();
    for (place, reason) in DIFFERENCES {
        let row = format!("| {place} | {reason} |");
        assert!(page.contains(&row), "docs/official-clients.md lacks this row:\n{row}");
    }
}
