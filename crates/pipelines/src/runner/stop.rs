//! Asks a running pipeline to stop.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use timely::scheduling::activate::SyncActivator;

/// Asks a pipeline to stop gracefully: its sources are read no further, what was read is delivered, and the positions
/// behind it are kept, so that the next start goes on without loss or repetition. Stopping one process of a cluster
/// stops all. Cheap to clone; may be asked from any thread, also before the pipeline runs.
#[derive(Clone, Debug, Default)]
pub struct StopHandle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    requested: AtomicBool,
    wakers: Mutex<Vec<SyncActivator>>,
}

impl StopHandle {
    /// A handle that nobody has asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks. Asking again changes nothing.
    pub fn stop(&self) {
        self.0.requested.store(true, SeqCst);
        for waker in self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = waker.activate(); // a worker that is gone has stopped
        }
    }

    /// Whether it was asked.
    pub fn is_requested(&self) -> bool {
        self.0.requested.load(SeqCst)
    }

    pub(super) fn wake(&self, waker: SyncActivator) {
        self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(waker);
    }
}
