//! The upload of a compressed chunk into the cluster's temporary storage.

use std::time::Instant;

use kusto_client::{Blob, UploadedBlob};

use super::compress::Packed;
use super::retry::{Again, retry};
use super::{Courier, WAITING_BYTES};
use crate::budget::Reservation;
use crate::{Result, SinkError};

impl Courier {
    /// Uploads `packed` as `name` and frees its memory but for what a waiting chunk takes.
    pub(super) async fn upload(&self, name: String, packed: Packed) -> Result<(UploadedBlob, Reservation)> {
        let _permit = self.uploads.acquire().await.map_err(|_| SinkError::Stopped)?;
        let started = Instant::now();
        let Packed { body, rows, raw_bytes, mut memory } = packed;
        let blob = Blob { name, body, rows, raw_bytes };
        let attempt = || self.service.upload(blob.clone());
        // Safe whatever became of the attempt before: the name belongs to this content.
        let uploaded = retry(self, "upload", Again::harmless, attempt).await;
        drop(blob);
        memory.resize(WAITING_BYTES);
        let uploaded = uploaded.map_err(|given_up| self.undelivered(rows, given_up))?;
        self.counters.uploaded(started.elapsed());
        Ok((uploaded, memory))
    }
}
