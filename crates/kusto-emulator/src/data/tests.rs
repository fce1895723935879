//! The vocabulary's promises.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;

fn text_of(value: &Value) -> String {
    let mut text = String::new();
    write_value_text(value, &mut text);
    text
}

fn json_of(ty: ColumnType, text: &str) -> String {
    let mut builder = ColumnBuilder::new(ty);
    builder.push_text(text);
    let mut json = String::new();
    builder.finish().write_json(0, &mut json);
    let mut again = String::new();
    write_value_json(&parse_text(ty, text), &mut again);
    if ty != ColumnType::Dynamic {
        assert_eq!(json, if ty == ColumnType::String { json.clone() } else { again });
    }
    json
}

#[test]
fn types_are_known_by_all_of_their_names() {
    for ty in ColumnType::ALL {
        for name in [ty.csl_name(), ty.system_name(), ty.v1_name()] {
            assert_eq!(ColumnType::parse(name), Some(ty), "{name}");
        }
    }
    for (alias, ty) in [
        ("Boolean", ColumnType::Bool),
        ("int32", ColumnType::Int),
        ("INT64", ColumnType::Long),
        ("double", ColumnType::Real),
        ("date", ColumnType::DateTime),
        ("time", ColumnType::TimeSpan),
        ("uuid", ColumnType::Guid),
        ("uniqueid", ColumnType::Guid),
    ] {
        assert_eq!(ColumnType::parse(alias), Some(ty), "{alias}");
    }
    assert_eq!(ColumnType::parse("text"), None);
}

#[test]
fn text_of_csv_becomes_values_and_what_is_none_becomes_null() {
    use ColumnType::{Bool, DateTime, Decimal, Dynamic, Guid, Int, Long, Real, String, TimeSpan};
    let cases = [
        (Bool, "TRUE", "true"),
        (Bool, "0", "false"),
        (Bool, "yes", "null"),
        (Int, "-2147483648", "-2147483648"),
        (Int, "2147483648", "null"),
        (Int, "+5", "5"),
        (Long, "9223372036854775807", "9223372036854775807"),
        (Long, "9223372036854775808", "null"),
        (Long, "1.0", "null"),
        (Real, "-2.5E-3", "-0.0025"),
        (Real, "NaN", "\"NaN\""),
        (Real, "-Infinity", "\"-Infinity\""),
        (Real, "1e400", "\"Infinity\""),
        (Real, "x", "null"),
        (Real, "", "null"),
        (Decimal, "1.0", "\"1.0\""),
        (Decimal, "1e5", "\"100000\""),
        (Decimal, "2.00000000000001", "\"2.00000000000001\""),
        (Decimal, "1234567890123456789012345678901234", "\"1234567890123456789012345678901234\""),
        (Decimal, "1.2.3", "null"),
        (DateTime, "2014-05-25T08:20:03.1234567Z", "\"2014-05-25T08:20:03.1234567Z\""),
        (DateTime, "2014-11-08 15:55", "\"2014-11-08T15:55:00.0000000Z\""),
        (DateTime, "2014-11-08", "\"2014-11-08T00:00:00.0000000Z\""),
        (DateTime, "2014-11-08T15:55:55+02:00", "\"2014-11-08T13:55:55.0000000Z\""),
        (DateTime, "Sat, 8 Nov 14 15:05:02 GMT", "\"2014-11-08T15:05:02.0000000Z\""),
        (DateTime, "Saturday, 08-Nov-14 15:05:02 UTC", "\"2014-11-08T15:05:02.0000000Z\""),
        (DateTime, "0001-01-01", "\"0001-01-01T00:00:00.0000000Z\""),
        (DateTime, "9999-12-31T23:59:59.9999999Z", "\"9999-12-31T23:59:59.9999999Z\""),
        (DateTime, "2023-02-29", "null"),
        (DateTime, "today", "null"),
        (TimeSpan, "01:23:45.6789000", "\"01:23:45.6789000\""),
        (TimeSpan, "-1.00:00:00", "\"-1.00:00:00\""),
        (TimeSpan, "25:00:00", "null"),
        (Guid, "74BE27DE-1e4e-49d9-b579-fe0b331d3642", "\"74be27de-1e4e-49d9-b579-fe0b331d3642\""),
        (Guid, "x", "null"),
        (String, "", "\"\""),
        (String, " a\"\n\u{1}ä", "\" a\\\"\\n\\u0001ä\""),
        (Dynamic, "{ \"b\" : [1, \" x \"], \"a\":2 }", "{\"b\":[1,\" x \"],\"a\":2}"),
        (Dynamic, "no json", "\"no json\""),
        (Dynamic, "", "null"),
        (Dynamic, "null", "null"),
        (Dynamic, "18446744073709551616", "18446744073709551616"),
        (Dynamic, "[1E3,\"1e9\"]", "[1000.0,\"1e9\"]"),
        (Dynamic, "{\"a\":1e999}", "\"{\\\"a\\\":1e999}\""),
    ];
    for (ty, text, json) in cases {
        assert_eq!(json_of(ty, text), json, "{ty} of {text:?}");
    }
}

#[test]
fn instants_survive_their_text_on_every_day_of_the_calendar() {
    for day in (0..=MAX_DATETIME / TICKS_PER_DAY).step_by(29) {
        let instant = day * TICKS_PER_DAY + (day % 86_400) * TICKS_PER_SECOND + day % 10_000_000;
        let mut text = String::new();
        format_datetime(instant, &mut text);
        assert_eq!(parse_datetime(&text), Some(instant), "{text}");
        assert_eq!(Civil::of(instant).instant(), Some(instant));
    }
    assert_eq!(parse_datetime("1970-01-01"), Some(UNIX_EPOCH));
}

#[test]
fn decimals_compute_exactly_to_34_digits() {
    let of = |text: &str| Decimal::parse(text).unwrap();
    assert_eq!(of("0.1").add(of("0.2")).unwrap(), of("0.3"));
    assert_eq!(of("1").div(of("3")).unwrap().to_string(), format!("0.{}", "3".repeat(34)));
    assert_eq!(of("2").div(of("3")).unwrap().to_string(), format!("0.{}7", "6".repeat(33)));
    assert_eq!(of("-1.5").mul(of("1.5")).unwrap().to_string(), "-2.25");
    let big = of(&"9".repeat(34));
    assert_eq!(big.add(of("1")), None);
    assert_eq!(big.mul(big), None);
    assert_eq!(of("1").div(Decimal::ZERO), None);
    assert!(of("1.10") == of("1.1") && of("1.10").normalized() == of("1.1").normalized());
    assert!(of("-2") < of("-1.999") && of("0.0000000001") > Decimal::ZERO && of("1e33") > of("9.99"));
    assert_eq!(
        of("12345678901234567890").mul(of("0.00000000000001")).unwrap().to_string(),
        "123456.78901234567890"
    );
    assert_eq!(Decimal::from_f64(0.1).unwrap().to_string(), "0.1");
    assert_eq!(of("-7.9").to_i64(), Some(-7));
    assert_eq!(Decimal::parse("1e40"), None);
}

#[test]
fn columns_give_back_what_was_put_in_through_slices_selections_and_storage() {
    for (ty, texts) in [
        (ColumnType::Long, ["1", "", "-3"]),
        (ColumnType::String, ["a", "", "ä€"]),
        (ColumnType::Dynamic, ["{\"a\":1}", "", "[2]"]),
        (ColumnType::Decimal, ["1.5", "", "2"]),
        (
            ColumnType::Guid,
            ["74be27de-1e4e-49d9-b579-fe0b331d3642", "", "00000000-0000-0000-0000-000000000001"],
        ),
    ] {
        let mut builder = ColumnBuilder::new(ty);
        let values: Vec<Value> = (0..300).map(|at| parse_text(ty, texts[at % 3])).collect();
        (0..300).for_each(|at| {
            builder.push_text(texts[at % 3]);
        });
        let column = builder.finish();
        let all: Vec<Value> = (0..column.len()).map(|row| column.value(row)).collect();
        assert_eq!(all, values, "{ty}");
        let slice = column.slice(100, 101);
        assert!((0..101).all(|row| slice.value(row) == values[row + 100]));
        let taken = column.take(&[299, 0, 0, 1]);
        assert_eq!(
            [299, 0, 0, 1].map(|row: usize| values[row].clone()),
            [0, 1, 2, 3].map(|row| taken.value(row))
        );
        let stored = serde_json::to_string(&column).unwrap();
        let loaded: ColumnData = serde_json::from_str(&stored).unwrap();
        assert!((0..300).all(|row| loaded.value(row) == values[row]));
        let mut joined = ColumnBuilder::new(ty);
        joined.extend(&slice);
        joined.extend(&taken);
        assert_eq!((joined.len(), joined.finish().value(101)), (105, values[299].clone()));
    }
}

#[test]
fn a_string_is_never_null_and_other_types_can_be() {
    for ty in ColumnType::ALL {
        let mut builder = ColumnBuilder::new(ty);
        builder.push_null();
        let column = builder.finish();
        assert_eq!(column.is_null(0), ty != ColumnType::String);
        assert_eq!(column.value(0), if ty == ColumnType::String { Value::from("") } else { Value::Null });
    }
}

#[test]
fn damaged_text_columns_are_refused_not_read() {
    let arena = |ends: &str| serde_json::from_str::<Arena>(&format!("{{\"text\":\"aä\",\"ends\":{ends}}}"));
    assert!(arena("[1,3]").is_ok());
    assert!(arena("[2]").is_err());
    assert!(arena("[1,0]").is_err());
    assert!(arena("[9]").is_err());
}

#[test]
fn json_values_are_taken_by_the_type_of_the_column() {
    let json: serde_json::Value = serde_json::from_str("[1, 2.5, true, \"7\", {\"a\":[1]}, null]").unwrap();
    let filled = |ty| {
        let mut builder = ColumnBuilder::new(ty);
        json.as_array().unwrap().iter().for_each(|item| builder.push_json(item));
        let column = builder.finish();
        let mut out = String::new();
        (0..column.len()).for_each(|row| {
            column.write_json(row, &mut out);
            out.push(' ');
        });
        out
    };
    assert_eq!(filled(ColumnType::Long), "1 null null 7 null null ");
    assert_eq!(filled(ColumnType::Real), "1.0 2.5 null 7.0 null null ");
    assert_eq!(filled(ColumnType::String), "\"1\" \"2.5\" \"true\" \"7\" \"{\\\"a\\\":[1]}\" \"\" ");
    assert_eq!(filled(ColumnType::Dynamic), "1 2.5 true \"7\" {\"a\":[1]} null ");
}

#[test]
fn scalars_have_a_text() {
    assert_eq!(text_of(&Value::Real(1.0)), "1.0");
    assert_eq!(text_of(&Value::Bool(true)), "true");
    assert_eq!(text_of(&Value::Dynamic(Arc::new(serde_json::json!("x")))), "x");
    assert_eq!(text_of(&Value::TimeSpan(-TICKS_PER_DAY - 1)), "-1.00:00:00.0000001");
}

/// Text that looks like a value: pieces of values in any order, now and then any character.
fn piece(rng: &mut StdRng) -> String {
    const PIECES: [&str; 40] = [
        "2024",
        "-",
        "02",
        "29",
        "T",
        "12:30",
        ":15",
        ".1234567",
        "Z",
        "+02:00",
        "/",
        " ",
        "Sat, 8 Nov 14",
        "GMT",
        "1",
        "0",
        "9",
        "e",
        "E-34",
        "99999999999999999999",
        ".",
        "{",
        "}",
        "[",
        "]",
        "\"a\"",
        ":",
        ",",
        "null",
        "true",
        "\\u0041",
        "NaN",
        "Inf",
        "74be27de-1e4e-49d9-b579-fe0b331d3642",
        "d",
        "1.00:00:00",
        "\u{e4}",
        "\u{1F980}",
        "\"",
        "\t",
    ];
    (0..rng.random_range(1..7)).map(|_| PIECES[rng.random_range(0..PIECES.len())]).collect()
}

#[test]
fn any_text_is_parsed_without_a_panic_and_a_value_survives_its_own_text() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let seed = number("KQL_FUZZ_SEED").unwrap_or_else(rand::random);
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..20_000 * number("KQL_FUZZ_LONG").unwrap_or(1) {
        let text = piece(&mut rng);
        for ty in ColumnType::ALL {
            let value = parse_text(ty, &text);
            let again = parse_text(ty, &text_of(&value));
            let nan =
                matches!((&value, &again), (Value::Real(a), Value::Real(b)) if a.is_nan() && b.is_nan());
            let is_text = matches!(&value, Value::Dynamic(json) if json.is_string());
            let told = format!("KQL_FUZZ_SEED={seed}: {ty} of {text:?}: {value:?}, then {again:?}");
            assert!(nan || is_text || again == value, "{told}");
            let mut builder = ColumnBuilder::new(ty);
            builder.push_text(&text);
            let built = builder.finish().value(0);
            assert!(nan || built == value, "{told}, and {built:?} in a column");
        }
    }
}
