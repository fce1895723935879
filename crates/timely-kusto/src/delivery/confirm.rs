//! The wait for the service's word on an ingestion.
//!
//! | state of the status row | what it means here |
//! |---|---|
//! | Succeeded | delivered |
//! | Skipped, or Failed with `Skipped_IngestByTagAlreadyExists` | delivered as skipped when `ingest_if_not_exists` was asked for, else a failure |
//! | Failed, Exhausted | the service's own tries are used up: queued again, under a new source id; the blob is kept |
//! | Failed, Transient | "retry will be executed": looked at for `retry_max_backoff` longer, then queued again as above |
//! | Failed otherwise, PartiallySucceeded | a failure for good: sending the rows again would fail again, or repeat some |
//! | Queued | a failure: the row will never change |
//! | Pending until `poll_timeout` | a failure that says that the outcome is unknown |
//! | no row, or one that cannot be read, after some looks | the same |
//!
//! The states and the quoted words are those of `MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/api/netfx/kusto-ingest-client-status.md`, which calls Failed final and Transient retried: hence the wait.

use std::time::{Duration, Instant};

use kusto_client::{ErrorKind, FailureStatus, IngestionState, IngestionStatus, Ticket, quote_name};

use super::retry::{Again, retry};
use super::{Courier, Delivered, advice};
use crate::{Result, SinkError};

/// The service's code for rows that `ingest_if_not_exists` kept out.
const SKIPPED_BY_TAG: &str = "Skipped_IngestByTagAlreadyExists";

/// What a final state asks for.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Done.
    Delivered(Delivered),
    /// The same blob may be queued again; the error is what to report when no attempt is left.
    QueueAgain(Box<SinkError>),
}

impl Courier {
    /// Looks at the status of `ticket` until it is final.
    pub(super) async fn confirm(&self, ticket: &Ticket, blob: &str, rows: u64) -> Result<Verdict> {
        let started = Instant::now();
        let mut pause = self.options.poll_interval().min(FIRST_LOOK);
        let mut failing_since = None;
        let verdict = loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.options.poll_interval());
            let status = self.look(ticket, blob, rows).await?;
            if let Some(stopped) = self.stopped() {
                return Err(stopped);
            }
            let waited = started.elapsed();
            let out_of_time = waited >= self.options.poll_timeout();
            if service_retries(&status) && !out_of_time {
                let since = *failing_since.get_or_insert(waited);
                if waited - since < self.options.retry().backoff.max {
                    continue;
                }
            }
            if status.state != IngestionState::Pending {
                break self.judge(status, ticket, blob, rows);
            }
            if out_of_time {
                break Err(self.unconfirmed(ticket, blob, rows, waited));
            }
        };
        self.counters.confirmed(started.elapsed());
        verdict
    }

    async fn look(&self, ticket: &Ticket, blob: &str, rows: u64) -> Result<IngestionStatus> {
        // A look changes nothing: it may always be repeated, also where a lagging table does not show the row yet.
        let again = |error: &kusto_client::Error| match error.kind() {
            ErrorKind::NotFound => Again::AFewTimes,
            _ => Again::harmless(error),
        };
        let look = || async {
            // Never closed; held for a look and not for the pauses between looks.
            let _permit = self.looks.acquire().await;
            self.service.status(ticket).await
        };
        retry(self, "status", again, look).await.map_err(|given_up| SinkError::StatusUnread {
            rows,
            table: self.table(),
            blob: blob.to_owned(),
            source_id: ticket.source_id,
            attempts: given_up.attempts,
            after: given_up.after,
            source: given_up.error,
        })
    }

    fn judge(&self, status: IngestionStatus, ticket: &Ticket, blob: &str, rows: u64) -> Result<Verdict> {
        let by_tag = status.error_code.as_deref() == Some(SKIPPED_BY_TAG);
        let wanted = !self.options.ingest_if_not_exists().is_empty();
        match status.state {
            IngestionState::Succeeded => Ok(Verdict::Delivered(Delivered::Rows)),
            IngestionState::Skipped if wanted => Ok(Verdict::Delivered(Delivered::Skipped)),
            IngestionState::Failed if by_tag && wanted => Ok(Verdict::Delivered(Delivered::Skipped)),
            IngestionState::Failed if may_pass(&status) => {
                Ok(Verdict::QueueAgain(Box::new(self.refused(status, ticket, blob, rows))))
            }
            _ => Err(self.refused(status, ticket, blob, rows)),
        }
    }

    fn refused(&self, status: IngestionStatus, ticket: &Ticket, blob: &str, rows: u64) -> SinkError {
        let code = status.error_code.as_deref();
        SinkError::Ingestion {
            rows,
            table: self.table(),
            blob: blob.to_owned(),
            source_id: ticket.source_id,
            advice: code.and_then(|code| advice::advice(code, &self.options, self.service.principal())),
            status: Box::new(status),
        }
    }

    fn unconfirmed(&self, ticket: &Ticket, blob: &str, rows: u64, waited: Duration) -> SinkError {
        SinkError::Unconfirmed {
            rows,
            table: self.table(),
            blob: blob.to_owned(),
            source_id: ticket.source_id,
            policy: format!(".show table {} policy ingestionbatching", quote_name(self.options.table())),
            waited,
        }
    }
}

/// The first look comes early, for clusters that ingest at once; the pause then doubles up to `poll_interval`.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// The service says that it tries again by itself.
fn service_retries(status: &IngestionStatus) -> bool {
    status.state == IngestionState::Failed && status.failure == FailureStatus::Transient
}

fn may_pass(status: &IngestionStatus) -> bool {
    matches!(status.failure, FailureStatus::Transient | FailureStatus::Exhausted)
}
