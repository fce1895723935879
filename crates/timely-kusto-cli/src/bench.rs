//! `timely-kusto bench`: what is measured, and how, is in the package `timely-kusto-benches`.

use std::fmt::Display;

use timely_kusto_benches::{AheadOptions, Helpers, Options, measure, measure_ahead, perform};

use crate::args::{BenchArguments, BenchMode};
use crate::exit::{Exit, Stop};

/// Measures and prints; started again as a helper, does the task.
pub(crate) fn bench(arguments: &BenchArguments) -> Result<Exit, Stop> {
    if let Some(task) = &arguments.task {
        perform(task).map_err(Stop::failed)?;
        return Ok(Exit::Done);
    }
    let executable = std::env::current_exe().map_err(Stop::failed)?;
    let helpers = Helpers::Processes { executable, arguments: vec!["bench".into(), "--task".into()] };
    let progress = |next: &str| eprintln!("{next} ...");
    match arguments.mode {
        BenchMode::SinkV2 => {
            let options = sink_v2(arguments);
            options.validate().map_err(Stop::bad_configuration)?;
            let report = measure(&options, &helpers, progress).map_err(Stop::failed)?;
            show(arguments.json, serde_json::to_string(&report), &report)
        }
        BenchMode::WriteAhead => {
            let options = write_ahead(arguments);
            options.validate().map_err(Stop::bad_configuration)?;
            let report = measure_ahead(&options, &helpers, progress).map_err(Stop::failed)?;
            show(arguments.json, serde_json::to_string(&report), &report)
        }
    }
}

fn sink_v2(arguments: &BenchArguments) -> Options {
    let BenchArguments { rows, workers, latencies, set, .. } = arguments;
    let rows = rows.unwrap_or(Options::default().rows);
    Options { rows, workers: *workers, latencies: latencies.clone(), settings: set.clone() }
}

fn write_ahead(arguments: &BenchArguments) -> AheadOptions {
    AheadOptions {
        command_delay: arguments.command_delay,
        epochs: arguments.epochs.clone(),
        workers: arguments.workers,
        settings: arguments.set.clone(),
        state: arguments.state.clone(),
        ..arguments.rows.map_or_else(AheadOptions::default, AheadOptions::of_rows)
    }
}

fn show(as_json: bool, json: serde_json::Result<String>, text: &impl Display) -> Result<Exit, Stop> {
    if as_json {
        println!("{}", json.map_err(Stop::failed)?);
    } else {
        print!("{text}");
    }
    Ok(Exit::Done)
}
