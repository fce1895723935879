//! The simulated disk as the log sees it: the calls of the traits.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Node, SimulatedDisk, State};
use super::faults::{Fault, Op};
use super::files::Bytes;
use super::names::{Inode, Names};
use crate::fs::{Entry, EntryKind, File, FileSystem, Lock, LockAttempt};

impl FileSystem for SimulatedDisk {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.call(Op::CreateDirectory, path, None, |state, _| {
            state.link_new(path, Node::Directory(Names::default())).map(drop)
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.call(Op::List, path, None, |state, _| {
            let inode = state.find(path)?;
            let names = state.names(inode)?.seen().clone();
            let entry = |(name, inode): (String, Inode)| Entry {
                name: OsString::from(name),
                kind: match state.nodes.get(&inode) {
                    Some(Node::Directory(_)) => EntryKind::Directory,
                    _ => EntryKind::File,
                },
            };
            Ok(names.into_iter().map(entry).collect())
        })
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.call(Op::Create, path, None, |state, _| {
            let inode = state.link_new(path, Node::File(Bytes::default()))?;
            Ok(self.handle(state, inode, path, true))
        })
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.call(Op::Open, path, None, |state, _| {
            let inode = state.find(path)?;
            Ok(self.handle(state, inode, path, false))
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Op::Rename, from, None, |state, _| {
            let ((directory, old), (target, new)) = (state.place(from)?, state.place(to)?);
            if directory != target {
                return Err(ErrorKind::CrossesDevices.into());
            }
            let inode = state.find(from)?;
            state.names(directory)?.rename(&old, &new, inode);
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Op::RemoveFile, path, None, |state, _| {
            let inode = state.find(path)?;
            state.bytes(inode)?;
            let (directory, name) = state.place(path)?;
            state.names(directory)?.unlink(&name);
            Ok(())
        })
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.call(Op::RemoveDirectory, path, None, |state, _| {
            let inode = state.find(path)?;
            if !state.names(inode)?.seen().is_empty() {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            let (directory, name) = state.place(path)?;
            state.names(directory)?.unlink(&name);
            Ok(())
        })
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.call(Op::SyncDirectory, path, None, |state, fault| {
            let inode = state.find(path)?;
            let names = state.names(inode)?;
            match fault {
                Some(Fault::LyingSync) => {}
                Some(Fault::LostSync) => {
                    names.lose_unsynced();
                    return Err(io::Error::other("input/output error"));
                }
                _ => names.sync(),
            }
            Ok(())
        })
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<LockAttempt> {
        self.call(Op::Lock, path, None, |state, _| {
            let inode = match state.find(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    state.link_new(path, Node::File(Bytes::default()))?
                }
                found => found?,
            };
            if let Some((_, note)) = state.locks.get(&inode) {
                return Ok(LockAttempt::Busy { note: note.clone() });
            }
            let number = state.next_lock;
            state.next_lock += 1;
            state.locks.insert(inode, (number, note.to_owned()));
            Ok(LockAttempt::Taken(Box::new(SimulatedLock { disk: self.clone(), number })))
        })
    }
}

impl SimulatedDisk {
    fn handle(&self, state: &State, inode: Inode, path: &Path, writable: bool) -> Arc<dyn File> {
        Arc::new(SimulatedFile {
            disk: self.clone(),
            inode,
            path: path.to_owned(),
            boot: state.boot,
            writable,
        })
    }
}

#[derive(Debug)]
struct SimulatedLock {
    disk: SimulatedDisk,
    number: u64,
}

impl Lock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.disk.state().locks.retain(|_, (number, _)| *number != self.number);
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    inode: Inode,
    path: PathBuf,
    boot: u64,
    writable: bool,
}

impl std::fmt::Debug for SimulatedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatedFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SimulatedFile {
    fn call<R>(
        &self,
        op: Op,
        effect: impl FnOnce(&mut State, Option<&Fault>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.disk.call(op, &self.path, Some(self.boot), effect)
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::Error::other("the file is open for reading only")) }
    }
}

impl File for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        self.call(Op::Length, |state, _| Ok(state.bytes(self.inode)?.seen().len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call(Op::ReadAt, |state, fault| {
            let bytes = state.bytes(self.inode)?.seen();
            let left = bytes.get(offset as usize..).unwrap_or_default();
            let read = left.len().min(buffer.len());
            buffer[..read].copy_from_slice(&left[..read]);
            if let Some(Fault::FlipBit) = fault
                && read > 0
            {
                let bit = state.chance.below(read as u64 * 8) as usize;
                buffer[bit / 8] ^= 1 << (bit % 8);
            }
            Ok(read)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.check_writable()?;
        self.call(Op::WriteAt, |state, fault| {
            let part = bytes.len().div_ceil(2);
            let room = state.room(self.inode)?.saturating_sub(offset);
            let (written, outcome) = match fault {
                Some(Fault::ShortWrite) => (part, Ok(part)),
                Some(Fault::TornWrite(kind)) => (part, Err((*kind).into())),
                _ if bytes.len() as u64 <= room => (bytes.len(), Ok(bytes.len())),
                _ => (room as usize, Err(ErrorKind::StorageFull.into())),
            };
            state.bytes(self.inode)?.write(&bytes[..written], offset as usize);
            outcome
        })
    }

    fn reserve(&self, offset: u64, length: u64) -> io::Result<()> {
        self.check_writable()?;
        self.call(Op::Reserve, |state, _| {
            if offset + length > state.room(self.inode)? {
                return Err(ErrorKind::StorageFull.into());
            }
            state.bytes(self.inode)?.reserve(offset + length);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call(Op::SyncData, |state, fault| {
            let bytes = state.bytes(self.inode)?;
            match fault {
                Some(Fault::LyingSync) => {}
                Some(Fault::LostSync) => {
                    bytes.lose_unsynced();
                    return Err(io::Error::other("input/output error"));
                }
                _ => bytes.sync(),
            }
            Ok(())
        })
    }
}
