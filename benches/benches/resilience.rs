//! `cargo bench -p timely-kusto-benches --bench resilience`: what faults, distance and idleness cost.

mod common;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use timely_kusto_benches::{Options, ResilienceOptions, resilience};

use crate::common::{Common, tell};

/// Measures throughput while a tenth of all requests fails, the time from a row to the word that it is delivered, and the
/// CPU time of an idle sink.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rows of each run with and without faults
    #[arg(long, default_value_t = ResilienceOptions::default().rows)]
    rows: u64,
    /// Runs of each kind
    #[arg(long, default_value_t = ResilienceOptions::default().rounds)]
    rounds: usize,
    /// The share of requests that fail
    #[arg(long, default_value_t = ResilienceOptions::default().failing)]
    failing: f64,
    /// How long rows are sent at a steady pace, and how long nothing is sent
    #[arg(long, default_value = "60s", value_parser = timely_kusto::parse_duration)]
    time: Duration,
    /// Rows per second at the steady pace
    #[arg(long, default_value_t = ResilienceOptions::default().pace)]
    pace: u64,
    /// How long the service gathers blobs at the steady pace
    #[arg(long, default_value = "1s", value_parser = timely_kusto::parse_duration)]
    batching: Duration,
    /// A write option that is not to have its default at the steady pace
    #[arg(long, value_name = "NAME=VALUE", value_parser = Options::parse_setting)]
    set: Vec<(String, String)>,
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let Arguments { rows, rounds, failing, time, pace, batching, set: settings, common } = Arguments::parse();
    let options = ResilienceOptions { rows, rounds, failing, time, pace, batching, settings };
    common.run(|helpers| resilience(&options, helpers, tell))
}
