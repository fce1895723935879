//! What survives the process: a journal of changes and a file per extent.
//!
//! ```text
//!   <data dir>/                    0700, files 0600
//!     lock                         held while an engine has the directory open
//!     journal.jsonl                one line per transaction: checksum, blank, JSON
//!         3d1c9a07 {"format":"kusto-emulator-engine","version":2}
//!         9be0c0c2 {"Everything":{...}}                      (after a compaction)
//!         51aa3f10 [{"PutTable":{...}},{"AddExtents":{...}}]
//!     operations.jsonl             past operations and failures, one JSON line each (see `log.rs`)
//!     extents/<guid>.jsonl         the rows, one JSON array a line (see `rows.rs`)
//! ```
//!
//! Invariants:
//! 1. An extent's file is complete before the journal names it, and is removed only when nothing can read it any more.
//! 2. A transaction is one line. A line that is cut short, or whose checksum fails, at the very end was never
//!    acknowledged and is cut off; anywhere else it is damage, and the directory is not opened.
//! 3. A failed write leaves the journal as it was, or closes it for good.
//!
//! Acknowledged means: handed to the operating system. It survives the death of the process, not that of the machine.

mod error;
mod extents;
mod files;
mod journal;
mod rows;

use std::fs::TryLockError;
use std::path::Path;

pub(crate) use error::StoreError;
pub(crate) use extents::{ExtentData, ExtentStore};
pub(crate) use journal::Journal;

use super::catalog::State;

/// What a start finds.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) state: State,
    pub(crate) journal: Journal,
    pub(crate) extents: ExtentStore,
    /// How often this directory was opened before.
    pub(crate) starts: u64,
}

/// Opens a data directory, creating it if need be, or an engine in memory.
///
/// # Errors
/// See [`StoreError`].
pub(crate) fn open(directory: Option<&Path>) -> Result<Opened, StoreError> {
    let Some(directory) = directory else {
        return Ok(Opened {
            state: State::default(),
            journal: Journal::in_memory(),
            extents: ExtentStore::in_memory(),
            starts: 0,
        });
    };
    files::create_directory(directory)?;
    let lock = lock(directory)?;
    let (journal, replayed) = Journal::open(directory, lock)?;
    let extents = ExtentStore::open(directory)?;
    extents.remove_orphans(&replayed.state)?;
    Ok(Opened { state: replayed.state, journal, extents, starts: replayed.starts })
}

/// Takes the directory for this process; the lock goes with the file.
fn lock(directory: &Path) -> Result<std::fs::File, StoreError> {
    let path = directory.join("lock");
    let file = files::open_private(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { directory: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(StoreError::io("lock", &path, source)),
    }
}
