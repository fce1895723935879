//! Rows in JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{json, row};
use crate::encode::{ColumnName, Encoder, SerdeEncoder};
use crate::options::Format;

#[derive(Serialize)]
struct Reading<'a> {
    id: u64,
    #[serde(rename = "a \"name\"")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<f64>,
    kind: (),
}

#[test]
fn a_struct_is_an_object_on_a_line() {
    let text = json(&Reading { id: 1, name: "x\n\"", level: Some(0.5), kind: () });
    assert_eq!(text, "{\"id\":1,\"a \\\"name\\\"\":\"x\\n\\\"\",\"level\":0.5,\"kind\":null}\n");
}

#[test]
fn fields_may_be_left_out_and_come_back() {
    let mut encoder = SerdeEncoder::new(Format::Json);
    let mut out = Vec::new();
    for level in [None, Some(1.0), None] {
        encoder.encode(&Reading { id: 7, name: "", level, kind: () }, &mut out).unwrap();
    }
    let rows: Vec<Value> =
        serde_json::Deserializer::from_slice(&out).into_iter().map(Result::unwrap).collect();
    let without = json!({"id": 7, "a \"name\"": "", "kind": null});
    assert_eq!(
        rows,
        [without.clone(), json!({"id": 7, "a \"name\"": "", "level": 1.0, "kind": null}), without]
    );
    let names: Vec<ColumnName> = ["id", "a \"name\"", "level", "kind"].map(Into::into).into();
    assert_eq!(Encoder::<Reading<'_>>::columns(&encoder), Some(names.as_slice()));
}

#[test]
fn numbers_that_are_none_are_the_services_words() {
    let row = json(&BTreeMap::from([("a", f64::NAN), ("b", f64::INFINITY), ("c", f64::NEG_INFINITY)]));
    assert_eq!(row, "{\"a\":\"NaN\",\"b\":\"Infinity\",\"c\":\"-Infinity\"}\n");
}

#[test]
fn a_map_is_an_object_whatever_its_keys_are() {
    assert_eq!(json(&BTreeMap::from([(1, "x"), (2, "y")])), "{\"1\":\"x\",\"2\":\"y\"}\n");
    assert_eq!(json(&json!({"a": {"b": [1, null]}})), "{\"a\":{\"b\":[1,null]}}\n");
    #[derive(Serialize)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    assert_eq!(json(&Flat { a: 1, rest: BTreeMap::from([("b".into(), 2)]) }), "{\"a\":1,\"b\":2}\n");
}

#[test]
fn bytes_and_nested_values() {
    let row =
        json(&BTreeMap::from([("a", serde_bytes::Bytes::new(b"ab")), ("b", serde_bytes::Bytes::new(b""))]));
    assert_eq!(row, "{\"a\":\"YWI=\",\"b\":\"\"}\n");
    assert_eq!(json(&BTreeMap::from([("a", [(1, "x")])])), "{\"a\":[[1,\"x\"]]}\n");
}

#[test]
fn what_is_no_object_is_refused() {
    for error in [row(Format::Json, &(1, 2)), row(Format::Json, &1), row(Format::Json, &vec![1])] {
        assert!(error.unwrap_err().to_string().contains("a JSON row is an object"));
    }
}

#[test]
fn a_map_with_a_key_that_was_not_given_is_refused_by_name() {
    let mut encoder = SerdeEncoder::with_columns(Format::Json, ["a", "b"]);
    let mut out = Vec::new();
    encoder.encode(&BTreeMap::from([("b", 1)]), &mut out).unwrap();
    let error = encoder.encode(&BTreeMap::from([("b", 1), ("c", 2)]), &mut out).unwrap_err();
    assert_eq!(error.field(), Some("c"));
    assert_eq!(out, b"{\"b\":1}\n");
}
