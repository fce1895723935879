//! How long a start takes that finds epoch files: a run is killed whose rows are all sealed and none of which is staged,
//! since the cluster refused uploads; the next start takes them over before it is open.

use std::path::PathBuf;

use serde::Serialize;

use super::runs::{Place, check};
use super::write::{AheadRun, Until};
use super::{AheadOptions, FEW};
use crate::Result;
use crate::helper::{Helpers, Manners};

/// One start.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Recovered {
    /// Rows that were sealed and not staged.
    pub rows: u64,
    /// Their bytes in epoch files.
    pub log_bytes: u64,
    /// Seconds until the start was over: all those rows are in the table.
    pub open_seconds: f64,
    /// Seconds from then on until the first new row was in the table.
    pub first_row_seconds: Option<f64>,
    /// The most memory that the process had resident, in bytes (Linux only).
    pub peak_memory_bytes: Option<u64>,
}

/// Kills a run with `rows` rows in its log, and starts again with some more.
pub(super) fn recover(options: &AheadOptions, helpers: &Helpers, rows: u64) -> Result<Recovered> {
    let place = Place::new(options)?;
    let (mut cluster, url) = helpers.cluster(Manners { refusing: true, ..Manners::default() })?;
    let run = |rows, rows_per_epoch, until, state: PathBuf| AheadRun {
        cluster: url.clone(),
        rows,
        rows_per_epoch,
        workers: options.workers,
        settings: options.settings.clone(),
        state,
        log_bytes: Some(LOG_BYTES),
        until,
    };
    let killed = helpers.write(run(rows, options.rows_per_epoch, Until::Sealed, place.state()))?;
    cluster.take_uploads()?;
    let next = helpers.write(run(rows + FEW, FEW, Until::Committed, place.state()))?;
    check(rows, FEW, &next, &cluster.end()?)?;
    Ok(Recovered {
        rows: killed.sent.rows,
        log_bytes: killed.left_log_bytes,
        open_seconds: next.open_seconds,
        first_row_seconds: next.first_commit_seconds,
        peak_memory_bytes: next.sent.peak_memory_bytes,
    })
}

/// The log is to hold all rows.
const LOG_BYTES: u64 = 64 << 30;
