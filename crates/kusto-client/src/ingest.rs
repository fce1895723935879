//! Queued ingestion: blobs, the queue, the status table, and the temporary storage that the cluster lends for them.
//!
//! ```text
//! upload: resources ─► pick a container (ranking) ─► blob            queue: message ─► status row ─► queue (ranking)
//!             ▲                                       │ 403, 404                                        │
//!             └── fetched again, once ◄───────────────┴─────────────────────────────────────────────────┘
//! ```
//! Storage is reached with the signatures of the resources, never with a token of ours.

mod blob;
mod direct;
pub(crate) mod message;
mod queue;
mod ranking;
mod resources;
mod status;

pub use direct::ingest_command;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

use self::message::Context;
use self::ranking::Ranking;
use self::resources::{Lender, Resources, Storage};
use self::status::Inserted;
use crate::http::Http;
use crate::options::ConnectionOptions;
use crate::rest::{Rest, Role, client_version};
use crate::{
    Blob, Effect, Error, ErrorKind, Ingestion, IngestionState, IngestionStatus, Report, Result, Ticket,
    UploadedBlob, without_query,
};

/// The ingesting half of a client.
#[derive(Debug)]
pub(crate) struct Ingest {
    options: ConnectionOptions,
    http: Http,
    lender: Lender,
    ranking: Mutex<Ranking>,
    /// Zero of the ranking's clock.
    started: Instant,
}

impl Ingest {
    pub(crate) fn new(options: ConnectionOptions, http: Http, rest: Rest) -> Self {
        let lender = Lender::new(&options, rest);
        Ingest { options, http, lender, ranking: Mutex::default(), started: Instant::now() }
    }

    /// Has data management lend what uploads and messages need.
    pub(crate) async fn prepare(&self) -> Result<()> {
        self.lender.prepare().await
    }

    /// Stores a blob in one of the cluster's containers.
    pub(crate) async fn upload(&self, blob: &Blob) -> Result<UploadedBlob> {
        let put = |resources: Arc<Resources>| async move {
            let container = self.pick(&resources.containers, "container")?;
            let stored = blob::put(&self.http, container, blob, self.timeout()).await;
            self.rank(container, &stored);
            stored
        };
        self.lender.with_resources(put).await
    }

    /// Posts the message about a blob; the status row is there before it.
    pub(crate) async fn queue(&self, ingestion: &Ingestion, blob: &UploadedBlob) -> Result<Ticket> {
        let post = |resources: Arc<Resources>| async move { self.post(ingestion, blob, &resources).await };
        self.lender.with_resources(post).await.map_err(|error| self.name_right(error, ingestion))
    }

    async fn post(
        &self,
        ingestion: &Ingestion,
        blob: &UploadedBlob,
        resources: &Resources,
    ) -> Result<Ticket> {
        let no_message = |error: Error| error.with_effect(Effect::None);
        let table = match ingestion.report {
            Report::None => None,
            Report::Table => Some(resources.status_table()?),
        };
        let authorization = self.lender.identity().await.map_err(no_message)?;
        let text = message::encode(
            ingestion,
            blob,
            &Context {
                authorization: &authorization,
                signature: resources.signature_of(&blob.container).unwrap_or(&blob.signature),
                status_table: table.map(|table| (table.address.as_str(), &table.signature)),
                application: &self.options.0.application,
                client_version: &client_version(),
                now: Timestamp::now(),
            },
        )?;
        let ticket = Ticket {
            source_id: ingestion.source_id,
            status_table: table.map(|table| table.address.to_string()),
            signature: table.map(|table| table.signature.clone()),
        };
        if let Some(table) = table
            && self.was_taken(table, ingestion, blob).await.map_err(no_message)?
        {
            return Ok(ticket);
        }
        let queue = self.pick(&resources.queues, "queue").map_err(no_message)?;
        let posted = queue::post(&self.http, queue, text, self.timeout()).await;
        self.rank(queue, &posted);
        posted.map(|()| ticket)
    }

    /// Sees to the status row, and whether it says that an earlier attempt's message reached the service (promise 8).
    async fn was_taken(&self, table: &Storage, ingestion: &Ingestion, blob: &UploadedBlob) -> Result<bool> {
        let timeout = self.timeout();
        match status::insert(&self.http, table, ingestion, blob, timeout).await? {
            Inserted::New => Ok(false),
            Inserted::WasThere => {
                let status = status::read(&self.http, table, ingestion.source_id, timeout).await?;
                Ok(status.state != IngestionState::Pending)
            }
        }
    }

    /// Reads a status row.
    pub(crate) async fn status(&self, ticket: &Ticket) -> Result<IngestionStatus> {
        let Some(address) = ticket.status_table.as_deref().map(without_query) else {
            let message = "it was queued without a report, so there is no status to read";
            let id = ticket.source_id.to_string();
            return Err(Error::new(ErrorKind::InvalidOption, "read an ingestion's status", id, message));
        };
        let read = |resources: Arc<Resources>| async move {
            let known = ticket.signature.clone().unwrap_or_else(|| SecretString::from(""));
            let signature = resources.signature_of(address).cloned().unwrap_or(known);
            let table = Storage::new(address, signature)?;
            status::read(&self.http, &table, ticket.source_id, self.timeout()).await
        };
        self.lender.with_resources(read).await
    }

    fn timeout(&self) -> Duration {
        self.options.0.timeouts.storage
    }

    /// One of `storages`, of an account that works, by chance.
    fn pick<'a>(&self, storages: &'a [Storage], what: &str) -> Result<&'a Storage> {
        let accounts: Vec<_> = storages.iter().map(|storage| storage.account.as_str()).collect();
        let ranking = self.ranking.lock().unwrap_or_else(PoisonError::into_inner);
        let picked = ranking.pick(&accounts, self.started.elapsed(), &mut rand::rng());
        picked.map(|index| &storages[index]).ok_or_else(|| resources::lacks(what, &self.options))
    }

    /// Remembers whether an account worked. What the request itself got wrong says nothing about the account.
    fn rank<T>(&self, storage: &Storage, result: &Result<T>) {
        let failed = match result {
            Ok(_) => false,
            Err(error) => {
                if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::BadRequest | ErrorKind::TooLarge) {
                    return;
                }
                true
            }
        };
        let mut ranking = self.ranking.lock().unwrap_or_else(PoisonError::into_inner);
        ranking.record(&storage.account, !failed, self.started.elapsed());
    }

    /// Data management refused to lend anything: here the table is known for which the right is missing.
    fn name_right(&self, error: Error, ingestion: &Ingestion) -> Error {
        if !error.lacks_role() {
            return error;
        }
        let role = Role::TableIngestor { table: ingestion.table.clone() };
        error.with_advice(self.options.advice(&role, &ingestion.database))
    }
}
