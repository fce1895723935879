//! Real files, as people have them: the CSV and JSON files of the npm package `vega-datasets`, each by a pipeline of its own
//! into a table that the pipeline creates; and the same file by the official client into a table of the same columns. The
//! rows must be the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use kusto_emulator::Emulator;
use serde_json::{Value, json};
use timely_kusto_tests::{
    Config, Outcome, Outside, Place, ask, assert_same_rows, files_of, repository, rows_of,
};

/// Files that cannot be loaded as they are: what the error says, and why that is right.
const REFUSED: &[(&str, i32, &str, &str)] = &[
    (
        "earthquakes.json",
        4,
        "more than 1048576 bytes",
        "its one object has a member of more than 1 MiB, which the service would store as null",
    ),
    ("unemployment.tsv", 2, "`format` is missing", "values are separated by tabs"),
];

/// Pipelines at a time; they mostly wait.
const AT_A_TIME: usize = 3;

fn data(outside: &Outside) -> PathBuf {
    outside.node_modules().join("vega-datasets/data")
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn table(path: &Path, whose: &str) -> String {
    format!("{whose}_{}", name(path).replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

/// Runs a pipeline for each file.
fn run_all(place: &Place, cluster: &Emulator, files: &[PathBuf]) -> BTreeMap<PathBuf, Outcome> {
    let (left, done) = (Mutex::new(files.to_vec()), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some(file) = { left.lock().unwrap().pop() } {
            let config = Config::new(cluster.cluster_url()).file(&file);
            let config = config.table(&table(&file, "Ours")).state(&format!("state-{}", name(&file)));
            let outcome = place.run(&config, &[]);
            done.lock().unwrap().insert(file, outcome);
        }
    };
    std::thread::scope(|scope| {
        (0..AT_A_TIME).for_each(|_| drop(scope.spawn(work)));
    });
    done.into_inner().unwrap()
}

/// What the official client is to load: the file, into an empty table with the columns of ours.
fn job(cluster: &Emulator, path: &Path, rows: u64) -> Value {
    let (url, theirs) = (cluster.cluster_url(), table(path, "Theirs"));
    let columns = ask(url, &format!("['{}'] | take 0", table(path, "Ours"))).columns;
    let schema: Vec<_> = columns.iter().map(|c| format!("['{}']: {}", c.name, c.column_type)).collect();
    ask(url, &format!(".create table ['{theirs}'] ({})", schema.join(", ")));
    let columns: Vec<_> = columns.iter().map(|column| json!([column.name, column.column_type])).collect();
    let format = if path.extension().is_some_and(|ending| ending == "csv") { "csv" } else { "multijson" };
    json!({"path": path, "table": theirs, "format": format, "columns": columns, "rows": rows})
}

#[test]
fn files_arrive_as_the_official_client_brings_them_or_are_refused_for_a_reason() {
    let Some(outside) = Outside::find() else { return };
    let place = Place::new();
    let cluster =
        Emulator::builder().database("Samples").batching_time(Duration::from_millis(50)).start().unwrap();
    let files = files_of(&data(&outside), &["csv", "tsv", "json"]);
    assert!(files.len() > 60, "{files:?}");
    let mut outcomes = run_all(&place, &cluster, &files);
    for (file, code, text, _) in REFUSED {
        outcomes.remove(&data(&outside).join(file)).unwrap().refused(*code, &[text]);
    }
    let loaded = outcomes.into_iter().map(|(file, outcome)| {
        let rows = outcome.expect(0).number("rows_delivered");
        (file, rows)
    });
    let loaded: Vec<_> = loaded.collect();
    let jobs: Vec<_> = loaded.iter().map(|(file, rows)| job(&cluster, file, *rows)).collect();
    let list = place.write("files.json", Value::from(jobs).to_string());
    let arguments = [cluster.cluster_url(), list.to_str().unwrap()];
    outside.start_python(&place, "load", &arguments).wait().expect(0);
    for (file, rows) in loaded {
        println!("{}: {rows} rows", name(&file));
        let of = |whose| rows_of(&ask(cluster.cluster_url(), &format!("['{}']", table(&file, whose))));
        let (ours, theirs) = (of("Ours"), of("Theirs"));
        assert_eq!(ours.len() as u64, rows);
        assert_same_rows(&ours, &theirs);
    }
}

#[test]
fn the_examples_data_are_files_of_the_package() {
    let Some(outside) = Outside::find() else { return };
    for file in files_of(&repository().join("examples/data"), &["csv", "json"]) {
        let packed = std::fs::read(data(&outside).join(name(&file))).unwrap();
        assert!(
            std::fs::read(&file).unwrap() == packed,
            "{} is another file than that of the package",
            name(&file)
        );
    }
}

#[test]
fn the_page_on_official_clients_names_the_files_that_cannot_be_loaded() {
    let page = std::fs::read_to_string(repository().join("docs/official-clients.md")).unwrap();
    for (file, _, _, reason) in REFUSED {
        let row = format!("| {file} | {reason} |");
        assert!(page.contains(&row), "docs/official-clients.md lacks this row:\n{row}");
    }
}
