//! A cluster with something in between: what a test does before a request, and what it changes of it or of its answer.

use std::borrow::Cow;

use futures::FutureExt;
use futures::future::BoxFuture;
use kusto_client::{Blob, Client, Ingestion, IngestionStatus, Result, Service, Table, Ticket, UploadedBlob};

/// Passes everything on, except what a test changes.
pub(crate) struct Between {
    pub(crate) client: Client,
    /// Called with each command, and with "upload".
    pub(crate) before: fn(&str),
    /// The command that is sent instead.
    pub(crate) instead: fn(&str) -> Cow<'_, str>,
    /// The answer that is given instead, to this command.
    pub(crate) after: fn(&str, Table) -> Table,
}

impl Between {
    /// Changes nothing.
    pub(crate) fn new(client: Client) -> Self {
        Between { client, before: |_| {}, instead: |command| command.into(), after: |_, answer| answer }
    }
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.client.fmt(f)
    }
}

impl Service for Between {
    fn upload(&self, blob: Blob) -> BoxFuture<'_, Result<UploadedBlob>> {
        (self.before)("upload");
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
        (self.before)(command);
        async move {
            let answer = self.client.command(database, &(self.instead)(command)).await;
            answer.map(|table| (self.after)(command, table))
        }
        .boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<()>> {
        self.client.prepare()
    }

    fn query<'a>(&'a self, database: &'a str, query: &'a str) -> BoxFuture<'a, Result<Vec<Table>>> {
        self.client.query(database, query)
    }
}
