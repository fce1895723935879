//! Actions that ask the service.

use std::future::Future;

use commit_protocol::{
    AppendPermit, Column, CreatePermit, Fact, MovePermit, Names, Patience, Refusal, RenamePermit, Reply,
    StagingName, StartId, Tag,
};
use kusto_client::Error;

use super::Driver;
use crate::write_ahead::WriteAheadError;
use crate::write_ahead::service::{CommitMechanism, Desk, reply};

impl Driver {
    /// A read: tried again for as long as it may pass, since nothing is decided without it.
    pub(super) async fn read<T, F>(
        &self,
        doing: &'static str,
        mut attempt: impl FnMut(Desk) -> F,
    ) -> Result<T, WriteAheadError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let (mut attempts, mut garbled) = (0, None);
        loop {
            match attempt(self.process.desk.clone()).await {
                Ok(read) => {
                    self.process.pressure.moving(doing);
                    return Ok(read);
                }
                Err(source) if source.is_transient() || self.pace.bears(&source, &mut garbled) => {
                    self.process.pressure.stalled(doing, &source);
                    self.process.courier.counters.retried();
                    self.process.courier.troubles.note(doing, &source);
                    self.pace.again(attempts, source.retry_after()).await;
                    attempts = attempts.saturating_add(1);
                }
                Err(source) => return Err(WriteAheadError::Service { doing: doing.to_owned(), source }),
            }
            if self.process.is_over() {
                return Err(WriteAheadError::Ended);
            }
        }
    }

    /// A read that names the target.
    pub(super) async fn read_target<T, F>(
        &self,
        doing: &'static str,
        attempt: impl FnMut(Desk) -> F,
    ) -> Result<T, WriteAheadError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        match self.read(doing, attempt).await {
            Err(WriteAheadError::Service { source, .. }) => {
                Err(self.process.desk.about_target(doing, source).await)
            }
            outcome => outcome,
        }
    }

    pub(super) async fn target_columns(&self) -> Result<Vec<Column>, WriteAheadError> {
        self.read_target("reading the target's columns", |desk| async move { desk.target_columns().await })
            .await
    }

    pub(super) async fn names(&self) -> Result<Names, WriteAheadError> {
        self.read("looking at the tables of the pipeline", |desk| async move { desk.names().await }).await
    }

    pub(super) async fn list_names(&mut self) -> Result<Fact, WriteAheadError> {
        self.names().await.map(Fact::Names)
    }

    pub(super) async fn read_rows(&mut self, own: Option<StartId>) -> Result<Fact, WriteAheadError> {
        const READING: &str = "reading kt_epochs";
        let all = self.process.options.guards.read_all();
        let read = |desk: Desk| async move { if all { desk.read_all().await } else { desk.read().await } };
        let ledger = match self.read(READING, read).await {
            Err(WriteAheadError::Service { source, .. }) => {
                self.hold_name(own).await?;
                return Err(self.process.desk.about_epochs(READING, source).await);
            }
            read => read?,
        };
        Ok(Fact::Rows { ledger, patience: self.pace.with_rows() })
    }

    pub(super) async fn list_staging(&mut self, name: StagingName) -> Result<Fact, WriteAheadError> {
        let list = |desk: Desk| async move { desk.listing(name).await };
        let listing = self.read("listing the staging table", list).await?;
        Ok(Fact::Staging { listing, patience: self.pace.with_chunks() })
    }

    pub(super) async fn list_target(&mut self, tags: &[Tag]) -> Result<Fact, WriteAheadError> {
        let look = |desk: Desk| async move { desk.evidence(tags).await };
        let found = self.read_target("looking for tags in the target", look).await?;
        Ok(Fact::Target(found.into_iter().collect()))
    }

    /// What became of a request that changes something: one attempt, and a pause if it failed.
    pub(super) async fn replied<T>(
        &mut self,
        request: &'static str,
        answer: Result<T, Error>,
    ) -> Result<T, Reply> {
        let error = match answer {
            Ok(done) => {
                self.pace.done(request);
                self.process.pressure.moving(request);
                return Ok(done);
            }
            Err(error) => error,
        };
        tracing::debug!(request, "failed: {error}");
        self.process.pressure.stalled(request, &error);
        // What may pass is waited for as long as it takes, and does not use up the patience with refusals.
        let patience = match error.is_transient() {
            true => Patience::Left,
            false => self.pace.with_refusals(request),
        };
        self.process.courier.counters.retried();
        self.process.courier.troubles.note(request, &error);
        let reply = reply(&error, patience);
        if !matches!(reply, Reply::Refused(Refusal::Rights { .. })) {
            self.pace.failed(error.retry_after()).await;
        }
        Err(reply)
    }

    pub(super) async fn create(&mut self, permit: &CreatePermit) -> Fact {
        let answer = self.process.desk.create(permit).await;
        let made = self.replied("making the first tables", answer).await;
        Fact::Replied(made.map_or_else(|reply| reply, |()| Reply::Done))
    }

    pub(super) async fn rename(&mut self, permit: &RenamePermit) -> Fact {
        let answer = self.process.desk.rename(permit).await;
        let renamed = self.replied("renaming the staging table", answer).await;
        Fact::Replied(renamed.map_or_else(|reply| reply, |()| Reply::Done))
    }

    pub(super) async fn append(&mut self, permit: &AppendPermit) -> Fact {
        let answer = self.process.desk.claim(permit).await;
        let appended = self.replied("appending to kt_epochs", answer).await;
        Fact::Replied(appended.map_or_else(|reply| reply, |()| Reply::Done))
    }

    pub(super) async fn move_extents(&mut self, permit: &MovePermit) -> Fact {
        let answer = self.process.desk.apply(permit).await;
        let moved = match self.replied("moving extents", answer).await {
            Ok(moved) => moved,
            Err(reply) => return Fact::Replied(reply),
        };
        if moved.iter().all(|one| one.moved) {
            return Fact::Moved(moved);
        }
        match self.pace.with_refusals("a move whose rows say Failed") {
            Patience::Left => {
                self.pace.failed(None).await;
                Fact::Moved(moved)
            }
            patience @ Patience::Over => {
                let message = "rows of the answer keep saying Failed".to_owned();
                Fact::Replied(Reply::Refused(Refusal::Other { message, patience }))
            }
        }
    }
}
