//! How many chunks epochs have in this process, and how large the next ones get.
//!
//! A commit takes an epoch as a whole and names all of its chunks in one command, so their number is limited
//! ([`WriteAheadOptions::CHUNKS_PER_EPOCH`](super::WriteAheadOptions::CHUNKS_PER_EPOCH)). Sources cannot be paused at that limit:
//! the end of the epoch is what has to come. So chunks get larger instead:
//!
//! ```text
//! chunks used    0 ........ half    then, for each sixteenth of the limit
//! size           × 1                × 2, × 4, × 8 ... × 256, as far as memory goes
//! ```
//! The limit is divided among processes by their workers. Within a process it is for whichever worker has rows: a single
//! file is read by one worker, however many there are.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::WriteAheadError;
use super::process::{Process, lock};

/// What the service takes in one blob, and the most that `batch_bytes` may be.
const MOST_BYTES: usize = 1 << 30;

/// Chunks of each epoch that is not committed.
#[derive(Debug, Default)]
pub(super) struct EpochChunks(Mutex<BTreeMap<u64, u64>>);

impl EpochChunks {
    fn of(&self, epoch: u64) -> u64 {
        lock(&self.0).get(&epoch).copied().unwrap_or_default()
    }

    /// One more; how many there are then.
    fn add(&self, epoch: u64) -> u64 {
        let mut chunks = lock(&self.0);
        let of_epoch = chunks.entry(epoch).or_default();
        *of_epoch += 1;
        *of_epoch
    }

    /// Epochs below are committed.
    pub(super) fn forget_below(&self, epoch: u64) {
        let mut chunks = lock(&self.0);
        if chunks.first_key_value().is_some_and(|(first, _)| *first < epoch) {
            *chunks = chunks.split_off(&epoch);
        }
    }
}

/// When a chunk is closed: at so many bytes, or so many rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) bytes: usize,
    pub(super) rows: Option<u64>,
}

impl Size {
    /// The size of the next chunk of an epoch that has so many of at most `most`. Chunks get no larger than `longest`, unless
    /// they are so as usual.
    fn after(self, chunks: u64, most: u64, longest: usize) -> Self {
        let sixteenths = chunks.saturating_mul(16) / most.max(1);
        let times = 1 << sixteenths.saturating_sub(7).min(8);
        let longest = longest.min(MOST_BYTES);
        Size {
            bytes: self.bytes.saturating_mul(times).min(longest.max(self.bytes)),
            rows: self.rows.map(|rows| rows.saturating_mul(times as u64)),
        }
    }
}

impl Process {
    /// When the open chunk of an epoch is to be closed.
    pub(super) fn chunk_size(&self, epoch: u64, peers: usize) -> Size {
        let (options, workers) = (&self.courier.options, self.operators());
        let usual = Size { bytes: options.chunk_bytes(workers), rows: options.batch_rows() };
        // Beyond its share a chunk takes memory that nobody uses, and leaves the other workers theirs.
        let sharers = if self.budget.is_half_free() { 1 } else { workers };
        usual.after(self.epoch_chunks.of(epoch), self.most_chunks(peers), options.chunk_share(sharers))
    }

    /// Counts a chunk.
    ///
    /// # Errors
    /// When the epoch has more than this process may have.
    pub(super) fn count_chunk(&self, epoch: u64, peers: usize) -> Result<(), WriteAheadError> {
        let most = self.most_chunks(peers);
        match self.epoch_chunks.add(epoch) > most {
            true => Err(WriteAheadError::EpochTooLarge { epoch, most }),
            false => Ok(()),
        }
    }

    fn most_chunks(&self, peers: usize) -> u64 {
        self.options.chunks_of_process(self.workers(), peers)
    }
}

#[cfg(test)]
mod tests;
