//! The exclusive lock of a worker's directory (invariant 23).

use std::path::{Path, PathBuf};

use crate::error::Holder;
use crate::fs::{FileSystem, Lock, LockAttempt};
use crate::ids::FileName;
use crate::{DirectoryId, Error};

/// Held as long as anything that reads or writes the directory lives.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _lock: Box<dyn Lock>,
}

impl DirectoryLock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(fs: &dyn FileSystem, directory: &Path, id: &DirectoryId) -> Result<Self, Error> {
        let path = lock_path(directory);
        let note = format!("process {} (worker {} of start {})", std::process::id(), id.worker, id.start);
        match fs.lock(&path, &note).map_err(Error::io("lock", &path))? {
            LockAttempt::Taken(lock) => Ok(DirectoryLock { _lock: lock }),
            LockAttempt::Busy { note } => {
                Err(Error::Locked { path: directory.to_owned(), holder: Holder { note } })
            }
        }
    }
}

pub(crate) fn lock_path(directory: &Path) -> PathBuf {
    directory.join(FileName::LOCK)
}
