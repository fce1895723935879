//! A gate per operation: a test shuts it, waits until a call stands before it, and lets calls through one by one.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// How long a test waits for a call to arrive before it is told that none will.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    arrived: Condvar,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    shut: bool,
    /// Calls that may pass although the gate is shut.
    passes: usize,
    waiting: usize,
}

impl Gate {
    pub(super) fn shut(&self) {
        let mut state = self.state();
        state.shut = true;
        state.passes = 0;
    }

    pub(super) fn open(&self) {
        let mut state = self.state();
        state.shut = false;
        state.passes = 0;
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn let_pass(&self, calls: usize) {
        self.state().passes += calls;
        self.changed.notify_waiters();
    }

    pub(super) fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// Blocks the calling thread until `calls` calls stand before the gate.
    pub(super) fn wait_until_waiting(&self, calls: usize) {
        let (state, timeout) = self
            .arrived
            .wait_timeout_while(self.state(), PATIENCE, |state| state.waiting < calls)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{} of {calls} calls arrived within {PATIENCE:?}", state.waiting);
    }

    /// Waits until the gate is open or has a pass left.
    pub(super) async fn pass(&self) {
        if self.try_pass() {
            return;
        }
        let _standing = Standing::at(self);
        loop {
            let changed = self.changed.notified();
            if self.try_pass() {
                return;
            }
            changed.await;
        }
    }

    fn try_pass(&self) -> bool {
        let mut state = self.state();
        if !state.shut {
            return true;
        }
        let passes = state.passes > 0;
        state.passes -= usize::from(passes);
        passes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a call as waiting for as long as it stands there, also when its future is dropped.
struct Standing<'a>(&'a Gate);

impl<'a> Standing<'a> {
    fn at(gate: &'a Gate) -> Self {
        gate.state().waiting += 1;
        gate.arrived.notify_all();
        Standing(gate)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}
