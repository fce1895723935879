//! What the write-ahead mode asks of a cluster: tables of its own, rows of `kt_epochs`, extents.
//!
//! ```text
//! rights   ─► who is asking, and what is missing, before anything else
//! tables   ─► names of the lineage, the first tables, columns
//! ledger   ─► rows of kt_epochs: appended, read
//! extents  ─► listings of S and T, the move, the sweep
//! epochs   ─► rows of T by the epoch that they carry
//! readers  ─► functions and views that show a collection
//! ```
//! Each function makes one attempt. What an answer means to the coordinator is said by [`reply`]; whether there is another
//! attempt is the driver's decision.

mod encoding;
mod epochs;
mod extents;
mod ledger;
mod readers;
mod rights;
mod tables;

use std::sync::Arc;

use commit_protocol::{AppendPermit, Lineage, MovePermit, MovedExtent, Patience, Refusal, Reply, Tag};
use futures::future::BoxFuture;
use kusto_client::{Effect, Error, ErrorKind, Service, Table};

use super::WriteAheadError;
pub(super) use epochs::{ByColumn, Summed};
pub(super) use extents::Tagged;
pub(super) use tables::EPOCHS;

pub(super) type Asked<T> = Result<T, Error>;

/// How rows get from S into T: what is particular to it. Everything else stays when another one comes.
pub(super) trait CommitMechanism: Send + Sync {
    /// Records what is about to be committed.
    fn claim<'a>(&'a self, permit: &'a AppendPermit) -> BoxFuture<'a, Asked<()>>;

    /// Commits exactly that.
    fn apply<'a>(&'a self, permit: &'a MovePermit) -> BoxFuture<'a, Asked<Vec<MovedExtent>>>;

    /// Which of these tags extents of the target carry.
    fn evidence<'a>(&'a self, tags: &'a [Tag]) -> BoxFuture<'a, Asked<Vec<Tag>>>;
}

/// The requests about one lineage. As a mechanism: an intent row, `.move extents`, tags.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    service: Arc<dyn Service>,
    database: String,
    table: String,
    pipeline: String,
    lineage: Lineage,
}

impl Desk {
    pub(super) fn new(
        service: Arc<dyn Service>,
        write: &crate::WriteOptions,
        pipeline: &str,
        lineage: Lineage,
    ) -> Self {
        Desk {
            service,
            database: write.database().to_owned(),
            table: write.table().to_owned(),
            pipeline: pipeline.to_owned(),
            lineage,
        }
    }

    async fn command(&self, text: &str) -> Asked<Table> {
        self.service.command(&self.database, text).await
    }

    async fn query(&self, text: &str) -> Asked<Table> {
        let tables = self.service.query(&self.database, text).await?;
        tables.into_iter().next().ok_or_else(|| garbled("a query", "it has no table"))
    }

    /// Whose requests these are.
    pub(super) fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// The error about a request that named the target: it may be gone. A gateway says "not found" for reasons of its own,
    /// so it is looked whether the database has the table.
    pub(super) async fn about_target(&self, doing: &str, source: Error) -> WriteAheadError {
        match source.kind() == ErrorKind::NotFound && matches!(self.has_table(&self.table).await, Ok(false)) {
            true => WriteAheadError::NoTarget { database: self.database.clone(), table: self.table.clone() },
            false => WriteAheadError::Service { doing: doing.to_owned(), source },
        }
    }

    /// The error about a read of `kt_epochs` that was refused: it may be gone.
    pub(super) async fn about_epochs(&self, doing: &str, source: Error) -> WriteAheadError {
        let refused = matches!(source.kind(), ErrorKind::NotFound | ErrorKind::BadRequest);
        match refused && matches!(self.has_epochs().await, Ok(false)) {
            true => self.epochs_gone(),
            false => WriteAheadError::Service { doing: doing.to_owned(), source },
        }
    }

    fn epochs_gone(&self) -> WriteAheadError {
        let anchor = commit_protocol::AnchorName(self.lineage);
        WriteAheadError::EpochsGone {
            database: self.database.clone(),
            target: self.table.clone(),
            tables: format!("{anchor} and kt_stage_{}_*", self.lineage),
        }
    }

    /// `database.table`, for people.
    pub(super) fn target(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }
}

fn garbled(what: &str, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, format!("read the answer to {what}"), "the service", why)
}

/// What an answer that is no success means to the coordinator. `patience` is over when such refusals lasted.
pub(super) fn reply(error: &Error, patience: Patience) -> Reply {
    let message = error.to_string();
    match error.kind() {
        ErrorKind::Forbidden | ErrorKind::SignIn => {
            let role = error.advice().unwrap_or("a role or a valid sign-in").to_owned();
            Reply::Refused(Refusal::Rights { role, message: error.message().to_owned() })
        }
        // Neither passes: to stop is safe whatever took effect, and the names are looked at before.
        ErrorKind::Protocol | ErrorKind::NotFound if patience == Patience::Over => {
            Reply::Refused(Refusal::Other { message, patience })
        }
        // An answer that cannot be read says nothing about the effect.
        ErrorKind::Protocol => Reply::Lost,
        _ if error.effect() == Effect::Unknown => Reply::Lost,
        ErrorKind::NotFound => Reply::Refused(Refusal::NoSuchTable),
        // It surely did not happen, and may pass: waited for as long as it takes.
        _ if error.is_transient() => Reply::Refused(Refusal::Other { message, patience: Patience::Left }),
        _ => Reply::Refused(Refusal::Other { message, patience }),
    }
}
