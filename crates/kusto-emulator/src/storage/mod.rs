//! Blob, queue and table storage, as far as ingestion needs it: the state, and every change to it.
//!
//! ```text
//!   http/blob.rs  http/queue.rs  http/table.rs      dm/ (takes messages, sets status rows)   engine (reads blobs)
//!          │             │              │                        │                               │
//!          ▼             ▼              ▼                        ▼                               ▼
//!   blobs.rs         queues.rs      tables.rs        one lock: check ─► journal ─► apply     BlobReader: SAS, bytes
//!          └── bodies: body.rs (memory or files)
//! ```
//!
//! Several accounts share the emulator's ports: `http://127.0.0.1:<port>/<account>/<container, queue or table>/...`. Each
//! service has a port of its own, where all of it is; on the cluster's port, whose addresses clients get for ingestion,
//! services are told apart by the name of the resource (a container goes before a queue, and a queue before a table).
//!
//! Invariants:
//! 1. A change is in the journal before it is seen or acknowledged, and one that was acknowledged survives a kill.
//! 2. A body is never copied: the chunks that came from the network are what is read, or they went to a file.
//! 3. The lock is held for bookkeeping only, never for bytes.
//! 4. Whatever a client sends, at most the configured number of bytes is held.
//!
//! What is there: containers, queues and tables as such (create, delete, list, metadata, stored access policies); block
//! blobs (put, blocks, ranges, conditional headers, metadata, list); messages; entities and their queries. Signatures:
//! `sas` and `shared_key`, held against what an operation needs in `access`. Everything else is refused with
//! `UnsupportedOperation`.

mod about;
mod access;
mod blob;
mod blobs;
mod body;
mod connection;
mod depot;
mod error;
mod filter;
#[cfg(test)]
mod fuzz;
mod journal;
mod listing;
mod outside;
mod query;
mod queue;
mod queues;
mod reader;
mod resources;
mod sas;
mod shared_key;
mod state;
mod table;
mod tables;
pub(crate) mod xml;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

pub(crate) use about::{About, Metadata, Policy};
pub(crate) use access::{Claim, Level, Needs, Origin, Right, Target};
pub(crate) use blob::{Blob, BlockSource, Conditions, ContentHeaders, Properties, range};
pub(crate) use blobs::{Upload, Written};
use body::Bodies;
pub(crate) use body::{Body, Segment};
pub(crate) use connection::Connection;
pub(crate) use depot::Depot;
pub(crate) use error::{StorageError, StorageResult};
pub(crate) use filter::Filter;
pub(crate) use listing::Listed;
pub(crate) use outside::Outside;
pub(crate) use query::Query;
pub(crate) use queue::{MAX_MESSAGE_BYTES, Message};
pub(crate) use resources::{Part, check_policies};
pub(crate) use sas::{Service, UNRESERVED, VERSION, is_moment};
pub(crate) use state::Place;
use state::State;
pub(crate) use table::{Change, Entity, Expect, Key, MAX_ENTITY_BYTES};
pub(crate) use tables::Wanted;

use crate::clock::{Clock, after};
use crate::files;
use crate::seed::Chance;

/// A storage account.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    /// Signs its SAS.
    pub(crate) key: Vec<u8>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Account").field(&self.name).finish()
    }
}

/// What is kept, and where; with the most bytes of bodies at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep<'a> {
    /// Everything, in this directory.
    In(&'a Path, u64),
    /// Everything, in memory.
    Memory(u64),
    /// In memory, and nothing of the bodies.
    Nothing,
}

/// All accounts and what is in them.
#[derive(Debug)]
pub(crate) struct Storage {
    accounts: Vec<Account>,
    state: Mutex<State>,
    bodies: Bodies,
    clock: Arc<dyn Clock>,
    ids: Chance,
    /// Rings when a message was put.
    posted: Notify,
}

impl Storage {
    /// Opens storage with what an earlier start left.
    ///
    /// # Errors
    /// If the directory cannot be used, or its journal is damaged.
    pub(crate) fn open(
        accounts: Vec<Account>,
        keep: Keep<'_>,
        clock: Arc<dyn Clock>,
        ids: Chance,
    ) -> io::Result<Self> {
        let (state, bodies) = match keep {
            Keep::In(directory, limit) => {
                let bodies = directory.join("bodies");
                files::create_private_dir(&bodies)?;
                State::open(&directory.join("journal.jsonl"), &bodies, limit)?
            }
            Keep::Memory(limit) => (State::default(), Bodies::memory(limit)),
            Keep::Nothing => (State::default(), Bodies::dropped()),
        };
        Ok(Self { accounts, state: Mutex::new(state), bodies, clock, ids, posted: Notify::new() })
    }

    pub(crate) fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    pub(crate) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// Which service `resource` of `account` belongs to.
    pub(crate) fn service(&self, place: &Place) -> Option<Service> {
        self.lock().service(place)
    }

    /// A table under the name that it was created with: names of tables have no case.
    pub(crate) fn table_by_any_case(&self, place: Place) -> Place {
        let state = self.lock();
        if state.tables.contains_key(&place) {
            return place;
        }
        let same = |(name, _): &(&str, &About)| name.eq_ignore_ascii_case(&place.resource);
        let known =
            state.names(Service::Table, &place.account, "").find(same).map(|(name, _)| name.to_owned());
        known.map_or(place.clone(), |name| Place::new(place.account, name))
    }

    /// The address of a container, queue or table below `base`, with a SAS.
    pub(crate) fn signed_url(
        &self,
        base: &str,
        service: Service,
        place: &Place,
        permissions: &str,
        validity: Duration,
    ) -> Option<String> {
        let now = self.clock.now();
        // Clients' clocks are behind by a few minutes at times; Azure recommends the same.
        let start = now.checked_sub(Duration::from_secs(300)).unwrap_or(now);
        let target = Target { service, account: &place.account, resource: &place.resource, item: None };
        let key = &self.account(&place.account)?.key;
        let sas = sas::sign(target, key, permissions, start, after(now, validity));
        Some(format!("{base}/{}/{}?{sas}", place.account, place.resource))
    }

    /// Waits until a message is put; one put since the last wait counts.
    pub(crate) async fn message_posted(&self) {
        self.posted.notified().await;
    }

    /// A new id for an answer.
    pub(crate) fn new_id(&self) -> uuid::Uuid {
        self.ids.id()
    }

    fn new_etag(&self) -> String {
        format!("\"0x{:015X}\"", u64::from_le_bytes(self.ids.bytes()) >> 4)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held cannot leave half a change: a change is one insertion.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
