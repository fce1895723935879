//! Storage that is not this emulator's: accounts of an Azurite or of Azure itself, by their connection strings.
//!
//! ```text
//!   data management ─► messages.rs  Get Messages, hidden for 5 minutes ─► held ─► renewed while it works ─► Delete Message
//!                      rows.rs      Insert Or Merge Entity
//!   engine ──────────► blobs.rs     Get Blob by the address in the message, read as it arrives
//!   all of them ─────► client.rs    one request: shared key, retries
//! ```
//!
//! Invariants:
//! 1. A message stays hidden from others as long as data management has it, and appears again minutes after a kill: at
//!    least once, as inside.
//! 2. The cluster reads and writes only below the endpoints that it was given.
//! 3. A call returns when the answer is there, or after bounded retries; it may be made from any thread.
//!
//! It lives by the real time, whatever the emulator's clock: signatures are valid, and messages appear, by the clock of
//! that storage. Fault rules and the request log do not reach it.

mod blobs;
mod client;
mod messages;
mod rows;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;
use jiff::Timestamp;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::sync::CancellationToken;

use self::client::{Call, Client};
use self::messages::Held;
use super::access::Target;
use super::connection::Connection;
use super::error::{StorageError, StorageResult};
use super::{Place, Service, sas};

/// How long after an empty look a queue is looked at again: a quarter of a second costs no CPU worth the name and keeps a
/// demonstration quick.
const PAUSE: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub(crate) struct Outside {
    accounts: Vec<Connection>,
    client: Client,
    runtime: Handle,
    /// Messages that data management has, by id.
    held: Mutex<HashMap<String, Held>>,
    /// Who changes messages there: each change makes a new receipt, so two at once would lose one.
    turn: tokio::sync::Mutex<()>,
}

impl Outside {
    /// # Errors
    /// If there can be no HTTP client.
    pub(crate) fn new(accounts: Vec<Connection>, runtime: Handle) -> Result<Self, String> {
        Ok(Self {
            accounts,
            client: Client::new()?,
            runtime,
            held: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// The names of the accounts.
    pub(crate) fn names(&self) -> Vec<String> {
        self.accounts.iter().map(|account| account.account.clone()).collect()
    }

    /// Create Container, Create Queue, Create Table; one that exists is as good.
    ///
    /// # Errors
    /// What the storage says.
    pub(super) fn create(&self, place: &Place, service: Service) -> StorageResult<()> {
        let call = match service {
            Service::Blob => Call::new(service, Method::PUT, &place.resource).query("restype", "container"),
            Service::Queue => Call::new(service, Method::PUT, &place.resource),
            Service::Table => {
                let body = serde_json::json!({"TableName": place.resource}).to_string();
                Call::new(service, Method::POST, "Tables").json(body)
            }
        };
        match self.call(&place.account, call) {
            Err(error) if error.status == 409 => Ok(()),
            answered => answered.map(drop),
        }
    }

    /// The address of a container, queue or table with a SAS that the account's key makes.
    pub(super) fn signed_url(
        &self,
        service: Service,
        place: &Place,
        permissions: &str,
        validity: Duration,
    ) -> Option<String> {
        let account = self.account(&place.account)?;
        let now = Timestamp::now();
        let start = now.checked_sub(Duration::from_secs(300)).unwrap_or(now);
        let end = now.checked_add(validity).unwrap_or(Timestamp::MAX);
        let target = Target { service, account: &account.account, resource: &place.resource, item: None };
        let sas = sas::sign(target, &account.key, permissions, start, end);
        Some(format!("{}/{}?{sas}", account.endpoint(service), place.resource))
    }

    /// Waits a moment: other storage does not tell when there is something new.
    pub(super) async fn pause(&self) {
        tokio::time::sleep(PAUSE).await;
    }

    /// Keeps messages hidden while data management has them, until `stop`.
    pub(crate) async fn keep_hold(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(messages::RENEWED_AFTER / 4) => self.renew(messages::RENEWED_AFTER).await,
            }
        }
    }

    fn account(&self, name: &str) -> Option<&Connection> {
        self.accounts.iter().find(|connection| connection.account == name)
    }

    fn known(&self, name: &str) -> StorageResult<&Connection> {
        self.account(name).ok_or_else(StorageError::entity_not_found)
    }

    /// Makes one request, signed with the account's key, and waits for its answer.
    fn call(&self, account: &str, call: Call) -> StorageResult<client::Answer> {
        let account = self.known(account)?;
        self.wait(self.client.send(account, call))
    }

    fn wait<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        wait(&self.runtime, future)
    }

    fn holding(&self) -> std::sync::MutexGuard<'_, HashMap<String, Held>> {
        // A panic while the lock was held cannot leave half a change: a change is one insertion.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a future from whatever thread this is.
fn wait<T: Send>(runtime: &Handle, future: impl Future<Output = T> + Send) -> T {
    match Handle::try_current().map(|current| current.runtime_flavor()) {
        Err(_) => runtime.block_on(future),
        Ok(RuntimeFlavor::CurrentThread) => std::thread::scope(|scope| {
            let waiting = scope.spawn(|| runtime.block_on(future));
            waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        }),
        Ok(_) => tokio::task::block_in_place(|| runtime.block_on(future)),
    }
}

#[cfg(test)]
mod tests;
