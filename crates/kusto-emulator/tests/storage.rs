//! Statements of the Azure Storage REST API that clients of ingestion rely on.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use support::{Cluster, entity, item};

const BLOCK_BLOB: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

async fn container(cluster: &Cluster) -> String {
    cluster.resource("TempStorage").await
}

async fn queue(cluster: &Cluster) -> String {
    // Data management does not read this one.
    cluster.resource("FailedIngestionsQueue").await
}

fn block(blob: &str, id: &str) -> String {
    format!("{blob}&comp=block&blockid={id}")
}

#[tokio::test]
async fn ingestion_resources_name_five_types_over_several_accounts_with_one_question_mark_each() {
    let cluster = Cluster::start();
    let kinds = [
        ("SecuredReadyForAggregationQueue", 2),
        ("TempStorage", 4),
        ("FailedIngestionsQueue", 1),
        ("SuccessfulIngestionsQueue", 1),
        ("IngestionsStatusTable", 1),
    ];
    for (kind, count) in kinds {
        let urls = cluster.resources(kind).await;
        assert_eq!(urls.len(), count, "{kind}");
        assert!(urls.iter().all(|url| url.matches('?').count() == 1 && url.contains("sig=")));
    }
    let accounts: std::collections::BTreeSet<_> = cluster
        .resources("TempStorage")
        .await
        .iter()
        .map(|url| url.split('/').nth(3).unwrap().to_owned())
        .collect();
    assert_eq!(accounts.len(), 2);
}

#[tokio::test]
async fn a_blob_comes_back_with_its_headers_and_in_ranges() {
    let cluster = Cluster::start();
    let blob = item(&container(&cluster).await, "a.txt");
    let headers = [BLOCK_BLOB, ("x-ms-meta-rows", "7"), ("content-type", "text/plain")];
    let put = cluster.send(Method::PUT, &blob, &headers, "0123456789").await;
    assert_eq!(put.status, 201);
    for name in ["etag", "last-modified", "x-ms-request-id", "x-ms-version", "date"] {
        assert!(!put.header(name).is_empty(), "{name}");
    }
    let whole = cluster.send(Method::GET, &blob, &[], "").await;
    assert_eq!((whole.status.as_u16(), whole.text.as_str()), (200, "0123456789"));
    assert_eq!((whole.header("x-ms-meta-rows"), whole.header("content-type")), ("7", "text/plain"));
    assert_eq!((whole.header("etag"), whole.header("x-ms-blob-type")), (put.header("etag"), "BlockBlob"));
    for (range, text, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=5-99", "56789", "bytes 5-9/10"),
    ] {
        let part = cluster.send(Method::GET, &blob, &[("x-ms-range", range)], "").await;
        assert_eq!((part.status.as_u16(), part.text.as_str()), (206, text));
        assert_eq!(part.header("content-range"), content_range);
    }
    cluster.send(Method::GET, &blob, &[("range", "bytes=10-")], "").await.refused(416, "InvalidRange");
    let head = cluster.send(Method::HEAD, &blob, &[], "").await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "10"));
    assert_eq!(cluster.send(Method::DELETE, &blob, &[], "").await.status, 202);
    cluster.send(Method::GET, &blob, &[], "").await.refused(404, "BlobNotFound");
    cluster.send(Method::DELETE, &blob, &[], "").await.refused(404, "BlobNotFound");
}

#[tokio::test]
async fn names_are_percent_decoded_and_a_slash_may_be_encoded_or_not() {
    let cluster = Cluster::start();
    let container = container(&cluster).await;
    for (written, read) in [
        ("dir%2Fa%20b+c.csv", "dir/a%20b%2Bc.csv"),
        ("caf%C3%A9%27%28%25%29", "caf%c3%a9'(%25)"),
        ("a%3Fb%23c", "a%3fb%23c"),
    ] {
        assert_eq!(cluster.put_blob(&item(&container, written), written).await.status, 201);
        assert_eq!(cluster.send(Method::GET, &item(&container, read), &[], "").await.text, written);
    }
}

#[tokio::test]
async fn conditional_headers_keep_a_blob_from_being_overwritten_or_read_in_vain() {
    let cluster = Cluster::start();
    let blob = item(&container(&cluster).await, "once");
    let absent = [BLOCK_BLOB, ("if-none-match", "*")];
    let first = cluster.send(Method::PUT, &blob, &absent, "1").await;
    assert_eq!(first.status, 201);
    cluster.send(Method::PUT, &blob, &absent, "2").await.refused(409, "BlobAlreadyExists");
    let etag = first.header("etag").to_owned();
    let other = [BLOCK_BLOB, ("if-match", "\"0x0\"")];
    cluster.send(Method::PUT, &blob, &other, "3").await.refused(412, "ConditionNotMet");
    let same = cluster.send(Method::GET, &blob, &[("if-none-match", etag.as_str())], "").await;
    assert_eq!((same.status.as_u16(), same.text.as_str()), (304, ""));
    assert_eq!(cluster.send(Method::PUT, &blob, &[BLOCK_BLOB, ("if-match", &etag)], "4").await.status, 201);
    let future = [("if-modified-since", "Fri, 01 Jan 2027 00:00:00 GMT")];
    assert_eq!(cluster.send(Method::GET, &blob, &future, "").await.status, 304);
    cluster
        .send(Method::DELETE, &blob, &[("if-match", etag.as_str())], "")
        .await
        .refused(412, "ConditionNotMet");
}

#[tokio::test]
async fn blocks_become_a_blob_in_the_order_of_the_list() {
    let cluster = Cluster::start();
    let blob = item(&container(&cluster).await, "blocks");
    for (id, text) in [("YQ==", "one "), ("Yg==", "two "), ("Yw==", "three")] {
        assert_eq!(cluster.send(Method::PUT, &block(&blob, id), &[], text).await.status, 201);
    }
    cluster.send(Method::GET, &blob, &[], "").await.refused(404, "BlobNotFound");
    let list = format!("{blob}&comp=blocklist");
    let staged = cluster.send(Method::GET, &format!("{list}&blocklisttype=all"), &[], "").await;
    assert_eq!(staged.text.matches("<Block>").count(), 3, "{}", staged.text);
    let missing = "<?xml version=\"1.0\"?><BlockList><Latest>ZA==</Latest></BlockList>";
    cluster.send(Method::PUT, &list, &[], missing).await.refused(400, "InvalidBlockList");
    let order = "<BlockList><Latest>Yw==</Latest><Uncommitted>YQ==</Uncommitted></BlockList>";
    let committed = cluster.send(Method::PUT, &list, &[("x-ms-meta-rows", "2")], order).await;
    assert_eq!(committed.status, 201, "{}", committed.text);
    let whole = cluster.send(Method::GET, &blob, &[], "").await;
    assert_eq!((whole.text.as_str(), whole.header("x-ms-meta-rows")), ("threeone ", "2"));
    assert_eq!(cluster.send(Method::GET, &blob, &[("range", "bytes=3-6")], "").await.text, "eeon");
    let left = cluster.send(Method::GET, &format!("{list}&blocklisttype=uncommitted"), &[], "").await;
    assert_eq!(left.text.matches("<Block>").count(), 0, "what the list did not name is gone");
    let again = "<BlockList><Committed>YQ==</Committed></BlockList>";
    assert_eq!(cluster.send(Method::PUT, &list, &[], again).await.status, 201);
    assert_eq!(cluster.send(Method::GET, &blob, &[], "").await.text, "one ");
    cluster.send(Method::PUT, &list, &[], "<BlockList><Latest>").await.refused(400, "InvalidXmlDocument");
    cluster.send(Method::PUT, &block(&blob, "!"), &[], "x").await.refused(400, "InvalidQueryParameterValue");
}

#[tokio::test]
async fn each_way_to_misuse_a_sas_is_refused_with_its_own_code() {
    let cluster = Cluster::start();
    let blob = item(&container(&cluster).await, "x");
    let put = async |url: &str| cluster.put_blob(url, "x").await;
    let bare = blob.split('?').next().unwrap();
    put(bare).await.refused(401, "NoAuthenticationInformation");
    put(&blob.replace("sig=", "sig=x")).await.refused(403, "AuthenticationFailed");
    put(&blob.replace("sp=rwdl", "sp=rwdlx")).await.refused(403, "AuthenticationFailed");
    put(&blob.replace("ingestdata-0", "ingestdata-1")).await.refused(403, "AuthenticationFailed");
    put(&blob.replace("storage00", "storage01")).await.refused(403, "AuthenticationFailed");
    let queue = cluster.resource("SecuredReadyForAggregationQueue").await;
    let foreign = format!("{bare}?{}", queue.split_once('?').unwrap().1);
    put(&foreign).await.refused(403, "AuthenticationFailed");
    let error = put(&blob.replace("sig=", "sig=x")).await;
    assert!(
        error.text.contains("<Code>AuthenticationFailed</Code>")
            && error.text.contains("<AuthenticationErrorDetail>")
    );
    let messages = item(&cluster.resource("FailedIngestionsQueue").await, "messages");
    let list = blob.replace("/x?", "?") + "&restype=container&comp=list";
    assert_eq!(cluster.send(Method::GET, &list, &[], "").await.status, 200, "l is in sp");
    cluster
        .send(Method::PUT, &format!("{blob}&comp=lease"), &[], "")
        .await
        .refused(400, "UnsupportedOperation");
    let whole = blob.replace("/x?", "?") + "&restype=container";
    cluster.send(Method::GET, &whole, &[], "").await.refused(403, "AuthorizationPermissionMismatch");
    assert_eq!(cluster.send(Method::GET, &messages, &[], "").await.status, 200);
    assert_eq!(put(&blob).await.status, 201);
    cluster.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(put(&blob).await.status, 201, "still valid");
    cluster.clock.advance(Duration::from_secs(1));
    let expired = put(&blob).await;
    expired.refused(403, "AuthenticationFailed");
    assert!(expired.text.contains("Signature not valid in the specified time frame"), "{}", expired.text);
    cluster.clock.set("2025-12-31T23:00:00Z".parse().unwrap());
    put(&blob).await.refused(403, "AuthenticationFailed");
    cluster.send(Method::GET, &messages, &[], "").await.refused(403, "AuthenticationFailed");
}

#[tokio::test]
async fn a_body_that_does_not_match_its_md5_and_a_foreign_blob_type_are_refused() {
    let cluster = Cluster::start();
    let blob = item(&container(&cluster).await, "x");
    let wrong = [BLOCK_BLOB, ("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==")];
    cluster.send(Method::PUT, &blob, &wrong, "hello").await.refused(400, "Md5Mismatch");
    assert_eq!(cluster.send(Method::PUT, &blob, &wrong, "hello world").await.status, 201);
    cluster.send(Method::PUT, &blob, &[], "x").await.refused(400, "MissingRequiredHeader");
    cluster
        .send(Method::PUT, &blob, &[("x-ms-blob-type", "PageBlob")], "x")
        .await
        .refused(400, "UnsupportedOperation");
}

#[tokio::test]
async fn a_message_is_hidden_from_others_while_somebody_has_it() {
    let cluster = Cluster::start();
    let messages = item(&queue(&cluster).await, "messages");
    let body = "<QueueMessage><MessageText>a &lt;b&gt; &amp; c&#33;</MessageText></QueueMessage>";
    let put = cluster.send(Method::POST, &messages, &[], body).await;
    assert_eq!(put.status, 201);
    for part in ["<MessageId>", "<InsertionTime>", "<ExpirationTime>", "<PopReceipt>", "<TimeNextVisible>"] {
        assert!(put.text.contains(part), "{part} in {}", put.text);
    }
    let get = async |more: &str| cluster.send(Method::GET, &format!("{messages}{more}"), &[], "").await.text;
    assert!(get("&peekonly=true").await.contains("a &lt;b&gt; &amp; c!"));
    let got = get("&visibilitytimeout=60").await;
    assert!(got.contains("<DequeueCount>1</DequeueCount>"), "{got}");
    assert!(!get("").await.contains("<MessageId>") && !get("&peekonly=true").await.contains("<MessageId>"));
    cluster.clock.advance(Duration::from_secs(60));
    let again = get("").await;
    assert!(again.contains("<DequeueCount>2</DequeueCount>"), "{again}");
    let field = |text: &str, name: &str| {
        text.split(&format!("<{name}>")).nth(1).unwrap().split('<').next().unwrap().to_owned()
    };
    let one = |text: &str| {
        let url = item(&messages.replace("/messages", ""), &format!("messages/{}", field(text, "MessageId")));
        format!("{url}&popreceipt={}", field(text, "PopReceipt"))
    };
    cluster.send(Method::DELETE, &one(&got), &[], "").await.refused(400, "PopReceiptMismatch");
    let updated = cluster.send(Method::PUT, &format!("{}&visibilitytimeout=0", one(&again)), &[], "").await;
    assert_eq!(updated.status, 204, "{}", updated.text);
    let last = get("").await;
    assert_eq!(cluster.send(Method::DELETE, &one(&last), &[], "").await.status, 204);
    cluster.send(Method::DELETE, &one(&last), &[], "").await.refused(404, "MessageNotFound");
    cluster.send(Method::POST, &messages, &[], "<Nothing/>").await.refused(400, "InvalidXmlDocument");
    let large = format!("<QueueMessage><MessageText>{}</MessageText></QueueMessage>", "x".repeat(65_537));
    cluster.send(Method::POST, &messages, &[], large).await.refused(413, "RequestBodyTooLarge");
}

#[tokio::test]
async fn messages_can_be_cleared_counted_and_expire() {
    let cluster = Cluster::start();
    let url = queue(&cluster).await;
    let messages = item(&url, "messages");
    let body = "<QueueMessage><MessageText>x</MessageText></QueueMessage>";
    for more in ["", "&messagettl=60", "&visibilitytimeout=3600"] {
        assert_eq!(cluster.send(Method::POST, &format!("{messages}{more}"), &[], body).await.status, 201);
    }
    let count = async || {
        let answer = cluster.send(Method::GET, &format!("{url}&comp=metadata"), &[], "").await;
        answer.header("x-ms-approximate-messages-count").to_owned()
    };
    assert_eq!(count().await, "3");
    cluster.clock.advance(Duration::from_secs(60));
    let got = cluster.send(Method::GET, &format!("{messages}&numofmessages=32"), &[], "").await.text;
    assert_eq!(got.matches("<MessageId>").count(), 1, "one expired, one is not visible yet");
    assert_eq!(cluster.send(Method::DELETE, &messages, &[], "").await.status, 204);
    assert_eq!(count().await, "0");
    cluster
        .send(Method::GET, &format!("{messages}&numofmessages=33"), &[], "")
        .await
        .refused(400, "OutOfRangeQueryParameterValue");
}

#[tokio::test]
async fn entities_are_inserted_once_merged_replaced_and_deleted() {
    let cluster = Cluster::start();
    let table = cluster.resource("IngestionsStatusTable").await;
    let row = entity(&table, "p", "r%27%27s");
    let json = ("content-type", "application/json");
    let insert = json!({"PartitionKey": "p", "RowKey": "r's", "Status": "Pending", "Count@odata.type": "Edm.Int64", "Count": "5"});
    let inserted = cluster.send(Method::POST, &table, &[json], insert.to_string()).await;
    assert_eq!(inserted.status, 201, "{}", inserted.text);
    assert!(inserted.header("etag").starts_with("W/\"datetime'"));
    cluster.send(Method::POST, &table, &[json], insert.to_string()).await.refused(409, "EntityAlreadyExists");
    let get = async |level: &str| {
        cluster.send(Method::GET, &row, &[("accept", &format!("application/json;odata={level}"))], "").await
    };
    let bare = get("nometadata").await.json();
    assert_eq!(
        (&bare["RowKey"], &bare["Status"], &bare["Count"]),
        (&json!("r's"), &json!("Pending"), &json!("5"))
    );
    assert!(
        bare.get("odata.etag").is_none()
            && bare.get("Count@odata.type").is_none()
            && bare["Timestamp"].is_string()
    );
    let minimal = get("minimalmetadata").await.json();
    assert!(minimal["odata.etag"].is_string() && minimal["Count@odata.type"] == "Edm.Int64");
    let merge = json!({"Status": "Succeeded"}).to_string();
    let merged = cluster
        .send(Method::from_bytes(b"MERGE").unwrap(), &row, &[json, ("if-match", "*")], merge.clone())
        .await;
    assert_eq!(merged.status, 204, "{}", merged.text);
    let now = get("nometadata").await.json();
    assert_eq!((&now["Status"], &now["Count"]), (&json!("Succeeded"), &json!("5")));
    cluster.clock.advance(Duration::from_secs(1));
    let stale = [json, ("if-match", "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"")];
    cluster.send(Method::PUT, &row, &stale, merge.clone()).await.refused(412, "UpdateConditionNotSatisfied");
    assert_eq!(cluster.send(Method::PUT, &row, &[json], merge.clone()).await.status, 204);
    assert!(get("nometadata").await.json().get("Count").is_none(), "replaced as a whole");
    assert_eq!(cluster.send(Method::DELETE, &row, &[("if-match", "*")], "").await.status, 204);
    cluster.send(Method::GET, &row, &[], "").await.refused(404, "ResourceNotFound");
    cluster
        .send(Method::PATCH, &row, &[json, ("if-match", "*")], merge.clone())
        .await
        .refused(404, "ResourceNotFound");
    assert_eq!(cluster.send(Method::PATCH, &row, &[json], merge).await.status, 204, "insert or merge");
    cluster.send(Method::POST, &table, &[json], "[").await.refused(400, "InvalidInput");
    let unsigned = row.split('?').next().unwrap();
    cluster.send(Method::GET, unsigned, &[], "").await.refused(401, "NoAuthenticationInformation");
}

#[tokio::test]
async fn blobs_beyond_the_limit_of_bytes_are_refused_and_room_comes_back() {
    let cluster = Cluster::start_with(|options| options.storage_limit(1000));
    let container = container(&cluster).await;
    let (a, b) = (item(&container, "a"), item(&container, "b"));
    assert_eq!(cluster.put_blob(&a, vec![1; 800]).await.status, 201);
    assert_eq!(cluster.put_blob(&b, vec![1; 800]).await.status, 500);
    assert_eq!(cluster.send(Method::DELETE, &a, &[], "").await.status, 202);
    assert_eq!(cluster.put_blob(&b, vec![1; 800]).await.status, 201);
}
