//! Answers of queries in their forms: fragments, progress, and failures inside a 200.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use kusto_emulator::seed::Seed;
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
    let rows = frames[2]["Rows"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &rows[..5]),
        (6, &[json!([1]), json!([2]), json!([3]), json!([4]), json!([5])][..])
    );
    assert_eq!(rows[5]["OneApiErrors"][0]["error"]["innererror"]["code"], "E_QUERY_RESULT_SET_TOO_LARGE");
    let options = limit("results_v2_fragment_primary_tables", json!(true));
    let mut at_end = options.clone();
    at_end["results_error_reporting_placement"] = json!("end_of_table");
    let frames = query(&cluster, "/v2/rest/query", csl, at_end).await.json();
    assert_eq!(frames[3]["Rows"].as_array().unwrap().len(), 5);
    assert_eq!((&frames[4]["FrameType"], &frames[4]["RowCount"]), (&json!("TableCompletion"), &json!(5)));
    assert_eq!(frames[4]["OneApiErrors"][0]["error"]["code"], "LimitsExceeded");
    let v1 = query(&cluster, "/v1/rest/query", csl, limit("x", json!(1))).await;
    assert_eq!(v1.status, 200);
    assert!(v1.json()["Exceptions"][0].as_str().unwrap().contains("E_QUERY_RESULT_SET_TOO_LARGE"));
    let rows = &v1.json()["Tables"][0]["Rows"];
    assert_eq!((&rows[4], rows[5]["Exceptions"].as_array().unwrap().len()), (&json!([5]), 1));
    let taken = query(&cluster, "/v2/rest/query", csl, json!({"query_take_max_records": 5})).await.json();
    assert_eq!(taken[2]["Rows"].as_array().unwrap().len(), 5);
    let now = json!({"query_now": "2020-01-02T03:04:05Z"});
    let told = query(&cluster, "/v2/rest/query", "print now()", now).await.json();
    assert_eq!(told[2]["Rows"], json!([["2020-01-02T03:04:05.0000000Z"]]));
}

#[tokio::test]
async fn a_size_limit_sends_the_rows_that_fit_and_then_the_failure() {
    let cluster = Cluster::start();
    let csl = "set truncationmaxsize=1000; set notruncation; range x from 1 to 100000 step 1";
    let frames = query(&cluster, "/v2/rest/query", csl, json!({})).await.json();
    let rows = frames[2]["Rows"].as_array().unwrap();
    assert!((2..=126).contains(&rows.len()), "{} rows of 8 bytes within 1000", rows.len());
    assert!(rows.last().unwrap()["OneApiErrors"].is_array());
}

#[tokio::test]
async fn a_query_that_runs_too_long_is_a_504_that_may_be_tried_again() {
    let cluster = Cluster::start();
    let endless = "range x from 0 to 9000000000000000000 step 1 | where x < 0 | count";
    for path in ["/v1/rest/query", "/v2/rest/query"] {
        let answer = query(&cluster, path, endless, json!({"servertimeout": "00:00:00.05"})).await;
        let error = &answer.json()["error"];
        assert_eq!(answer.status, 504, "{error}");
        assert_eq!(error["@type"], "Kusto.Data.Exceptions.KustoServiceTimeoutException");
        assert_eq!(
            (&error["code"], &error["@permanent"]),
            (&json!("RequestExecutionTimeout"), &json!(false))
        );
    }
}

#[tokio::test]
async fn several_statements_answer_with_a_table_each() {
    let cluster = Cluster::start();
    let csl = "let m = materialize(print x = 1); m; m | extend y = 2;";
    let frames = query(&cluster, "/v2/rest/query", csl, json!({})).await.json();
    assert_eq!((&frames[2]["Rows"], &frames[3]["Rows"]), (&json!([[1]]), &json!([[1, 2]])));
    assert_eq!((&frames[2]["TableId"], &frames[3]["TableId"]), (&json!(1), &json!(2)));
    let v1 = query(&cluster, "/v1/rest/query", csl, json!({})).await.json();
    let contents = v1["Tables"].as_array().unwrap().last().unwrap()["Rows"].clone();
    assert_eq!(
        (&contents[0][1], &contents[1][1], &contents[2][1]),
        (&json!("QueryResult"), &json!("QueryResult"), &json!("QueryProperties"))
    );
}

#[tokio::test]
async fn chance_in_queries_comes_from_the_seed() {
    let draw = async |seed: u64| {
        let cluster = Cluster::start_with(|options| options.seed(Seed::new(seed)));
        let csl = "range n from 1 to 20 step 1 | extend r = rand(), w = rand(100), g = new_guid() | sample 5";
        let first = query(&cluster, "/v2/rest/query", csl, json!({})).await.json()[2]["Rows"].clone();
        let second = query(&cluster, "/v2/rest/query", csl, json!({})).await.json()[2]["Rows"].clone();
        assert_ne!(first, second, "each query draws anew");
        first
    };
    let (one, same, other) = (draw(1).await, draw(1).await, draw(2).await);
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[tokio::test]
async fn the_own_cluster_may_be_named_and_others_are_out_of_reach() {
    let cluster = Cluster::start();
    cluster.command(".ingest inline into table T <| 1,one").await;
    let url = cluster.url("");
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    for name in [url.clone(), address.clone()] {
        let csl = format!("cluster('{name}').database('{DATABASE}').T | count");
        assert_eq!(cluster.query(&csl).await, json!([[1]]), "{csl}");
    }
    assert_eq!(cluster.query("print current_cluster_endpoint()").await, json!([[address]]));
    let other = format!("cluster('help').database('{DATABASE}').T | count");
    let refused = query(&cluster, "/v2/rest/query", &other, json!({})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("another cluster"), "{}", refused.text);
}
