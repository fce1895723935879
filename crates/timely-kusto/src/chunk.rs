//! A chunk: the rows of one blob, encoded and not yet compressed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kusto_client::IngestionMapping;

use crate::budget::{Budget, Reservation};

/// Rows that will become one blob. A record is in one chunk as a whole.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The rows as the service will read them.
    pub(crate) raw: Vec<u8>,
    /// How many there are.
    pub(crate) rows: u64,
    /// How fields find their columns.
    pub(crate) mapping: Option<IngestionMapping>,
    /// The memory that `raw` takes.
    pub(crate) memory: Reservation,
}

/// Buffers for whole chunks, used again and again: a fresh 64 MiB costs 16,000 page faults.
///
/// A chunk begins in a small buffer and moves into a whole one when it outgrows that. So a quiet sink takes no memory
/// for rows that do not come; the few rows that arrive while a sink is full take no third buffer beside the one that is
/// compressed and the one that waits; and no buffer grows by doubling, which takes three times the chunk for a moment.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    idle: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// Bytes from which on a chunk has a whole buffer.
    pub(crate) const SMALL: usize = 1 << 20;

    /// A whole buffer with the rows of a small one, which is dropped. `chunk` is the size at which chunks are closed.
    pub(crate) fn move_to_whole(&self, small: &mut Vec<u8>, chunk: usize) {
        let idle = self.lock().pop();
        let mut whole = idle.unwrap_or_default();
        // The row or batch that closes a chunk goes beyond its size. Memory that is not written to is not taken.
        whole.reserve_exact(chunk.saturating_add(chunk / 16 + Self::SMALL).max(small.len()));
        whole.extend_from_slice(small);
        *small = whole;
    }

    /// Keeps `buffer` for a later chunk, unless it is small or would take memory that the rows of `budget` are to have.
    pub(crate) fn give(&self, mut buffer: Vec<u8>, budget: &Budget) {
        let mut idle = self.lock();
        let bytes = idle.iter().map(Vec::capacity).sum::<usize>() + buffer.capacity();
        if buffer.capacity() > Self::SMALL && budget.has_room_for_idle(bytes) {
            buffer.clear();
            idle.push(buffer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
