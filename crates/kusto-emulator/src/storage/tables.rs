//! Table operations: check under the lock, journal, apply.

use serde_json::{Map, Value};

use super::state::Record;
use super::{Change, Entity, Expect, Key, Place, Storage, StorageError, StorageResult, table};

impl Storage {
    /// An entity.
    ///
    /// # Errors
    /// 404 `TableNotFound` or `ResourceNotFound`.
    pub(crate) fn entity(&self, place: &Place, key: &Key) -> StorageResult<Entity> {
        self.lock().table(place)?.entities.get(key).cloned().ok_or_else(StorageError::entity_not_found)
    }

    /// Inserts, merges or replaces an entity.
    ///
    /// # Errors
    /// 404 `TableNotFound` or `ResourceNotFound`, 409 `EntityAlreadyExists`, 412 `UpdateConditionNotSatisfied`.
    pub(crate) fn change_entity(
        &self,
        place: &Place,
        key: &Key,
        properties: Map<String, Value>,
        change: Change,
        expect: &Expect,
    ) -> StorageResult<Entity> {
        let mut state = self.lock();
        let entity = state.table(place)?.changed(key, properties, change, expect, self.clock.now())?;
        let record = Record::Entity { place: place.clone(), key: key.clone(), entity: entity.clone() };
        state.commit(record, None)?;
        Ok(entity)
    }

    /// Delete Entity.
    ///
    /// # Errors
    /// 404 `TableNotFound` or `ResourceNotFound`, 412 `UpdateConditionNotSatisfied`.
    pub(crate) fn delete_entity(&self, place: &Place, key: &Key, expect: &Expect) -> StorageResult<()> {
        let mut state = self.lock();
        table::check(state.table(place)?.entities.get(key), expect)?;
        state.commit(Record::EntityGone { place: place.clone(), key: key.clone() }, None)
    }
}
