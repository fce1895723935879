//! Tables: entities by partition and row key, properties as the JSON that clients sent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::about::About;
use super::error::{StorageError, StorageResult};
use crate::clock::seven_digits;

/// The largest entity, in bytes of JSON: the limit of Table Storage.
pub(crate) const MAX_ENTITY_BYTES: u64 = 1024 * 1024;

/// Partition key, row key.
pub(crate) type Key = (String, String);

/// Entities by key.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) about: About,
    pub(crate) entities: BTreeMap<Key, Entity>,
}

/// One entity: its properties (keys and time excluded) with their `@odata.type` annotations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entity {
    pub(crate) properties: Map<String, Value>,
    pub(crate) modified: Timestamp,
}

/// How an update treats what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The entity must not exist.
    Insert,
    /// Properties given replace those of the same name, others stay.
    Merge,
    /// All properties are replaced.
    Replace,
}

/// What must be there before an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Anything or nothing: insert-or-merge, insert-or-replace.
    Whatever,
    /// An entity (`If-Match: *`).
    Something,
    /// An entity with this ETag.
    Etag(String),
}

impl Entity {
    pub(crate) fn etag(&self) -> String {
        let time = seven_digits(self.modified).replace(':', "%3A");
        format!("W/\"datetime'{time}'\"")
    }
}

impl Table {
    /// What the entity becomes.
    ///
    /// # Errors
    /// 409 `EntityAlreadyExists`, 404 `ResourceNotFound`, 412 `UpdateConditionNotSatisfied`.
    pub(crate) fn changed(
        &self,
        key: &Key,
        properties: Map<String, Value>,
        change: Change,
        expect: &Expect,
        modified: Timestamp,
    ) -> StorageResult<Entity> {
        let current = self.entities.get(key);
        if change == Change::Insert && current.is_some() {
            return Err(StorageError::new(
                409,
                "EntityAlreadyExists",
                "The specified entity already exists.",
            ));
        }
        check(current, expect)?;
        let mut merged = match current {
            Some(current) if change == Change::Merge => current.properties.clone(),
            _ => Map::new(),
        };
        merged.extend(properties.into_iter().filter(|(_, value)| !value.is_null()));
        Ok(Entity { properties: merged, modified })
    }
}

/// # Errors
/// 404 `ResourceNotFound`, 412 `UpdateConditionNotSatisfied`.
pub(crate) fn check(current: Option<&Entity>, expect: &Expect) -> StorageResult<()> {
    match (expect, current) {
        (Expect::Whatever, _) | (Expect::Something, Some(_)) => Ok(()),
        (_, None) => Err(StorageError::entity_not_found()),
        (Expect::Etag(etag), Some(entity)) if *etag == entity.etag() => Ok(()),
        (Expect::Etag(_), Some(_)) => Err(StorageError::new(
            412,
            "UpdateConditionNotSatisfied",
            "The update condition specified in the request was not satisfied.",
        )),
    }
}
