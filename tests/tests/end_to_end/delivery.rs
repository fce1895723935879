//! What goes in comes out: every row, once, whole.

use std::path::{Path, PathBuf};

use pipelines::generator::COLUMNS;
use timely_kusto_tests::{
    Cluster, Config, Place, assert_same_rows, csv_rows, free_hosts, repository, rows_of, storms,
};

fn data(name: &str) -> PathBuf {
    repository().join("examples/data").join(name)
}

/// Holds the table against the csv file, column by column as the table has them.
fn assert_holds(cluster: &Cluster, table: &str, file: &Path) {
    let found = cluster.ask(table);
    let expected = csv_rows(&std::fs::read(file).unwrap(), &found.columns);
    assert_same_rows(&rows_of(&found), &expected);
}

fn delivers(file: &str, workers: &str) {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).file(data(file));
    let outcome = place.run(&config, &["-w", workers]).expect(0);
    let rows = csv::Reader::from_path(data(file)).unwrap().into_records().count() as u64;
    assert_eq!((outcome.number("rows_read"), outcome.number("rows_delivered")), (rows, rows));
    assert_holds(&cluster, "T", &data(file));
}

#[test]
fn the_bird_strikes_arrive_with_one_worker() {
    delivers("birdstrikes.csv", "1");
}

#[test]
fn the_bird_strikes_arrive_with_four_workers() {
    delivers("birdstrikes.csv", "4");
}

#[test]
fn the_airports_arrive_with_one_worker() {
    delivers("airports.csv", "1");
}

#[test]
fn the_airports_arrive_with_four_workers() {
    delivers("airports.csv", "4");
}

/// Runs two processes to their end; rows delivered by both.
fn run_two(place: &Place, config: &Config, workers: &str) -> u64 {
    let hosts = free_hosts(place, 2);
    let started = ["0", "1"].map(|number| {
        let hosts = hosts.to_str().unwrap();
        place.start_run(config, &["-w", workers, "--processes", "2", "--process", number, "--hosts", hosts])
    });
    started.into_iter().map(|mut process| process.wait().expect(0).number("rows_delivered")).sum()
}

#[test]
fn the_bird_strikes_arrive_through_two_processes() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).file(data("birdstrikes.csv"));
    assert_eq!(run_two(&place, &config, "2"), 10_000);
    assert_holds(&cluster, "T", &data("birdstrikes.csv"));
}

fn delivers_storms(cluster: &Cluster, rows: u64) {
    let found = cluster.ask("T");
    let columns: Vec<_> = found.columns.iter().map(|c| (c.name.as_str(), c.column_type.as_str())).collect();
    assert_eq!(columns, COLUMNS);
    assert_same_rows(&rows_of(&found), &storms(rows));
}

#[test]
fn generated_rows_arrive_with_one_and_with_four_workers() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    for (workers, rows) in [("1", 3_000), ("4", 20_000)] {
        let config = Config::new(cluster.url()).storms(rows).source("partitions = 3");
        // The second run goes on behind the first: only the rows beyond it are read.
        place.run(&config, &["-w", workers]).expect(0);
        delivers_storms(&cluster, rows);
    }
}

#[test]
fn generated_rows_arrive_through_two_processes() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    assert_eq!(run_two(&place, &Config::new(cluster.url()).storms(10_000), "1"), 10_000);
    delivers_storms(&cluster, 10_000);
}

#[test]
fn a_file_of_a_header_alone_is_delivered_by_four_workers() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).file(place.write("empty.csv", "a,b\n"));
    assert_eq!(place.run(&config, &["-w", "4"]).expect(0).number("rows_delivered"), 0);
    assert_eq!(cluster.ask("T").columns.len(), 2);
}

#[test]
fn several_files_plain_and_gzip_arrive_in_one_table() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let text = std::fs::read(data("airports.csv")).unwrap();
    place.write("a.csv", &text);
    place.write_gzip("b.csv.gz", &text);
    let mut config = Config::new(cluster.url());
    config.source = "kind = \"file\"\npath = [\"a.csv\", \"b.csv.gz\"]".into();
    assert_eq!(place.run(&config, &["-w", "2"]).expect(0).number("rows_delivered"), 2 * 3_376);
    let found = cluster.ask("T");
    let once = csv_rows(&text, &found.columns);
    assert_same_rows(&rows_of(&found), &[once.clone(), once].concat());
}

#[test]
fn a_second_start_after_the_end_delivers_nothing_again() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).file(data("airports.csv"));
    assert_eq!(place.run(&config, &[]).expect(0).number("rows_delivered"), 3_376);
    assert_eq!(place.run(&config, &["-w", "3"]).expect(0).number("rows_delivered"), 0);
    assert_holds(&cluster, "T", &data("airports.csv"));
}
