//! Where data management finds messages and blobs and leaves what it has to tell: this emulator's storage, or other
//! storage that it was given (`--storage`).
//!
//! Both do the same; other storage is asked over HTTP, and a call returns when the answer is there.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use url::Url;

use super::about::Metadata;
use super::error::StorageResult;
use super::outside::Outside;
use super::table::{Change, Expect, Key};
use super::{Message, Place, Service, Storage};
use crate::engine::{BlobReader, IngestFailure};

/// See the module.
#[derive(Debug, Clone)]
pub(crate) enum Depot {
    Inside(Arc<Storage>),
    Outside(Arc<Outside>),
}

impl Depot {
    /// How the engine reads blobs.
    pub(crate) fn blobs(&self) -> Arc<dyn BlobReader> {
        match self {
            Self::Inside(storage) => Arc::clone(storage) as _,
            Self::Outside(outside) => Arc::clone(outside) as _,
        }
    }

    /// Makes sure that a container, queue or table exists.
    pub(crate) fn create(&self, place: Place, service: Service) -> StorageResult<()> {
        match self {
            Self::Inside(storage) => storage.create(place, service),
            Self::Outside(outside) => outside.create(&place, service),
        }
    }

    /// The address of a container, queue or table with a SAS; `base` is that of the emulator.
    pub(crate) fn signed_url(
        &self,
        base: &str,
        service: Service,
        place: &Place,
        permissions: &str,
        validity: Duration,
    ) -> Option<String> {
        match self {
            Self::Inside(storage) => storage.signed_url(base, service, place, permissions, validity),
            Self::Outside(outside) => outside.signed_url(service, place, permissions, validity),
        }
    }

    /// Takes up to `count` messages until data management is done with them.
    pub(crate) fn take_messages(&self, place: &Place, count: usize) -> StorageResult<Vec<Message>> {
        match self {
            Self::Inside(storage) => storage.take_messages(place, count),
            Self::Outside(outside) => outside.take_messages(place, count),
        }
    }

    /// Data management is done with a message.
    pub(crate) fn finish_message(&self, place: &Place, id: &str) -> StorageResult<()> {
        match self {
            Self::Inside(storage) => storage.finish_message(place, id),
            Self::Outside(outside) => outside.finish_message(place, id),
        }
    }

    /// Data management wants to see a message again at `visible`; now is `now`.
    pub(crate) fn give_back_message(&self, place: &Place, id: &str, visible: Timestamp, now: Timestamp) {
        match self {
            Self::Inside(storage) => storage.give_back_message(place, id, visible),
            Self::Outside(outside) => {
                let wait = Duration::try_from(visible.duration_since(now)).unwrap_or_default();
                outside.give_back_message(place, id, wait);
            }
        }
    }

    /// When the next message of a queue appears, if that is known.
    pub(crate) fn next_message(&self, place: &Place) -> Option<Timestamp> {
        match self {
            Self::Inside(storage) => storage.next_message(place),
            Self::Outside(_) => None,
        }
    }

    /// Waits until there may be a new message.
    pub(crate) async fn message_posted(&self) {
        match self {
            Self::Inside(storage) => storage.message_posted().await,
            Self::Outside(outside) => outside.pause().await,
        }
    }

    /// Puts a message.
    pub(crate) fn put_message(
        &self,
        place: &Place,
        text: String,
        time_to_live: Duration,
    ) -> StorageResult<()> {
        match self {
            Self::Inside(storage) => storage.put_message(place, text, Duration::ZERO, time_to_live).map(drop),
            Self::Outside(outside) => outside.put_message(place, &text, time_to_live),
        }
    }

    /// Inserts an entity into the table at an address, or merges it with the one that is there. An address that names no
    /// table, as the official Node client's does not, means `usual`.
    pub(crate) fn write_row(
        &self,
        address: &str,
        usual: &Place,
        key: &Key,
        properties: Map<String, Value>,
    ) -> StorageResult<()> {
        match self {
            Self::Inside(storage) => {
                let named = table_at(address);
                let table = named.as_ref().unwrap_or(usual);
                storage.change_entity(table, key, properties, Change::Merge, &Expect::Whatever).map(drop)
            }
            Self::Outside(outside) => outside.merge_row(address, usual, key, properties),
        }
    }

    /// The metadata of the blob at an address, if the address allows to read it.
    pub(crate) fn source_metadata(&self, address: &str) -> Result<Metadata, IngestFailure> {
        match self {
            Self::Inside(storage) => storage.source(address).map(|blob| blob.properties.metadata),
            Self::Outside(outside) => outside.source_metadata(address),
        }
    }

    /// The stored bytes of the blob at an address, if that can be told without a request.
    pub(crate) fn source_size(&self, address: &str) -> Option<u64> {
        match self {
            Self::Inside(storage) => Some(storage.source(address).ok()?.body.length()),
            Self::Outside(_) => None,
        }
    }

    /// Deletes the blob at an address, if the address allows it.
    pub(crate) fn delete_source(&self, address: &str) -> StorageResult<()> {
        match self {
            Self::Inside(storage) => storage.delete_source(address),
            Self::Outside(outside) => outside.delete_source(address),
        }
    }
}

/// The table at an address of this emulator: `/account/table`.
fn table_at(address: &str) -> Option<Place> {
    let url = Url::parse(address).ok()?;
    let mut parts = url.path_segments()?;
    Some(Place::new(parts.next()?, parts.next()?))
}
