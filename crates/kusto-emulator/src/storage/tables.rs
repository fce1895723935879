//! Table operations: check under the lock, journal, apply.

use std::ops::Bound;

use serde_json::{Map, Value};

use super::access::KeyRange;
use super::filter::Filter;
use super::state::Record;
use super::{Change, Entity, Expect, Key, Place, Storage, StorageError, StorageResult, table};

/// Entities looked at for one answer; the rest is asked for with a continuation. The service stops after five seconds.
const MAX_LOOKED_AT: usize = 100_000;

/// Which entities a query wants.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) filter: Option<Filter>,
    /// The keys to begin with.
    pub(crate) from: Option<Key>,
    pub(crate) most: usize,
    /// Those that the signature reaches.
    pub(crate) range: KeyRange,
}

/// Entities in the order of their keys, and where the next part begins.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) entities: Vec<(Key, Entity)>,
    pub(crate) next: Option<Key>,
}

impl Storage {
    /// An entity.
    ///
    /// # Errors
    /// 404 `TableNotFound` or `ResourceNotFound`.
    pub(crate) fn entity(&self, place: &Place, key: &Key) -> StorageResult<Entity> {
        self.lock().table(place)?.entities.get(key).cloned().ok_or_else(StorageError::entity_not_found)
    }

    /// Query Entities.
    ///
    /// # Errors
    /// 404 `TableNotFound`.
    pub(crate) fn query_entities(&self, place: &Place, wanted: &Wanted) -> StorageResult<Found> {
        let mut state = self.lock();
        let from = wanted.from.clone().map_or(Bound::Unbounded, Bound::Included);
        let mut found = Found::default();
        let entities = &state.table(place)?.entities;
        for (number, (key, entity)) in entities.range((from, Bound::Unbounded)).enumerate() {
            if number == MAX_LOOKED_AT || found.entities.len() == wanted.most {
                found.next = Some(key.clone());
                break;
            }
            let accepted = wanted.filter.as_ref().is_none_or(|filter| filter.accepts(key, entity));
            if accepted && wanted.range.holds(&key.0, &key.1) {
                found.entities.push((key.clone(), entity.clone()));
            }
        }
        Ok(found)
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
