//! Switches that data management or the clock has a part in, each both ways.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use kusto_emulator::{
    Assumptions, Endpoint, Fault, FaultRule, Grant, HoldPoint, RepeatedMessages, RightsOfWaiting,
    SkippedStatus, Undocumented, UnknownSize,
};
use reqwest::Method;
use serde_json::{Value, json};
use support::{Answer, Cluster, DATABASE};

const SECOND: Duration = Duration::from_secs(1);

fn assuming(change: impl FnOnce(&mut Assumptions)) -> Cluster {
    let mut assumptions = Assumptions::default();
    change(&mut assumptions);
    Cluster::start_with(|options| options.assumptions(assumptions))
}

/// Queues a blob for `T`; the address of its status row.
async fn queue(cluster: &Cluster, name: &str, rows: &str, change: impl FnOnce(&mut Value)) -> String {
    let blob = cluster.upload(name, rows).await;
    let (mut message, row) = cluster.message(&blob).await;
    change(&mut message);
    cluster.queue(&message).await;
    row
}

#[tokio::test]
async fn the_answer_of_a_move_comes_at_once_or_after_a_time_for_each_extent_while_its_effect_is_there() {
    let cluster = assuming(|assumptions| {
        assumptions.move_takes = 2 * SECOND;
        assumptions.new_ingestion_time_takes = 3 * SECOND;
    });
    let handle = cluster.emulator.handle();
    for command in
        [".create table S (n: long, s: string)", ".append S <| print 1, 'a'", ".append S <| print 2, 'b'"]
    {
        handle.command(DATABASE, command).unwrap();
    }
    for (from, to, with, seconds) in [("S", "T", "", 4), ("T", "S", " with (setNewIngestionTime=true)", 10)] {
        let body = json!({"db": DATABASE, "csl": format!(".move extents all from table {from} to table {to}{with}")});
        let request = cluster.request(Method::POST, "/v1/rest/mgmt").json(&body).send();
        let moving = tokio::spawn(async move { Answer::of(request.await.unwrap()).await });
        while cluster.count(to).await < 2 {
            tokio::task::yield_now().await;
        }
        cluster.clock.advance(seconds * SECOND - Duration::from_millis(1));
        assert_eq!(cluster.count(from).await, 0);
        assert!(!moving.is_finished(), "the clock has not come so far");
        cluster.clock.advance(Duration::from_millis(1));
        assert_eq!(moving.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn an_async_move_is_worked_on_when_its_time_has_come() {
    let cluster = assuming(|assumptions| assumptions.async_takes = 30 * SECOND);
    let handle = cluster.emulator.handle();
    handle.command(DATABASE, ".create table S (n: long, s: string)").unwrap();
    handle.command(DATABASE, ".append S <| print 1, 'a'").unwrap();
    let begun = cluster.command(".move async extents all from table S to table T").await.json();
    let id = begun["Tables"][0]["Rows"][0][0].as_str().unwrap().to_owned();
    let state = async || {
        let shown = cluster.command(&format!(".show operations {id} | project State")).await.json();
        shown["Tables"][0]["Rows"][0][0].clone()
    };
    cluster.pass(29 * SECOND).await;
    assert_eq!((state().await, cluster.count("T").await), (json!("InProgress"), 0));
    cluster.pass(SECOND).await;
    assert_eq!((state().await, cluster.count("T").await), (json!("Completed"), 1));
}

#[tokio::test]
async fn a_held_ingestion_needs_its_role_when_it_takes_effect_or_only_when_it_comes() {
    for (rights, status, rows) in
        [(RightsOfWaiting::WhenItTakesEffect, "Failed", 0), (RightsOfWaiting::WhenItArrives, "Succeeded", 1)]
    {
        let mut assumptions = Assumptions::default();
        assumptions.rights = rights;
        let mut cluster = Cluster::start_with(|options| options.sign_in(true).assumptions(assumptions));
        let handle = cluster.emulator.handle().clone();
        let grants = [Grant::database(DATABASE, "users"), Grant::database(DATABASE, "ingestors")];
        let app = handle.add_app("app", "key", &grants).unwrap();
        cluster.token = Some(token(&cluster).await);
        let rule = FaultRule::new(Endpoint::Ingestion, Fault::Hold(HoldPoint::Commit)).times(1);
        handle.add_fault(rule);
        let row =
            queue(&cluster, "a.csv", "1,a\n", |message| message["FlushImmediately"] = json!(true)).await;
        handle.until_held(1).await;
        handle.revoke_roles(&app).unwrap();
        handle.release_all();
        handle.settle().await;
        assert_eq!(cluster.status(&row).await["Status"], status);
        let extents = handle.query(DATABASE, "T | count").unwrap();
        assert_eq!(extents, [json!([rows])]);
    }
}

async fn token(cluster: &Cluster) -> String {
    let form = "grant_type=client_credentials&client_id=app&client_secret=key\
                &scope=https%3A%2F%2Fkusto.kusto.windows.net%2F.default";
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = cluster.send(Method::POST, cluster.emulator.token_url(), &headers, form).await;
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_blob_that_is_there_already_is_skipped_or_failed_by_name_with_the_same_code() {
    for (skipped_status, status) in [(SkippedStatus::Skipped, "Skipped"), (SkippedStatus::Failed, "Failed")] {
        let cluster = assuming(|assumptions| assumptions.skipped_status = skipped_status);
        let tagged = |message: &mut Value| {
            message["AdditionalProperties"]["tags"] = json!("[\"ingest-by:once\"]");
            message["AdditionalProperties"]["ingestIfNotExists"] = json!("[\"once\"]");
        };
        queue(&cluster, "a.csv", "1,a\n", tagged).await;
        let again = queue(&cluster, "b.csv", "1,a\n", tagged).await;
        cluster.emulator.handle().settle().await;
        let row = cluster.status(&again).await;
        assert_eq!((&row["Status"], cluster.count("T").await), (&json!(status), 1));
        assert_eq!(row["ErrorCode"], "Skipped_IngestByTagAlreadyExists");
    }
}

#[tokio::test]
async fn a_blob_of_unknown_size_is_a_batch_of_its_own_or_waits_for_others() {
    for (unknown_size, batches) in [(UnknownSize::Alone, 2), (UnknownSize::Estimated, 1)] {
        let cluster = assuming(|assumptions| assumptions.unknown_size = unknown_size);
        for name in ["a.csv", "b.csv"] {
            queue(&cluster, name, "1,a\n", |message| message["RawDataSize"] = json!(0)).await;
        }
        cluster.pass(SECOND).await;
        assert_eq!(cluster.emulator.handle().statistics().batches, batches);
        assert_eq!(cluster.count("T").await, 2);
    }
}

#[tokio::test]
async fn a_message_with_an_id_that_was_ingested_is_ingested_again_or_not() {
    for (repeated_messages, rows) in
        [(RepeatedMessages::IngestedAgain, 2), (RepeatedMessages::IngestedOnce, 1)]
    {
        let cluster = assuming(|assumptions| assumptions.repeated_messages = repeated_messages);
        let blob = cluster.upload("a.csv", "1,a\n").await;
        let (message, row) = cluster.message(&blob).await;
        for _ in 0..2 {
            cluster.queue(&message).await;
            cluster.pass(SECOND).await;
        }
        assert_eq!(
            (&cluster.status(&row).await["Status"], cluster.count("T").await),
            (&json!("Succeeded"), rows)
        );
    }
}

#[tokio::test]
async fn a_batch_is_full_with_as_many_blobs_as_is_assumed_where_no_policy_says_so() {
    for (items, ingested) in [(2, 2), (3, 0)] {
        let cluster = assuming(|assumptions| assumptions.default_batch_items = items);
        queue(&cluster, "a.csv", "1,a\n", |_| {}).await;
        queue(&cluster, "b.csv", "2,a\n", |_| {}).await;
        cluster.emulator.handle().settle().await;
        assert_eq!(cluster.count("T").await, ingested);
    }
    assert_eq!(Assumptions::default().default_batch_items, 500);
}

#[tokio::test]
async fn commands_that_only_connectors_send_to_data_management_are_answered_or_refused() {
    let known = Cluster::start();
    let unknown = assuming(|assumptions| assumptions.undocumented = Undocumented::Refused);
    for command in
        [".refresh database 'Samples' table 'T' cache ingestionbatchingpolicy", ".create tempstorage"]
    {
        assert_eq!(known.command(command).await.status, 200, "{command}");
        assert_eq!(unknown.command(command).await.status, 400, "{command}");
    }
    let storage = known.command(".create tempstorage").await.json();
    assert!(storage["Tables"][0]["Rows"][0][0].as_str().unwrap().contains("sig="));
}
