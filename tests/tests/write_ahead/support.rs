//! What the tests of this mode share.

use kusto_client::Table;
use timely_kusto_tests::{
    Cluster, Config, Place, Process, assert_same_rows, command, rows_of, storms, until,
};

pub(crate) const ROWS: u64 = 2_400;

/// A pipeline of this name in the write-ahead mode, at a rate at which it has several epochs.
pub(crate) fn pipeline(cluster: &Cluster, name: &str) -> Config {
    pipeline_at(cluster, name, 4000)
}

/// The same, at so many rows a second: slow enough to be interrupted.
pub(crate) fn pipeline_at(cluster: &Cluster, name: &str, rate: u64) -> Config {
    pipeline_to(cluster.url(), name, rate)
}

/// The same, into the cluster at this URL.
pub(crate) fn pipeline_to(url: &str, name: &str, rate: u64) -> Config {
    let mut config = Config::new(url).storms(ROWS).table(name).state(&format!("state-{name}"));
    config.checkpoint_interval = "100ms".into();
    config
        .source("partitions = 3")
        .source(&format!("rate = {rate}"))
        .sink("mode = \"write-ahead\"")
        .sink("poll_interval = \"20ms\"")
}

/// Starts it so that it dies at this place.
pub(crate) fn start_to_die(place: &Place, config: &Config, at: &str, workers: &str) -> Process {
    let file = place.write_config(config);
    let run = ["run", "--report", "json", "-w", workers];
    place.start(command().args(run).arg(file).env("TIMELY_KUSTO_CRASH_AT", at))
}

/// That the table of a pipeline holds what the source has, each row once.
#[track_caller]
pub(crate) fn holds_each_row_once(cluster: &Cluster, config: &Config) {
    holds_in(&cluster.ask(&config.table));
}

/// That an answer holds what the source has, each row once.
#[track_caller]
pub(crate) fn holds_in(answer: &Table) {
    assert_same_rows(&rows_of(answer), &storms(ROWS));
}

/// Waits until a pipeline that runs has committed rows, more than `before`.
pub(crate) fn wait_for_rows(process: &mut Process, cluster: &Cluster, config: &Config, before: u64) {
    until("rows in the table", || {
        assert!(process.runs(), "it ended too early: {}", process.stderr());
        (cluster.count(&config.table) > before).then_some(())
    });
}
