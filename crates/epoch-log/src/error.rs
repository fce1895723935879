//! What can go wrong, on which file, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::Epoch;

/// A failure of the log. Every message names the file and what to do next; no failure removes a sealed file.
///
/// [`Error::remedy`] says who has to act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}{}", .path.display(), advice(.source))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// No space for the next bytes. Nothing was written, the file is whole: try again when something was removed.
    #[error(
        "no space for {needed} bytes in {}: {source}; nothing was written and nothing is lost: free space on that disk, \
         or wait until committed epochs are removed, then go on", .path.display()
    )]
    DiskFull {
        /// The file that was to grow.
        path: PathBuf,
        /// Bytes asked for.
        needed: u64,
        /// What the system said.
        source: io::Error,
    },

    /// A limit of the log is reached. Nothing was written: the same call succeeds after a seal.
    #[error("{}: {what}; nothing was written: seal what is complete, then go on", .path.display())]
    Limit {
        /// The directory.
        path: PathBuf,
        /// Which limit.
        what: String,
    },

    /// An earlier write or sync of this open file failed: it takes no more and is never sealed (invariant 17).
    #[error(
        "{} was abandoned after a failed write or sync ({cause}); a second try could report success for bytes that are \
         lost, so end the process and start it again: unsealed rows are replayed", .path.display()
    )]
    Abandoned {
        /// The abandoned file.
        path: PathBuf,
        /// The failure that ended it.
        cause: String,
    },

    /// The disk failed to make names durable, and they could not be withdrawn. From now on memory and disk may differ
    /// without a trace: a second sync could claim success for what a power cut would still take (invariants 16, 17).
    #[error(
        "the names in {} could not be made durable ({source}), and a second try could claim success all the same; restart \
         the machine, not only the process, then start again", .path.display()
    )]
    Unsettled {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// Another process has the directory.
    #[error(
        "{} is locked by {holder}; wait until it ends, or end it (a stopped process holds its lock too)", .path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who holds it.
        holder: Holder,
    },

    /// Something that this log did not write stands where its files are.
    #[error("{} does not belong to this log: {why}; move it elsewhere, then start again", .path.display())]
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// How it shows.
        why: String,
    },

    /// The file was written by a newer version of this program.
    #[error(
        "{} has format version {found}, this program reads up to {known}; start the version that wrote it, or a newer one",
        .path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The newest version known here.
        known: u16,
    },

    /// The bytes are not those that were sealed (invariant 18).
    #[error(
        "{} is damaged: {damage}; its rows cannot be trusted and are not taken for missing: restore the file from the \
         disk's mirror or backup, or decide to go on without it", .path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What does not fit, and where.
        damage: String,
    },

    /// Sealed files do not join: one between them is gone.
    #[error(
        "{} has no file for the epochs from {from} up to {to}, though later ones are there; restore it, or decide to go \
         on without those epochs", .directory.display()
    )]
    Missing {
        /// The directory.
        directory: PathBuf,
        /// First epoch that is missing.
        from: Epoch,
        /// First epoch that is there again.
        to: Epoch,
    },

    /// The caller asked for something that the log cannot mean. Nothing was written.
    #[error("{0}")]
    Misuse(String),
}

/// Who has to act after an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// The same call may succeed later; nothing happened.
    Retry,
    /// End the process and start it again.
    Restart,
    /// A person has to look: the message says at what.
    Person,
    /// The calling code is wrong.
    Caller,
}

impl Error {
    /// Who has to act.
    pub fn remedy(&self) -> Remedy {
        match self {
            Error::DiskFull { .. } | Error::Limit { .. } | Error::Locked { .. } => Remedy::Retry,
            Error::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Remedy::Person,
                _ => Remedy::Restart,
            },
            Error::Abandoned { .. } => Remedy::Restart,
            Error::Unsettled { .. }
            | Error::Foreign { .. }
            | Error::NewerFormat { .. }
            | Error::Corrupt { .. }
            | Error::Missing { .. } => Remedy::Person,
            Error::Misuse(_) => Remedy::Caller,
        }
    }

    /// The file or directory it is about.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Error::Io { path, .. }
            | Error::DiskFull { path, .. }
            | Error::Limit { path, .. }
            | Error::Abandoned { path, .. }
            | Error::Unsettled { path, .. }
            | Error::Locked { path, .. }
            | Error::Foreign { path, .. }
            | Error::NewerFormat { path, .. }
            | Error::Corrupt { path, .. } => Some(path),
            Error::Missing { directory, .. } => Some(directory),
            Error::Misuse(_) => None,
        }
    }

    /// For `map_err`: names the action and the file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }

    pub(crate) fn corrupt(path: &Path, damage: impl Into<String>) -> Error {
        Error::Corrupt { path: path.to_owned(), damage: damage.into() }
    }

    pub(crate) fn foreign(path: &Path, why: impl Into<String>) -> Error {
        Error::Foreign { path: path.to_owned(), why: why.into() }
    }

    pub(crate) fn misuse(what: impl Into<String>) -> Error {
        Error::Misuse(what.into())
    }
}

/// Whether the disk, or the owner's share of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; run as the user who owns the state directory, or give it to the user who runs this"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; mount the disk writable, or name another state directory",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free space on that disk, then start again"
        }
        _ => "",
    }
}

/// The process that holds a lock, as far as it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// What it wrote into the lock file; empty when it had no time or no space to.
    pub note: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.note.trim() {
            "" => f.write_str("another process"),
            note => f.write_str(note),
        }
    }
}
