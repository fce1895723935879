//! The hot loop allocates nothing per row: counted, not believed.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use timely_kusto::types::{DateTime, Decimal, Timespan, duration_as_timespan};
use timely_kusto::{EncodedRows, Encoder, Format, RawEncoder, SerdeEncoder};
use uuid::Uuid;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
enum Kind {
    Hail,
}

/// A field of every kind, strings that must be quoted and escaped among them.
#[derive(Serialize)]
struct Row {
    id: Uuid,
    at: DateTime,
    span: Timespan,
    #[serde(with = "duration_as_timespan")]
    took: Duration,
    price: Decimal,
    long: i64,
    wide: i128,
    real: f64,
    none: f64,
    flag: bool,
    letter: char,
    kind: Kind,
    bytes: serde_bytes::ByteBuf,
    text: String,
    empty: String,
    maybe: Option<u8>,
    list: Vec<String>,
    map: BTreeMap<u32, f64>,
    nested: (u8, Option<String>),
}

fn row() -> Row {
    Row {
        id: Uuid::from_u128(7),
        at: DateTime::MAX,
        span: Timespan::MIN,
        took: Duration::from_millis(1),
        price: "1.5".parse().unwrap(),
        long: i64::MIN,
        wide: i128::MIN,
        real: 0.1,
        none: f64::NAN,
        flag: true,
        letter: '"',
        kind: Kind::Hail,
        bytes: serde_bytes::ByteBuf::from(vec![1, 2, 3]),
        text: "a \"quoted\", line\nbreak".into(),
        empty: String::new(),
        maybe: None,
        list: vec!["x\"y".into(), "z".into()],
        map: BTreeMap::from([(1, 1.5), (2, 2.5)]),
        nested: (1, Some("é".into())),
    }
}

/// Allocations of a thousand rows after the first one, into a buffer that is large enough.
fn allocations<T: ?Sized>(encoder: &mut impl Encoder<T>, record: &T) -> u64 {
    let mut out = Vec::with_capacity(4 << 20);
    encoder.encode(record, &mut out).unwrap();
    let counted = allocation_counter::measure(|| {
        for _ in 0..1000 {
            encoder.encode(record, &mut out).unwrap();
        }
    });
    assert_eq!(out.len() % 1001, 0, "all rows are alike");
    counted.count_total
}

#[test]
fn a_struct_as_csv_allocates_nothing() {
    assert_eq!(allocations(&mut SerdeEncoder::new(Format::Csv), &row()), 0);
}

#[test]
fn a_struct_as_json_allocates_nothing() {
    assert_eq!(allocations(&mut SerdeEncoder::new(Format::Json), &row()), 0);
}

#[test]
fn a_map_as_json_allocates_nothing() {
    let record = BTreeMap::from([("a", 1), ("b", 2)]);
    assert_eq!(allocations(&mut SerdeEncoder::new(Format::Json), &record), 0);
}

#[test]
fn rows_encoded_already_allocate_nothing() {
    let mut rows = EncodedRows::default();
    rows.push_row(b"1,2");
    assert_eq!(allocations(&mut RawEncoder::new(), &rows), 0);
}

#[test]
fn the_count_counts() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![1u8; 100])));
    assert_eq!(counted.count_total, 1);
}
