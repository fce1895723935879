//! Ctrl-C and SIGTERM: the first asks to stop, the second ends the process.

use std::sync::Arc;
use std::sync::OnceLock;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Exit, Signal, Stop};

/// Which signal came first, if any did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signalled(Arc<OnceLock<Signal>>);

impl Signalled {
    pub(crate) fn get(&self) -> Option<Signal> {
        self.0.get().copied()
    }
}

/// Says `words` and calls `stop` on the first signal; a second one ends the process at once.
pub(crate) fn watch(
    runtime: &Runtime,
    words: &'static str,
    stop: impl Fn() + Send + 'static,
) -> Result<Signalled, Stop> {
    let _guard = runtime.enter();
    let failed = |error| Stop::failed(format!("signals cannot be watched: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let signalled = Signalled::default();
    let seen = signalled.clone();
    runtime.spawn(async move {
        loop {
            let signal = tokio::select! {
                _ = interrupt.recv() => Signal::Interrupt,
                _ = terminate.recv() => Signal::Terminate,
            };
            if seen.0.set(signal).is_err() {
                eprintln!("stopped at once; what was not delivered is read again at the next start");
                std::process::exit(Exit::Signalled(signal).code());
            }
            eprintln!("{words}");
            stop();
        }
    });
    Ok(signalled)
}
