//! Records that make no row, and what the error says.

use std::collections::BTreeMap;

use serde::ser::Error as _;
use serde::{Serialize, Serializer};

use super::row;
use crate::options::Format::{Csv, Json};

#[derive(Serialize)]
enum Variant {
    New(i32),
    Tuple(i32, i32),
    Struct { a: i32 },
}

#[derive(Serialize)]
struct Holds {
    id: i32,
    outcome: Variant,
}

/// Fails by itself.
struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("the sensor is broken"))
    }
}

#[test]
fn a_variant_with_data_is_refused_with_field_and_advice() {
    for outcome in [Variant::New(1), Variant::Tuple(1, 2), Variant::Struct { a: 1 }] {
        let record = Holds { id: 1, outcome };
        for format in [Csv, Json] {
            let error = row(format, &record).unwrap_err();
            assert_eq!(error.field(), Some("outcome"));
            let text = error.to_string();
            assert!(text.starts_with("cannot write field outcome of a row: Variant::"), "{text}");
            assert!(text.contains("untagged"), "{text}");
        }
    }
    assert!(row(Csv, &Variant::New(1)).is_err());
}

#[test]
fn an_error_of_a_type_itself_names_the_path() {
    #[derive(Serialize)]
    struct Outer {
        station: Inner,
    }
    #[derive(Serialize)]
    struct Inner {
        sensor: Fails,
    }
    for format in [Csv, Json] {
        let error = row(format, &Outer { station: Inner { sensor: Fails } }).unwrap_err();
        assert_eq!(error.field(), Some("station.sensor"));
        assert_eq!(error.to_string(), "cannot write field station.sensor of a row: the sensor is broken");
    }
    assert_eq!(row(Csv, &(1, Fails)).unwrap_err().field(), Some("1"));
}

#[test]
fn a_map_is_no_csv_row() {
    let error = row(Csv, &BTreeMap::from([("a", 1)])).unwrap_err();
    assert!(error.to_string().contains("use the format json"), "{error}");
}

#[test]
fn nothing_is_no_row() {
    #[derive(Serialize)]
    struct Nothing;
    #[derive(Serialize)]
    struct Empty {}
    for format in [Csv, Json] {
        assert!(row(format, &()).is_err());
        assert!(row(format, &None::<i32>).is_err());
        assert!(row(format, &Nothing).is_err());
        assert!(row(format, &Empty {}).is_err());
    }
}

#[test]
fn a_key_that_is_no_text_is_refused() {
    let nested = (1, BTreeMap::from([([1, 2], "x")]));
    let error = row(Csv, &nested).unwrap_err();
    assert!(error.to_string().contains("key"), "{error}");
    assert_eq!(error.field(), Some("1"));
    assert!(row(Json, &BTreeMap::from([((), "x")])).is_err());
}
