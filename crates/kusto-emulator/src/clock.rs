//! Time as the emulator sees it: the system's, or one that tests move by hand.
//!
//! Everything that happens "after a while" (a batch is sealed, a SAS or a token expires, a message becomes visible
//! again, a failed ingestion is tried again) reads this clock and nothing else. Only the protection against slow
//! clients is measured in real time, since it guards real sockets.
//!
//! What every implementation promises, and [`conformance`] checks:
//! 1. `now` moves only forward, unless somebody sets it back;
//! 2. `sleep_until` a moment that is past completes at once;
//! 3. `sleep_until` a moment to come completes only when `now` has reached it, and then always;
//! 4. sleepers are independent: dropping one wakes or delays no other.

pub mod conformance;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;

/// A source of time; see the module for what it promises.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Completes when [`Clock::now`] has reached `moment`.
    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()>;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Must be polled inside a tokio runtime.
    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            while let Ok(left) = Duration::try_from(moment.duration_since(Timestamp::now()))
                && !left.is_zero()
            {
                // The timer of tokio counts whole milliseconds and a day is well within its range.
                tokio::time::sleep(left.min(Duration::from_secs(86_400))).await;
            }
        })
    }
}

/// A clock that stands still until it is moved. Clones show the same time.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<watch::Sender<Timestamp>>,
}

impl ManualClock {
    /// Stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { now: Arc::new(watch::Sender::new(start)) }
    }

    /// Moves forward by `step` and wakes who waited for a moment on the way. The end of time (year 9999) is not passed.
    pub fn advance(&self, step: Duration) {
        self.now.send_modify(|now| *now = after(*now, step));
    }

    /// Sets the clock, backwards too: what a wrong clock does.
    pub fn set(&self, moment: Timestamp) {
        self.now.send_replace(moment);
    }
}

impl Default for ManualClock {
    /// Stands at the beginning of 2026.
    fn default() -> Self {
        Self::new(
            Timestamp::from_second(1_767_225_600).expect("2026-01-01 is within the range of timestamps"),
        )
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let mut news = self.now.subscribe();
        Box::pin(async move {
            if news.wait_for(|now| *now >= moment).await.is_err() {
                // Nobody can move the clock any more: that moment never comes.
                std::future::pending::<()>().await;
            }
        })
    }
}

/// `moment + step`, held at the last moment that can be written down.
pub(crate) fn after(moment: Timestamp, step: Duration) -> Timestamp {
    moment.checked_add(step).unwrap_or(Timestamp::MAX)
}

/// The service's way to write a moment: UTC with seven digits, `2026-01-01T00:00:00.0000000Z`.
pub(crate) fn seven_digits(moment: Timestamp) -> String {
    format!("{moment:.7}")
}
