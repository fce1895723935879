//! Each kind of value in CSV.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::csv;
use crate::types::{DateTime, Timespan, duration_as_timespan};

#[test]
fn strings_are_quoted_where_they_must_be() {
    let cases = [
        ("plain", "plain\n"),
        ("", "\"\"\n"),
        (" ", "\" \"\n"),
        (" leading", "\" leading\"\n"),
        ("trailing\t", "\"trailing\t\"\n"),
        ("in the middle", "in the middle\n"),
        ("a,b", "\"a,b\"\n"),
        ("say \"hi\"", "\"say \"\"hi\"\"\"\n"),
        ("\"", "\"\"\"\"\n"),
        ("two\nlines", "\"two\nlines\"\n"),
        ("cr\rhere", "\"cr\rhere\"\n"),
        ("größe → 雪", "größe → 雪\n"),
        ("a comma far behind sixteen bytes, here", "\"a comma far behind sixteen bytes, here\"\n"),
        ("\u{feff}mark", "\"\u{feff}mark\"\n"),
        ("exactly 16 bytes", "exactly 16 bytes\n"),
        ("a comma at no 16,", "\"a comma at no 16,\"\n"),
    ];
    for (text, expected) in cases {
        assert_eq!(csv(&text), expected);
    }
}

#[test]
fn an_empty_string_and_a_null_are_told_apart() {
    assert_eq!(csv(&(Some(""), None::<&str>, 1)), "\"\",,1\n");
}

#[test]
fn a_row_of_one_null_is_not_an_empty_line() {
    assert_eq!(csv(&(None::<i32>,)), "\"\"\n");
}

#[test]
fn integers_of_all_widths_are_decimal() {
    let row = csv(&(i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN, 0));
    assert_eq!(
        row,
        "-128,-32768,-2147483648,-9223372036854775808,-170141183460469231731687303715884105728,0\n"
    );
    let row = csv(&(u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
    assert_eq!(row, "255,65535,4294967295,18446744073709551615,340282366920938463463374607431768211455\n");
}

#[test]
fn reals_have_the_shortest_digits_and_names_where_they_are_none() {
    let row = csv(&(1.5, -0.0, 1e300, 5e-324, f64::MAX, 0.1f32));
    assert_eq!(row, "1.5,-0.0,1e+300,5e-324,1.7976931348623157e+308,0.1\n");
    assert_eq!(csv(&(f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f32::NAN)), "NaN,Infinity,-Infinity,NaN\n");
}

#[test]
fn bools_chars_units_and_variants() {
    #[derive(Serialize)]
    enum Kind {
        Hail,
        #[serde(rename = "high, wind")]
        Wind,
    }
    assert_eq!(
        csv(&(true, false, 'x', ',', (), Kind::Hail, Kind::Wind)),
        "true,false,x,\",\",,Hail,\"high, wind\"\n"
    );
}

#[test]
fn bytes_are_base64() {
    use serde_bytes::Bytes;
    let row = csv(&(Bytes::new(b"\x00\xff,"), Bytes::new(b""), Bytes::new(b"ab")));
    assert_eq!(row, "AP8s,\"\",YWI=\n");
}

#[test]
fn nested_values_are_json_in_one_field() {
    #[derive(Serialize)]
    struct Place<'a> {
        name: &'a str,
        at: (f64, f64),
        more: Option<u8>,
    }
    let place = Place { name: "O\"Hare", at: (1.0, -2.5), more: None };
    let row = csv(&(place, vec![1, 2], Vec::<u8>::new(), BTreeMap::from([(1, "x")]), [1u8; 1]));
    let expected =
        r#""{""name"":""O\""Hare"",""at"":[1.0,-2.5],""more"":null}","[1,2]",[],"{""1"":""x""}",[1]"#;
    assert_eq!(row, format!("{expected}\n"));
}

#[test]
fn json_text_that_is_made_already_is_taken_as_it_is() {
    let raw = RawValue::from_string("{\"a\": [1, 2]}".to_owned()).unwrap();
    assert_eq!(csv(&(1, &raw, 2)), "1,\"{\"\"a\"\": [1, 2]}\",2\n");
    assert_eq!(csv(&(serde_json::json!({"a": null}), 1)), "\"{\"\"a\"\":null}\",1\n");
}

#[test]
fn times_and_ids_are_text_without_quotes() {
    #[derive(Serialize)]
    struct Row {
        at: DateTime,
        span: Timespan,
        #[serde(with = "duration_as_timespan")]
        took: Duration,
        id: uuid::Uuid,
    }
    let row = Row {
        at: DateTime::from_unix_nanos(0),
        span: Timespan::from_ticks(-1),
        took: Duration::from_secs(86_400),
        id: uuid::Uuid::from_u128(0x74be_27de_1e4e_49d9_b579_fe0b_331d_3642),
    };
    let expected =
        "1970-01-01T00:00:00.0000000Z,-00:00:00.0000001,1.00:00:00,74be27de-1e4e-49d9-b579-fe0b331d3642\n";
    assert_eq!(csv(&row), expected);
}

#[test]
fn types_that_display_themselves_are_quoted_where_they_must_be() {
    struct Shown(&'static str);
    impl Serialize for Shown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self.0)
        }
    }
    assert_eq!(csv(&(Shown("plain"), Shown("a \"b\", c"), Shown(""))), "plain,\"a \"\"b\"\", c\",\"\"\n");
    assert_eq!(super::json(&BTreeMap::from([("a", Shown("x\"\n"))])), "{\"a\":\"x\\\"\\n\"}\n");
}
