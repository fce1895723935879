//! Random tables and expressions: what must be equal whichever way it is computed.
//!
//! Three ways through the evaluator give one answer: all rows in one batch, every row in a batch of its own, and every row's
//! values as constants. And queries that mean the same answer the same.

use super::expressions::{COLUMNS, literal};
use super::fuzz::{Fuzz, rounds};
use super::{Database, Memory, run, shown};
use crate::data::{ColumnType, ResultTable, Schema, Value};
use crate::kql::{ExtentBatch, Options, parse};
use rand::RngExt;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

fn database(extents: Vec<ExtentBatch>) -> Database {
    let table = Arc::new(Memory { schema: Schema::of(&COLUMNS), extents });
    Database(HashMap::from([("T".to_owned(), table)]))
}

fn one_by_one(whole: &ExtentBatch) -> Vec<ExtentBatch> {
    let row = |row: usize| ExtentBatch {
        columns: whole.columns.iter().map(|column| Arc::new(column.slice(row, 1))).collect(),
        rows: 1,
        ..whole.clone()
    };
    (0..whole.rows).map(row).collect()
}

fn options() -> Options {
    Options { max_memory: 64 << 20, timeout: Duration::from_secs(60), ..Options::default() }
}

#[track_caller]
fn answer(fuzz: &Fuzz, database: &Database, query: &str) -> ResultTable {
    let told = |what: &dyn std::fmt::Display| panic!("{fuzz}: {query}\n{what}");
    match parse(query).and_then(|parsed| run(&parsed, database, &options())) {
        Ok(mut tables) => tables.remove(0),
        Err(error) => told(&error),
    }
}

#[test]
fn an_expression_gives_the_same_by_batch_by_row_and_by_constant() {
    let mut fuzz = Fuzz::new("by batch");
    for _ in 0..rounds(400) {
        fuzz.next_round();
        let whole = fuzz.extent(6);
        let ty = COLUMNS[fuzz.rng.random_range(0..COLUMNS.len())].1;
        let expression = fuzz.expression(ty, 4);
        let query = format!("T | project e = {expression}");
        let by_batch = answer(&fuzz, &database(vec![whole.clone()]), &query);
        let by_row = answer(&fuzz, &database(one_by_one(&whole)), &query);
        assert_eq!(shown(&by_batch), shown(&by_row), "{fuzz}: {query}");
        for row in 0..whole.rows {
            let mut constants = String::new();
            for ((name, ty), column) in COLUMNS.iter().zip(&whole.columns) {
                let _ = write!(constants, "let {name} = {};", literal(*ty, &column.value(row)));
            }
            let query = format!("{constants} print e = {expression}");
            let by_constant = answer(&fuzz, &database(Vec::new()), &query);
            let mut expected = String::new();
            by_batch.write_row_json(row, &mut expected);
            let mut found = String::new();
            by_constant.write_row_json(0, &mut found);
            let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(json(&found), json(&expected), "{fuzz}: row {row} of {query}");
        }
    }
}

/// The rows as texts, in the order of texts.
fn sorted(table: &ResultTable) -> Vec<String> {
    let mut rows: Vec<String> = shown(table).lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    rows
}

fn count(fuzz: &Fuzz, database: &Database, query: &str) -> i64 {
    match answer(fuzz, database, &format!("{query} | count")).value(0, 0) {
        Value::Long(n) => n,
        other => panic!("{fuzz}: {query} | count gave {other:?}"),
    }
}

#[test]
fn queries_that_mean_the_same_answer_the_same() {
    let mut fuzz = Fuzz::new("identities");
    for _ in 0..rounds(120) {
        fuzz.next_round();
        let extents = (0..3).map(|_| fuzz.rng.random_range(0..12)).collect::<Vec<_>>();
        let extents = extents.into_iter().map(|rows| fuzz.extent(rows)).collect();
        let database = database(extents);
        let (a, b) = (fuzz.expression(ColumnType::Bool, 2), fuzz.expression(ColumnType::Bool, 2));
        let key = ["b", "i", "l", "r", "d", "t", "s", "g", "x"][fuzz.rng.random_range(0..9)];
        let same = |left: &str, right: &str| {
            let (one, other) = (answer(&fuzz, &database, left), answer(&fuzz, &database, right));
            assert_eq!(sorted(&one), sorted(&other), "{fuzz}:\n{left}\n{right}");
        };
        same(&format!("T | where {a} | where {b}"), &format!("T | where {a} and {b}"));
        same(&format!("T | where {a} or {b}"), &format!("T | where {b} or {a}"));
        same(&format!("T | extend e = {a} | where e | project-away e"), &format!("T | where {a}"));
        same(&format!("T | distinct {key}"), &format!("T | summarize by {key}"));
        same(&format!("T | summarize count() by {key} | summarize sum(count_)"), "T | count");
        same(&format!("T | sort by {key}, x asc"), "T");
        same(&format!("T | sort by {key} | take 3 | count"), &format!("T | top 3 by {key} | count"));
        same(
            &format!("T | top 5 by {key} | project {key}"),
            &format!("T | sort by {key} | take 5 | project {key}"),
        );
        same(&format!("T | where {a} | count"), &format!("T | summarize countif({a})"));
        same(
            "T | serialize n = row_number() | summarize max(n)",
            "T | count | extend m = iff(Count > 0, Count, long(null)) | project m",
        );
        same(
            &format!("T | summarize n = count(), m = max(l) by {key} | project n, m"),
            &format!("T | summarize m = max(l), n = count() by k = {key} | project n, m"),
        );
        let all = count(&fuzz, &database, "T");
        assert_eq!(count(&fuzz, &database, "T | union T"), 2 * all, "{fuzz}");
        let wheres =
            [format!("T | where {a}"), format!("T | where not({a})"), format!("T | where isnull({a})")];
        assert_eq!(
            wheres.iter().map(|query| count(&fuzz, &database, query)).sum::<i64>(),
            all,
            "{fuzz}: {a}"
        );
        let joined = count(&fuzz, &database, &format!("T | join kind=inner T on {key}"));
        let squares = format!(
            "T | where isnotnull({key}) | summarize n = count() by {key} | summarize tolong(sum(n * n))"
        );
        assert_eq!(
            answer(&fuzz, &database, &squares).value(0, 0),
            Value::Long(joined),
            "{fuzz}: join on {key}"
        );
        let semi = count(&fuzz, &database, &format!("T | join kind=leftsemi (T | where {a}) on {key}"));
        let anti = count(&fuzz, &database, &format!("T | join kind=leftanti (T | where {a}) on {key}"));
        assert_eq!(semi + anti, all, "{fuzz}: {a} on {key}");
    }
}
