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
//! Several accounts share the emulator's port: `http://127.0.0.1:<port>/<account>/<container, queue or table>/...`. The
//! services of an account are told apart by the name of the resource, so a name belongs to one service of an account.
//!
//! Invariants:
//! 1. A change is in the journal before it is seen or acknowledged, and one that was acknowledged survives a kill.
//! 2. A body is never copied: the chunks that came from the network are what is read, or they went to a file.
//! 3. The lock is held for bookkeeping only, never for bytes.
//! 4. Whatever a client sends, at most the configured number of bytes is held.
//!
//! What is there: Put Blob, Get Blob (ranges), Get Blob Properties, Delete Blob, Put Block, Put Block List, Get Block
//! List with conditional headers and metadata; Put, Get, Peek, Update, Delete and Clear Messages, Get Queue Metadata;
//! Insert, Get, Merge, Replace, Insert Or Merge, Insert Or Replace and Delete Entity. Signatures: `sas`. Everything else
//! is refused with `UnsupportedOperation`.

mod blob;
mod blobs;
mod body;
mod error;
mod journal;
mod query;
mod queue;
mod queues;
mod reader;
mod sas;
mod state;
mod table;
mod tables;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

pub(crate) use blob::{Blob, BlockSource, Conditions, Properties, range};
pub(crate) use blobs::{Upload, Written};
use body::Bodies;
pub(crate) use body::{Body, Segment};
pub(crate) use error::{StorageError, StorageResult};
pub(crate) use query::Query;
pub(crate) use queue::{MAX_MESSAGE_BYTES, Message};
pub(crate) use sas::{Permissions, Service, Target, VERSION};
pub(crate) use state::Place;
use state::{Record, State};
pub(crate) use table::{Change, Entity, Expect, Key, MAX_ENTITY_BYTES};

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

    /// Makes sure that a container, queue or table exists.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub(crate) fn create(&self, place: Place, service: Service) -> StorageResult<()> {
        let mut state = self.lock();
        if state.service(&place).is_none() {
            state.commit(Record::Resource { place, service }, None)?;
        }
        Ok(())
    }

    pub(crate) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// Which service `resource` of `account` belongs to.
    pub(crate) fn service(&self, place: &Place) -> Option<Service> {
        self.lock().service(place)
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
        let target =
            Target { service, account: &place.account, resource: &place.resource, item: None, keys: None };
        let key = &self.account(&place.account)?.key;
        let sas = sas::sign(target, key, permissions, start, after(now, validity));
        Some(format!("{base}/{}/{}?{sas}", place.account, place.resource))
    }

    /// Checks the signature in a request's query against its target.
    ///
    /// # Errors
    /// As [`sas::check`]; 404 for an unknown account.
    pub(crate) fn authorise(&self, target: Target<'_>, query: &Query) -> StorageResult<Permissions> {
        let account = self.account(target.account).ok_or_else(StorageError::container_not_found)?;
        sas::check(target, query, &account.key, self.clock.now())
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
