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
    /// What was being done: `upload`, `queue`, `status` or `ingest`; in the write-ahead mode also `stage`, for a new attempt
    /// at a chunk, and what was asked of the cluster.
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
        self.count(operation, cause(error), Some(error));
    }

    /// The same without a line: whoever failed has one of its own.
    pub(crate) fn note(&self, operation: &'static str, error: &Error) {
        self.count(operation, cause(error), None::<&Error>);
    }

    /// Counts an attempt at staging a chunk that follows `error`.
    pub(crate) fn of_staging(&self, error: &SinkError) {
        match error {
            SinkError::Ingestion { .. } => self.of_ingestion(error),
            SinkError::Service { source, .. } | SinkError::StatusUnread { source, .. } => {
                self.note("stage", source);
            }
            SinkError::Unconfirmed { .. } => self.count("stage", "no status in time".to_owned(), Some(error)),
            _ => {}
        }
    }

    /// Counts an ingestion that is queued again after the service reported that it failed.
    pub(crate) fn of_ingestion(&self, error: &SinkError) {
        let SinkError::Ingestion { status, .. } = error else { return };
        let failure = format!("{:?}", status.failure);
        self.count("ingest", joined([Some(failure), status.error_code.clone()]), Some(error));
    }

    fn count(&self, operation: &'static str, cause: String, line: Option<&impl fmt::Display>) {
        let mut causes = self.lock();
        let known = causes.len() < CAUSES || causes.contains_key(&(operation, cause.clone()));
        let cause = if known { cause } else { OTHER.to_owned() };
        let seen = causes.entry((operation, cause.clone())).or_default();
        seen.retries += 1;
        let Some(error) = line else { return };
        seen.untold += 1;
        if seen.told.is_some_and(|told| told.elapsed() < QUIET) {
            return;
        }
        seen.told = Some(Instant::now());
        let attempts = std::mem::take(&mut seen.untold);
        drop(causes);
        tracing::warn!(what = operation, cause, attempts, "will be tried again: {error}");
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

fn cause(error: &Error) -> String {
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
