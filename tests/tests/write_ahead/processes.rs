//! Several processes: two starts at once, clusters of hosts, graceful stops.

use std::time::Duration;

use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule, HoldPoint};
use timely_kusto_tests::{Cluster, Config, Place, Process, Signal, free_hosts, until};

use crate::support::*;

/// Starts so many processes, each with a disk of its own.
pub(crate) fn start_cluster(place: &Place, config: &Config, processes: usize) -> Vec<Process> {
    let own = |process: usize| config.clone().state(&format!("{}-{process}", config.state));
    start_processes(place, &(0..processes).map(own).collect::<Vec<_>>(), &[])
}

fn start_processes(place: &Place, configs: &[Config], more: &[&str]) -> Vec<Process> {
    let hosts = free_hosts(place, configs.len());
    let (hosts, count) = (hosts.to_str().unwrap(), configs.len().to_string());
    let start = |(process, config): (usize, &Config)| {
        let number = process.to_string();
        let which = ["-w", "2", "--processes", &count, "--process", &number, "--hosts", hosts];
        place.start_run(config, &[&which[..], more].concat())
    };
    configs.iter().enumerate().map(start).collect()
}

#[test]
fn of_two_starts_of_one_pipeline_one_runs_and_the_other_exits_3() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline_at(&cluster, "Fenced", 200);
    let mut first = place.start_run(&config, &["-w", "2"]);
    wait_for_rows(&mut first, &cluster, &config, 0);
    let elsewhere = config.clone().state("state-elsewhere");
    let second = place.start_run(&elsewhere, &["-w", "2"]).wait();
    let first = first.wait();
    first.refused(3, &["was fenced by start 2-", "another start of this pipeline runs now"]);
    assert_eq!(first.json()["exit_code"], 3);
    second.expect(0);
    holds_each_row_once(&cluster, &config);
}

#[test]
fn a_paused_process_ends_as_fenced_when_it_wakes() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline_at(&cluster, "Paused", 200);
    let mut first = place.start_run(&config, &["-w", "2"]);
    wait_for_rows(&mut first, &cluster, &config, 0);
    first.signal(Signal::STOP);
    let elsewhere = config.clone().state("state-elsewhere");
    place.run(&elsewhere, &["-w", "2"]).expect(0);
    first.signal(Signal::CONT);
    first.wait().refused(3, &["was fenced by start 2-"]);
    holds_each_row_once(&cluster, &config);
}

#[test]
fn a_start_waits_for_a_paused_process_that_holds_the_epoch_files_and_says_for_which() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline_at(&cluster, "Held", 200);
    let mut first = place.start_run(&config, &["-w", "2"]);
    wait_for_rows(&mut first, &cluster, &config, 0);
    first.signal(Signal::STOP);
    let mut second = place.start_run(&config, &["-w", "1"]);
    until("the line that says who is waited for", || {
        assert!(second.runs(), "it ended: {}", second.stderr());
        second.stderr().contains("which holds epoch files").then_some(())
    });
    first.signal(Signal::CONT);
    first.wait().refused(3, &["was fenced by start 2-"]);
    second.wait().expect(0);
    holds_each_row_once(&cluster, &config);
}

#[test]
fn processes_with_disks_of_their_own_go_on_after_one_of_them_was_killed() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline_at(&cluster, "Hosts", 400);
    for (number, processes) in [2, 3].into_iter().enumerate() {
        let before = cluster.count("Hosts");
        let mut all = start_cluster(&place, &config, processes);
        wait_for_rows(&mut all[0], &cluster, &config, before);
        all.remove(number + 1 - number % 2).kill();
        for mut left in all {
            let outcome = left.wait();
            let named = format!("process {} (127.0.0.1:", number + 1 - number % 2);
            outcome.refused(1, &[&named, &format!(") of {processes} is gone: "), "start all of them again"]);
            let error = outcome.json()["error"].to_string();
            assert!(error.contains(&named), "{error}");
        }
    }
    for mut process in start_cluster(&place, &config, 2) {
        process.wait().expect(0);
    }
    holds_each_row_once(&cluster, &config);
}

#[test]
fn processes_of_one_host_share_a_state_directory() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline_at(&cluster, "Shared", 600);
    for processes in [3, 2] {
        let mut all = start_processes(&place, &vec![config.clone(); processes], &[]);
        wait_for_rows(&mut all[0], &cluster, &config, cluster.count("Shared"));
        all.remove(1).kill();
        for mut left in all {
            left.wait().expect(1);
        }
    }
    for mut process in start_processes(&place, &vec![config.clone(); 2], &[]) {
        process.wait().expect(0);
    }
    holds_each_row_once(&cluster, &config);
}

#[test]
fn a_process_that_hangs_is_lost_to_the_others_which_name_it() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline_at(&cluster, "Frozen", 300);
    let mut all = start_processes(&place, &vec![config.clone(); 2], &["--peer-timeout", "10s"]);
    wait_for_rows(&mut all[0], &cluster, &config, 0);
    all[1].signal(Signal::STOP);
    all[0].wait().refused(1, &["process 1 (127.0.0.1:", ") of 2 is gone: nothing was heard of it for 10 s"]);
    all[1].signal(Signal::CONT);
    all[1].wait().expect(1);
    place.run(&config, &["-w", "2"]).expect(0);
    holds_each_row_once(&cluster, &config);
}

#[test]
fn graceful_stops_settle_what_was_read_and_the_next_start_goes_on_elsewhere() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline_at(&cluster, "Stopped", 200);
    for state in ["state-a", "state-b"] {
        let config = config.clone().state(state);
        let before = cluster.count("Stopped");
        let mut process = place.start_run(&config, &["-w", "2"]);
        wait_for_rows(&mut process, &cluster, &config, before);
        process.signal(Signal::TERM);
        process.wait().expect(143);
    }
    let last = cluster.ask("kt_epochs | where Kind == 'intent' | top 1 by Seq desc | project tostring(parse_json(Body).row.chunks)");
    assert_eq!(
        last.scalar().and_then(|it| it.as_str()),
        Some("[]"),
        "the last intent settles the one before it"
    );
    place.run(&config, &["-w", "1"]).expect(0);
    holds_each_row_once(&cluster, &config);
}

#[test]
fn a_cluster_that_goes_away_and_comes_back_stops_no_pipeline() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place);
    let config = pipeline_at(&cluster, "Away", 200)
        .sink("retry_backoff = \"10ms\"")
        .sink("retry_max_backoff = \"200ms\"");
    let mut process = place.start_run(&config, &["-w", "2"]);
    wait_for_rows(&mut process, &cluster, &config, 0);
    cluster = cluster.kill_and_restart(&place, || {});
    process.wait().expect(0);
    holds_each_row_once(&cluster, &config);
}

#[test]
fn a_stop_in_the_middle_of_a_start_ends_all_processes_whichever_is_asked() {
    let place = Place::new();
    let emulator = Emulator::builder().database("Samples").batching_time(Duration::from_millis(50));
    let emulator = emulator.start().unwrap();
    let mut config = Config::new(emulator.cluster_url()).storms(ROWS).state("state-Asked");
    config.checkpoint_interval = "100ms".into();
    let config = config.sink("mode = \"write-ahead\"").sink("poll_interval = \"20ms\"");
    for asked in [0, 1] {
        // The start stands at its claim, or at what the one before left held there, which dies.
        let hold = Fault::Hold(HoldPoint::Resolved);
        emulator.handle().add_fault(FaultRule::new(Endpoint::Management, hold).operation(".append"));
        let mut all = start_cluster(&place, &config, 2);
        until("the claim on its way", || (!emulator.handle().held().is_empty()).then_some(()));
        all[asked].signal(Signal::TERM);
        all.remove(asked).wait().expect(143);
        all[0].wait().refused(143, &["stopped before the start was over"]);
        emulator.handle().clear_faults();
        emulator.handle().held().iter().for_each(|held| assert!(emulator.handle().let_die(held.id)));
    }
    for mut process in start_cluster(&place, &config, 2) {
        process.wait().expect(0);
    }
    assert_eq!(emulator.handle().query("Samples", "T | count").unwrap()[0][0], ROWS);
}
