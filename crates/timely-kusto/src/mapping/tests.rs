//! Mappings in the service's form, and columns that make none.

use super::{MappingError, inline_mapping, json_path};
use crate::encode::ColumnName;
use crate::options::Format;

fn columns(count: usize) -> Vec<ColumnName> {
    (0..count).map(|index| format!("a_column_with_a_name_{index}").into()).collect()
}

#[test]
fn csv_fields_are_found_by_ordinal() {
    let mapping = inline_mapping(Format::Csv, &["a".into(), "b-c".into()], "T").unwrap();
    let expected =
        r#"[{"Column":"a","Properties":{"Ordinal":"0"}},{"Column":"b-c","Properties":{"Ordinal":"1"}}]"#;
    assert_eq!(mapping, expected);
}

#[test]
fn json_fields_are_found_by_path() {
    let mapping = inline_mapping(Format::Json, &["a".into(), "b c".into()], "T").unwrap();
    let expected =
        r#"[{"Column":"a","Properties":{"Path":"$.a"}},{"Column":"b c","Properties":{"Path":"$['b c']"}}]"#;
    assert_eq!(mapping, expected);
}

#[test]
fn paths_quote_what_is_no_plain_word() {
    let cases = [
        ("plain_1", "$.plain_1"),
        ("_x", "$._x"),
        ("1st", "$['1st']"),
        ("a.b", "$['a.b']"),
        ("größe", "$['größe']"),
        ("it's", "$[\"it's\"]"),
        ("a\\b", "$['a\\\\b']"),
        ("", "$['']"),
    ];
    for (name, path) in cases {
        assert_eq!(json_path(name), path);
    }
}

#[test]
fn two_fields_of_one_name_are_refused_by_name() {
    let error = inline_mapping(Format::Csv, &["a".into(), "b".into(), "a".into()], "T").unwrap_err();
    assert!(matches!(error, MappingError::Duplicate(name) if name == "a"));
}

#[test]
fn a_mapping_that_fits_no_message_comes_with_the_command_that_creates_it() {
    assert!(inline_mapping(Format::Csv, &columns(300), "T").is_ok());
    let error = inline_mapping(Format::Csv, &columns(1000), "Storm's").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("1000 columns"), "{text}");
    assert!(text.contains("ingestion_mapping_ref"), "{text}");
    assert!(
        text.contains(r#".create table ['Storm\'s'] ingestion csv mapping 'rows' '[{"Column":"a_column"#)
    );
    let MappingError::TooLong { command, .. } = error else { panic!("{error}") };
    assert!(command.ends_with("}]'"));
}
