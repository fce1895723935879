//! What the engine remembers of past operations: for `.show operations` and `.show ingestion failures`. In memory only,
//! the newest first to stay.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

/// How many entries of each kind are kept: enough to look back over a test, small enough not to matter (some MB).
const KEPT: usize = 10_000;

/// A command that left a trace.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: Uuid,
    /// Such as `DataIngestPull` or `ExtentsMove`.
    pub(crate) kind: &'static str,
    pub(crate) database: String,
    /// The caller's fully qualified name.
    pub(crate) principal: String,
    /// Ticks.
    pub(crate) started: i64,
    /// Ticks.
    pub(crate) ended: i64,
    /// `Completed`, `Failed`, `BadInput`.
    pub(crate) state: &'static str,
    /// The error, or nothing.
    pub(crate) status: String,
    /// The rows of a command that ran `async`.
    pub(crate) details: Option<crate::data::ResultTable>,
}

/// A source that was not ingested.
#[derive(Debug, Clone)]
pub(crate) struct FailedIngestion {
    pub(crate) operation_id: Uuid,
    pub(crate) operation_kind: &'static str,
    pub(crate) activity_id: Uuid,
    pub(crate) database: String,
    pub(crate) table: String,
    /// Ticks.
    pub(crate) failed_on: i64,
    /// The blob's address without its secret.
    pub(crate) source: String,
    pub(crate) principal: String,
    pub(crate) sources: usize,
    /// What the ingestion was asked to do, as JSON.
    pub(crate) properties: String,
    pub(crate) failure: super::batch::IngestFailure,
}

/// Both lists.
#[derive(Debug, Default)]
pub(crate) struct Log {
    operations: Mutex<VecDeque<Operation>>,
    failures: Mutex<VecDeque<FailedIngestion>>,
}

impl Log {
    pub(crate) fn operation(&self, operation: Operation) {
        push(&mut lock(&self.operations), operation);
    }

    pub(crate) fn failure(&self, failure: FailedIngestion) {
        push(&mut lock(&self.failures), failure);
    }

    /// Oldest first.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        lock(&self.operations).iter().cloned().collect()
    }

    /// Oldest first.
    pub(crate) fn failures(&self) -> Vec<FailedIngestion> {
        lock(&self.failures).iter().cloned().collect()
    }
}

fn push<T>(list: &mut VecDeque<T>, entry: T) {
    if list.len() == KEPT {
        list.pop_front();
    }
    list.push_back(entry);
}

fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
