//! The values of options that are choices.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use kusto_client::{Backoff, Report};

/// When a row counts as delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// When its blob was handed over, whatever comes of it: failures are counted and logged, and the stream goes on.
    None,
    /// When the service has taken the queue message. The service then ingests at least once, within its own retries;
    /// what it refuses for good (a bad mapping, a dropped table) is not noticed here.
    Queued,
    /// When the service reports the ingestion as succeeded, read from the status table.
    #[default]
    Ingested,
}

impl Delivery {
    /// All choices with their names in a configuration file.
    pub(crate) const NAMES: [(&'static str, Delivery); 3] =
        [("none", Delivery::None), ("queued", Delivery::Queued), ("ingested", Delivery::Ingested)];

    /// What the queue message asks the service to report.
    pub fn report(self) -> Report {
        match self {
            Delivery::None | Delivery::Queued => Report::None,
            Delivery::Ingested => Report::Table,
        }
    }
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// RFC 4180, one row per record. The smallest and fastest; rows must have the same fields.
    #[default]
    Csv,
    /// One JSON object per line. For maps, and for rows whose fields vary.
    Json,
}

impl Format {
    /// All choices with their names in a configuration file.
    pub(crate) const NAMES: [(&'static str, Format); 2] = [("csv", Format::Csv), ("json", Format::Json)];

    /// The service's name of the format in a queue message. JSON is queued as `multijson`: the service skips a
    /// malformed record of the format `json` without a word (`data-explorer/ingest-invalid-data.md`).
    pub fn ingestion_format(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Json => "multijson",
        }
    }

    /// The suffix of a blob's name, with its dot; the codec's suffix follows it.
    pub fn suffix(self) -> &'static str {
        match self {
            Format::Csv => ".csv",
            Format::Json => ".multijson",
        }
    }
}

/// How often and how long an operation is repeated that failed in a way that may pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Attempts in all, the first included; 1 means no repetition.
    pub attempts: u32,
    /// The pauses between them.
    pub backoff: Backoff,
    /// No attempt begins later than this after the first one began.
    pub total: Duration,
}

impl Default for Retry {
    /// 30 attempts within 10 minutes, with pauses of 500 ms growing to 30 s.
    fn default() -> Self {
        Retry {
            attempts: 30,
            backoff: Backoff { initial: Duration::from_millis(500), max: Duration::from_secs(30) },
            total: Duration::from_secs(600),
        }
    }
}

/// Implements `Display` and `FromStr` of a choice from its `NAMES`.
macro_rules! named_choice {
    ($choice:ty) => {
        impl fmt::Display for $choice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let named = Self::NAMES.iter().find(|(_, choice)| choice == self);
                f.pad(named.map_or("", |(name, _)| name))
            }
        }

        impl FromStr for $choice {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::NAMES
                    .iter()
                    .find_map(|(name, choice)| (*name == text).then_some(*choice))
                    .ok_or_else(|| format!("{text:?} is no choice"))
            }
        }
    };
}

named_choice!(Delivery);
named_choice!(Format);
