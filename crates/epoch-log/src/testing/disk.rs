//! The simulated disk: calls, faults, power.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chance::Chance;
use super::faults::{Call, Fault, Op, Rule};
use super::files::Bytes;
use super::names::{Inode, Names};
use crate::fs::{Entry, EntryKind, File, FileSystem, Lock, LockAttempt};

const ROOT: Inode = 0;
/// Calls that are remembered for a message.
const REMEMBERED_CALLS: usize = 64;

/// What of the unsynced survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing that was not synced.
    Nothing,
    /// Everything, except what a failed sync lost.
    Everything,
    /// Each sector and each name by chance.
    Chance,
}

impl Survival {
    /// All of them.
    pub const ALL: [Survival; 3] = [Survival::Nothing, Survival::Everything, Survival::Chance];

    pub(super) fn decide(self, chance: &mut Chance) -> bool {
        match self {
            Survival::Nothing => false,
            Survival::Everything => true,
            Survival::Chance => chance.one_in(2),
        }
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    nodes: BTreeMap<Inode, Node>,
    next_inode: Inode,
    /// Counts power cuts: handles of an earlier boot are dead.
    boot: u64,
    powered: bool,
    calls: u64,
    recent: VecDeque<Call>,
    cut_after: Option<u64>,
    rules: Vec<Rule>,
    locks: BTreeMap<Inode, (u64, String)>,
    next_lock: u64,
    capacity: Option<u64>,
    read_only: bool,
    denied: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug)]
enum Node {
    File(Bytes),
    Directory(Names),
}

impl SimulatedDisk {
    /// An empty disk; the seed decides what is random.
    pub fn new(seed: u64) -> Self {
        let state = State {
            chance: Chance::new(seed),
            nodes: BTreeMap::from([(ROOT, Node::Directory(Names::default()))]),
            next_inode: ROOT + 1,
            boot: 0,
            powered: true,
            calls: 0,
            recent: VecDeque::new(),
            cut_after: None,
            rules: Vec::new(),
            locks: BTreeMap::new(),
            next_lock: 0,
            capacity: None,
            read_only: false,
            denied: BTreeSet::new(),
        };
        SimulatedDisk { shared: Arc::new(Mutex::new(state)) }
    }

    /// Calls made so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The last calls, for messages.
    pub fn recent_calls(&self) -> Vec<Call> {
        self.state().recent.iter().cloned().collect()
    }

    /// Adds a fault.
    pub fn inject(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Forgets all faults.
    pub fn heal(&self) {
        self.state().rules.clear();
    }

    /// The power fails when this many calls (counted from the disk's beginning) were made: each later one fails.
    pub fn cut_power_after(&self, calls: u64) {
        let mut state = self.state();
        state.cut_after = Some(calls);
        state.powered = state.calls < calls;
    }

    /// The power fails now.
    pub fn cut_power(&self) {
        self.state().powered = false;
    }

    /// Whether there is power.
    pub fn is_powered(&self) -> bool {
        self.state().powered
    }

    /// Power comes back (after a cut, if there was none yet): what was not synced survives or not, locks are gone,
    /// handles are dead, faults are forgotten.
    pub fn restart(&self, survival: Survival) {
        let mut state = self.state();
        let State { nodes, chance, .. } = &mut *state;
        for node in nodes.values_mut() {
            match node {
                Node::File(bytes) => bytes.cut(survival, chance),
                Node::Directory(names) => names.cut(survival, chance),
            }
        }
        state.boot += 1;
        state.powered = true;
        state.cut_after = None;
        state.rules.clear();
        state.locks.clear();
        state.drop_unreachable();
    }

    /// Limits the disk: beyond it a write takes what fits, then fails with `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Bytes taken by files that have a name.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Refuses every change with `ReadOnlyFilesystem`.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    /// Refuses every call on this path, and on what lies below it, with `PermissionDenied`.
    pub fn deny(&self, path: impl Into<PathBuf>) {
        self.state().denied.insert(path.into());
    }

    /// Takes back every [`SimulatedDisk::deny`].
    pub fn allow_all(&self) {
        self.state().denied.clear();
    }

    /// The bytes that a program would read; `None` when there is no such file.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        match state.nodes.get(&state.find(path).ok()?)? {
            Node::File(bytes) => Some(bytes.seen().to_vec()),
            Node::Directory(_) => None,
        }
    }

    /// The names of files in a directory and below, as programs see them.
    pub fn files(&self) -> Vec<PathBuf> {
        let state = self.state();
        let mut found = Vec::new();
        state.walk(ROOT, Path::new("/"), &mut |path, node| {
            if matches!(node, Node::File(_)) {
                found.push(path.to_owned());
            }
        });
        found
    }

    /// Puts a file there, durable at once, in place of any other. Its directory exists.
    ///
    /// # Panics
    /// When the directory does not exist.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let (directory, name) = state.place(path).expect("the directory exists");
        let inode = state.add(Node::File(Bytes::durable(bytes.to_vec())));
        let names = state.names(directory).expect("it is a directory");
        names.link(&name, inode);
        names.sync();
    }

    /// Damages the bytes of a file, as seen and as durable.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn damage(&self, path: &Path, change: impl Fn(&mut Vec<u8>)) {
        let mut state = self.state();
        let inode = state.find(path).expect("the file exists");
        match state.nodes.get_mut(&inode) {
            Some(Node::File(bytes)) => bytes.damage(change),
            _ => panic!("{} is no file", path.display()),
        }
    }

    /// Flips one bit of a file for good.
    ///
    /// # Panics
    /// When there is no such file or byte.
    pub fn flip_bit(&self, path: &Path, byte: usize, bit: u8) {
        self.damage(path, |bytes| bytes[byte] ^= 1 << bit);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: power, faults, then the effect, then perhaps the end of power. `boot` is that of the handle.
    fn call<R>(
        &self,
        op: Op,
        path: &Path,
        boot: Option<u64>,
        effect: impl FnOnce(&mut State, Option<&Fault>) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut state = self.state();
        state.check_power(boot)?;
        let fault = state.rules.iter_mut().find_map(|rule| rule.strike(op, path));
        if let Some(Fault::Hold(gate)) = &fault {
            let now = boot.unwrap_or(state.boot);
            drop(state);
            gate.pass();
            state = self.state();
            state.check_power(Some(now))?;
        }
        state.note(op, path);
        let outcome = state.perform(op, path, fault.as_ref(), effect);
        state.powered &= state.cut_after.is_none_or(|cut| state.calls < cut);
        outcome
    }
}

impl State {
    fn check_power(&self, boot: Option<u64>) -> io::Result<()> {
        if self.powered && boot.is_none_or(|boot| boot == self.boot) {
            Ok(())
        } else {
            Err(io::Error::other("the power was cut"))
        }
    }

    fn note(&mut self, op: Op, path: &Path) {
        self.calls += 1;
        if self.recent.len() == REMEMBERED_CALLS {
            self.recent.pop_front();
        }
        self.recent.push_back(Call { op, path: path.to_owned() });
    }

    /// The effect under a fault, as far as the fault is not the effect's own affair.
    fn perform<R>(
        &mut self,
        op: Op,
        path: &Path,
        fault: Option<&Fault>,
        effect: impl FnOnce(&mut State, Option<&Fault>) -> io::Result<R>,
    ) -> io::Result<R> {
        if self.denied.iter().any(|denied| path.starts_with(denied)) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        if self.read_only && op.changes() && !matches!(op, Op::SyncData | Op::SyncDirectory) {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        let is_sync = matches!(op, Op::SyncData | Op::SyncDirectory);
        match fault {
            Some(Fault::Fail(kind)) => Err((*kind).into()),
            Some(Fault::FailAfter(kind)) => effect(self, fault).and(Err((*kind).into())),
            Some(Fault::TornWrite(kind)) if op != Op::WriteAt => Err((*kind).into()),
            Some(Fault::LostSync) if !is_sync => Err(io::Error::other("input/output error")),
            _ => effect(self, fault),
        }
    }

    fn add(&mut self, node: Node) -> Inode {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.nodes.insert(inode, node);
        inode
    }

    fn find(&self, path: &Path) -> io::Result<Inode> {
        let mut inode = ROOT;
        for component in path.components() {
            if let Component::Normal(name) = component {
                let Some(Node::Directory(names)) = self.nodes.get(&inode) else {
                    return Err(ErrorKind::NotADirectory.into());
                };
                let name = name.to_str().ok_or(ErrorKind::InvalidInput)?;
                inode = *names.seen().get(name).ok_or(ErrorKind::NotFound)?;
            }
        }
        Ok(inode)
    }

    /// The directory of a path, and the name in it.
    fn place(&self, path: &Path) -> io::Result<(Inode, String)> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
        Ok((self.find(path.parent().unwrap_or(Path::new("/")))?, name.to_owned()))
    }

    fn names(&mut self, inode: Inode) -> io::Result<&mut Names> {
        match self.nodes.get_mut(&inode) {
            Some(Node::Directory(names)) => Ok(names),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn bytes(&mut self, inode: Inode) -> io::Result<&mut Bytes> {
        match self.nodes.get_mut(&inode) {
            Some(Node::File(bytes)) => Ok(bytes),
            Some(Node::Directory(_)) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// A new node under a path that is free.
    fn link_new(&mut self, path: &Path, node: Node) -> io::Result<Inode> {
        let (directory, name) = self.place(path)?;
        if self.names(directory)?.seen().contains_key(&name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = self.add(node);
        self.names(directory)?.link(&name, inode);
        Ok(inode)
    }

    fn walk(&self, inode: Inode, path: &Path, visit: &mut impl FnMut(&Path, &Node)) {
        let Some(node) = self.nodes.get(&inode) else { return };
        visit(path, node);
        if let Node::Directory(names) = node {
            for (name, child) in names.seen() {
                self.walk(*child, &path.join(name), visit);
            }
        }
    }

    fn used(&self) -> u64 {
        let mut used = 0;
        self.walk(ROOT, Path::new("/"), &mut |_, node| {
            if let Node::File(bytes) = node {
                used += bytes.space();
            }
        });
        used
    }

    /// How far the file can grow, in bytes from its beginning.
    fn room(&mut self, inode: Inode) -> io::Result<u64> {
        let Some(capacity) = self.capacity else { return Ok(u64::MAX) };
        let free = capacity.saturating_sub(self.used());
        Ok(self.bytes(inode)?.space() + free)
    }

    /// After a power cut nothing but names leads to a file.
    fn drop_unreachable(&mut self) {
        let mut reachable = BTreeSet::from([ROOT]);
        let mut next = vec![ROOT];
        while let Some(inode) = next.pop() {
            if let Some(Node::Directory(names)) = self.nodes.get(&inode) {
                next.extend(names.seen().values().filter(|child| reachable.insert(**child)));
            }
        }
        self.nodes.retain(|inode, _| reachable.contains(inode));
    }
}

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
