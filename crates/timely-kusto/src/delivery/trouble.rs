//! What is tried again, by cause: one log line per cause, and the counts for the report.
//!
//! A service that is down fails every chunk on its way, each many times. That is one piece of news: the line is written
//! when a cause is seen for the first time, and once in [`QUIET`] while it goes on, with the number of attempts since.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kusto_client::Error;

use crate::SinkError;

/// Between two lines about one cause.
const QUIET: Duration = Duration::from_secs(60);
/// Causes that are told apart: a service has few reasons. The rest is counted under [`OTHER`].
const CAUSES: usize = 32;
/// Stands for causes beyond those.
const OTHER: &str = "other causes";

/// How often something was tried again for one cause; see [`SinkV2::retry_causes`](crate::SinkV2::retry_causes).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryCause {
    /// What was being done: `upload`, `queue`, `status` or `ingest`; in the write-ahead mode also a request of a start
    /// or a commit, in words.
    pub operation: &'static str,
    /// Why it failed: the kind of the error, the HTTP status and the service's code, as far as there are any.
    pub cause: String,
    /// Attempts that followed a failure of this cause.
    pub retries: u64,
}

/// All causes so far.
#[derive(Default)]
pub(crate) struct Troubles(Mutex<BTreeMap<(&'static str, String), Seen>>);

#[derive(Debug, Default)]
struct Seen {
    retries: u64,
    told: Option<Instant>,
    untold: u64,
}

impl Troubles {
    /// Counts an attempt that follows `error`.
    pub(crate) fn of_request(&self, operation: &'static str, error: &Error) {
        let cause = cause_of(error);
        if let Some(attempts) = self.count(operation, &cause, true) {
            tell(operation, &cause, attempts, error);
        }
    }

    /// The same without a line: for who tells of it otherwise.
    pub(crate) fn of_request_quietly(&self, operation: &'static str, error: &Error) {
        self.count(operation, &cause_of(error), false);
    }

    /// Counts an ingestion that is queued again after the service reported that it failed.
    pub(crate) fn of_ingestion(&self, error: &SinkError) {
        let SinkError::Ingestion { status, .. } = error else { return };
        let failure = format!("{:?}", status.failure);
        let cause = joined([Some(failure), status.error_code.clone()]);
        if let Some(attempts) = self.count("ingest", &cause, true) {
            tell("ingest", &cause, attempts, error);
        }
    }

    /// Counts; how many attempts there were since the last line, if one is due.
    fn count(&self, operation: &'static str, cause: &str, loud: bool) -> Option<u64> {
        let mut causes = self.lock();
        let known = causes.len() < CAUSES || causes.contains_key(&(operation, cause.to_owned()));
        let cause = if known { cause } else { OTHER };
        let seen = causes.entry((operation, cause.to_owned())).or_default();
        seen.retries += 1;
        seen.untold += 1;
        if !loud || seen.told.is_some_and(|told| told.elapsed() < QUIET) {
            return None;
        }
        seen.told = Some(Instant::now());
        Some(std::mem::take(&mut seen.untold))
    }

    /// The causes, in order.
    pub(crate) fn read(&self) -> Vec<RetryCause> {
        let cause = |((operation, cause), seen): (&(&'static str, String), &Seen)| RetryCause {
            operation,
            cause: cause.clone(),
            retries: seen.retries,
        };
        self.lock().iter().map(cause).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(&'static str, String), Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(operation: &'static str, cause: &str, attempts: u64, error: &dyn fmt::Display) {
    tracing::warn!(what = operation, cause, attempts, "will be tried again: {error}");
}

fn cause_of(error: &Error) -> String {
    let status = error.http_status().map(|status| format!("HTTP {status}"));
    joined([Some(format!("{:?}", error.kind())), status, error.code().map(str::to_owned)])
}

fn joined<const N: usize>(parts: [Option<String>; N]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl fmt::Debug for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read()).finish()
    }
}
