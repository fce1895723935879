//! A chunk: the rows of one blob, encoded and not yet compressed.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use kusto_client::IngestionMapping;

use crate::budget::Reservation;

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

/// Buffers of chunks that were compressed, for the next chunks: a fresh 64 MiB costs 16,000 page faults.
#[derive(Clone, Debug)]
pub(crate) struct Buffers {
    give: Sender<Vec<u8>>,
    take: Receiver<Vec<u8>>,
}

impl Buffers {
    /// How many buffers are kept at most. Two circulate for each worker of a busy sink; what is above the need of the
    /// moment is not kept alive by more than this.
    const KEPT: usize = 4;

    pub(crate) fn new() -> Arc<Self> {
        let (give, take) = bounded(Self::KEPT);
        Arc::new(Buffers { give, take })
    }

    /// An empty buffer, used before if there is one.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.take.try_recv().unwrap_or_default()
    }

    /// Keeps `buffer` for a later chunk, or drops it when enough are kept.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let _ = self.give.try_send(buffer);
    }
}
