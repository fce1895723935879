//! The client against the local cluster, which was written by others from the same documents: the conformance suite
//! with and without sign-in, with the least rights, and with faults on the wire.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod support;

use std::time::Duration;

use kusto_client::conformance::{self, Fixture};
use kusto_client::{
    Blob, Client, ConnectionOptions, ConnectionOptionsBuilder, Effect, ErrorKind, Ingestion,
    IngestionMapping, IngestionState, IngestionStatus, Service, ServiceExt, Ticket,
};
use kusto_emulator::seed::Seed;
use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule, Grant};
use support::{blob, ingestion_into};
use uuid::Uuid;

const TENANT: &str = "contoso.example";

fn emulator(sign_in: bool) -> Emulator {
    let builder = Emulator::builder().database("db").sign_in(sign_in).tenant(TENANT).seed(Seed::new(5));
    let emulator = builder.start().unwrap();
    emulator.handle().command("db", ".create table Conformance (a: long, b: string)").unwrap();
    emulator
}

fn client(
    emulator: &Emulator,
    auth: impl Fn(ConnectionOptionsBuilder) -> ConnectionOptionsBuilder,
) -> Client {
    let builder = auth(ConnectionOptions::builder().cluster_url(emulator.cluster_url()));
    Client::connect(builder.build().unwrap()).unwrap()
}

fn fixture() -> Fixture {
    Fixture::new("db", "Conformance")
}

/// Exactly what a sink that appends needs.
fn least_rights() -> [Grant; 2] {
    [Grant::database("db", "users"), Grant::table("db", "Conformance", "ingestors")]
}

fn ingestion() -> Ingestion {
    Ingestion { flush_immediately: true, ..ingestion_into("Conformance") }
}

async fn outcome(client: &Client, ticket: &Ticket) -> IngestionStatus {
    loop {
        let status = client.status(ticket).await.unwrap();
        if status.state != IngestionState::Pending {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_client_conforms_without_sign_in() {
    let emulator = emulator(false);
    conformance::all(&client(&emulator, |builder| builder.no_auth()), &fixture()).await;
}

#[tokio::test]
async fn the_client_conforms_as_an_application_with_the_least_rights() {
    let emulator = emulator(true);
    let principal = emulator.handle().add_app("app-1", "key-1", &least_rights()).unwrap();
    let client = client(&emulator, |builder| builder.application("app-1", "key-1", TENANT));
    assert_eq!(client.options().principal(), Some(principal));
    conformance::all(&client, &fixture()).await;
}

#[tokio::test]
async fn the_client_conforms_as_a_managed_identity() {
    let emulator = emulator(true);
    let handle = emulator.handle();
    handle.grant(&handle.system_identity(), &least_rights()).unwrap();
    let client = client(&emulator, |builder| builder.managed_identity().authority(emulator.cluster_url()));
    conformance::all(&client, &fixture()).await;
}

#[tokio::test]
async fn the_client_conforms_while_requests_fail_before_and_after_their_effect() {
    let emulator = emulator(false);
    let client = client(&emulator, |builder| builder.no_auth());
    let wait = Some(Duration::ZERO);
    for (endpoint, fault) in [
        (Endpoint::Blob, Fault::LoseAnswer),
        (Endpoint::Blob, Fault::Throttle { retry_after: wait }),
        (Endpoint::Queue, Fault::LoseAnswer),
        (Endpoint::Queue, Fault::Fail { status: 500, retry_after: None }),
        (Endpoint::Table, Fault::LoseAnswer),
        (Endpoint::Table, Fault::Refuse),
        (Endpoint::Management, Fault::Throttle { retry_after: wait }),
        (Endpoint::Query, Fault::Truncate { bytes: 20 }),
        (Endpoint::Query, Fault::Refuse),
    ] {
        emulator.handle().add_fault(FaultRule::new(endpoint, fault).probability(0.2));
    }
    conformance::all(&client, &fixture()).await;
}

#[tokio::test]
async fn a_blob_that_was_stored_without_an_answer_is_stored_again_when_the_look_at_it_failed_too() {
    let emulator = emulator(false);
    let client = client(&emulator, |builder| builder.no_auth());
    let rule = |fault, operation: &str, times| {
        emulator.handle().add_fault(FaultRule::new(Endpoint::Blob, fault).operation(operation).times(times))
    };
    // More often than there are containers, so that an attempt meets the blob of an earlier one.
    rule(Fault::LoseAnswer, "PutBlob", 20);
    let looks = rule(Fault::Fail { status: 503, retry_after: None }, "GetBlobProperties", 1);
    let blob = blob("1,x\n");
    let mut errors = 0;
    while let Err(error) = client.upload(blob.clone()).await {
        assert!(error.is_transient(), "{error}");
        errors += 1;
    }
    assert!(errors > 1 && looks.count() == 1, "{errors} errors, {} looks", looks.count());
}

#[tokio::test]
async fn tokens_that_are_revoked_under_way_are_replaced() {
    let emulator = emulator(true);
    let principal = emulator.handle().add_app("app-1", "key-1", &least_rights()).unwrap();
    let client = client(&emulator, |builder| builder.application("app-1", "key-1", TENANT));
    for _ in 0..3 {
        client.execute("db", "Conformance | count").await.unwrap();
        emulator.handle().revoke_tokens(&principal).unwrap();
    }
}

#[tokio::test]
async fn first_failures_say_what_to_do() {
    let emulator = emulator(true);
    emulator.handle().add_app("app-1", "key-1", &[]).unwrap();
    let application =
        |key: &'static str| client(&emulator, move |builder| builder.application("app-1", key, TENANT));
    let error = application("wrong").query("db", "print 1").await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::SignIn, Effect::None), "{error}");

    let error = client(&emulator, |builder| builder.no_auth()).query("db", "print 1").await.unwrap_err();
    assert!(error.kind() == ErrorKind::SignIn && error.to_string().contains("no_auth sends none"), "{error}");

    let stranger = application("key-1");
    let error = stranger.query("db", "Conformance | count").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    let advice = error.advice().unwrap();
    assert!(advice.contains(".add database db viewers ('aadapp=app-1;contoso.example')"), "{advice}");

    let (_, paste) = advice.split_once("runs: ").unwrap();
    emulator.handle().command("db", paste).unwrap();
    stranger.query("db", "Conformance | count").await.expect("the pasted command grants the right");
    let error = stranger.query("db", "NoSuchTable | count").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::BadRequest | ErrorKind::NotFound), "{error}");
}

#[tokio::test]
async fn json_is_ingested_by_an_inline_mapping_and_tags_arrive_in_full() {
    let emulator = emulator(false);
    let client = client(&emulator, |builder| builder.no_auth());
    let body = r#"{"B":"x","A":7}
{"A":8,"B":"y"}"#;
    let json = Blob { name: format!("{}.multijson", Uuid::new_v4()), ..blob(body) };
    let stored = client.upload(json).await.unwrap();
    let mapping =
        r#"[{"Column":"a","Properties":{"Path":"$.A"}},{"Column":"b","Properties":{"Path":"$.B"}}]"#;
    let ingestion = Ingestion {
        format: "multijson".into(),
        mapping: Some(IngestionMapping::Inline(mapping.into())),
        additional_tags: vec!["free".into()],
        drop_by_tags: vec!["d".into()],
        ingest_by_tags: vec!["i".into()],
        ..ingestion()
    };
    let ticket = client.queue(&ingestion, &stored).await.unwrap();
    let status = outcome(&client, &ticket).await;
    assert_eq!(status.state, IngestionState::Succeeded, "{}", status.summary(&ingestion));

    #[derive(serde::Deserialize, Debug, PartialEq)]
    struct Row {
        a: i64,
        b: String,
    }
    let tables = client.execute("db", "Conformance | order by a asc").await.unwrap();
    let rows: Vec<Row> = tables[0].rows_as().unwrap();
    assert_eq!(rows, [Row { a: 7, b: "x".into() }, Row { a: 8, b: "y".into() }]);

    #[derive(serde::Deserialize)]
    struct Extent {
        #[serde(rename = "Tags")]
        tags: String,
    }
    let extents = client.command("db", ".show table Conformance extents").await.unwrap();
    let extents: Vec<Extent> = extents.rows_as().unwrap();
    let mut tags: Vec<_> = extents[0].tags.lines().map(str::trim).collect();
    tags.sort_unstable();
    assert_eq!(tags, ["drop-by:d", "free", "ingest-by:i"]);
}
