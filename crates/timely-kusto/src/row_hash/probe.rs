//! Whether a cluster writes values as the hash expects, found out before any row is called wrong.

use kusto_client::quote_string;

use super::kql::number_of;
use super::summer::number;
use super::value::{self, Given};
use super::{Kind, RowHash};

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
        probe.ask(HASH, &[EXAMPLE.to_owned()], "Value", |value| number(value.as_bytes()));
        for kind in self.kinds() {
            probe.query.push_str(",\n");
            let text = format!("{}(to{}(Value))", kind.function_name(), kind.name());
            probe.ask(kind.name(), &kind.telling_values(), &text, |value| {
                let mut text = Vec::new();
                value::write(kind, Given::Text(value.as_bytes()), &mut text)
                    .expect("what is asked for has a text");
                number(&text)
            });
        }
        probe
    }
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

    /// Adds a part: `text` is the KQL of a text made of `Value`.
    fn ask(&mut self, kind: &'static str, values: &[String], text: &str, number: impl Fn(&str) -> u64) {
        let mut rows = Vec::with_capacity(values.len());
        for (row, value) in (0..).zip(values) {
            rows.push(format!("{row}, {}", quote_string(value)));
            let number = number(value) as i64; // 32 bits
            self.expected.push(Expected { kind, row, value: value.clone(), number });
        }
        self.query.push_str(&format!(
            "(datatable(Row: long, Value: string) [{}]\n| project Type = '{kind}', Row, Number = {})",
            rows.join(", "),
            number_of(text)
        ));
    }
}

impl Kind {
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

/// Common ones, those that need 17 digits, and both sides of each band's end.
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
    let ends = (-8..8).flat_map(|band| {
        let end = super::real::power(128 * band + 62);
        [end.next_down(), end]
    });
    common.into_iter().map(str::to_owned).chain(ends.map(|end| format!("{end:e}"))).collect()
}
