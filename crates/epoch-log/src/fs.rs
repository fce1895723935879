//! The file system as the log needs it, and nothing more.
//!
//! Two implementations: [`RealFileSystem`], and [`SimulatedDisk`](crate::testing::SimulatedDisk) for tests, which
//! forgets what was not synced. The log does not reach past this trait.
//!
//! An implementation promises what POSIX does, not what a journal usually adds:
//! - bytes of a file survive a power cut once [`File::sync_data`] returned after they were written;
//! - a name (created, renamed, removed) survives once [`FileSystem::sync_directory`] of its directory returned;
//!   before that any subset of the changes may survive, in any order;
//! - a rename is whole or not at all.

mod real;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use real::RealFileSystem;

/// Directories and names.
pub trait FileSystem: fmt::Debug + Send + Sync {
    /// Creates one directory, readable by its owner only; the parent has to exist.
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound` (no parent), and whatever the system says.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// The entries of a directory, in any order.
    ///
    /// # Errors
    /// `NotFound`, and whatever the system says.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// Creates a file for writing and reading, accessible to its owner only.
    ///
    /// # Errors
    /// `AlreadyExists`, and whatever the system says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// `NotFound`, and whatever the system says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Renames within one directory.
    ///
    /// # Errors
    /// Whatever the system says; the rename may have taken effect.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, and whatever the system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `DirectoryNotEmpty`, and whatever the system says.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// Whatever the system says; a later success does not mean that the names of the failed one are durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Takes the exclusive lock of a file, which is created if it does not exist, and leaves `note` in it for those
    /// who find it taken. Never waits. The lock ends with the value, and with the process.
    ///
    /// # Errors
    /// Whatever the system says; a lock that is taken is no error.
    fn lock(&self, path: &Path, note: &str) -> io::Result<LockAttempt>;
}

/// An open file; reads and writes name their offset, so it is shared between threads.
pub trait File: fmt::Debug + Send + Sync {
    /// Bytes in the file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn length(&self) -> io::Result<u64>;

    /// Reads some bytes; 0 at the end of the file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of the bytes and says how many.
    ///
    /// # Errors
    /// Whatever the system says; any part of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Asks for disk space for `length` bytes at `offset`, so that writing them cannot fail for want of it. Neither
    /// content nor length change. A file system without this ability returns `Ok`; there a full disk shows only when the
    /// write fails, and the file is abandoned for it (invariant 17).
    ///
    /// # Errors
    /// `StorageFull`, `QuotaExceeded`: nothing happened. Whatever else the system says.
    fn reserve(&self, offset: u64, length: u64) -> io::Result<()>;

    /// Makes bytes and length durable.
    ///
    /// # Errors
    /// Whatever the system says; a later success does not mean that the bytes of the failed one are durable.
    fn sync_data(&self) -> io::Result<()>;
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Without its path.
    pub name: OsString,
    /// What it names.
    pub kind: EntryKind,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, a socket, a device.
    Other,
}

/// The outcome of [`FileSystem::lock`].
#[derive(Debug)]
pub enum LockAttempt {
    /// It is ours until the value is dropped.
    Taken(Box<dyn Lock>),
    /// Somebody has it, and left this note.
    Busy {
        /// What the holder wrote; empty if nothing.
        note: String,
    },
}

/// A lock that is held as long as the value lives.
pub trait Lock: fmt::Debug + Send + Sync {}

/// Writes all bytes, however many calls that takes.
pub(crate) fn write_all_at(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills the buffer; `UnexpectedEof` when the file ends before.
pub(crate) fn read_exact_at(file: &dyn File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
