//! What a service may do to a client at the worst moment, on demand: each rule does what its definition says.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use kusto_emulator::seed::Seed;
use kusto_emulator::{
    Assumptions, Endpoint, Fault, FaultRule, Grant, HoldPoint, IngestIfNotExists, MissingExtents,
    ResolvedNames,
};
use reqwest::Method;
use serde_json::{Value, json};
use support::{Answer, Cluster, DATABASE};
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

fn rule(endpoint: Endpoint, fault: Fault) -> FaultRule {
    FaultRule::new(endpoint, fault)
}

fn hold(point: HoldPoint) -> Fault {
    Fault::Hold(point)
}

/// Sends a command and does not wait for its answer.
fn begin(cluster: &Cluster, csl: &str) -> JoinHandle<Answer> {
    let body = json!({"db": DATABASE, "csl": csl});
    let request = cluster.request(Method::POST, "/v1/rest/mgmt").json(&body).send();
    tokio::spawn(async move { Answer::of(request.await.unwrap()).await })
}

/// A cluster with the staging table `S`, two extents with a row each, beside `T`.
async fn staged() -> Cluster {
    let cluster = Cluster::start();
    run(&cluster, ".create table S (n: long, s: string)").await;
    run(&cluster, ".ingest inline into table S with (tags='[\"kt:1\"]') <| 1,a").await;
    run(&cluster, ".ingest inline into table S with (tags='[\"kt:2\"]') <| 2,b").await;
    cluster
}

async fn run(cluster: &Cluster, csl: &str) -> Value {
    let answer = cluster.command(csl).await;
    assert_eq!(answer.status, 200, "{csl}: {}", answer.text);
    answer.json()["Tables"][0]["Rows"].clone()
}

async fn ids(cluster: &Cluster, table: &str) -> String {
    let rows = run(cluster, &format!(".show table {table} extents")).await;
    rows.as_array().unwrap().iter().map(|row| row[0].as_str().unwrap()).collect::<Vec<_>>().join(", ")
}

/// Queues a blob with these rows for `T`, to be ingested at once; the address of its status row.
async fn queue(cluster: &Cluster, name: &str, rows: &str, change: impl FnOnce(&mut Value)) -> String {
    let blob = cluster.upload(name, rows).await;
    let (mut message, row) = cluster.message(&blob).await;
    message["FlushImmediately"] = json!(true);
    change(&mut message);
    cluster.queue(&message).await;
    row
}

#[tokio::test]
async fn a_move_held_behind_its_names_takes_effect_after_a_rename_or_finds_its_name_gone() {
    for resolved_names in [ResolvedNames::FollowTheTable, ResolvedNames::CheckedAgain] {
        for point in [HoldPoint::Resolved, HoldPoint::Commit] {
            let cluster = staged().await;
            let handle = cluster.emulator.handle();
            let mut assumptions = Assumptions::default();
            assumptions.resolved_names = resolved_names;
            handle.assume(assumptions);
            let hits = handle.add_fault(rule(Endpoint::Management, hold(point)).operation(".move").times(1));
            let command = format!(".move extents from table S to table T ({})", ids(&cluster, "S").await);
            let moving = begin(&cluster, &command);
            handle.until_held(1).await;
            assert_eq!((hits.count(), cluster.count("T").await), (1, 0));
            run(&cluster, ".rename table S to S2").await;
            assert!(handle.release(handle.held()[0].id));
            let answer = moving.await.unwrap();
            let moved = (answer.status.as_u16(), cluster.count("S2").await, cluster.count("T").await);
            match resolved_names {
                ResolvedNames::FollowTheTable => assert_eq!(moved, (200, 0, 2), "{}", answer.text),
                _ => assert_eq!(moved, (400, 2, 0), "{}", answer.text),
            }
        }
    }
}

#[tokio::test]
async fn a_held_append_ingestion_or_rename_goes_to_the_table_that_its_name_meant() {
    let cluster = staged().await;
    let handle = cluster.emulator.handle();
    let blob = cluster.upload("direct.csv", "8,x\n").await;
    for command in [
        ".append S <| print n = 3, s = 'c'".to_owned(),
        ".set-or-append S <| print n = 4, s = 'd'".to_owned(),
        format!(".ingest into table S (h'{blob}') with (format='csv')"),
    ] {
        let held = rule(Endpoint::Management, hold(HoldPoint::Resolved)).table("S").times(1);
        handle.add_fault(held.operation(command.split(' ').next().unwrap()));
        let begun = begin(&cluster, &command);
        handle.until_held(1).await;
        run(&cluster, ".rename table S to S2").await;
        run(&cluster, ".create table S (n: long, s: string)").await;
        handle.release_all();
        let answer = begun.await.unwrap();
        assert_eq!(answer.status, 200, "{command}: {}", answer.text);
        assert_eq!(cluster.count("S").await, 0, "{command}: the new table of that name got nothing");
        run(&cluster, ".drop table S").await;
        run(&cluster, ".rename table S2 to S").await;
        handle.clear_faults();
    }
    assert_eq!(cluster.count("S").await, 5);
    handle.add_fault(rule(Endpoint::Management, hold(HoldPoint::Resolved)).operation(".rename").times(1));
    let renaming = begin(&cluster, ".rename table S to Won");
    handle.until_held(1).await;
    run(&cluster, ".rename table S to Other").await;
    handle.release_all();
    assert_eq!(renaming.await.unwrap().status, 200, "it renames the table, whatever it is called by then");
    assert_eq!(cluster.count("Won").await, 5);
}

#[tokio::test]
async fn a_queued_ingestion_held_behind_its_name_goes_into_the_renamed_table_and_holds_up_no_other() {
    let cluster = Cluster::start();
    let handle = cluster.emulator.handle();
    handle.add_fault(rule(Endpoint::Ingestion, hold(HoldPoint::Resolved)).table("T").times(1));
    let held = queue(&cluster, "held.csv", "1,a\n", |_| {}).await;
    handle.until_held(1).await;
    let other = queue(&cluster, "other.csv", "2,b\n", |_| {}).await;
    handle.settle().await;
    assert_eq!(cluster.status(&other).await["Status"], "Succeeded");
    run(&cluster, ".rename table T to Old").await;
    run(&cluster, ".create table T (n: long, s: string)").await;
    handle.release_all();
    handle.settle().await;
    assert_eq!(cluster.status(&held).await["Status"], "Succeeded");
    assert_eq!((cluster.count("Old").await, cluster.count("T").await), (2, 0));
}

#[tokio::test]
async fn a_held_request_that_dies_has_no_effect_and_a_queued_one_is_tried_again() {
    let cluster = staged().await;
    let handle = cluster.emulator.handle();
    handle.add_fault(rule(Endpoint::Management, hold(HoldPoint::Commit)).operation(".move").times(1));
    handle.add_fault(rule(Endpoint::Ingestion, hold(HoldPoint::Commit)).times(1));
    let moving = begin(&cluster, ".move extents all from table S to table T");
    let row = queue(&cluster, "a.csv", "1,a\n", |_| {}).await;
    handle.until_held(2).await;
    handle.held().iter().for_each(|request| assert!(handle.let_die(request.id)));
    assert_eq!(moving.await.unwrap().status, 520);
    handle.settle().await;
    assert_eq!((cluster.count("S").await, cluster.count("T").await), (2, 0));
    assert_eq!(cluster.status(&row).await["Status"], "Pending");
    cluster.pass(SECOND).await;
    assert_eq!(
        (cluster.status(&row).await["Status"].clone(), cluster.count("T").await),
        (json!("Succeeded"), 1)
    );
}

#[tokio::test]
async fn a_held_request_takes_effect_although_its_client_has_hung_up() {
    let cluster = staged().await;
    let handle = cluster.emulator.handle();
    handle.add_fault(rule(Endpoint::Management, hold(HoldPoint::Resolved)).operation(".move").times(1));
    let moving = begin(&cluster, ".move extents all from table S to table T");
    handle.until_held(1).await;
    moving.abort();
    assert!(moving.await.unwrap_err().is_cancelled());
    handle.release_all();
    handle.settle().await;
    assert_eq!(cluster.count("T").await, 2);
}

#[tokio::test]
async fn an_emulator_stops_although_requests_are_held() {
    let cluster = staged().await;
    let handle = cluster.emulator.handle().clone();
    handle.add_fault(rule(Endpoint::Management, hold(HoldPoint::Resolved)).operation(".move"));
    let moving = begin(&cluster, ".move extents all from table S to table T");
    handle.until_held(1).await;
    drop(cluster);
    assert_eq!(moving.await.unwrap().status, 520);
    assert_eq!(handle.held(), []);
}

#[tokio::test]
async fn a_stale_read_shows_the_rows_of_so_many_transactions_ago() {
    let cluster = Cluster::start();
    let handle = cluster.emulator.handle();
    let stale = rule(Endpoint::Query, Fault::Stale { behind: 2 }).table("T").skip(1).times(1);
    let hits = handle.add_fault(stale);
    for n in 1..=3 {
        run(&cluster, &format!(".append T <| print n = {n}, s = ''")).await;
    }
    assert_eq!(cluster.query("T | count").await, json!([[3]]));
    assert_eq!(cluster.query("print T1 = 1").await, json!([[1]]), "T1 is another name");
    assert_eq!(cluster.query("T | count").await, json!([[1]]));
    assert_eq!(cluster.query("T | count").await, json!([[3]]));
    assert_eq!(hits.count(), 1);
}

#[tokio::test]
async fn queue_messages_come_never_twice_or_late() {
    let cluster = Cluster::start();
    let handle = cluster.emulator.handle();
    let put = |fault| rule(Endpoint::Queue, fault).operation("PutMessage").times(1);
    handle.add_fault(put(Fault::LoseMessage));
    let lost = queue(&cluster, "lost.csv", "1,a\n", |_| {}).await;
    cluster.pass(3600 * SECOND).await;
    assert_eq!(
        (cluster.status(&lost).await["Status"].clone(), cluster.count("T").await),
        (json!("Pending"), 0)
    );

    handle.add_fault(put(Fault::RepeatMessage { copies: 2, apart: 10 * SECOND }));
    queue(&cluster, "again.csv", "2,a\n", |_| {}).await;
    for expected in [1, 2, 3, 3] {
        handle.settle().await;
        assert_eq!(cluster.count("T").await, expected);
        cluster.pass(10 * SECOND).await;
    }

    handle.add_fault(put(Fault::DelayMessage(60 * SECOND)));
    queue(&cluster, "late.csv", "3,a\n", |_| {}).await;
    cluster.pass(59 * SECOND).await;
    assert_eq!(cluster.count("T").await, 3);
    cluster.pass(SECOND).await;
    assert_eq!(cluster.count("T").await, 4);
}

#[tokio::test]
async fn half_of_a_blob_may_become_visible_and_two_deliveries_then_add_up() {
    let cluster = Cluster::start();
    let handle = cluster.emulator.handle();
    handle.add_fault(rule(Endpoint::Ingestion, Fault::Half { status: 503 }).times(1));
    let row = queue(&cluster, "a.csv", "1,a\n2,b\n3,c\n4,d\n", |_| {}).await;
    handle.settle().await;
    assert_eq!(
        (cluster.status(&row).await["Status"].clone(), cluster.count("T").await),
        (json!("Pending"), 2)
    );
    cluster.pass(SECOND).await;
    assert_eq!(
        (cluster.status(&row).await["Status"].clone(), cluster.count("T").await),
        (json!("Succeeded"), 6)
    );

    handle.add_fault(rule(Endpoint::Ingestion, hold(HoldPoint::Halfway)).times(1));
    queue(&cluster, "b.csv", "5,a\n6,b\n7,c\n", |_| {}).await;
    handle.until_held(1).await;
    assert_eq!(cluster.count("T").await, 8, "two of three");
    handle.release_all();
    handle.settle().await;
    assert_eq!(cluster.count("T").await, 9);
}

#[tokio::test]
async fn a_merge_between_listing_and_move_takes_the_listed_ids_away() {
    for (missing, status, rows) in [
        (MissingExtents::Refused, 400, 0),
        (MissingExtents::NothingMoves, 200, 0),
        (MissingExtents::RowsSayFailed, 200, 2),
    ] {
        let cluster = staged().await;
        let handle = cluster.emulator.handle();
        let mut assumptions = Assumptions::default();
        assumptions.missing_extents = missing;
        handle.assume(assumptions);
        handle.add_fault(rule(Endpoint::Management, Fault::Merge).operation(".move"));
        let listed = ids(&cluster, "S").await;
        let answer = cluster.command(&format!(".move extents from table S to table T ({listed})")).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        if status == 200 {
            assert_eq!(answer.json()["Tables"][0]["Rows"].as_array().unwrap().len(), rows);
        }
        assert_eq!((cluster.count("S").await, cluster.count("T").await), (2, 0));
        let extents = run(&cluster, ".show table S extents").await;
        assert_eq!(extents[0][13], "kt:1\r\nkt:2", "one extent with both tags");
    }
}

#[tokio::test]
async fn extents_are_merged_in_the_background_when_their_hour_has_come() {
    let cluster = staged().await;
    let before = ids(&cluster, "S").await;
    cluster.pass(3600 * SECOND).await;
    let after = ids(&cluster, "S").await;
    assert_eq!((before.matches(',').count(), after.matches(',').count()), (1, 0));
    assert_eq!(cluster.count("S").await, 2);
}

#[tokio::test]
async fn two_ingestions_of_one_tag_at_once_go_in_once_or_twice() {
    for (ingest_if_not_exists, rows) in
        [(IngestIfNotExists::Atomic, 1), (IngestIfNotExists::CheckedAtStart, 2)]
    {
        let cluster = Cluster::start();
        let handle = cluster.emulator.handle();
        let mut assumptions = Assumptions::default();
        assumptions.ingest_if_not_exists = ingest_if_not_exists;
        handle.assume(assumptions);
        handle.add_fault(rule(Endpoint::Ingestion, hold(HoldPoint::Commit)).times(1));
        let tagged = |message: &mut Value| {
            message["AdditionalProperties"]["tags"] = json!("[\"ingest-by:once\"]");
            message["AdditionalProperties"]["ingestIfNotExists"] = json!("[\"once\"]");
        };
        queue(&cluster, "a.csv", "1,a\n", tagged).await;
        handle.until_held(1).await;
        queue(&cluster, "b.csv", "1,a\n", tagged).await;
        handle.settle().await;
        handle.release_all();
        handle.settle().await;
        assert_eq!(cluster.count("T").await, rows);
    }
}

#[tokio::test]
async fn an_ingestion_may_be_tried_again_much_later() {
    let cluster = Cluster::start();
    let handle = cluster.emulator.handle();
    let busy = Fault::Fail { status: 503, retry_after: Some(3600 * SECOND) };
    handle.add_fault(rule(Endpoint::Ingestion, busy).times(1));
    let row = queue(&cluster, "a.csv", "1,a\n", |_| {}).await;
    cluster.pass(3599 * SECOND).await;
    assert_eq!(cluster.status(&row).await["Status"], "Pending");
    cluster.pass(SECOND).await;
    assert_eq!(cluster.status(&row).await["Status"], "Succeeded");
}

#[tokio::test]
async fn a_blob_whose_signature_has_expired_when_its_turn_comes_cannot_be_downloaded() {
    let cluster = Cluster::start_with(|options| options.sas_lifetime(60 * SECOND));
    let handle = cluster.emulator.handle();
    handle.add_fault(rule(Endpoint::Queue, Fault::DelayMessage(61 * SECOND)).operation("PutMessage"));
    queue(&cluster, "a.csv", "1,a\n", |_| {}).await;
    cluster.pass(61 * SECOND).await;
    let failures = run(&cluster, ".show ingestion failures").await;
    assert_eq!(failures[0][10], "Download_Forbidden", "{failures}");
    assert_eq!(cluster.count("T").await, 0);
}

async fn signed_in(key: &str, grants: &[Grant]) -> Cluster {
    let mut cluster = Cluster::start_with(|options| options.sign_in(true));
    cluster.emulator.handle().add_app("app", key, grants).unwrap();
    cluster.token = Some(token(&cluster, key).await);
    cluster
}

async fn token(cluster: &Cluster, key: &str) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id=app&client_secret={key}&scope=https%3A%2F%2Fkusto.kusto.windows.net%2F.default"
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = cluster.send(Method::POST, cluster.emulator.token_url(), &headers, form).await;
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn tokens_and_roles_are_revoked_at_the_request_that_a_rule_names() {
    let mut cluster = signed_in("key", &[Grant::database(DATABASE, "users")]).await;
    let handle = cluster.emulator.handle().clone();
    handle
        .add_fault(rule(Endpoint::Management, Fault::RevokeTokens).principal("aadapp=app").skip(1).times(1));
    let show = ".show table T cslschema";
    assert_eq!(cluster.command(show).await.status, 200);
    assert_eq!(cluster.command(show).await.status, 401);
    assert_eq!(cluster.command(show).await.status, 401, "the token stays worthless");
    cluster.token = Some(token(&cluster, "key").await);
    assert_eq!(cluster.command(show).await.status, 200, "a new one is good");
    handle.add_fault(rule(Endpoint::Management, Fault::RevokeRoles).operation(".create").times(1));
    assert_eq!(cluster.command(".create table Mine (n: long)").await.status, 403);
    assert_eq!(cluster.command(show).await.status, 403);
    assert_eq!(
        handle.command(DATABASE, ".show tables").unwrap().len(),
        1,
        "the operator's roles are not the caller's"
    );
}

#[tokio::test]
async fn equal_seeds_hit_the_same_requests() {
    let run = async || {
        let cluster = Cluster::start_with(|options| options.seed(Seed::new(11)));
        let busy = Fault::Fail { status: 503, retry_after: None };
        cluster.emulator.handle().add_fault(rule(Endpoint::Management, busy).probability(0.5));
        let mut statuses = Vec::new();
        for _ in 0..24 {
            statuses.push(cluster.command(".show tables").await.status.as_u16());
        }
        statuses
    };
    let first = run().await;
    assert_eq!(first, run().await);
    assert!(first.contains(&200) && first.contains(&503), "{first:?}");
}

/// The control endpoint, as another process uses it.
async fn control(cluster: &Cluster, method: Method, path: &str, body: &Value) -> Answer {
    let url = cluster.url(&format!("/emulator/v1/{path}"));
    cluster.send(method, &url, &[("content-type", "application/json")], body.to_string()).await
}

#[tokio::test]
async fn rules_holds_and_assumptions_are_within_reach_of_other_processes_over_http() {
    let cluster = staged().await;
    let held_move =
        json!({"endpoint": "Management", "operation": ".move", "times": 1, "fault": {"Hold": "Resolved"}});
    assert_eq!(control(&cluster, Method::POST, "faults", &held_move).await.status, 200);
    let moving = begin(&cluster, ".move extents all from table S to table T");
    let held = control(&cluster, Method::GET, "held?at_least=1", &json!({})).await.json();
    assert_eq!((&held[0]["point"], &held[0]["scope"]), (&json!("Resolved"), &json!(DATABASE)));
    run(&cluster, ".rename table S to S2").await;
    let released = control(&cluster, Method::POST, "release", &json!({"id": held[0]["id"]})).await;
    assert_eq!(released.json(), json!({"released": 1}));
    assert_eq!(moving.await.unwrap().status, 200);
    let rules = control(&cluster, Method::GET, "faults", &json!({})).await.json();
    assert_eq!(rules[0]["hits"], 1);
    assert_eq!(control(&cluster, Method::DELETE, "faults", &json!({})).await.status, 200);
    assert_eq!(control(&cluster, Method::GET, "faults", &json!({})).await.json(), json!([]));

    let assumed = control(&cluster, Method::PUT, "assumptions", &json!({"old_names_last": 30.0})).await;
    assert_eq!(assumed.json()["old_names_last"], 30.0);
    assert_eq!(cluster.emulator.handle().assumptions().old_names_last, 30 * SECOND);
    run(&cluster, ".ingest inline into table T <| 5,x").await;
    let merged = control(&cluster, Method::POST, "merge", &json!({"database": DATABASE, "table": "T"})).await;
    assert_eq!(merged.json(), json!({"fewer": 2}));
    assert_eq!(control(&cluster, Method::POST, "settle", &json!({})).await.status, 200);
    assert!(control(&cluster, Method::GET, "statistics", &json!({})).await.json()["messages"].is_u64());
    let before = cluster.emulator.handle().request_count();
    assert!(control(&cluster, Method::GET, "requests", &json!({})).await.json()[0]["operation"].is_string());
    assert_eq!(cluster.emulator.handle().request_count(), before, "control is not written down");
}

#[tokio::test]
async fn control_over_http_takes_only_json_that_it_understands() {
    let cluster = Cluster::start();
    let url = cluster.url("/emulator/v1/faults");
    assert_eq!(cluster.send(Method::DELETE, &url, &[], "").await.status, 415);
    for body in
        [json!({}), json!({"endpoint": "Moon"}), json!([]), json!({"endpoint": "Query", "fault": "Hold"})]
    {
        assert_eq!(control(&cluster, Method::POST, "faults", &body).await.status, 400, "{body}");
    }
    assert_eq!(control(&cluster, Method::POST, "nonsense", &json!({})).await.status, 404);
    assert_eq!(control(&cluster, Method::POST, "revoke", &json!({"principal": "nobody"})).await.status, 400);
}
