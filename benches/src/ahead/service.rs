//! A cluster whose answers are timed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use kusto_client::{Blob, Client, Ingestion, IngestionStatus, Result, Service, Table, Ticket, UploadedBlob};

/// Seconds that commands of a commit took, summed, and how many there were.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) listing: (Duration, u32),
    pub(crate) intent: (Duration, u32),
    pub(crate) moving: (Duration, u32),
}

/// A client that keeps account of how long commands take.
#[derive(Debug)]
pub(crate) struct Timed {
    client: Client,
    times: Arc<Mutex<Times>>,
}

impl Timed {
    pub(crate) fn new(client: Client) -> (Self, Arc<Mutex<Times>>) {
        let times: Arc<Mutex<Times>> = Arc::default();
        (Timed { client, times: Arc::clone(&times) }, times)
    }

    fn note(&self, command: &str, took: Duration) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = match command {
            _ if command.starts_with(".move extents") => &mut times.moving,
            _ if command.starts_with(".append kt_epochs") => &mut times.intent,
            _ if command.starts_with(".show table kt_stage_") => &mut times.listing,
            _ => return,
        };
        kind.0 += took;
        kind.1 += 1;
    }
}

impl Service for Timed {
    fn upload(&self, blob: Blob) -> BoxFuture<'_, Result<UploadedBlob>> {
        self.client.upload(blob)
    }

    fn queue<'a>(
        &'a self,
        ingestion: &'a Ingestion,
        blob: &'a UploadedBlob,
    ) -> BoxFuture<'a, Result<Ticket>> {
        self.client.queue(ingestion, blob)
    }

    fn status<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<IngestionStatus>> {
        self.client.status(ticket)
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a str) -> BoxFuture<'a, Result<Table>> {
        async move {
            let started = Instant::now();
            let answer = self.client.command(database, command).await;
            self.note(command, started.elapsed());
            answer
        }
        .boxed()
    }

    fn principal(&self) -> Option<String> {
        self.client.principal()
    }

    fn query<'a>(&'a self, database: &'a str, query: &'a str) -> BoxFuture<'a, Result<Vec<Table>>> {
        self.client.query(database, query)
    }
}
