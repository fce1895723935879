//! What the write-ahead mode costs: beside SinkV2, for each commit, in time, memory and disk.
//!
//! ```text
//!  rounds:    SinkV2, write-ahead, write-ahead with slow commands, SinkV2, ...    same rows, same source, same run
//!  commands:  epochs of 10^3 to 10^7 rows                       the cluster's own list of requests
//!  visible:   a steady pace into a cluster that ingests         three clocks, each command's time
//!  recovery:  killed with N rows sealed and none staged         until open
//!  memory:    10^5 to 10^7 rows (10^8 on request), 10^3 to 3 · 10^4 epochs
//!  disk:      slow commands and a small limit
//! ```
//! Every run has a process, a cluster and a state directory of its own, and is an error unless the table holds each row
//! once, by the cluster's count. The cluster keeps extents with tags and numbers of rows, and drops bodies; commands work on
//! those extents as ever. Epoch files are synced as in any run.

mod bars;
mod commands;
mod positions;
mod recovery;
mod report;
mod runs;
mod service;
mod text;
mod visible;
mod write;

use std::path::PathBuf;
use std::time::Duration;

use crate::helper::{Helpers, Manners};
use crate::measure::machine;
use crate::options::write_options;
use crate::{Error, Result};

pub use commands::Commands;
pub use recovery::Recovered;
pub use report::{AheadReport, CommandsAt, EpochsAt, Round};
pub(crate) use visible::visible;
pub use visible::{Steady, Visible};
pub(crate) use write::write;
pub use write::{AheadRun, Written};

use runs::{Ahead, Place, sink_v2};

/// What is measured.
#[derive(Clone, Debug)]
pub struct AheadOptions {
    /// Rows of the longest run, whose memory is compared with that of runs of a tenth and a hundredth. Rounds take at most
    /// [`ROUND_ROWS`](Self::ROUND_ROWS). Default: 10,000,000.
    pub rows: u64,
    /// Rounds. Default: 3.
    pub rounds: usize,
    /// Rows of an epoch, where it is not what is varied. Default: 1,000,000, about a second at full speed.
    pub rows_per_epoch: u64,
    /// Rows of an epoch, to count commands with. Default: 10^3 to 10^7.
    pub epoch_sizes: Vec<u64>,
    /// Numbers of epochs (of 100 rows), to look at memory with; the last two are compared. As many as may be open at once, 1,024 by default,
    /// are only reached by longer runs than that. Default: 1,000, 10,000 and 30,000.
    pub epochs: Vec<u64>,
    /// What each command takes longer in the runs with slow commands. Default: 2 s.
    pub command_delay: Duration,
    /// The limit of the log in the run that is to reach it. Default: 128 MiB.
    pub small_log_bytes: u64,
    /// Rows in the logs that starts find. Default: a tenth, three tenths, and all of `rows`, at most
    /// [`ROUND_ROWS`](Self::ROUND_ROWS).
    pub logs: Vec<u64>,
    /// Rows per second at the steady pace. Default: 1,000.
    pub pace: u64,
    /// How long rows come at the steady pace. Default: 30 s.
    pub time: Duration,
    /// The length of an epoch at the steady pace. Default: 1 s.
    pub epoch: Duration,
    /// Workers (threads) of the sink's process. Default: 1.
    pub workers: usize,
    /// Write options that are not to have their default.
    pub settings: Vec<(String, String)>,
    /// Where directories for epoch files are made; made itself if need be. Default: the system's directory for temporary
    /// files.
    pub state: Option<PathBuf>,
}

impl Default for AheadOptions {
    fn default() -> Self {
        AheadOptions::of_rows(10_000_000)
    }
}

impl AheadOptions {
    /// The most rows of a round.
    pub const ROUND_ROWS: u64 = 10_000_000;

    /// The defaults for a longest run of `rows` rows.
    pub fn of_rows(rows: u64) -> Self {
        let most = rows.min(Self::ROUND_ROWS);
        AheadOptions {
            rows,
            rounds: 3,
            rows_per_epoch: 1_000_000.min(most),
            epoch_sizes: (3..=7).map(|power| 10_u64.pow(power)).filter(|size| *size <= most).collect(),
            epochs: vec![1_000, 10_000, 30_000],
            command_delay: Duration::from_secs(2),
            small_log_bytes: 128 << 20,
            logs: vec![most / 10, most * 3 / 10, most],
            pace: 1_000,
            time: Duration::from_secs(30),
            epoch: Duration::from_secs(1),
            workers: 1,
            settings: Vec::new(),
            state: None,
        }
    }

    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Option`] with name, value and range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |option, value: String, allowed| Err(Error::Option { option, value, allowed });
        if self.rows < 1_000 {
            return wrong("rows", self.rows.to_string(), "at least 1,000 in the write-ahead mode");
        }
        if !(1..=1024).contains(&self.workers) {
            return wrong("workers", self.workers.to_string(), "1 to 1024");
        }
        if self.epochs.contains(&0) {
            return wrong("epochs", "0".to_owned(), "at least 1");
        }
        if self.command_delay > Duration::from_secs(10) {
            return wrong("command-delay", format!("{:?}", self.command_delay), "at most 10 s");
        }
        write_options("T", &self.settings).map(drop)
    }
}

/// Rows of an epoch, where many epochs are what matters.
const FEW: u64 = 100;

/// Measures everything. `progress` is told what is done next.
///
/// # Errors
/// When an option is out of range, a helper cannot be started, the sink fails, or the table does not hold each row once.
pub fn measure_ahead(
    options: &AheadOptions,
    helpers: &Helpers,
    progress: impl Fn(&str),
) -> Result<AheadReport> {
    options.validate()?;
    let (machine, on_disk) = (machine(), Place::new(options)?.is_on_disk());
    let rounds = (1..=options.rounds).map(|number| {
        progress(&format!("round {number} of {}", options.rounds));
        round(options, helpers)
    });
    let rounds = rounds.collect::<Result<_>>()?;
    let commands = options.epoch_sizes.iter().map(|size| {
        progress(&format!("commands of epochs of {size} rows"));
        commands(options, helpers, *size)
    });
    let commands = commands.collect::<Result<_>>()?;
    progress("from row to visible at a steady pace");
    let visible = steady(options, helpers)?;
    let recovery = options.logs.iter().map(|rows| {
        progress(&format!("a start that finds {rows} rows in its log"));
        recovery::recover(options, helpers, *rows)
    });
    let recovery = recovery.collect::<Result<_>>()?;
    let by_rows = [options.rows / 100, options.rows / 10, options.rows].map(|rows| {
        progress(&format!("memory at {rows} rows"));
        Ok(Ahead::of(rows, options).run(options, helpers)?.0)
    });
    let by_rows = by_rows.into_iter().collect::<Result<_>>()?;
    let by_epochs = options.epochs.iter().map(|epochs| {
        progress(&format!("memory at {epochs} epochs"));
        let run = Ahead { rows_per_epoch: FEW, ..Ahead::of(epochs * FEW, options) };
        Ok(EpochsAt { epochs: *epochs, written: run.run(options, helpers)?.0 })
    });
    let by_epochs = by_epochs.collect::<Result<_>>()?;
    progress("a log at its limit");
    let small_log = small_log(options, helpers)?;
    let mut report = AheadReport {
        machine,
        on_disk,
        command_delay: options.command_delay,
        workers: options.workers,
        rounds,
        commands,
        visible,
        recovery,
        by_rows,
        by_epochs,
        small_log,
        bars: Vec::new(),
    };
    report.bars = bars::bars(&report, write_options("T", &options.settings)?.memory());
    Ok(report)
}

fn round(options: &AheadOptions, helpers: &Helpers) -> Result<Round> {
    let rows = options.rows.min(AheadOptions::ROUND_ROWS);
    let run = Ahead::of(rows, options);
    let sink_v2 = sink_v2(rows, options, helpers)?;
    let (write_ahead, _) = run.run(options, helpers)?;
    let (slow, _) = Ahead { command_delay: options.command_delay, ..run }.run(options, helpers)?;
    Ok(Round { sink_v2, write_ahead, slow })
}

/// Two epochs of this size.
fn commands(options: &AheadOptions, helpers: &Helpers, rows_per_epoch: u64) -> Result<CommandsAt> {
    let run = Ahead { rows_per_epoch, ..Ahead::of(2 * rows_per_epoch, options) };
    let (_, counted) = run.run(options, helpers)?;
    let forgotten = || Error::Sink("the cluster has forgotten how the run began".to_owned());
    Ok(CommandsAt { rows_per_epoch, commands: counted.commands.ok_or_else(forgotten)? })
}

fn steady(options: &AheadOptions, helpers: &Helpers) -> Result<Visible> {
    let place = Place::new(options)?;
    // Blobs of a write-ahead sink ask to be ingested at once; the rest of the service's time is the emulator's own.
    let (cluster, url) =
        helpers.cluster(Manners { batching: Some(Duration::from_secs(1)), ..Manners::default() })?;
    let AheadOptions { pace, time, epoch, settings, .. } = options.clone();
    let visible =
        helpers.steady(Steady { cluster: url, pace, time, epoch, settings, state: place.state() })?;
    let arrived = cluster.end()?.in_table;
    if visible.rows != arrived {
        return Err(Error::Lost { sent: visible.rows, arrived });
    }
    Ok(visible)
}

fn small_log(options: &AheadOptions, helpers: &Helpers) -> Result<Written> {
    let rows = options.rows.min(AheadOptions::ROUND_ROWS) / 2;
    let run = Ahead {
        rows_per_epoch: (options.rows_per_epoch / 4).max(1),
        command_delay: options.command_delay,
        log_bytes: Some(options.small_log_bytes),
        ..Ahead::of(rows, options)
    };
    Ok(run.run(options, helpers)?.0)
}
