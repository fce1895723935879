//! Single runs, each against a cluster of its own and with a state directory of its own.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::AheadOptions;
use super::write::{AheadRun, Until, Written};
use crate::helper::{Counted, Helpers, Manners};
use crate::rows::RowKind;
use crate::send::{Send, Sent};
use crate::{Error, Result};

/// A directory for epoch files, which goes with this.
#[derive(Debug)]
pub(super) struct Place(TempDir);

impl Place {
    pub(super) fn new(options: &AheadOptions) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("timely-kusto-bench-");
        let (made, parent) = match &options.state {
            Some(parent) => {
                let made = std::fs::create_dir_all(parent).and_then(|()| builder.tempdir_in(parent));
                (made, parent.clone())
            }
            None => (builder.tempdir(), std::env::temp_dir()),
        };
        let parent = parent.display();
        made.map(Place)
            .map_err(|error| Error::Sink(format!("a directory for epoch files in {parent}: {error}")))
    }

    pub(super) fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    /// Whether a sync there reaches a disk, as far as the kind of file system tells.
    pub(super) fn is_on_disk(&self) -> bool {
        /// `TMPFS_MAGIC` of `linux/magic.h`.
        const TMPFS: i64 = 0x0102_1994;
        #[allow(clippy::unnecessary_cast)] // its type is another one elsewhere
        rustix::fs::statfs(self.0.path()).is_ok_and(|system| system.f_type as i64 != TMPFS)
    }
}

/// What a run differs in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    pub(super) rows: u64,
    pub(super) rows_per_epoch: u64,
    pub(super) command_delay: Duration,
    pub(super) log_bytes: Option<u64>,
}

impl Ahead {
    pub(super) fn of(rows: u64, options: &AheadOptions) -> Self {
        let rows_per_epoch = options.rows_per_epoch;
        Ahead { rows, rows_per_epoch, command_delay: Duration::ZERO, log_bytes: None }
    }

    /// Makes the run.
    pub(super) fn run(self, options: &AheadOptions, helpers: &Helpers) -> Result<(Written, Counted)> {
        let Ahead { rows, rows_per_epoch, command_delay, log_bytes } = self;
        let place = Place::new(options)?;
        let (cluster, url) = helpers.cluster(Manners { command_delay, ..Manners::default() })?;
        let (workers, settings, state) = (options.workers, options.settings.clone(), place.state());
        let until = Until::Committed;
        let run = AheadRun { cluster: url, rows, rows_per_epoch, workers, settings, state, log_bytes, until };
        let written = helpers.write(run)?;
        let counted = cluster.end()?;
        check(0, rows, &written, &counted)?;
        Ok((written, counted))
    }
}

/// The same rows through SinkV2.
pub(super) fn sink_v2(rows: u64, options: &AheadOptions, helpers: &Helpers) -> Result<Sent> {
    let (cluster, url) = helpers.cluster(Manners::default())?;
    let (kind, workers, settings) = (RowKind::Storms, options.workers, options.settings.clone());
    let sent = helpers.send(Send { cluster: url, kind, rows, workers, settings })?;
    let arrived = cluster.end()?.in_table;
    if sent.rows != rows || arrived != rows {
        return Err(Error::Lost { sent: sent.rows, arrived });
    }
    Ok(sent)
}

/// Each row is in the table once, by the cluster's count: those that were `found` by the start, and those that were sent.
pub(super) fn check(found: u64, sent: u64, written: &Written, counted: &Counted) -> Result<()> {
    if written.sent.rows != sent || counted.in_table != found + sent {
        return Err(Error::Lost { sent: found + written.sent.rows, arrived: counted.in_table });
    }
    Ok(())
}
