//! Why a data directory cannot be used.

use std::path::{Path, PathBuf};

/// A data directory that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Another process has it.
    #[error(
        "the data directory {} is in use by another emulator: stop that one, or choose another directory",
        directory.display()
    )]
    Locked {
        /// Which.
        directory: PathBuf,
    },
    /// It was written by a version with another format.
    #[error(
        "{} was written in format {found}, but this emulator reads format {expected}: use the emulator that wrote it, \
         or choose another directory",
        path.display()
    )]
    Version {
        /// The journal.
        path: PathBuf,
        /// What its first line says.
        found: String,
        /// What this code writes.
        expected: u32,
    },
    /// Its content is not what was written.
    #[error("{} is damaged ({what}): restore the directory from a copy, or remove it to start empty", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and how.
        what: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// An earlier failure left the journal in an unknown condition.
    #[error("the journal {} was closed after a failed write: restart the emulator", path.display())]
    Closed {
        /// The journal.
        path: PathBuf,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}
