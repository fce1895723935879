//! One error type for everything that ends a pipeline.
//!
//! A caller branches on [`Error::kind`]; a person reads the text, which says what failed, on what, why, and what to do
//! next. The text of an error crosses process borders: when a worker on another host fails, every process ends with
//! the same kind and message ([`Error::from_elsewhere`]).

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate, boxed so that results stay small.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    advice: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What an error means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option that cannot work, alone or beside another one: mend the configuration.
    Options,
    /// A source could not be listed, opened or read.
    Source,
    /// A source has changed since the positions were kept, or while it was read.
    SourceChanged,
    /// A record is malformed, or a field does not fit the type of its column.
    Record,
    /// Source and table do not fit: a table or a column is missing.
    Schema,
    /// The state directory cannot be used: locked or unwritable.
    State,
    /// The state directory is of another pipeline: another table, source or row format.
    OtherPipeline,
    /// What the state directory keeps is damaged.
    Damaged,
    /// The sink or the service behind it failed for good.
    Sink,
    /// A worker, or the network between processes, broke down.
    Worker,
    /// The other processes of the pipeline did not come in time.
    Apart,
    /// A newer start of the same pipeline has taken over.
    Fenced,
    /// What is kept, here or in the service, does not allow a decision.
    Undecided,
    /// A stop could not wait any longer: what is not delivered is kept for the next start.
    Unfinished,
}

impl ErrorKind {
    /// Whether starting again cannot help before a person has changed the configuration.
    pub fn is_configuration(self) -> bool {
        matches!(self, ErrorKind::Options | ErrorKind::Schema | ErrorKind::OtherPipeline)
    }

    /// Whether starting again cannot help, and no change of the configuration either: a person has to look at the
    /// source or at what is kept, and to decide.
    pub fn needs_person(self) -> bool {
        matches!(
            self,
            ErrorKind::Damaged | ErrorKind::Record | ErrorKind::SourceChanged | ErrorKind::Undecided
        )
    }
}

/// What of an error is told to the other processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    kind: ErrorKind,
    message: String,
    advice: Option<String>,
}

impl Error {
    /// An error of `kind`; `message` says what failed, on what, and why.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), advice: None, source: None }))
    }

    /// Adds what a person can do about it.
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// The same with another meaning for the caller.
    pub(crate) fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Keeps the cause. It must hold no secret.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the error means for the caller.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What failed, on what, and why, without advice.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What a person can do about it, if anything is known.
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    pub(crate) fn tell(&self) -> Told {
        Told { kind: self.0.kind, message: self.0.message.clone(), advice: self.0.advice.clone() }
    }

    /// The error of a worker in another process.
    pub(crate) fn from_elsewhere(told: Told) -> Self {
        Error(Box::new(Inner { kind: told.kind, message: told.message, advice: told.advice, source: None }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.advice {
            Some(advice) => write!(f, "\n  {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("text", &self.to_string())
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
