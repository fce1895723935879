//! Since when something that is asked of the service does not go through.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// By operation: what succeeds beside it does not end a stall.
#[derive(Debug, Default)]
pub(crate) struct Stalls(Mutex<BTreeMap<&'static str, Instant>>);

impl Stalls {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt at `operation` failed, and another follows.
    pub(crate) fn failed(&self, operation: &'static str) {
        self.lock().entry(operation).or_insert_with(Instant::now);
    }

    /// `operation` went through.
    pub(crate) fn went_through(&self, operation: &'static str) {
        self.lock().remove(operation);
    }

    /// How long the longest of them lasts.
    pub(crate) fn longest(&self) -> Option<Duration> {
        self.lock().values().min().map(Instant::elapsed)
    }
}
