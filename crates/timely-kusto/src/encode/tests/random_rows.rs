//! Random rows of all types, read back by the `csv` crate and by `serde_json`.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encode::{Encoder, SerdeEncoder};
use crate::options::Format;
use crate::types::{DateTime, Decimal, Timespan};

/// A row with a field of every kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    flag: bool,
    small: i8,
    int: i32,
    long: i64,
    unsigned: u64,
    wide: i128,
    real: f64,
    single: f32,
    letter: char,
    text: String,
    maybe: Option<i64>,
    at: DateTime,
    span: Timespan,
    price: Decimal,
    list: Vec<Option<String>>,
    map: BTreeMap<String, f64>,
    last: String,
}

struct Source(StdRng);

impl Source {
    /// Mostly what readers stumble over.
    fn letter(&mut self) -> char {
        const NASTY: &[char] = &[
            ',', '"', '\n', '\r', '\t', ' ', '\'', '\\', '{', '\0', '\u{7f}', '\u{feff}', '\u{2028}', 'ä',
            '雪', '🌪',
        ];
        match self.0.random_range(0..3) {
            0 => NASTY[self.0.random_range(0..NASTY.len())],
            1 => self.0.random_range('a'..='z'),
            _ => self.0.random(),
        }
    }

    fn text(&mut self) -> String {
        let longest = [0, 1, 2, 5, 40, 300][self.0.random_range(0..6usize)];
        (0..longest).map(|_| self.letter()).collect()
    }

    /// Bits at random, and the extremes.
    fn long(&mut self) -> i64 {
        match self.0.random_range(0..6) {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => 0,
            _ => self.0.random::<i64>() >> self.0.random_range(0..64),
        }
    }

    fn real(&mut self) -> f64 {
        let real = f64::from_bits(self.0.random());
        if real.is_finite() { real } else { f64::MIN_POSITIVE }
    }

    fn row(&mut self) -> Row {
        let long = self.long();
        let real = self.real();
        let single = real as f32;
        Row {
            flag: self.0.random(),
            small: long as i8,
            int: long as i32,
            long,
            unsigned: self.long() as u64,
            wide: i128::from(self.long()) << self.0.random_range(0..64),
            real,
            single: if single.is_finite() { single } else { f32::MAX },
            letter: self.letter(),
            text: self.text(),
            maybe: self.0.random::<bool>().then(|| self.long()),
            at: DateTime::from_ticks(self.0.random_range(0..=DateTime::MAX.ticks())).unwrap(),
            span: Timespan::from_ticks(self.long()),
            price: format!("{}.{:03}", self.long(), self.0.random_range(0..1000)).parse::<Decimal>().unwrap(),
            list: (0..self.0.random_range(0..4))
                .map(|_| self.0.random::<bool>().then(|| self.text()))
                .collect(),
            map: (0..self.0.random_range(0..4)).map(|_| (self.text(), self.real())).collect(),
            last: self.text(),
        }
    }
}

/// Rows of a seed that stands in every message.
fn rows(seed: u64) -> Vec<Row> {
    let mut source = Source(StdRng::seed_from_u64(seed));
    (0..200).map(|_| source.row()).collect()
}

fn encode(format: Format, rows: &[Row]) -> Vec<u8> {
    let mut encoder = SerdeEncoder::new(format);
    let mut out = Vec::new();
    for row in rows {
        encoder.encode(row, &mut out).unwrap();
    }
    out
}

fn seeds() -> impl Iterator<Item = u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()].into_iter(),
        Err(_) => (0..20).collect::<Vec<_>>().into_iter(),
    }
}

/// What a reader that knows the types makes of the fields of a record.
fn from_fields(fields: &csv::StringRecord) -> Row {
    let field = |index: usize| &fields[index];
    let json = |index: usize| serde_json::from_str::<Value>(field(index)).unwrap();
    Row {
        flag: field(0).parse().unwrap(),
        small: field(1).parse().unwrap(),
        int: field(2).parse().unwrap(),
        long: field(3).parse().unwrap(),
        unsigned: field(4).parse().unwrap(),
        wide: field(5).parse().unwrap(),
        real: field(6).parse().unwrap(),
        single: field(7).parse().unwrap(),
        letter: field(8).parse().unwrap(),
        text: field(9).to_owned(),
        maybe: Some(field(10)).filter(|text| !text.is_empty()).map(|text| text.parse().unwrap()),
        at: field(11).parse().unwrap(),
        span: field(12).parse().unwrap(),
        price: field(13).parse().unwrap(),
        list: serde_json::from_value(json(14)).unwrap(),
        map: serde_json::from_str(field(15)).unwrap(),
        last: field(16).to_owned(),
    }
}

#[test]
fn csv_rows_come_back_from_the_csv_crate() {
    for seed in seeds() {
        let rows = rows(seed);
        let text = encode(Format::Csv, &rows);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_slice());
        let mut read = 0;
        for (record, row) in reader.records().zip(&rows) {
            assert_eq!(from_fields(&record.unwrap()), *row, "SEED={seed}, row {read}");
            read += 1;
        }
        assert_eq!(read, rows.len(), "SEED={seed}");
    }
}

#[test]
fn json_rows_come_back_from_serde_json() {
    for seed in seeds() {
        let rows = rows(seed);
        let text = encode(Format::Json, &rows);
        let lines: Vec<_> = text.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), rows.len(), "SEED={seed}");
        for (line, row) in lines.iter().zip(&rows) {
            assert_eq!(serde_json::from_slice::<Row>(line).unwrap(), *row, "SEED={seed}");
            assert_eq!(**line, serde_json::to_vec(row).unwrap(), "SEED={seed}");
        }
    }
}
