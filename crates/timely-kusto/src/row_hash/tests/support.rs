//! Random rows, and a cluster that has them.

use std::time::{SystemTime, UNIX_EPOCH};

use kusto_emulator::{Assumptions, Emulator};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::encode::{Encoder, SerdeEncoder};
use crate::options::Format;
use crate::row_hash::RowHash;
use crate::types::{DateTime, Decimal, Timespan};

pub(super) const DATABASE: &str = "Samples";

/// A row with a column of every type.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) n: u32,
    pub(super) flag: Option<bool>,
    pub(super) int: Option<i32>,
    pub(super) long: Option<i64>,
    pub(super) other: Option<i64>,
    pub(super) real: Option<f64>,
    pub(super) price: Option<Decimal>,
    pub(super) at: Option<DateTime>,
    pub(super) span: Option<Timespan>,
    pub(super) id: Option<Uuid>,
    #[serde(rename = "a text")]
    pub(super) text: String,
    pub(super) word: String,
    pub(super) bag: Vec<i32>,
}

/// The columns of its table.
pub(super) const COLUMNS: [(&str, &str); 13] = [
    ("n", "long"),
    ("flag", "bool"),
    ("int", "int"),
    ("long", "long"),
    ("other", "long"),
    ("real", "real"),
    ("price", "decimal"),
    ("at", "datetime"),
    ("span", "timespan"),
    ("id", "guid"),
    ("a text", "string"),
    ("word", "string"),
    ("bag", "dynamic"),
];

pub(super) fn table() -> Vec<(String, String)> {
    COLUMNS.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect()
}

pub(super) fn fields() -> Vec<String> {
    COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect()
}

pub(super) fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The hash over all columns that have a text.
pub(super) fn over_all() -> RowHash {
    RowHash::over(&texts(&["*"]), &table()).unwrap()
}

/// The seed that `KT_SEED` gives, or another one each time.
pub(super) fn seed() -> u64 {
    let given = std::env::var("KT_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64)
}

/// Where random rows come from.
pub(super) struct Source(StdRng);

impl Source {
    pub(super) fn new(seed: u64) -> Source {
        println!("KT_SEED={seed}");
        Source(StdRng::seed_from_u64(seed))
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Source) -> T) -> Option<T> {
        (self.0.random_range(0..8) > 0).then(|| make(self))
    }

    /// Bits at random, mostly few, and the extremes.
    pub(super) fn long(&mut self) -> i64 {
        match self.0.random_range(0..8) {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => 0,
            _ => self.0.random::<i64>() >> self.0.random_range(0..64),
        }
    }

    pub(super) fn real(&mut self) -> f64 {
        const EDGES: [f64; 10] = [
            0.0,
            -0.0,
            1.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            -0.1,
        ];
        match self.0.random_range(0..4) {
            0 => EDGES[self.0.random_range(0..EDGES.len())],
            1 => self.long() as f64,
            2 => self.0.random::<f64>() * 1000.0,
            _ => f64::from_bits(self.0.random()),
        }
    }

    fn decimal(&mut self) -> Decimal {
        let places = self.0.random_range(0..=15);
        let mut text = self.long().unsigned_abs().to_string();
        if places > 0 {
            text = format!("{text:0>width$}", width = places + 1);
            text.insert(text.len() - places, '.');
        }
        let sign = if self.0.random() { "-" } else { "" };
        format!("{sign}{text}").parse().unwrap()
    }

    pub(super) fn text(&mut self) -> String {
        const NASTY: &[char] = &[
            ',', '"', '\n', '\r', '\t', ' ', '\'', '\\', ':', '\u{1}', '\u{7f}', '\u{2028}', 'ä', '雪', '🌪',
            'é',
        ];
        let length = [0, 1, 2, 5, 40, 300][self.0.random_range(0..6usize)];
        let letter = |source: &mut StdRng| match source.random_range(0..3) {
            0 => NASTY[source.random_range(0..NASTY.len())],
            1 => source.random_range('a'..='z'),
            _ => source.random(),
        };
        (0..length).map(|_| letter(&mut self.0)).collect()
    }

    pub(super) fn row(&mut self, n: u32) -> Row {
        Row {
            n,
            flag: self.maybe(|it| it.0.random()),
            int: self.maybe(|it| it.long() as i32),
            long: self.maybe(Source::long),
            other: self.maybe(Source::long),
            real: self.maybe(Source::real),
            price: self.maybe(Source::decimal),
            at: self.maybe(|it| DateTime::from_ticks(it.0.random_range(0..=DateTime::MAX.ticks())).unwrap()),
            span: self.maybe(|it| Timespan::from_ticks(it.long())),
            id: self.maybe(|it| Uuid::from_u128(it.0.random())),
            text: self.text(),
            word: self.text(),
            bag: (0..self.0.random_range(0..3)).collect(),
        }
    }

    pub(super) fn rows(&mut self, count: u32) -> Vec<Row> {
        (0..count).map(|n| self.row(n)).collect()
    }

    pub(super) fn rng(&mut self) -> &mut impl Rng {
        &mut self.0
    }
}

pub(super) fn encode<T: Serialize>(format: Format, rows: &[T]) -> Vec<u8> {
    let mut encoder = SerdeEncoder::new(format);
    let mut out = Vec::new();
    for row in rows {
        encoder.encode(row, &mut out).unwrap();
    }
    out
}

pub(super) fn name(format: Format) -> &'static str {
    match format {
        Format::Csv => "csv",
        Format::Json => "json",
    }
}

/// A cluster with a table `T`.
pub(super) struct Cluster(Emulator);

impl Cluster {
    pub(super) fn new(columns: &[(String, String)]) -> Cluster {
        Cluster::that_assumes(columns, |_| ())
    }

    pub(super) fn that_assumes(
        columns: &[(String, String)],
        change: impl FnOnce(&mut Assumptions),
    ) -> Cluster {
        let mut assumptions = Assumptions::default();
        change(&mut assumptions);
        let cluster =
            Cluster(Emulator::builder().database(DATABASE).assumptions(assumptions).start().unwrap());
        let column = |(name, kind): &(String, String)| format!("['{}']:{kind}", name.replace('\'', "\\'"));
        let columns: Vec<String> = columns.iter().map(column).collect();
        cluster.command(&format!(".create table T ({})", columns.join(", ")));
        cluster
    }

    pub(super) fn command(&self, command: &str) {
        self.0.handle().command(DATABASE, command).unwrap();
    }

    /// Puts these rows, and no others, into the table.
    pub(super) fn hold(&self, format: Format, rows: &[u8]) {
        self.command(".clear table T data");
        let rows = std::str::from_utf8(rows).unwrap();
        self.command(&format!(".ingest inline into table T with (format = '{}') <|\n{rows}", name(format)));
    }

    pub(super) fn query(&self, query: &str) -> Vec<Value> {
        self.0.handle().query(DATABASE, query).unwrap_or_else(|error| panic!("{error}\n{query}"))
    }

    /// The sum over the table.
    pub(super) fn sum(&self, hash: &RowHash) -> u64 {
        let (functions, number) = (hash.functions(), hash.expression());
        self.query(&format!("{functions}T | summarize s = sum({number})"))[0][0].as_u64().unwrap()
    }

    /// The number of each row, in the order of `n`.
    pub(super) fn numbers(&self, hash: &RowHash) -> Vec<u64> {
        let (functions, number) = (hash.functions(), hash.expression());
        let rows = self.query(&format!("{functions}T | project n, number = {number} | order by n asc"));
        rows.iter().map(|row| row[1].as_u64().unwrap()).collect()
    }
}
