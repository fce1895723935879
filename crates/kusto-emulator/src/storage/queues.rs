//! Queue operations: check under the lock, journal, apply.

use std::time::Duration;

use jiff::Timestamp;

use super::state::Record;
use super::{Message, Place, Storage, StorageResult};
use crate::clock::after;

impl Storage {
    /// Put Message.
    ///
    /// # Errors
    /// 404 `QueueNotFound`.
    pub(crate) fn put_message(
        &self,
        place: &Place,
        text: String,
        hidden: Duration,
        time_to_live: Duration,
    ) -> StorageResult<Message> {
        let now = self.clock.now();
        let message = Message {
            id: self.ids.id().to_string(),
            text,
            inserted: now,
            expires: after(now, time_to_live),
            visible: after(now, hidden),
            pop_receipt: self.ids.id().to_string(),
            dequeued: 0,
        };
        let mut state = self.lock();
        state.queue(place)?;
        state.commit(Record::Message { place: place.clone(), message: message.clone() }, None)?;
        drop(state);
        self.posted.notify_one();
        Ok(message)
    }

    /// Get Messages: hides up to `count` messages for `hidden`.
    ///
    /// # Errors
    /// 404 `QueueNotFound`.
    pub(crate) fn get_messages(
        &self,
        place: &Place,
        count: usize,
        hidden: Duration,
    ) -> StorageResult<Vec<Message>> {
        let now = self.clock.now();
        let mut state = self.lock();
        let expired = state.queue(place)?.expired(now);
        for id in expired {
            state.commit(Record::MessageGone { place: place.clone(), id }, None)?;
        }
        let mut messages: Vec<_> = state.queue(place)?.visible(now, count).cloned().collect();
        for message in &mut messages {
            message.visible = after(now, hidden);
            message.pop_receipt = self.ids.id().to_string();
            message.dequeued += 1;
            state.commit(Record::Message { place: place.clone(), message: message.clone() }, None)?;
        }
        Ok(messages)
    }

    /// Peek Messages.
    ///
    /// # Errors
    /// 404 `QueueNotFound`.
    pub(crate) fn peek_messages(&self, place: &Place, count: usize) -> StorageResult<Vec<Message>> {
        let now = self.clock.now();
        let mut state = self.lock();
        let queue = state.queue(place)?;
        Ok(queue.visible(now, count).filter(|message| message.expires > now).cloned().collect())
    }

    /// Update Message: another text, another time to appear.
    ///
    /// # Errors
    /// 404 `QueueNotFound` or `MessageNotFound`, 400 `PopReceiptMismatch`.
    pub(crate) fn update_message(
        &self,
        place: &Place,
        id: &str,
        pop_receipt: &str,
        text: Option<String>,
        hidden: Duration,
    ) -> StorageResult<Message> {
        let mut state = self.lock();
        let mut message = state.queue(place)?.held(id, pop_receipt)?.clone();
        message.visible = after(self.clock.now(), hidden);
        message.pop_receipt = self.ids.id().to_string();
        message.text = text.unwrap_or(message.text);
        state.commit(Record::Message { place: place.clone(), message: message.clone() }, None)?;
        Ok(message)
    }

    /// Delete Message.
    ///
    /// # Errors
    /// 404 `QueueNotFound` or `MessageNotFound`, 400 `PopReceiptMismatch`.
    pub(crate) fn delete_message(&self, place: &Place, id: &str, pop_receipt: &str) -> StorageResult<()> {
        let mut state = self.lock();
        state.queue(place)?.held(id, pop_receipt)?;
        state.commit(Record::MessageGone { place: place.clone(), id: id.to_owned() }, None)
    }

    /// Clear Messages. What data management has taken, it finishes.
    ///
    /// # Errors
    /// 404 `QueueNotFound`.
    pub(crate) fn clear_messages(&self, place: &Place) -> StorageResult<()> {
        let mut state = self.lock();
        let ids: Vec<_> =
            state.queue(place)?.visible(Timestamp::MAX, usize::MAX).map(|m| m.id.clone()).collect();
        for id in ids {
            state.commit(Record::MessageGone { place: place.clone(), id }, None)?;
        }
        Ok(())
    }

    /// How many messages a queue holds.
    ///
    /// # Errors
    /// 404 `QueueNotFound`.
    pub(crate) fn message_count(&self, place: &Place) -> StorageResult<usize> {
        Ok(self.lock().queue(place)?.len())
    }

    /// Hands up to `count` visible messages to data management, and forgets those that are too old.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub(crate) fn take_messages(&self, place: &Place, count: usize) -> StorageResult<Vec<Message>> {
        let now = self.clock.now();
        let mut state = self.lock();
        let expired = state.queue(place)?.expired(now);
        for id in expired {
            tracing::warn!(queue = %place.resource, message = %id, "a queue message outlived its time and is dropped");
            state.commit(Record::MessageGone { place: place.clone(), id }, None)?;
        }
        Ok(state.queue(place)?.take(now, count))
    }

    /// Data management is done with a message.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub(crate) fn finish_message(&self, place: &Place, id: &str) -> StorageResult<()> {
        self.lock().commit(Record::MessageGone { place: place.clone(), id: id.to_owned() }, None)
    }

    /// Data management wants to see a message again at `visible`.
    pub(crate) fn give_back_message(&self, place: &Place, id: &str, visible: Timestamp) {
        if let Ok(queue) = self.lock().queue(place) {
            queue.give_back(id, visible);
        }
    }

    /// When the next message of a queue appears; past if it is there.
    pub(crate) fn next_message(&self, place: &Place) -> Option<Timestamp> {
        self.lock().queue(place).ok()?.next_visible()
    }
}
