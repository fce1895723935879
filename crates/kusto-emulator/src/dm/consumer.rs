//! The loop: take, check, gather, ingest, report, wait.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::batch::{Accepted, Batch, Batches, Group};
use super::message::IngestionMessage;
use super::report::Verdict;
use super::{DataManagement, count};
use crate::assumptions::{RepeatedMessages, UnknownSize};
use crate::clock::after;
use crate::engine::{
    CountedRows, IngestFailure, IngestOutcome, IngestRequest, IngestSource, IngestionProperties, Pending,
    Principal, SourceOutcome, timestamp,
};
use crate::faults::{Fault, Mischief};
use crate::requests::{Endpoint, Request};
use crate::storage::{Message, Place};

/// Messages taken from a queue at a time.
const TAKEN: usize = 1000;

/// The service retries "for up to 48 hours" (`ingest-data-overview.md`).
const RETRY_FOR: Duration = Duration::from_secs(48 * 3600);

/// Messages of which it is remembered what became of them, where that is assumed: enough for any test.
const CONCLUDED: usize = 1_000_000;

/// How often the engine is asked whether it has something to do by itself.
const UPKEEP: Duration = Duration::from_secs(60);

/// Waiting times double from the first to the last.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);

impl DataManagement {
    /// Works until `stop`. What it has in hand then is in its queue again at the next start.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut batches = Batches::default();
        while !stop.is_cancelled() {
            if self.failed_over.swap(false, Ordering::SeqCst) {
                self.give_back(std::mem::take(&mut batches));
            }
            let wanted = self.wanted.load(Ordering::SeqCst);
            if self.pass(&mut batches).await {
                continue;
            }
            self.rested.send_replace(wanted);
            let tick = after(self.clock.now(), UPKEEP);
            let operation = self.engine.next_operation().map(timestamp);
            let work = batches.next_due().into_iter().chain(self.next_messages()).chain(operation);
            let next = work.chain([tick]).min();
            let next = self.clock.sleep_until(next.unwrap_or(Timestamp::MAX));
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.depot.message_posted() => {}
                () = self.engine.operation_begun() => {}
                () = self.nudge.notified() => {}
                () = next => {}
            }
        }
        self.rested.send_replace(u64::MAX);
    }

    /// What gathers is in its queue again, as after a failure of the node.
    fn give_back(&self, batches: Batches) {
        let now = self.clock.now();
        for accepted in batches.into_messages() {
            self.depot.give_back_message(&accepted.queue, &accepted.message.id, now, now);
        }
    }

    fn next_messages(&self) -> impl Iterator<Item = Timestamp> {
        self.resources.ready.iter().filter_map(|queue| self.depot.next_message(queue))
    }

    /// Everything that is due now; false if that was nothing.
    async fn pass(self: &Arc<Self>, batches: &mut Batches) -> bool {
        let mut worked = false;
        for queue in &self.resources.ready {
            let messages = match self.depot.take_messages(queue, TAKEN) {
                Ok(messages) => messages,
                Err(error) => {
                    tracing::error!(%error, "messages cannot be taken; trying again in a second");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            for message in messages {
                worked = true;
                if let Some(sealed) = self.accept(queue, message, batches) {
                    self.ingest(sealed).await;
                }
            }
        }
        for batch in batches.due(self.clock.now()) {
            worked = true;
            self.ingest(batch).await;
        }
        while let Some(operation) = self.engine.take_due_operation() {
            worked = true;
            self.operate(operation).await;
        }
        if self.engine.upkeep_is_due() {
            worked = true;
            self.keep_up().await;
        }
        worked
    }

    /// Works on an `async` command; one that is to be held does not hold up the others.
    async fn operate(&self, operation: Pending) {
        let (engine, held) = (Arc::clone(&self.engine), operation.may_be_held());
        let work = tokio::task::spawn_blocking(move || engine.run_operation(&operation));
        if !held && let Err(error) = work.await {
            tracing::error!(%error, "an operation did not finish");
        }
    }

    /// Merges and what else the service does by itself.
    async fn keep_up(&self) {
        let engine = Arc::clone(&self.engine);
        match tokio::task::spawn_blocking(move || engine.upkeep()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "upkeep of the extents failed; it is tried again in a minute")
            }
            Err(error) => tracing::error!(%error, "upkeep of the extents did not finish"),
        }
    }

    /// Checks a message; returns the batch that it completes.
    fn accept(&self, queue: &Place, message: Message, batches: &mut Batches) -> Option<Batch> {
        count(&self.counters.messages, 1);
        let ingestion = match IngestionMessage::decode(&message.text) {
            Ok(ingestion) => ingestion,
            Err(why) => {
                count(&self.counters.undecodable, 1);
                tracing::warn!(queue = %queue.resource, message = %message.id, %why, "a queue message is dropped");
                self.forget(queue, &message.id);
                return None;
            }
        };
        let size = ingestion.raw_size.or_else(|| self.estimated_size(&ingestion));
        let accepted = Accepted { queue: queue.clone(), message, ingestion, size };
        if self.options.accept_only {
            self.count_only(&accepted);
            return None;
        }
        if self.engine.assumptions().repeated_messages == RepeatedMessages::IngestedOnce
            && let Some(verdict) = self.known(accepted.ingestion.id)
        {
            self.conclude(&accepted, &verdict);
            return None;
        }
        match self.group(&accepted.ingestion) {
            Ok(group) => {
                let policy = self.policy(&group.database, &group.table);
                batches.add(group, accepted, policy, self.clock.now())
            }
            Err(failure) => {
                self.conclude(&accepted, &Verdict::failed(failure, None));
                None
            }
        }
    }

    /// The size of a blob that the message does not tell, if it is assumed to be looked up.
    fn estimated_size(&self, ingestion: &IngestionMessage) -> Option<u64> {
        let estimated = self.engine.assumptions().unknown_size == UnknownSize::Estimated;
        let size = estimated.then(|| self.depot.source_size(&ingestion.blob)).flatten()?;
        Some(size.max(1))
    }

    /// What became of an earlier message of that id.
    fn known(&self, id: Uuid) -> Option<Verdict> {
        self.concluded.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Keeps what became of a message, for as many as are kept.
    fn keep_verdict(&self, id: Uuid, verdict: &Verdict) {
        if self.engine.assumptions().repeated_messages == RepeatedMessages::IngestedOnce {
            let mut concluded = self.concluded.lock().unwrap_or_else(PoisonError::into_inner);
            if concluded.len() < CONCLUDED {
                concluded.insert(id, verdict.clone());
            }
        }
    }

    /// Who sent it, whether he may, and what it can be gathered with.
    fn group(&self, ingestion: &IngestionMessage) -> Result<Group, IngestFailure> {
        let principal = self.sender(ingestion)?;
        self.engine.check_ingestion(&principal, &ingestion.database, &ingestion.table)?;
        Ok(Group {
            principal,
            database: ingestion.database.to_lowercase(),
            table: ingestion.table.clone(),
            properties: IngestionProperties::from_json(&ingestion.properties)?,
        })
    }

    fn sender(&self, ingestion: &IngestionMessage) -> Result<Principal, IngestFailure> {
        self.sign_in.verify_ingestion(&ingestion.authorization).map_err(|why| {
            IngestFailure::permanent(
                "BadRequest_InvalidKustoIdentityToken",
                format!("authorizationContext: {why}"),
            )
        })
    }

    /// Accept-only mode: the blob's metadata says what it held.
    fn count_only(&self, accepted: &Accepted) {
        let ingestion = &accepted.ingestion;
        let verdict = match self.counted(ingestion) {
            Ok(rows) => Verdict::ingested(rows, None),
            Err(failure) => Verdict::failed(failure, None),
        };
        self.conclude(accepted, &verdict);
        if let Err(error) = self.depot.delete_source(&ingestion.blob) {
            tracing::debug!(%error, "an accepted blob was not removed");
        }
    }

    /// Gives the table an extent of as many rows as the metadata says, without their values.
    fn counted(&self, ingestion: &IngestionMessage) -> Result<u64, IngestFailure> {
        let Group { principal, database, table, properties } = self.group(ingestion)?;
        let metadata = self.depot.source_metadata(&ingestion.blob)?;
        let number = |name: &str| metadata.get(name).and_then(|text| text.parse().ok());
        let (rows, raw_bytes) =
            (number("rows").unwrap_or(0), number("rawbytes").or(ingestion.raw_size).unwrap_or(0));
        let request = CountedRows { principal, database, table, properties, rows, raw_bytes };
        self.engine.ingest_counted(&request)?;
        count(&self.counters.raw_bytes, raw_bytes);
        Ok(rows)
    }

    /// Ingests a batch and says what came of each of its messages. One that is to be held does not hold up the others.
    async fn ingest(self: &Arc<Self>, batch: Batch) {
        count(&self.counters.batches, 1);
        let (fault, mischief) = self.fault(&batch).await;
        if mischief.hold.is_some() {
            tokio::spawn(Arc::clone(self).work(batch, fault, mischief));
        } else {
            Arc::clone(self).work(batch, fault, mischief).await;
        }
    }

    async fn work(self: Arc<Self>, batch: Batch, fault: Option<Fault>, mischief: Mischief) {
        let (sources, source_of) = distinct_sources(&batch);
        let (group, activity_id) = (batch.group, self.engine.new_id());
        // Kept until everything is told: then the request counts as done.
        let _hold = mischief.hold.clone();
        let request = IngestRequest {
            principal: group.principal,
            database: group.database,
            table: group.table,
            properties: group.properties,
            sources,
            activity_id,
            queued: true,
            mischief,
        };
        let result = self.spoil(fault, request).await;
        for (accepted, source) in batch.messages.iter().zip(source_of) {
            self.settle(accepted, &verdict_on(&result, source), retry_after(fault));
        }
    }

    async fn spoil(
        &self,
        fault: Option<Fault>,
        request: IngestRequest,
    ) -> Result<IngestOutcome, IngestFailure> {
        match fault {
            Some(Fault::Fail { status, .. } | Fault::Quote { status }) => return Err(spoiled(status)),
            Some(Fault::Throttle { .. } | Fault::Refuse) => return Err(spoiled(503)),
            Some(Fault::RevokeRoles) => self.engine.forget_principal(&request.principal),
            _ => {}
        }
        let engine = Arc::clone(&self.engine);
        let worked = tokio::task::spawn_blocking(move || engine.ingest(request)).await;
        let result = worked.unwrap_or_else(|error| {
            tracing::error!(%error, "an ingestion did not finish");
            Err(IngestFailure::permanent("General_InternalServerError", "the emulator's engine failed"))
        });
        match fault {
            Some(Fault::FailAfter { status } | Fault::Half { status }) => Err(spoiled(status)),
            Some(Fault::LoseAnswer | Fault::Truncate { .. }) => Err(spoiled(504)),
            _ => result,
        }
    }

    /// A fault rule may spoil an ingestion like any request.
    async fn fault(&self, batch: &Batch) -> (Option<Fault>, Mischief) {
        let request = Request {
            number: 0,
            endpoint: Endpoint::Ingestion,
            operation: "Ingest".to_owned(),
            scope: format!("{}/{}", batch.group.database, batch.group.table),
            principal: batch.group.principal.fqn(),
            at: self.clock.now(),
        };
        let (delay, fault) = self.faults.decide(&request);
        self.requests.record(request.clone());
        if !delay.is_zero() {
            self.clock.sleep_until(after(self.clock.now(), delay)).await;
        }
        (fault, self.faults.mischief(fault, &request))
    }

    /// Tries again later what may pass, for as long as the service does; concludes the rest.
    fn settle(&self, accepted: &Accepted, verdict: &Verdict, retry_after: Option<Duration>) {
        let now = self.clock.now();
        let Verdict::Failed { failure, operation } = verdict else { return self.conclude(accepted, verdict) };
        if failure.permanent {
            return self.conclude(accepted, verdict);
        }
        if now >= after(accepted.message.inserted, RETRY_FOR) {
            let message = format!("retries did not help; the last error was {failure}");
            let failure = IngestFailure::permanent("General_RetryAttemptsExceeded", message);
            return self.conclude(accepted, &Verdict::Exhausted { failure, operation: *operation });
        }
        count(&self.counters.retried, 1);
        let doublings = accepted.message.dequeued.saturating_sub(1).min(16);
        let wait = FIRST_RETRY.saturating_mul(1 << doublings).min(LAST_RETRY);
        let wait = retry_after.unwrap_or(wait);
        tracing::info!(source = %accepted.ingestion.id, error = %failure, ?wait, "an ingestion is tried again");
        self.depot.give_back_message(&accepted.queue, &accepted.message.id, after(now, wait), now);
    }

    /// Reports, cleans up, and forgets the message, in this order.
    fn conclude(&self, accepted: &Accepted, verdict: &Verdict) {
        let ingestion = &accepted.ingestion;
        self.keep_verdict(ingestion.id, verdict);
        match verdict {
            Verdict::Ingested { rows, .. } => {
                count(&self.counters.succeeded, 1);
                count(&self.counters.rows, *rows);
                if !self.options.accept_only {
                    count(&self.counters.raw_bytes, ingestion.raw_size.unwrap_or(0));
                }
            }
            Verdict::Failed { failure, .. } | Verdict::Exhausted { failure, .. } => {
                count(&self.counters.failed, 1);
                tracing::info!(source = %ingestion.id, error = %failure, "an ingestion failed");
            }
        }
        self.report(ingestion, verdict);
        if matches!(verdict, Verdict::Ingested { .. })
            && !ingestion.retain
            && !self.options.accept_only
            && let Err(error) = self.depot.delete_source(&ingestion.blob)
        {
            tracing::debug!(%error, "an ingested blob was not removed");
        }
        self.forget(&accepted.queue, &accepted.message.id);
    }

    fn forget(&self, queue: &Place, message: &str) {
        if let Err(error) = self.depot.finish_message(queue, message) {
            // It comes again at the next start: at least once.
            tracing::error!(%error, "a finished message could not be removed from its queue");
        }
    }
}

/// The blobs of a batch, each once, and for each message which of them is its.
fn distinct_sources(batch: &Batch) -> (Vec<IngestSource>, Vec<usize>) {
    let (mut sources, mut known) = (Vec::new(), HashMap::new());
    let source_of = batch.messages.iter().map(|accepted| {
        let ingestion = &accepted.ingestion;
        let address = ingestion.blob.split(['?', ';']).next().unwrap_or_default();
        *known.entry(address).or_insert_with(|| {
            sources.push(IngestSource { url: ingestion.blob.clone(), id: ingestion.id });
            sources.len() - 1
        })
    });
    let source_of = source_of.collect();
    (sources, source_of)
}

fn verdict_on(result: &Result<IngestOutcome, IngestFailure>, source: usize) -> Verdict {
    match result {
        Err(failure) => Verdict::failed(failure.clone(), None),
        Ok(outcome) => match outcome.sources.get(source) {
            Some(SourceOutcome::Ingested { rows }) => Verdict::ingested(*rows, Some(outcome.operation_id)),
            Some(SourceOutcome::Failed(failure)) => {
                Verdict::failed(failure.clone(), Some(outcome.operation_id))
            }
            None => Verdict::failed(
                IngestFailure::permanent(
                    "General_InternalServerError",
                    "the engine did not account for the blob",
                ),
                Some(outcome.operation_id),
            ),
        },
    }
}

/// When a fault rule wants a spoiled ingestion to be tried again.
fn retry_after(fault: Option<Fault>) -> Option<Duration> {
    match fault {
        Some(Fault::Fail { retry_after, .. } | Fault::Throttle { retry_after }) => retry_after,
        _ => None,
    }
}

/// What a fault rule's status means for an ingestion: 5xx may pass, the rest stays.
fn spoiled(status: u16) -> IngestFailure {
    let message = "a fault rule spoiled this ingestion";
    match status {
        504 => IngestFailure::transient("Timeout", message),
        500..=599 => IngestFailure::transient("General_InternalServerError", message),
        429 => IngestFailure::transient("General_ThrottledIngestion", message),
        _ => IngestFailure::permanent("BadRequest_InvalidBlob", message),
    }
}
