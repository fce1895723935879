//! What was asked of the emulator, in order: so that a test can say "each command asked, and by whom".

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// How many requests are remembered; older ones are only counted.
pub const REMEMBERED_REQUESTS: usize = 50_000;

/// The longest command or query text that is remembered, in bytes.
const REMEMBERED_TEXT: usize = 4096;

/// A part of the emulator that takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/v1/rest/mgmt`; the operation is the command's text.
    Management,
    /// `/v1/rest/query` and `/v2/rest/query`; the operation is the query's text.
    Query,
    /// `/v1/rest/ingest/...`; the operation is `StreamingIngest`.
    StreamingIngest,
    /// `/v1/rest/auth/metadata`; the operation is `Metadata`.
    Metadata,
    /// Sign-in; the operation is `Token`, `ManagedIdentityToken` or `Discovery`.
    SignIn,
    /// Blob storage; the operation is the REST API's name without spaces, such as `PutBlob`.
    Blob,
    /// Queue storage; the operation is such as `PutMessage`.
    Queue,
    /// Table storage; the operation is such as `InsertEntity`.
    Table,
    /// Not asked by a client: data management ingests a batch. The operation is `Ingest`, the scope `database/table`. A
    /// fault here is what the client sees in its status: 5xx is transient and tried again, other statuses are final.
    Ingestion,
    /// A path that is none of these.
    Unknown,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Counts from 0 in the order of arrival.
    pub number: u64,
    /// Which part was asked.
    pub endpoint: Endpoint,
    /// What was asked: a command, a query, or the name of an operation.
    pub operation: String,
    /// The database of a command or query; the account and container, queue or table of storage.
    pub scope: String,
    /// Who asked: a fully qualified principal, or empty where that is not known (storage knows only signatures).
    pub principal: String,
    /// When it was asked.
    pub at: Timestamp,
}

/// The requests so far.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    requests: Mutex<(u64, VecDeque<Request>)>,
}

impl RequestLog {
    pub(crate) fn record(&self, mut request: Request) {
        let fits = |end: &usize| request.operation.is_char_boundary(*end);
        let end = (0..=REMEMBERED_TEXT.min(request.operation.len())).rev().find(fits).unwrap_or(0);
        request.operation.truncate(end);
        let mut log = self.lock();
        request.number = log.0;
        log.0 += 1;
        if log.1.len() == REMEMBERED_REQUESTS {
            log.1.pop_front();
        }
        log.1.push_back(request);
    }

    pub(crate) fn all(&self) -> Vec<Request> {
        self.lock().1.iter().cloned().collect()
    }

    pub(crate) fn count(&self) -> u64 {
        self.lock().0
    }

    pub(crate) fn forget(&self) {
        self.lock().1.clear();
    }

    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<Request>)> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
