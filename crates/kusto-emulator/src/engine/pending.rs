//! Commands that run `async`: answered with an operation's id, worked on later.
//!
//! ```text
//!   .move async ... ──► postpone: names resolved, `InProgress` ──► due on the clock ──► run: effect, `Completed` or `Failed`
//!        ◄── OperationId                                             │
//!                                                                     └── the emulator stops: `Abandoned` at the next start
//! ```
//!
//! 1. An operation that was acknowledged is in the log before its id is told.
//! 2. It takes effect at most once, when its time has come (see [`crate::Assumptions::async_takes`]), and then as the
//!    command would without `async`; what its names mean was settled when it was begun.
//! 3. At most [`MAX_WAITING`] operations wait; one more is throttled.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use super::catalog::State;
use super::command::{self, Session};
use super::error::{EngineError, EngineResult};
use super::log::Operation;
use super::{Engine, RequestContext, RequestProperties};

/// Operations that wait at a time: more than any client begins, few enough to hold in memory.
const MAX_WAITING: usize = 1000;

/// An operation that was begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    pub(crate) id: Uuid,
    /// When, in ticks.
    pub(crate) at: i64,
}

/// A command whose time will come.
#[derive(Debug)]
pub(crate) struct Pending {
    begun: Begun,
    due: i64,
    context: RequestContext,
    database: String,
    text: String,
    properties: RequestProperties,
    /// What names meant when it was begun.
    resolved: Arc<State>,
}

/// The commands that wait, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    commands: Mutex<VecDeque<Pending>>,
    news: Notify,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Pending>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// Whether somebody wants to hold it on its way.
    pub(crate) fn may_be_held(&self) -> bool {
        self.context.mischief.hold.is_some()
    }
}

impl Engine {
    /// Begins an operation that runs the session's command later.
    ///
    /// # Errors
    /// 429 if too many wait.
    pub(crate) fn postpone(&self, session: &Session<'_>, kind: &'static str) -> EngineResult<Uuid> {
        let begun = Begun { id: self.new_id(), at: self.now() };
        let takes = i64::try_from(self.assumptions().async_takes.as_nanos() / 100).unwrap_or(i64::MAX);
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MAX_WAITING {
            return Err(EngineError::throttled(format!("{MAX_WAITING} operations are in progress already.")));
        }
        self.log.operation(Operation::begun(session, kind, begun));
        waiting.push_back(Pending {
            begun,
            due: begun.at.saturating_add(takes),
            context: session.context.clone(),
            database: session.database.to_owned(),
            text: session.text.to_owned(),
            properties: session.properties.clone(),
            resolved: session.resolved.map_or_else(|| self.snapshot(), |state| Arc::new(state.clone())),
        });
        self.waiting.news.notify_one();
        Ok(begun.id)
    }

    /// Completes when an operation was begun since the last time.
    pub(crate) async fn operation_begun(&self) {
        self.waiting.news.notified().await;
    }

    /// The next operation whose time has come.
    pub(crate) fn take_due_operation(&self) -> Option<Pending> {
        let now = self.now();
        let mut waiting = self.waiting.lock();
        let due = waiting.iter().position(|pending| pending.due <= now)?;
        waiting.remove(due)
    }

    /// When the next operation's time will come, in ticks.
    pub(crate) fn next_operation(&self) -> Option<i64> {
        self.waiting.lock().iter().map(|pending| pending.due).min()
    }

    /// The node that works on operations goes away: those that wait are abandoned.
    pub(crate) fn abandon_operations(&self) {
        let gone: Vec<_> = self.waiting.lock().drain(..).map(|pending| pending.begun.id).collect();
        self.log.abandon(&gone, self.now());
    }

    /// Works on an operation; what comes of it is in the log.
    pub(crate) fn run_operation(&self, pending: &Pending) {
        let Pending { begun, context, database, text, properties, resolved, .. } = pending;
        let (resolved, operation) = (Some(&**resolved), Some(*begun));
        let session = Session { engine: self, context, database, text, properties, resolved, operation };
        if let Err(error) = command::resume(&session) {
            tracing::debug!(%error, operation = %begun.id, "an operation failed");
        }
    }
}
