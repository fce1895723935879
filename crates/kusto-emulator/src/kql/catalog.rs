//! What a query needs from its surroundings: tables, the time, the caller.

use super::ast::Function;
use super::error::KqlError;
use crate::data::{ColumnData, ResultTable, Schema, TICKS_PER_SECOND, Value, parse_datetime, parse_timespan};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The database a query runs in, as its caller may see it.
///
/// A query asks for each table once, before it reads any row, and works on what it got: the answer shows one state.
pub(crate) trait Catalog {
    /// The table called `name`; [`KqlError::no_table`] when there is none that the caller may see.
    fn table(&self, name: &str) -> Result<Arc<dyn TableSource>, KqlError>;

    /// The names of all tables that the caller may see, for `union` with a wildcard.
    fn tables(&self) -> Vec<String>;

    /// The stored functions that the query may call: each behind those that it calls itself.
    fn functions(&self) -> Result<Vec<(String, Function)>, KqlError> {
        Ok(Vec::new())
    }

    /// Whether the caller sees a materialized view of that name.
    fn is_materialized_view(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// The time of the request, in ticks since 0001-01-01: one value for the whole query.
    fn now(&self) -> i64;

    /// The fully qualified name of the caller (`aadapp=<id>;<tenant>`), for `current_principal()`.
    fn principal(&self) -> String;

    /// What chance in the query starts from: `rand()`, `new_guid()`, `sample`.
    fn seed(&self) -> u64 {
        0
    }

    /// Host and port of the cluster that the query runs in, where it has an address.
    fn cluster(&self) -> Option<String> {
        None
    }

    /// Whether `tolong()` and `toint()` read hexadecimal digits behind `0x`, which is documented for literals only.
    fn reads_hexadecimal(&self) -> bool {
        true
    }

    /// The name of the database, for `current_database()`.
    fn database(&self) -> String {
        String::new()
    }
}

/// A table as it was when the query began.
pub(crate) trait TableSource: fmt::Debug + Send + Sync {
    /// The columns.
    fn schema(&self) -> &Schema;

    /// The extents with rows. The columns of a batch stand for those of the schema, in order.
    fn extents(&self) -> Vec<ExtentBatch>;
}

/// The rows of one extent. Columns are shared, nothing is copied.
#[derive(Clone, Debug)]
pub(crate) struct ExtentBatch {
    /// `extent_id()`
    pub(crate) id: u128,
    /// `extent_tags()`
    pub(crate) tags: Arc<[String]>,
    /// `ingestion_time()`, in ticks; none when the table does not record it.
    pub(crate) ingestion_time: Option<i64>,
    /// One column per column of the schema. A column may be shorter than the schema says only if it is missing: the batch of an
    /// extent from before a column was added leaves it out at the end, and it reads as null.
    pub(crate) columns: Vec<Arc<ColumnData>>,
    /// The number of rows.
    pub(crate) rows: usize,
}

/// A result used as a table.
#[derive(Debug)]
pub(crate) struct Given(pub(crate) ResultTable);

impl TableSource for Given {
    fn schema(&self) -> &Schema {
        &self.0.schema
    }

    fn extents(&self) -> Vec<ExtentBatch> {
        vec![ExtentBatch {
            id: 0,
            tags: Arc::from([]),
            ingestion_time: None,
            columns: self.0.columns.clone(),
            rows: self.0.rows,
        }]
    }
}

/// How a request wants its query to be run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Rows that an answer may have; more are an error.
    pub(crate) max_rows: usize,
    /// Bytes that an answer may have; more are an error.
    pub(crate) max_bytes: usize,
    /// No limits on the answer (`notruncation`), unless one of the next is set.
    pub(crate) no_truncation: bool,
    /// `truncationmaxrecords`, in place of `max_rows`.
    pub(crate) asked_rows: Option<usize>,
    /// `truncationmaxsize`, in place of `max_bytes`.
    pub(crate) asked_bytes: Option<usize>,
    /// Bytes that one operator may hold (`maxmemoryconsumptionperiterator`).
    pub(crate) max_memory: usize,
    /// How long a query may run (`servertimeout`).
    pub(crate) timeout: Duration,
    /// Rows to answer with at most, without an error (`query_take_max_records`).
    pub(crate) take_max: Option<usize>,
    /// What `now()` answers, in ticks (`query_now`).
    pub(crate) now: Option<i64>,
    /// Values of declared parameters, as KQL literals or plain text for strings.
    pub(crate) parameters: HashMap<String, String>,
}

impl Default for Options {
    /// The service's limits: 500,000 rows, 64 MB, 5 GB per operator, 4 minutes
    /// (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/concepts/query-limits.md`).
    fn default() -> Options {
        Options {
            max_rows: 500_000,
            max_bytes: 64 << 20,
            no_truncation: false,
            asked_rows: None,
            asked_bytes: None,
            max_memory: 5 << 30,
            timeout: Duration::from_secs(240),
            take_max: None,
            now: None,
            parameters: HashMap::new(),
        }
    }
}

/// A limit that is set more than once is the lower of its values.
fn lower(limit: &mut Option<usize>, asked: usize) {
    *limit = Some(limit.map_or(asked, |known| known.min(asked)));
}

impl Options {
    /// Rows and bytes that the answer may have.
    pub(super) fn limits(&self) -> (usize, usize) {
        let asked = self.asked_rows.is_some() || self.asked_bytes.is_some() || self.take_max.is_some();
        if self.no_truncation && !asked {
            return (usize::MAX, usize::MAX);
        }
        (self.asked_rows.unwrap_or(self.max_rows), self.asked_bytes.unwrap_or(self.max_bytes))
    }

    /// The same for the query of a command, whose rows are not sent: no limits on the answer.
    pub(super) fn for_statement(&self) -> Options {
        Options { no_truncation: true, asked_rows: None, asked_bytes: None, take_max: None, ..self.clone() }
    }

    /// Takes over the options that a query sets for itself (`set notruncation;`) or a request carries; unknown ones are ignored,
    /// as the service ignores options that do not concern it.
    pub(crate) fn set(&mut self, name: &str, value: &Value) {
        let number = value.as_i64().and_then(|n| usize::try_from(n).ok());
        match (name, number) {
            ("notruncation", _) => self.no_truncation = *value != Value::Bool(false),
            ("truncationmaxrecords" | "truncation_max_records", Some(n)) => lower(&mut self.asked_rows, n),
            ("truncationmaxsize" | "truncation_max_size", Some(n)) => lower(&mut self.asked_bytes, n),
            ("maxmemoryconsumptionperiterator", Some(n)) => self.max_memory = n,
            ("servertimeout", _) => {
                let ticks = match value {
                    Value::TimeSpan(ticks) => Some(*ticks),
                    Value::String(text) => parse_timespan(text),
                    _ => None,
                };
                let hour = 3_600 * TICKS_PER_SECOND;
                if let Some(ticks) = ticks {
                    self.timeout = Duration::from_millis((ticks.clamp(0, hour) / 10_000).unsigned_abs());
                }
            }
            ("query_now", _) => {
                self.now = match value {
                    Value::DateTime(ticks) => Some(*ticks),
                    Value::String(text) => parse_datetime(text),
                    _ => self.now,
                }
            }
            ("query_take_max_records", Some(n)) => lower(&mut self.take_max, n),
            _ => {}
        }
    }
}
