//! Queued ingestion from the resources to the rows, over real HTTP.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use kusto_emulator::{Endpoint, Fault, FaultRule, Grant};
use reqwest::Method;
use serde_json::{Value, json};
use support::{Cluster, item};

/// What a case does to a good message.
type Change<'a> = &'a dyn Fn(&mut Value);

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_blob_that_is_queued_becomes_rows_and_its_status_row_says_succeeded() {
    let cluster = Cluster::start();
    let blob = cluster.upload("rows.csv", "1,one\n2,two\n3,\"th,ree\"\n").await;
    let (message, row) = cluster.message(&blob).await;
    cluster.queue(&message).await;
    cluster.emulator.handle().settle().await;
    assert_eq!(cluster.status(&row).await["Status"], "Pending", "the batch waits for its time");
    cluster.pass(SECOND).await;
    let status = cluster.status(&row).await;
    assert_eq!(status["Status"], "Succeeded", "{status}");
    assert_eq!(cluster.query("T | count").await, json!([[3]]));
    assert_eq!(cluster.query("T | where n == 3 | project s").await, json!([["th,ree"]]));
    let statistics = cluster.emulator.handle().statistics();
    assert_eq!(
        (statistics.messages, statistics.succeeded, statistics.rows, statistics.batches),
        (1, 1, 3, 1)
    );
}

#[tokio::test]
async fn gzip_is_told_by_the_name_and_base64_messages_are_read() {
    use std::io::Write;
    let cluster = Cluster::start();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"1,a\n2,b\n").unwrap();
    let blob = cluster.upload("rows.csv.gz", gzip.finish().unwrap()).await;
    let (mut message, row) = cluster.message(&blob).await;
    message["FlushImmediately"] = json!("true");
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(message.to_string());
    assert_eq!(cluster.post_message(&text).await.status, 201);
    cluster.emulator.handle().settle().await;
    assert_eq!(cluster.status(&row).await["Status"], "Succeeded");
    assert_eq!(cluster.count("T").await, 2);
}

#[tokio::test]
async fn messages_in_the_spelling_of_java_and_go_are_read() {
    let cluster = Cluster::start();
    let blob = cluster.upload("java.csv", "1,a\n").await;
    let token = cluster.identity_token().await;
    let java = json!({
        "id": support::uuid("java"), "blobPath": blob, "rawDataSize": "100", "databaseName": "samples",
        "tableName": "T", "retainBlobOnSuccess": "true", "flushImmediately": true, "reportLevel": "FailuresOnly",
        "reportMethod": "Queue", "ingestionStatusInTable": null,
        "additionalProperties": {"AuthorizationContext": token, "ignoreFirstRecord": "false", "format": "csv"},
    });
    let blob = cluster.upload("go.csv", "2,b\n").await;
    let go = json!({
        "Id": support::uuid("go"), "BlobPath": blob, "DatabaseName": "Samples", "TableName": "T",
        "FlushImmediately": true, "IngestionStatusInTable": {},
        "AdditionalProperties": {"authorizationContext": token, "ignoreFirstRecord": false, "format": "csv",
            "creationTime": "0001-01-01T00:00:00Z"},
    });
    for message in [java, go] {
        cluster.queue(&message).await;
    }
    cluster.emulator.handle().settle().await;
    assert_eq!(cluster.query("T | order by n asc | project n").await, json!([[1], [2]]));
}

#[tokio::test]
async fn blobs_of_equal_properties_share_a_batch_and_a_blob_named_twice_is_ingested_once() {
    let cluster = Cluster::start();
    let mut rows = Vec::new();
    for name in ["a.csv", "b.csv", "a.csv"] {
        let url = item(&cluster.resource("TempStorage").await, name);
        cluster.put_blob(&url, "1,x\n").await;
        let (mut message, row) = cluster.message(&format!("{url}&again={}", rows.len())).await;
        message["BlobPath"] = json!(url);
        cluster.queue(&message).await;
        rows.push(row);
    }
    cluster.pass(SECOND).await;
    for row in &rows {
        assert_eq!(cluster.status(row).await["Status"], "Succeeded");
    }
    assert_eq!(cluster.count("T").await, 2);
    assert_eq!(cluster.emulator.handle().statistics().batches, 1);
}

#[tokio::test]
async fn blobs_of_other_tags_or_with_ingest_by_tags_or_of_unknown_size_do_not_share_a_batch() {
    let cluster = Cluster::start();
    let changes: [Change<'_>; 6] = [
        &|_| {},
        &|message| message["AdditionalProperties"]["tags"] = json!("[\"free\"]"),
        &|message| message["AdditionalProperties"]["tags"] = json!("[\"ingest-by:1\"]"),
        &|message| message["AdditionalProperties"]["tags"] = json!("[\"ingest-by:1\"]"),
        &|message| message["RawDataSize"] = json!(0),
        &|message| message["RawDataSize"] = Value::Null,
    ];
    for (number, change) in changes.iter().enumerate() {
        let blob = cluster.upload(&format!("{number}.csv"), "1,x\n").await;
        let (mut message, _) = cluster.message(&blob).await;
        change(&mut message);
        cluster.queue(&message).await;
    }
    cluster.emulator.handle().settle().await;
    assert_eq!(cluster.emulator.handle().statistics().batches, 4, "those that stand alone do not wait");
    cluster.pass(SECOND).await;
    assert_eq!(cluster.emulator.handle().statistics().batches, 6);
    assert_eq!(cluster.count("T").await, 6);
}

#[tokio::test]
async fn the_batching_policy_of_the_table_decides_by_time_and_by_items() {
    let cluster = Cluster::start();
    let policy =
        r#"{"MaximumBatchingTimeSpan":"00:00:30","MaximumNumberOfItems":2,"MaximumRawDataSizeMB":1024}"#;
    let altered = cluster.command(&format!(".alter table T policy ingestionbatching @'{policy}'")).await;
    assert_eq!(altered.status, 200, "{}", altered.text);
    for name in ["a.csv", "b.csv", "c.csv"] {
        let blob = cluster.upload(name, "1,x\n").await;
        let (message, _) = cluster.message(&blob).await;
        cluster.queue(&message).await;
        cluster.emulator.handle().settle().await;
    }
    assert_eq!(cluster.count("T").await, 2, "two items are a batch");
    cluster.pass(29 * SECOND).await;
    assert_eq!(cluster.count("T").await, 2);
    cluster.pass(SECOND).await;
    assert_eq!(cluster.count("T").await, 3, "the third waited for its time");
}

#[tokio::test]
async fn permanent_failures_are_told_in_the_status_row_with_their_code() {
    let cluster = Cluster::start();
    let blob = cluster.upload("bad.csv", "1,x\n2,\"open\n").await;
    let (container, sas) = blob.split_once('?').unwrap();
    let gone = format!("{container}-gone?{sas}");
    let no_table = |message: &mut Value| message["TableName"] = json!("Nowhere");
    let no_database = |message: &mut Value| message["DatabaseName"] = json!("Nowhere");
    let no_identity =
        |message: &mut Value| message["AdditionalProperties"]["authorizationContext"] = json!("forged");
    let none = |_: &mut Value| {};
    let cases: [(&str, Change<'_>, &str); 6] = [
        (&blob, &none, "Stream_ClosingQuoteMissing"),
        (&gone, &none, "Download_SourceNotFound"),
        (container, &none, "Download_Forbidden"),
        (&blob, &no_table, "BadRequest_TableNotExist"),
        (&blob, &no_database, "BadRequest_DatabaseNotExist"),
        (&blob, &no_identity, "BadRequest_InvalidKustoIdentityToken"),
    ];
    for (number, (blob, change, code)) in cases.iter().enumerate() {
        let (mut message, row) = cluster.message(&format!("{number}")).await;
        message["BlobPath"] = json!(blob);
        change(&mut message);
        cluster.queue(&message).await;
        cluster.pass(SECOND).await;
        let status = cluster.status(&row).await;
        let said = (&status["Status"], &status["ErrorCode"], &status["FailureStatus"]);
        assert_eq!(said, (&json!("Failed"), &json!(code), &json!("Permanent")), "{status}");
    }
    assert_eq!(cluster.count("T").await, 0);
    assert_eq!(cluster.emulator.handle().statistics().failed, 6);
}

#[tokio::test]
async fn a_tag_that_is_there_already_skips_the_blob() {
    let cluster = Cluster::start();
    let mut statuses = Vec::new();
    for name in ["a.csv", "b.csv"] {
        let blob = cluster.upload(name, "1,x\n").await;
        let (mut message, row) = cluster.message(&blob).await;
        message["AdditionalProperties"]["tags"] = json!("[\"ingest-by:once\"]");
        message["AdditionalProperties"]["ingestIfNotExists"] = json!("[\"once\"]");
        cluster.queue(&message).await;
        cluster.emulator.handle().settle().await;
        let status = cluster.status(&row).await;
        statuses.push((status["Status"].clone(), status["ErrorCode"].clone()));
    }
    assert_eq!(statuses[0].0, "Succeeded");
    assert_eq!(statuses[1], (json!("Skipped"), json!("Skipped_IngestByTagAlreadyExists")));
    assert_eq!(cluster.count("T").await, 1);
}

#[tokio::test]
async fn reports_go_where_the_message_says() {
    let cluster = Cluster::start();
    for (number, (level, method, body)) in
        [(2, 0, "1,x\n"), (0, 0, "1,x\n"), (0, 0, "1,\"x\n"), (1, 0, "1,\"x\n")].into_iter().enumerate()
    {
        let blob = cluster.upload(&format!("{number}.csv"), body).await;
        let (mut message, _) = cluster.message(&blob).await;
        message["ReportLevel"] = json!(level);
        message["ReportMethod"] = json!(method);
        message["FlushImmediately"] = json!(true);
        cluster.queue(&message).await;
        cluster.emulator.handle().settle().await;
    }
    let texts = async |kind: &str| {
        let url = item(&cluster.resource(kind).await, "messages") + "&peekonly=true&numofmessages=32";
        let answer = cluster.send(Method::GET, &url, &[], "").await.text;
        let texts =
            answer.split("<MessageText>").skip(1).map(|part| part.split('<').next().unwrap().to_owned());
        texts.collect::<Vec<_>>()
    };
    use base64::Engine as _;
    let decode = |text: &String| -> Value {
        serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
    };
    let (failed, succeeded) =
        (texts("FailedIngestionsQueue").await, texts("SuccessfulIngestionsQueue").await);
    assert_eq!((failed.len(), succeeded.len()), (1, 1));
    assert_eq!(decode(&failed[0])["ErrorCode"], "Stream_ClosingQuoteMissing");
    assert_eq!(decode(&failed[0])["ShouldRetry"], false);
    assert_eq!(decode(&succeeded[0])["Table"], "T");
}

#[tokio::test]
async fn a_blob_is_deleted_after_success_unless_the_message_retains_it() {
    let cluster = Cluster::start();
    for (name, retain, left) in [("kept.csv", true, 200), ("gone.csv", false, 404)] {
        let blob = cluster.upload(name, "1,x\n").await;
        let (mut message, _) = cluster.message(&blob).await;
        message["RetainBlobOnSuccess"] = json!(retain);
        cluster.queue(&message).await;
        cluster.pass(SECOND).await;
        assert_eq!(cluster.send(Method::HEAD, &blob, &[], "").await.status, left, "{name}");
    }
}

#[tokio::test]
async fn a_message_that_says_nothing_is_counted_and_dropped_and_the_next_one_is_ingested() {
    let cluster = Cluster::start();
    for text in ["", "hello", "{", "[]", "{}", "e30=", "{\"Id\":\"x\"}", "////"] {
        assert_eq!(cluster.post_message(text).await.status, 201);
    }
    let blob = cluster.upload("a.csv", "1,x\n").await;
    let (message, _) = cluster.message(&blob).await;
    cluster.queue(&message).await;
    cluster.pass(SECOND).await;
    assert_eq!(cluster.emulator.handle().statistics().undecodable, 8);
    assert_eq!(cluster.count("T").await, 1);
}

#[tokio::test]
async fn a_transient_failure_is_tried_again_later_and_a_lost_answer_ingests_twice() {
    let cluster = Cluster::start();
    let handle = cluster.emulator.handle();
    let busy = Fault::Fail { status: 503, retry_after: None };
    let hits = handle.add_fault(FaultRule::new(Endpoint::Ingestion, busy).scope("samples/t").times(2));
    handle.add_fault(FaultRule::new(Endpoint::Ingestion, Fault::LoseAnswer).skip(2).times(1));
    let blob = cluster.upload("a.csv", "1,x\n").await;
    let (mut message, row) = cluster.message(&blob).await;
    message["FlushImmediately"] = json!(true);
    cluster.queue(&message).await;
    handle.settle().await;
    for wait in [1, 2, 4] {
        assert_eq!(cluster.status(&row).await["Status"], "Pending");
        cluster.pass(wait * SECOND).await;
    }
    assert_eq!(hits.count(), 2);
    assert_eq!(cluster.status(&row).await["Status"], "Succeeded");
    assert_eq!(cluster.count("T").await, 2, "the third attempt took effect, and its answer was lost");
    assert_eq!(handle.statistics().retried, 3);
}

#[tokio::test]
async fn retries_end_after_two_days_with_a_failure() {
    let cluster = Cluster::start_with(|options| options.sas_lifetime(Duration::from_secs(7 * 24 * 3600)));
    let handle = cluster.emulator.handle();
    handle.add_fault(FaultRule::new(Endpoint::Ingestion, Fault::Fail { status: 500, retry_after: None }));
    let blob = cluster.upload("a.csv", "1,x\n").await;
    let (mut message, row) = cluster.message(&blob).await;
    message["FlushImmediately"] = json!(true);
    cluster.queue(&message).await;
    cluster.pass(SECOND).await;
    cluster.pass(Duration::from_secs(48 * 3600)).await;
    let status = cluster.status(&row).await;
    let said = (&status["Status"], &status["ErrorCode"], &status["FailureStatus"]);
    assert_eq!(said, (&json!("Failed"), &json!("General_RetryAttemptsExceeded"), &json!("Exhausted")));
}

#[tokio::test]
async fn without_the_role_of_an_ingestor_a_message_is_refused_and_with_it_taken() {
    let mut cluster = Cluster::start_with(|options| options.sign_in(true));
    let handle = cluster.emulator.handle().clone();
    let principal = handle.add_app("loader", "key", &[Grant::database("Samples", "viewers")]).unwrap();
    cluster.token = Some(support_token(&cluster, "loader", "key").await);
    let blob = cluster.upload("a.csv", "1,x\n").await;
    let mut statuses = Vec::new();
    for number in 0..2 {
        let (mut message, row) = cluster.message(&format!("{number}")).await;
        message["BlobPath"] = json!(blob);
        cluster.queue(&message).await;
        cluster.pass(SECOND).await;
        statuses.push(cluster.status(&row).await);
        handle.grant(&principal, &[Grant::table("Samples", "T", "ingestors")]).unwrap();
    }
    assert_eq!((&statuses[0]["Status"], &statuses[0]["ErrorCode"]), (&json!("Failed"), &json!("Forbidden")));
    assert_eq!(statuses[1]["Status"], "Succeeded", "{}", statuses[1]);
    assert_eq!(cluster.count("T").await, 1);
}

async fn support_token(cluster: &Cluster, id: &str, key: &str) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={id}&client_secret={key}&scope=https%3A%2F%2Fkusto.kusto.windows.net%2F.default"
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = cluster.send(Method::POST, cluster.emulator.token_url(), &headers, form).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn accept_only_keeps_extents_with_the_rows_of_the_metadata_and_no_body() {
    let cluster = Cluster::start_with(|options| options.accept_only(true));
    let url = item(&cluster.resource("TempStorage").await, "a.csv");
    let headers =
        [("x-ms-blob-type", "BlockBlob"), ("x-ms-meta-rows", "1000"), ("x-ms-meta-rawbytes", "5000000")];
    let answer = cluster.send(Method::PUT, &url, &headers, vec![b'x'; 1_000_000]).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let (message, row) = cluster.message(&url).await;
    cluster.queue(&message).await;
    cluster.emulator.handle().settle().await;
    assert_eq!(cluster.status(&row).await["Status"], "Succeeded");
    let statistics = cluster.emulator.handle().statistics();
    let seen = (
        statistics.blobs,
        statistics.blob_bytes,
        statistics.rows,
        statistics.raw_bytes,
        statistics.succeeded,
    );
    assert_eq!(seen, (1, 1_000_000, 1000, 5_000_000, 1));
    assert_eq!(cluster.count("T").await, 1000);
    let seen = cluster.query("T | summarize Rows = count(), Values = countif(isnotnull(n))").await;
    assert_eq!(seen, json!([[1000, 0]]));
    assert_eq!(
        cluster.put_blob(&url.replace("sig=", "sig=x"), "1").await.status,
        403,
        "signatures are checked"
    );
}
