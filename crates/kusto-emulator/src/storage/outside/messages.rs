//! Messages of other storage: taken for five minutes, renewed while data management has them, deleted at the end.

use std::time::Duration;

use axum::http::Method;
use tokio::time::Instant;

use super::Outside;
use super::client::Call;
use crate::storage::error::StorageResult;
use crate::storage::{Message, Place, Service, xml};

/// How long a message is hidden from others; after a kill it appears again then at the latest.
const HIDDEN: Duration = Duration::from_secs(300);

/// When a message that is still worked on is hidden anew.
pub(super) const RENEWED_AFTER: Duration = Duration::from_secs(120);

/// Messages in one answer: the limit of Queue Storage.
const MAX_GOT: usize = 32;

/// A message that data management has.
#[derive(Debug, Clone)]
pub(super) struct Held {
    place: Place,
    pop_receipt: String,
    since: Instant,
}

impl Outside {
    /// Get Messages, as often as there are more.
    ///
    /// # Errors
    /// What the storage says to the first request.
    pub(in crate::storage) fn take_messages(
        &self,
        place: &Place,
        count: usize,
    ) -> StorageResult<Vec<Message>> {
        let mut messages = Vec::new();
        while messages.len() < count {
            let wanted = MAX_GOT.min(count - messages.len());
            let got = match self.get_messages(place, wanted) {
                Ok(got) => got,
                Err(error) if messages.is_empty() => return Err(error),
                Err(_) => break,
            };
            let last = got.len() < wanted;
            messages.extend(got);
            if last {
                break;
            }
        }
        Ok(messages)
    }

    fn get_messages(&self, place: &Place, count: usize) -> StorageResult<Vec<Message>> {
        let call = Call::new(Service::Queue, Method::GET, format!("{}/messages", place.resource))
            .query("numofmessages", count)
            .query("visibilitytimeout", HIDDEN.as_secs());
        let answer = self.call(&place.account, call)?;
        let messages = xml::messages(&answer.body)?;
        let mut held = self.holding();
        for message in &messages {
            let (place, pop_receipt) = (place.clone(), message.pop_receipt.clone());
            held.insert(message.id.clone(), Held { place, pop_receipt, since: Instant::now() });
        }
        Ok(messages)
    }

    /// Delete Message.
    ///
    /// # Errors
    /// What the storage says; one that is gone is as good.
    pub(in crate::storage) fn finish_message(&self, place: &Place, id: &str) -> StorageResult<()> {
        let delete = |held: &Held| {
            Call::new(Service::Queue, Method::DELETE, format!("{}/messages/{id}", place.resource))
                .query("popreceipt", &held.pop_receipt)
        };
        match self.wait(self.let_go(id, delete)) {
            Err(error) if error.status == 404 => Ok(()),
            answered => answered,
        }
    }

    /// Update Message: to appear after `wait`. If that fails, it appears when its time is over.
    pub(in crate::storage) fn give_back_message(&self, place: &Place, id: &str, wait: Duration) {
        if let Err(error) = self.wait(self.let_go(id, |held| hide(held, id, wait))) {
            tracing::warn!(%error, queue = %place.resource, "a message could not be given back; it appears later");
        }
    }

    /// Makes the last call for a message that data management has.
    async fn let_go(&self, id: &str, last: impl FnOnce(&Held) -> Call) -> StorageResult<()> {
        let _turn = self.turn.lock().await;
        let Some(held) = self.holding().remove(id) else { return Ok(()) };
        let account = self.known(&held.place.account)?;
        self.client.send(account, last(&held)).await.map(drop)
    }

    /// Put Message.
    ///
    /// # Errors
    /// What the storage says.
    pub(in crate::storage) fn put_message(
        &self,
        place: &Place,
        text: &str,
        time_to_live: Duration,
    ) -> StorageResult<()> {
        let body = format!(
            "<QueueMessage><MessageText>{}</MessageText></QueueMessage>",
            quick_xml::escape::escape(text)
        );
        let call = Call::new(Service::Queue, Method::POST, format!("{}/messages", place.resource))
            .query("messagettl", time_to_live.as_secs())
            .xml(body);
        self.call(&place.account, call).map(drop)
    }

    /// Hides those anew that data management has had for this long.
    pub(super) async fn renew(&self, age: Duration) {
        let _turn = self.turn.lock().await;
        let old: Vec<_> = {
            let held = self.holding();
            let old = held.iter().filter(|(_, held)| held.since.elapsed() >= age);
            old.map(|(id, held)| (id.clone(), held.clone())).collect()
        };
        for (id, held) in old {
            let Some(account) = self.account(&held.place.account) else { continue };
            match self.client.send(account, hide(&held, &id, HIDDEN)).await {
                Ok(answer) => {
                    if let Some(known) = self.holding().get_mut(&id) {
                        known.pop_receipt = answer.header("x-ms-popreceipt").to_owned();
                        known.since = Instant::now();
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, queue = %held.place.resource, "a message could not be kept hidden; it may be ingested twice");
                }
            }
        }
    }
}

fn hide(held: &Held, id: &str, time: Duration) -> Call {
    Call::new(Service::Queue, Method::PUT, format!("{}/messages/{id}", held.place.resource))
        .query("popreceipt", &held.pop_receipt)
        .query("visibilitytimeout", time.as_secs())
}
