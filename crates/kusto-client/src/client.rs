//! The real service: a cluster at the other end of the network.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};

use crate::auth::Tokens;
use crate::http::Http;
use crate::ingest::Ingest;
use crate::options::ConnectionOptions;
use crate::rest::{NO_DATABASE, Rest, Side};
use crate::{
    Backoff, Blob, ErrorKind, Ingestion, IngestionStatus, Result, Service, Table, Ticket, UploadedBlob,
    is_command,
};

/// A connection to a cluster. Cheap to clone; clones share connections, tokens and ingestion resources.
///
/// It belongs to the tokio runtime in which it is first used: connections are kept, and driven by that runtime.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: ConnectionOptions,
    rest: Rest,
    ingest: Ingest,
}

impl Client {
    /// Prepares a client. Nothing is sent until something is asked.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption) when TLS or the proxies of the environment cannot
    /// be set up.
    pub fn connect(options: ConnectionOptions) -> Result<Self> {
        let http = Http::new(&options.0.timeouts)?;
        let tokens = Arc::new(Tokens::new(options.clone(), http.clone()));
        let rest = Rest::new(options.clone(), http.clone(), tokens);
        let ingest = Ingest::new(options.clone(), http, rest.clone());
        Ok(Client(Arc::new(Inner { options, rest, ingest })))
    }

    /// The options it was made with.
    pub fn options(&self) -> &ConnectionOptions {
        &self.0.options
    }

    /// Runs a command at data management instead of the engine, such as `.show ingestion resources`.
    ///
    /// # Errors
    /// As [`Service::command`].
    pub async fn data_management_command(&self, database: Option<&str>, command: &str) -> Result<Table> {
        self.0.rest.command(Side::DataManagement, database.unwrap_or(NO_DATABASE), command).await
    }
}

impl Service for Client {
    fn upload(&self, blob: Blob) -> BoxFuture<'_, Result<UploadedBlob>> {
        async move { self.0.ingest.upload(&blob).await }.boxed()
    }

    fn queue<'a>(
        &'a self,
        ingestion: &'a Ingestion,
        blob: &'a UploadedBlob,
    ) -> BoxFuture<'a, Result<Ticket>> {
        self.0.ingest.queue(ingestion, blob).boxed()
    }

    fn status<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<IngestionStatus>> {
        self.0.ingest.status(ticket).boxed()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a str) -> BoxFuture<'a, Result<Table>> {
        self.0.rest.command(Side::Engine, database, command).boxed()
    }

    fn principal(&self) -> Option<String> {
        self.0.options.principal()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<()>> {
        self.0.ingest.prepare().boxed()
    }

    fn query<'a>(&'a self, database: &'a str, query: &'a str) -> BoxFuture<'a, Result<Vec<Table>>> {
        self.0.rest.query(database, query).boxed()
    }
}

/// Conveniences for every service.
pub trait ServiceExt: Service {
    /// Runs a command or a query, told apart by the leading dot, and returns its tables.
    fn execute<'a>(&'a self, database: &'a str, text: &'a str) -> BoxFuture<'a, Result<Vec<Table>>> {
        if is_command(text) {
            async move { Ok(vec![self.command(database, text).await?]) }.boxed()
        } else {
            self.query(database, text)
        }
    }

    /// Runs a command that may be repeated without harm, as one does at a start: a moment's trouble of the service is
    /// passed over, five attempts in some seconds. A host that cannot be reached at all is an error at once: at a start
    /// it is more likely that its address is wrong.
    fn command_at_start<'a>(&'a self, database: &'a str, command: &'a str) -> BoxFuture<'a, Result<Table>> {
        async move {
            let mut attempt = 0;
            loop {
                let error = match self.command(database, command).await {
                    Ok(table) => return Ok(table),
                    Err(error) => error,
                };
                let passes = error.is_transient() || error.kind() == ErrorKind::Protocol;
                let wait = error.retry_after().unwrap_or_default();
                attempt += 1;
                if !passes
                    || error.kind() == ErrorKind::Unreachable
                    || attempt == START_ATTEMPTS
                    || wait > START_WAIT
                {
                    return Err(error);
                }
                if attempt == 1 {
                    tracing::warn!("will be tried again: {error}");
                }
                tokio::time::sleep(START_BACKOFF.pause(attempt - 1, rand::random(), Some(wait))).await;
            }
        }
        .boxed()
    }
}

impl<S: Service + ?Sized> ServiceExt for S {}

/// Attempts of [`ServiceExt::command_at_start`]: three seconds of pauses in all.
const START_ATTEMPTS: u32 = 5;
const START_BACKOFF: Backoff = Backoff { initial: Duration::from_millis(200), max: Duration::from_secs(2) };
/// The longest wait at a start that the service can ask for.
const START_WAIT: Duration = Duration::from_secs(30);
