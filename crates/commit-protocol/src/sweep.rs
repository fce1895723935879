//! What may be dropped from the staging table: first everything is classified, then some of it is dropped (invariant 21).

use std::collections::BTreeSet;

use crate::facts::Extent;
use crate::ids::{Attempt, Epoch, ExtentId, Generation, Lineage};
use crate::rules::{Rule, Rules};
use crate::tag::{ChunkId, Tag};

/// Why an extent is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// Its generation is over, and no valid intent claims it.
    GenerationOver,
    /// A later attempt of its chunk was begun.
    Superseded,
    /// Its chunk is committed through other extents.
    CommittedThroughOthers,
}

/// Why an extent stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kept {
    /// The head, or the intent in the making, claims it.
    Claimed,
    /// Its chunk waits for its commit.
    Awaited,
    /// It has no tag of this lineage, or several: it is not ours to judge.
    Foreign,
    /// A newer start staged it: whoever looks is fenced.
    Newer,
}

/// What becomes of an extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It may be dropped.
    Drop(Dropped),
    /// It stays.
    Keep(Kept),
}

/// What the coordinator knows when it sweeps.
#[derive(Clone, Debug)]
pub struct SweepFacts<'a> {
    /// Whose table.
    pub lineage: Lineage,
    /// The own generation; its start row is known to be there.
    pub own: Generation,
    /// The ids of the head's intent and of the one in the making.
    pub claimed: &'a BTreeSet<ExtentId>,
    /// Epochs below are committed.
    pub cover: Epoch,
}

/// Decides about each extent. `latest` is the latest attempt of a chunk that the own start began.
pub fn classify(
    facts: &SweepFacts<'_>,
    staging: &[Extent],
    latest: impl Fn(ChunkId) -> Option<Attempt>,
) -> Vec<(ExtentId, Fate)> {
    classify_by(facts, staging, latest, Rules::ALL)
}

pub(crate) fn classify_by(
    facts: &SweepFacts<'_>,
    staging: &[Extent],
    latest: impl Fn(ChunkId) -> Option<Attempt>,
    rules: Rules,
) -> Vec<(ExtentId, Fate)> {
    staging.iter().map(|extent| (extent.id, fate(facts, extent, &latest, rules))).collect()
}

fn fate(
    facts: &SweepFacts<'_>,
    extent: &Extent,
    latest: &impl Fn(ChunkId) -> Option<Attempt>,
    rules: Rules,
) -> Fate {
    let [tag] = extent.tags.as_slice() else { return Fate::Keep(Kept::Foreign) };
    if tag.lineage != facts.lineage {
        return Fate::Keep(Kept::Foreign);
    }
    if facts.claimed.contains(&extent.id) {
        return Fate::Keep(Kept::Claimed);
    }
    match tag.generation.cmp(&facts.own) {
        _ if !rules.on(Rule::GenerationOver) => Fate::Drop(Dropped::GenerationOver),
        std::cmp::Ordering::Less => Fate::Drop(Dropped::GenerationOver),
        std::cmp::Ordering::Greater => Fate::Keep(Kept::Newer),
        std::cmp::Ordering::Equal => own_fate(facts, tag, latest(tag.chunk)),
    }
}

fn own_fate(facts: &SweepFacts<'_>, tag: &Tag, latest: Option<Attempt>) -> Fate {
    if tag.chunk.epoch < facts.cover {
        Fate::Drop(Dropped::CommittedThroughOthers)
    } else if latest.is_some_and(|latest| tag.attempt < latest) {
        Fate::Drop(Dropped::Superseded)
    } else {
        Fate::Keep(Kept::Awaited)
    }
}
