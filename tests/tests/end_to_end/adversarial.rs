//! Rows that break what is not careful: every type at its ends, every character that means something to a format.

use std::fmt::Write;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use timely_kusto_tests::{Cluster, Config, Place, Rows, assert_same_rows, canonical, rows_of};

/// The columns behind `id: long`, one per type.
const COLUMNS: [(&str, &str); 10] = [
    ("b", "bool"),
    ("i", "int"),
    ("l", "long"),
    ("r", "real"),
    ("d", "decimal"),
    ("t", "datetime"),
    ("s", "timespan"),
    ("g", "guid"),
    ("x", "string"),
    ("y", "dynamic"),
];

/// A row: per column the text that the source has for it; none where there is nothing.
type Row = Vec<Option<String>>;

/// One row per value, all other columns empty; and one where everything is empty.
fn rows() -> Vec<Row> {
    let empty: Row = vec![None; COLUMNS.len()];
    let mut rows = vec![empty.clone()];
    for (at, (_, kind)) in COLUMNS.iter().enumerate() {
        for value in values(kind) {
            let mut row = empty.clone();
            row[at] = Some(value);
            rows.push(row);
        }
    }
    rows
}

fn values(kind: &str) -> Vec<String> {
    let list: &[&str] = match kind {
        "bool" => &["true", "false"],
        "int" => &["0", "-1", "-2147483648", "2147483647"],
        "long" => &["0", "-9223372036854775808", "9223372036854775807", "9007199254740993"],
        "real" => &[
            "NaN",
            "Infinity",
            "-Infinity",
            "1.7976931348623157e308",
            "-1.7976931348623157e308",
            "5e-324",
            "2.2250738585072014e-308",
            "-0.0",
            "0.1",
            "-99.49510000000001",
            "9007199254740993",
        ],
        "decimal" => &[
            "0",
            "9999999999999999999999999999999999",
            "-9999999999999999999999999999999999",
            "12345678901234567890.12345678901234",
            "0.0000000000000000000000000000000001",
        ],
        "datetime" => &[
            "0001-01-01T00:00:00.0000000Z",
            "0001-01-01T00:00:00.0000001Z",
            "9999-12-31T23:59:59.9999999Z",
            "2024-02-29 12:34:56.7891234",
            "1969-12-31T23:59:59.9999999Z",
            "1970-01-01",
        ],
        "timespan" => &[
            "00:00:00",
            "00:00:00.0000001",
            "-00:00:00.0000001",
            "10675198.23:59:59.9999999",
            "-10675198.23:59:59.9999999",
        ],
        "guid" => &[
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "74be27de-1e4e-49d9-b579-fe0b331d3642",
        ],
        "dynamic" => &[
            "{}",
            "[]",
            r#"{"a":[1,null,"x\"y,\r\n'z"],"b":{"c":"ü🦀"}}"#,
            r#""text, \"quoted\"""#,
            "-12.5",
            "true",
            r#"[[[[[[]]]]]]"#,
            r#"{"":"","null":null}"#,
        ],
        _ => return strings(),
    };
    let mut values: Vec<_> = list.iter().map(|text| (*text).to_owned()).collect();
    if kind == "dynamic" {
        values.push(serde_json::to_string(&vec!["a \"longer\" text,\n"; 40_000]).unwrap());
    }
    values
}

/// What the service keeps of a string.
const LARGEST: usize = 1 << 20;

fn strings() -> Vec<String> {
    let list = [
        "say \"hi\"",
        "\"",
        "\"\"",
        "\"quoted\"",
        "a,b",
        ",",
        ",,",
        "line\nbreak",
        "\n",
        "\r\n",
        "\r",
        "a\r",
        "cr\r\nlf",
        "\n\n\"\n,",
        "tab\t",
        "\t",
        " leading",
        "trailing ",
        " ",
        "'",
        "''",
        "\\",
        "\\n",
        "\\\"",
        "null",
        "NULL",
        "NaN",
        "true",
        "0",
        "007",
        "1e5",
        "#comment",
        "=1+1",
        "{\"a\":1}",
        "[1,2]",
        "{",
        "]",
        "2024-01-01",
        "\u{feff}bom",
        "ünïcödé",
        "漢字",
        "🦀 e\u{301} \u{200d}",
        "\u{2028}\u{2029}\u{85}",
        "\u{10ffff}",
        "\u{1}\u{7f}",
        "${x} $1 %s",
        "'; drop table T",
        "id,b,i",
        "-",
        "\u{0}",
    ];
    let mut strings: Vec<_> = list.map(str::to_owned).into();
    strings.push("x".repeat(LARGEST));
    strings.push("a \"b\",\r\nü ".repeat(LARGEST / 11));
    strings
}

/// The rows with `id` before each, as a csv file with this end of lines.
fn as_csv(rows: &[Row], crlf: bool) -> Vec<u8> {
    let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
    let mut writer = csv::WriterBuilder::new().terminator(end).from_writer(Vec::new());
    writer.write_record(["id"].into_iter().chain(COLUMNS.iter().map(|(name, _)| *name))).unwrap();
    for (id, row) in rows.iter().enumerate() {
        let fields = row.iter().map(|value| value.clone().unwrap_or_default());
        writer.write_record(std::iter::once(id.to_string()).chain(fields)).unwrap();
    }
    writer.into_inner().unwrap()
}

/// The rows as json objects. What is empty is a null, or not there; and the empty string in every third row.
fn as_objects(rows: &[Row]) -> Vec<String> {
    let object = |(id, row): (usize, &Row)| {
        let mut text = format!("{{\"id\":{id}");
        for (value, (name, kind)) in row.iter().zip(COLUMNS) {
            match (value, id % 3) {
                (Some(value), _) => drop(write!(text, ", \"{name}\" : {}", as_json(value, kind))),
                (None, 0) => drop(write!(text, ",\"{name}\":null")),
                (None, 1) if kind == "string" => drop(write!(text, ",\"{name}\":\"\"")),
                _ => {}
            }
        }
        text + "}"
    };
    rows.iter().enumerate().map(object).collect()
}

fn as_json(value: &str, kind: &str) -> String {
    let bare = match kind {
        "bool" | "int" | "long" | "decimal" | "dynamic" => true,
        "real" => !matches!(value, "NaN" | "Infinity" | "-Infinity"),
        _ => false,
    };
    if bare { value.to_owned() } else { Value::from(value).to_string() }
}

/// What the table is to hold.
fn expected(rows: &[Row]) -> Rows {
    let cell = |(value, (_, kind)): (&Option<String>, (&str, &str))| match value {
        None if kind == "string" => Some(String::new()),
        None => None,
        Some(value) => canonical(value, kind),
    };
    let row = |(id, row): (usize, &Row)| {
        std::iter::once(Some(id.to_string())).chain(row.iter().zip(COLUMNS).map(cell)).collect()
    };
    rows.iter().enumerate().map(row).collect()
}

/// A cluster with an empty table of all types.
struct Fixture {
    place: Place,
    cluster: Cluster,
}

impl Fixture {
    fn new() -> Self {
        let place = Place::new();
        let cluster = Cluster::start(&place);
        Fixture { place, cluster }
    }

    /// Runs the file into a new table, once in each format of rows, and holds the tables against `rows`.
    fn delivers(&self, file: &str, rows: &[Row], workers: &str) {
        let columns: Vec<_> = COLUMNS.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
        for format in ["csv", "json"] {
            let table = format!("T_{format}_{}", file.replace(|c: char| !c.is_alphanumeric(), "_"));
            self.cluster.ask(&format!(".create table {table} (id: long, {})", columns.join(", ")));
            let config = Config::new(self.cluster.url()).file(file).existing_table().table(&table);
            let config = config.sink(&format!("format = {format:?}")).state(&table);
            let outcome = self.place.run(&config, &["-w", workers]).expect(0);
            assert_eq!(outcome.number("rows_delivered"), rows.len() as u64);
            assert_same_rows(&self.read(&table), &expected(rows));
        }
    }

    /// All rows, in pages below the limits of an answer.
    fn read(&self, table: &str) -> Rows {
        let pages = (0..4).map(|page| self.cluster.ask(&format!("{table} | where id % 4 == {page}")));
        pages.flat_map(|page| rows_of(&page)).collect()
    }
}

#[test]
fn adversarial_rows_of_a_csv_file_survive() {
    let fixture = Fixture::new();
    fixture.place.write("rows.csv", as_csv(&rows(), false));
    fixture.delivers("rows.csv", &rows(), "1");
}

#[test]
fn adversarial_rows_of_a_gzip_csv_file_with_crlf_survive_four_workers() {
    let fixture = Fixture::new();
    fixture.place.write_gzip("rows.csv.gz", as_csv(&rows(), true));
    fixture.delivers("rows.csv.gz", &rows(), "4");
}

#[test]
fn adversarial_rows_of_json_lines_survive() {
    let fixture = Fixture::new();
    fixture.place.write("rows.jsonl", as_objects(&rows()).join("\n"));
    fixture.delivers("rows.jsonl", &rows(), "2");
}

#[test]
fn adversarial_rows_of_one_json_array_in_gzip_survive() {
    let fixture = Fixture::new();
    fixture.place.write_gzip("rows.json.gz", format!("[{}\n]\n", as_objects(&rows()).join(",\r\n ")));
    fixture.delivers("rows.json.gz", &rows(), "1");
}

#[test]
fn random_rows_survive_from_csv_and_from_json() {
    let seed =
        std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("SEED={seed} repeats this run");
    let mut chance = StdRng::seed_from_u64(seed);
    let rows: Vec<_> = (0..1_500).map(|_| random_row(&mut chance)).collect();
    let fixture = Fixture::new();
    fixture.place.write("rows.csv", as_csv(&rows, chance.random()));
    fixture.delivers("rows.csv", &rows, "3");
    fixture.place.write("rows.json", as_objects(&rows).join("\n"));
    fixture.delivers("rows.json", &rows, "2");
}

fn random_row(chance: &mut StdRng) -> Row {
    COLUMNS.iter().map(|(_, kind)| chance.random_bool(0.8).then(|| random_value(kind, chance))).collect()
}

fn random_value(kind: &str, chance: &mut StdRng) -> String {
    match kind {
        "bool" => chance.random::<bool>().to_string(),
        "int" => chance.random::<i32>().to_string(),
        "long" => chance.random::<i64>().to_string(),
        "real" => match f64::from_bits(chance.random()) {
            number if number.is_finite() => format!("{number:?}"),
            _ => "NaN".to_owned(),
        },
        "decimal" => format!("{}.{:08}1", chance.random::<i64>(), chance.random_range(0..100_000_000)),
        "datetime" => {
            let mut below = |limit| chance.random_range(0..limit);
            let (year, month, day) = (1 + below(9_999), 1 + below(12), 1 + below(28));
            let (hour, minute, second) = (below(24), below(60), below(60));
            let ticks = below(10_000_000);
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ticks:07}Z")
        }
        "timespan" => {
            let mut below = |limit| chance.random_range(0..limit);
            let sign = ["", "-"][below(2)];
            let (days, hour, minute) = (1 + below(10_000_000), below(24), below(60));
            format!("{sign}{days}.{hour:02}:{minute:02}:{:02}.{:06}1", below(60), below(1_000_000))
        }
        "guid" => {
            let digits = format!("{:032x}", chance.random::<u128>());
            let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
            parts.join("-")
        }
        "dynamic" => {
            let member = |chance: &mut StdRng| (random_text(chance), Value::from(random_text(chance)));
            let count = chance.random_range(0..4);
            Value::Object((0..count).map(|_| member(chance)).collect()).to_string()
        }
        _ => random_text(chance),
    }
}

fn random_text(chance: &mut StdRng) -> String {
    const CHARS: [char; 16] =
        ['"', '"', ',', '\n', '\r', '\t', ' ', '\\', '\'', 'a', '0', '{', ':', 'ü', '🦀', '\u{feff}'];
    let length = chance.random_range(1..20);
    (0..length).map(|_| CHARS[chance.random_range(0..CHARS.len())]).collect()
}
