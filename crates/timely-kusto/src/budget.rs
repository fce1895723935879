//! How much memory the rows on their way may take, counted per process and sink.
//!
//! Every buffer that holds rows (an open chunk, a chunk that waits for its compression, a body that is being uploaded)
//! holds a [`Reservation`]; dropping it gives the bytes back. So does what a dataflow itself keeps until an epoch ends, as
//! bytes *kept*: no request frees them, only the dataflow. Two marks act on the sum:
//!
//! 1. From the limit on, the sink is *full*: sources that look at
//!    [`SinkHandle::is_full`](crate::SinkHandle::is_full) are not polled.
//! 2. From twice the limit on, the operator holds its worker until bytes are given back: the bound for dataflows whose
//!    input nobody holds back. Bytes kept do not count here: the worker that is held is the one that gives them back.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use timely::scheduling::activate::SyncActivator;

/// The bytes in use and who waits for them.
pub(crate) struct Budget {
    limit: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    used: usize,
    /// Of these.
    kept: usize,
    peak: usize,
    held: usize,
    closed: bool,
    wake: Vec<SyncActivator>,
}

impl State {
    fn is_over(&self, limit: usize) -> bool {
        self.used - self.kept >= limit.saturating_mul(2)
    }
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Budget { limit, state: Mutex::default(), freed: Condvar::new() })
    }

    /// A reservation of no bytes, to be grown with [`Reservation::resize`].
    pub(crate) fn reserve(self: &Arc<Self>) -> Reservation {
        Reservation { budget: Arc::clone(self), bytes: 0, kept: false }
    }

    /// The same for bytes that the dataflow gives back, and no request.
    pub(crate) fn keep(self: &Arc<Self>) -> Reservation {
        Reservation { budget: Arc::clone(self), bytes: 0, kept: true }
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.lock().used
    }

    /// The most bytes ever in use at once.
    pub(crate) fn peak(&self) -> usize {
        self.lock().peak
    }

    /// Whether the first mark is reached: take no more rows in.
    pub(crate) fn is_full(&self) -> bool {
        self.used() >= self.limit
    }

    /// Whether the second mark is reached.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over(self.limit)
    }

    /// Whether less than half of the first mark is in use: a chunk may outgrow its share, and leaves the others theirs.
    pub(crate) fn is_half_free(&self) -> bool {
        self.used() < self.limit / 2
    }

    /// Whether `bytes` of buffers without rows may be kept: together with the rows they take up to a quarter more than
    /// the limit. That is enough to use the buffer of a chunk for the next but one; where compressed chunks pile up
    /// before a slow network, the memory is theirs.
    pub(crate) fn has_room_for_idle(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes) <= self.limit.saturating_add(self.limit / 4)
    }

    /// Blocks until less than twice the limit is in use, or the budget is closed.
    pub(crate) fn wait(&self) {
        let over = |state: &mut State| !state.closed && state.is_over(self.limit);
        let mut state = self.lock();
        state.held += 1;
        let mut state = self.freed.wait_while(state, over).unwrap_or_else(PoisonError::into_inner);
        state.held -= 1;
    }

    /// As [`wait`](Self::wait), but no longer than this: for rows whose room is made by somebody who may need this very
    /// thread.
    pub(crate) fn wait_at_most(&self, longest: Duration) {
        let over = |state: &mut State| !state.closed && state.is_over(self.limit);
        let waited = self.freed.wait_timeout_while(self.lock(), longest, over);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Threads that wait at the moment.
    pub(crate) fn held(&self) -> usize {
        self.lock().held
    }

    /// Ends all waiting for good: nothing more will be delivered.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.freed.notify_all();
        self.wake();
    }

    /// Activates `activator` each time the sink stops being full.
    pub(crate) fn wake_when_room(&self, activator: SyncActivator) {
        self.lock().wake.push(activator);
    }

    fn resize(&self, from: usize, to: usize, kept: bool) {
        let mut state = self.lock();
        if kept {
            state.kept = state.kept - from + to;
        }
        let before = state.used;
        state.used = before - from + to;
        state.peak = state.peak.max(state.used);
        let (after, limit) = (state.used, self.limit);
        drop(state);
        if after < before {
            self.freed.notify_all();
            if before >= limit && after < limit {
                self.wake();
            }
        }
    }

    fn wake(&self) {
        self.lock().wake.retain(|activator| activator.activate().is_ok());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("limit", &self.limit).field("used", &self.used()).finish()
    }
}

/// Bytes taken from a [`Budget`] until dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
    kept: bool,
}

impl Reservation {
    /// What the bytes are taken from.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Takes or gives back bytes so that `bytes` are held.
    pub(crate) fn resize(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.budget.resize(self.bytes, bytes, self.kept);
            self.bytes = bytes;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests;
