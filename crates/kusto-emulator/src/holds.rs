//! Requests that are stopped on their way and released later: the answer to "what if it arrives after all?".
//!
//! ```text
//!   request ──► names resolved ──► [Resolved] ──► work: rows read, query run ──► [Commit] ──► visible ──► answer
//!                                       │                                            │
//!                                       └── held here until somebody releases it ────┘   or lets it die: no effect
//! ```
//!
//! 1. A held request keeps what its names meant when it came, and nothing else: locks, snapshots of rows and rights are
//!    taken when it goes on (rights: unless `Assumptions::rights` says otherwise).
//! 2. The client may hang up; the request takes effect all the same when it is released.
//! 3. At most [`MAX_HELD`] requests are held; one more passes by. When the emulator stops, the held ones die.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::requests::Request;

/// Requests that are held at a time: each has a thread of its own, of which the runtime has 512.
pub const MAX_HELD: usize = 256;

/// Where on its way a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum HoldPoint {
    /// Its names are resolved; nothing was read, nothing was done.
    Resolved,
    /// Everything is read and worked out; only the effect is missing.
    Commit,
    /// Of an ingestion: one half of the rows is visible, the other is not.
    Halfway,
}

/// A request that is being held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HeldRequest {
    /// What it is released by.
    pub id: u64,
    /// The command's text, or `Ingest`.
    pub operation: String,
    /// The database; `database/table` of an ingestion.
    pub scope: String,
    /// Who asked.
    pub principal: String,
    /// Where it stands.
    pub point: HoldPoint,
}

/// A request died on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node that worked on the request went away before the request took effect")]
pub(crate) struct Died;

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// Each with what was decided about it: to go on, or to die.
    held: BTreeMap<u64, (HeldRequest, Option<Result<(), Died>>)>,
    /// Requests that will be held, or were, and are not done.
    running: usize,
    closed: bool,
}

/// All requests that are held.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    inner: Mutex<Inner>,
    decided: Condvar,
    /// How many are held, and how many are on their way.
    news: watch::Sender<(usize, usize)>,
}

/// The order to hold one request.
#[derive(Debug)]
pub(crate) struct Hold {
    holds: Arc<Holds>,
    point: HoldPoint,
    request: HeldRequest,
    reached: AtomicBool,
}

impl Holds {
    /// The order for `request`; none if too many are held.
    pub(crate) fn order(self: &Arc<Self>, point: HoldPoint, request: &Request) -> Option<Arc<Hold>> {
        let mut inner = self.lock();
        if inner.held.len() + inner.running >= MAX_HELD {
            tracing::warn!("too many requests are held; this one passes");
            return None;
        }
        inner.running += 1;
        inner.next += 1;
        let request = HeldRequest {
            id: inner.next,
            operation: request.operation.clone(),
            scope: request.scope.clone(),
            principal: request.principal.clone(),
            point,
        };
        Some(Arc::new(Hold { holds: Arc::clone(self), point, request, reached: AtomicBool::new(false) }))
    }

    /// Those that are held now, in the order in which they came.
    pub(crate) fn held(&self) -> Vec<HeldRequest> {
        let undecided = |(request, fate): &(HeldRequest, Option<_>)| fate.is_none().then(|| request.clone());
        self.lock().held.values().filter_map(undecided).collect()
    }

    /// Lets one go on (or die); false if it is not held.
    pub(crate) fn decide(&self, id: u64, fate: Result<(), Died>) -> bool {
        let mut inner = self.lock();
        let Some((_, decided @ None)) = inner.held.get_mut(&id) else { return false };
        *decided = Some(fate);
        inner.running += 1;
        self.tell(&inner);
        self.decided.notify_all();
        true
    }

    /// Nothing is held any more, now and later; what is held dies.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        for request in self.held() {
            self.decide(request.id, Err(Died));
        }
    }

    /// Waits until at least `count` requests are held.
    pub(crate) async fn until_held(&self, count: usize) {
        let _ = self.news.subscribe().wait_for(|(held, _)| *held >= count).await;
    }

    /// Waits until every request that is concerned is either held or done.
    pub(crate) async fn until_still(&self) {
        let _ = self.news.subscribe().wait_for(|(_, running)| *running == 0).await;
    }

    fn tell(&self, inner: &Inner) {
        let held = inner.held.values().filter(|(_, fate)| fate.is_none()).count();
        self.news.send_replace((held, inner.running));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Whether the request is to be held there.
    pub(crate) fn is_at(&self, point: HoldPoint) -> bool {
        self.point == point
    }

    /// Waits until the request is held there, or was.
    pub(crate) async fn until_reached(&self) {
        let reached = |_: &(usize, usize)| self.reached.load(Ordering::SeqCst);
        let _ = self.holds.news.subscribe().wait_for(reached).await;
    }

    /// Waits here, once, if this is the point; blocks the thread.
    ///
    /// # Errors
    /// If the request is not to go on.
    pub(crate) fn reach(&self, point: HoldPoint) -> Result<(), Died> {
        if point != self.point || self.reached.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let (id, mut inner) = (self.request.id, self.holds.lock());
        if inner.closed {
            return Err(Died);
        }
        inner.running -= 1;
        inner.held.insert(id, (self.request.clone(), None));
        self.holds.tell(&inner);
        loop {
            if let Some((_, Some(fate))) = inner.held.get(&id) {
                let fate = *fate;
                inner.held.remove(&id);
                return fate;
            }
            inner = self.holds.decided.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut inner = self.holds.lock();
        inner.running -= 1;
        self.holds.tell(&inner);
    }
}
