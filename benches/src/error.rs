//! What can go wrong while measuring.

use std::io;

use thiserror::Error;

/// A measurement that could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// An option is out of range.
    #[error("{option} is {value}: it must be {allowed}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// A write option cannot work.
    #[error(transparent)]
    Write(#[from] timely_kusto::OptionError),
    /// A helper process could not be started or talked to.
    #[error("the helper process that {role}: {source}")]
    Helper {
        /// What it does.
        role: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A helper process ended with an error, which it printed.
    #[error("the helper process that {role} failed: {why}")]
    HelperFailed {
        /// What it does.
        role: &'static str,
        /// How it ended.
        why: String,
    },
    /// The sink failed.
    #[error("end to end: {0}")]
    Sink(String),
    /// Not everything arrived.
    #[error(
        "end to end: {sent} rows were reported delivered and the emulator counted {arrived}; report it as a defect"
    )]
    Lost {
        /// Rows that the sink reported delivered.
        sent: u64,
        /// Rows that the emulator counted.
        arrived: u64,
    },
    /// A stage failed.
    #[error("{stage}: {why}")]
    Stage {
        /// Which one.
        stage: &'static str,
        /// Why.
        why: String,
    },
}

/// The result of a measurement.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn sink(error: impl std::fmt::Display) -> Self {
        Error::Sink(error.to_string())
    }

    pub(crate) fn stage(stage: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Self {
        move |why| Error::Stage { stage, why: why.to_string() }
    }
}
