//! Compression: one member per blob, on a thread made for blocking work.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::Courier;
use crate::budget::Reservation;
use crate::chunk::Chunk;
use crate::{Result, SinkError};

/// A compressed chunk and the memory that it takes.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) body: Bytes,
    pub(crate) rows: u64,
    pub(crate) raw_bytes: u64,
    /// Held until the body is dropped.
    pub(crate) memory: Reservation,
}

impl Courier {
    /// Compresses a chunk and gives its buffer back.
    pub(crate) async fn compress(&self, chunk: Chunk) -> Result<Packed> {
        Ok(self.compress_while(chunk, |_| Ok(())).await?.0)
    }

    /// The same, with something else done with the raw rows on the same thread.
    pub(crate) async fn compress_while<S: Send + 'static>(
        &self,
        chunk: Chunk,
        look: impl FnOnce(&[u8]) -> Result<S> + Send + 'static,
    ) -> Result<(Packed, S)> {
        let permit = Arc::clone(&self.compressors).acquire_owned().await.map_err(|_| SinkError::Stopped)?;
        if let Some(stopped) = self.stopped() {
            return Err(stopped);
        }
        let codec = Arc::clone(&self.codec);
        let counters = Arc::clone(&self.counters);
        let buffers = Arc::clone(&self.buffers);
        let pack = move || {
            let _permit = permit;
            let started = Instant::now();
            let Chunk { raw, rows, mut memory, .. } = chunk;
            let seen = look(&raw)?;
            let mut body = Vec::new();
            codec.compress(&raw, &mut body)?;
            let raw_bytes = raw.len() as u64;
            memory.resize(body.len());
            buffers.give(raw, memory.budget());
            counters.compressed(raw_bytes, body.len() as u64, started.elapsed());
            Ok((Packed { body: Bytes::from(body), rows, raw_bytes, memory }, seen))
        };
        let packed = tokio::task::spawn_blocking(pack).await;
        packed.map_err(|broken| SinkError::Broken(format!("compression: {broken}")))?
    }
}
