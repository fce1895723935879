//! Sealed chunks of this process that are not committed, by their names: for staging, and for staging again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use commit_protocol::{ChunkId, Epoch, Generation, RowSum, StartId, Worker};
use epoch_log::SealedFile;

/// Where the body of a chunk is. Holds the file, and with it the lock of its directory.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: SealedFile,
    pub(super) index: usize,
    pub(super) rows: u64,
    pub(super) sum: Option<RowSum>,
}

/// What is on the shelf.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<BTreeMap<ChunkId, Place>>);

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ChunkId, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the chunks of a sealed file there, and returns their names.
    pub(super) fn put(&self, log: Generation, file: &SealedFile) -> Vec<ChunkId> {
        let worker = Worker(file.footer().worker);
        let mut shelf = self.lock();
        let put = |(index, chunk): (usize, &epoch_log::Chunk)| {
            let id = ChunkId { epoch: Epoch(chunk.epoch.0), log, worker, index: chunk.number };
            let sum = chunk.sum.map(|it| RowSum { over: it.over, sum: it.sum });
            shelf.insert(id, Place { file: file.clone(), index, rows: chunk.rows, sum });
            id
        };
        file.chunks().iter().enumerate().map(put).collect()
    }

    /// Whether no chunk waits for its commit.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// How many chunks wait for their commit.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Where a chunk is, if it is here.
    pub(super) fn find(&self, id: ChunkId) -> Option<Place> {
        self.lock().get(&id).cloned()
    }

    /// Takes the chunks of one worker's log below a bound off the shelf; how many rows they have.
    pub(super) fn take_below(&self, log: Generation, worker: Worker, bound: Epoch) -> u64 {
        let mut rows = 0;
        self.lock().retain(|id, place| {
            let below = id.log == log && id.worker == worker && id.epoch < bound;
            rows += if below { place.rows } else { 0 };
            !below
        });
        rows
    }

    /// Takes everything off that another start logged.
    pub(super) fn keep_only(&self, start: StartId) {
        self.lock().retain(|id, _| id.log == start.generation);
    }
}
