//! Records become checked rows: what is written, and what is refused with its place.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use pipelines::ErrorKind;
use pipelines::convert::{BlockConverter, BoundColumn, Columns};
use pipelines::file::{Block, FileFormat};
use pipelines::types::ColumnType;
use timely_kusto::{EncodedRows, Format};

fn convert(
    source: FileFormat,
    format: Format,
    types: &[ColumnType],
    max_value_bytes: usize,
    text: &[u8],
) -> Result<String, pipelines::Error> {
    let name = |index: usize| format!("c{index}");
    let columns = types.iter().enumerate().map(|(index, column_type)| BoundColumn {
        field: name(index),
        column: name(index).to_uppercase(),
        column_type: *column_type,
    });
    let columns = Arc::new(Columns { columns: columns.collect(), max_value_bytes });
    let files: Arc<[String]> = vec!["f.csv".to_owned()].into();
    let mut converter = BlockConverter::new(files, source, columns, format);
    let block = Block { file: 0, line: 10, array: false, text: text.to_vec() };
    let mut rows = EncodedRows::default();
    converter.convert(&block, &mut rows)?;
    Ok(String::from_utf8(rows.bytes().to_vec()).unwrap())
}

fn csv(types: &[ColumnType], text: &str) -> Result<String, pipelines::Error> {
    convert(FileFormat::Csv, Format::Csv, types, 1 << 20, text.as_bytes())
}

fn one(column_type: ColumnType, field: &str) -> Result<String, String> {
    let row = csv(&[column_type, ColumnType::String], &format!("{field},x\n"));
    row.map(|row| row.strip_suffix(",x\n").unwrap().to_owned()).map_err(|error| error.to_string())
}

/// Per type: the text of a field, and what is written for it.
const ACCEPTED: &[(ColumnType, &[(&str, &str)])] = &[
    (
        ColumnType::Bool,
        &[("true", "true"), ("FALSE", "false"), ("1", "true"), ("0", "false"), ("", ""), (" ", "")],
    ),
    (
        ColumnType::Int,
        &[("2147483647", "2147483647"), ("-2147483648", "-2147483648"), ("+7", "7"), ("007", "7")],
    ),
    (
        ColumnType::Long,
        &[
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("0", "0"),
            ("-0", "0"),
            ("-007", "-7"),
            (" 5 ", "5"),
            ("\"5\"", "5"),
            ("\"\"", ""),
        ],
    ),
    (
        ColumnType::Real,
        &[
            ("1.5", "1.5"),
            ("-2.5E-3", "-2.5E-3"),
            ("1e308", "1e308"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("+1", "1.0"),
            ("nan", "NaN"),
            ("-inf", "-Infinity"),
            ("Infinity", "Infinity"),
        ],
    ),
    (
        ColumnType::Decimal,
        &[
            ("1.0", "1.0"),
            ("1234567890123456789012345678901234", "1234567890123456789012345678901234"),
            ("+.5", "0.5"),
        ],
    ),
    (
        ColumnType::DateTime,
        &[
            ("2014-05-25T08:20:03.1234567Z", "2014-05-25T08:20:03.1234567Z"),
            ("2014-05-25T08:20:03.123456789Z", "2014-05-25T08:20:03.1234567Z"),
            ("2014-11-08 15:55", "2014-11-08T15:55:00Z"),
            ("2014-11-08", "2014-11-08T00:00:00Z"),
            ("2014-01-01T00:30:00+01:00", "2013-12-31T23:30:00Z"),
            ("2016-02-29", "2016-02-29T00:00:00Z"),
            ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z"),
            ("0001-01-01", "0001-01-01T00:00:00Z"),
        ],
    ),
    (ColumnType::TimeSpan, &[("-1.02:03:04.5", "-1.02:03:04.5"), ("00:00:00", "00:00:00")]),
    (
        ColumnType::Guid,
        &[
            ("74be27de-1e4e-49d9-b579-fe0b331d3642", "74be27de-1e4e-49d9-b579-fe0b331d3642"),
            ("{74be27de-1e4e-49d9-b579-fe0b331d3642}", "74be27de-1e4e-49d9-b579-fe0b331d3642"),
        ],
    ),
    (ColumnType::Dynamic, &[("\"{\"\"a\"\":[1,2]}\"", "\"{\"\"a\"\":[1,2]}\""), ("17", "17"), ("", "")]),
    (
        ColumnType::String,
        &[
            ("", "\"\""),
            ("\"\"", "\"\""),
            ("plain", "plain"),
            ("\"a, \"\"b\"\"\"", "\"a, \"\"b\"\"\""),
            ("\"two\nlines\"", "\"two\nlines\""),
            ("007", "007"),
            (" x", "\" x\""),
            ("5\" pipe", "\"5\"\" pipe\""),
            ("ü", "ü"),
        ],
    ),
];

#[test]
fn every_documented_text_is_written_in_its_canonical_form() {
    for (column_type, cases) in ACCEPTED {
        for (field, expected) in *cases {
            assert_eq!(one(*column_type, field).as_deref(), Ok(*expected), "{field:?} as {column_type}");
        }
    }
}

#[test]
fn text_that_the_service_would_store_as_null_is_refused() {
    let refused: &[(ColumnType, &[&str])] = &[
        (ColumnType::Bool, &["yes", "2", "t"]),
        (ColumnType::Int, &["2147483648", "-2147483649", "1.0", "1e3", "x", "0x10"]),
        (ColumnType::Long, &["9223372036854775808", "1 000", "1_000", "--1", "+", "-"]),
        (ColumnType::Real, &["1e999", "1..5", "e5", ".", "1e", "0x1p3", "nanx"]),
        (ColumnType::Decimal, &["12345678901234567890123456789012345", "NaN", "."]),
        (
            ColumnType::DateTime,
            &[
                "2014-02-29",
                "2014-13-01",
                "2014-1-1",
                "24:00",
                "2014-05-25T24:00:00",
                "2014-05-25T08:20:03.Z",
                "25.05.2014",
            ],
        ),
        (ColumnType::TimeSpan, &["25:00:00", "1:2:3", "00:60:00", "00:00:00.12345678", "99999999.00:00:00"]),
        (ColumnType::Guid, &["74be27de1e4e49d9b579fe0b331d3642", "74be27de-1e4e-49d9-b579-fe0b331d364g"]),
        (ColumnType::Dynamic, &["{", "plain text"]),
    ];
    for (column_type, fields) in refused {
        for field in *fields {
            let error = one(*column_type, field).unwrap_err();
            assert!(error.contains(&format!("of type {column_type}")), "{field:?}: {error}");
        }
    }
}

#[test]
fn a_misfit_is_named_with_file_line_column_value_and_type() {
    let types = [ColumnType::String, ColumnType::Long];
    let error = csv(&types, "\"ä\nb\",1\nü,\"x\"\n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Record);
    assert_eq!(
        error.message(),
        "f.csv, line 12, column 3, field \"c1\": \"x\" does not fit column C1 of type long: it must be a whole number"
    );
    let long = "y".repeat(1000);
    let error = csv(&types, &format!("a,{long}\n")).unwrap_err().to_string();
    assert!(error.contains("and 940 bytes more") && error.len() < 400, "{error}");
}

#[test]
fn malformed_csv_is_named_with_its_place() {
    let types = [ColumnType::String, ColumnType::String];
    let cases = [
        ("a,b\nc\n", "f.csv, line 11: the record has 1 fields instead of 2"),
        ("a,b\nc,d,e\n", "line 11: the record has 3 fields instead of 2"),
        ("a,b\nc,\"d\n", "line 11, column 3, field \"c1\": the quote that opens here is never closed"),
        (
            "a,\"b\" c\n",
            "line 10, column 6, field \"c1\": a closing quote is followed by neither comma nor line end",
        ),
    ];
    for (text, expected) in cases {
        let error = csv(&types, text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = convert(FileFormat::Csv, Format::Csv, &types, 100, b"a,b\nc,\xff\n").unwrap_err().to_string();
    assert!(error.contains("line 11, column 3: the text is not UTF-8"), "{error}");
}

#[test]
fn a_value_above_the_limit_is_refused_and_one_at_it_is_kept() {
    let types = [ColumnType::String];
    let at = |length: usize| {
        convert(FileFormat::Csv, Format::Csv, &types, 1 << 20, format!("{}\n", "z".repeat(length)).as_bytes())
    };
    assert_eq!(at(1 << 20).unwrap().len(), (1 << 20) + 1);
    let error = at((1 << 20) + 1).unwrap_err().to_string();
    assert!(error.contains("1048576 bytes") && error.contains("MaxValueSize"), "{error}");
}

#[test]
fn a_row_of_one_empty_number_is_not_a_blank_line() {
    assert_eq!(csv(&[ColumnType::Long], "1\n\" \"\n2\n").unwrap(), "1\n\"\"\n2\n");
}

#[test]
fn csv_becomes_json_with_the_names_of_the_columns() {
    let types =
        [ColumnType::Long, ColumnType::String, ColumnType::Real, ColumnType::Guid, ColumnType::Dynamic];
    let text = "007,\"a \"\"q\"\"\n\",NaN,,\"{\"\"k\"\": 1}\"\n,,,,\n";
    let rows = convert(FileFormat::Csv, Format::Json, &types, 100, text.as_bytes()).unwrap();
    let expected = concat!(
        r#"{"C0":7,"C1":"a \"q\"\n","C2":"NaN","C3":null,"C4":{"k": 1}}"#,
        "\n",
        r#"{"C0":null,"C1":"","C2":null,"C3":null,"C4":null}"#,
        "\n"
    );
    assert_eq!(rows, expected);
}

#[test]
fn json_members_find_their_columns_in_any_order() {
    let types = [ColumnType::Long, ColumnType::String, ColumnType::Dynamic, ColumnType::Bool];
    let text = concat!(
        r#"{"c0":1,"c1":"a\u00e4\n\ud83d\ude00","c2":{"x":[1,"}"]},"c3":true}"#,
        "\n\n",
        r#"{"c3":null,"c2":"text","c0":"5"}"#,
        "\r\n",
        r#"{"c1":17,"c2":null}"#
    );
    let rows = convert(FileFormat::Json, Format::Csv, &types, 100, text.as_bytes()).unwrap();
    let expected = "1,\"aä\n😀\",\"{\"\"x\"\":[1,\"\"}\"\"]}\",true\n5,\"\",\"\"\"text\"\"\",\n,17,,\n";
    assert_eq!(rows, expected);
}

#[test]
fn json_that_can_be_no_row_is_named_with_its_place() {
    let types = [ColumnType::Long, ColumnType::String];
    let cases = [
        ("{\"c0\":1}\n{\"c0\":1,\"new\":2}\n", "line 11", "no column for the field \"new\""),
        ("{\"c0\":1,\"c0\":2}\n", "line 10", "stands twice"),
        ("{\"c0\":\n1}\n", "line 10", "no row can be made"),
        ("{\"c0\":1} {\"c0\":2}\n", "line 10, column 10", "trailing characters"),
        ("{\"c0\":1.5}\n", "line 10, column 7", "without fraction"),
        ("{\"c0\":true}\n", "line 10, column 7", "a truth value fits"),
        ("{\"c0\":{}}\n", "line 10, column 7", "an object or array fits"),
        ("{\"c1\":\"\\ud800\"}\n", "line 10, column 7", "surrogate"),
        ("[1]\n", "line 10", "no row can be made"),
    ];
    for (text, place, wrong) in cases {
        let error =
            convert(FileFormat::Json, Format::Csv, &types, 100, text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(wrong), "{text}: {error}");
    }
}
