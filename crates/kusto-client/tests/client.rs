//! The client against a cluster on loopback: what it sends, and what it makes of every kind of answer.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, clippy::wildcard_enum_match_arm)]

mod double;

use std::collections::HashSet;
use std::convert::Infallible;
use std::io::Write;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use double::{Double, Order, answer, kusto_error};
use futures::future::join_all;
use kusto_client::conformance::{self, Fixture};
use kusto_client::{
    Blob, Client, ConnectionOptions, ConnectionOptionsBuilder, Effect, ErrorKind, Ingestion, IngestionState,
    Report, Service, ServiceExt, Token,
};
use serde_json::json;
use uuid::Uuid;

fn options(double: &Double) -> ConnectionOptionsBuilder {
    ConnectionOptions::builder().cluster_url(&double.url)
}

async fn start() -> (Double, Client) {
    let double = Double::start().await;
    let client = Client::connect(options(&double).no_auth().build().unwrap()).unwrap();
    (double, client)
}

async fn start_with(auth: impl Fn(ConnectionOptionsBuilder) -> ConnectionOptionsBuilder) -> (Double, Client) {
    let double = Double::start().await;
    let client = Client::connect(auth(options(&double)).build().unwrap()).unwrap();
    (double, client)
}

fn blob(body: impl Into<Bytes>) -> Blob {
    let body = body.into();
    Blob { name: format!("{}.csv", Uuid::new_v4()), rows: 1, raw_bytes: body.len() as u64, body }
}

fn ingestion() -> Ingestion {
    Ingestion {
        source_id: Uuid::new_v4(),
        database: "db".into(),
        table: "t".into(),
        format: "csv".into(),
        mapping: None,
        ignore_first_record: false,
        additional_tags: vec![],
        ingest_by_tags: vec![],
        drop_by_tags: vec![],
        ingest_if_not_exists: vec![],
        creation_time: None,
        flush_immediately: false,
        retain_blob_on_success: true,
        report: Report::Table,
    }
}

#[tokio::test]
async fn the_client_conforms() {
    let (_double, client) = start().await;
    let fixture = Fixture {
        failing_command: Some(".fail inside".into()),
        failing_query: Some("fail inside".into()),
        ..Fixture::new("db", "t")
    };
    conformance::all(&client, &fixture).await;
}

#[tokio::test]
async fn a_request_carries_what_the_protocol_asks_for() {
    let double = Double::start().await;
    let options = options(&double)
        .no_auth()
        .application_name("my app")
        .query_timeout(Duration::from_secs(90))
        .build()
        .unwrap();
    let client = Client::connect(options).unwrap();
    client.execute("db", "  print 7").await.unwrap();
    client.execute("db", "\n.show tables").await.unwrap();
    let query = &double.seen("/v2/rest/query")[0];
    assert_eq!(
        query.json(),
        json!({"db": "db", "csl": "print 7", "properties": {"Options": {"servertimeout": "00:01:30"}}})
    );
    assert_eq!(query.header("x-ms-version"), "2024-12-12");
    assert_eq!(query.header("x-ms-app"), "my app");
    assert_eq!(query.header("accept"), "application/json");
    assert!(query.header("x-ms-client-version").starts_with("Kusto.Timely.Client:{"));
    let id = query.header("x-ms-client-request-id").strip_prefix("KTK.execute;").unwrap();
    assert!(id.parse::<Uuid>().is_ok());
    assert_eq!(query.header("authorization"), "");
    assert_eq!(double.commands(), [".show tables"]);
    assert!(double.seen("auth/metadata").is_empty(), "without sign-in nobody asks how");
}

#[tokio::test]
async fn an_application_signs_in_where_the_cluster_says_once_for_all() {
    let (double, client) = start_with(|builder| builder.application("app-id", "app-key", "tenant-1")).await;
    double.accept_token(1);
    let answers = join_all((0..8).map(|_| client.query("db", "print 7"))).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    let requests = double.seen("/tenant-1/oauth2/v2.0/token");
    assert_eq!(requests.len(), 1);
    let form = requests[0].text();
    assert!(form.contains("client_id=app-id") && form.contains("client_secret=app-key"), "{form}");
    assert!(form.contains("scope=https%3A%2F%2Fdouble.kusto%2F.default"), "{form}");
    assert_eq!(double.seen("auth/metadata").len(), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (double, client) = start_with(|builder| builder.application("app-id", "app-key", "tenant")).await;
    client.query("db", "print 7").await.unwrap();
    double.accept_token(2);
    client.query("db", "print 7").await.unwrap();
    assert_eq!(double.seen("oauth2").len(), 2);
    double.accept_token(99);
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::SignIn, Effect::None));
    assert_eq!(double.seen("oauth2").len(), 3, "one fresh token, not one after the other");
    assert!(error.to_string().contains("Check the tenant"), "{error}");
}

#[tokio::test]
async fn managed_identities_are_asked_by_every_spelling() {
    type Choose = fn(ConnectionOptionsBuilder) -> ConnectionOptionsBuilder;
    let choices: [(Choose, &str); 4] = [
        (|builder| builder.managed_identity(), ""),
        (|builder| builder.managed_identity_client_id("c-1"), "client_id=c-1"),
        (|builder| builder.managed_identity_object_id("o-1"), "object_id=o-1"),
        (
            |builder| builder.managed_identity_resource_id("/subscriptions/r"),
            "msi_res_id=%2Fsubscriptions%2Fr",
        ),
    ];
    for (choose, part) in choices {
        let double = Double::start().await;
        let builder = choose(options(&double)).authority(&double.url);
        let client = Client::connect(builder.build().unwrap()).unwrap();
        double.accept_token(1);
        client.query("db", "print 7").await.unwrap();
        let request = &double.seen("/metadata/identity/oauth2/token")[0];
        assert!(request.query.contains(part), "{part} is missing in {}", request.query);
        assert!(request.query.contains("resource=https%3A%2F%2Fdouble.kusto"), "{}", request.query);
        assert_eq!(request.header("metadata"), "true");
    }
}

/// Stands for the Azure command line: answers as `az account get-access-token` does.
#[cfg(unix)]
const FAKE_AZ: &str = r#"#!/bin/sh
case "$*" in
  *"account get-access-token"*"https://double.kusto/.default"*)
    echo '{"accessToken": "token-of-az", "expires_on": 4102444800, "tokenType": "Bearer"}' ;;
  *) echo "unexpected: $*" >&2; exit 1 ;;
esac
"#;

#[cfg(unix)]
#[tokio::test]
async fn the_azure_command_line_is_asked() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let az = directory.path().join("az");
    std::fs::write(&az, FAKE_AZ).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    let double = Double::start().await;
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let variables = vec![("PATH", path), ("KUSTO_DOUBLE", double.url.clone())];
    let output = in_a_process_of_its_own("signs_in_by_the_azure_command_line", variables).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(double.seen("/v2/rest/query")[0].header("authorization"), "Bearer token-of-az");
}

#[tokio::test]
#[ignore = "run by the_azure_command_line_is_asked, with an `az` on its path"]
async fn signs_in_by_the_azure_command_line() {
    let url = std::env::var("KUSTO_DOUBLE").unwrap();
    let options = ConnectionOptions::builder().cluster_url(url).azure_cli().build().unwrap();
    Client::connect(options).unwrap().query("db", "print 7").await.unwrap();
}

#[tokio::test]
async fn callbacks_are_asked_again_when_their_token_is_refused() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (counter, scopes) = (Arc::clone(&calls), Arc::new(Mutex::new(HashSet::new())));
    let seen = Arc::clone(&scopes);
    let (double, client) = start_with(move |builder| {
        let (counter, seen) = (Arc::clone(&counter), Arc::clone(&seen));
        builder.token_provider(move |scope| {
            seen.lock().unwrap().insert(scope);
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            async move { Ok::<_, Infallible>(Token::new(format!("token-{number}"))) }
        })
    })
    .await;
    double.accept_token(2);
    client.query("db", "print 7").await.unwrap();
    client.command("db", ".show tables").await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(scopes.lock().unwrap().iter().collect::<Vec<_>>(), ["https://double.kusto/.default"]);

    let (_double, client) =
        start_with(|builder| builder.blocking_token_provider(|_| Err::<Token, _>("the vault is locked")))
            .await;
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignIn);
    assert!(error.to_string().contains("the vault is locked"), "{error}");
}

#[tokio::test]
async fn sign_in_errors_say_what_to_mend_and_keep_the_key() {
    let (double, client) = start_with(|builder| builder.application("app-id", "app-k3y", "tenant")).await;
    let refusal = json!({"error": "invalid_client", "error_codes": [7000215],
        "error_description": "AADSTS7000215: Invalid client secret provided: 'app-k3y'."});
    double.order("oauth2", answer(401, refusal.to_string()));
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::SignIn, Effect::None));
    let text = format!("{error} {error:?}");
    assert!(text.contains("AADSTS7000215") && text.contains("secret's value, not its id"), "{text}");
    assert!(!text.contains("app-k3y"), "{text}");
}

#[tokio::test]
async fn answers_of_every_status_become_errors_that_say_kind_and_effect() {
    let (double, client) = start().await;
    let throttled =
        Order::Answer(429, vec![("retry-after", "7".into())], kusto_error("Throttled", "slow down", false));
    for (order, kind, effect) in [
        (answer(400, kusto_error("SYN0002", "bad", true)), ErrorKind::BadRequest, Effect::None),
        (
            answer(400, kusto_error("BadRequest_EntityNotFound", "no", true)),
            ErrorKind::NotFound,
            Effect::None,
        ),
        (answer(403, ""), ErrorKind::Forbidden, Effect::None),
        (answer(404, ""), ErrorKind::NotFound, Effect::None),
        (throttled, ErrorKind::Throttled, Effect::None),
        (answer(500, "oops"), ErrorKind::Service, Effect::Unknown),
        (answer(504, ""), ErrorKind::Timeout, Effect::Unknown),
        (answer(200, "<html>hotel"), ErrorKind::Protocol, Effect::Unknown),
        (answer(302, ""), ErrorKind::Protocol, Effect::Unknown),
        (Order::CutAfterEffect, ErrorKind::Interrupted, Effect::Unknown),
    ] {
        double.order("/v1/rest/mgmt", order.clone());
        let error = client.command("db", ".drop table t").await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, effect), "{error:?}");
        assert!(error.client_request_id().is_some_and(|id| id.starts_with("KTK.execute;")), "{error:?}");
        double.order("/v1/rest/mgmt", order);
        let error = client.command("db", ".show tables").await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::None), "a look has no effect: {error:?}");
    }
    double.order("/v1/rest/mgmt", Order::Answer(429, vec![("retry-after", "7".into())], String::new()));
    let error = client.command("db", ".drop table t").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(error.activity_id(), Some("activity-1"));
}

#[tokio::test]
async fn refusals_name_the_role_the_command_and_the_right_address() {
    let (double, client) = start_with(|builder| builder.application("app-id", "k", "tenant")).await;
    double.order("/v1/rest/mgmt", answer(403, ""));
    let error = client.command("db", ".ingest inline into table Storms <| 1").await.unwrap_err();
    assert!(error.to_string().contains(".add table Storms ingestors ('aadapp=app-id;tenant')"), "{error}");

    let stored = client.upload(blob("1,x\n")).await.unwrap();
    double.order(".get kusto identity token", answer(403, ""));
    let error = client.queue(&ingestion(), &stored).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Forbidden, Effect::None));
    assert!(error.to_string().contains(".add table t ingestors ('aadapp=app-id;tenant')"), "{error}");

    let wrong =
        kusto_error("BadRequest", "The appropriate endpoint is most likely 'https://ingest-c'.", false);
    double.order("/v1/rest/mgmt", answer(400, wrong));
    let error = client.command("db", ".get ingestion resources").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
    assert!(error.to_string().contains(client.options().ingestion_url()), "{error}");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_named_with_its_port_and_nothing_was_done() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let options =
        ConnectionOptions::builder().cluster_url(format!("http://{address}")).no_auth().build().unwrap();
    let client = Client::connect(options).unwrap();
    for error in [
        client.command("db", ".drop table t").await.unwrap_err(),
        client.query("db", "t").await.unwrap_err(),
        client.upload(blob("1\n")).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unreachable, Effect::None), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&address.to_string()) && text.contains("local cluster runs"), "{text}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_the_effect_of_a_command_unknown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            _ = tokio::io::AsyncReadExt::read(&mut socket, &mut [0; 1024]).await;
        }
    });
    let client =
        Client::connect(ConnectionOptions::builder().cluster_url(url).no_auth().build().unwrap()).unwrap();
    let error = client.command("db", ".drop table t").await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Interrupted, Effect::Unknown), "{error:?}");
    let error = client.query("db", "t").await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Interrupted, Effect::None), "{error:?}");
    server.abort();
}

/// What comes behind the promised length belongs to nobody: it must not become the answer to the next request.
#[tokio::test]
async fn an_answer_longer_than_its_head_says_spoils_no_later_one() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let table = |value: &str| {
        let columns = r#"[{"ColumnName":"a","ColumnType":"string"}]"#;
        format!(r#"{{"Tables":[{{"TableName":"Table_0","Columns":{columns},"Rows":[["{value}"]]}}]}}"#)
    };
    let answer = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (good, planted) = (answer(&table("good")), answer(&table("planted")));
    let server = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let both = format!("{good}{planted}");
            tokio::spawn(async move {
                let mut request = [0; 16 << 10];
                while tokio::io::AsyncReadExt::read(&mut socket, &mut request)
                    .await
                    .is_ok_and(|read| read > 0)
                {
                    _ = tokio::io::AsyncWriteExt::write_all(&mut socket, both.as_bytes()).await;
                }
            });
        }
    });
    let client =
        Client::connect(ConnectionOptions::builder().cluster_url(url).no_auth().build().unwrap()).unwrap();
    for _ in 0..20 {
        // A connection with something left on it may be closed under the next request; it is never read from.
        if let Ok(table) = client.command("db", ".show tables").await {
            assert_eq!(table.rows[0][0], "good");
        }
    }
    server.abort();
}

#[tokio::test]
async fn storage_that_stalls_ends_at_the_deadline() {
    let double = Double::start().await;
    let options = options(&double).no_auth().storage_timeout(Duration::from_secs(1)).build().unwrap();
    let client = Client::connect(options).unwrap();
    double.order("/acct0/blobs", Order::Stall);
    let error = client.upload(blob("1\n")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown), "{error:?}");
    let stored = client.upload(blob("1,x\n")).await.unwrap();
    double.order("/acct0/queue", Order::Stall);
    let error = client.queue(&ingestion(), &stored).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown), "{error:?}");
    double.order("/acct0/status", Order::Stall);
    let error = client.queue(&ingestion(), &stored).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::Timeout, Effect::None),
        "no message yet: {error:?}"
    );
}

#[tokio::test]
async fn a_blob_is_stored_with_its_metadata_and_never_overwritten() {
    let (double, client) = start().await;
    let first = Blob { rows: 42, raw_bytes: 99, ..blob("1,x\n") };
    let stored = client.upload(first.clone()).await.unwrap();
    let headers = double.blob_headers(&first.name);
    assert_eq!(headers["x-ms-meta-rows"], "42");
    assert_eq!(headers["x-ms-meta-rawbytes"], "99");
    assert_eq!(headers["x-ms-blob-type"], "BlockBlob");
    assert_eq!(stored.container, format!("{}/acct0/blobs", double.url));
    client.upload(first.clone()).await.unwrap();
    let error = client.upload(Blob { body: "2,longer\n".into(), ..first }).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Conflict, Effect::None), "{error}");
    assert!(error.to_string().contains("4 bytes"), "{error}");
}

#[tokio::test]
async fn a_large_blob_goes_in_blocks_and_arrives_whole() {
    let (double, client) = start().await;
    let body: Vec<u8> = (0..40u32 << 20).map(|at| (at % 251) as u8).collect();
    let large = blob(body.clone());
    client.upload(large.clone()).await.unwrap();
    assert_eq!(double.seen("comp=block&").len() + double.seen("comp=blocklist").len(), 6);
    let stored = double.blob_headers(&large.name);
    assert_eq!(stored["x-ms-meta-rows"], "1");
    client.upload(large).await.unwrap();
}

#[tokio::test]
async fn the_status_row_is_there_before_the_message_and_an_older_one_is_kept() {
    let (double, client) = start().await;
    let stored = client.upload(blob("1,x\n")).await.unwrap();
    let ingestion = ingestion();
    double.order("/acct0/queue", answer(503, ""));
    let error = client.queue(&ingestion, &stored).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Service, Effect::Unknown), "{error:?}");
    let ticket = client.queue(&ingestion, &stored).await.unwrap();
    assert_eq!(client.status(&ticket).await.unwrap().state, IngestionState::Succeeded);
    let storage: Vec<_> = double.seen("/acct0").into_iter().map(|seen| seen.path).collect();
    let look = format!("/acct0/status(PartitionKey='{0}',RowKey='{0}')", ingestion.source_id);
    assert_eq!(
        storage[1..6],
        ["/acct0/status", "/acct0/queue/messages", "/acct0/status", &look, "/acct0/queue/messages"]
    );
    let row = &double.seen("/acct0/status")[0];
    assert_eq!(row.json()["Status"], "Pending");
    assert!(!row.text().contains("sig="), "{}", row.text());
    assert_eq!(row.header("accept"), "application/json;odata=nometadata");
    assert_eq!(double.memory.rows("db", "t"), [["1", "x"]]);
}

#[tokio::test]
async fn resources_are_asked_for_once_and_again_when_their_signature_is_refused() {
    let (double, client) = start().await;
    let uploads = join_all((0..6).map(|_| client.upload(blob("1,x\n")))).await;
    let stored = uploads.into_iter().map(Result::unwrap).next().unwrap();
    assert_eq!(double.commands(), [".get ingestion resources"]);
    double.expire_signatures();
    let ticket = client.queue(&ingestion(), &stored).await.unwrap();
    assert_eq!(
        double.commands(),
        [".get ingestion resources", ".get kusto identity token", ".get ingestion resources"]
    );
    assert_eq!(client.status(&ticket).await.unwrap().state, IngestionState::Succeeded);
    let before = double.commands().len();
    double.expire_signatures();
    let error = client.status(&ticket).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "so soon after, fresh ones are not believed to help");
    assert_eq!(double.commands().len(), before);
}

#[tokio::test]
async fn a_signature_that_expires_under_many_uploads_is_replaced_once_for_all_of_them() {
    let (double, client) = start().await;
    client.upload(blob("1,x\n")).await.unwrap();
    double.expire_signatures();
    let uploads = join_all((0..6).map(|_| client.upload(blob("1,x\n")))).await;
    uploads.into_iter().for_each(|upload| _ = upload.unwrap());
    assert_eq!(double.commands(), [".get ingestion resources"; 2]);
}

#[tokio::test]
async fn a_token_for_a_host_that_is_not_trusted_is_not_even_fetched() {
    let error = ConnectionOptions::builder()
        .cluster_url("https://kusto.evil.example")
        .token_provider(|_| async { Err::<Token, _>("must not be asked") })
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UntrustedHost);
}

/// What the child process asks behind the proxy: a host that no resolver knows.
const BEHIND_PROXY: &str = "http://cluster.invalid:8080";

#[tokio::test]
async fn proxies_of_the_environment_hold_for_every_host() {
    let double = Double::start().await;
    double.advertise(BEHIND_PROXY);
    let proxy = [("HTTP_PROXY", double.url.clone()), ("http_proxy", double.url.clone())];
    let output = in_a_process_of_its_own("asks_through_the_proxy_of_its_environment", proxy.into()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let seen = double.seen("");
    for part in ["/v2/rest/query", "/v1/rest/mgmt", "/acct0/blobs", "/acct0/status", "/acct0/queue"] {
        assert!(seen.iter().any(|seen| seen.path.starts_with(part)), "{part} was not asked");
    }
    assert!(seen.iter().all(|seen| seen.host == "cluster.invalid"), "each came as a request to a proxy");
}

/// Runs an ignored test of this file with more in its environment, which belongs to a whole process.
async fn in_a_process_of_its_own(test: &'static str, variables: Vec<(&'static str, String)>) -> Output {
    let run = move || {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--ignored", "--nocapture"]).envs(variables);
        command.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
#[ignore = "run by proxies_of_the_environment_hold_for_every_host, with a proxy in its environment"]
async fn asks_through_the_proxy_of_its_environment() {
    let options = ConnectionOptions::builder().cluster_url(BEHIND_PROXY).ingestion_url(BEHIND_PROXY);
    let client = Client::connect(options.no_auth().build().unwrap()).unwrap();
    client.query("db", "print 7").await.unwrap();
    let stored = client.upload(blob("1,x\n")).await.unwrap();
    let ticket = client.queue(&ingestion(), &stored).await.unwrap();
    assert_eq!(client.status(&ticket).await.unwrap().state, IngestionState::Succeeded);
}

/// Everything that is logged, at the finest level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_secret_is_logged_or_reported_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let errors = tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(errors_of_a_bad_day())
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("azure_core") || log.contains("typespec"), "the libraries' own lines are in: {log}");
    for secret in ["secret0", "secret1", "app-k3y", "token-1", "opaque-identity"] {
        assert!(!log.contains(secret), "`{secret}` is logged: {}", lines_with(&log, secret));
        assert!(!errors.contains(secret), "`{secret}` is reported: {errors}");
    }
}

fn lines_with(log: &str, word: &str) -> String {
    log.lines().filter(|line| line.contains(word)).take(3).collect::<Vec<_>>().join("\n")
}

async fn errors_of_a_bad_day() -> String {
    let double = Double::start().await;
    let builder = options(&double).application("app-id", "app-k3y", "tenant");
    let client = Client::connect(builder.storage_timeout(Duration::from_secs(1)).build().unwrap()).unwrap();
    let mut errors = format!("{client:?}");
    let mut note = |text: String| errors.push_str(&text);
    let stored = client.upload(blob("1,x\n")).await.unwrap();
    note(format!("{stored:?}"));
    for part in ["/acct0/blobs", "/acct0/queue", "/acct0/status"] {
        for order in [answer(500, "no"), Order::CutAfterEffect, answer(404, ""), Order::Stall] {
            double.order(part, order);
            match part {
                "/acct0/blobs" => note(format!("{:?}", client.upload(blob("1,x\n")).await)),
                _ => note(format!("{:?}", client.queue(&ingestion(), &stored).await)),
            }
        }
    }
    double.expire_signatures();
    let ticket = client.queue(&ingestion(), &stored).await.unwrap();
    note(format!("{ticket:?}"));
    double.expire_signatures();
    note(format!("{:?} {:?}", client.status(&ticket).await, client.upload(blob("1\n")).await));
    drop(double);
    tokio::task::yield_now().await;
    note(format!("{:?} {:?}", client.status(&ticket).await, client.upload(blob("1\n")).await));
    errors
}
