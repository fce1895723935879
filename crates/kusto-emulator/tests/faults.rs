//! Every kind of mischief, ordered over HTTP as a test in another process orders it: what it does, and to which requests.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use kusto_emulator::Grant;
use reqwest::Method;
use serde_json::{Value, json};
use support::{Answer, Cluster, DATABASE};

const SECOND: Duration = Duration::from_secs(1);

async fn control(cluster: &Cluster, method: Method, path: &str, body: &Value) -> Value {
    let url = cluster.url(&format!("/emulator/v1/{path}"));
    let answer = cluster.send(method, &url, &[("content-type", "application/json")], body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn rule(cluster: &Cluster, rule: Value) {
    control(cluster, Method::POST, "faults", &rule).await;
}

/// The status of an append of one row; none if there is no whole answer.
async fn append(cluster: &Cluster, n: u64) -> Option<u16> {
    let body = json!({"db": DATABASE, "csl": format!(".append T <| print n = {n}, s = ''")});
    let answer = cluster.request(Method::POST, "/v1/rest/mgmt").json(&body).send().await.ok()?;
    let status = answer.status().as_u16();
    answer.bytes().await.ok().map(|_| status)
}

fn of_append(fault: Value) -> Value {
    json!({"endpoint": "Management", "operation": ".append", "times": 1, "fault": fault})
}

#[tokio::test]
async fn faults_before_the_effect_leave_nothing_and_faults_behind_it_leave_everything() {
    for (fault, status, rows) in [
        (json!({"Fail": {"status": 503}}), Some(503), 0),
        (json!({"Throttle": {"retry_after": 3}}), Some(429), 0),
        (json!({"Quote": {"status": 400}}), Some(400), 0),
        (json!("Refuse"), None, 0),
        (json!("LoseAnswer"), None, 1),
        (json!({"FailAfter": {"status": 500}}), Some(500), 1),
        (json!({"Truncate": {"bytes": 10}}), None, 1),
    ] {
        let cluster = Cluster::start();
        rule(&cluster, of_append(fault.clone())).await;
        assert_eq!((append(&cluster, 1).await, cluster.count("T").await), (status, rows), "{fault}");
        assert_eq!((append(&cluster, 2).await, cluster.count("T").await), (Some(200), rows + 1), "only once");
    }
}

#[tokio::test]
async fn a_refusal_that_quotes_has_the_text_of_the_request_in_its_message() {
    let cluster = Cluster::start();
    rule(&cluster, of_append(json!({"Quote": {"status": 400}}))).await;
    let body = json!({"db": DATABASE, "csl": ".append T <| print n = 7, s = 'as it is'"});
    let answer = cluster.request(Method::POST, "/v1/rest/mgmt").json(&body).send().await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(text.contains("print n = 7, s = 'as it is'"), "{text}");
}

#[tokio::test]
async fn a_request_that_is_held_unanswered_leaves_its_client_and_takes_effect_when_it_is_released() {
    for (point, path) in [("Resolved", "release"), ("Commit", "release"), ("Commit", "fail-over")] {
        let cluster = Cluster::start();
        rule(&cluster, of_append(json!({ "HoldUnanswered": point }))).await;
        assert_eq!((append(&cluster, 1).await, cluster.count("T").await), (None, 0), "{point}");
        assert_eq!(
            (append(&cluster, 2).await, cluster.count("T").await),
            (Some(200), 1),
            "{point}: the others"
        );
        let held = control(&cluster, Method::GET, "held?at_least=1", &json!({})).await;
        assert_eq!(held.as_array().unwrap().len(), 1, "{held}");
        control(&cluster, Method::POST, path, &json!({})).await;
        control(&cluster, Method::POST, "settle", &json!({})).await;
        assert_eq!(cluster.count("T").await, if path == "release" { 2 } else { 1 }, "{point}, {path}");
    }
}

#[tokio::test]
async fn a_delayed_request_happens_later_on_the_clock() {
    let cluster = Cluster::start();
    rule(&cluster, of_append(json!({"Delay": 5.0}))).await;
    let body = json!({"db": DATABASE, "csl": ".append T <| print n = 1, s = ''"});
    let request = cluster.request(Method::POST, "/v1/rest/mgmt").json(&body).send();
    let appending = tokio::spawn(request);
    while control(&cluster, Method::GET, "requests", &json!({})).await.as_array().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(cluster.count("T").await, 0);
    cluster.clock.advance(5 * SECOND);
    assert_eq!(appending.await.unwrap().unwrap().status(), 200);
    assert_eq!(cluster.count("T").await, 1);
}

#[tokio::test]
async fn rules_match_endpoint_command_scope_table_principal_count_and_probability() {
    let fail = json!({"Fail": {"status": 503}});
    for (fields, hit, spared) in [
        (json!({"endpoint": "Query"}), "T | count", ".show tables"),
        (
            json!({"endpoint": "Management", "operation": ".SHOW table T"}),
            ".show table T extents",
            ".show tables",
        ),
        (
            json!({"endpoint": "Management", "table": "T"}),
            ".show table T extents",
            ".create table T2 (a:long)",
        ),
    ] {
        let cluster = Cluster::start();
        let mut whole = fields.clone();
        whole["fault"] = fail.clone();
        rule(&cluster, whole).await;
        let path = |csl: &str| if csl.starts_with('.') { "/v1/rest/mgmt" } else { "/v1/rest/query" };
        assert_eq!(cluster.post(path(hit), hit).await.status, 503, "{fields}");
        assert_eq!(cluster.post(path(spared), spared).await.status, 200, "{fields}");
    }
    let cluster = Cluster::start();
    rule(&cluster, json!({"endpoint": "Management", "scope": "sampl", "skip": 1, "times": 2, "fault": fail}))
        .await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(cluster.command(".show tables").await.status.as_u16());
    }
    assert_eq!(statuses, [200, 503, 503, 200]);
    rule(&cluster, json!({"endpoint": "Management", "probability": 0.0, "fault": fail})).await;
    rule(&cluster, json!({"endpoint": "Management", "principal": "nobody", "fault": fail})).await;
    assert_eq!(cluster.command(".show tables").await.status, 200);
    rule(&cluster, json!({"endpoint": "Management", "principal": "anonymous", "fault": fail})).await;
    assert_eq!(cluster.command(".show tables").await.status, 503);
}

/// Queues a blob that flushes; the address of its status row.
async fn queue(cluster: &Cluster, name: &str) -> String {
    let blob = cluster.upload(name, "1,a\n2,b\n").await;
    let (mut message, row) = cluster.message(&blob).await;
    message["FlushImmediately"] = json!(true);
    cluster.queue(&message).await;
    row
}

#[tokio::test]
async fn ingestions_fail_for_a_while_or_for_good_before_their_effect_or_behind_it() {
    for (fault, first, then, rows) in [
        (json!({"Fail": {"status": 503, "retry_after": 60}}), "Pending", "Succeeded", 2),
        (json!({"Fail": {"status": 400}}), "Failed", "Failed", 0),
        (json!({"Throttle": {}}), "Pending", "Succeeded", 2),
        (json!({"FailAfter": {"status": 500}}), "Pending", "Succeeded", 4),
        (json!("LoseAnswer"), "Pending", "Succeeded", 4),
        (json!({"Half": {"status": 500}}), "Pending", "Succeeded", 3),
        (json!({"Delay": 30.0}), "Pending", "Succeeded", 2),
    ] {
        let cluster = Cluster::start();
        rule(&cluster, json!({"endpoint": "Ingestion", "times": 1, "table": "T", "fault": fault})).await;
        let row = queue(&cluster, "a.csv").await;
        let delayed = fault.get("Delay").is_some();
        if !delayed {
            control(&cluster, Method::POST, "settle", &json!({})).await;
        }
        assert_eq!(cluster.status(&row).await["Status"], first, "{fault}");
        if delayed {
            // Data management waits for the clock: it is at rest only behind it.
            while control(&cluster, Method::GET, "requests", &json!({}))
                .await
                .to_string()
                .matches("Ingestion")
                .count()
                < 1
            {
                tokio::task::yield_now().await;
            }
            cluster.clock.advance(30 * SECOND);
            control(&cluster, Method::POST, "settle", &json!({})).await;
        } else {
            cluster.pass(60 * SECOND).await;
        }
        assert_eq!(
            (&cluster.status(&row).await["Status"], cluster.count("T").await),
            (&json!(then), rows),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn queue_messages_are_lost_repeated_or_late() {
    for (fault, at_once, later) in [
        (json!("LoseMessage"), 0, 0),
        (json!({"RepeatMessage": {"copies": 1, "apart": 5}}), 2, 4),
        (json!({"DelayMessage": 5}), 0, 2),
    ] {
        let cluster = Cluster::start();
        rule(&cluster, json!({"endpoint": "Queue", "operation": "PutMessage", "times": 1, "fault": fault}))
            .await;
        queue(&cluster, "a.csv").await;
        control(&cluster, Method::POST, "settle", &json!({})).await;
        assert_eq!(cluster.count("T").await, at_once, "{fault}");
        cluster.pass(5 * SECOND).await;
        assert_eq!(cluster.count("T").await, later, "{fault}");
    }
}

#[tokio::test]
async fn storage_is_throttled_refused_and_cut_in_its_own_words() {
    for (endpoint, operation) in [("Blob", "PutBlob"), ("Queue", "PutMessage"), ("Table", "InsertEntity")] {
        let cluster = Cluster::start();
        let blob = cluster.upload("a.csv", "1,a\n").await;
        let (message, _) = cluster.message(&blob).await;
        rule(
            &cluster,
            json!({"endpoint": endpoint, "operation": operation, "times": 1, "fault": {"Throttle": {}}}),
        )
        .await;
        let answer = match endpoint {
            "Blob" => cluster.put_blob(&blob, "2,b\n").await,
            "Queue" => cluster.post_message("e30=").await,
            _ => {
                let table = cluster.resource("IngestionsStatusTable").await;
                let row = json!({"PartitionKey": "p", "RowKey": message["Id"]}).to_string();
                cluster.send(Method::POST, &table, &[("content-type", "application/json")], row).await
            }
        };
        answer.refused(503, "ServerBusy");
    }
}

#[tokio::test]
async fn a_read_may_be_stale_and_a_merge_may_come_first() {
    let cluster = Cluster::start();
    rule(&cluster, json!({"endpoint": "Query", "times": 1, "skip": 1, "fault": {"Stale": {"behind": 1}}}))
        .await;
    append(&cluster, 1).await;
    append(&cluster, 2).await;
    for expected in [2, 1, 2] {
        assert_eq!(cluster.query("T | count").await, json!([[expected]]));
    }
    rule(&cluster, json!({"endpoint": "Management", "operation": ".drop extents", "fault": "Merge"})).await;
    let shown = cluster.command(".show table T extents").await.json();
    let id = shown["Tables"][0]["Rows"][0][0].as_str().unwrap().to_owned();
    assert_eq!(cluster.command(&format!(".drop extents ({id}) from T")).await.status, 400, "merged away");
    assert_eq!(cluster.count("T").await, 2);
}

#[tokio::test]
async fn tokens_and_roles_are_taken_away_by_rule_and_by_order() {
    let mut cluster = Cluster::start_with(|options| options.sign_in(true));
    let handle = cluster.emulator.handle().clone();
    let app = handle.add_app("app", "key", &[Grant::database(DATABASE, "admins")]).unwrap();
    let sign_in = async |cluster: &Cluster| {
        let form = "grant_type=client_credentials&client_id=app&client_secret=key\
                    &scope=https%3A%2F%2Fkusto.kusto.windows.net%2F.default";
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = cluster.send(Method::POST, cluster.emulator.token_url(), &headers, form).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    };
    cluster.token = Some(sign_in(&cluster).await);
    rule(&cluster, json!({"endpoint": "Management", "times": 1, "fault": "RevokeTokens"})).await;
    assert_eq!(cluster.command(".show tables").await.status, 401);
    assert_eq!(cluster.command(".show tables").await.status, 401, "for good");
    cluster.token = Some(sign_in(&cluster).await);
    assert_eq!(cluster.command(".show tables").await.status, 200);
    control(&cluster, Method::POST, "revoke", &json!({"principal": app})).await;
    assert_eq!(cluster.command(".show tables").await.status, 401);
    cluster.token = Some(sign_in(&cluster).await);
    rule(&cluster, json!({"endpoint": "Query", "times": 1, "fault": "RevokeRoles"})).await;
    assert_eq!(cluster.post("/v1/rest/query", "T | count").await.status, 403);
    assert_eq!(cluster.command(".show table T extents").await.status, 403);
}

#[tokio::test]
async fn a_node_that_goes_away_takes_held_requests_and_operations_with_it_and_loses_no_message() {
    let cluster = Cluster::start();
    cluster.command(".create table S (n: long, s: string)").await;
    cluster.command(".append S <| print n = 1, s = ''").await;
    rule(
        &cluster,
        json!({"endpoint": "Management", "operation": ".move extents", "fault": {"Hold": "Commit"}}),
    )
    .await;
    let body = json!({"db": DATABASE, "csl": ".move extents all from table S to table T"});
    let moving = tokio::spawn(cluster.request(Method::POST, "/v1/rest/mgmt").json(&body).send());
    control(&cluster, Method::GET, "held?at_least=1", &json!({})).await;
    control(&cluster, Method::PUT, "assumptions", &json!({"async_takes": 60})).await;
    let begun = cluster.command(".move async extents all from table S to table T").await.json();
    let id = begun["Tables"][0]["Rows"][0][0].as_str().unwrap().to_owned();
    let blob = cluster.upload("a.csv", "5,x\n").await;
    let (message, row) = cluster.message(&blob).await;
    cluster.queue(&message).await;
    control(&cluster, Method::POST, "settle", &json!({})).await;
    control(&cluster, Method::POST, "fail-over", &json!({})).await;
    assert_eq!(Answer::of(moving.await.unwrap().unwrap()).await.status, 520);
    let shown = cluster.command(&format!(".show operations {id} | project State")).await.json();
    assert_eq!(shown["Tables"][0]["Rows"], json!([["Abandoned"]]));
    cluster.pass(61 * SECOND).await;
    assert_eq!((cluster.count("S").await, cluster.count("T").await), (1, 1), "only the blob");
    assert_eq!(cluster.status(&row).await["Status"], "Succeeded");
}

#[tokio::test]
async fn a_request_held_when_the_process_stops_has_no_effect_after_the_restart_and_one_done_before_has_it() {
    for (fault, rows) in [(json!({"Hold": "Commit"}), 0), (json!("LoseAnswer"), 1)] {
        let home = tempfile::tempdir().unwrap();
        let start = || Cluster::start_with(|options| options.data_dir(home.path()));
        let cluster = start();
        let held = fault.get("Hold").is_some();
        rule(&cluster, of_append(fault)).await;
        let body = json!({"db": DATABASE, "csl": ".append T <| print n = 1, s = ''"});
        let appending = tokio::spawn(cluster.request(Method::POST, "/v1/rest/mgmt").json(&body).send());
        if held {
            control(&cluster, Method::GET, "held?at_least=1", &json!({})).await;
            drop(cluster);
            drop(appending.await.unwrap());
        } else {
            assert!(appending.await.unwrap().is_err());
            drop(cluster);
        }
        assert_eq!(start().count("T").await, rows);
    }
}
