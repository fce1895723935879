//! `cargo bench -p timely-kusto-benches -- [--rows N] [--workers N] [--latencies D,D] [--set NAME=VALUE] [--json]`: what
//! `timely-kusto bench` measures, without building the command.

mod common;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use timely_kusto_benches::{Options, measure};

use crate::common::{Common, tell};

/// Measures what each stage can do on this machine, and which one bounds the whole.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rows of each end-to-end run
    #[arg(long, default_value_t = Options::default().rows)]
    rows: u64,
    /// Workers (threads) of the sink's process
    #[arg(short, long, default_value_t = 1)]
    workers: usize,
    /// Times added to each request
    #[arg(long, value_delimiter = ',', default_value = "20ms,200ms", value_parser = timely_kusto::parse_duration)]
    latencies: Vec<Duration>,
    /// A write option that is not to have its default
    #[arg(long, value_name = "NAME=VALUE", value_parser = Options::parse_setting)]
    set: Vec<(String, String)>,
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let Arguments { rows, workers, latencies, set: settings, common } = Arguments::parse();
    let options = Options { rows, workers, latencies, settings };
    common.run(|helpers| measure(&options, helpers, tell))
}
