//! Reading what clients send: in pieces, with a limit and with patience that ends.
//!
//! A body that an error or a fault left unread is drained before the answer goes out, so that a client in the middle of
//! an upload sees the answer and not a reset connection.

use std::io::Read;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

/// The most that is drained; a client that sends more sees its connection closed.
const MAX_DRAINED: u64 = 256 * 1024 * 1024;

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// More bytes than allowed.
    TooLarge,
    /// The client stopped sending.
    Silent,
    /// The connection broke.
    Broken,
    /// It says that it is gzip and is not.
    NotGzip,
}

/// A request's body, read by whoever handles the request and drained behind it.
#[derive(Debug)]
pub(super) struct RequestBody {
    stream: BodyDataStream,
    /// How long a client may be silent in the middle of a body.
    patience: Duration,
    done: bool,
}

impl RequestBody {
    pub(super) fn new(body: Body, patience: Duration) -> Self {
        Self { stream: body.into_data_stream(), patience, done: false }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.done {
            return Ok(None);
        }
        let piece = tokio::time::timeout(self.patience, self.stream.next()).await;
        self.done = !matches!(piece, Ok(Some(Ok(_))));
        match piece {
            Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
            Ok(None) => Ok(None),
            Ok(Some(Err(_))) => Err(BodyError::Broken),
            Err(_) => Err(BodyError::Silent),
        }
    }

    /// Everything, up to `limit` bytes.
    pub(super) async fn read_all(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await? else {
            return if first.len() > limit { Err(BodyError::TooLarge) } else { Ok(first) };
        };
        let mut whole = BytesMut::from(first);
        let mut piece = Some(second);
        while let Some(bytes) = piece {
            if whole.len() + bytes.len() > limit {
                return Err(BodyError::TooLarge);
            }
            whole.extend_from_slice(&bytes);
            piece = self.next().await?;
        }
        Ok(whole.freeze())
    }

    /// Reads and drops what is left.
    pub(super) async fn drain(&mut self) {
        let mut left = MAX_DRAINED;
        while let Ok(Some(bytes)) = self.next().await {
            left = left.saturating_sub(bytes.len() as u64);
            if left == 0 {
                return;
            }
        }
    }
}

/// Undoes gzip, which is told by its magic bytes: some clients declare it and do not do it.
pub(super) fn plain(bytes: Bytes, limit: usize) -> Result<Bytes, BodyError> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let decoder = flate2::read::MultiGzDecoder::new(&bytes[..]);
    decoder.take(limit as u64 + 1).read_to_end(&mut plain).map_err(|_| BodyError::NotGzip)?;
    if plain.len() > limit { Err(BodyError::TooLarge) } else { Ok(plain.into()) }
}
