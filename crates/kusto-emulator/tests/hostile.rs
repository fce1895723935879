//! Clients that nobody should have: they are cut off or refused, and the others are served on.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use support::{Cluster, DATABASE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn socket(cluster: &Cluster) -> TcpStream {
    let address = cluster.emulator.cluster_url().strip_prefix("http://").unwrap().to_owned();
    TcpStream::connect(address).await.unwrap()
}

/// What the server says until it closes the connection.
async fn until_closed(socket: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is a way to close, too.
    let _ = socket.read_to_end(&mut said).await;
    String::from_utf8_lossy(&said).into_owned()
}

async fn works(cluster: &Cluster) {
    assert_eq!(cluster.command(".show tables").await.status, 200);
}

#[tokio::test]
async fn a_client_that_goes_silent_in_the_middle_of_a_request_is_cut_off() {
    let cluster = Cluster::start_with(|options| options.client_patience(Duration::from_millis(100)));
    for part in [
        "",
        "POST /v1/rest/mgmt HTTP/1.1\r\nhost: x\r\n",
        "POST /v1/rest/mgmt HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"db\":",
        "POST /v1/rest/mgmt HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"db\"",
        "PUT /storage00/ingestdata-0/x?sig=y HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n1,2",
    ] {
        let mut silent = socket(&cluster).await;
        silent.write_all(part.as_bytes()).await.unwrap();
        let said = until_closed(&mut silent).await;
        assert!(!said.contains("200 OK"), "{part}: {said}");
    }
    // On a slow machine an honest client may be too slow, too: it tries again, as clients do.
    for _ in 0..100 {
        let request = cluster.request(Method::GET, "/v1/rest/auth/metadata").send().await;
        if request.is_ok_and(|answer| answer.status() == 200) {
            return;
        }
    }
    panic!("nobody is served any more");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_until_one_ends() {
    let cluster = Cluster::start_with(|options| options.max_connections(1));
    let head = "GET /v1/rest/auth/metadata HTTP/1.1\r\nhost: x\r\n\r\n";
    let (mut first, mut second) = (socket(&cluster).await, socket(&cluster).await);
    second.write_all(head.as_bytes()).await.unwrap();
    first.write_all(head.as_bytes()).await.unwrap();
    let mut some = [0; 16];
    first.read_exact(&mut some).await.unwrap();
    assert!(some.starts_with(b"HTTP/1.1 200"));
    let handle = cluster.emulator.handle();
    assert_eq!(handle.request_count(), 1, "the second is not heard while the first is connected");
    drop(first);
    second.read_exact(&mut some).await.unwrap();
    assert!(some.starts_with(b"HTTP/1.1 200"));
    assert_eq!(handle.request_count(), 2);
}

#[tokio::test]
async fn bodies_that_are_too_long_too_deep_or_no_json_are_refused_with_a_permanent_400_or_413() {
    let cluster = Cluster::start();
    let long = vec![b' '; 65 * 1024 * 1024];
    let deep = format!("{{\"db\":\"{DATABASE}\",\"csl\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let quoted = |csl: String| json!({"db": DATABASE, "csl": csl}).to_string();
    for (body, status) in [
        (long, 413),
        (deep.into_bytes(), 400),
        (b"\x1f\x8bnot gzip at all".to_vec(), 400),
        (b"[1, 2]".to_vec(), 400),
        (b"{\"db\": 1, \"csl\": 2}".to_vec(), 400),
        (b"\xff\xfe{}".to_vec(), 400),
        (json!({"db": DATABASE, "csl": ".show tables", "properties": 3}).to_string().into_bytes(), 400),
        (quoted(format!("print {}1", "(".repeat(100_000))).into_bytes(), 400),
        (quoted(format!(".create table X ({})", "a:long,".repeat(200_000))).into_bytes(), 400),
    ] {
        let url = cluster.url("/v1/rest/mgmt");
        let answer = cluster.send(Method::POST, &url, &[("content-type", "application/json")], body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.json()["error"]["@permanent"], json!(true), "{}", answer.text);
    }
    works(&cluster).await;
}

#[tokio::test]
async fn a_head_that_does_not_end_is_refused() {
    let cluster = Cluster::start();
    let mut endless = socket(&cluster).await;
    let mut head = b"GET /v1/rest/auth/metadata HTTP/1.1\r\nhost: x\r\n".to_vec();
    head.extend(format!("x-long: {}\r\n", "y".repeat(1000)).repeat(2000).bytes());
    // The server may close before everything is written.
    let _ = endless.write_all(&head).await;
    let said = until_closed(&mut endless).await;
    assert!(!said.contains("200 OK"), "{said}");
    works(&cluster).await;
}

#[tokio::test]
async fn a_gzip_body_that_unpacks_to_more_than_a_body_may_have_is_refused() {
    let cluster = Cluster::start();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &vec![b' '; 80 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    let answer = cluster.send(Method::POST, &cluster.url("/v1/rest/mgmt"), &[], bomb).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    works(&cluster).await;
}

/// A valid message with some of its bytes changed.
fn mutated(text: &str, rng: &mut StdRng) -> String {
    const SIGNS: [char; 20] = [
        '"', '{', '}', '[', ']', ':', ',', '\\', '0', '9', '-', 'n', 't', 'é', '\u{1}', '.', 'e', ';', '?',
        '%',
    ];
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..chars.len());
        match rng.random_range(0..3) {
            0 => chars[at] = SIGNS[rng.random_range(0..SIGNS.len())],
            1 => chars.insert(at, SIGNS[rng.random_range(0..SIGNS.len())]),
            _ => drop(chars.remove(at)),
        }
    }
    chars.into_iter().collect()
}

/// Another value for some field.
fn retyped(message: &Value, rng: &mut StdRng) -> Value {
    let values =
        [json!(null), json!(-1), json!(1e300), json!(""), json!([]), json!({}), json!(true), json!("0001")];
    let mut message = message.clone();
    for _ in 0..rng.random_range(1..4) {
        let object = match rng.random_bool(0.4) {
            true => message["AdditionalProperties"].as_object_mut(),
            false => message.as_object_mut(),
        };
        let Some(object) = object else { continue };
        let Some(key) = object.keys().nth(rng.random_range(0..object.len().max(1))).cloned() else {
            continue;
        };
        object.insert(key, values[rng.random_range(0..values.len())].clone());
    }
    message
}

#[tokio::test]
async fn queue_messages_of_every_shape_are_done_refused_or_dropped_and_the_next_good_one_is_ingested() {
    let seed = std::env::var("KT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("KT_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let cluster = Cluster::start();
    let blob = cluster.upload("a.csv", "1,a\n").await;
    let (mut good, _) = cluster.message(&blob).await;
    good["FlushImmediately"] = json!(true);
    good["AdditionalProperties"]["tags"] = json!("[\"drop-by:x\"]");
    good["AdditionalProperties"]["ingestionMapping"] =
        json!("[{\"Column\":\"n\",\"Properties\":{\"Ordinal\":\"0\"}}]");
    let sent = 200;
    for _ in 0..sent {
        let text = match rng.random_bool(0.5) {
            true => mutated(&good.to_string(), &mut rng),
            false => retyped(&good, &mut rng).to_string(),
        };
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('\u{1}', "");
        assert_eq!(cluster.post_message(&escaped).await.status, 201, "{text}");
    }
    cluster.emulator.handle().settle().await;
    let before = cluster.count("T").await;
    // Another blob: a message without its RetainBlobOnSuccess has had the first one deleted.
    let (mut good, row) = cluster.message(&cluster.upload("good.csv", "1,a\n").await).await;
    good["FlushImmediately"] = json!(true);
    cluster.queue(&good).await;
    cluster.emulator.handle().settle().await;
    assert_eq!(cluster.status(&row).await["Status"], "Succeeded");
    assert_eq!(cluster.count("T").await, before + 1);
    assert_eq!(cluster.emulator.handle().statistics().messages, sent + 1);
}
