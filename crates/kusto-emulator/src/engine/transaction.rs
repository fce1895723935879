//! How a state follows another: decide on the present state, write the journal, show the new state.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::Engine;
use super::catalog::State;
use super::change::Change;
use super::error::{EngineError, EngineResult};
use super::extent::Extent;
use super::store::Journal;
use uuid::Uuid;

/// What a decision leads to: the changes, and what is told to the caller once they are made.
#[derive(Debug)]
pub(crate) struct Decision<T> {
    /// Applied together; none is fine.
    pub(crate) changes: Vec<Change>,
    /// The answer.
    pub(crate) answer: T,
}

impl<T> Decision<T> {
    /// A decision with changes.
    pub(crate) fn new(changes: Vec<Change>, answer: T) -> Self {
        Self { changes, answer }
    }

    /// Nothing is to be done.
    pub(crate) fn nothing(answer: T) -> Self {
        Self { changes: Vec::new(), answer }
    }
}

impl Engine {
    /// The state as of now.
    pub(crate) fn snapshot(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides on the present state while nobody else can change it, and makes the decision durable and visible.
    ///
    /// # Errors
    /// Those of `decide`, and a transient 500 if the journal cannot be written; then nothing has changed.
    pub(crate) fn transact<T, E: From<EngineError>>(
        &self,
        decide: impl FnOnce(&State) -> Result<Decision<T>, E>,
    ) -> Result<T, E> {
        let mut journal = self.lock_journal();
        let before = self.snapshot();
        let decision = decide(&before)?;
        if !decision.changes.is_empty() {
            self.commit(&mut journal, &before, &decision.changes)?;
        }
        Ok(decision.answer)
    }

    fn commit(&self, journal: &mut Journal, before: &Arc<State>, changes: &[Change]) -> EngineResult<()> {
        let mut after = State::clone(before);
        changes.iter().for_each(|change| after.apply(change));
        journal.append(changes).map_err(EngineError::internal)?;
        let after = Arc::new(after);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&after);
        self.history.push(self.now(), Arc::clone(before));
        gone(before, &after, changes).iter().for_each(|extent| self.extents.doom(extent));
        if let Err(error) = journal.compact_when_due(&after) {
            tracing::warn!(%error, "the journal stays long");
        }
        Ok(())
    }

    fn lock_journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The extents that `changes` take out of the catalog, and that nothing in it holds any more.
fn gone(before: &State, after: &State, changes: &[Change]) -> Vec<Arc<Extent>> {
    let lost = |change: &Change| match change {
        Change::DropTable { database, table } => extents_of(before, database, table, None),
        Change::DropExtents { database, table, ids } => extents_of(before, database, table, Some(ids)),
        Change::DropView { database, view } => {
            let view = before.find_database(database).and_then(|database| database.views.get(view));
            view.map(|view| view.extents.clone()).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let mut lost: Vec<_> = changes.iter().flat_map(lost).collect();
    let has_views = |state: &State| state.databases.values().any(|database| !database.views.is_empty());
    if !lost.is_empty() && (has_views(before) || has_views(after)) {
        let held: HashSet<Uuid> = after.extents().map(|extent| extent.file).collect();
        lost.retain(|extent| !held.contains(&extent.file));
    }
    lost
}

fn extents_of(state: &State, database: &str, table: &str, ids: Option<&[Uuid]>) -> Vec<Arc<Extent>> {
    let table = state.find_database(database).and_then(|database| database.tables.get(table));
    let extents = table.into_iter().flat_map(|table| &table.extents);
    extents.filter(|extent| ids.is_none_or(|ids| ids.contains(&extent.id))).map(Arc::clone).collect()
}
