//! `cargo bench -p timely-kusto-benches --bench resilience`: what faults, distance and idleness cost.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use timely_kusto_benches::{Helpers, Options, ResilienceOptions, perform, resilience};

// The command's allocator, so that the figures are the command's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// What a helper process does
    #[arg(long, hide = true)]
    task: Option<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(task) = &arguments.task {
        return Ok(perform(task)?);
    }
    let Arguments { rows, rounds, failing, time, pace, batching, set: settings, json, .. } = arguments;
    let options = ResilienceOptions { rows, rounds, failing, time, pace, batching, settings };
    let executable = std::env::current_exe()?;
    let helpers = Helpers::Processes { executable, arguments: vec!["--task".into()] };
    let report = resilience(&options, &helpers, |next| eprintln!("{next} ..."))?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}
