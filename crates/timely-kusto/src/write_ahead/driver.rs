//! The driver: does what the coordinator says and answers with what it saw. One task, in the process of worker 0.
//!
//! ```text
//!   Coordinator ──Action──▶ Driver ──┬─▶ Desk: names, rows, extents       (the service)
//!        ▲                           ├─▶ orders, answers                  (all workers)
//!        └────────Fact───────────────┴─▶ progress, news                   (the commit operator)
//! ```
//! It orders nothing itself. What is its own: attempts at reads, pauses (a repeated action, a request that failed),
//! deadlines ([`Patience`]), and looks at the names before a failure of staging is reported, so that a zombie ends as
//! fenced.

mod answers;
mod pace;
mod refused;
mod requests;
mod run;

use std::sync::Arc;

use commit_protocol::{Action, Column, Coordinator, Fact, News, Nonce, Setup, Standing, StartId, Stop};
use crossbeam_channel::Sender;
use timely::scheduling::activate::SyncActivator;
use tokio::sync::mpsc::UnboundedReceiver;

use super::error::Told;
use super::message::{Answer, Order};
use super::process::Process;
use super::{WriteAheadError, failpoint};
use crate::SinkError;
use crate::row_hash::RowHash;

use pace::Pace;

/// What the driver is told.
#[derive(Debug)]
pub(super) enum Heard {
    /// A worker is there.
    Hello { process: u64, worker: u64, local_logs: bool },
    /// A worker did its part.
    Answer { id: u64, process: u64, answer: Answer },
    /// Chunks were staged, or a bound was passed.
    News(News),
    /// The input has ended: all news were told.
    End,
    /// Staging does not find its table.
    Suspect,
    /// A worker failed.
    Trouble { told: Told, look: bool },
}

/// See the module.
pub(super) struct Driver {
    process: Arc<Process>,
    peers: usize,
    heard: UnboundedReceiver<Heard>,
    orders: Sender<(u64, Order)>,
    agent: SyncActivator,
    next_order: u64,
    /// Of all workers.
    processes: std::collections::BTreeSet<u64>,
    pace: Pace,
    /// The target's columns as the staging table has got them.
    columns: Option<Vec<Column>>,
    news: News,
    /// The bound that was told last.
    told: u64,
    ended: bool,
    commits: u64,
    /// The last sweep left something for the next commit.
    sweep_on: bool,
    /// For whom a start waits, as it was told last.
    waits: String,
    /// What rows of this start are hashed over, if they are.
    row_hash: Option<RowHash>,
}

impl Driver {
    pub(super) fn new(
        process: Arc<Process>,
        peers: usize,
        heard: UnboundedReceiver<Heard>,
        orders: Sender<(u64, Order)>,
        agent: SyncActivator,
    ) -> Self {
        let pace = Pace::new(process.options.waits(), process.courier.options.retry().backoff);
        Driver {
            process,
            peers,
            heard,
            orders,
            agent,
            next_order: 0,
            processes: Default::default(),
            pace,
            columns: None,
            news: News::default(),
            told: 0,
            ended: false,
            commits: 0,
            sweep_on: false,
            waits: String::new(),
            row_hash: None,
        }
    }

    /// Drives a start and its run to their end; a failure goes to all workers.
    pub(super) async fn drive(mut self) {
        match self.try_drive().await {
            Ok(()) | Err(WriteAheadError::Ended) => {}
            Err(error) => {
                let error = self.as_missing_right(error).await;
                self.order(Order::Fail(error.tell()));
                self.process.fail(SinkError::from(error));
            }
        }
    }

    async fn try_drive(&mut self) -> Result<(), WriteAheadError> {
        let local_logs = self.gather().await?;
        self.rights().await?;
        self.row_hash = self.choose_row_hash().await?;
        let setup = Setup {
            lineage: self.process.lineage,
            nonce: Nonce(rand::random()),
            workers: u32::try_from(self.peers).unwrap_or(u32::MAX),
            sources_replay: self.process.options.replays(),
            local_logs,
            sums_over: self.row_hash.as_ref().map(RowHash::text),
            limits: self.process.options.limits(),
        };
        let (mut coordinator, mut action) = self.process.options.guards.start(setup);
        loop {
            self.pace.before(&action).await;
            if self.process.is_over() && !matches!(action, Action::Closed) {
                return Err(WriteAheadError::Ended);
            }
            reach("before", &action);
            let Some(fact) = self.perform(&coordinator, &action).await? else { return Ok(()) };
            reach("after", &action);
            action = match coordinator.decide(fact) {
                Ok(action) => action,
                Err(stop) => return Err(self.explained(stop).await),
            };
        }
    }

    /// What is refused again and again may be refused because the target is gone.
    async fn explained(&self, stop: Stop) -> WriteAheadError {
        if matches!(stop, Stop::Refused { .. })
            && let Err(gone @ WriteAheadError::NoTarget { .. }) = self.target_columns().await
        {
            return gone;
        }
        stop.into()
    }

    /// Does one action; `None` when there is nothing more to do.
    async fn perform(
        &mut self,
        coordinator: &Coordinator,
        action: &Action,
    ) -> Result<Option<Fact>, WriteAheadError> {
        Ok(Some(match action {
            Action::ListNames => self.list_names().await?,
            Action::Create(permit) => self.create(permit).await,
            Action::Rename(permit) => self.rename(permit).await,
            Action::Append(permit) => self.append(permit).await,
            Action::ReadRows => self.read_rows(answers::own(coordinator)).await?,
            Action::ListStaging(name) => self.list_staging(*name).await?,
            Action::ListTarget(tags) => self.list_target(tags).await?,
            Action::Move(permit) => self.move_extents(permit).await,
            Action::ListLogs => self.list_logs(coordinator).await?,
            Action::Prepare(permit) => self.prepare(coordinator, permit).await?,
            Action::Stage(permit) => self.stage(permit).await?,
            Action::Open(permit) => self.open(coordinator, permit).await?,
            Action::Committed(permit) => self.committed(coordinator, permit).await?,
            Action::Wait => self.next_news(coordinator).await?,
            Action::Closed => {
                self.process.tell_progress(|progress| progress.closed = true);
                return Ok(None);
            }
        }))
    }

    fn order(&mut self, order: Order) -> u64 {
        self.next_order += 1;
        let _ = self.orders.send((self.next_order, order)); // a worker that is gone follows no order
        let _ = self.agent.activate();
        self.next_order
    }

    /// Whether this start still holds the staging table; if not, that is why anything fails.
    async fn hold_name(&mut self, own: Option<StartId>) -> Result<(), WriteAheadError> {
        let Some(own) = own.filter(|_| self.process.options.guards.look_before_stop()) else { return Ok(()) };
        let names = self.names().await?;
        match names.standing() {
            Standing::Held(name) if name.start == own => Ok(()),
            Standing::Held(name) => Err(Stop::Fenced { own, by: name.start }.into()),
            Standing::Several(names) => Err(Stop::SeveralStaging { names: names.to_vec() }.into()),
            _ => {
                let lineage = self.process.lineage;
                let expected = commit_protocol::StagingName { lineage, start: own }.to_string();
                Err(Stop::StagingGone { expected }.into())
            }
        }
    }
}

/// A failpoint beside an action, unless it is one that only waits.
fn reach(side: &str, action: &Action) {
    if !matches!(action, Action::Wait | Action::Closed) {
        failpoint::reach(&format!("{side} {}", name(action)));
    }
}

/// An action by its name.
fn name(action: &Action) -> &'static str {
    use commit_protocol::RowKind;
    match action {
        Action::ListNames => "names",
        Action::Create(_) => "create",
        Action::Rename(_) => "rename",
        Action::Append(permit) => match permit.row().key().kind {
            RowKind::Claim => "claim",
            RowKind::Start => "start-row",
            _ => "intent",
        },
        Action::ReadRows => "read",
        Action::ListStaging(_) => "list-staging",
        Action::ListTarget(_) => "list-target",
        Action::Move(_) => "move",
        Action::ListLogs => "logs",
        Action::Prepare(_) => "prepare",
        Action::Stage(_) => "stage",
        Action::Open(_) => "open",
        Action::Committed(_) => "committed",
        Action::Wait => "wait",
        Action::Closed => "closed",
    }
}
