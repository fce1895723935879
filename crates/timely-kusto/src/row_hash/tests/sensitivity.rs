//! What the sum sees.

use super::support::{Row, Source, encode, fields, over_all, seed, texts};
use crate::options::Format;
use crate::row_hash::value::{self, Given};
use crate::row_hash::{Kind, RowHash};

fn sum(rows: &[Row]) -> u64 {
    over_all().summer(Format::Csv, &fields()).sum(&encode(Format::Csv, rows)).unwrap()
}

/// The text of a row's column.
fn text(row: &Row, column: &str) -> String {
    let value = serde_json::to_value(row).unwrap()[column].clone();
    match value {
        serde_json::Value::Number(number) if number.as_f64() == Some(0.0) => "0".to_owned(),
        other => other.to_string(),
    }
}

/// The row with another's value in a column.
fn with(row: &Row, other: &Row, column: &str) -> Row {
    let mut row = row.clone();
    match column {
        "n" => row.n = other.n,
        "flag" => row.flag = other.flag,
        "int" => row.int = other.int,
        "long" => row.long = other.long,
        "other" => row.other = other.other,
        "real" => row.real = other.real,
        "price" => row.price = other.price.clone(),
        "at" => row.at = other.at,
        "span" => row.span = other.span,
        "id" => row.id = other.id,
        "a text" => row.text = other.text.clone(),
        "word" => row.word = other.word.clone(),
        column => panic!("{column}"),
    }
    row
}

#[test]
fn one_changed_value_in_any_column_changes_the_sum() {
    let seed = seed();
    let rows = Source::new(seed).rows(40);
    let before = sum(&rows);
    for (column, _) in over_all().columns() {
        let mut changes = 0;
        for at in 0..rows.len() {
            let other = &rows[(at + 1) % rows.len()];
            let mut changed = rows.clone();
            changed[at] = with(&rows[at], other, column);
            // JSON has no word for numbers that are none, and decimals may differ in zeros.
            let real = |row: &Row| row.real.is_some_and(|real| !real.is_finite());
            let same = text(&rows[at], column) == text(other, column)
                || column == "real" && (real(&rows[at]) || real(other))
                || column == "price" && number_of(&rows[at]) == number_of(other);
            if !same {
                changes += 1;
                assert_ne!(sum(&changed), before, "KT_SEED={seed}: {column} of {:?}", rows[at]);
            }
        }
        assert!(changes > 3, "KT_SEED={seed}: {column} has hardly changed");
    }
}

fn number_of(row: &Row) -> Option<f64> {
    row.price.as_ref().map(|price| price.as_str().parse().unwrap())
}

#[test]
fn values_that_change_places_are_seen() {
    let seed = seed();
    let rows = Source::new(seed).rows(30);
    let before = sum(&rows);
    for at in 0..rows.len() {
        let mut columns = rows.clone();
        (columns[at].long, columns[at].other) = (rows[at].other, rows[at].long);
        assert_eq!(sum(&columns) == before, rows[at].long == rows[at].other, "KT_SEED={seed}");
        let mut texts = rows.clone();
        (texts[at].text, texts[at].word) = (rows[at].word.clone(), rows[at].text.clone());
        assert_eq!(sum(&texts) == before, rows[at].text == rows[at].word, "KT_SEED={seed}");
        let next = (at + 1) % rows.len();
        let mut between = rows.clone();
        (between[at].word, between[next].word) = (rows[next].word.clone(), rows[at].word.clone());
        assert_eq!(sum(&between) == before, rows[at].word == rows[next].word, "KT_SEED={seed}");
    }
}

#[test]
fn a_row_that_is_missing_or_there_twice_is_seen_and_order_is_not() {
    let seed = seed();
    let mut rows = Source::new(seed).rows(20);
    let before = sum(&rows);
    let mut more = rows.clone();
    more.push(rows[3].clone());
    assert_ne!(sum(&more), before, "KT_SEED={seed}");
    assert_ne!(sum(&rows[1..]), before, "KT_SEED={seed}");
    rows.reverse();
    assert_eq!(sum(&rows), before, "KT_SEED={seed}");
}

/// The number of a row of texts.
fn of_texts(row: &[&str]) -> u64 {
    let columns: Vec<(String, String)> =
        (0..row.len()).map(|at| (format!("c{at}"), "string".to_owned())).collect();
    let hash = RowHash::over(&texts(&["*"]), &columns).unwrap();
    let fields: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
    hash.summer(Format::Csv, &fields).sum(&encode(Format::Csv, &[row.to_vec()])).unwrap()
}

#[test]
fn texts_that_read_alike_when_joined_are_told_apart() {
    assert_ne!(of_texts(&["ab", "c"]), of_texts(&["a", "bc"]));
    assert_ne!(of_texts(&["a,", "b"]), of_texts(&["a", ",b"]));
    assert_ne!(of_texts(&["", "a"]), of_texts(&["a", ""]));
    assert_ne!(of_texts(&["1:a,", ""]), of_texts(&["", "1:a,"]));
    assert_ne!(of_texts(&["0:,", ""]), of_texts(&["", "0:,"]));
}

fn written(kind: Kind, text: &str) -> String {
    let mut out = Vec::new();
    value::write(kind, Given::Text(text.as_bytes()), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn each_real_has_a_text_of_its_own() {
    let seed = seed();
    let mut source = Source::new(seed);
    for _ in 0..20_000 {
        let bits: u64 = rand::RngExt::random(source.rng());
        let (one, next) = (f64::from_bits(bits), f64::from_bits(bits ^ 1));
        if !one.is_finite() || !next.is_finite() {
            continue;
        }
        let text = written(Kind::Real, &format!("{one:e}"));
        assert_ne!(text, written(Kind::Real, &format!("{next:e}")), "KT_SEED={seed}");
        assert_eq!(value_of(&text), one, "KT_SEED={seed}: {text}");
    }
}

/// Reads the text of a real back, from its description.
fn value_of(text: &str) -> f64 {
    let text = text.strip_suffix(',').unwrap();
    let (sign, text) = match text.split_at(1) {
        ("-", text) => (-1.0, text),
        ("+", text) => (1.0, text),
        _ => panic!("{text}"),
    };
    let parts: Vec<i64> = text.split(':').map(|part| part.parse().unwrap()).collect();
    let [range, whole, first, second] = parts[..] else { panic!("{text}") };
    let two = |exponent: i32| 2f64.powi(exponent);
    let scaled = whole as f64 + first as f64 * two(-62) + second as f64 * two(-124);
    // In two steps, since the last may lead to a subnormal number.
    let exponent = 128 * range as i32 - 952;
    sign * (scaled * two(exponent / 2)) * two(exponent - exponent / 2)
}

#[test]
fn one_value_has_one_text() {
    let same = [
        (Kind::Bool, &["true", "TRUE", "1"][..]),
        (Kind::Long, &["7", "007"]),
        (Kind::Long, &["0", "-0"]),
        (Kind::Real, &["0", "-0.0", "0e9"]),
        (Kind::Real, &["0.1", "1e-1", "0.10", "1E-1"]),
        (Kind::Decimal, &["1.5", "1.50", "15e-1", "01.5", "0.15E1"]),
        (Kind::Decimal, &["0", "-0.00", "0e5"]),
        (Kind::Decimal, &["100", "1e2", "100.0"]),
        (Kind::DateTime, &["2024-01-02", "2024-01-02 00:00", "2024-01-02T00:00:00.000000000Z"]),
        (Kind::Timespan, &["00:00:00", "-00:00:00", "0.00:00:00"]),
        (Kind::Guid, &["74be27de-1e4e-49d9-b579-fe0b331d3642", "74BE27DE-1E4E-49D9-B579-FE0B331D3642"]),
        (Kind::Int, &["", "  "]),
    ];
    for (kind, texts) in same {
        texts.iter().for_each(|text| assert_eq!(written(kind, text), written(kind, texts[0]), "{text}"));
    }
}
