//! What all benchmarks have on the command line, and how they run and print.

use std::fmt::Display;
use std::process::ExitCode;

use serde::Serialize;
use timely_kusto_benches::{Helpers, Result, perform};

// The command's allocator, so that the figures are the command's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, clap::Args)]
pub(crate) struct Common {
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

impl Common {
    /// Measures and prints; started again as a helper, does the task.
    pub(crate) fn run<R: Display + Serialize>(
        &self,
        measure: impl FnOnce(&Helpers) -> Result<R>,
    ) -> ExitCode {
        match self.try_run(measure) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn try_run<R: Display + Serialize>(
        &self,
        measure: impl FnOnce(&Helpers) -> Result<R>,
    ) -> std::result::Result<(), Box<dyn std::error::Error>> {
        if let Some(task) = &self.task {
            return Ok(perform(task)?);
        }
        let executable = std::env::current_exe()?;
        let report = measure(&Helpers::Processes { executable, arguments: vec!["--task".into()] })?;
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            print!("{report}");
        }
        Ok(())
    }
}

/// Says on stderr what is measured next.
pub(crate) fn tell(next: &str) {
    eprintln!("{next} ...");
}
