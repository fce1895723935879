//! Roll-forward: what became of an intent, chunk by chunk, from a look into S and then into T.
//!
//! The order of the looks matters (invariant 13). A move in flight takes extents from S to T. Who looks into T first and
//! then into S can see them in neither.

use std::collections::BTreeSet;

use crate::error::MissingChunk;
use crate::facts::Extent;
use crate::ids::ExtentId;
use crate::rows::{ClaimedChunk, Decision, Frontier, Intent};
use crate::tag::Tag;

/// What to do about an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RollForward {
    /// Move these of its extents: they are still staged.
    Move(Vec<ExtentId>),
    /// All of it is in the target.
    Done,
    /// A person found that none of it is in the target: go on from here.
    Restage(Frontier),
    /// Nothing shows what became of these chunks.
    Ambiguous(Vec<MissingChunk>),
}

/// The extents of an intent that are still staged.
pub fn still_staged(intent: &Intent, staging: &[Extent]) -> BTreeSet<ExtentId> {
    let claimed: BTreeSet<ExtentId> = intent.extents().collect();
    staging.iter().map(|extent| extent.id).filter(|id| claimed.contains(id)).collect()
}

/// The tags to look for in the target: those of chunks that are not wholly staged.
pub fn to_look_for(intent: &Intent, staged: &BTreeSet<ExtentId>) -> Vec<Tag> {
    intent.chunks.iter().filter(|chunk| !whole(chunk, staged)).map(|chunk| chunk.tag).collect()
}

fn whole(chunk: &ClaimedChunk, staged: &BTreeSet<ExtentId>) -> bool {
    chunk.extents.iter().all(|id| staged.contains(id))
}

/// Decides about an intent from what was still staged, and, looked for after that, what the target carries.
pub fn roll_forward(
    intent: &Intent,
    staged: &BTreeSet<ExtentId>,
    target: &BTreeSet<Tag>,
    person: Option<&Decision>,
) -> RollForward {
    let without = |chunk: &&ClaimedChunk| !whole(chunk, staged) && !target.contains(&chunk.tag);
    let missing: Vec<&ClaimedChunk> = intent.chunks.iter().filter(without).collect();
    let settled = missing.is_empty() || person == Some(&Decision::Committed);
    match (settled, person) {
        (true, _) if staged.is_empty() => RollForward::Done,
        (true, _) => RollForward::Move(intent.extents().filter(|id| staged.contains(id)).collect()),
        (false, Some(Decision::Restage(before)))
            if missing.len() == intent.chunks.len() && staged.is_empty() =>
        {
            RollForward::Restage(before.clone())
        }
        (false, _) => {
            RollForward::Ambiguous(missing.into_iter().map(|chunk| describe(chunk, staged)).collect())
        }
    }
}

fn describe(chunk: &ClaimedChunk, staged: &BTreeSet<ExtentId>) -> MissingChunk {
    let gone = chunk.extents.iter().copied().filter(|id| !staged.contains(id)).collect();
    MissingChunk { tag: chunk.tag, rows: chunk.rows, gone }
}
