//! `cargo bench -p timely-kusto-benches -- [--rows N] [--workers N] [--latencies D,D] [--set NAME=VALUE] [--json]`: what
//! `timely-kusto bench` measures, without building the command.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use timely_kusto_benches::{Helpers, Options, measure, perform};

// The command's allocator, so that the figures are the command's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(task) = &arguments.task {
        return Ok(perform(task)?);
    }
    let options = Options {
        rows: arguments.rows,
        workers: arguments.workers,
        latencies: arguments.latencies.clone(),
        settings: arguments.set.clone(),
    };
    let executable = std::env::current_exe()?;
    let helpers = Helpers::Processes { executable, arguments: vec!["--task".into()] };
    let report = measure(&options, &helpers, |next| eprintln!("{next} ..."))?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}
