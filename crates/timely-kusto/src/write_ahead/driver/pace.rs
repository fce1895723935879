//! When to wait, and when patience is over.

use std::time::{Duration, Instant};

use commit_protocol::{Action, Patience};
use kusto_client::{Backoff, Error, ErrorKind};

use crate::write_ahead::options::Deadlines;

/// Pauses and deadlines of the driver.
#[derive(Debug)]
pub(super) struct Pace {
    deadlines: Deadlines,
    backoff: Backoff,
    /// The last action by its name, and how often it came in a row.
    last: (&'static str, u32),
    /// Since when the same thing is looked at.
    looking: Option<Instant>,
    /// Since when requests of one kind are refused.
    refused: Option<(&'static str, Instant)>,
    /// Requests that failed in a row.
    failures: u32,
}

/// The pause before a look is repeated: what is looked for is usually there at the second look.
const LOOK_AGAIN: Backoff = Backoff { initial: Duration::from_millis(50), max: Duration::from_secs(2) };

impl Pace {
    pub(super) fn new(deadlines: Deadlines, backoff: Backoff) -> Self {
        Pace { deadlines, backoff, last: ("", 0), looking: None, refused: None, failures: 0 }
    }

    /// Waits before an action that repeats the one before it.
    pub(super) async fn before(&mut self, action: &Action) {
        let name = super::name(action);
        if self.last.0 != name {
            self.last = (name, 0);
            self.looking = None;
            return;
        }
        if !matches!(action, Action::Wait | Action::Committed(_)) {
            tokio::time::sleep(LOOK_AGAIN.pause(self.last.1, rand::random(), None)).await;
            self.last.1 = self.last.1.saturating_add(1);
        }
    }

    fn patience(since: Instant, deadline: Duration) -> Patience {
        if since.elapsed() < deadline { Patience::Left } else { Patience::Over }
    }

    /// Patience with rows that must appear.
    pub(super) fn with_rows(&mut self) -> Patience {
        Self::patience(*self.looking.get_or_insert_with(Instant::now), self.deadlines.visible)
    }

    /// Patience with chunks that must be whole.
    pub(super) fn with_chunks(&mut self) -> Patience {
        Self::patience(*self.looking.get_or_insert_with(Instant::now), self.deadlines.whole)
    }

    /// Patience with refusals of a request.
    pub(super) fn with_refusals(&mut self, request: &'static str) -> Patience {
        let since = match self.refused {
            Some((kind, since)) if kind == request => since,
            _ => Instant::now(),
        };
        self.refused = Some((request, since));
        Self::patience(since, self.deadlines.refused)
    }

    /// Whether an answer to a read that makes no sense is waited out: a gateway's page may pass, a proxy's does not.
    pub(super) fn bears(&self, error: &Error, since: &mut Option<Instant>) -> bool {
        error.kind() == ErrorKind::Protocol
            && since.get_or_insert_with(Instant::now).elapsed() < self.deadlines.refused
    }

    /// A request took effect.
    pub(super) fn done(&mut self, request: &'static str) {
        self.failures = 0;
        if self.refused.is_some_and(|(kind, _)| kind == request) {
            self.refused = None;
        }
    }

    /// A start or a commit took effect: refusals before it are over.
    pub(super) fn settled(&mut self) {
        self.refused = None;
    }

    /// A request failed: waits a little before anything else.
    pub(super) async fn failed(&mut self, retry_after: Option<Duration>) {
        tokio::time::sleep(self.backoff.pause(self.failures, rand::random(), retry_after)).await;
        self.failures = self.failures.saturating_add(1).min(30);
    }

    /// The pause before a read is tried again.
    pub(super) async fn again(&self, attempt: u32, retry_after: Option<Duration>) {
        tokio::time::sleep(self.backoff.pause(attempt, rand::random(), retry_after)).await;
    }
}
