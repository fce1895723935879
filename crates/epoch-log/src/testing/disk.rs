//! The simulated disk: calls, faults, power.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chance::Chance;
use super::faults::{Call, Fault, Op, Rule};
use super::files::Bytes;
use super::names::{Inode, Names};

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
pub(super) struct State {
    pub(super) chance: Chance,
    pub(super) nodes: BTreeMap<Inode, Node>,
    next_inode: Inode,
    /// Counts power cuts: handles of an earlier boot are dead.
    pub(super) boot: u64,
    powered: bool,
    calls: u64,
    recent: VecDeque<Call>,
    cut_after: Option<u64>,
    rules: Vec<Rule>,
    pub(super) locks: BTreeMap<Inode, (u64, String)>,
    pub(super) next_lock: u64,
    capacity: Option<u64>,
    read_only: bool,
    denied: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: power, faults, then the effect, then perhaps the end of power. `boot` is that of the handle.
    pub(super) fn call<R>(
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
        drop(state);
        // Without the state in hand: what is thrown away here may be a lock, which gives itself back.
        match fault {
            Some(Fault::FailAfter(kind)) => outcome.and(Err(kind.into())),
            _ => outcome,
        }
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

    pub(super) fn find(&self, path: &Path) -> io::Result<Inode> {
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
    pub(super) fn place(&self, path: &Path) -> io::Result<(Inode, String)> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
        Ok((self.find(path.parent().unwrap_or(Path::new("/")))?, name.to_owned()))
    }

    pub(super) fn names(&mut self, inode: Inode) -> io::Result<&mut Names> {
        match self.nodes.get_mut(&inode) {
            Some(Node::Directory(names)) => Ok(names),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn bytes(&mut self, inode: Inode) -> io::Result<&mut Bytes> {
        match self.nodes.get_mut(&inode) {
            Some(Node::File(bytes)) => Ok(bytes),
            Some(Node::Directory(_)) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// A new node under a path that is free.
    pub(super) fn link_new(&mut self, path: &Path, node: Node) -> io::Result<Inode> {
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
    pub(super) fn room(&mut self, inode: Inode) -> io::Result<u64> {
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
