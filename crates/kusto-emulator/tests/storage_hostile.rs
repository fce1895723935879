//! Requests that no client sends, with a signature that holds: storage answers each in its own form and goes on.
//! `STORAGE_HOSTILE_SEED=<n>` replays a run.
#![allow(clippy::unwrap_used, missing_docs)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use kusto_emulator::Emulator;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, Url};
use sha2::Sha256;

const METHODS: [&str; 8] = ["GET", "HEAD", "PUT", "POST", "DELETE", "MERGE", "PATCH", "OPTIONS"];

const PATHS: [&str; 14] = [
    "",
    "/",
    "/ccc",
    "/ccc/b",
    "/ccc/dir%2Fb%20x",
    "/qqq/messages",
    "/qqq/messages/1",
    "/Tables",
    "/Tables('TTT')",
    "/TTT",
    "/TTT()",
    "/TTT(PartitionKey='a',RowKey='b''c')",
    "/TTT(PartitionKey='a'",
    "/$batch",
];

const QUERIES: [&str; 18] = [
    "restype=container",
    "comp=list",
    "comp=metadata",
    "comp=acl",
    "comp=block&blockid=YQ==",
    "comp=blocklist",
    "comp=properties",
    "comp=lease",
    "maxresults=-1",
    "marker=%FF",
    "prefix=%00",
    "numofmessages=99",
    "visibilitytimeout=-1",
    "popreceipt=x",
    "peekonly=true",
    "$filter=a%20eq%20(((",
    "$top=0",
    "NextPartitionKey=!",
];

const HEADERS: [(&str, &str); 12] = [
    ("x-ms-blob-type", "BlockBlob"),
    ("x-ms-blob-type", "PageBlob"),
    ("if-match", "*"),
    ("if-none-match", "*"),
    ("if-modified-since", "yesterday"),
    ("range", "bytes=9-1"),
    ("x-ms-range", "bytes=0-"),
    ("x-ms-meta-", "x"),
    ("x-ms-meta-a-b", "x"),
    ("content-md5", "x"),
    ("accept", "application/json;odata=fullmetadata"),
    ("prefer", "return-no-content"),
];

const BODIES: [&str; 10] = [
    "",
    "x",
    "<QueueMessage><MessageText>x</MessageText></QueueMessage>",
    "<BlockList><Latest>YQ==</Latest></BlockList>",
    "<a><b>",
    "{\"TableName\":\"TTT\"}",
    "{\"PartitionKey\":\"a\",\"RowKey\":\"b\",\"n\":1}",
    "{\"PartitionKey\":{}}",
    "[[[[",
    "<SignedIdentifiers/>",
];

fn pick<T: Copy>(rng: &mut StdRng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())]
}

/// An account SAS for everything, for a year.
fn signature(connection: &str) -> (String, String) {
    let field =
        |name: &str| connection.split(';').find_map(|part| part.strip_prefix(&format!("{name}="))).unwrap();
    let account = field("AccountName");
    let text = format!("{account}\nracwdlup\nbqt\nsco\n\n2080-01-01\n\n\n2022-11-02\n\n");
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(field("AccountKey")).unwrap()).unwrap();
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC);
    (account.to_owned(), format!("sv=2022-11-02&ss=bqt&srt=sco&sp=racwdlup&se=2080-01-01&sig={signature}"))
}

#[tokio::test]
async fn whatever_is_asked_is_answered_in_the_services_form_and_never_by_500() {
    let fixed = std::env::var("STORAGE_HOSTILE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = fixed.unwrap_or_else(rand::random);
    println!("STORAGE_HOSTILE_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let emulator = Emulator::builder().start().unwrap();
    let (account, sas) = signature(&emulator.storage_connection_strings()[0]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let urls = emulator.urls();
    let doors = [&urls.blob, &urls.queue, &urls.table, &urls.cluster];
    let made = [
        http.put(format!("{}/{account}/ccc?restype=container&{sas}", urls.blob)),
        http.put(format!("{}/{account}/ccc/b?{sas}", urls.blob)).header("x-ms-blob-type", "BlockBlob"),
        http.put(format!("{}/{account}/qqq?{sas}", urls.queue)),
        http.post(format!("{}/{account}/Tables?{sas}", urls.table)).body("{\"TableName\":\"TTT\"}"),
    ];
    for request in made {
        assert_eq!(request.send().await.unwrap().status(), 201);
    }
    let mut fine = 0;
    for _ in 0..1500 {
        let (door, path) = (pick(&mut rng, &doors), pick(&mut rng, &PATHS));
        let queries: Vec<_> = (0..rng.random_range(0..3)).map(|_| pick(&mut rng, &QUERIES)).collect();
        let url = format!("{door}/{account}{path}?{}&{sas}", queries.join("&"));
        let method = Method::from_bytes(pick(&mut rng, &METHODS).as_bytes()).unwrap();
        let mut request = http.request(method.clone(), Url::parse(&url).unwrap());
        for _ in 0..rng.random_range(0..3) {
            let (name, value) = pick(&mut rng, &HEADERS);
            request = request.header(name, value);
        }
        let answer = request.body(pick(&mut rng, &BODIES)).send().await.unwrap();
        let status = answer.status().as_u16();
        assert!(status < 500, "{status} for {method} {path} {queries:?}");
        fine += u32::from(status < 300);
        let coded = answer.headers().contains_key("x-ms-error-code") || status < 300 || path.len() < 2;
        assert!(coded || door == &urls.cluster, "{status} without a code for {method} {path} {queries:?}");
    }
    assert!(fine > 0, "some of them are right");
    let list = format!("{}/{account}?comp=list&{sas}", urls.blob);
    assert_eq!(http.get(list).send().await.unwrap().status(), 200, "it goes on");
}
