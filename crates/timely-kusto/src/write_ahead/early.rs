//! Bodies of epochs that are still open are uploaded as they are written, so that a seal has little left to bring away and
//! what was just compressed need not be read again. Their messages are sent after the seal, by STAGE.
//!
//! ```text
//! appended ─► room for an upload? ─ no ─► nothing: STAGE reads the file after the seal
//!                  │ yes                        ▲
//!                  ▼                            │ failed
//!            one attempt ───────────────────────┤
//!                  └─ uploaded ─► waits here for STAGE, as an address
//! ```
//! It only ever takes room that nobody waits for, and tries once: an outage costs a request a chunk and holds up nothing. A
//! crash before the seal leaves blobs that no message names; the service removes them from its temporary storage in time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use commit_protocol::ChunkId;
use tokio::sync::oneshot;

use super::failpoint;
use super::process::{Process, lock};
use crate::delivery::{Packed, Uploaded, WAITING_BYTES};

/// Chunks that may have an early upload at a time, however much memory there is.
const MOST: usize = 1024;

/// Uploads that were begun before their epoch was sealed.
#[derive(Debug, Default)]
pub(super) struct Early(Mutex<BTreeMap<ChunkId, oneshot::Receiver<Option<Uploaded>>>>);

impl Early {
    /// Whether one more may wait. What waits gives its memory back only after its epoch's seal, and sources that wait for
    /// that would never finish the epoch: so it takes a quarter of the memory at most.
    fn has_room(&self, memory: usize) -> bool {
        lock(&self.0).len() < MOST.min(memory / 4 / WAITING_BYTES)
    }

    /// The blob of a chunk, once its upload is over; `None` where there is none, or an old one. The second who asks gets none.
    pub(super) async fn take(&self, chunk: ChunkId) -> Option<Uploaded> {
        let uploading = lock(&self.0).remove(&chunk)?;
        uploading.await.ok().flatten().filter(Uploaded::is_fresh)
    }
}

impl Process {
    /// Uploads a body that was written into an open file, if there is room.
    pub(super) fn upload_early(self: &Arc<Self>, chunk: ChunkId, format: &str, body: Packed) {
        if !self.early.has_room(self.courier.options.memory()) {
            return;
        }
        let (tell, uploading) = oneshot::channel();
        lock(&self.early.0).insert(chunk, uploading);
        let (process, format) = (Arc::clone(self), format.to_owned());
        self.spawn(async move {
            let _ = tell.send(process.try_upload(&format, body).await); // nobody asks after a failure
        });
    }

    async fn try_upload(&self, format: &str, body: Packed) -> Option<Uploaded> {
        if self.is_over() {
            return None;
        }
        let _turn = self.uploads.try_acquire().ok()?;
        let _room = self.bodies.try_acquire_many(self.body_units(body.body.len() as u64)).ok()?;
        match self.courier.upload_once(format, body).await {
            Ok(uploaded) => {
                failpoint::reach("after early upload");
                Some(uploaded)
            }
            Err(error) => {
                self.courier.counters.retried();
                self.courier.troubles.note("upload", &error);
                tracing::debug!("a body of an open epoch was not uploaded, it is after the seal: {error}");
                None
            }
        }
    }
}
