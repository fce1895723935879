//! Statements of the service's documents about messages, batches and reports, over real HTTP.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use kusto_emulator::Grant;
use serde_json::{Value, json};
use support::Cluster;

const SECOND: Duration = Duration::from_secs(1);

/// Queues a blob for `T`; the address of its status row.
async fn queue(cluster: &Cluster, name: &str, rows: &str, change: impl FnOnce(&mut Value)) -> String {
    let blob = cluster.upload(name, rows).await;
    let (mut message, row) = cluster.message(&blob).await;
    change(&mut message);
    cluster.queue(&message).await;
    row
}

#[tokio::test]
async fn a_batch_is_sealed_by_its_size_its_number_its_time_or_a_message_that_flushes() {
    let policy =
        r#"{"MaximumBatchingTimeSpan":"00:01:00","MaximumNumberOfItems":3,"MaximumRawDataSizeMB":100}"#;
    for (sizes, flush, sealed) in [
        (&[60_u64 << 20, 60 << 20][..], false, true),
        (&[40 << 20, 40 << 20], false, false),
        (&[100, 100, 100], false, true),
        (&[100, 100], true, true),
    ] {
        let cluster = Cluster::start();
        cluster.command(&format!(".alter table T policy ingestionbatching '{policy}'")).await;
        for (number, size) in sizes.iter().enumerate() {
            let last = number + 1 == sizes.len();
            queue(&cluster, &format!("{number}.csv"), "1,a\n", |message| {
                message["RawDataSize"] = json!(size);
                message["FlushImmediately"] = json!(flush && last);
            })
            .await;
        }
        cluster.emulator.handle().settle().await;
        let rows = sizes.len() as u64;
        assert_eq!(cluster.count("T").await, if sealed { rows } else { 0 }, "{sizes:?} {flush}");
        cluster.pass(60 * SECOND).await;
        assert_eq!(cluster.count("T").await, rows);
        assert_eq!(cluster.emulator.handle().statistics().batches, 1, "{sizes:?}");
    }
}

#[tokio::test]
async fn blobs_of_two_principals_or_two_tables_do_not_share_a_batch() {
    let cluster = Cluster::start();
    cluster.command(".create table U (n: long, s: string)").await;
    queue(&cluster, "a.csv", "1,a\n", |_| {}).await;
    queue(&cluster, "b.csv", "2,a\n", |message| message["TableName"] = json!("U")).await;
    cluster.pass(SECOND).await;
    assert_eq!(cluster.emulator.handle().statistics().batches, 2);

    let mut cluster = Cluster::start_with(|options| options.sign_in(true));
    let handle = cluster.emulator.handle().clone();
    let mut contexts = Vec::new();
    for id in ["one", "two"] {
        handle.add_app(id, "key", &[Grant::database(support::DATABASE, "admins")]).unwrap();
        cluster.token = Some(sign_in(&cluster, id).await);
        contexts.push(cluster.identity_token().await);
    }
    for (number, context) in contexts.iter().enumerate() {
        queue(&cluster, &format!("{number}.csv"), "1,a\n", |message| {
            message["AdditionalProperties"]["authorizationContext"] = json!(context);
        })
        .await;
    }
    cluster.pass(SECOND).await;
    assert_eq!((handle.statistics().batches, handle.statistics().succeeded), (2, 2));
}

async fn sign_in(cluster: &Cluster, id: &str) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={id}&client_secret=key&scope=https%3A%2F%2Fkusto.kusto.windows.net%2F.default"
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = cluster.send(reqwest::Method::POST, cluster.emulator.token_url(), &headers, form).await;
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn tags_and_ingest_if_not_exists_come_as_a_list_as_its_text_or_as_a_bare_word() {
    for (tags, guard) in [
        (json!(["ingest-by:x", "free"]), json!(["x"])),
        (json!("[\"ingest-by:x\",\"free\"]"), json!("[\"x\"]")),
        (json!("[\"ingest-by:x\",\"free\"]"), json!("x")),
    ] {
        let cluster = Cluster::start();
        for name in ["a.csv", "b.csv"] {
            queue(&cluster, name, "1,a\n", |message| {
                message["AdditionalProperties"]["tags"] = tags.clone();
                message["AdditionalProperties"]["ingestIfNotExists"] = guard.clone();
            })
            .await;
        }
        cluster.emulator.handle().settle().await;
        let shown = cluster.command(".show table T extents | project Tags, RowCount").await.json();
        assert_eq!(shown["Tables"][0]["Rows"], json!([["ingest-by:x\r\nfree", 1]]), "{tags} {guard}");
    }
}

#[tokio::test]
async fn a_message_without_authorization_is_refused_and_one_that_is_too_long_does_not_get_into_the_queue() {
    let cluster = Cluster::start();
    let row = queue(&cluster, "a.csv", "1,a\n", |message| {
        message["AdditionalProperties"].as_object_mut().unwrap().remove("authorizationContext");
    })
    .await;
    cluster.emulator.handle().settle().await;
    assert_eq!(cluster.status(&row).await["ErrorCode"], "BadRequest_InvalidKustoIdentityToken");
    let answer = cluster.post_message(&"e30=".repeat(17 * 1024)).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    assert_eq!(cluster.emulator.handle().statistics().messages, 1);
}

#[tokio::test]
async fn the_status_row_gets_what_the_service_adds() {
    let cluster = Cluster::start();
    let good = queue(&cluster, "a.csv", "1,a\n", |_| {}).await;
    let bad = queue(&cluster, "b.csv", "1,a\n2\n", |_| {}).await;
    cluster.pass(SECOND).await;
    let (good, bad) = (cluster.status(&good).await, cluster.status(&bad).await);
    for row in [&good, &bad] {
        for name in [
            "OperationId",
            "ActivityId",
            "UpdatedOn",
            "IngestionSourceId",
            "IngestionSourcePath",
            "Database",
            "Table",
        ] {
            assert!(row[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {row}");
        }
        assert_eq!(row["OriginatesFromUpdatePolicy"], json!(false));
        assert!(!row["IngestionSourcePath"].as_str().unwrap().contains("sig="));
    }
    assert_eq!((&good["Status"], good.get("ErrorCode")), (&json!("Succeeded"), None));
    assert_eq!((&bad["Status"], &bad["ErrorCode"]), (&json!("Failed"), &json!("Stream_WrongNumberOfFields")));
    assert_eq!(bad["FailureStatus"], "Permanent");
    assert!(bad["Details"].as_str().unwrap().contains("fields"));
}

#[tokio::test]
async fn streaming_ingestion_is_refused_in_words_that_clients_fall_back_on() {
    let cluster = Cluster::start();
    let url = cluster.url("/v1/rest/ingest/Samples/T?streamFormat=csv");
    let refused = cluster.send(reqwest::Method::POST, &url, &[], "1,a\n").await;
    assert_eq!(refused.status, 400);
    let error = &refused.json()["error"];
    assert_eq!(error["@permanent"], json!(true));
    assert!(
        error["@message"].as_str().unwrap().to_lowercase().contains("streaming ingestion is disabled"),
        "{error}"
    );
}
