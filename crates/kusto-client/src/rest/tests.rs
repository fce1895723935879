use serde_json::{Value, json};

use super::*;

const V1: &str = r#"{"Tables":[{"TableName":"Table_0",
  "Columns":[{"ColumnName":"Name","DataType":"String","ColumnType":"string"},{"ColumnName":"N","DataType":"Int64"}],
  "Rows":[["T",9223372036854775807],["",null]]},
  {"TableName":"Table_1","Columns":[{"ColumnName":"Value","DataType":"String"}],"Rows":[["{}"]]}]}"#;

const V2: &str = r#"[{"FrameType":"DataSetHeader","IsProgressive":false,"Version":"v2.0"},
 {"FrameType":"DataTable","TableId":0,"TableKind":"QueryProperties","TableName":"@ExtendedProperties",
  "Columns":[{"ColumnName":"TableId","ColumnType":"int"}],"Rows":[[1]]},
 {"FrameType":"DataTable","TableId":1,"TableKind":"PrimaryResult","TableName":"PrimaryResult",
  "Columns":[{"ColumnName":"x","ColumnType":"long"}],"Rows":[[1],[-9223372036854775808]]},
 {"FrameType":"DataTable","TableId":2,"TableKind":"PrimaryResult","TableName":"Second",
  "Columns":[{"ColumnName":"y","ColumnType":"real"}],"Rows":[["NaN"]]},
 {"FrameType":"DataTable","TableId":3,"TableKind":"QueryCompletionInformation","TableName":"QueryCompletionInformation",
  "Columns":[{"ColumnName":"Level","ColumnType":"int"}],"Rows":[[4]]},
 {"FrameType":"DataSetCompletion","HasErrors":false,"Cancelled":false}]"#;

fn failed<T: std::fmt::Debug>(result: Result<T, Inside>) -> failure::Failure {
    match result.unwrap_err() {
        Inside::Failed(failure) => failure,
        Inside::Garbled(why) => panic!("garbled: {why}"),
    }
}

fn garbled<T: std::fmt::Debug>(result: Result<T, Inside>) -> String {
    match result.unwrap_err() {
        Inside::Garbled(why) => why,
        Inside::Failed(failure) => panic!("failed: {failure:?}"),
    }
}

#[test]
fn a_command_answers_with_its_first_table_and_exact_integers() {
    let table = v1::parse(V1.as_bytes()).unwrap();
    assert_eq!(table.name, "Table_0");
    assert_eq!(table.columns[1].column_type, "long", "taken from the .NET name");
    assert_eq!(table.rows[0], [json!("T"), json!(i64::MAX)]);
    assert_eq!(table.rows[1], [json!(""), Value::Null]);
}

#[test]
fn a_query_answers_with_all_primary_tables() {
    let tables = v2::parse(V2.as_bytes()).unwrap();
    assert_eq!(
        tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(),
        ["PrimaryResult", "Second"]
    );
    assert_eq!(tables[0].rows, [[json!(1)], [json!(i64::MIN)]]);
}

#[test]
fn failures_inside_an_answer_of_version_1_are_found() {
    let row = V1.replace(r#"["",null]"#, r#"{"Exceptions":["it broke","twice"]}"#);
    assert_eq!(failed(v1::parse(row.as_bytes())).message, "it broke; twice");
    let second = V1.replace(r#"["{}"]"#, r#"{"Exceptions":["in the second table"]}"#);
    assert_eq!(failed(v1::parse(second.as_bytes())).message, "in the second table");
    let beside = V1.replace(r#"{"Tables""#, r#"{"Exceptions":["beside"],"Tables""#);
    assert_eq!(failed(v1::parse(beside.as_bytes())).message, "beside");
}

#[test]
fn failures_inside_an_answer_of_version_2_are_found() {
    let error = r#"{"error":{"code":"LimitsExceeded","@message":"too many rows","@permanent":true}}"#;
    let row = V2.replace("[-9223372036854775808]", &format!(r#"{{"OneApiErrors":[{error}]}}"#));
    let failure = failed(v2::parse(row.as_bytes()));
    assert_eq!((failure.code.as_deref(), failure.permanent), (Some("LimitsExceeded"), Some(true)));

    let end = V2.replace(r#""HasErrors":false"#, &format!(r#""HasErrors":true,"OneApiErrors":[{error}]"#));
    assert_eq!(failed(v2::parse(end.as_bytes())).message, "too many rows");
    let mute = V2.replace(r#""HasErrors":false"#, r#""HasErrors":true"#);
    assert!(failed(v2::parse(mute.as_bytes())).message.contains("failed without a reason"));
    let cancelled = V2.replace(r#""Cancelled":false"#, r#""Cancelled":true"#);
    assert!(failed(v2::parse(cancelled.as_bytes())).message.contains("cancelled"));
}

#[test]
fn answers_that_are_cut_off_or_of_another_form_are_no_success() {
    assert!(garbled(v1::parse(b"")).contains("0 bytes"));
    assert!(garbled(v1::parse(b"<html>sign in to the hotel</html>")).contains("<html>"));
    assert!(garbled(v1::parse(b"{}")).contains("no Tables"));
    assert!(garbled(v1::parse(br#"{"Tables":[]}"#)).contains("no table"));
    assert!(garbled(v1::parse(V1.replace(r#"["",null]"#, r#"[""]"#).as_bytes())).contains("1 values for 2"));
    let cut = V2.replace(
        r#",
 {"FrameType":"DataSetCompletion","HasErrors":false,"Cancelled":false}"#,
        "",
    );
    assert!(garbled(v2::parse(cut.as_bytes())).contains("without its last frame"));
    assert!(garbled(v2::parse(&V2.as_bytes()[..V2.len() - 30])).contains("EOF"));
    let progressive = V2.replace(r#""IsProgressive":false"#, r#""IsProgressive":true"#);
    assert!(garbled(v2::parse(progressive.as_bytes())).contains("progressive"));
}

/// Answers with failures inside, of other shapes, and cut off.
const ODD: &[&str] = &[
    r#"{"Tables":[{"TableName":"T","Columns":[{"ColumnName":"a","DataType":"Int64"}],"Rows":[[1],{"Exceptions":["x"]}]}]}"#,
    r#"{"Tables":[],"Exceptions":["it broke"]}"#,
    r#"{"Tables":[{"Columns":[],"Rows":[[],[],[]]}]}"#,
    r#"[{"FrameType":"DataSetHeader","IsProgressive":true},{"FrameType":"TableHeader"},{"FrameType":"TableFragment"}]"#,
    r#"[{"FrameType":"DataTable","TableKind":"PrimaryResult","Columns":[],"Rows":[{"OneApiErrors":[{"error":{"code":"c"}}]}]}]"#,
    r#"[{"FrameType":"DataSetCompletion","HasErrors":true,"OneApiErrors":[{"error":{"@message":"m","innererror":{}}}]}]"#,
    "<html>",
    "",
];

#[test]
fn no_damage_to_an_answer_makes_a_reader_panic_or_drops_cells_in_silence() {
    let examples: Vec<&str> = [V1, V2].into_iter().chain(ODD.iter().copied()).collect();
    crate::fuzz::fuzz("answer", &examples, |body| {
        let whole = |table: &Table| table.rows.iter().all(|row| row.len() == table.columns.len());
        assert!(v1::parse(body).as_ref().map_or(true, whole));
        assert!(v2::parse(body).as_ref().map_or(true, |tables| tables.iter().all(whole)));
    });
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let deep = "[".repeat(100_000);
    assert!(v2::parse(deep.as_bytes()).is_err());
    assert!(v1::parse(format!("{{\"Tables\":{deep}").as_bytes()).is_err());
}

#[test]
fn durations_and_headers_have_the_form_the_service_reads() {
    assert_eq!(timespan(Duration::from_secs(240)), "00:04:00");
    assert_eq!(timespan(Duration::from_secs(3600)), "01:00:00");
    assert_eq!(timespan(Duration::from_millis(5)), "00:00:01");
    assert_eq!(header("größe\r\nx: y"), "gr??e??x: y");
    assert!(client_version().starts_with("Kusto.Timely.Client:{"));
}
