//! Rows that the service may not store as they are meant have no hash.

use super::support::{fields, over_all, table, texts};
use crate::options::Format;
use crate::row_hash::{Misfit, RowHash};

fn csv(column: &str, value: &str) -> Result<u64, Misfit> {
    let hash = RowHash::over(&texts(&[column]), &table()).unwrap();
    hash.summer(Format::Csv, &texts(&["n", column])).sum(format!("1,{}\n2,{value}\n", "").as_bytes())
}

fn json(column: &str, value: &str) -> Result<u64, Misfit> {
    let hash = RowHash::over(&texts(&[column]), &table()).unwrap();
    let name = serde_json::to_string(column).unwrap();
    hash.summer(Format::Json, &[]).sum(format!("{{}}\n{{{name}:{value}}}\n").as_bytes())
}

#[test]
fn texts_that_are_no_value_of_their_type_are_named() {
    let wrong: [(&str, &[&str]); 8] = [
        ("flag", &["yes", "2", "t", " true"]),
        ("int", &["2147483648", "1.0", "1e3", "x", "-", "0x10", "1 ", "+1", "+"]),
        ("long", &["9223372036854775808", "5.", "--1", "1_000", "٣", "+1"]),
        ("real", &["nan", "inf", "1e999", ".5", "1.", "0x1p3", "1,5x", "+", "1.e5", "+1.5", "-+1"]),
        (
            "price",
            &[
                "NaN",
                "1.5.5",
                ".5",
                "1e99999",
                "12345678901234567890123456789012345",
                "1e40",
                "1e-40",
                "+1.5",
            ],
        ),
        (
            "at",
            &[
                "2024-02-30",
                "yesterday",
                "2024-01-01T00:00:00+01:00",
                "2024-01-01T00:00:00.12345678Z",
                "2014-05-25T08:20.1234567890Z",
                "2014-05-25T08:20.5",
            ],
        ),
        ("span", &["1", "25:00:00", "1h", "00:00:00.00000001", "10675200.00:00:00"]),
        (
            "id",
            &["74be27de", "{74be27de-1e4e-49d9-b579-fe0b331d3642}", "g4be27de-1e4e-49d9-b579-fe0b331d3642"],
        ),
    ];
    for (column, values) in wrong {
        for value in values {
            let value = if value.contains(',') { &format!("\"{value}\"") } else { *value };
            let misfit = csv(column, value).expect_err(value);
            assert_eq!(misfit.row, 1, "{value}");
            assert_eq!(misfit.column.as_ref().map(|(name, _)| name.as_str()), Some(column), "{value}");
            assert!(misfit.to_string().contains(column), "{misfit}");
        }
    }
}

#[test]
fn tokens_of_json_that_a_type_does_not_have_are_named() {
    let wrong: [(&str, &[&str]); 9] = [
        ("flag", &["2", "1", "0", "\"yes\"", "[]"]),
        ("int", &["1.0", "true", "1e2", "{}", "2147483648"]),
        ("long", &["9223372036854775808", "false"]),
        ("real", &["true", "\"one\"", "1e999"]),
        ("price", &["0.1", "1e3", "12345678901234567890"]),
        ("at", &["5", "true"]),
        ("span", &["10000000"]),
        ("id", &["7"]),
        ("word", &["1.5", "true", "-1", "[1]", "{\"a\":1}", "\"\\ud800\"", "\"\\ud800\\u0041\""]),
    ];
    for (column, values) in wrong {
        for value in values {
            let misfit = json(column, value).expect_err(value);
            assert_eq!((misfit.row, misfit.column.is_some()), (1, true), "{column} {value}");
        }
    }
}

#[test]
fn tokens_of_json_that_are_sure_are_taken() {
    for (column, one, other) in [
        ("flag", "true", "\"1\""),
        ("flag", "\"0\"", "false"),
        ("long", "5", "\"5\""),
        ("real", "1.5", "\"1.5\""),
        ("real", "2", "2.0"),
        ("price", "7", "\"7.0\""),
        ("word", "17", "\"17\""),
        ("word", "null", "\"\""),
        ("at", "null", "\"\""),
    ] {
        assert_eq!(json(column, one).unwrap(), json(column, other).unwrap(), "{column}: {one}, {other}");
    }
}

#[test]
fn a_time_that_is_too_fine_or_has_an_offset_is_told_with_a_type_that_has_neither() {
    for value in ["2024-01-01T00:00:00.123456789Z", "2024-01-01T00:00:00.1234567+01:00"] {
        let misfit = csv("at", value).unwrap_err().to_string();
        assert!(misfit.contains("chrono") && misfit.contains("types::DateTime"), "{misfit}");
    }
}

#[test]
fn rows_that_the_service_would_refuse_or_leave_out_are_named() {
    let hash = over_all();
    let csv = |rows: &[u8]| hash.summer(Format::Csv, &texts(&["n", "word"])).sum(rows).unwrap_err();
    assert!(csv(b"1,a\n2\n").why.contains("1 fields"));
    assert!(csv(b"1,a,b\n").why.contains("3 fields"));
    assert_eq!(csv(b"1,a\n2,b\n3,\"c\n").row, 2);
    assert!(csv(b"3,\"c\n").why.contains("quote"));
    assert!(csv(b"1,\xff\n").why.contains("UTF-8"));
    for rows in ["1,a\"b\n", "1,\"a\"b\n", "1,a\"\n", "1, \"a\"\n", "1,\"a\" \n", "1\",a\n"] {
        assert!(csv(rows.as_bytes()).why.contains("quote"), "{rows}");
    }
    assert!(csv("\u{feff}1,a\n".as_bytes()).why.contains("byte order mark"));
    let json = |rows: &[u8]| hash.summer(Format::Json, &[]).sum(rows).unwrap_err();
    for rows in [
        &b"{}\n[]\n"[..],
        b"{}\n{\"n\":1\n}\n",
        b"{}\n{\"n\":1} {\"n\":2}\n",
        b"{}\n{\"n\":1,\"n\":1}\n",
        b"{}\n{\"n\":01}\n",
        b"{}\n{\"word\":\"\xff\"}\n",
        b"{}\nn\n",
    ] {
        assert_eq!(json(rows).row, 1, "{}", String::from_utf8_lossy(rows));
    }
}

#[test]
fn quotes_around_fields_are_no_misfit() {
    let hash = over_all();
    let csv = |rows: &str| hash.summer(Format::Csv, &texts(&["n", "word"])).sum(rows.as_bytes()).unwrap();
    let sum = csv("1,a\n2,b\n");
    for rows in ["\"1\",\"a\"\n\"2\",\"b\"\n", "1,\"a\"\r\n\"2\",b\r\n", "1,a\n2,\"b\""] {
        assert_eq!(csv(rows), sum, "{rows}");
    }
    csv("1,\"\"\"\"\n2,\"\"\"a\"\"\"\n3,\",\"\"\n,\"\n4,\"\u{feff}\"\n");
}

#[test]
fn empty_lines_are_named_where_they_could_be_rows() {
    let hash = RowHash::over(&texts(&["n"]), &table()).unwrap();
    let sum = |fields: &[&str], rows: &str| hash.summer(Format::Csv, &texts(fields)).sum(rows.as_bytes());
    for rows in ["1\n\n2\n", "1\r\n\r\n2\r\n", "1\n\n", "1\r\n\n"] {
        assert_eq!(sum(&["n"], rows).unwrap_err().row, 1, "{rows:?}");
    }
    assert_eq!(sum(&["n"], "\n").unwrap_err().row, 0);
    assert_eq!(sum(&["n"], "1\n\"\"\n").unwrap(), sum(&["n"], "\"\"\r\n1\r\n").unwrap());
    assert_eq!(sum(&["n", "word"], "1,a\n\n2,b\n").unwrap(), sum(&["n", "word"], "1,a\r\n2,b").unwrap());
    assert_eq!(sum(&["n"], "").unwrap(), 0);
}

#[test]
fn a_misfit_shows_the_beginning_of_a_long_value_only() {
    let misfit = csv("long", &"9x".repeat(1000)).unwrap_err().to_string();
    assert!(misfit.len() < 400 && misfit.contains("2000 bytes"), "{misfit}");
}

#[test]
fn a_summer_goes_on_after_a_misfit() {
    let hash = RowHash::over(&texts(&["n"]), &table()).unwrap();
    for format in [Format::Csv, Format::Json] {
        let (good, bad): (&[u8], &[u8]) = match format {
            Format::Csv => (b"1\n2\n", b"1\n\"x\n"),
            Format::Json => (b"{\"n\":1}\n{\"n\":2}\n", b"{\"n\":1}\n{\"n\":\"x\\n\n"),
        };
        let mut summer = hash.summer(format, &texts(&["n"]));
        let sum = summer.sum(good).unwrap();
        summer.sum(bad).unwrap_err();
        assert_eq!(summer.sum(good).unwrap(), sum);
    }
}

/// However many rows there are.
#[test]
fn a_sum_allocates_nothing_per_row() {
    let hash = over_all();
    let row = |format, rows: usize| match format {
        Format::Csv => {
            "1,true,,5,,1.5,2.50,2024-01-01T00:00:00Z,1.00:00:00,,\"a, \"\"b\"\"\",c,[]\n".repeat(rows)
        }
        Format::Json => concat!(
            r#"{"n":1,"flag":true,"long":5,"real":1.5,"price":"2.50","at":"2024-01-01T00:00:00Z","#,
            r#""span":"1.00:00:00","a text":"a\n\u00e4b","word":"c","bag":[1,2],"more":{"a":"\n"}}"#,
            "\n"
        )
        .repeat(rows),
    };
    for format in [Format::Csv, Format::Json] {
        let (few, many) = (row(format, 2), row(format, 500));
        let mut summer = hash.summer(format, &fields());
        let one = summer.sum(few.as_bytes()).unwrap() / 2;
        let mut sum = 0;
        let allocated = allocation_counter::measure(|| sum = summer.sum(many.as_bytes()).unwrap());
        assert_eq!(sum, one * 500);
        assert_eq!(allocated.count_total, 0, "{format:?}");
    }
}
