//! Fields as values of columns.

use timely_kusto::{format_bytes, format_duration, parse_bytes, parse_duration};

use super::*;
use crate::infer::Candidates;
use crate::types::{ColumnType, Value, value};

const EXAMPLES: &[&[u8]] = &[
    b"true",
    b"-9223372036854775808",
    b"2147483648",
    b"+007",
    b"-2.5E-3",
    b".5",
    b"5.",
    b"nan",
    b"-inf",
    b"1e308",
    b"1234567890123456789012345678901234",
    b"+.5e7",
    b"2014-05-25T08:20:03.1234567Z",
    b"2014-11-08 15:55",
    b"0001-01-01T00:30:00+01:00",
    b"9999-12-31T23:59:59.9999999-18:00",
    b"2016-02-29",
    b"-1.02:03:04.5",
    b"10675198.23:59:59.9999999",
    b"{74be27de-1e4e-49d9-b579-fe0b331d3642}",
    b"{\"a\":[1,2]}",
    b" 5 ",
    b"",
    b"x",
];

const WORDS: &[&str] = &[
    "-", "+", ".", ":", "e", "E", "T", "t", "Z", " ", "\t", "0", "00", "99", "{", "}", "[", "\"", "İ", "ſ",
    "inf", "Infinity", "\0",
];

/// What is written for a value.
fn written(column: ColumnType, text: &str) -> Option<String> {
    let mut scratch = Vec::new();
    match value(column, text, &mut scratch).ok()? {
        Value::Null => Some(String::new()),
        Value::Text(text) | Value::Json(text) => Some(text.to_owned()),
        Value::Bare(bytes) | Value::Plain(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
    }
}

fn means_the_same(column: ColumnType, text: &str, written: &str) {
    let text = text.trim_matches([' ', '\t']);
    match column {
        _ if text.is_empty() => assert_eq!(written, ""),
        ColumnType::Int | ColumnType::Long => assert_eq!(written, text.parse::<i64>().unwrap().to_string()),
        ColumnType::Real => {
            let (before, after) = (text.parse::<f64>().unwrap(), written.parse::<f64>().unwrap());
            assert!(before == after || (before.is_nan() && after.is_nan()), "{text} became {written}");
        }
        ColumnType::DateTime => {
            let utc: jiff::civil::DateTime = written.trim_end_matches('Z').parse().unwrap();
            assert!(utc.year() >= 1 && written.ends_with('Z'), "{text} became {written}");
        }
        _ => {}
    }
}

#[test]
fn a_damaged_field_is_refused_or_written_as_a_value_that_is_written_as_it_is() {
    fuzz("values", 10 * ROUNDS, EXAMPLES, WORDS, |input, _| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        for column in ColumnType::ALL {
            let Some(once) = within_memory(text.len(), || written(column, text)) else { continue };
            assert_eq!(written(column, &once).as_ref(), Some(&once), "{column} {text:?}");
            if column != ColumnType::String {
                means_the_same(column, text, &once);
            }
        }
        let mut candidates = Candidates::default();
        candidates.see_text(text);
        assert!(written(candidates.decide(), text).is_some(), "{:?} for {text:?}", candidates.decide());
    });
}

#[test]
fn a_decimal_of_34_digits_gets_no_further_one_when_its_sign_and_zeros_are_taken_away() {
    let digits = "7023372036812413234716654427795216";
    for text in [format!("+{digits}"), format!("00{digits}"), format!("+00{digits}."), format!("{digits}.")] {
        assert_eq!(written(ColumnType::Decimal, &text).as_deref(), Some(digits), "{text}");
    }
}

#[test]
fn a_damaged_duration_or_size_is_refused_or_reads_the_same_when_it_is_written() {
    let examples: [&[u8]; 6] = [b"30s", b"1h 30min", b"250ms", b"64MiB", b"1_000", b"1TiB 5KB"];
    let words = ["d", "h", "min", "us", "ns", "KiB", "TB", "_", " ", "-", "99999999999", "İ", "."];
    fuzz("durations and sizes", 4 * ROUNDS, &examples, &words, |input, _| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        if let Ok(duration) = parse_duration(text) {
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
        if let Ok(bytes) = parse_bytes(text) {
            assert_eq!(parse_bytes(&format_bytes(bytes)), Ok(bytes));
        }
    });
}
