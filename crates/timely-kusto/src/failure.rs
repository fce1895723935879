//! The first failure of a sink, seen by all its workers in the process.

use std::any::Any;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use timely::scheduling::activate::SyncActivator;

use crate::SinkError;

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// Holds at most one error, for good, and wakes the operators when it comes.
#[derive(Default)]
pub(crate) struct Failure {
    error: OnceLock<Arc<SinkError>>,
    operators: Mutex<Vec<SyncActivator>>,
}

impl Failure {
    /// The failure, if there is one.
    pub(crate) fn get(&self) -> Option<&Arc<SinkError>> {
        self.error.get()
    }

    /// Records `error` unless something failed before, and wakes all operators of the sink.
    pub(crate) fn set(&self, error: SinkError) {
        if matches!(error, SinkError::Stopped) {
            return; // a consequence of the failure, not the failure
        }
        if self.error.set(Arc::new(error)).is_ok() {
            for operator in self.operators.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let _ = operator.activate(); // a worker that is gone needs no news
            }
        }
    }

    /// Has `operator` woken when the sink fails.
    pub(crate) fn register(&self, operator: SyncActivator) {
        self.operators.lock().unwrap_or_else(PoisonError::into_inner).push(operator);
    }
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Failure").field(&self.error.get()).finish()
    }
}
