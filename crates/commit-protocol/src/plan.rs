//! Which epochs may be committed now, and what the intent says.

use std::collections::BTreeMap;

use crate::facts::StagedChunk;
use crate::ids::{Epoch, Seq};
use crate::positions::{ConflictingPositions, PositionChange, Positions};
use crate::rows::{ClaimedChunk, Frontier, Intent, IntentId, Logs};
use crate::tag::ChunkId;

/// What is staged and not committed yet.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub(crate) struct Work {
    chunks: BTreeMap<ChunkId, StagedChunk>,
    changes: Vec<PositionChange>,
    staged_below: Epoch,
}

impl Work {
    /// Takes a report. A later attempt of a chunk replaces an earlier one, never the other way round.
    pub(crate) fn staged(&mut self, chunk: StagedChunk) {
        let known = self.chunks.entry(chunk.tag.chunk).or_insert(chunk);
        if known.tag.attempt < chunk.tag.attempt {
            *known = chunk;
        }
    }

    pub(crate) fn reached(&mut self, staged_below: Epoch, changes: impl IntoIterator<Item = PositionChange>) {
        self.staged_below = self.staged_below.max(staged_below);
        self.changes.extend(changes);
    }

    /// Forgets what is committed.
    pub(crate) fn committed(&mut self, cover: Epoch) {
        self.chunks.retain(|id, _| id.epoch >= cover);
        self.changes.retain(|change| change.epoch >= cover);
    }

    pub(crate) fn chunk(&self, id: ChunkId) -> Option<&StagedChunk> {
        self.chunks.get(&id)
    }

    /// All chunks below a bound, in order.
    pub(crate) fn below(&self, bound: Epoch) -> impl Iterator<Item = &StagedChunk> {
        self.chunks.values().take_while(move |chunk| chunk.tag.chunk.epoch < bound)
    }

    /// The next bound to commit up to: see [`next_bound`].
    pub(crate) fn next_bound(&self, cover: Epoch, most: usize) -> Option<Epoch> {
        next_bound(cover, self.staged_below, self.chunks.keys().map(|id| id.epoch), most)
    }

    pub(crate) fn positions(
        &self,
        from: &Positions,
        bound: Epoch,
    ) -> Result<Positions, ConflictingPositions> {
        from.advanced(&self.changes, bound)
    }
}

/// Up to which bound to commit: everything that is staged on all workers, but not more than `most` chunks unless one
/// epoch alone has more, because an epoch is never divided. `epochs` are those of the staged chunks, ascending.
pub fn next_bound(
    cover: Epoch,
    staged_below: Epoch,
    epochs: impl IntoIterator<Item = Epoch>,
    most: usize,
) -> Option<Epoch> {
    if staged_below <= cover {
        return None;
    }
    let mut first = None;
    for (count, epoch) in epochs.into_iter().take_while(|epoch| *epoch < staged_below).enumerate() {
        let first = *first.get_or_insert(epoch);
        if count >= most && epoch > first {
            // The epoch that goes over the limit waits; if it began below the limit, all of it does.
            return Some(epoch);
        }
    }
    Some(staged_below)
}

/// Writes the intent that follows `parent` and brings the epochs up to `bound`.
pub(crate) fn intent(
    by: crate::ids::StartId,
    parent: Option<&Intent>,
    before: &Frontier,
    bound: Epoch,
    logs: Option<Logs>,
    positions: Positions,
    chunks: Vec<ClaimedChunk>,
) -> Intent {
    let mut rows_per_epoch: BTreeMap<Epoch, u64> = BTreeMap::new();
    for chunk in &chunks {
        *rows_per_epoch.entry(chunk.tag.chunk.epoch).or_default() += chunk.rows;
    }
    let parent = parent.map(|parent| parent.id);
    Intent {
        id: IntentId { by, seq: parent.map_or(Seq(0), |id| id.seq).next() },
        parent,
        from: before.cover,
        after: Frontier { cover: bound, logs, positions },
        chunks,
        rows_per_epoch: rows_per_epoch.into_iter().collect(),
        settled: parent.map(|id| id.seq),
    }
}
