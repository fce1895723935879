//! Names for what is counted: lineage, generation, nonce, epoch, sequence number, worker, attempt, extent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A text that should have been an identifier and is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseIdError {
    /// What was read.
    pub text: String,
    /// What should have been there.
    pub expected: &'static str,
}

impl ParseIdError {
    pub(crate) fn new(text: &str, expected: &'static str) -> ParseIdError {
        ParseIdError { text: text.to_owned(), expected }
    }
}

/// Reads exactly `digits` lower-case hex digits.
fn hex(text: &str, digits: usize, expected: &'static str) -> Result<u128, ParseIdError> {
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() != digits || !text.bytes().all(plain) {
        return Err(ParseIdError::new(text, expected));
    }
    u128::from_str_radix(text, 16).map_err(|_| ParseIdError::new(text, expected))
}

/// Reads a decimal number without sign, leading zero or blank: each number has one spelling.
pub(crate) fn decimal<N: FromStr + ToString>(text: &str, expected: &'static str) -> Result<N, ParseIdError> {
    let number: N = text.parse().map_err(|_| ParseIdError::new(text, expected))?;
    if number.to_string() == text { Ok(number) } else { Err(ParseIdError::new(text, expected)) }
}

/// Serialises a type by its text.
macro_rules! as_text {
    ($name:ty) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use as_text;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// Counts the starts of a pipeline; the table that `init` makes has generation 0.
    Generation(u64)
);
number!(
    /// Rows of one epoch become visible together.
    Epoch(u64)
);
number!(
    /// Numbers the intents of the valid chain, densely, across generations; the first is 1.
    Seq(u64)
);
number!(
    /// Index of a timely worker within one start.
    Worker(u32)
);
number!(
    /// Counts how often a chunk was handed to ingestion by one start; the first attempt is 0.
    Attempt(u32)
);

impl Generation {
    /// The generation that a start takes after this one.
    pub fn next(self) -> Generation {
        Generation(self.0.saturating_add(1))
    }
}

impl Seq {
    /// The number of the next intent.
    pub fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }
}

impl Attempt {
    /// The attempt after this one.
    pub fn next(self) -> Attempt {
        Attempt(self.0.saturating_add(1))
    }
}

/// What one pipeline writes into one table: the first 16 hex digits of SHA-256 over pipeline, database in lower case,
/// and table, each followed by a zero byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage(u64);

impl Lineage {
    /// The lineage of `pipeline` writing into `table` of `database`.
    pub fn of(pipeline: &str, database: &str, table: &str) -> Lineage {
        let mut sum = Sha256::new();
        for part in [pipeline, &database.to_lowercase(), table] {
            sum.update(part.as_bytes());
            sum.update([0]);
        }
        let digest = sum.finalize();
        Lineage(digest.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lineage({self})")
    }
}

impl FromStr for Lineage {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Lineage, ParseIdError> {
        Ok(Lineage(hex(text, 16, "a lineage (16 lower-case hex digits)")? as u64))
    }
}
as_text!(Lineage);

/// Tells two starts that took the same generation apart; drawn at random by the caller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub u64);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({self})")
    }
}

impl FromStr for Nonce {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Nonce, ParseIdError> {
        Ok(Nonce(hex(text, 16, "a nonce (16 lower-case hex digits)")? as u64))
    }
}
as_text!(Nonce);

/// One start of a pipeline. Displays as `7-00c0ffee00c0ffee`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartId {
    /// Its place among the starts of the lineage.
    pub generation: Generation,
    /// Tells it from another start that meant to take the same generation.
    pub nonce: Nonce,
}

impl fmt::Display for StartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.generation, self.nonce)
    }
}

impl FromStr for StartId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<StartId, ParseIdError> {
        const WHAT: &str = "a start (generation, a dash, 16 lower-case hex digits)";
        let (generation, nonce) = text.split_once('-').ok_or_else(|| ParseIdError::new(text, WHAT))?;
        Ok(StartId { generation: Generation(decimal(generation, WHAT)?), nonce: nonce.parse()? })
    }
}
as_text!(StartId);

/// The id of an extent (a data shard), a GUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtentId(pub u128);

impl fmt::Display for ExtentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        let group = |shift: u32, bits: u32| (id >> shift) & ((1 << bits) - 1);
        let (a, b, c, d, e) = (group(96, 32), group(80, 16), group(64, 16), group(48, 16), group(0, 48));
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

impl fmt::Debug for ExtentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtentId({self})")
    }
}

impl FromStr for ExtentId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<ExtentId, ParseIdError> {
        const WHAT: &str = "an extent id (a GUID with dashes)";
        let dashes = text.len() == 36 && [8, 13, 18, 23].iter().all(|&at| text.as_bytes()[at] == b'-');
        if !dashes {
            return Err(ParseIdError::new(text, WHAT));
        }
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        hex(&digits.to_lowercase(), 32, WHAT).map(ExtentId)
    }
}
as_text!(ExtentId);
