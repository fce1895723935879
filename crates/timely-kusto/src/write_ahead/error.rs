//! Why a start or a run in the write-ahead mode ends.

use std::time::Duration;

use commit_protocol::Stop;
use serde::{Deserialize, Serialize};

use crate::SinkError;

/// The exit code of processes whose start ends because another one was asked to stop.
pub(super) const STOPPED: u8 = 143;

/// Why a start or a run ended. What was committed stays committed; what was not is staged again, or read again, by the
/// next start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteAheadError {
    /// The coordinator stopped.
    #[error(transparent)]
    Stopped(#[from] Stop),
    /// The log on the local disk.
    #[error(transparent)]
    Log(#[from] epoch_log::Error),
    /// A right is missing.
    #[error(
        "{principal} lacks the role {role}, which the write-ahead mode needs. Somebody who may grant it runs in \
         database {database}:\n  {command}"
    )]
    Rights {
        /// Who lacks it.
        principal: String,
        /// Which role, and on what.
        role: String,
        /// The database in which the command is run.
        database: String,
        /// The command to paste.
        command: String,
    },
    /// The target is not there, or not any more.
    #[error(
        "there is no table {table} in database {database}: its name is wrong, or somebody dropped or renamed it. Rows that \
         are not committed are kept in epoch files and in the staging table, and go on once there is a table of that name \
         with the same columns: `.undo drop table`, `.rename table` or `.create table`. Rows that were in it come back by \
         the first of these only"
    )]
    NoTarget {
        /// Its database.
        database: String,
        /// Its name.
        table: String,
    },
    /// The table of claims, starts and intents is gone.
    #[error(
        "the table kt_epochs of database {database} is gone: it held what is committed and where sources go on. Bring it \
         back with `.undo drop table kt_epochs version=\"...\"`; the version is shown by `.show database {database} \
         journal | where Event == 'DROP-TABLE' and EntityName == 'kt_epochs' | project OriginalEntityVersion`. If that is \
         too late, nothing tells which rows are in {target}, and only a person can begin anew: empty {target} (or have \
         the source begin behind what it holds), drop {tables}, and give the pipeline a new state directory"
    )]
    EpochsGone {
        /// Its database.
        database: String,
        /// The target.
        target: String,
        /// The pipeline's other tables.
        tables: String,
    },
    /// The service refused a request of the sink, or could not be asked.
    #[error("{doing}: {source}")]
    Service {
        /// What was being done.
        doing: String,
        /// What the service said.
        source: kusto_client::Error,
    },
    /// A chunk cannot be staged.
    #[error("chunk {chunk} cannot be staged: {reason}")]
    Staging {
        /// Its tag.
        chunk: String,
        /// Why.
        reason: String,
    },
    /// An option cannot work in this mode.
    #[error("{option} does not work in the write-ahead mode: {why}")]
    Options {
        /// The option.
        option: &'static str,
        /// Why.
        why: &'static str,
    },
    /// Values above 1 MiB are expected, and would be cut.
    #[error(
        "the encoding policies of the columns {columns} cannot be copied to the staging table, where values above 1 MiB \
         would be cut: look at `.show column TABLE.COLUMN policy encoding`, set them by `.alter column TABLE.COLUMN policy \
         encoding type='BigObject32'`, or write such values with SinkV2"
    )]
    Encoding {
        /// Which columns.
        columns: String,
    },
    /// One epoch has more chunks than a commit can name.
    #[error(
        "epoch {epoch} has more than {most} chunks in this process, and a commit takes an epoch as a whole: make epochs \
         shorter (`checkpoint_interval`), or chunks larger (`batch_bytes`, `batch_rows`, and the `memory` that they share). Nothing is lost; the next start \
         reads its rows again"
    )]
    EpochTooLarge {
        /// Which one.
        epoch: u64,
        /// How many it may have.
        most: u64,
    },
    /// The disk is full, and stays so.
    #[error(
        "the disk of the epoch files has been full for {} s and no commit can make room, since nothing that is sealed \
         waits for one: something else fills it, or an epoch does not fit. Make room, or make epochs shorter \
         (`checkpoint_interval`), and start again; what was not sealed is read again\n  {source}",
        waited.as_secs()
    )]
    NoRoom {
        /// For how long.
        waited: Duration,
        /// The last attempt's error.
        source: epoch_log::Error,
    },
    /// Rows of an epoch that is in the table already.
    #[error(
        "a row of epoch {epoch} came, and the epochs below {first_epoch} are in the table: sources go on at the \
         positions that were handed out, with that epoch. If rows are read again on purpose, say so (`drop_replayed`)"
    )]
    Replayed {
        /// The row's epoch.
        epoch: u64,
        /// The first one that counts.
        first_epoch: u64,
    },
    /// A record has a field for which the table has no column.
    #[error("rows have a field {field:?}, and {table} has no such column; it has {columns}")]
    NoColumn {
        /// The field.
        field: String,
        /// The target.
        table: String,
        /// Its columns.
        columns: String,
    },
    /// The target lacks a column that the sink writes.
    #[error("the sink writes the column {column}: {kind}, and {table} {found}; {advice}")]
    Columns {
        /// The target.
        table: String,
        /// The column.
        column: String,
        /// Its type.
        kind: String,
        /// What the target has.
        found: String,
        /// What to do.
        advice: String,
    },
    /// A collection that is to have one record per key has not.
    #[error(
        "key {key} of {table} at time {time}: {why}; its changes there: {changes}. Reduce the collection to one record per \
         key, or write its changes (`write_ahead_changes`)"
    )]
    Conflict {
        /// The target.
        table: String,
        /// The key.
        key: String,
        /// When.
        time: String,
        /// What is wrong.
        why: &'static str,
        /// The differences of its records at that time.
        changes: String,
    },
    /// What was asked for cannot be looked at or decided.
    #[error("{why}")]
    Refused {
        /// Why not.
        why: String,
    },
    /// Starts of the pipeline took over one after the other while it was looked at.
    #[error("starts of the pipeline took over while it was looked at; look again")]
    NotNow,
    /// The run was to end and its rows were not committed in the time that it had for that.
    #[error(
        "stopped with {rows} rows of this process not in the table{}. They are in epoch files here, where the next start \
         takes them over, or are read again",
        because(.waits)
    )]
    Unfinished {
        /// Rows that were taken in this process and are not known to be committed.
        rows: u64,
        /// What the sink waited for.
        waits: Option<String>,
    },
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[source] std::io::Error),
    /// A worker of another process ended the run.
    #[error("{message}")]
    Elsewhere {
        /// The exit code that the error has there.
        exit_code: u8,
        /// The error there.
        message: String,
    },
    /// The dataflow was dropped, or another part failed first.
    #[error("the sink had stopped before; its handle has the reason")]
    Ended,
}

impl WriteAheadError {
    /// The exit code of a process that ends with it: 1 start it again, 2 configuration or a right, 3 fenced by a newer
    /// start, 4 a person has to decide, 143 another process was asked to stop. After 2, 3, 4 and 143 a supervisor must not
    /// restart.
    pub fn exit_code(&self) -> u8 {
        match self {
            WriteAheadError::Stopped(stop) => stop.exit_code(),
            WriteAheadError::Rights { .. }
            | WriteAheadError::NoTarget { .. }
            | WriteAheadError::Encoding { .. }
            | WriteAheadError::EpochTooLarge { .. }
            | WriteAheadError::Options { .. }
            | WriteAheadError::Refused { .. }
            | WriteAheadError::Columns { .. }
            | WriteAheadError::NoColumn { .. } => 2,
            WriteAheadError::Log(error) => match error.remedy() {
                epoch_log::Remedy::Person => 4,
                _ => 1,
            },
            WriteAheadError::EpochsGone { .. } => 4,
            // Storage that refuses this network may let the next start through.
            WriteAheadError::Service { source, .. } if source.lacks_role() => 2,
            WriteAheadError::Elsewhere { exit_code, .. } => *exit_code,
            _ => 1,
        }
    }

    pub(super) fn tell(&self) -> Told {
        Told { exit_code: self.exit_code(), message: self.to_string() }
    }
}

impl From<&SinkError> for Told {
    fn from(error: &SinkError) -> Self {
        Told { exit_code: error.exit_code(), message: error.to_string() }
    }
}

fn because(waits: &Option<String>) -> String {
    waits.as_ref().map(|waits| format!(", waiting for {waits}")).unwrap_or_default()
}

/// What of an error is told to other processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) exit_code: u8,
    pub(super) message: String,
}

impl From<Told> for WriteAheadError {
    fn from(told: Told) -> Self {
        WriteAheadError::Elsewhere { exit_code: told.exit_code, message: told.message }
    }
}

/// Something as an error shows it: long ones are cut.
pub(super) fn shown(what: &impl std::fmt::Debug) -> String {
    const MOST: usize = 500;
    let mut shown = format!("{what:?}");
    if let Some((cut, _)) = shown.char_indices().nth(MOST) {
        shown.truncate(cut);
        shown.push('…');
    }
    shown
}
