//! A value that is fetched, kept, and fetched again before it goes bad.
//!
//! ```text
//!      fetched          refresh_at              discard_at
//!         ├── fresh ────────┼── stale: used, ───────┼── gone: callers wait
//!                           │   refreshed behind    │   for a new one
//! ```
//! 1. At most one fetch is under way at any time.
//! 2. Whoever waits for a fetch that fails gets its error; nobody starts the same fetch again from the queue.
//! 3. A stale value is used while a new one is fetched in the background, and for as long as fetching fails, until
//!    `discard_at`. After a failure in the background the next attempt waits for [`PAUSE`].
//! 4. [`Cached::refuse`] throws away the very value that was refused, not a newer one.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::{Error, Result};

/// How long a value is used without a new attempt after refreshing failed.
const PAUSE: Duration = Duration::from_secs(60);

/// A fetched value with its dates.
#[derive(Debug)]
pub(crate) struct Fresh<T> {
    pub(crate) value: T,
    pub(crate) refresh_at: Instant,
    pub(crate) discard_at: Instant,
}

/// A value in use; `stamp` names it for [`Cached::refuse`].
#[derive(Debug)]
pub(crate) struct Held<T> {
    pub(crate) value: Arc<T>,
    pub(crate) stamp: u64,
}

/// The cache itself; see the [module documentation](self).
pub(crate) struct Cached<T> {
    what: &'static str,
    state: Mutex<State<T>>,
    flight: Arc<tokio::sync::Mutex<()>>,
}

struct State<T> {
    entry: Option<Entry<T>>,
    failure: Option<(Instant, Error)>,
    /// No refresh in the background before this.
    quiet_until: Option<Instant>,
    stamps: u64,
}

struct Entry<T> {
    value: Arc<T>,
    stamp: u64,
    refresh_at: Instant,
    discard_at: Instant,
}

impl<T> fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("what", &self.what).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Cached<T> {
    /// An empty cache of `what`, a word for the log.
    pub(crate) fn new(what: &'static str) -> Arc<Self> {
        let state = State { entry: None, failure: None, quiet_until: None, stamps: 0 };
        Arc::new(Cached { what, state: Mutex::new(state), flight: Arc::default() })
    }

    /// The value, from memory if there is one, else from `fetch`.
    pub(crate) async fn get<F>(self: &Arc<Self>, fetch: impl FnOnce() -> F) -> Result<Held<T>>
    where
        F: Future<Output = Result<Fresh<T>>> + Send + 'static,
    {
        let asked = Instant::now();
        if let Some(held) = self.held(asked) {
            if self.is_stale(asked) {
                self.refresh_behind(fetch);
            }
            return Ok(held);
        }
        let _flight = self.flight.lock().await;
        if let Some(held) = self.held(Instant::now()) {
            return Ok(held);
        }
        if let Some(error) = self.failure_since(asked) {
            return Err(error);
        }
        self.store(fetch().await)
    }

    /// Throws away the value with this stamp: the service refused it.
    pub(crate) fn refuse(&self, stamp: u64) {
        let mut state = self.state();
        if state.entry.as_ref().is_some_and(|entry| entry.stamp == stamp) {
            state.entry = None;
        }
    }

    /// Whether the value with this stamp is still the one in use.
    pub(crate) fn holds(&self, stamp: u64) -> bool {
        self.state().entry.as_ref().is_some_and(|entry| entry.stamp == stamp)
    }

    fn refresh_behind<F>(self: &Arc<Self>, fetch: impl FnOnce() -> F)
    where
        F: Future<Output = Result<Fresh<T>>> + Send + 'static,
    {
        let Ok(flight) = Arc::clone(&self.flight).try_lock_owned() else { return };
        let (cache, fetch) = (Arc::clone(self), fetch());
        tokio::spawn(async move {
            if let Err(error) = cache.store(fetch.await) {
                tracing::warn!(what = cache.what, %error, "could not refresh; the older value stays in use");
                cache.state().quiet_until = Some(Instant::now() + PAUSE);
            }
            drop(flight);
        });
    }

    fn held(&self, now: Instant) -> Option<Held<T>> {
        let state = self.state();
        let entry = state.entry.as_ref().filter(|entry| now < entry.discard_at)?;
        Some(Held { value: Arc::clone(&entry.value), stamp: entry.stamp })
    }

    fn is_stale(&self, now: Instant) -> bool {
        let state = self.state();
        let due = state.entry.as_ref().is_some_and(|entry| entry.refresh_at <= now);
        due && state.quiet_until.is_none_or(|until| until <= now)
    }

    fn failure_since(&self, asked: Instant) -> Option<Error> {
        let state = self.state();
        state.failure.as_ref().filter(|(at, _)| *at > asked).map(|(_, error)| error.clone())
    }

    fn store(&self, fetched: Result<Fresh<T>>) -> Result<Held<T>> {
        let mut state = self.state();
        match fetched {
            Ok(Fresh { value, refresh_at, discard_at }) => {
                state.stamps += 1;
                let (value, stamp) = (Arc::new(value), state.stamps);
                state.entry = Some(Entry { value: Arc::clone(&value), stamp, refresh_at, discard_at });
                (state.failure, state.quiet_until) = (None, None);
                Ok(Held { value, stamp })
            }
            Err(error) => {
                state.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
