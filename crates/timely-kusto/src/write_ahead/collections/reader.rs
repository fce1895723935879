//! What shows the collection that a table of changes adds up to: a stored function, over a materialized view if there is to be one.
//!
//! | mode | view `<function>_view` | function |
//! |---|---|---|
//! | change stream | `T \| summarize _kt_count = sum(_kt_diff) by <columns>` | `view \| where _kt_count != 0` |
//! | upsert | `T \| summarize arg_max(_kt_time, *) by <key>` | `view \| where not(_kt_deleted) \| project <columns>` |
//!
//! Without a view the function has the view's query in its place. A record of which there are several is one row with `_kt_count`,
//! so that a collection of few records with large counts stays small; a count below zero is shown, too: no collection has one.

use kusto_client::quote_name;

use super::super::WriteAheadError;
use super::{COUNT, DELETED, DIFF, OF_CHANGES, OF_UPSERTS, TIME, lacking};
use crate::encode::tail::EPOCH;

/// Describes the function that shows a collection, for [`WriteAhead::init_reader`](super::super::WriteAhead::init_reader).
///
/// ```
/// use timely_kusto::Reader;
///
/// let counts = Reader::change_stream().function("CurrentCounts");
/// let states = Reader::upsert(["vehicle"]); // `<table>_now()`, over a materialized view
/// # let _ = (counts, states);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Reader {
    mode: Mode,
    function: Option<String>,
    materialized: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    ChangeStream,
    Upsert(Vec<String>),
}

/// What shows the collection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderMade {
    /// The function, to be called without arguments.
    pub function: String,
    /// The materialized view that it reads, if there is one.
    pub view: Option<String>,
    /// Whether the view was made just now, of all that the table has.
    pub made_view: bool,
}

impl Reader {
    /// Of a table of changes: each record with `_kt_count`, how many there are of it. Not materialized unless
    /// [said so](Self::materialized).
    pub fn change_stream() -> Self {
        Reader { mode: Mode::ChangeStream, function: None, materialized: false }
    }

    /// Of a table of upserts by these columns: the last record of each key that is present. Materialized unless
    /// [said otherwise](Self::materialized).
    pub fn upsert(key: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let key = key.into_iter().map(Into::into).collect();
        Reader { mode: Mode::Upsert(key), function: None, materialized: true }
    }

    /// The function's name. Default: that of the table with `_now` behind it.
    pub fn function(self, name: impl Into<String>) -> Self {
        Reader { function: Some(name.into()), ..self }
    }

    /// Whether the service keeps the aggregation up to date in a materialized view: reading it then does not scan all changes. It
    /// takes the right to make one, Database Admin.
    pub fn materialized(self, materialized: bool) -> Self {
        Reader { materialized, ..self }
    }

    /// Whether a table with these columns (name and type) can hold what is read.
    ///
    /// # Errors
    /// When a column of the mode or of the key is missing, or has another type.
    pub fn check(&self, table: &str, columns: &[(String, String)]) -> Result<(), WriteAheadError> {
        let wanted = if self.mode == Mode::ChangeStream { &OF_CHANGES } else { &OF_UPSERTS };
        if let Some(error) = lacking(table, columns, wanted) {
            return Err(error);
        }
        let Mode::Upsert(key) = &self.mode else { return Ok(()) };
        let refused = |why: String| Err(WriteAheadError::Refused { why });
        if key.is_empty() {
            return refused(format!(
                "the key of {table} has no columns: name those by which values replace each other"
            ));
        }
        let has = |name: &String| columns.iter().any(|(column, _)| column == name) && !is_added(name);
        match key.iter().find(|name| !has(name)) {
            Some(name) => {
                refused(format!("the key of {table} names the column {name:?}, which it does not have"))
            }
            None => Ok(()),
        }
    }

    /// The commands' parts, for a table with these columns.
    pub(in super::super) fn define(
        &self,
        table: &str,
        columns: &[(String, String)],
    ) -> Result<Definition, WriteAheadError> {
        self.check(table, columns)?;
        let own: Vec<&(String, String)> = columns.iter().filter(|(name, _)| !is_added(name)).collect();
        let source = quote_name(table);
        let (aggregation, filter) = match &self.mode {
            Mode::ChangeStream => {
                let aggregation = format!("{source} | summarize {COUNT} = sum({DIFF}) by {}", grouped(&own));
                (aggregation, format!("where {COUNT} != 0{}", ungrouped(&own)))
            }
            Mode::Upsert(key) => {
                let key = columns.iter().filter(|(name, _)| key.contains(name)).collect::<Vec<_>>();
                let names = own.iter().map(|(name, _)| quote_name(name)).collect::<Vec<_>>();
                let aggregation = format!("{source} | summarize arg_max({TIME}, *) by {}", grouped(&key));
                (aggregation, format!("where not({DELETED}) | project {}", names.join(", ")))
            }
        };
        let function = self.function.clone().unwrap_or_else(|| format!("{table}_now"));
        let view = self.materialized.then(|| (format!("{function}_view"), aggregation.clone()));
        let rows = view.as_ref().map_or(aggregation, |(name, _)| quote_name(name));
        Ok(Definition { function, body: format!("{rows} | {filter}"), view })
    }

    /// Says which mode, for people.
    pub(in super::super) fn describe(&self, target: &str) -> String {
        match &self.mode {
            Mode::ChangeStream => format!("the records that the changes in {target} add up to, with {COUNT}"),
            Mode::Upsert(key) => format!("the last record of each key ({}) in {target}", key.join(", ")),
        }
    }
}

/// A reader as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Definition {
    pub(in super::super) function: String,
    pub(in super::super) body: String,
    /// Name and query.
    pub(in super::super) view: Option<(String, String)>,
}

/// Whether a column is not the record's.
fn is_added(name: &str) -> bool {
    [TIME, DIFF, DELETED, EPOCH].contains(&name)
}

/// Keys of `summarize`, which takes no dynamic ones.
fn grouped(columns: &[&(String, String)]) -> String {
    let key = |(name, kind): &&(String, String)| {
        let name = quote_name(name);
        if kind == "dynamic" { format!("{name} = tostring({name})") } else { name }
    };
    columns.iter().map(key).collect::<Vec<_>>().join(", ")
}

/// Makes them dynamic again, in their places.
fn ungrouped(columns: &[&(String, String)]) -> String {
    if columns.iter().all(|(_, kind)| kind != "dynamic") {
        return String::new();
    }
    let column = |(name, kind): &&(String, String)| {
        let name = quote_name(name);
        if kind == "dynamic" { format!("{name} = todynamic({name})") } else { name }
    };
    let all: Vec<String> = columns.iter().map(column).collect();
    format!(" | project {}, {COUNT}", all.join(", "))
}

#[cfg(test)]
mod tests;
