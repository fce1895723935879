//! Attempts at one remote operation.
//!
//! Bounded in number and in time ([`Retry`]); one log line when the first attempt fails and one when it is over, not
//! one per attempt. A pause never ends before the service's `Retry-After`.

use std::future::Future;
use std::time::{Duration, Instant};

use kusto_client::Error;

use super::Courier;
use crate::options::Retry;
use crate::{Result, SinkError};

/// What to do about a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Give up.
    Never,
    /// Try again after the pause.
    AfterPause,
    /// Try again without a pause, once; after that with pauses.
    AtOnce,
}

impl Again {
    /// With a pause, if `yes`.
    pub(crate) fn when(yes: bool) -> Self {
        if yes { Again::AfterPause } else { Again::Never }
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
    let mut failures = 0;
    loop {
        let error = match attempt().await {
            Ok(value) => {
                if failures > 0 {
                    let seconds = started.elapsed().as_secs_f64();
                    tracing::info!(what, failures, seconds, "went through");
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
        let over = failures >= policy.attempts || started.elapsed() + pause > policy.total;
        if over || again == Again::Never || courier.stopped().is_some() {
            return Err(GivenUp { error, attempts: failures, after: started.elapsed() });
        }
        if failures == 1 {
            tracing::warn!(what, kind = ?error.kind(), effect = ?error.effect(), "will be tried again: {error}");
        }
        courier.counters.retried();
        if let Some(watch) = courier.watch.get() {
            (watch.0)(&error);
        }
        tokio::time::sleep(pause).await;
    }
}

/// Waits before attempt `attempt + 1`, or returns `error` when there is none left or too long ago since the first began.
pub(crate) async fn pause_or(policy: Retry, attempt: u32, since: Instant, error: SinkError) -> Result<()> {
    if attempt + 1 >= policy.attempts || since.elapsed() >= policy.total {
        return Err(error);
    }
    tracing::warn!("will be queued again: {error}");
    tokio::time::sleep(policy.backoff.pause(attempt, rand::random(), None)).await;
    Ok(())
}
