//! Attempts at one remote operation.
//!
//! Bounded in number and in time ([`Retry`]); one log line per cause, not one per attempt ([`trouble`](super::trouble)).
//! A pause never ends before the service's `Retry-After`.

use std::future::Future;
use std::time::{Duration, Instant};

use kusto_client::{Error, ErrorKind};

use super::Courier;
use crate::options::Retry;

/// What to do about a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Give up.
    Never,
    /// Try again after the pause.
    AfterPause,
    /// Try again without a pause, once; after that with pauses.
    AtOnce,
    /// Try again after the pause, but no more than [`A_FEW`] times: it may pass, and more likely it does not.
    AFewTimes,
}

/// Attempts at what is not known to pass.
const A_FEW: u32 = 5;

impl Again {
    /// For an operation that may be repeated whatever became of the attempt before.
    pub(crate) fn harmless(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Protocol => Again::AFewTimes,
            _ if error.is_transient() => Again::AfterPause,
            _ => Again::Never,
        }
    }
}

/// The error of the last attempt, and what went before it.
#[derive(Debug)]
pub(crate) struct GivenUp {
    pub(crate) error: Error,
    pub(crate) attempts: u32,
    pub(crate) after: Duration,
}

/// Makes attempts until one succeeds, `again` says no, or the bounds of the options are reached.
pub(crate) async fn retry<T, F>(
    courier: &Courier,
    what: &'static str,
    again: impl Fn(&Error) -> Again,
    mut attempt: impl FnMut() -> F,
) -> std::result::Result<T, GivenUp>
where
    F: Future<Output = std::result::Result<T, Error>>,
{
    let policy = courier.options.retry();
    let started = Instant::now();
    let (mut failures, mut doubtful) = (0, 0);
    loop {
        let error = match attempt().await {
            Ok(value) => {
                courier.stalls.went_through(what);
                if failures > 0 {
                    let seconds = started.elapsed().as_secs_f64();
                    tracing::debug!(what, failures, seconds, "went through");
                }
                return Ok(value);
            }
            Err(error) => error,
        };
        let again = again(&error);
        failures += 1;
        let pause = match again {
            Again::AtOnce if failures == 1 && error.retry_after().is_none() => Duration::ZERO,
            _ => policy.backoff.pause(failures - 1, rand::random(), error.retry_after()),
        };
        doubtful += u32::from(again == Again::AFewTimes);
        let over =
            failures >= policy.attempts || doubtful >= A_FEW || started.elapsed() + pause > policy.total;
        if over || again == Again::Never || courier.stopped().is_some() {
            return Err(GivenUp { error, attempts: failures, after: started.elapsed() });
        }
        courier.troubles.of_request(what, &error);
        courier.counters.retried();
        courier.stalls.failed(what, &error);
        if let Some(watch) = courier.watch.get() {
            (watch.0)(&error);
        }
        tokio::time::sleep(pause).await;
    }
}

/// Whether no attempt may follow `attempt` (from 0), the first of which began at `since`.
pub(crate) fn is_over(policy: Retry, attempt: u32, since: Instant) -> bool {
    attempt + 1 >= policy.attempts || since.elapsed() >= policy.total
}

/// Waits before the attempt that follows `attempt`.
pub(crate) async fn pause(policy: Retry, attempt: u32) {
    tokio::time::sleep(policy.backoff.pause(attempt, rand::random(), None)).await;
}
