//! Stops while nothing can be committed: they end in bounded time, and the next start finishes what they left.

use timely_kusto_tests::{Cluster, Config, Outcome, Place, Process, Signal, until};

use crate::support::*;

fn patient(cluster: &Cluster, name: &str) -> Config {
    pipeline_at(cluster, name, 200)
        .sink("retry_backoff = \"10ms\"")
        .sink("retry_max_backoff = \"200ms\"")
        .job("stop_timeout = \"1s\"")
}

/// Asks it to stop; how it ends.
fn stop(process: &mut Process) -> Outcome {
    process.signal(Signal::TERM);
    process.wait()
}

fn unfinished(outcome: Outcome) {
    outcome.refused(1, &["stopped with ", "not in the table", "the next start takes them over"]);
}

#[test]
fn a_stop_while_the_cluster_is_away_ends_in_its_time_and_the_next_start_finishes() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place);
    let config = patient(&cluster, "AwayAtStop");
    let mut process = place.start_run(&config, &["-w", "2"]);
    wait_for_rows(&mut process, &cluster, &config, 0);
    cluster = cluster.kill_and_restart(&place, || unfinished(stop(&mut process)));
    place.run(&config, &["-w", "1"]).expect(0);
    holds_each_row_once(&cluster, &config);
}

#[test]
fn a_stop_of_a_run_whose_target_is_gone_ends_in_its_time() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = patient(&cluster, "GoneAtStop");
    let mut process = place.start_run(&config, &["-w", "2"]);
    wait_for_rows(&mut process, &cluster, &config, 0);
    cluster.ask(".rename table GoneAtStop to Elsewhere");
    unfinished(stop(&mut process));
    place
        .run(&config.clone().existing_table(), &["-w", "2"])
        .refused(2, &["there is no table", "GoneAtStop"]);
    cluster.ask(".rename table Elsewhere to GoneAtStop");
    place.run(&config, &["-w", "1"]).expect(0);
    holds_each_row_once(&cluster, &config);
}

#[test]
fn a_second_signal_ends_a_stop_at_once_and_no_row_is_lost() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place);
    let config = patient(&cluster, "TwiceAtStop").job("stop_timeout = \"1h\"");
    let mut process = place.start_run(&config, &["-w", "2"]);
    wait_for_rows(&mut process, &cluster, &config, 0);
    cluster = cluster.kill_and_restart(&place, || {
        process.signal(Signal::TERM);
        until("the stop", || process.stderr().contains("again to stop at once").then_some(()));
        process.signal(Signal::INT);
        let outcome = process.wait().expect(130);
        assert!(outcome.stderr.contains("stopped at once"), "{}", outcome.stderr);
    });
    place.run(&config, &["-w", "1"]).expect(0);
    holds_each_row_once(&cluster, &config);
}
