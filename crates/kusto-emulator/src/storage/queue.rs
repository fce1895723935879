//! Queues: messages in the order they were put, hidden while somebody has them.
//!
//! Two kinds of readers: clients over HTTP get a message for a while (a pop receipt, visibility on the clock), and data
//! management inside the emulator *takes* it until it is done with it. A take is not written down, so after a kill the
//! message is there again: delivery is at least once, as in the service.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::about::About;
use super::error::{StorageError, StorageResult};

/// The longest text of a message, in bytes: the limit of Queue Storage.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) inserted: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) visible: Timestamp,
    pub(crate) pop_receipt: String,
    pub(crate) dequeued: u32,
}

/// Messages of one queue, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) about: About,
    waiting: BTreeMap<u64, Message>,
    /// Those that data management has.
    taken: HashMap<u64, Message>,
    order: HashMap<String, u64>,
    next: u64,
}

impl Queue {
    /// All messages, taken ones too.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Message> {
        self.waiting.values().chain(self.taken.values())
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Messages that have outlived their time.
    pub(crate) fn expired(&self, now: Timestamp) -> Vec<String> {
        let gone = |message: &&Message| message.expires <= now;
        self.waiting.values().filter(gone).map(|message| message.id.clone()).collect()
    }

    /// Up to `count` messages that a reader may see now.
    pub(crate) fn visible(&self, now: Timestamp, count: usize) -> impl Iterator<Item = &Message> {
        self.waiting.values().filter(move |message| message.visible <= now).take(count)
    }

    /// When the next hidden message appears.
    pub(crate) fn next_visible(&self) -> Option<Timestamp> {
        self.waiting.values().map(|message| message.visible).min()
    }

    /// Hands messages that are visible to data management, at most `count`.
    pub(crate) fn take(&mut self, now: Timestamp, count: usize) -> Vec<Message> {
        let due = self.waiting.iter().filter(|(_, message)| message.visible <= now);
        let numbers: Vec<_> = due.take(count).map(|(number, _)| *number).collect();
        let mut messages = Vec::with_capacity(numbers.len());
        for number in numbers {
            if let Some(mut message) = self.waiting.remove(&number) {
                message.dequeued += 1;
                messages.push(message.clone());
                self.taken.insert(number, message);
            }
        }
        messages
    }

    /// Takes a message back from data management, to be visible from `visible` on.
    pub(crate) fn give_back(&mut self, id: &str, visible: Timestamp) {
        if let Some(number) = self.order.get(id)
            && let Some(mut message) = self.taken.remove(number)
        {
            message.visible = visible;
            self.waiting.insert(*number, message);
        }
    }

    /// The message with this id, if the caller is the one who got it last.
    ///
    /// # Errors
    /// 404 `MessageNotFound`, 400 `PopReceiptMismatch`.
    pub(crate) fn held(&self, id: &str, pop_receipt: &str) -> StorageResult<&Message> {
        let message = self.order.get(id).and_then(|number| self.waiting.get(number));
        let message = message.ok_or_else(StorageError::message_not_found)?;
        if message.pop_receipt != pop_receipt {
            return Err(StorageError::new(
                400,
                "PopReceiptMismatch",
                "The specified pop receipt did not match the pop receipt for a dequeued message.",
            ));
        }
        Ok(message)
    }

    /// Adds, or replaces by id.
    pub(crate) fn put(&mut self, message: Message) {
        let number = *self.order.entry(message.id.clone()).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.waiting.insert(number, message);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(number) = self.order.remove(id) {
            self.waiting.remove(&number);
            self.taken.remove(&number);
        }
    }
}
