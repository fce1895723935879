//! `cargo bench -p timely-kusto-benches --bench write_ahead [-- --rows N]`: what `timely-kusto bench --mode write-ahead`
//! measures, without building the command.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use timely_kusto_benches::{AheadOptions, Options, measure_ahead};

use crate::common::{Common, tell};

/// Measures the write-ahead sink beside SinkV2: CPU time, commands, latency, starts, memory, disk.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rows of the longest run
    #[arg(long, default_value_t = AheadOptions::default().rows)]
    rows: u64,
    /// Rounds in which both sinks take the same rows in turn
    #[arg(long, default_value_t = AheadOptions::default().rounds)]
    rounds: usize,
    /// Workers (threads) of the sink's process
    #[arg(short, long, default_value_t = 1)]
    workers: usize,
    /// What each command takes longer in the runs with slow commands
    #[arg(long, default_value = "2s", value_parser = timely_kusto::parse_duration)]
    command_delay: Duration,
    /// Numbers of epochs of 100 rows to look at memory with; the last two are compared
    #[arg(long, value_delimiter = ',', default_values_t = AheadOptions::default().epochs)]
    epochs: Vec<u64>,
    /// How long rows come at the steady pace
    #[arg(long, default_value = "30s", value_parser = timely_kusto::parse_duration)]
    time: Duration,
    /// Where directories for epoch files are made
    #[arg(long)]
    state: Option<PathBuf>,
    /// A write option that is not to have its default
    #[arg(long, value_name = "NAME=VALUE", value_parser = Options::parse_setting)]
    set: Vec<(String, String)>,
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let Arguments { rows, rounds, workers, command_delay, epochs, time, state, set: settings, common } =
        Arguments::parse();
    let options = AheadOptions {
        rounds,
        workers,
        command_delay,
        epochs,
        time,
        state,
        settings,
        ..AheadOptions::of_rows(rows)
    };
    common.run(|helpers| measure_ahead(&options, helpers, tell))
}
