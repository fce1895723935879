//! Queries over a snapshot: the catalog as the query engine sees it.

use std::sync::Arc;

use serde_json::Value as Json;

use super::catalog::{Database, MaterializedView, State, Table};
use super::command::Session;
use super::error::{EngineError, EngineResult};
use super::extent::Extent;
use super::roles::{DatabaseAction, Rights};
use super::{Engine, RequestContext, RequestProperties};
use crate::assumptions::Undocumented;
use crate::data::{ColumnData, ResultTable, Schema, Value};
use crate::kql::{
    self, Answer, Catalog, ErrorKind, ExtentBatch, Function, KqlError, Options, Query, TableSource,
};

/// See [`Engine::query`].
pub(super) fn run(
    engine: &Engine,
    context: &RequestContext,
    database: &str,
    text: &str,
    properties: &RequestProperties,
) -> EngineResult<Answer> {
    let session = Session { engine, context, database, text, properties, resolved: None, operation: None };
    query(&session, text, |query, view, options| kql::run(query, view, options))
}

/// The rows of the query, or of the `.show` command, that stands behind `<|`. There are no limits on the result then.
pub(super) fn rows(session: &Session<'_>, text: &str) -> EngineResult<ResultTable> {
    let trimmed = text.trim_start();
    if !trimmed.starts_with('.') {
        return query(session, text, |query, view, options| kql::run_statement(query, view, options));
    }
    let shows = trimmed[1..].trim_start().starts_with("show");
    if shows {
        session.run(trimmed)
    } else {
        Err(EngineError::bad_request("only .show commands can stand behind '<|'."))
    }
}

/// Runs the operators `| ...` over the result of a command.
pub(super) fn pipe(session: &Session<'_>, table: ResultTable, operators: &str) -> EngineResult<ResultTable> {
    let state = session.snapshot();
    let view = View::new(session, &state, state.find_database(session.database), operators);
    Ok(kql::apply(table, &kql::parse_operators(operators)?, &view, &options(session.properties))?)
}

/// Parses a query and runs it over the present state of the database in context.
fn query<T>(
    session: &Session<'_>,
    text: &str,
    run: impl FnOnce(&Query, &View<'_>, &Options) -> Result<T, KqlError>,
) -> EngineResult<T> {
    let state = session.snapshot();
    let database = session.context_database(&state)?;
    session.rights(&state).on_database(database, DatabaseAction::Query)?;
    let view = View::new(session, &state, Some(database), text);
    Ok(run(&kql::parse(text)?, &view, &options(session.properties))?)
}

/// The documented request properties that change what a query answers.
fn options(properties: &RequestProperties) -> Options {
    let mut options = Options::default();
    for (name, value) in &properties.options {
        let value = match value {
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => number.as_i64().map_or(Value::Null, Value::Long),
            Json::String(text) => match (text.parse::<i64>(), text.to_ascii_lowercase().as_str()) {
                (Ok(number), _) => Value::Long(number),
                (_, "true") => Value::Bool(true),
                (_, "false") => Value::Bool(false),
                _ => Value::string(text.as_str()),
            },
            _ => continue,
        };
        options.set(name, &value);
    }
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    options.parameters =
        properties.parameters.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    options
}

/// Runs a query over a state that may never come to be: whether it fits is what counts.
pub(super) fn try_on(session: &Session<'_>, state: &State, text: &str) -> EngineResult<Schema> {
    let view = View::new(session, state, state.find_database(session.database), text);
    Ok(kql::run_statement(&kql::parse(text)?, &view, &Options::default())?.schema)
}

/// A database as a caller may query it.
struct View<'a> {
    session: &'a Session<'a>,
    engine: &'a Engine,
    database: Option<&'a Arc<Database>>,
    rights: Rights<'a>,
    now: i64,
    /// The query: its words say which stored functions are needed.
    text: &'a str,
    /// The view that is computed, where that is what runs: its table is the records that it has taken in.
    of_view: Option<&'a MaterializedView>,
}

impl<'a> View<'a> {
    fn new(
        session: &'a Session<'a>,
        state: &'a State,
        database: Option<&'a Arc<Database>>,
        text: &'a str,
    ) -> Self {
        let (engine, rights) = (session.engine, session.rights(state));
        Self { session, engine, database, rights, now: engine.now(), text, of_view: None }
    }

    /// The database, if the caller may query it.
    fn readable(&self) -> Option<&'a Arc<Database>> {
        self.database.filter(|database| self.rights.on_database(database, DatabaseAction::Query).is_ok())
    }

    /// The rows of a materialized view, as of now.
    fn computed(&self, view: &MaterializedView) -> Result<Arc<dyn TableSource>, KqlError> {
        let inner = View { text: &view.query, of_view: Some(view), rights: self.rights, ..*self };
        let rows = kql::run_statement(&kql::parse(&view.query)?, &inner, &Options::default())?;
        Ok(Arc::new(kql::Given(rows)))
    }

    /// Puts a stored function behind those that it calls.
    fn call(&self, name: &str, path: &mut Vec<String>, found: &mut Functions) -> Result<(), KqlError> {
        let stored = self.readable().and_then(|database| database.functions.get(name));
        let Some(stored) = stored.filter(|_| !found.iter().any(|(known, _)| known == name)) else {
            return Ok(());
        };
        if path.iter().any(|caller| caller == name) {
            let message = format!("the stored function '{name}' calls itself, which is not supported");
            return Err(KqlError::semantic("SEM0001", message));
        }
        path.push(name.to_owned());
        for word in kql::words(&stored.body) {
            self.call(&word, path, found)?;
        }
        path.pop();
        found.push((name.to_owned(), kql::parse_function(&stored.parameters, &stored.body, stored.view)?));
        Ok(())
    }
}

/// Stored functions in the order in which they can be declared.
type Functions = Vec<(String, Function)>;

impl Catalog for View<'_> {
    fn table(&self, name: &str) -> Result<Arc<dyn TableSource>, KqlError> {
        let Some(database) = self.readable() else { return Err(KqlError::no_table(name)) };
        let load = |table: &Table, extents: &[Arc<Extent>]| {
            Rows::load(self.engine, self.rights.state, database, table, extents)
        };
        if let Some(view) = self.of_view
            && let Some(table) = database.table_by_id(view.source).filter(|_| name == view.source_name)
        {
            return Ok(Arc::new(load(table, &view.extents)?));
        }
        if let Some(table) = self.session.find_table(database, name) {
            return Ok(Arc::new(load(table, &table.extents)?));
        }
        database.views.get(name).map_or_else(|| Err(KqlError::no_table(name)), |view| self.computed(view))
    }

    fn tables(&self) -> Vec<String> {
        self.readable().map(|database| database.tables.keys().cloned().collect()).unwrap_or_default()
    }

    fn functions(&self) -> Result<Functions, KqlError> {
        let mut found = Functions::new();
        if self.database.is_some_and(|database| !database.functions.is_empty()) {
            for word in kql::words(self.text) {
                self.call(&word, &mut Vec::new(), &mut found)?;
            }
        }
        Ok(found)
    }

    fn is_materialized_view(&self, name: &str) -> bool {
        self.readable().is_some_and(|database| database.views.contains_key(name))
    }

    fn now(&self) -> i64 {
        self.now
    }

    fn seed(&self) -> u64 {
        u64::from_le_bytes(self.engine.queries.bytes())
    }

    fn reads_hexadecimal(&self) -> bool {
        self.engine.assumptions().undocumented == Undocumented::Known
    }

    fn cluster(&self) -> Option<String> {
        self.engine.address.get().cloned()
    }

    fn principal(&self) -> String {
        self.rights.caller.fqn()
    }

    fn database(&self) -> String {
        self.database.map(|database| database.name.clone()).unwrap_or_default()
    }
}

/// A table of a snapshot with its rows at hand.
#[derive(Debug)]
struct Rows {
    schema: Arc<Schema>,
    extents: Vec<ExtentBatch>,
}

impl Rows {
    fn load(
        engine: &Engine,
        state: &State,
        database: &Database,
        table: &Table,
        of: &[Arc<Extent>],
    ) -> Result<Self, KqlError> {
        let mut extents = Vec::with_capacity(of.len());
        let records_time = records_ingestion_time(state, database, table);
        for extent in of {
            let stored = engine.extents.columns(extent).map_err(|error| KqlError {
                kind: ErrorKind::Execution,
                code: "E_EXTENT_LOAD",
                message: error.to_string(),
                at: None,
            })?;
            let rows = usize::try_from(extent.rows).unwrap_or(usize::MAX);
            let column = |column: &crate::data::Column| match extent.position(&column.name, column.ty) {
                Some(position) => Arc::clone(&stored[position]),
                None => Arc::new(ColumnData::repeat(column.ty, &Value::Null, rows)),
            };
            let whole = ExtentBatch {
                id: extent.id.as_u128(),
                tags: extent.tags.clone().into(),
                ingestion_time: records_time.then_some(extent.ingested),
                columns: table.schema.columns.iter().map(column).collect(),
                rows,
            };
            if records_time && !extent.ingested_runs.is_empty() {
                extents.extend(by_ingestion_time(&whole, &extent.ingested_runs));
            } else {
                extents.push(whole);
            }
        }
        Ok(Self { schema: Arc::clone(&table.schema), extents })
    }
}

/// The rows of a merged extent, divided by when they were ingested.
fn by_ingestion_time(whole: &ExtentBatch, runs: &[(u64, i64)]) -> Vec<ExtentBatch> {
    let mut start = 0;
    let run = |(rows, time): &(u64, i64)| {
        let rows = usize::try_from(*rows).unwrap_or(usize::MAX);
        let slice = |column: &Arc<ColumnData>| Arc::new(column.slice(start, rows));
        let columns = whole.columns.iter().map(slice).collect();
        start += rows;
        ExtentBatch { ingestion_time: Some(*time), columns, rows, ..whole.clone() }
    };
    runs.iter().map(run).collect()
}

/// Whether rows show their ingestion time: unless a policy says otherwise.
fn records_ingestion_time(state: &State, database: &Database, table: &Table) -> bool {
    let policy = state.policy(database, Some(table), super::policy::PolicyKind::IngestionTime);
    policy.is_none_or(|policy| policy["IsEnabled"] != Json::Bool(false))
}

impl TableSource for Rows {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn extents(&self) -> Vec<ExtentBatch> {
        self.extents.clone()
    }
}
