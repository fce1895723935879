//! `run --restart-on-failure`: what it starts again, what it does not, and that nothing is left behind.

use std::time::Duration;

use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule};
use timely_kusto_tests::{
    Cluster, Config, Pid, Place, Process, Signal, assert_same_rows, command, free_hosts, rows_of, storms,
    until,
};

const ROWS: u64 = 3_000;

/// Exactly once, and slow enough to be interrupted.
fn pipeline(cluster: &Cluster) -> Config {
    let config = Config::new(cluster.url()).storms(ROWS).source("rate = 300").source("partitions = 4");
    config.sink("mode = \"write-ahead\"").sink("poll_interval = \"20ms\"")
}

fn start(place: &Place, config: &Config, arguments: &[&str]) -> Process {
    place.start_run(config, &[&["--restart-on-failure"], arguments].concat())
}

fn child(process: &mut Process) -> Pid {
    until("the run in a process of its own", || {
        assert!(process.runs(), "it ended: {}", process.stderr());
        process.children().first().copied()
    })
}

fn kill(child: Pid) {
    rustix::process::kill_process(child, Signal::KILL).unwrap();
}

fn wait_for_rows(process: &mut Process, cluster: &Cluster, more_than: u64) {
    until("rows in the table", || {
        assert!(process.runs(), "it ended too early: {}", process.stderr());
        (cluster.count("T") > more_than).then_some(())
    });
}

#[test]
fn a_run_that_is_killed_is_started_again_and_reports_once() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let mut process = start(&place, &pipeline(&cluster), &["-w", "2"]);
    for _ in 0..2 {
        wait_for_rows(&mut process, &cluster, cluster.count("T"));
        kill(child(&mut process));
    }
    let outcome = process.wait().expect(0);
    assert_eq!(outcome.number("restarts"), 2);
    for line in ["restart 1 of at most 20 in a row", "restart 2 of", "was killed by signal 9"] {
        assert!(outcome.stderr.contains(line), "{line} in {}", outcome.stderr);
    }
    assert_same_rows(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

/// Starts so many supervised processes, each with a disk of its own.
fn start_all(place: &Place, config: &Config, processes: usize) -> Vec<Process> {
    let hosts = free_hosts(place, processes);
    let (hosts, count) = (hosts.to_str().unwrap(), processes.to_string());
    let one = |number: usize| {
        let own = config.clone().state(&format!("state-{number}"));
        let number = number.to_string();
        start(place, &own, &["--processes", &count, "--process", &number, "--hosts", hosts])
    };
    (0..processes).map(one).collect()
}

/// Stops one process while the cluster is away; all end with this exit code, and none is started again.
fn stopped_while_the_cluster_is_away(place: &Place, cluster: Cluster, config: &Config, code: i32) -> Cluster {
    let mut all = start_all(place, config, 2);
    wait_for_rows(&mut all[0], &cluster, 0);
    cluster.kill_and_restart(place, || {
        all[1].signal(Signal::TERM);
        for outcome in all.iter_mut().map(Process::wait) {
            let outcome = outcome.expect(code);
            assert_eq!((outcome.json()["exit_code"].clone(), outcome.number("restarts")), (code.into(), 0));
        }
    })
}

#[test]
fn a_stop_that_ends_before_the_last_commit_is_not_restarted_by_the_processes_that_got_no_signal() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline(&cluster).job("stop_timeout = \"1s\"");
    let cluster = stopped_while_the_cluster_is_away(&place, cluster, &config, 143);
    start_all(&place, &config, 2).iter_mut().for_each(|process| _ = process.wait().expect(0));
    assert_same_rows(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

#[test]
fn a_stop_that_fails_is_not_restarted_by_the_processes_that_got_no_signal() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).storms(ROWS).source("rate = 600").source("partitions = 4");
    let config = config.sink("batch_interval = \"1s\"").sink("retry_timeout = \"5s\"");
    stopped_while_the_cluster_is_away(&place, cluster, &config, 1);
}

#[test]
fn a_cluster_whose_processes_are_supervised_comes_together_again() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let mut all = start_all(&place, &pipeline(&cluster), 3);
    wait_for_rows(&mut all[0], &cluster, 0);
    kill(child(&mut all[1]));
    let outcomes: Vec<_> = all.iter_mut().map(|process| process.wait().expect(0)).collect();
    for (number, outcome) in outcomes.iter().enumerate() {
        assert!(outcome.number("restarts") > 0, "process {number}: {}", outcome.stderr);
    }
    for survivor in [0, 2] {
        let stderr = &outcomes[survivor].stderr;
        assert!(stderr.contains("error: process 1 (127.0.0.1:"), "{stderr}");
        assert!(stderr.contains(") of 3 is gone: "), "{stderr}");
    }
    assert_same_rows(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

/// A line about the last run that a supervised process starts again: it cannot be held up by what is there no more.
const NOTHING_LEFT: &str = "had delivered everything that was read when it was killed";

#[test]
fn a_process_that_is_killed_when_all_is_delivered_ends_well_without_those_that_have_ended() {
    let place = Place::new();
    let emulator = Emulator::builder().database("Samples").start().unwrap();
    let config = Config::new(emulator.cluster_url()).storms(ROWS).source("partitions = 4");
    let config = config.sink("mode = \"write-ahead\"").sink("poll_interval = \"20ms\"");
    // A query after the run keeps the process that is to be killed.
    let long = Fault::Delay(Duration::from_secs(3600));
    let asked = emulator.handle().add_fault(FaultRule::new(Endpoint::Query, long).operation("T | take 1"));
    let hosts = free_hosts(&place, 3);
    let one = |number: usize| {
        let own = config.clone().state(&format!("state-{number}"));
        let process = number.to_string();
        let which = ["--processes", "3", "--process", &process, "--hosts", hosts.to_str().unwrap()];
        let query: &[&str] =
            if number == 1 { &["--query", "T | take 1", "--join-timeout", "1s"] } else { &[] };
        start(&place, &own, &[&which, query].concat())
    };
    let mut all: Vec<Process> = (0..3).map(one).collect();
    until("the query after the run", || {
        assert!(all[1].runs(), "it ended: {}", all[1].stderr());
        (asked.count() > 0).then_some(())
    });
    for other in [0, 2] {
        assert_eq!(all[other].wait().expect(0).number("restarts"), 0);
    }
    kill(child(&mut all[1]));
    let outcome = all[1].wait().expect(0);
    assert!(outcome.stderr.contains(NOTHING_LEFT), "{}", outcome.stderr);
    assert_eq!((outcome.json()["outcome"].clone(), outcome.number("restarts")), ("done".into(), 1));
    let rows = emulator.handle().query("Samples", "T | count").unwrap();
    assert_eq!(rows[0][0], ROWS);
}

#[test]
fn a_process_whose_peer_is_gone_before_all_is_delivered_goes_on_waiting_for_it() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let mut all = start_all(&place, &pipeline(&cluster), 2);
    wait_for_rows(&mut all[0], &cluster, 0);
    let (mut stays, gone) = (all.remove(1), all.remove(0));
    gone.kill();
    until("the wait for the other", || {
        assert!(stays.runs(), "it ended: {}", stays.stderr());
        let said = stays.stderr();
        let restart = said.find("restart 1 of")?;
        said[restart..].contains("waiting for 1 of 2 processes").then_some(())
    });
    assert!(!stays.stderr().contains(NOTHING_LEFT), "{}", stays.stderr());
    stays.kill();
}

#[test]
fn bad_configuration_and_what_needs_a_person_are_not_started_again() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    cluster.ask(".create table Narrow (name: string)");
    cluster.ask(".create table T (a: long)");
    place.write("bad.csv", "a\n1\nx\n");
    let narrow = pipeline(&cluster).existing_table().table("Narrow");
    let misfit = Config::new(cluster.url()).file("bad.csv").existing_table();
    let nowhere = Config::new(cluster.url()).file("no-such.csv");
    for (config, code) in [(narrow, 2), (nowhere, 2), (misfit, 4)] {
        let outcome = start(&place, &config, &[]).wait();
        outcome.refused(code, &[]);
        assert_eq!((outcome.json()["exit_code"].clone(), outcome.number("restarts")), (code.into(), 0));
    }
}

#[test]
fn the_one_of_two_starts_that_is_fenced_stays_away() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let mut first = start(&place, &pipeline(&cluster), &[]);
    wait_for_rows(&mut first, &cluster, 0);
    let second = start(&place, &pipeline(&cluster).state("elsewhere"), &[]).wait();
    let first = first.wait();
    first.refused(3, &["was fenced by start 2-"]);
    assert_eq!((first.number("restarts"), second.expect(0).number("restarts")), (0, 0));
    assert_same_rows(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

#[test]
fn a_signal_reaches_the_run_once_and_ends_both() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut process = start(&place, &pipeline(&cluster), &[]);
        wait_for_rows(&mut process, &cluster, cluster.count("T"));
        process.signal(signal);
        let outcome = process.wait().expect(code);
        assert_eq!(outcome.json()["outcome"], "stopped");
        assert!(!outcome.stderr.contains("stopped at once"), "{}", outcome.stderr);
    }
    start(&place, &pipeline(&cluster), &[]).wait().expect(0);
    assert_same_rows(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

#[test]
fn a_run_ends_with_the_process_that_supervises_it() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline(&cluster);
    let mut process = start(&place, &config, &[]);
    wait_for_rows(&mut process, &cluster, 0);
    let child = child(&mut process);
    process.kill();
    until("the end of the run", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.as_raw_nonzero()));
        status.map_or(true, |status| status.contains("State:\tZ")).then_some(())
    });
    place.run(&config, &[]).expect(0);
    assert_same_rows(&rows_of(&cluster.ask("T")), &storms(ROWS));
}

#[test]
fn failures_in_a_row_are_given_up_and_a_signal_ends_the_pause_between_them() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let hosts = free_hosts(&place, 2);
    let alone = ["--processes", "2", "--join-timeout", "1s", "--hosts", hosts.to_str().unwrap()];
    let outcome = start(&place, &pipeline(&cluster), &[&alone[..], &["--max-restarts", "1"]].concat()).wait();
    outcome.refused(
        1,
        &["restart 1 of at most 1 in a row", "given up after 1 restarts", "missing: process 1 ("],
    );
    assert_eq!((outcome.json()["exit_code"].clone(), outcome.number("restarts")), (1.into(), 1));

    let mut process = start(&place, &pipeline(&cluster), &alone);
    until("a pause", || process.stderr().contains("starting again in").then_some(()));
    process.signal(Signal::TERM);
    let code = process.wait().code;
    assert!(matches!(code, Some(1 | 143)), "{code:?}: in the pause, or right after it");
}

#[test]
fn an_end_that_is_not_to_be_restarted_is_put_off_until_a_signal_if_asked() {
    let place = Place::new();
    let mut process =
        start(&place, &Config::new("http://127.0.0.1:9").storms(1).sink("table = 7"), &["--stay"]);
    until("the word that it stays", || {
        assert!(process.runs(), "it ended: {}", process.stderr());
        process.stderr().contains("exit code 2; staying until a signal comes").then_some(())
    });
    assert!(process.runs() && process.children().is_empty());
    process.signal(Signal::TERM);
    process.wait().expect(2);
}

#[test]
fn a_limit_of_restarts_is_for_a_run_that_is_restarted() {
    let place = Place::new();
    let outcome = place.start(command().args(["run", "x.toml", "--max-restarts", "3"])).wait();
    outcome.refused(2, &["--restart-on-failure"]);
}
