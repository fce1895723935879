//! The examples of the service's documentation, held against this engine on demand: they are not ours to keep here.
//!
//! `KQL_DOCS=<directory> cargo test -p kusto-emulator --lib documented_examples -- --nocapture` reads the pages of
//! `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/` in a checkout of yours. An example is a block of `kusto` that is
//! followed by a table before the next block or heading. A cell is held against the value as the page means it: numbers to the
//! digits shown, dynamics as JSON, an empty cell for null. Rows are in the order of the page where the query sorts, else in any.
//! Most that differ need the sample data, or are refused (`docs/model.md` has the list); [`AGREE`] is how many agree.

use std::fmt::Write;

use super::super::{Options, parse};
use super::{Database, run, shown};
use crate::data::{
    ColumnType, Decimal, ResultTable, Value, parse_datetime, parse_timespan, write_value_text,
};

/// How many examples of the pages as of August 2026 agree.
const AGREE: usize = 250;

/// One example: where it stands, the query, and the table that it answers.
struct Example {
    page: String,
    query: String,
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// The cells of a line of a Markdown table.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|');
    let line = line.strip_suffix('|').unwrap_or(line).replace("\\|", "\0");
    line.split('|').map(|cell| cell.trim().replace('\0', "|").replace("\\_", "_")).collect()
}

/// The examples of a page.
fn examples(page: &str, text: &str) -> Vec<Example> {
    let mut found = Vec::new();
    for block in text.split("```kusto\n").skip(1) {
        let Some((query, rest)) = block.split_once("```") else { continue };
        let until = rest.find("\n#").unwrap_or(rest.len());
        let table = rest[..until].lines().skip_while(|line| !line.trim_start().starts_with('|'));
        let mut lines = table.take_while(|line| line.trim_start().starts_with('|')).map(cells);
        let Some(names) = lines.next() else { continue };
        let rows = lines.skip(1).collect();
        found.push(Example { page: page.to_owned(), query: query.trim().to_owned(), names, rows });
    }
    found
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

fn agrees(example: &Example, table: &ResultTable) -> bool {
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

fn difference(example: &Example) -> Option<String> {
    let database = Database::default();
    let answered = parse(&example.query).and_then(|query| run(&query, &database, &Options::default()));
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
    let Ok(pages) = std::env::var("KQL_DOCS") else {
        return println!("KQL_DOCS names no checkout of the documentation: its examples are not tried");
    };
    let mut tried = 0;
    let mut differences = Vec::new();
    for entry in std::fs::read_dir(pages).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let page = path.file_name().unwrap().to_string_lossy().into_owned();
            let examples = examples(&page, &std::fs::read_to_string(&path).unwrap());
            tried += examples.len();
            differences.extend(examples.iter().filter_map(difference));
        }
    }
    println!("{}", differences.join("\n"));
    let agree = tried - differences.len();
    println!("{agree} of {tried} examples agree");
    assert!(agree >= AGREE, "{agree} agree, it were {AGREE}");
}
