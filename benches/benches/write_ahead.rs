//! `cargo bench -p timely-kusto-benches --bench write_ahead [-- --rows N]`: what `timely-kusto bench --mode write-ahead`
//! measures, without building the command.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use timely_kusto_benches::{AheadOptions, Helpers, Options, measure_ahead, perform};

// The command's allocator, so that the figures are the command's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// How long rows come at the steady pace
    #[arg(long, default_value = "30s", value_parser = timely_kusto::parse_duration)]
    time: Duration,
    /// Where directories for epoch files are made
    #[arg(long)]
    state: Option<PathBuf>,
    /// A write option that is not to have its default
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
    let Arguments { rows, rounds, workers, command_delay, time, state, set: settings, json, .. } = arguments;
    let options =
        AheadOptions { rounds, workers, command_delay, time, state, settings, ..AheadOptions::of_rows(rows) };
    let executable = std::env::current_exe()?;
    let helpers = Helpers::Processes { executable, arguments: vec!["--task".into()] };
    let report = measure_ahead(&options, &helpers, |next| eprintln!("{next} ..."))?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}
