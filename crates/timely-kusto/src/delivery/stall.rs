//! Since when something that is asked of the service does not go through, and what the service says.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// By operation: what succeeds beside it does not end a stall.
#[derive(Debug, Default)]
pub(crate) struct Stalls(Mutex<BTreeMap<&'static str, Stall>>);

/// An operation that does not go through.
#[derive(Clone, Debug)]
pub(crate) struct Stall {
    pub(crate) since: Instant,
    /// What was said at the first failure.
    pub(crate) reason: String,
    /// Whether [`Stalls::lasts`] has said that it lasts.
    pub(crate) told: bool,
}

impl Stalls {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Stall>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt at `operation` failed, and another follows.
    pub(crate) fn failed(&self, operation: &'static str, reason: &dyn Display) {
        self.lasts(operation, reason, Duration::MAX);
    }

    /// The same; whether the stall has become as long as `worth_telling`, which is said once.
    pub(crate) fn lasts(
        &self,
        operation: &'static str,
        reason: &dyn Display,
        worth_telling: Duration,
    ) -> bool {
        let mut stalls = self.lock();
        let first = || Stall { since: Instant::now(), reason: reason.to_string(), told: false };
        let stall = stalls.entry(operation).or_insert_with(first);
        !stall.told && {
            stall.told = stall.since.elapsed() >= worth_telling;
            stall.told
        }
    }

    /// `operation` went through; the stall that this ended.
    pub(crate) fn went_through(&self, operation: &'static str) -> Option<Stall> {
        self.lock().remove(operation)
    }

    /// What is stalled.
    pub(crate) fn operations(&self) -> Vec<&'static str> {
        self.lock().keys().copied().collect()
    }

    /// The one that lasts longest.
    pub(crate) fn longest(&self) -> Option<Stall> {
        self.lock().values().min_by_key(|stall| stall.since).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_begins_at_its_first_failure_is_told_once_and_ends_with_its_own_operation() {
        let stalls = Stalls::default();
        assert!(!stalls.lasts("upload", &"first", Duration::MAX));
        assert!(stalls.lasts("upload", &"second", Duration::ZERO));
        assert!(!stalls.lasts("upload", &"third", Duration::ZERO), "it was told");
        stalls.failed("queue", &"later");
        let longest = stalls.longest().unwrap();
        assert_eq!((longest.reason.as_str(), longest.told), ("first", true));
        assert!(stalls.went_through("status").is_none());
        assert!(!stalls.went_through("queue").unwrap().told);
        assert_eq!(stalls.operations(), ["upload"]);
        stalls.went_through("upload");
        assert!(stalls.longest().is_none());
    }
}
