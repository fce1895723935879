//! The names of things: epochs, starts, workers, lineages, and how directories are called after them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Rows that become visible together: a monotone function of the dataflow's time.
///
/// As a *bound* it means "everything below": a file that covers `[from, to)` holds the epochs `from .. to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The how-manieth start of a pipeline this is. Two starts may carry the same one; their [`Nonce`] differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Tells two starts of one generation apart: 1 to 32 lower-case letters and digits, chosen at random by the start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(String);

impl Nonce {
    /// Checks and takes the text.
    ///
    /// # Errors
    /// [`Error::Misuse`] unless it is 1 to 32 of `a-z` and `0-9`.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits {
            Ok(Nonce(text))
        } else {
            Err(Error::misuse(format!("{text:?} is no nonce: 1 to 32 lower-case letters and digits")))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which pipeline and table the rows belong to: 16 lower-case hexadecimal digits.
///
/// The log compares it and asks no further: how it is derived is the sink's affair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage(String);

impl Lineage {
    /// Checks and takes the text.
    ///
    /// # Errors
    /// [`Error::Misuse`] unless it is 16 of `0-9` and `a-f`.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let fits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if fits {
            Ok(Lineage(text))
        } else {
            Err(Error::misuse(format!("{text:?} is no lineage: 16 lower-case hexadecimal digits")))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One start of a pipeline: generation and nonce. Its directory is `g<generation>-<nonce>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Start {
    /// The how-manieth start.
    pub generation: Generation,
    /// What tells it from another start with that number.
    pub nonce: Nonce,
}

impl Start {
    /// A start by its two parts.
    pub fn new(generation: Generation, nonce: Nonce) -> Self {
        Start { generation, nonce }
    }

    /// Reads `g<generation>-<nonce>`; `None` when the name is not exactly what [`Display`](fmt::Display) writes.
    pub fn parse(name: &str) -> Option<Self> {
        let (generation, nonce) = name.strip_prefix('g')?.split_once('-')?;
        let generation = canonical(generation)?;
        Some(Start { generation: Generation(generation), nonce: Nonce::new(nonce).ok()? })
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}-{}", self.generation, self.nonce)
    }
}

/// A worker of a start and how many there are. Its directory is `w<index>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worker {
    /// From zero.
    pub index: u32,
    /// Workers of the whole start, over all processes.
    pub count: u32,
}

impl Worker {
    /// Worker `index` of `count`.
    ///
    /// # Errors
    /// [`Error::Misuse`] unless `index < count`.
    pub fn new(index: u32, count: u32) -> Result<Self, Error> {
        if index < count {
            Ok(Worker { index, count })
        } else {
            Err(Error::misuse(format!("there is no worker {index} of {count}")))
        }
    }
}

/// One worker's directory of one start, within a lineage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId {
    /// The start that wrote it.
    pub start: Start,
    /// The worker that wrote it.
    pub worker: u32,
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/w{}", self.start, self.worker)
    }
}

/// Reads `w<index>`.
pub(crate) fn parse_worker(name: &str) -> Option<u32> {
    canonical(name.strip_prefix('w')?)?.try_into().ok()
}

/// What a name in a worker's directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    /// `<to>.epochs`
    Sealed(Epoch),
    /// `<to>.open`
    Open(Epoch),
    /// `lock`
    Lock,
}

impl FileName {
    pub(crate) const LOCK: &'static str = "lock";

    pub(crate) fn parse(name: &str) -> Option<Self> {
        if name == Self::LOCK {
            return Some(FileName::Lock);
        }
        let (to, kind) = name.split_once('.')?;
        let to = Epoch(canonical(to)?);
        match kind {
            "epochs" => Some(FileName::Sealed(to)),
            "open" => Some(FileName::Open(to)),
            _ => None,
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileName::Sealed(to) => write!(f, "{to}.epochs"),
            FileName::Open(to) => write!(f, "{to}.open"),
            FileName::Lock => f.write_str(Self::LOCK),
        }
    }
}

/// A number as we write it: no sign, no leading zero. Names are parsed, not guessed at.
fn canonical(digits: &str) -> Option<u64> {
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}
