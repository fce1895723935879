//! Kills lose nothing; graceful stops lose and repeat nothing.

use std::collections::BTreeSet;
use std::path::Path;

use timely_kusto_tests::{
    Cluster, Config, Place, Process, Rows, Signal, assert_same_rows, csv_rows, free_hosts, repository,
    rows_of, storms, until,
};

const ROWS: u64 = 12_000;

/// The rows at a rate at which a run takes some seconds: long enough to be interrupted.
fn slowly(config: Config) -> Config {
    config.source("rate = 3000")
}

fn positions(place: &Place) -> Vec<u8> {
    std::fs::read(place.path().join("state/positions")).unwrap_or_default()
}

/// Waits until this run has delivered rows and kept positions, and is in the middle.
fn wait_for_the_middle(process: &mut Process, place: &Place, cluster: &Cluster) {
    let (before, kept) = (cluster.count("T"), positions(place));
    until("more rows and newer positions", || {
        assert!(process.runs(), "it ended too early: {}", process.stderr());
        (cluster.count("T") > before && positions(place) != kept).then_some(())
    });
}

/// That every row is there, however often; and how many are there more than once.
fn assert_none_missing(found: &Rows, expected: &Rows) -> usize {
    let distinct: BTreeSet<_> = found.iter().cloned().collect();
    let distinct_rows: Rows = distinct.into_iter().collect();
    let wanted: BTreeSet<_> = expected.iter().cloned().collect();
    assert_same_rows(&distinct_rows, &wanted.into_iter().collect());
    found.len() - distinct_rows.len()
}

#[test]
fn a_killed_pipeline_goes_on_with_other_workers_and_no_row_is_missing() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).storms(ROWS).source("partitions = 2");
    for workers in ["1", "4"] {
        let mut process = place.start_run(&slowly(config.clone()), &["-w", workers]);
        wait_for_the_middle(&mut process, &place, &cluster);
        process.kill();
    }
    let before = cluster.count("T");
    let delivered = place.run(&config, &["-w", "2"]).expect(0).number("rows_delivered");
    assert!(delivered < ROWS, "{delivered} rows: it began anew, with {before} in the table");
    assert_none_missing(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

#[test]
fn a_pipeline_killed_in_the_middle_of_a_file_goes_on_and_no_row_is_missing() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let strikes = repository().join("examples/data/birdstrikes.csv");
    let text = std::fs::read(&strikes).unwrap();
    place.write_gzip("strikes.csv.gz", &text);
    let config = Config::new(cluster.url()).file("strikes.csv.gz");
    for workers in ["2", "1"] {
        let mut process = place.start_run(&slowly(config.clone()), &["-w", workers]);
        wait_for_the_middle(&mut process, &place, &cluster);
        process.kill();
    }
    assert!(place.run(&config, &["-w", "3"]).expect(0).number("rows_delivered") < 10_000);
    let found = cluster.ask("T");
    assert_none_missing(&rows_of(&found), &csv_rows(&text, &found.columns));
}

#[test]
fn a_killed_cluster_that_comes_back_stops_no_pipeline_and_no_row_is_missing() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).storms(ROWS).sink("retry_max_backoff = \"1s\"");
    // Slow enough that it has not ended when the cluster is killed for the second time, on a busy machine either.
    let mut process = place.start_run(&config.source("rate = 700"), &["-w", "2"]);
    for _ in 0..2 {
        wait_for_the_middle(&mut process, &place, &cluster);
        let failures = |process: &Process| process.stderr().matches("will be tried again").count();
        let before = failures(&process);
        cluster = cluster.kill_and_restart(&place, || {
            until("a request that fails", || {
                assert!(process.runs(), "it ended too early: {}", process.stderr());
                (failures(&process) > before).then_some(())
            });
        });
    }
    let outcome = process.wait().expect(0);
    assert_eq!(outcome.number("rows_delivered"), ROWS);
    assert!(outcome.number("retries") > 0, "{}", outcome.stdout);
    assert_none_missing(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

/// What `timely-kusto query --json` answers about the embedded cluster of a pipeline.
fn embedded(place: &Place, config: &Config, query: &str) -> serde_json::Value {
    let file = place.write_config(config);
    let outcome = place.command(&["query", "--json", "--config", file.to_str().unwrap(), query]);
    outcome.expect(0).json()[0]["rows"].clone()
}

#[test]
fn a_kill_together_with_the_embedded_cluster_loses_no_row() {
    let place = Place::new();
    let mut config = Config::new("").storms(ROWS).sink("flush_immediately = true");
    config.connection = "cluster = \"emulator\"".into();
    for workers in ["1", "3"] {
        let kept = positions(&place);
        let mut process = place.start_run(&slowly(config.clone()), &["-w", workers]);
        until("newer positions", || {
            assert!(process.runs(), "it ended too early: {}", process.stderr());
            (positions(&place) != kept).then_some(())
        });
        process.kill();
    }
    place.run(&config, &["-w", "2"]).expect(0);
    let distinct = embedded(&place, &config, "T | summarize by EventId | count");
    assert_eq!(distinct[0][0], ROWS);
    let ids: BTreeSet<_> = storms(ROWS).into_iter().map(|mut row| row.swap_remove(0)).collect();
    let found = embedded(&place, &config, "T | distinct EventId");
    let found: BTreeSet<_> =
        found.as_array().unwrap().iter().map(|row| row[0].as_str().map(str::to_owned)).collect();
    assert!(ids == found, "the ids differ");
}

#[test]
fn graceful_stops_lose_no_row_and_repeat_none() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).storms(ROWS).source("partitions = 3");
    let stops = [(Signal::TERM, 143, "1"), (Signal::INT, 130, "4")];
    for (signal, code, workers) in stops {
        let mut process = place.start_run(&slowly(config.clone()), &["-w", workers]);
        wait_for_the_middle(&mut process, &place, &cluster);
        process.signal(signal);
        let outcome = process.wait().expect(code);
        assert_eq!(outcome.json()["outcome"], "stopped");
        assert!(outcome.stderr.contains("stopping: delivering what was read"), "{}", outcome.stderr);
    }
    place.run(&config, &["-w", "2"]).expect(0);
    assert_same_rows(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

#[test]
fn a_graceful_stop_in_the_middle_of_a_file_loses_no_row_and_repeats_none() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let strikes = repository().join("examples/data/birdstrikes.csv");
    let config = Config::new(cluster.url()).file(&strikes);
    let mut process = place.start_run(&slowly(config.clone()), &["-w", "2"]);
    wait_for_the_middle(&mut process, &place, &cluster);
    process.signal(Signal::TERM);
    process.wait().expect(143);
    place.run(&config, &[]).expect(0);
    let found = cluster.ask("T");
    assert_same_rows(&rows_of(&found), &csv_rows(&std::fs::read(&strikes).unwrap(), &found.columns));
}

fn start_two(place: &Place, config: &Config) -> [Process; 2] {
    let hosts = free_hosts(place, 2);
    let hosts = hosts.to_str().unwrap();
    ["0", "1"]
        .map(|number| place.start_run(config, &["--processes", "2", "--process", number, "--hosts", hosts]))
}

#[test]
fn a_signal_to_one_of_two_processes_stops_both_without_loss_or_repetition() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).storms(ROWS).source("partitions = 4");
    let [mut first, mut second] = start_two(&place, &slowly(config.clone()));
    wait_for_the_middle(&mut first, &place, &cluster);
    second.signal(Signal::TERM);
    assert_eq!(second.wait().expect(143).json()["outcome"], "stopped");
    let other = first.wait();
    assert_eq!(other.json()["outcome"], "stopped");
    assert_eq!(other.code, Some(143), "0 would say that all is delivered");
    place.run(&config, &["-w", "2"]).expect(0);
    assert_same_rows(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

#[test]
fn a_signal_to_one_of_two_processes_stops_also_the_one_that_has_nothing_to_read() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).storms(ROWS).source("partitions = 1");
    let [mut first, mut second] = start_two(&place, &slowly(config.clone()));
    wait_for_the_middle(&mut first, &place, &cluster);
    first.signal(Signal::TERM);
    for outcome in [first.wait(), second.wait()] {
        assert_eq!(outcome.expect(143).json()["outcome"], "stopped");
    }
    place.run(&config, &[]).expect(0);
    assert_same_rows(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

#[test]
fn a_process_that_fails_before_it_can_join_ends_the_others_with_its_error() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    cluster.ask(".create table Narrow (name: string)");
    let hosts = free_hosts(&place, 2);
    let hosts = hosts.to_str().unwrap();
    let good = Config::new(cluster.url()).storms(ROWS);
    let bad = good.clone().existing_table().table("Narrow");
    for failing in [0, 1] {
        let start = |process: usize| {
            let config = if process == failing { &bad } else { &good };
            let process = process.to_string();
            place.start_run(config, &["--processes", "2", "--process", &process, "--hosts", hosts])
        };
        let mut both = [start(0), start(1)];
        for outcome in both.each_mut().map(timely_kusto_tests::Process::wait) {
            outcome.refused(2, &["Samples.Narrow has no column for"]);
        }
    }
}

#[test]
fn a_start_says_for_which_processes_it_waits_and_a_signal_ends_the_waiting() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let hosts = free_hosts(&place, 3);
    let which = ["--processes", "3", "--process", "1", "--hosts", hosts.to_str().unwrap()];
    let mut process = place.start_run(&Config::new(cluster.url()).storms(ROWS), &which);
    until("the line that says who is waited for", || {
        assert!(process.runs(), "it ended: {}", process.stderr());
        let stderr = process.stderr();
        (stderr.contains("waiting for 2 of 3 processes: process 0 (127.0.0.1:")
            && stderr.contains("), process 2 (127.0.0.1:"))
        .then_some(())
    });
    process.signal(Signal::TERM);
    process.wait().expect(143);
}

#[test]
fn when_one_of_two_processes_is_killed_the_other_says_so_and_a_restart_lacks_no_row() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).storms(ROWS).source("partitions = 4");
    let [mut first, second] = start_two(&place, &slowly(config.clone()));
    wait_for_the_middle(&mut first, &place, &cluster);
    second.kill();
    let outcome = first.wait();
    outcome.refused(
        1,
        &["process 1 (127.0.0.1:", ") of 2 is gone: it closed the connection", "start all of them again"],
    );
    assert_eq!(outcome.json()["outcome"], "failed");
    place.run(&config, &["-w", "2"]).expect(0);
    assert_none_missing(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

#[test]
fn a_local_cluster_ends_by_signals_with_their_codes_and_keeps_its_rows() {
    let place = Place::new();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let cluster = Cluster::start(&place);
        cluster.ask(".set-or-append Kept <| print x = 1");
        assert_eq!(cluster.stop(signal), Some(code));
    }
    assert_eq!(Cluster::start(&place).count("Kept"), 2);
    assert!(Path::new(&place.path().join("cluster")).is_dir());
}
