//! The seam between a pipeline and what it reads: partitions with positions.
//!
//! ```text
//!   Source ── partitions() ──► names, in a fixed order
//!      └── open(name, position?) ──► PartitionReader ── poll(budget) ──► Batch | Pending | End
//!                                        │                 ▲
//!                                        ├── position() ───┘ after what was handed out
//!                                        └── acknowledge(position)  ◄── everything before it is delivered
//! ```
//!
//! Promises that every source keeps (numbered; `testing::conformance` (feature `testing`) checks them):
//!
//! 1. **Stable names.** `partitions()` gives the same names in the same order at every call and every start; names are
//!    unique.
//! 2. **Order.** A partition gives the same records in the same order at every reading, if [`Source::can_replay`].
//! 3. **Resume.** A reader opened at a position that an earlier reader returned after `n` records gives record `n + 1`
//!    next: nothing is lost, nothing repeated. A reader opened without a position begins with the first record.
//! 4. **Position.** `position()` covers exactly what `poll` handed out, neither more nor less, also before the first
//!    poll and after the end. Between polls it does not change.
//! 5. **Budget.** A batch holds at least one record, at most `budget.rows` records, and at most `budget.bytes` bytes
//!    unless its first record alone is larger.
//! 6. **No waiting.** `poll` returns within the time that reading a batch takes: [`Polled::Pending`] says that there is
//!    nothing yet and when to look again.
//! 7. **The end is final.** After [`Polled::End`] every further poll answers `End`, and a reader opened at the position
//!    of the end does so at once.
//! 8. **Acknowledging changes nothing that is read.** It may be called with any position handed out, in order, any
//!    number of times, and may let the origin forget what lies before it.
//! 9. **Foreign positions are refused** with an error: of another version, of a damaged or of a changed origin.
//! 10. **Errors do not skip.** After an error the position is where the error is: a new reader meets it again.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

mod memory;

pub use memory::{MemoryRecord, MemorySource};

/// Something that can be read in partitions; see the [module documentation](self) for the promises.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// What a reader hands out at a time.
    type Batch: Batch;

    /// What the source is, in a form that stays the same as long as kept positions make sense: kind, place, and the
    /// options that change which records there are. Kept beside the positions and compared at the next start.
    fn identity(&self) -> String;

    /// The names of the partitions.
    ///
    /// # Errors
    /// [`ErrorKind::Source`] when they cannot be listed.
    fn partitions(&self) -> Result<Vec<String>>;

    /// Opens a partition at a position that an earlier reader of it returned, or at its start.
    ///
    /// # Errors
    /// [`ErrorKind::Source`] when there is no such partition, it cannot be opened, or the position is not one of it.
    fn open(&self, partition: &str, position: Option<&Position>) -> Result<Reader<Self::Batch>>;

    /// Whether what was read and not acknowledged can be read again after a restart.
    fn can_replay(&self) -> bool;

    /// Whether batches should be handed to all workers in turn (few partitions that take long to convert), or stay on
    /// the worker that read them.
    fn spreads(&self) -> bool {
        false
    }
}

/// A reader of one partition, as [`Source::open`] returns it.
pub type Reader<B> = Box<dyn PartitionReader<Batch = B>>;

/// Reads one partition; see the [module documentation](self) for the promises.
pub trait PartitionReader: fmt::Debug + Send {
    /// What it hands out at a time.
    type Batch;

    /// Hands out the next records.
    ///
    /// # Errors
    /// When the partition cannot be read or a record cannot be told from the next. The reader is of no use afterwards.
    fn poll(&mut self, budget: Budget) -> Result<Polled<Self::Batch>>;

    /// Where to go on after everything handed out so far.
    fn position(&self) -> Position;

    /// Says that everything before `position` is delivered.
    ///
    /// # Errors
    /// When the origin had to be told and could not be.
    fn acknowledge(&mut self, position: &Position) -> Result<()>;
}

/// Records on their way from a reader to a worker that converts them, in one process or between two.
pub trait Batch: timely::ExchangeData + fmt::Debug {
    /// Bytes of memory it takes, about: what flow control counts.
    fn weight(&self) -> usize;

    /// How many records it holds, if that is known before they are parsed.
    fn rows(&self) -> Option<u64>;
}

/// How much a poll may hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// At most so many records; at least 1.
    pub rows: u64,
    /// At most so many bytes, unless the first record alone is larger; at least 1.
    pub bytes: usize,
}

impl Budget {
    /// No limit on rows, and a block of 256 KiB: large enough that the costs per block vanish, small enough to stay in
    /// a core's cache from reading to encoding.
    pub const DEFAULT: Budget = Budget { rows: u64::MAX, bytes: 256 << 10 };
}

/// What a poll found.
#[derive(Debug)]
pub enum Polled<B> {
    /// Records.
    Batch(B),
    /// Nothing yet; look again after this time.
    Pending(Duration),
    /// Nothing more, ever.
    End,
}

/// Where to go on in a partition: opaque bytes whose meaning is the source's own. The first byte is the version of
/// their form.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position(#[serde(with = "serde_bytes")] Vec<u8>);

impl Position {
    /// A position of form `version` with the given content.
    pub fn new(version: u8, content: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(1 + content.len());
        bytes.push(version);
        bytes.extend_from_slice(content);
        Position(bytes)
    }

    /// A position from bytes that [`Position::as_bytes`] gave.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Position(bytes)
    }

    /// The bytes to keep.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The content, if it has the form `version`.
    ///
    /// # Errors
    /// [`ErrorKind::Source`] that names both versions.
    pub fn content(&self, version: u8) -> Result<&[u8]> {
        match self.0.split_first() {
            Some((found, content)) if *found == version => Ok(content),
            found => Err(Error::new(
                ErrorKind::Source,
                format!(
                    "cannot go on at a kept position: it has form {}, this program reads form {version}",
                    found.map_or("none".to_string(), |(found, _)| found.to_string())
                ),
            )
            .with_advice(
                "use the version of the program that kept it, or start over with a new state directory",
            )),
        }
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Position(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

pub(crate) fn no_such_partition(source: &dyn fmt::Debug, partition: &str) -> Error {
    Error::new(ErrorKind::Source, format!("there is no partition {partition:?} in {source:?}"))
}
