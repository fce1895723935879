//! The runtime for everything that the command itself waits for.

use tokio::runtime::{Builder, Runtime};

use crate::exit::Stop;

/// One thread of its own, so that connections opened in it go on being served while the main thread runs a dataflow.
pub(crate) fn runtime() -> Result<Runtime, Stop> {
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("command").enable_all().build();
    runtime.map_err(|error| Stop::failed(format!("a thread for requests could not be started: {error}")))
}
