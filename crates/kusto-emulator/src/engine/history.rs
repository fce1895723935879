//! Older states, for whoever reads late: kept only while an assumption or a rule asks for them, and not without bound.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::catalog::{Database, State, Table};

/// States that are kept: they share what did not change, so that each costs little.
const KEPT: usize = 1024;

/// Former states, oldest first, each with the moment (in ticks) at which the next one followed.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    wanted: bool,
    states: VecDeque<(i64, Arc<State>)>,
}

impl History {
    /// Begins to remember, or forgets everything.
    pub(crate) fn want(&self, wanted: bool) {
        let mut kept = self.lock();
        kept.wanted = wanted;
        if !wanted {
            kept.states.clear();
        }
    }

    /// `state` was the present one until `now`.
    pub(crate) fn push(&self, now: i64, state: Arc<State>) {
        let mut kept = self.lock();
        if kept.wanted {
            if kept.states.len() == KEPT {
                kept.states.pop_front();
            }
            kept.states.push_back((now, state));
        }
    }

    /// The state of so many transactions ago, or the oldest one; none if that is the present one.
    pub(crate) fn behind(&self, transactions: u64) -> Option<Arc<State>> {
        let kept = self.lock();
        let back = usize::try_from(transactions).unwrap_or(usize::MAX);
        let index = kept.states.len().saturating_sub(back);
        kept.states.get(index).map(|(_, state)| Arc::clone(state))
    }

    /// The state at `moment`; none if that is the present one.
    pub(crate) fn at(&self, moment: i64) -> Option<Arc<State>> {
        let kept = self.lock();
        let found = kept.states.iter().find(|(until, _)| *until > moment);
        found.map(|(_, state)| Arc::clone(state))
    }

    /// The table that was called `name` at `moment` or later, if it is still there under another name.
    pub(crate) fn formerly<'d>(
        &self,
        moment: i64,
        database: &'d Database,
        name: &str,
    ) -> Option<&'d Arc<Table>> {
        let kept = self.lock();
        let recent = kept.states.iter().rev().take_while(|(until, _)| *until > moment);
        let known = recent.filter_map(|(_, state)| state.find_database(&database.name)?.tables.get(name));
        known.map(|table| table.id).find_map(|id| database.table_by_id(id))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
