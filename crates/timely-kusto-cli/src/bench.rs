//! `timely-kusto bench`: what is measured, and how, is in the package `timely-kusto-benches`.

use timely_kusto_benches::{Helpers, Options, measure, perform};

use crate::args::BenchArguments;
use crate::exit::{Exit, Stop};

/// Measures and prints; started again as a helper, does the task.
pub(crate) fn bench(arguments: &BenchArguments) -> Result<Exit, Stop> {
    if let Some(task) = &arguments.task {
        perform(task).map_err(Stop::failed)?;
        return Ok(Exit::Done);
    }
    let options = Options {
        rows: arguments.rows,
        workers: arguments.workers,
        latencies: arguments.latencies.clone(),
        settings: arguments.set.clone(),
    };
    options.validate().map_err(Stop::bad_configuration)?;
    let executable = std::env::current_exe().map_err(Stop::failed)?;
    let helpers = Helpers::Processes { executable, arguments: vec!["bench".into(), "--task".into()] };
    let report = measure(&options, &helpers, |next| eprintln!("{next} ...")).map_err(Stop::failed)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report).map_err(Stop::failed)?);
    } else {
        print!("{report}");
    }
    Ok(Exit::Done)
}
