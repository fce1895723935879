//! Names and types of columns, told from a source's first rows.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;

use pipelines::file::{FileFormat, FileOptions, FileSource};
use pipelines::names::column_names;
use pipelines::sample::{Sample, SourceField};
use pipelines::schema::TableSchema;
use pipelines::types::ColumnType;

fn inferred(values: &[&str]) -> &'static str {
    let dir = tempfile::tempdir().unwrap();
    let quoted = |value: &&str| format!("\"{}\",x\n", value.replace('"', "\"\""));
    let rows: String = values.iter().map(quoted).collect();
    let path = common::write(dir.path(), "a.csv", format!("v,x\n{rows}"));
    Sample::of(&common::csv(&path)).unwrap().fields[0].inferred.name()
}

#[test]
fn csv_fields_get_the_most_special_type_that_takes_all_values() {
    let cases: &[(&[&str], &str)] = &[
        (&["true", "False", ""], "bool"),
        (&["true", "1"], "string"),
        (&["1", "-20", "9223372036854775807"], "long"),
        (&["0", "1"], "long"),
        (&["1", "2.5"], "real"),
        (&["1e5", "-2.5E-3"], "real"),
        (&["9223372036854775808"], "decimal"),
        (&["1", "0.1234567890123456789"], "decimal"),
        (&["12345678901234567890123456789012345"], "string"),
        (&["02134", "10115"], "string"),
        (&["007"], "string"),
        (&["+49"], "string"),
        (&["1."], "string"),
        (&["NaN"], "string"),
        (&["1 "], "string"),
        (&["1990-01-08", "2014-11-08T15:55:00Z", ""], "datetime"),
        (&["1990-02-30"], "string"),
        (&["00:01:02", "-1.00:00:00.5"], "timespan"),
        (&["74be27de-1e4e-49d9-b579-fe0b331d3642"], "guid"),
        (&["{\"a\":1}", "[]"], "dynamic"),
        (&["{a}"], "string"),
        (&["1", "x"], "string"),
        (&["", ""], "string"),
        (&[], "string"),
    ];
    for (values, expected) in cases {
        assert_eq!(inferred(values), *expected, "{values:?}");
    }
}

#[test]
fn json_members_get_their_types_and_their_order_of_appearance() {
    let dir = tempfile::tempdir().unwrap();
    let rows = concat!(
        r#"{"id":1,"ok":true,"at":"2020-01-01T00:00:00Z","zip":"10115","price":1,"tags":["a"],"mixed":1,"odd":1}"#,
        "\n",
        r#"{"id":2,"late":null,"price":1.5,"ok":null,"mixed":{"k":1},"odd":"x"}"#,
        "\n"
    );
    let sample = Sample::of(&common::json(&common::write(dir.path(), "a.json", rows))).unwrap();
    let found: Vec<_> =
        sample.fields.iter().map(|field| (field.name.as_str(), field.inferred.name())).collect();
    let expected = [
        ("id", "long"),
        ("ok", "bool"),
        ("at", "datetime"),
        ("zip", "string"),
        ("price", "real"),
        ("tags", "dynamic"),
        ("mixed", "dynamic"),
        ("odd", "string"),
        ("late", "string"),
    ];
    assert_eq!(found, expected);
    assert_eq!(sample.rows, 2);
}

#[test]
fn headers_become_names_that_need_no_quotes() {
    let fields = [
        "Airport Name",
        "Cost Total $",
        "Speed IAS in knots",
        "iata",
        "cost-total",
        "Cost  Total",
        "1st",
        "",
        "$",
        "__reserved__",
        "Größe (cm)",
        "a",
        "a",
        "a_2",
    ];
    let expected = [
        "AirportName",
        "CostTotal",
        "SpeedIASInKnots",
        "iata",
        "costTotal",
        "CostTotal_2",
        "_1st",
        "Column8",
        "Column9",
        "_reserved_",
        "GrößeCm",
        "a",
        "a_2",
        "a_2_2",
    ];
    assert_eq!(column_names(&fields), expected);
}

#[test]
fn a_real_file_gives_the_table_that_a_person_would_make() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/strikes.csv");
    let sample = Sample::of(&common::csv(&path)).unwrap();
    let schema = TableSchema::for_fields("Samples", "Strikes", &sample.fields);
    assert_eq!(
        schema.create_command(),
        ".create table Strikes (AirportName: string, FlightDate: datetime, WildlifeSize: string, CostTotal: long, \
         SpeedIASInKnots: long)"
    );
}

#[test]
fn only_the_first_ten_thousand_rows_are_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..10_000).map(|row| format!("{row}\n")).collect();
    let path = common::write(dir.path(), "a.csv", format!("n\n{rows}text\n"));
    let sample = Sample::of(&common::csv(&path)).unwrap();
    assert_eq!(sample.fields[0].inferred, ColumnType::Long);
    assert_eq!(sample.rows, Sample::ROWS);
}

#[test]
fn files_with_different_headers_are_refused_and_both_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let paths =
        [common::write(dir.path(), "a.csv", "x,y\n1,2\n"), common::write(dir.path(), "b.csv", "y,x\n1,2\n")];
    let source = FileSource::new(FileOptions::new(paths, FileFormat::Csv)).unwrap();
    let error = Sample::of(&source).unwrap_err().to_string();
    assert!(error.contains("b.csv") && error.contains("a.csv") && error.contains("y,x"), "{error}");
}

fn table(columns: &[(&str, ColumnType)]) -> TableSchema {
    let fields: Vec<_> = columns.iter().map(|(name, inferred)| field(name, *inferred)).collect();
    TableSchema::for_fields("D", "T", &fields)
}

fn field(name: &str, inferred: ColumnType) -> SourceField {
    SourceField { name: name.to_owned(), inferred }
}

fn sample(fields: &[&str], named: bool) -> Sample {
    Sample { fields: fields.iter().map(|name| field(name, ColumnType::String)).collect(), named, rows: 0 }
}

#[test]
fn fields_find_columns_by_name_by_rule_and_by_letters() {
    let table = table(&[
        ("cost_total", ColumnType::Long),
        ("AirportName", ColumnType::String),
        ("x", ColumnType::Int),
    ]);
    let bound = table.bind(&sample(&["Airport Name", "x", "Cost Total $"], true)).unwrap();
    let found: Vec<_> = bound.iter().map(|column| (column.column.as_str(), column.column_type)).collect();
    let expected =
        [("AirportName", ColumnType::String), ("x", ColumnType::Int), ("cost_total", ColumnType::Long)];
    assert_eq!(found, expected);
}

#[test]
fn fields_without_names_find_columns_by_position() {
    let table = table(&[("a", ColumnType::Long), ("b", ColumnType::String), ("c", ColumnType::Int)]);
    let bound = table.bind(&sample(&["Column1", "Column2"], false)).unwrap();
    assert_eq!(bound.iter().map(|column| column.column.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(table.bind(&sample(&["1", "2", "3", "4"], false)).is_err());
}

#[test]
fn a_field_without_a_column_is_an_error_that_names_both_sides() {
    let table = table(&[("a", ColumnType::Long), ("b", ColumnType::String)]);
    let error = table.bind(&sample(&["a", "c", "d"], true)).unwrap_err().to_string();
    assert!(error.contains("D.T has no column for \"c\", \"d\" of the source"), "{error}");
    assert!(error.contains("its columns are a, b"), "{error}");
    let error = table.bind(&sample(&["a", "A"], true)).unwrap_err().to_string();
    assert!(error.contains("would both go to the column a"), "{error}");
}

#[test]
fn the_table_that_was_made_for_a_source_takes_it_again() {
    let names = ["a b", "a-b", "a_b", "a", "a", "$", "A B"];
    let fields: Vec<_> = names.iter().map(|name| field(name, ColumnType::Long)).collect();
    let table = TableSchema::for_fields("D", "T", &fields);
    let bound = table.bind(&Sample { fields, named: true, rows: 0 }).unwrap();
    let columns: Vec<_> = bound.iter().map(|column| column.column.clone()).collect();
    assert_eq!(columns, table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>());
}
