//! The page tells what the code does.

use std::fs;
use std::path::Path;

use super::support::{Cluster, texts};
use crate::options::Format;
use crate::row_hash::value::{self, Given};
use crate::row_hash::{Kind, RowHash};

/// The columns of the page's table.
fn trips() -> Vec<(String, String)> {
    let columns = [("id", "long"), ("at", "datetime"), ("fare", "real"), ("note", "string")];
    columns.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect()
}

fn forms() -> String {
    let mut table = String::from("| type | text | for instance | sources |\n|---|---|---|---|\n");
    for kind in Kind::ALL {
        let form = kind.form();
        let sources: Vec<String> = form.sources.iter().map(|source| format!("`{source}`")).collect();
        let (name, example, text) = (kind.name(), form.example, form.text);
        table.push_str(&format!("| `{name}` | {text} | `{example},` | {} |\n", sources.join(", ")));
    }
    table
}

fn query() -> String {
    let hash = RowHash::over(&texts(&["*"]), &trips()).unwrap();
    let functions: String = Kind::ALL.into_iter().map(Kind::function).collect();
    format!(
        "```kusto\n{functions}Trips\n| summarize Rows = count(), Hash = sum({})\n```\n",
        hash.expression()
    )
}

/// The page with its parts as the code has them.
fn expected(page: &str) -> String {
    let mut page = page.to_owned();
    for (name, text) in [("forms", forms()), ("query", query())] {
        let (begin, end) = (format!("<!-- {name}: "), format!("<!-- end of {name} -->"));
        let start = page.find(&begin).unwrap();
        let start = start + page[start..].find('\n').unwrap() + 1;
        let stop = page.find(&end).unwrap();
        page.replace_range(start..stop, &format!("\n{text}\n"));
    }
    page
}

#[test]
fn the_page_has_the_forms_and_the_query_as_the_code_has_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/row-hash.md");
    let page = fs::read_to_string(&path).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, expected(&page)).unwrap();
    } else {
        assert!(
            page == expected(&page),
            "docs/row-hash.md is out of date: run the tests with UPDATE_DOCS=1 set"
        );
    }
}

#[test]
fn the_page_s_instances_are_what_is_written() {
    let given = [
        (Kind::Bool, "true"),
        (Kind::Int, "-5"),
        (Kind::Long, "-5"),
        (Kind::Real, "1.5"),
        (Kind::Decimal, "-12.50"),
        (Kind::DateTime, "2024-02-29T23:59:59.1234567Z"),
        (Kind::Timespan, "1.01:00:00"),
        (Kind::Guid, "74BE27DE-1e4e-49d9-b579-fe0b331d3642"),
        (Kind::String, "a, b."),
    ];
    assert_eq!(given.map(|(kind, _)| kind), Kind::ALL);
    for (kind, text) in given {
        let mut written = Vec::new();
        value::write(kind, Given::Text(text.as_bytes()), &mut written).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), format!("{},", kind.form().example));
    }
}

#[test]
fn the_page_s_query_gives_the_sum() {
    let cluster = Cluster::new(&trips());
    cluster.command(".rename table T to Trips");
    let rows = "1,2024-01-01T00:00:00Z,12.5,\"to the station, fast\"\n2,,,\n";
    cluster.command(&format!(".ingest inline into table Trips <|\n{rows}"));
    let query = query();
    let query = query.trim_start_matches("```kusto\n").trim_end_matches("```\n");
    let hash = RowHash::over(&texts(&["*"]), &trips()).unwrap();
    let fields: Vec<String> = trips().into_iter().map(|(name, _)| name).collect();
    let sum = hash.summer(Format::Csv, &fields).sum(rows.as_bytes()).unwrap();
    assert_eq!(cluster.query(query)[0], serde_json::json!([2, sum]));
}
