//! The message that asks the service to ingest a blob.

use std::time::Instant;

use kusto_client::{Effect, Error, Ingestion, Ticket, UploadedBlob};

use super::Courier;
use super::retry::{Again, GivenUp, retry};
use crate::{Result, SinkError};

impl Courier {
    /// Queues `blob`, again at once when the outcome of an attempt is unknown.
    pub(super) async fn queue(
        &self,
        ingestion: &Ingestion,
        blob: &UploadedBlob,
        rows: u64,
    ) -> Result<Ticket> {
        let started = Instant::now();
        let again = |error: &Error| match (Again::harmless(error), error.effect()) {
            (Again::AfterPause, Effect::Unknown) => Again::AtOnce,
            (again, _) => again,
        };
        let post = || async {
            // Never closed; held for an attempt and not for the pauses between attempts.
            let _permit = self.messages.acquire().await;
            self.service.queue(ingestion, blob).await
        };
        let ticket = retry(self, "queue", again, post).await;
        self.counters.queued(started.elapsed());
        ticket.map_err(|given_up| self.undelivered(rows, given_up))
    }

    pub(super) fn undelivered(&self, rows: u64, given_up: GivenUp) -> SinkError {
        let GivenUp { error: source, attempts, after } = given_up;
        SinkError::Service { rows, table: self.table(), attempts, after, source }
    }
}
