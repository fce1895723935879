//! Gathering: which blobs are ingested together, and when. Decides; does nothing.

use jiff::Timestamp;

use super::message::IngestionMessage;
use crate::clock::after;
use crate::engine::{BatchingPolicy, IngestionProperties, Principal};
use crate::storage::{Message, Place};

/// Batches that gather at a time; beyond, the oldest is sealed early.
const MAX_OPEN: usize = 1000;

const MEGABYTE: u64 = 1024 * 1024;

/// A message that passed every check.
#[derive(Debug, Clone)]
pub(super) struct Accepted {
    pub(super) queue: Place,
    pub(super) message: Message,
    pub(super) ingestion: IngestionMessage,
    /// Bytes that count towards a full batch; none if the blob is to stand alone.
    pub(super) size: Option<u64>,
}

/// What blobs must have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) principal: Principal,
    /// In lower case: names of databases have no case.
    pub(super) database: String,
    pub(super) table: String,
    pub(super) properties: IngestionProperties,
}

impl Group {
    /// Whether such blobs are never gathered (`SingleBlob_...` in the batching policy's documentation).
    fn stands_alone(&self) -> bool {
        !self.properties.ingest_if_not_exists.is_empty()
            || self.properties.tags.iter().any(|tag| tag.starts_with("ingest-by:"))
    }
}

/// Blobs that are ingested together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) group: Group,
    pub(super) messages: Vec<Accepted>,
    raw_size: u64,
    due: Timestamp,
}

/// The batches that gather.
#[derive(Debug, Default)]
pub(super) struct Batches {
    /// In the order in which they were begun.
    open: Vec<Batch>,
}

impl Batches {
    /// Adds a blob; returns the batch that is full or must not wait.
    pub(super) fn add(
        &mut self,
        group: Group,
        accepted: Accepted,
        policy: BatchingPolicy,
        now: Timestamp,
    ) -> Option<Batch> {
        let (size, flush) = (accepted.size, accepted.ingestion.flush);
        let due = after(now, policy.time_span);
        if group.stands_alone() || size.is_none() {
            return Some(Batch { group, messages: vec![accepted], raw_size: 0, due });
        }
        let index = self.open.iter().position(|batch| batch.group == group).unwrap_or_else(|| {
            self.open.push(Batch { group, messages: Vec::new(), raw_size: 0, due });
            self.open.len() - 1
        });
        let batch = &mut self.open[index];
        batch.raw_size += size.unwrap_or_default();
        batch.messages.push(accepted);
        let full = batch.messages.len() as u64 >= policy.items
            || batch.raw_size >= policy.raw_size_mb.saturating_mul(MEGABYTE);
        if full || flush {
            return Some(self.open.remove(index));
        }
        (self.open.len() > MAX_OPEN).then(|| self.open.remove(0))
    }

    /// The batches whose time is over.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Batch> {
        self.open.extract_if(.., |batch| batch.due <= now).collect()
    }

    /// Everything that gathers.
    pub(super) fn into_messages(self) -> impl Iterator<Item = Accepted> {
        self.open.into_iter().flat_map(|batch| batch.messages)
    }

    /// When the next batch's time is over.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.open.iter().map(|batch| batch.due).min()
    }
}
