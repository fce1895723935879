//! The tag that an extent carries from ingestion through the move into the target: the evidence of a commit.
//!
//! ```text
//! kt:<lineage>/<generation of the start that stages>/g<generation of the log>w<worker>/<epoch>.<chunk>/<attempt>
//! ```

use std::fmt;
use std::str::FromStr;

use crate::ids::{Attempt, Epoch, Generation, Lineage, ParseIdError, Worker, as_text, decimal};
use serde::{Deserialize, Serialize};

/// One chunk: the bytes of one blob, of one worker and one epoch, named by the log that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId {
    /// The epoch of its rows; first, so that chunks sort by epoch.
    pub epoch: Epoch,
    /// The generation whose log holds it.
    pub log: Generation,
    /// The worker whose log holds it.
    pub worker: Worker,
    /// Its number within worker and epoch.
    pub index: u32,
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}w{}/{}.{}", self.log, self.worker, self.epoch, self.index)
    }
}

/// Names one attempt of one start to bring a chunk into the staging table.
///
/// ```
/// # use commit_protocol::{Tag, Epoch};
/// let tag: Tag = "kt:00c0ffee00c0ffee/7/g6w2/1500.0/1".parse()?;
/// assert_eq!(tag.chunk.epoch, Epoch(1500));
/// assert_eq!(tag.to_string(), "kt:00c0ffee00c0ffee/7/g6w2/1500.0/1");
/// # Ok::<(), commit_protocol::ParseIdError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Whose chunk.
    pub lineage: Lineage,
    /// The generation of the start that stages it.
    pub generation: Generation,
    /// Which chunk.
    pub chunk: ChunkId,
    /// Which attempt of that start.
    pub attempt: Attempt,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kt:{}/{}/{}/{}", self.lineage, self.generation, self.chunk, self.attempt)
    }
}

impl FromStr for Tag {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Tag, ParseIdError> {
        read(text)
            .ok_or_else(|| ParseIdError::new(text, "a staging tag (kt:lineage/g/log/epoch.chunk/attempt)"))
    }
}
as_text!(Tag);

fn read(text: &str) -> Option<Tag> {
    let mut parts = text.strip_prefix("kt:")?.split('/');
    let lineage = parts.next()?.parse().ok()?;
    let generation = Generation(decimal(parts.next()?, "").ok()?);
    let (log, worker) = parts.next()?.strip_prefix('g')?.split_once('w')?;
    let (epoch, index) = parts.next()?.split_once('.')?;
    let attempt = Attempt(decimal(parts.next()?, "").ok()?);
    if parts.next().is_some() {
        return None;
    }
    let chunk = ChunkId {
        epoch: Epoch(decimal(epoch, "").ok()?),
        log: Generation(decimal(log, "").ok()?),
        worker: Worker(decimal(worker, "").ok()?),
        index: decimal(index, "").ok()?,
    };
    Some(Tag { lineage, generation, chunk, attempt })
}
