//! Verification: does a listing of S show a chunk whole, exactly once? (invariant 4)

use crate::facts::{Extent, StagedChunk};
use crate::ids::ExtentId;
use crate::rules::{Rule, Rules};
use crate::tag::Tag;

/// What a listing says about one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// These extents carry the tag of the attempt and have exactly its rows.
    Whole(Vec<ExtentId>),
    /// Not all of its rows are there: they may be on their way.
    Fewer {
        /// How many are.
        rows: u64,
    },
    /// More rows are there than it has, or they are merged with others: ingestion delivered it twice.
    More {
        /// How many are.
        rows: u64,
    },
}

/// Compares the extents of one attempt with what it should have. With `single` a chunk must be one extent, so that two
/// halves of two deliveries never add up.
pub fn verify(chunk: &StagedChunk, staging: &[Extent], single: bool) -> Verified {
    verify_by(chunk, staging, single, Rules::ALL).1
}

/// The same; the tag is that of the attempt that was accepted.
pub(crate) fn verify_by(
    chunk: &StagedChunk,
    staging: &[Extent],
    single: bool,
    rules: Rules,
) -> (Tag, Verified) {
    #[cfg(any(test, feature = "testing"))]
    if !rules.on(Rule::SupersededRefused) {
        let older = |tag: &&Tag| Tag { attempt: chunk.tag.attempt, ..**tag } == chunk.tag;
        for tag in staging.iter().flat_map(|extent| &extent.tags).filter(older) {
            let found @ Verified::Whole(_) =
                judge(&StagedChunk { tag: *tag, ..*chunk }, staging, single, rules)
            else {
                continue;
            };
            return (*tag, found);
        }
    }
    (chunk.tag, judge(chunk, staging, single, rules))
}

fn judge(chunk: &StagedChunk, staging: &[Extent], single: bool, rules: Rules) -> Verified {
    let found: Vec<&Extent> = staging.iter().filter(|extent| extent.tags.contains(&chunk.tag)).collect();
    let rows = found.iter().map(|extent| extent.rows).sum();
    let merged = found.iter().any(|extent| extent.tags.len() > 1);
    let ids = || found.iter().map(|extent| extent.id).collect();
    if !rules.on(Rule::Listing) && !found.is_empty() {
        return Verified::Whole(ids());
    }
    match rows {
        _ if merged || single && found.len() > 1 => Verified::More { rows },
        rows if rows < chunk.rows || found.is_empty() => Verified::Fewer { rows },
        rows if rows > chunk.rows => Verified::More { rows },
        _ => Verified::Whole(ids()),
    }
}
