//! The command `timely-kusto`: arguments, configuration, progress, exit codes. What it does is in the crates below.

mod ahead;
mod args;
mod assumptions;
mod audit;
mod bench;
mod chaos;
mod cluster;
mod config;
mod emulator;
mod exit;
mod init;
mod log;
mod metrics;
mod print;
mod progress;
mod query;
mod resolve;
mod run;
mod runtime;
mod signals;
mod supervise;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use self::args::{Arguments, Command};
use self::exit::Stop;

// Buffers of many megabytes come and go; the system's allocator maps and unmaps them each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    quiet_panics();
    let done = start_log(&arguments.log).and_then(|()| match &arguments.command {
        Command::Run(arguments) => {
            chaos::end_with_walk();
            run::run(arguments)
        }
        Command::Emulator(arguments) => emulator::emulator(arguments),
        Command::Query(arguments) => query::query(arguments),
        Command::Assumptions(arguments) => assumptions::assumptions(arguments),
        Command::Init(arguments) => init::init(arguments),
        Command::Audit(arguments) => audit::audit(arguments),
        Command::Resolve(arguments) => resolve::resolve(arguments),
        Command::Log(arguments) => log::log(arguments),
        Command::Chaos(arguments) => chaos::chaos(arguments),
        Command::Bench(arguments) => bench::bench(arguments),
    });
    done.unwrap_or_else(|stop| {
        eprintln!("error: {stop}");
        stop.exit
    })
    .into()
}

/// Panics of timely's threads are errors of the run, which says them in its own words: they are logged for who debugs.
fn quiet_panics() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let in_timely = panic.location().is_some_and(|place| place.file().contains("timely_communication"));
        let thread = std::thread::current();
        let worker = thread.name().is_some_and(|name| name.starts_with("timely:"));
        if in_timely || worker { tracing::debug!("{panic}") } else { others(panic) }
    }));
}

/// Sends logs to stderr.
fn start_log(filter: &str) -> Result<(), Stop> {
    let wrong = |error| Stop::bad_configuration(format!("--log {filter:?} is no filter: {error}"));
    let filter = EnvFilter::builder().parse(filter).map_err(wrong)?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}
