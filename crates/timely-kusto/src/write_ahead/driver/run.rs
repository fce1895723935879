//! Actions of a run: open, news, commits, sweeps.

use std::time::Duration;

use commit_protocol::{AcknowledgePermit, Coordinator, Fact, News, OpenPermit};
use tokio::time::{Instant, sleep_until, timeout};

use super::answers::{own, pairs};
use super::{Driver, Heard};
use crate::row_hash::RowHash;
use crate::write_ahead::message::{Opened, Order};
use crate::write_ahead::{WriteAheadError, failpoint};

/// How often a run that has nothing to commit looks whether another start has taken over.
const LOOK_WHEN_IDLE: Duration = Duration::from_secs(30);

/// Epochs without rows are committed at most so often.
const EMPTY_COMMITS: Duration = Duration::from_secs(1);

impl Driver {
    /// What rows are hashed over, from the options and the target's columns as they are now.
    pub(super) async fn choose_row_hash(&mut self) -> Result<Option<RowHash>, WriteAheadError> {
        if !self.process.options.hashes_rows() {
            return Ok(None);
        }
        let columns = pairs(self.target_columns().await?);
        let chosen = self.process.options.row_hash(&self.process.desk.target(), &columns)?;
        if let Some([first, ..]) = chosen.as_ref().map(RowHash::left_out) {
            let columns =
                chosen.iter().flat_map(RowHash::left_out).map(|(name, kind)| format!("{name}: {kind}"));
            let columns = columns.collect::<Vec<_>>().join(", ");
            tracing::info!("rows are hashed without {columns}: values of type {} have no text form", first.1);
        }
        Ok(chosen)
    }

    /// The start is over: tells all workers.
    pub(super) async fn open(
        &mut self,
        coordinator: &Coordinator,
        permit: &OpenPermit,
    ) -> Result<Fact, WriteAheadError> {
        let Some(staging) = coordinator.staging() else { return Err(WriteAheadError::Ended) };
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => self.target_columns().await?,
        };
        let positions = permit.positions().iter();
        let opened = Opened {
            staging: staging.into(),
            first_epoch: permit.first_epoch().0,
            positions: positions.map(|(name, at)| (name.to_owned(), at.to_vec())).collect(),
            columns: pairs(columns),
            hashed: self.row_hash.as_ref().map(RowHash::text),
        };
        self.told = opened.first_epoch;
        self.process.pressure.say("");
        self.settled();
        tracing::info!(
            "start {} of pipeline {} is open; the first epoch is {}",
            permit.start(),
            self.process.options.pipeline(),
            opened.first_epoch
        );
        self.process.tell_progress(|progress| progress.below = opened.first_epoch);
        self.order(Order::Open(opened));
        self.sweep(coordinator).await;
        self.next_news(coordinator).await
    }

    /// A commit took effect: C follows, and with it sources and files.
    pub(super) async fn committed(
        &mut self,
        coordinator: &Coordinator,
        permit: &AcknowledgePermit,
    ) -> Result<Fact, WriteAheadError> {
        let below = permit.below().0;
        tracing::debug!(below, rows = permit.rows(), "committed");
        self.process.tell_progress(|progress| progress.below = below);
        let extents = coordinator.head().map_or(0, |intent| intent.extents().count());
        self.process.standing.commit(extents);
        self.settled();
        self.commits += 1;
        if self.sweep_on || self.commits.is_multiple_of(self.process.options.guards.commits_per_sweep) {
            self.sweep(coordinator).await;
        }
        if below < self.told {
            return Ok(Fact::News(std::mem::take(&mut self.news))); // the rest of what is staged
        }
        self.next_news(coordinator).await
    }

    /// What failed on the way here does not count any more, also where it was settled by a look.
    fn settled(&mut self) {
        self.pace.settled();
        self.process.pressure.settled();
    }

    /// Waits until there is something to commit, or the end.
    pub(super) async fn next_news(&mut self, coordinator: &Coordinator) -> Result<Fact, WriteAheadError> {
        let settled = Instant::now();
        let own = own(coordinator);
        loop {
            self.take_what_is_there(own).await?;
            let (chunks, positions) = (self.news.chunks.len(), self.news.positions.len());
            let moved = self.news.staged_below > coordinator.standing().cover;
            match (moved, chunks + positions > 0, self.ended) {
                (true, true, _) | (true, _, true) => {
                    return Ok(Fact::News(std::mem::take(&mut self.news)));
                }
                (false, _, true) => return Ok(Fact::Close),
                (true, false, false) => {
                    let due = settled + EMPTY_COMMITS;
                    if Instant::now() >= due {
                        return Ok(Fact::News(std::mem::take(&mut self.news)));
                    }
                    tokio::select! {
                        heard = self.heard.recv() => self.take(heard, own).await?,
                        () = sleep_until(due) => {}
                    }
                }
                (false, ..) => match timeout(LOOK_WHEN_IDLE, self.heard.recv()).await {
                    Ok(heard) => self.take(heard, own).await?,
                    Err(_) => self.hold_name(own).await?,
                },
            }
        }
    }

    async fn take_what_is_there(
        &mut self,
        own: Option<commit_protocol::StartId>,
    ) -> Result<(), WriteAheadError> {
        while let Ok(heard) = self.heard.try_recv() {
            self.take(Some(heard), own).await?;
        }
        Ok(())
    }

    async fn take(
        &mut self,
        heard: Option<Heard>,
        own: Option<commit_protocol::StartId>,
    ) -> Result<(), WriteAheadError> {
        match heard.ok_or(WriteAheadError::Ended)? {
            Heard::News(news) => self.take_in(news),
            Heard::End => self.ended = true,
            Heard::Suspect => self.hold_name(own).await?,
            Heard::Trouble { told, look } => {
                if look {
                    self.hold_name(own).await?;
                }
                return Err(told.into());
            }
            Heard::Hello { .. } | Heard::Answer { .. } => {}
        }
        Ok(())
    }

    /// Adds news to those that the coordinator does not know.
    pub(super) fn take_in(&mut self, news: News) {
        self.told = self.told.max(news.staged_below.0);
        self.news.staged_below = self.news.staged_below.max(news.staged_below);
        self.news.chunks.extend(news.chunks);
        self.news.positions.extend(news.positions);
    }

    /// Drops what nobody claims, from a listing made now. What fails is found by the next sweep; what is more than one
    /// command takes, after the next commit.
    async fn sweep(&mut self, coordinator: &Coordinator) {
        self.sweep_on = false;
        let Some(staging) = coordinator.staging() else { return };
        let Ok(listing) = self.process.desk.listing(staging).await else { return };
        let Some(permit) = coordinator.sweep(&listing) else { return };
        failpoint::reach("before sweep");
        let dropped = self.process.desk.drop_extents(&permit).await;
        failpoint::reach("after sweep");
        match dropped {
            Ok(more) => {
                self.sweep_on = more;
                tracing::debug!(extents = permit.extents().len(), more, "swept the staging table");
            }
            Err(error) => tracing::debug!("a sweep of the staging table failed: {error}"),
        }
    }
}
