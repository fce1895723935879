//! What was measured.

use std::time::Duration;

use serde::Serialize;

use super::{Commands, Recovered, Visible, Written};
use crate::bars::Bar;
use crate::report::Machine;
use crate::send::Sent;

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AheadReport {
    /// Where.
    pub machine: Machine,
    /// Whether epoch files were on a disk: in memory a sync costs nothing.
    pub on_disk: bool,
    /// What each command took longer in the runs with slow commands.
    pub command_delay: Duration,
    /// Workers.
    pub workers: usize,
    /// The same rows through both sinks, in turn.
    pub rounds: Vec<Round>,
    /// Commands, by the size of epochs.
    pub commands: Vec<CommandsAt>,
    /// From row to visible.
    pub visible: Visible,
    /// Starts that found a log.
    pub recovery: Vec<Recovered>,
    /// Runs of more and more rows.
    pub by_rows: Vec<Written>,
    /// Runs of more and more epochs.
    pub by_epochs: Vec<EpochsAt>,
    /// A run with slow commands and a small limit of the log.
    pub small_log: Written,
    /// What was aimed at.
    pub bars: Vec<Bar>,
}

/// One round.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Round {
    /// SinkV2.
    pub sink_v2: Sent,
    /// The write-ahead sink.
    pub write_ahead: Written,
    /// The write-ahead sink with slow commands.
    pub slow: Written,
}

impl Round {
    /// Rows per CPU second of the write-ahead sink, of those of SinkV2.
    pub fn ratio(&self) -> f64 {
        self.write_ahead.sent.rows_per_cpu_second() / self.sink_v2.rows_per_cpu_second()
    }

    /// The rate with slow commands, of the rate without.
    pub fn slow_ratio(&self) -> f64 {
        self.slow.rows_per_second() / self.write_ahead.rows_per_second()
    }
}

impl Written {
    /// Rows per second of wall time from the moment that the sink is open until all are in the staging table. What is left
    /// then is one commit, which takes as long for many rows as for few; what was before is the start, whose seconds stand
    /// beside the rate.
    pub fn rows_per_second(&self) -> f64 {
        self.sent.rows as f64 / self.staged_seconds.max(f64::MIN_POSITIVE)
    }
}

impl Sent {
    /// Rows per second of the sink's CPU time.
    pub fn rows_per_cpu_second(&self) -> f64 {
        self.rows as f64 / self.sink_cpu_seconds.max(f64::MIN_POSITIVE)
    }
}

/// Commands of a run.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct CommandsAt {
    /// Rows of an epoch.
    pub rows_per_epoch: u64,
    /// What was asked.
    #[serde(flatten)]
    pub commands: Commands,
}

/// A run of many epochs.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EpochsAt {
    /// How many.
    pub epochs: u64,
    /// What it did.
    #[serde(flatten)]
    pub written: Written,
}
