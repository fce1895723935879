//! Which fields rows have: columns learned, given, checked.

use serde::Serialize;

use super::{csv, row};
use crate::encode::{ColumnName, Encoder, LongValues, MAX_VALUE_BYTES, RawEncoder, SerdeEncoder};
use crate::options::Format;
use crate::rows::EncodedRows;

#[derive(Serialize)]
struct Pair {
    left: i32,
    right: Option<i32>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Either {
    Same { left: i32, right: i32 },
    Swapped { right: i32, left: i32 },
    More { left: i32, right: i32, third: i32 },
    Fewer { left: i32 },
    Unnamed(i32, i32),
}

fn names(encoder: &impl Encoder<Pair>) -> Option<Vec<&str>> {
    encoder.columns().map(|columns| columns.iter().map(AsRef::as_ref).collect())
}

#[test]
fn a_struct_gives_its_names_after_its_first_row() {
    let mut encoder = SerdeEncoder::new(Format::Csv);
    assert_eq!(names(&encoder), None);
    encoder.encode(&Pair { left: 1, right: None }, &mut Vec::new()).unwrap();
    assert_eq!(names(&encoder), Some(vec!["left", "right"]));
}

#[test]
fn a_tuple_has_no_names_unless_they_are_given() {
    let mut encoder = SerdeEncoder::new(Format::Csv);
    encoder.encode(&(1, 2), &mut Vec::new()).unwrap();
    assert_eq!(names(&encoder), None);
    let mut encoder = SerdeEncoder::with_columns(Format::Csv, ["left", "right"]);
    encoder.encode(&(1, 2), &mut Vec::new()).unwrap();
    assert_eq!(names(&encoder), Some(vec!["left", "right"]));
    let error = encoder.encode(&(1, 2, 3), &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("3 fields and earlier rows have 2"), "{error}");
}

#[test]
fn newtypes_references_options_and_sequences_are_rows_too() {
    #[derive(Serialize)]
    struct New(Pair);
    #[derive(Serialize)]
    struct Three(i32, i32, i32);
    assert_eq!(csv(&New(Pair { left: 1, right: Some(2) })), "1,2\n");
    assert_eq!(csv(&Some(&Box::new(Pair { left: 1, right: None }))), "1,\n");
    assert_eq!(csv(&Three(1, 2, 3)), "1,2,3\n");
    assert_eq!(csv(&vec!["a", "b"]), "a,b\n");
    assert_eq!(csv(&7), "7\n");
}

#[test]
fn a_skipped_field_keeps_its_place_in_csv() {
    #[derive(Serialize)]
    struct Skips {
        a: i32,
        #[serde(skip_serializing_if = "Option::is_none")]
        b: Option<i32>,
        c: i32,
    }
    let mut encoder = SerdeEncoder::new(Format::Csv);
    let mut out = Vec::new();
    for b in [None, Some(2), None] {
        encoder.encode(&Skips { a: 1, b, c: 3 }, &mut out).unwrap();
    }
    assert_eq!(String::from_utf8(out).unwrap(), "1,,3\n1,2,3\n1,,3\n");
}

#[test]
fn a_row_with_other_fields_is_refused_by_name_and_leaves_nothing() {
    let others = [
        (Either::Swapped { right: 1, left: 2 }, "right"),
        (Either::More { left: 1, right: 2, third: 3 }, "third"),
        (Either::Fewer { left: 1 }, "right is missing"),
    ];
    for (other, field) in others {
        let mut encoder = SerdeEncoder::new(Format::Csv);
        let mut out = Vec::new();
        encoder.encode(&Either::Same { left: 1, right: 2 }, &mut out).unwrap();
        let error = encoder.encode(&other, &mut out).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
        assert_eq!(out, b"1,2\n");
        encoder.encode(&Either::Same { left: 3, right: 4 }, &mut out).unwrap();
        assert_eq!(out, b"1,2\n3,4\n");
    }
}

#[test]
fn names_and_no_names_do_not_mix_after_rows_without() {
    let mut encoder = SerdeEncoder::new(Format::Csv);
    encoder.encode(&Either::Unnamed(1, 2), &mut Vec::new()).unwrap();
    assert!(encoder.encode(&Either::Same { left: 1, right: 2 }, &mut Vec::new()).is_err());
}

#[test]
fn json_takes_fields_in_any_order_but_no_new_one() {
    let mut encoder = SerdeEncoder::new(Format::Json);
    let mut out = Vec::new();
    encoder.encode(&Either::Same { left: 1, right: 2 }, &mut out).unwrap();
    encoder.encode(&Either::Swapped { right: 1, left: 2 }, &mut out).unwrap();
    encoder.encode(&Either::Fewer { left: 1 }, &mut out).unwrap();
    let error = encoder.encode(&Either::More { left: 1, right: 2, third: 3 }, &mut out).unwrap_err();
    assert_eq!(error.field(), Some("third"));
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{\"left\":1,\"right\":2}\n{\"right\":1,\"left\":2}\n{\"left\":1}\n"
    );
}

#[test]
fn a_first_row_that_fails_teaches_nothing() {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Try {
        Bad { a: i32, b: Result<i32, i32> },
        Good { x: i32 },
    }
    let mut encoder = SerdeEncoder::new(Format::Csv);
    let mut out = Vec::new();
    assert!(encoder.encode(&Try::Bad { a: 1, b: Ok(1) }, &mut out).is_err());
    encoder.encode(&Try::Good { x: 1 }, &mut out).unwrap();
    assert_eq!(out, b"1\n");
}

#[test]
fn values_that_the_service_would_cut_are_counted() {
    let mut encoder = SerdeEncoder::new(Format::Csv);
    let mut out = Vec::new();
    let fits = "\"".repeat(MAX_VALUE_BYTES);
    encoder.encode(&(1, &fits), &mut out).unwrap();
    assert_eq!(Encoder::<Pair>::long_values(&encoder), LongValues::default());
    encoder.encode(&(1, format!("{fits}x")), &mut out).unwrap();
    let seen = Encoder::<Pair>::long_values(&encoder);
    assert_eq!(seen, LongValues { count: 1, longest: MAX_VALUE_BYTES + 1, field: 1 });
    encoder.encode(&(vec![1u8; MAX_VALUE_BYTES], "x"), &mut out).unwrap();
    assert_eq!(Encoder::<Pair>::long_values(&encoder).count, 2);
}

#[test]
fn a_row_that_the_service_would_refuse_is_refused_here() {
    let error = row(Format::Csv, &"x".repeat(64_000_001)).unwrap_err();
    assert!(error.to_string().contains("64000000"), "{error}");
}

#[test]
fn an_epoch_behind_an_encoded_row_takes_no_blank_from_its_last_field() {
    let with_epoch = |format, row: &[u8]| {
        let (mut rows, mut out) = (EncodedRows::default(), Vec::new());
        rows.push_row(row);
        let mut encoder = RawEncoder::new().with_epoch(format);
        encoder.in_epoch(7).unwrap();
        encoder.encode(&rows, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(with_epoch(Format::Csv, b"1,a \t\x0c\r\n"), "1,a \t\x0c,7\n");
    assert_eq!(with_epoch(Format::Csv, b"1, "), "1, ,7\n");
    assert_eq!(with_epoch(Format::Csv, b"1,\"a\r\n\"\n"), "1,\"a\r\n\",7\n");
    assert_eq!(with_epoch(Format::Json, b"{\"a\":1} \r\n"), "{\"a\":1,\"_kt_epoch\":7}\n");
}

#[test]
fn encoded_rows_are_taken_as_they_are() {
    let mut rows = EncodedRows::default();
    rows.push_row(b"1,2");
    rows.push_row(b"3,4\n");
    let mut out = b"0,0\n".to_vec();
    let mut encoder = RawEncoder::new();
    assert_eq!(encoder.encode(&rows, &mut out), Ok(2));
    assert_eq!(out, b"0,0\n1,2\n3,4\n");
    assert_eq!(encoder.columns(), None);
    let named = RawEncoder::with_columns(["a", "b"]);
    assert_eq!(named.columns(), Some([ColumnName::from("a"), "b".into()].as_slice()));
}

#[test]
fn encoded_rows_come_back_from_another_process_and_are_checked() {
    let mut rows = EncodedRows::with_capacity(2, 16);
    rows.push_row(b"1,2");
    rows.push_with(|bytes| bytes.extend_from_slice(b""));
    assert_eq!(rows.rows().collect::<Vec<_>>(), [b"1,2\n".as_slice(), b"\n"]);
    let mut bytes = bincode::serialize(&rows).unwrap();
    assert_eq!(bytes.len(), 8 + 5 + 8 + 2 * 4);
    assert_eq!(bincode::deserialize::<EncodedRows>(&bytes).unwrap(), rows);
    *bytes.last_mut().unwrap() = 1;
    assert!(bincode::deserialize::<EncodedRows>(&bytes).unwrap_err().to_string().contains("do not fit"));
    rows.clear();
    assert!(rows.is_empty() && rows.bytes().is_empty());
    assert_eq!(bincode::deserialize::<EncodedRows>(&bincode::serialize(&rows).unwrap()).unwrap(), rows);
}
