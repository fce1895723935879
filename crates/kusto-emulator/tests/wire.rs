//! The cluster's endpoints: forms of requests, answers and errors; faults and the log of requests; start and end.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::Write;
use std::time::Duration;

use kusto_emulator::{Emulator, EmulatorError, Endpoint, Fault, FaultRule};
use reqwest::Method;
use serde_json::{Value, json};
use support::{Answer, Cluster, item};

async fn post(cluster: &Cluster, path: &str, body: Vec<u8>) -> Answer {
    cluster.send(Method::POST, &cluster.url(path), &[("x-ms-client-request-id", "KTK.test;1")], body).await
}

#[tokio::test]
async fn a_command_answers_one_v1_table_and_echoes_the_request_id() {
    let cluster = Cluster::start();
    let answer =
        post(&cluster, "/v1/rest/mgmt", json!({"csl": "  .Show   VERSION "}).to_string().into()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("x-ms-client-request-id"), "KTK.test;1");
    assert_eq!(answer.header("x-ms-activity-id").len(), 36);
    let table = &answer.json()["Tables"][0];
    assert_eq!(table["TableName"], "Table_0");
    let column = json!({"ColumnName": "ServiceType", "DataType": "String", "ColumnType": "string"});
    assert_eq!(table["Columns"][2], column);
    assert_eq!(table["Rows"][0][2], "Engine");
}

#[tokio::test]
async fn a_query_answers_in_both_versions_with_the_frames_in_their_order() {
    let cluster = Cluster::start();
    let query = "print n = long(9223372036854775807), s = 'x'";
    let v2 = cluster.post("/v2/rest/query", query).await;
    assert_eq!(v2.status, 200, "{}", v2.text);
    let frames = v2.json();
    let kinds: Vec<_> = frames
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| frame["TableKind"].as_str().or(frame["FrameType"].as_str()))
        .collect();
    let expected = [
        "DataSetHeader",
        "QueryProperties",
        "PrimaryResult",
        "QueryCompletionInformation",
        "DataSetCompletion",
    ];
    assert_eq!(kinds, expected.map(Some));
    assert_eq!(frames[2]["Rows"], json!([[i64::MAX, "x"]]));
    assert_eq!(frames[2]["Columns"][0], json!({"ColumnName": "n", "ColumnType": "long"}));
    for frame in v2.text.split("\"FrameType\"").skip(1) {
        let table_kind = frame.find("\"TableKind\"");
        assert!(table_kind.is_none() || table_kind < frame.find("\"Rows\""), "TableKind stands before Rows");
    }
    assert!(v2.text.starts_with("[{\"FrameType\""));
    let v1 = cluster.post("/v1/rest/query", query).await.json();
    let tables = v1["Tables"].as_array().unwrap();
    let contents: Vec<_> = tables[3]["Rows"].as_array().unwrap().iter().map(|row| row[1].clone()).collect();
    assert_eq!(contents, ["QueryResult", "QueryProperties", "QueryStatus"]);
    assert_eq!((&tables[0]["Rows"], &tables[2]["Rows"][0][1]), (&json!([[i64::MAX, "x"]]), &json!(4)));
    let get = cluster.url("/v1/rest/query?db=Samples&csl=print%20n%3D1");
    assert_eq!(cluster.send(Method::GET, &get, &[], "").await.json()["Tables"][0]["Rows"], json!([[1]]));
}

#[tokio::test]
async fn the_commands_of_data_management_are_known_in_every_spelling() {
    let cluster = Cluster::start();
    for command in [
        ".get ingestion resources",
        ".GET Ingestion   Resources",
        "\n .show ingestion resources",
        ".get ingestion resources with (EnableBlobCors='true')",
        ".get kusto identity token",
        ".refresh database 'Samples' table 'T' cache ingestionbatchingpolicy",
    ] {
        assert_eq!(cluster.command(command).await.status, 200, "{command}");
    }
}

#[tokio::test]
async fn properties_may_be_a_string_or_an_object_and_the_body_may_be_gzip() {
    let cluster = Cluster::start();
    let options = json!({"Options": {"servertimeout": "0:04:00"}, "Parameters": {}});
    for properties in [json!(options.to_string()), options, Value::Null, json!("")] {
        let body =
            json!({"db": "NetDefaultDB", "csl": ".show version", "properties": properties}).to_string();
        assert_eq!(post(&cluster, "/v1/rest/mgmt", body.clone().into()).await.status, 200, "{body}");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(body.as_bytes()).unwrap();
        assert_eq!(post(&cluster, "/v1/rest/mgmt", gzip.finish().unwrap()).await.status, 200);
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused_in_the_error_form_of_the_service() {
    let cluster = Cluster::start();
    let deep = format!("{{\"csl\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies = [
        "",
        "{",
        "[]",
        "{}",
        "{\"csl\":1}",
        "{\"csl\":\".show version\",\"properties\":3}",
        "{\"csl\":\".nonsense\"}",
        &deep,
        "\u{1f}\u{8b}",
    ];
    for body in bodies {
        let answer = post(&cluster, "/v1/rest/mgmt", body.into()).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status.as_u16(), &error["@permanent"]), (400, &json!(true)), "{}", answer.text);
        for name in ["code", "message", "@type", "@message", "@context"] {
            assert!(!error[name].is_null(), "{name} in {}", answer.text);
        }
        assert_eq!(error["@context"]["clientRequestId"], "KTK.test;1");
    }
    let unknown = cluster.send(Method::GET, &cluster.url("/v1/rest/nowhere"), &[], "").await;
    assert_eq!((unknown.status.as_u16(), &unknown.json()["error"]["@permanent"]), (404, &json!(true)));
    let command = post(&cluster, "/v2/rest/query", json!({"csl": ".show tables"}).to_string().into()).await;
    assert_eq!(command.status, 400);
    let streaming = post(&cluster, "/v1/rest/ingest/Samples/T?streamFormat=csv", b"1,x".to_vec()).await;
    assert_eq!((streaming.status.as_u16(), &streaming.json()["error"]["@permanent"]), (400, &json!(true)));
    assert!(streaming.text.contains("Streaming ingestion is disabled"));
}

#[tokio::test]
async fn faults_before_the_effect_leave_nothing_and_faults_after_it_leave_everything() {
    let cluster = Cluster::start();
    let handle = cluster.emulator.handle();
    let url = item(&cluster.resource("TempStorage").await, "x");
    let exists = async || cluster.send(Method::HEAD, &url, &[], "").await.status == 200;
    let rule = |fault| FaultRule::new(Endpoint::Blob, fault).operation("putblob").scope("storage00").times(1);
    let put = async || {
        let sent = cluster
            .http
            .put(&url)
            .header("x-ms-blob-type", "BlockBlob")
            .body(vec![0; 3_000_000])
            .send()
            .await;
        sent.ok().map(|answer| answer.status().as_u16())
    };
    let after = Some(Duration::from_secs(7));
    let before = [
        (Fault::Fail { status: 500, retry_after: None }, Some(500)),
        (Fault::Throttle { retry_after: after }, Some(503)),
        (Fault::Refuse, None),
    ];
    for (fault, seen) in before {
        handle.add_fault(rule(fault));
        assert_eq!(put().await, seen);
        assert!(!exists().await, "{fault:?}");
        handle.clear_faults();
    }
    for (fault, seen) in [(Fault::LoseAnswer, None), (Fault::FailAfter { status: 503 }, Some(503))] {
        handle.add_fault(rule(fault));
        assert_eq!(put().await, seen);
        assert!(exists().await, "{fault:?}");
        assert_eq!(cluster.send(Method::DELETE, &url, &[], "").await.status, 202);
        handle.clear_faults();
    }
    assert_eq!(put().await, Some(201));
}

#[tokio::test]
async fn a_throttled_command_says_when_to_come_back_and_a_truncated_answer_breaks_off() {
    let cluster = Cluster::start();
    let handle = cluster.emulator.handle();
    let wait = Some(Duration::from_secs(7));
    let rule =
        FaultRule::new(Endpoint::Management, Fault::Throttle { retry_after: wait }).operation(".SHOW tab");
    let hits = handle.add_fault(rule.skip(1).times(1));
    let answers = [
        cluster.command(".show tables").await,
        cluster.command(".show tables").await,
        cluster.command(".show tables").await,
    ];
    assert_eq!(answers.each_ref().map(|answer| answer.status.as_u16()), [200, 429, 200]);
    assert_eq!((answers[1].header("retry-after"), hits.count()), ("7", 1));
    assert_eq!(answers[1].json()["error"]["@permanent"], false);
    handle.add_fault(
        FaultRule::new(Endpoint::Management, Fault::Truncate { bytes: 10 }).operation(".show version"),
    );
    let cut = cluster
        .request(Method::POST, "/v1/rest/mgmt")
        .json(&json!({"csl": ".show version"}))
        .send()
        .await
        .unwrap();
    assert_eq!(cut.status(), 200);
    assert!(cut.bytes().await.is_err());
}

#[tokio::test]
async fn a_delay_waits_on_the_clock_of_the_emulator() {
    let cluster = Cluster::start();
    let handle = cluster.emulator.handle();
    let hits = handle
        .add_fault(FaultRule::new(Endpoint::Management, Fault::Delay(Duration::from_secs(3600))).times(1));
    let sent = tokio::spawn(
        cluster.request(Method::POST, "/v1/rest/mgmt").json(&json!({"csl": ".show version"})).send(),
    );
    while hits.count() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(cluster.command(".show version").await.status, 200, "others do not wait");
    assert!(!sent.is_finished());
    while !sent.is_finished() {
        cluster.clock.advance(Duration::from_secs(3600));
        tokio::task::yield_now().await;
    }
    assert_eq!(sent.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn every_request_is_on_the_record_in_order_with_what_it_asked() {
    let cluster = Cluster::start();
    let blob = cluster.upload("x", "1").await;
    cluster.command(".show tables").await;
    cluster.send(Method::GET, &blob, &[], "").await;
    let requests = cluster.emulator.handle().requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|request| (request.number, request.endpoint, request.operation.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (0, Endpoint::Management, ".get ingestion resources"),
            (1, Endpoint::Blob, "PutBlob"),
            (2, Endpoint::Management, ".show tables"),
            (3, Endpoint::Blob, "GetBlob"),
        ]
    );
    assert_eq!(
        (requests[1].scope.as_str(), requests[2].scope.as_str()),
        ("storage00/ingestdata-0", "Samples")
    );
    cluster.emulator.handle().forget_requests();
    assert_eq!(cluster.emulator.handle().requests().len(), 0);
}

#[test]
fn it_starts_and_stops_in_synchronous_code_and_refuses_what_cannot_work() {
    let emulator = Emulator::builder().start().unwrap();
    let port: u16 = emulator.cluster_url().rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(emulator.ingestion_url(), emulator.cluster_url());
    let urls = serde_json::to_value(emulator.urls()).unwrap();
    assert!(
        ["cluster", "ingestion", "authority", "token", "identity"].iter().all(|name| urls[*name].is_string())
    );
    let taken = Emulator::builder().port(port).start().unwrap_err();
    assert!(matches!(taken, EmulatorError::Listen { .. }), "{taken}");
    emulator.handle().stop();
    emulator.wait();
    emulator.shutdown();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    let remote = Emulator::builder().address("0.0.0.0".parse().unwrap()).start().unwrap_err();
    assert!(matches!(remote, EmulatorError::NotLoopback(_)), "{remote}");
    let none = Emulator::builder().storage_accounts(0).start().unwrap_err().to_string();
    assert_eq!(none, "emulator option storage_accounts is 0; it must be 1 to 16");
}

#[tokio::test]
async fn equal_seeds_and_requests_give_equal_answers() {
    let mut answers = Vec::new();
    for _ in 0..2 {
        let cluster = Cluster::start_with(|options| options.seed(kusto_emulator::seed::Seed::new(42)));
        let sas = cluster.resource("TempStorage").await.split_once('?').unwrap().1.to_owned();
        let etag = cluster.put_blob(&item(&cluster.resource("TempStorage").await, "x"), "1").await;
        answers.push((sas, etag.header("etag").to_owned()));
    }
    assert_eq!(answers[0], answers[1]);
}
