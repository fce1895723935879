//! Whether a cluster writes values as the hash expects, found out before any row is called wrong.

use kusto_client::quote_string;

use super::kql::number_of;
use super::real::power;
use super::summer::number;
use super::value::{self, Given, digits};
use super::{Kind, RowHash};
use crate::encode::csv;

/// A query without any table, and the numbers that it must answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    query: String,
    expected: Vec<Expected>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    kind: &'static str,
    row: i64,
    value: String,
    number: i64,
}

/// A value that a cluster writes otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deviation {
    /// The type; `hash` for the hash itself.
    pub(crate) kind: &'static str,
    /// The text of the value that was given.
    pub(crate) value: String,
}

/// The name under which the probe asks for the hash itself.
const HASH: &str = "hash";

/// The text that the service's own example of `hash_md5` has (`data-explorer/kusto/query/hash-md5-function.md`).
const EXAMPLE: &str = "World";

impl RowHash {
    /// A probe of the types in use: values that tell the ways apart in which one could write them.
    pub(crate) fn probe(&self) -> Probe {
        let mut probe = Probe { query: format!("{}union\n", self.functions()), expected: Vec::new() };
        let example = [EXAMPLE.to_owned()];
        probe.part(HASH, &given(&example), "Value");
        probe.expect(HASH, &example, |value| number(value.as_bytes()));
        for kind in self.kinds() {
            probe.query.push_str(",\n");
            let values = kind.telling_values();
            let text = format!("{}(to{}(Value))", kind.function_name(), kind.name());
            probe.part(kind.name(), &given(&values), &text);
            probe.expect(kind.name(), &values, |value| kind.number(value));
        }
        probe
    }
}

/// KQL: a table of values without any table.
fn given(values: &[String]) -> String {
    let row = |(row, value): (usize, &String)| format!("{row}, {}", quote_string(value));
    let rows: Vec<String> = values.iter().enumerate().map(row).collect();
    format!("datatable(Row: long, Value: string) [{}]", rows.join(", "))
}

/// Rows in a table of its own, to find out what ingestion makes of the same values.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    /// The columns of the table, as they stand in the command that creates it.
    pub(crate) columns: String,
    /// The rows, in CSV.
    pub(crate) rows: String,
    /// How many there are.
    pub(crate) count: u64,
    /// Asks the table.
    pub(crate) probe: Probe,
}

impl Trial {
    /// A trial of all types in `table`.
    pub(crate) fn new(table: &str) -> Trial {
        let functions: String = Kind::ALL.into_iter().map(Kind::function).collect();
        let mut probe = Probe { query: format!("{functions}union\n"), expected: Vec::new() };
        let mut columns = String::from("Row: long");
        for kind in Kind::ALL {
            let (name, values) = (kind.name(), kind.telling_values());
            columns.push_str(&format!(", x_{name}: {name}"));
            let comma = if kind == Kind::ALL[0] { "" } else { ",\n" };
            probe.query.push_str(comma);
            let rows = format!("{table} | where Row < {}", values.len());
            probe.part(name, &rows, &format!("{}(x_{name})", kind.function_name()));
            probe.expect(name, &values, |value| kind.number(value));
        }
        let (rows, count) = rows();
        Trial { columns, rows, count, probe }
    }
}

/// A row has the value of each type at its place, or none.
fn rows() -> (String, u64) {
    let values = Kind::ALL.map(|kind| (kind, kind.telling_values()));
    let longest = values.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let mut rows = Vec::new();
    for row in 0..longest {
        digits(row as u64, &mut rows);
        for (kind, values) in &values {
            rows.push(b',');
            let value = values.get(row).map_or("", String::as_str);
            match kind {
                Kind::String => csv::write_string(&mut rows, value),
                _ => rows.extend_from_slice(value.as_bytes()),
            }
        }
        rows.push(b'\n');
    }
    (String::from_utf8(rows).expect("it is made of texts"), longest as u64)
}

impl Probe {
    /// The query. Its rows are `Type` (string), `Row` and `Number` (long).
    pub(crate) fn query(&self) -> &str {
        &self.query
    }

    /// What is otherwise in an answer; rows in any order. A value that the answer does not have deviates.
    pub(crate) fn deviations(&self, answer: &[(String, i64, Option<i64>)]) -> Vec<Deviation> {
        let answered = |it: &&Expected| {
            let same = |(kind, row, _): &&(String, i64, Option<i64>)| kind == it.kind && *row == it.row;
            answer.iter().find(same).and_then(|(_, _, number)| *number) == Some(it.number)
        };
        let wrong = self.expected.iter().filter(|it| !answered(it));
        wrong.map(|it| Deviation { kind: it.kind, value: it.value.clone() }).collect()
    }

    /// Adds a part to the query: rows of `source`, where `text` is the KQL of a value's text.
    fn part(&mut self, kind: &str, source: &str, text: &str) {
        let number = number_of(text);
        self.query.push_str(&format!("({source}\n| project Type = '{kind}', Row, Number = {number})"));
    }

    fn expect(&mut self, kind: &'static str, values: &[String], number: impl Fn(&str) -> u64) {
        for (row, value) in (0..).zip(values) {
            let number = number(value) as i64; // 32 bits
            self.expected.push(Expected { kind, row, value: value.clone(), number });
        }
    }
}

impl Kind {
    /// The number of a row of one value.
    fn number(self, value: &str) -> u64 {
        let mut text = Vec::new();
        let given = Given::Text(value.as_bytes());
        value::write(self, given, &mut text).expect("values that tell ways apart have a text");
        number(&text)
    }

    /// Texts of values at the edges of the type, and of common ones.
    pub(super) fn telling_values(self) -> Vec<String> {
        let texts: &[&str] = match self {
            Kind::Bool => &["", "true", "false"],
            Kind::Int => &["", "0", "7", "-1", "2147483647", "-2147483648"],
            Kind::Long => &["", "0", "7", "-1", "1000000", "9223372036854775807", "-9223372036854775808"],
            Kind::Real => return reals(),
            Kind::Decimal => &[
                "",
                "0",
                "1",
                "-1.50",
                "0.1",
                "100",
                "12.5",
                "-0.0",
                "1e5",
                "1e-10",
                "123456789.000000001",
                "9999999999999999999999999999999999",
                "0.0000000000000000000000000000000001",
                "-12345678901234567.12345678901234567",
            ],
            Kind::DateTime => &[
                "",
                "0001-01-01T00:00:00.0000000Z",
                "1970-01-01T00:00:00.0000000Z",
                "2024-02-29T23:59:59.1234567Z",
                "2024-12-31T12:00:00.0000001Z",
                "9999-12-31T23:59:59.9999999Z",
            ],
            Kind::Timespan => &[
                "",
                "00:00:00",
                "00:00:00.0000001",
                "-00:00:00.0000001",
                "1.00:00:00",
                "-1.00:00:00",
                "23:59:59.9999999",
                "-1234.05:06:07.8900001",
                "10675199.02:48:05.4775807",
                "-10675199.02:48:05.4775808",
            ],
            Kind::Guid => {
                &["", "74be27de-1e4e-49d9-b579-fe0b331d3642", "00000000-0000-0000-0000-000000000000"]
            }
            Kind::String => &[
                "",
                " ",
                "a",
                "a,b",
                "say \"no\"",
                "it's",
                "back\\slash",
                "tab\there",
                "two\nlines",
                "\r\n",
                "\u{1}",
                "Straße",
                "雪",
                "🌪",
                "e\u{301}",
            ],
        };
        texts.iter().map(|text| (*text).to_owned()).collect()
    }
}

/// Common ones, those that need 17 digits, and the least and the greatest powers of two of each range, with all digits.
fn reals() -> Vec<String> {
    let common = [
        "",
        "0",
        "-0.0",
        "1",
        "-1",
        "0.1",
        "-2.5",
        "100",
        "1e21",
        "1e-7",
        "3.141592653589793",
        "123456789.12345678",
        "9007199254740993",
        "5e-324",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "NaN",
        "Infinity",
        "-Infinity",
    ];
    let ends = (0..15).flat_map(|range| {
        let end = 128 * range - 891;
        [power(end).next_down(), power(end), power(end + 1), power(end + 1).next_up()]
    });
    common.into_iter().map(str::to_owned).chain(ends.map(|end| format!("{end:e}"))).collect()
}
