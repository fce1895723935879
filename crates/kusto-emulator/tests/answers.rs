//! Answers of queries in their forms: fragments, progress, and failures inside a 200.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::{Answer, Cluster, DATABASE};

async fn query(cluster: &Cluster, path: &str, csl: &str, options: Value) -> Answer {
    let body = json!({"db": DATABASE, "csl": csl, "properties": {"Options": options}});
    let answer = cluster.request(reqwest::Method::POST, path).json(&body).send().await.unwrap();
    Answer::of(answer).await
}

fn kinds(frames: &Value) -> Vec<&str> {
    frames.as_array().unwrap().iter().map(|frame| frame["FrameType"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn fragments_come_a_frame_per_line_behind_the_header_that_the_go_client_takes() {
    let cluster = Cluster::start();
    let options = json!({"results_v2_newlines_between_frames": true, "results_v2_fragment_primary_tables": true,
        "results_error_reporting_placement": "end_of_table"});
    let answer = query(&cluster, "/v2/rest/query", "range x from 1 to 5000 step 1", options).await;
    let lines: Vec<&str> = answer.text.lines().collect();
    assert_eq!(
        lines[0],
        r#"[{"FrameType":"DataSetHeader","IsProgressive":false,"Version":"v2.0","IsFragmented":true,"ErrorReportingPlacement":"EndOfTable"}"#
    );
    assert!(lines[1..lines.len() - 1].iter().all(|line| line.starts_with(",{\"FrameType\":")));
    assert_eq!(*lines.last().unwrap(), "]");
    let frames = answer.json();
    let expected = [
        "DataSetHeader",
        "DataTable",
        "TableHeader",
        "TableFragment",
        "TableFragment",
        "TableCompletion",
        "DataTable",
        "DataSetCompletion",
    ];
    assert_eq!(kinds(&frames), expected);
    let rows = |at: usize| frames[at]["Rows"].as_array().unwrap().len();
    assert_eq!((rows(3) + rows(4), &frames[5]["RowCount"]), (5000, &json!(5000)));
    assert!(lines[3].ends_with("]}") && lines[3].find("\"Rows\"") > lines[3].find("\"TableId\""));
}

#[tokio::test]
async fn an_empty_table_in_fragments_has_a_header_and_a_completion() {
    let cluster = Cluster::start();
    let answer =
        query(&cluster, "/v2/rest/query", "T", json!({"results_v2_fragment_primary_tables": "true"}))
            .await
            .json();
    assert_eq!(&kinds(&answer)[2..4], ["TableHeader", "TableCompletion"]);
    assert_eq!(answer[3]["RowCount"], 0);
}

#[tokio::test]
async fn progressive_answers_tell_their_progress() {
    let cluster = Cluster::start();
    let answer = query(&cluster, "/v2/rest/query", "print 1", json!({"results_progressive_enabled": true}))
        .await
        .json();
    assert_eq!(answer[0]["IsProgressive"], true);
    assert_eq!(&kinds(&answer)[2..6], ["TableHeader", "TableFragment", "TableProgress", "TableCompletion"]);
    assert_eq!((&answer[3]["FieldCount"], &answer[4]["TableProgress"]), (&json!(1), &json!(100.0)));
}

#[tokio::test]
async fn a_result_beyond_the_limit_is_a_failure_inside_a_200() {
    let cluster = Cluster::start();
    let csl = "range x from 1 to 9 step 1";
    let limit = |name: &str, value: Value| {
        let mut options = json!({"truncationmaxrecords": 5});
        options[name] = value;
        options
    };
    let plain = query(&cluster, "/v2/rest/query", csl, limit("deferpartialqueryfailures", json!(true))).await;
    assert_eq!(plain.status, 200);
    let frames = plain.json();
    let last = frames.as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["HasErrors"], &last["OneApiErrors"][0]["error"]["code"]),
        (&json!(true), &json!("LimitsExceeded"))
    );
    assert_eq!(
        frames[2]["Rows"][0]["OneApiErrors"][0]["error"]["innererror"]["code"],
        "E_QUERY_RESULT_SET_TOO_LARGE"
    );
    let options = limit("results_v2_fragment_primary_tables", json!(true));
    let mut at_end = options.clone();
    at_end["results_error_reporting_placement"] = json!("end_of_table");
    let frames = query(&cluster, "/v2/rest/query", csl, at_end).await.json();
    assert_eq!(frames[3]["FrameType"], "TableCompletion");
    assert_eq!(frames[3]["OneApiErrors"][0]["error"]["code"], "LimitsExceeded");
    let v1 = query(&cluster, "/v1/rest/query", csl, limit("x", json!(1))).await;
    assert_eq!(v1.status, 200);
    assert!(v1.json()["Exceptions"][0].as_str().unwrap().contains("E_QUERY_RESULT_SET_TOO_LARGE"));
    let taken = query(&cluster, "/v2/rest/query", csl, json!({"query_take_max_records": 5})).await.json();
    assert_eq!(taken[2]["Rows"].as_array().unwrap().len(), 5);
    let now = json!({"query_now": "2020-01-02T03:04:05Z"});
    let told = query(&cluster, "/v2/rest/query", "print now()", now).await.json();
    assert_eq!(told[2]["Rows"], json!([["2020-01-02T03:04:05.0000000Z"]]));
}
