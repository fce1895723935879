//! The official Python client (`azure-kusto-data`, `azure-kusto-ingest`), unmodified, against the local cluster.

use std::time::Duration;

use kusto_emulator::{Emulator, Grant};
use serde_json::{Value, json};
use timely_kusto_tests::{Outside, Place, Rows, ask, assert_same_rows, rows_of, until};

use super::inputs;

fn cluster() -> Emulator {
    Emulator::builder().database("Samples").batching_time(Duration::from_millis(50)).start().unwrap()
}

fn python(place: &Place, outside: &Outside, name: &str, arguments: &[&str]) -> Value {
    outside.start_python(place, name, arguments).wait().expect(0).json()
}

fn rows(cluster: &Emulator, table: &str) -> Rows {
    rows_of(&ask(cluster.cluster_url(), &format!("['{table}'] | order by id asc")))
}

#[test]
fn every_way_into_a_table_brings_the_same_rows() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster());
    inputs::write(&place);
    let directory = place.path().to_str().unwrap();
    let said = python(&place, &outside, "ingest", &[cluster.cluster_url(), directory]);
    let said = said.as_object().unwrap();
    assert_eq!(said.len(), 17, "{said:?}");
    for (table, answer) in said {
        assert_eq!(answer, &json!({"status": "QUEUED", "database": "Samples", "table": table}));
        let found = rows(&cluster, table);
        let twice = if table == "Tagged" { 2 } else { 1 };
        let expected: Rows = inputs::rows().into_iter().flat_map(|row| vec![row; twice]).collect();
        assert_same_rows(&found, &expected);
    }
}

#[test]
fn tags_and_creation_time_arrive_and_a_part_that_is_there_is_skipped() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster());
    inputs::write(&place);
    python(&place, &outside, "ingest", &[cluster.cluster_url(), place.path().to_str().unwrap(), "Tagged"]);
    let extents = ask(cluster.cluster_url(), ".show table Tagged extents");
    let of = |name: &str| extents.columns.iter().position(|column| column.name == name).unwrap();
    let (tags, created) = (of("Tags"), of("MinCreatedOn"));
    let mut all: Vec<_> = extents.rows.iter().map(|row| row[tags].as_str().unwrap().to_owned()).collect();
    all.sort();
    assert_eq!(all.len(), 2, "{all:?}");
    for (tags, part) in all.iter().zip(["part-1", "part-2"]) {
        for tag in ["free", "drop-by:day-1", &format!("ingest-by:{part}")] {
            assert!(tags.contains(tag), "{tag} is not in {tags}");
        }
    }
    for row in &extents.rows {
        assert_eq!(row[created], "2020-02-03T00:00:00.0000000Z");
    }
}

#[test]
fn values_of_every_type_are_read_as_what_they_are() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster());
    let found = python(&place, &outside, "queries", &[cluster.cluster_url()]);
    let values = json!({
        "bool": [["bool", "True"], ["bool", "False"], ["NoneType", "None"]],
        "int": [["int", "-2147483648"], ["int", "2147483647"], ["NoneType", "None"]],
        "long": [["int", "-9223372036854775808"], ["int", "9223372036854775807"], ["NoneType", "None"]],
        // Strings, since JSON has no such numbers; the client leaves them so.
        "real": [["float", "0.1"], ["float", "-1.5e+300"], ["str", "NaN"], ["str", "Infinity"], ["str", "-Infinity"],
            ["NoneType", "None"], ["float", "2.0"]],
        "decimal": [["Decimal", "1.23456789012345678901"], ["Decimal", "-3"], ["NoneType", "None"]],
        // The client's instants have microseconds.
        "datetime": [["datetime", "2020-03-04 14:05:01.310996+00:00"], ["datetime", "0001-01-01 00:00:00+00:00"],
            ["datetime", "9999-12-31 23:59:59.999999+00:00"], ["NoneType", "None"]],
        "timespan": [["timedelta", "1 day, 2:03:04.567890"], ["timedelta", "-1 day, 0:00:00"], ["timedelta", "0:01:30"],
            ["timedelta", "0:00:00"], ["NoneType", "None"]],
        "guid": [["str", "74be27de-1e4e-49d9-b579-fe0b331d3642"], ["NoneType", "None"]],
        "string": [["str", "plain"], ["str", "Zürich \t \"quoted\" \\ ☃"], ["str", ""]],
        "dynamic": [["dict", "{'a': [1, 2.5, 'x', None, True], 'b': {'c': {}}}"], ["list", "[]"], ["int", "7"],
            ["str", "text"], ["NoneType", "None"]],
    });
    let frames = json!({
        "bool": ["boolean", ["True", "False", "<NA>"]],
        "int": ["Int32", ["-2147483648", "2147483647", "<NA>"]],
        "long": ["Int64", ["-9223372036854775808", "9223372036854775807"]],
        "real": ["Float64", ["0.1", "-1.5e+300", "<NA>", "inf", "-inf", "<NA>", "2.0"]],
        "decimal": ["Float64", ["1.2345678901234567", "-3.0", "<NA>"]],
        // Instants outside of pandas' range are lost there.
        "datetime": ["datetime64[ns, UTC]", ["2020-03-04 14:05:01.310996500+00:00", "NaT", "NaT", "NaT"]],
        "timespan": ["timedelta64[ns]", ["1 days 02:03:04.567890100", "-1 days +00:00:00", "0 days 00:01:30",
            "0 days 00:00:00", "NaT"]],
        "guid": ["str", ["74be27de-1e4e-49d9-b579-fe0b331d3642", "nan"]],
        "string": ["str", ["plain", "Zürich \t \"quoted\" \\ ☃", ""]],
        "dynamic": ["object", ["{'a': [1, 2.5, 'x', None, True], 'b': {'c': {}}}", "[]", "7", "text", "None"]],
    });
    for (kind, expected) in values.as_object().unwrap() {
        assert_eq!(&found["values"][kind], expected, "{kind}");
        assert_eq!(found["columns"][kind], json!(["long", kind]), "{kind}");
        assert_eq!(found["frames"][kind], frames[kind], "{kind} in a frame");
    }
}

#[test]
fn parameters_streamed_answers_and_the_tables_beside_the_result_are_understood() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster());
    let found = python(&place, &outside, "queries", &[cluster.cluster_url()]);
    let parameters = json!([
        ["int", "6"],
        ["str", "it's \"so\""],
        ["datetime", "2020-02-03 00:00:00+00:00"],
        ["bool", "True"],
        ["int", "3"]
    ]);
    assert_eq!(found["parameters"], parameters);
    assert_eq!(found["tables"], json!([["TableName", "DatabaseName", "Folder", "DocString"], 0]));
    assert_eq!(found["whole"], json!([[[1], [2], [3]]]));
    assert_eq!(found["errors_count"], 0);
    assert_eq!(found["kinds"], json!(["QueryProperties", "PrimaryResult", "QueryCompletionInformation"]));
    assert_eq!(found["streamed"], json!([[["x", "s"], 20_000, [20_000, "row 20000"], 20_000]]));
    assert_eq!(found["empty"], json!([["x", "y"], 0]));
}

#[test]
fn status_queues_tell_of_the_ingestions_that_asked_for_it() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster());
    let found = python(&place, &outside, "status", &[cluster.cluster_url()]);
    assert_eq!(found["empty_at_first"], json!([true, true]));
    assert_eq!(found["empty_at_last"], json!([true, true]));
    assert_eq!(found["others"], json!([]), "nobody asked for these");
    let success = &found["success"];
    assert_eq!((&success["Database"], &success["Table"]), (&json!("Samples"), &json!("Told")));
    assert_eq!(success["IngestionSourceId"], found["sources"]["good"]);
    assert!(success["SucceededOn"].as_str().unwrap().ends_with('Z'));
    let path = success["IngestionSourcePath"].as_str().unwrap();
    assert!(path.ends_with("__stream.gz") && !path.contains('?'), "{path}");
    for (name, code) in [("missing", "BadRequest_TableNotExist"), ("broken", "BadRequest_InvalidBlob")] {
        let failure = &found["failures"][name];
        assert_eq!(failure["IngestionSourceId"], found["sources"][name]);
        assert_eq!((&failure["ErrorCode"], &failure["FailureStatus"]), (&json!(code), &json!("Permanent")));
        assert_eq!(
            (&failure["ShouldRetry"], &failure["OriginatesFromUpdatePolicy"]),
            (&json!(false), &json!(false))
        );
        assert!(!failure["Details"].as_str().unwrap().is_empty());
    }
}

/// What an error is to say: class, code, HTTP status, and a text of its description.
fn assert_error(found: &Value, name: &str, code: &str, status: u16, text: &str) {
    let error = &found[name];
    assert_eq!(error["class"], "KustoApiError", "{name}: {error}");
    assert_eq!((&error["code"], &error["status"]), (&json!(code), &json!(status)), "{name}: {error}");
    assert_eq!(error["permanent"], true, "{name}: {error}");
    assert!(error["description"].as_str().unwrap().contains(text), "{name}: {error}");
    assert!(error["context"].as_array().unwrap().contains(&json!("activityId")), "{name}: {error}");
}

const BAD: &str = "General_BadRequest";
const NOT_FOUND: &str = "BadRequest_EntityNotFound";

#[test]
fn errors_reach_the_caller_with_all_their_fields() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster());
    ask(cluster.cluster_url(), ".create table T (x: long)");
    let found = python(&place, &outside, "errors", &[cluster.cluster_url()]);
    assert_error(&found, "column", BAD, 400, "'nowhere'");
    assert_error(&found, "table", BAD, 400, "Failed to resolve table expression named 'Nowhere'");
    for name in ["column", "table"] {
        assert_eq!(found[name]["semantic"], true, "{name}");
        assert_eq!(found[name]["type"], "Kusto.Data.Exceptions.KustoBadRequestException", "{name}");
    }
    assert_error(&found, "syntax", BAD, 400, "wher");
    assert_error(&found, "database", NOT_FOUND, 400, "'Nowhere'");
    assert_error(&found, "command", NOT_FOUND, 400, "'Nowhere'");
    assert_error(&found, "unknown command", BAD, 400, ".levitate");
    assert_error(&found, "command as query", BAD, 400, "SYN0002");
    let limit = &found["limit"];
    assert_eq!(
        (&limit["class"], &limit["codes"]),
        (&json!("KustoMultiApiError"), &json!(["LimitsExceeded"]))
    );
    assert!(limit["descriptions"][0].as_str().unwrap().contains("E_QUERY_RESULT_SET_TOO_LARGE"), "{limit}");
}

#[test]
fn streaming_is_refused_for_good_and_in_words_and_nothing_is_queued_instead() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster());
    ask(cluster.cluster_url(), ".create table T (x: long)");
    let found = python(&place, &outside, "errors", &[cluster.cluster_url()]);
    assert_error(&found, "streaming", BAD, 400, "Streaming ingestion is disabled");
    assert_error(&found, "managed", BAD, 400, "Streaming ingestion is disabled");
    assert_eq!(cluster.handle().statistics().messages, 0);
}

fn cluster_with_sign_in(grants: &[Grant]) -> Emulator {
    let builder = Emulator::builder().database("Samples").sign_in(true);
    let cluster = builder.batching_time(Duration::from_millis(50)).start().unwrap();
    cluster.handle().command("Samples", ".create table T (x: long)").unwrap();
    cluster.handle().add_app("app-1", "key-1", grants).unwrap();
    cluster
}

#[test]
fn nobody_gets_in_without_roles_or_without_a_token() {
    let Some(outside) = Outside::find() else { return };
    let (place, cluster) = (Place::new(), cluster_with_sign_in(&[]));
    let arguments = [cluster.cluster_url(), cluster.token_url(), "app-1", "key-1"];
    let found = python(&place, &outside, "errors", &arguments);
    for name in ["column", "create"] {
        assert_error(&found, name, "Forbidden", 403, "app-1");
    }
    // A message is taken from anybody who is signed in; who may ingest is looked at when its turn has come.
    assert!(found["queued"]["result"].as_str().unwrap().contains("QUEUED"), "{found}");
    until("the refusal of the message", || (cluster.handle().statistics().failed == 1).then_some(()));
    assert_eq!(cluster.handle().statistics().rows, 0);
    // The client reads nothing of a 401 but its number.
    for name in ["nobody", "wrong token"] {
        let error = &found[name];
        assert_eq!(error["class"], "KustoServiceError", "{error}");
        assert_eq!(error["text"], "401. Missing adequate access rights.");
    }
}

#[test]
fn table_ingestor_and_database_user_ingest_and_query_with_a_token() {
    let Some(outside) = Outside::find() else { return };
    let grants = [Grant::database("Samples", "users"), Grant::table("Samples", "T", "ingestors")];
    let (place, cluster) = (Place::new(), cluster_with_sign_in(&grants));
    let arguments = [cluster.cluster_url(), cluster.token_url(), "app-1", "key-1"];
    let found = python(&place, &outside, "rights", &arguments);
    assert_eq!((&found["by_token"], &found["by_callback"]), (&json!(2), &json!(2)));
    assert!(found["who"].as_str().unwrap().starts_with("aadapp=app-1;"), "{found}");
}
