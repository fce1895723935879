//! What can go wrong, and on which call.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A kind of file-system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "they are the calls of the traits, by their names")]
pub enum Op {
    CreateDirectory,
    List,
    Create,
    Open,
    Rename,
    RemoveFile,
    RemoveDirectory,
    SyncDirectory,
    Lock,
    Length,
    ReadAt,
    WriteAt,
    Reserve,
    SyncData,
}

impl Op {
    /// Whether it changes anything on the disk, or makes a change durable.
    pub fn changes(self) -> bool {
        !matches!(self, Op::List | Op::Open | Op::Length | Op::ReadAt)
    }
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What.
    pub op: Op,
    /// On which path; a file is known by the name it was opened under.
    pub path: PathBuf,
}

/// What happens instead.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The call fails and does nothing.
    Fail(io::ErrorKind),
    /// The call does what it should, and fails all the same.
    FailAfter(io::ErrorKind),
    /// A write takes only a part of the bytes, and says so. Other calls are not affected.
    ShortWrite,
    /// A write takes a part of the bytes, then fails. Other calls fail and do nothing.
    TornWrite(io::ErrorKind),
    /// A sync fails, and what it should have made durable never will be, though every later sync claims success.
    /// Other calls fail and do nothing.
    LostSync,
    /// A sync claims success and does nothing: a disk that lies. Other calls are not affected.
    LyingSync,
    /// A read gets one bit wrong. Other calls are not affected.
    FlipBit,
    /// The call waits until the gate opens, then does what it should.
    Hold(Gate),
}

impl Fault {
    /// An input/output error without effect.
    pub fn io_error() -> Self {
        Fault::Fail(io::ErrorKind::Other)
    }

    /// A full disk.
    pub fn disk_full() -> Self {
        Fault::Fail(io::ErrorKind::StorageFull)
    }
}

/// A fault and the calls it strikes: `times` calls that match, after the first `skip` of them.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    op: Option<Op>,
    path: Option<String>,
    skip: u64,
    times: u64,
}

impl Rule {
    /// The next call, whatever it is.
    pub fn new(fault: Fault) -> Self {
        Rule { fault, op: None, path: None, skip: 0, times: 1 }
    }

    /// Only calls of this kind.
    #[must_use]
    pub fn on(self, op: Op) -> Self {
        Rule { op: Some(op), ..self }
    }

    /// Only paths that end with this text.
    #[must_use]
    pub fn at(self, path: impl Into<String>) -> Self {
        Rule { path: Some(path.into()), ..self }
    }

    /// Not the first `calls` that match.
    #[must_use]
    pub fn after(self, calls: u64) -> Self {
        Rule { skip: calls, ..self }
    }

    /// As many matching calls.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Rule { times, ..self }
    }

    /// Every matching call.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// The fault, if it strikes this call. Counts.
    pub(super) fn strike(&mut self, op: Op, path: &Path) -> Option<Fault> {
        let matches = self.op.is_none_or(|it| it == op)
            && self.path.as_ref().is_none_or(|text| path.to_string_lossy().ends_with(text.as_str()));
        if !matches {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.checked_sub(1)?;
        Some(self.fault.clone())
    }
}

/// Holds calls back until it is opened.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    waiting: u64,
}

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        Gate::default()
    }

    /// Lets all calls go, now and later.
    pub fn open(&self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).open = true;
        self.0.1.notify_all();
    }

    /// Returns when some call waits at the gate.
    pub fn wait_for_caller(&self) {
        let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _state =
            self.0.1.wait_while(state, |state| state.waiting == 0).unwrap_or_else(PoisonError::into_inner);
    }

    pub(super) fn pass(&self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting += 1;
        self.0.1.notify_all();
        let mut state =
            self.0.1.wait_while(state, |state| !state.open).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
    }
}
