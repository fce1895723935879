//! The official Node client (`azure-kusto-data`, `azure-kusto-ingest`), unmodified, against the local cluster.

use std::time::Duration;

use kusto_emulator::Emulator;
use serde_json::{Value, json};
use timely_kusto_tests::{Outside, Place, Rows, ask, assert_same_rows, rows_of, until};

use super::inputs;

fn cluster() -> Emulator {
    Emulator::builder().database("Samples").batching_time(Duration::from_millis(50)).start().unwrap()
}

fn node(place: &Place, outside: &Outside, name: &str, arguments: &[&str]) -> Value {
    outside.start_node(place, name, arguments).wait().expect(0).json()
}

#[test]
fn every_way_into_a_table_brings_the_same_rows() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster());
    inputs::write(&place);
    let said = node(&place, &outside, "ingest", &[cluster.cluster_url(), place.path().to_str().unwrap()]);
    let said = said.as_object().unwrap();
    assert_eq!(said.len(), 13, "{said:?}");
    for (table, answer) in said {
        assert_eq!(answer, &json!({"Status": "Queued", "Database": "Samples", "Table": table}));
        let found = rows_of(&ask(cluster.cluster_url(), &format!("['{table}'] | order by id asc")));
        let twice = if table == "Tagged" { 2 } else { 1 };
        let expected: Rows = inputs::rows().into_iter().flat_map(|row| vec![row; twice]).collect();
        assert_same_rows(&found, &expected);
    }
}

#[test]
fn values_parameters_and_both_forms_of_answers_are_read_as_what_they_are() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster());
    ask(cluster.cluster_url(), ".create table T (x: long)");
    let found = node(&place, &outside, "queries", &[cluster.cluster_url()]);
    let values = json!({
        "bool": [true, false, null],
        "int": [-2_147_483_648_i64, 2_147_483_647, null],
        "long": [9_007_199_254_740_991_i64, -9_007_199_254_740_991_i64, null],
        "real": [0.1, -1.5e300, "NaN", "Infinity", "-Infinity", null],
        "decimal": ["1.23456789012345678901", null],
        // The client's instants have milliseconds, and its spans are a number of them.
        "datetime": ["2020-03-04T14:05:01.310Z", "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", null],
        "timespan": [93_784_567.890_1, -86_400_000, 90_000, null],
        "guid": ["74be27de-1e4e-49d9-b579-fe0b331d3642", null],
        "string": ["plain", "Zürich \t \"quoted\" \\ ☃", ""],
        "dynamic": [{"a": [1, 2.5, "x", null, true], "b": {"c": {}}}, [], 7, null],
    });
    for (kind, expected) in values.as_object().unwrap() {
        assert_eq!(found["values"][kind], json!({"type": kind, "values": expected}), "{kind}");
    }
    assert_eq!(found["parameters"], json!([6, "it's \"so\"", 3]));
    assert_eq!(found["v1"], json!([{"a": 1, "b": "two"}]));
    assert_eq!(found["empty"], json!(["x", "y"]));
}

#[test]
fn failures_reach_the_caller_and_managed_streaming_falls_back_to_the_queue() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster());
    ask(cluster.cluster_url(), ".create table T (x: long)");
    let found = node(&place, &outside, "queries", &[cluster.cluster_url()]);
    let expected = [
        ("column", "General_BadRequest", "'nowhere'"),
        ("table", "General_BadRequest", "'Nowhere'"),
        ("database", "BadRequest_EntityNotFound", "'Nowhere'"),
        ("command", "BadRequest_EntityNotFound", "'Nowhere'"),
        ("streaming", "General_BadRequest", "Streaming ingestion is disabled"),
    ];
    for (name, code, text) in expected {
        let error = &found["failures"][name];
        let fields = (&error["status"], &error["code"], &error["permanent"]);
        assert_eq!(fields, (&json!(400), &json!(code), &json!(true)), "{name}: {error}");
        assert!(error["description"].as_str().unwrap().contains(text), "{name}: {error}");
    }
    let limit = found["failures"]["limit"]["text"].as_str().unwrap();
    assert!(limit.contains("E_QUERY_RESULT_SET_TOO_LARGE"), "{limit}");
    assert_eq!(found["managed"], "Queued");
    until("the row that was queued", || (ask(cluster.cluster_url(), "T").rows == [[json!(1)]]).then_some(()));
}

#[test]
fn nobody_gets_in_without_roles_or_without_a_token() {
    let Some(outside) = Outside::find() else { return };
    let place = Place::new();
    let cluster = Emulator::builder().database("Samples").sign_in(true).start().unwrap();
    cluster.handle().add_app("app-1", "key-1", &[]).unwrap();
    let arguments = [cluster.cluster_url(), cluster.token_url(), "app-1", "key-1"];
    let found = node(&place, &outside, "queries", &arguments);
    let failures = &found["failures"];
    for name in ["column", "table"] {
        assert_eq!(failures[name]["status"], 403, "{name}: {failures}");
        assert!(failures[name]["description"].as_str().unwrap().contains("app-1"), "{name}: {failures}");
    }
    assert_eq!(failures["nobody"]["status"], 401, "{failures}");
}

#[test]
fn status_queues_tell_of_the_ingestions_that_asked_for_it() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster());
    let found = node(&place, &outside, "status", &[cluster.cluster_url()]);
    assert_eq!(
        (&found["success"]["Database"], &found["success"]["Table"]),
        (&json!("Samples"), &json!("Told"))
    );
    assert!(found["success"]["SucceededOn"].as_str().unwrap().ends_with('Z'));
    let failed = &found["failed"];
    assert_eq!(
        (&failed["Table"], &failed["ErrorCode"]),
        (&json!("Nowhere"), &json!("BadRequest_TableNotExist"))
    );
    assert_eq!((&failed["FailureStatus"], &failed["ShouldRetry"]), (&json!("Permanent"), &json!(false)));
    // Its package for tables takes https only, so rows of the status table are never written over http.
    let refused = found["table"]["good"]["refused"].as_str().unwrap();
    assert!(refused.contains("allowInsecureConnection"), "{refused}");
}
