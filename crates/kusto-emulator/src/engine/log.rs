//! What the engine remembers of past operations: for `.show operations` and `.show ingestion failures`; the newest stay.
//!
//! With a data directory each entry is also a line of JSON in `operations.jsonl`, written when the operation is over.
//! It is a record, not the truth: an entry that cannot be written is only in memory, a line that cannot be read (cut by
//! a kill, or by hand) is passed over, and the start goes on. Each start, and every so many entries, writes the file
//! anew with what is still remembered.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::data::{ColumnData, ResultTable, Schema};
use crate::files;

/// How many entries of each kind are kept: enough to look back over a test, small enough not to matter (some MB).
const KEPT: usize = 10_000;

const NAME: &str = "operations.jsonl";

/// An entry of an operation: one when it is begun, if it runs `async`, and one when it is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) id: Uuid,
    /// Such as `DataIngestPull` or `ExtentsMove`.
    pub(crate) kind: Cow<'static, str>,
    pub(crate) database: String,
    /// The caller's fully qualified name.
    pub(crate) principal: String,
    /// Ticks.
    pub(crate) started: i64,
    /// When it got to `state`, in ticks.
    pub(crate) updated: i64,
    /// `InProgress`, `Completed`, `Failed`, `BadInput`, `Abandoned`.
    pub(crate) state: Cow<'static, str>,
    /// The error, or nothing.
    pub(crate) status: String,
    /// The rows of a command that ran `async`.
    #[serde(with = "rows")]
    pub(crate) details: Option<ResultTable>,
}

impl Operation {
    /// The entry that follows this one when nobody works on the operation any more.
    fn abandoned(&self, now: i64) -> Self {
        let status = "The node that worked on the operation went away.".to_owned();
        Self { updated: now, state: "Abandoned".into(), status, ..self.clone() }
    }
}

/// A source that was not ingested.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FailedIngestion {
    pub(crate) operation_id: Uuid,
    pub(crate) operation_kind: Cow<'static, str>,
    pub(crate) activity_id: Uuid,
    pub(crate) database: String,
    pub(crate) table: String,
    /// Ticks.
    pub(crate) failed_on: i64,
    /// The blob's address without its secret.
    pub(crate) source: String,
    pub(crate) principal: String,
    pub(crate) sources: usize,
    /// What the ingestion was asked to do, as JSON.
    pub(crate) properties: String,
    /// A documented code.
    pub(crate) code: Cow<'static, str>,
    /// What is wrong.
    pub(crate) message: String,
    /// Trying the same again cannot succeed.
    pub(crate) permanent: bool,
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
enum Line<'a> {
    Operation(Cow<'a, Operation>),
    Failure(Cow<'a, FailedIngestion>),
}

/// Both lists.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    operations: VecDeque<Operation>,
    failures: VecDeque<FailedIngestion>,
    file: Option<Lines>,
}

#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: File,
    count: usize,
}

impl Log {
    /// What earlier starts left in `directory`; nothing, if there is none or it cannot be used for this. What was in
    /// progress then is abandoned by `now`.
    pub(super) fn open(directory: Option<&Path>, now: i64) -> Self {
        let mut entries = Entries::default();
        if let Some(directory) = directory {
            let path = directory.join(NAME);
            entries.read(&path);
            entries.abandon(now);
            entries.rewrite(path);
        }
        Self(Mutex::new(entries))
    }

    pub(crate) fn operation(&self, operation: Operation) {
        let mut entries = self.lock();
        entries.write(&Line::Operation(Cow::Borrowed(&operation)));
        push(&mut entries.operations, operation);
    }

    pub(crate) fn failure(&self, failure: FailedIngestion) {
        let mut entries = self.lock();
        entries.write(&Line::Failure(Cow::Borrowed(&failure)));
        push(&mut entries.failures, failure);
    }

    /// Nobody works on these any more.
    pub(crate) fn abandon(&self, ids: &[Uuid], now: i64) {
        let mut entries = self.lock();
        for id in ids {
            let last = entries
                .operations
                .iter()
                .rev()
                .find(|entry| entry.id == *id)
                .map(|entry| entry.abandoned(now));
            if let Some(entry) = last {
                entries.write(&Line::Operation(Cow::Borrowed(&entry)));
                push(&mut entries.operations, entry);
            }
        }
    }

    /// Oldest first.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.lock().operations.iter().cloned().collect()
    }

    /// Oldest first.
    pub(crate) fn failures(&self) -> Vec<FailedIngestion> {
        self.lock().failures.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn read(&mut self, path: &Path) {
        let bytes = fs::read(path).unwrap_or_default();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(Line::Operation(operation)) => push(&mut self.operations, operation.into_owned()),
                Ok(Line::Failure(failure)) => push(&mut self.failures, failure.into_owned()),
                Err(error) => tracing::warn!(%error, "a line of {NAME} is passed over"),
            }
        }
    }

    fn abandon(&mut self, now: i64) {
        let over = |id| self.operations.iter().any(|entry| entry.id == id && entry.state != "InProgress");
        let open = self.operations.iter().filter(|entry| !over(entry.id));
        let open: Vec<_> = open.map(|entry| entry.abandoned(now)).collect();
        open.into_iter().for_each(|entry| push(&mut self.operations, entry));
    }

    fn write(&mut self, line: &Line<'_>) {
        let Some(lines) = &mut self.file else { return };
        if let Err(error) = append(&mut lines.file, line) {
            tracing::warn!(%error, "an operation is not recorded in {NAME}");
        }
        lines.count += 1;
        if lines.count > 4 * KEPT {
            let path = lines.path.clone();
            self.rewrite(path);
        }
    }

    /// Writes what is remembered beside the old file, and puts it in its place.
    fn rewrite(&mut self, path: PathBuf) {
        match self.written(&path) {
            Ok(file) => {
                let count = self.operations.len() + self.failures.len();
                self.file = Some(Lines { path, file, count });
            }
            Err(error) => {
                tracing::warn!(%error, "{NAME} cannot be written: operations will not survive a restart");
                self.file = None;
            }
        }
    }

    fn written(&self, path: &Path) -> io::Result<File> {
        let beside = path.with_extension("new");
        let file = files::private().write(true).create(true).truncate(true).open(&beside)?;
        let mut out = BufWriter::new(file);
        self.operations.iter().try_for_each(|one| append(&mut out, &Line::Operation(Cow::Borrowed(one))))?;
        self.failures.iter().try_for_each(|one| append(&mut out, &Line::Failure(Cow::Borrowed(one))))?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        fs::rename(&beside, path)?;
        Ok(file)
    }
}

/// One write per line: a kill leaves it whole, or cut at the end of the file.
fn append(file: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)
}

fn push<T>(list: &mut VecDeque<T>, entry: T) {
    if list.len() == KEPT {
        list.pop_front();
    }
    list.push_back(entry);
}

/// A result table as its parts.
mod rows {
    use super::{Arc, ColumnData, ResultTable, Schema};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Parts = Option<(String, Schema, Vec<Arc<ColumnData>>)>;

    pub(super) fn serialize<S: Serializer>(
        table: &Option<ResultTable>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        table.as_ref().map(|table| (&table.name, &table.schema, &table.columns)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ResultTable>, D::Error> {
        let parts = Parts::deserialize(deserializer)?;
        Ok(parts.map(|(name, schema, columns)| ResultTable::new(name, schema, columns)))
    }
}
