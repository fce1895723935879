//! The examples of the documentation that need no sample data: query and answer, from
//! `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/`.
//!
//! `examples.txt` holds them: `####` and the page's name, the query, `====`, the names of the columns and the rows, cells divided
//! by tabs. A cell is held against the value as the page means it: numbers to the digits shown, dynamics as JSON, an empty cell
//! for null. Rows are in the order of the page where the query sorts, else in any.

use super::super::{Options, parse};
use super::{Database, run, shown};
use crate::data::{
    ColumnType, Decimal, ResultTable, Value, parse_datetime, parse_timespan, write_value_text,
};
use std::fmt::Write;

const EXAMPLES: &str = include_str!("examples.txt");

/// One example: where it stands, the query, and the table that it answers.
struct Example<'a> {
    page: &'a str,
    query: &'a str,
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn cells(line: &str) -> Vec<String> {
    let unescaped = |cell: &str| {
        let mut out = String::new();
        let mut chars = cell.chars();
        while let Some(c) = chars.next() {
            match (c, if c == '\\' { chars.next() } else { None }) {
                ('\\', Some('n')) => out.push('\n'),
                ('\\', Some('t')) => out.push('\t'),
                ('\\', Some(other)) => out.push(other),
                (other, _) => out.push(other),
            }
        }
        out
    };
    line.split('\t').map(unescaped).collect()
}

fn examples(text: &str) -> Vec<Example<'_>> {
    text.split("#### ")
        .skip(1)
        .map(|block| {
            let (page, rest) = block.split_once('\n').unwrap();
            let (query, table) = rest.split_once("\n====\n").unwrap();
            let mut lines = table.strip_suffix('\n').unwrap_or(table).split('\n');
            let names = cells(lines.next().unwrap());
            Example { page, query, names, rows: lines.map(cells).collect() }
        })
        .collect()
}

/// Whether two numbers agree to the digits of the one that is shown.
fn close(shown: &str, value: f64) -> bool {
    let Ok(number) = shown.replace(',', "").parse::<f64>() else {
        return shown == "NaN" && value.is_nan()
            || shown == "∞" && value == f64::INFINITY
            || shown == "-∞" && value == f64::NEG_INFINITY;
    };
    let digits =
        shown.split(['e', 'E']).next().unwrap_or("").split_once('.').map_or(0, |(_, digits)| digits.len());
    let tolerance =
        if shown.contains(['e', 'E']) { 1e-9 * number.abs() } else { 0.51 * 10f64.powi(-(digits as i32)) };
    (number - value).abs() <= tolerance.max(1e-12 * number.abs())
}

fn means(cell: &str, ty: ColumnType, value: &Value) -> bool {
    let mut text = String::new();
    write_value_text(value, &mut text);
    let cell = cell.trim().trim_matches('`');
    if cell == text.trim() {
        return true;
    }
    match value {
        Value::Null => matches!(cell, "" | "null" | "(null)") || ty == ColumnType::Dynamic && cell == "null",
        Value::Bool(flag) => match cell.to_lowercase().as_str() {
            "true" | "1" => *flag,
            "false" | "0" => !flag,
            _ => false,
        },
        Value::Real(n) => close(cell, *n),
        Value::Decimal(n) => Decimal::parse(cell).is_some_and(|shown| shown == *n) || close(cell, n.to_f64()),
        Value::DateTime(ticks) => parse_datetime(cell).is_some_and(|shown| {
            shown == *ticks || !cell.contains('.') && shown == ticks - ticks.rem_euclid(10_000_000)
        }),
        Value::TimeSpan(ticks) => parse_timespan(cell) == Some(*ticks),
        Value::String(text) => {
            let quoted = |text: &str| text.trim().trim_matches('"').replace(char::is_whitespace, "");
            quoted(cell) == quoted(text)
        }
        Value::Dynamic(json) => {
            serde_json::from_str::<serde_json::Value>(cell).is_ok_and(|shown| like(&shown, json))
                || json.as_f64().is_some_and(|n| close(cell, n))
                || json.as_str() == Some(cell)
        }
        _ => false,
    }
}

/// Whether two JSON values are the same, numbers by their value.
fn like(shown: &serde_json::Value, json: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match (shown, json) {
        (Json::Number(a), Json::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs(),
            _ => a == b,
        },
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| like(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| like(a, b)))
        }
        _ => shown == json,
    }
}

fn row_means(table: &ResultTable, row: usize, cells: &[String]) -> bool {
    let cell = |at: usize| cells.get(at).map_or("", String::as_str);
    (0..table.columns.len()).all(|at| means(cell(at), table.schema.columns[at].ty, &table.value(row, at)))
}

fn agrees(example: &Example<'_>, table: &ResultTable) -> bool {
    let names = table.schema.columns.iter().map(|column| column.name.as_str());
    if !names.eq(example.names.iter().map(|name| name.trim_matches('`'))) || table.rows != example.rows.len()
    {
        return false;
    }
    if example.rows.iter().enumerate().all(|(row, cells)| row_means(table, row, cells)) {
        return true;
    }
    let mut left: Vec<usize> = (0..table.rows).collect();
    !(example.query.contains("sort by") || example.query.contains("order by"))
        && example.rows.iter().all(|cells| {
            let found = left.iter().position(|row| row_means(table, *row, cells));
            found.map(|at| left.remove(at)).is_some()
        })
}

fn difference(example: &Example<'_>) -> Option<String> {
    let database = Database::default();
    let answered = parse(example.query).and_then(|query| run(&query, &database, &Options::default()));
    let found = match answered {
        Ok(tables) if tables.iter().any(|table| agrees(example, table)) => return None,
        Ok(tables) => tables.iter().map(shown).collect::<Vec<_>>().join("\n"),
        Err(error) => error.to_string(),
    };
    let mut told = format!(
        "#### {}\n{}\n---- found\n{found}\n---- documented\n{}\n",
        example.page,
        example.query,
        example.names.join(" ")
    );
    for row in &example.rows {
        let _ = writeln!(told, "{row:?}");
    }
    Some(told)
}

#[test]
fn documented_examples_answer_as_documented() {
    let differences: Vec<String> = examples(EXAMPLES).iter().filter_map(difference).collect();
    assert!(differences.is_empty(), "{} examples differ\n{}", differences.len(), differences.join("\n"));
}

/// For whoever adds examples: `KQL_EXAMPLES=<file of the same form>` tells what differs there in `<file>.out`.
#[test]
fn other_examples_are_told_apart_on_demand() {
    let Ok(path) = std::env::var("KQL_EXAMPLES") else { return };
    let text = std::fs::read_to_string(&path).unwrap();
    let examples = examples(&text);
    let mut out = String::new();
    let mut good = String::new();
    for (at, example) in examples.iter().enumerate() {
        let told = std::panic::catch_unwind(|| difference(example))
            .unwrap_or_else(|_| Some(format!("#### {}\n{}\nPANIC\n", example.page, example.query)));
        match told {
            Some(told) => out.push_str(&told),
            None => good.push_str(&format!("{at}\n")),
        }
    }
    std::fs::write(format!("{path}.out"), out).unwrap();
    std::fs::write(format!("{path}.good"), good).unwrap();
}
