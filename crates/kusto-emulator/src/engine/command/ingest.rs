//! `.ingest inline`, `.ingest into`, and `.set`, `.append`, `.set-or-append`, `.set-or-replace` from a query.

use std::sync::Arc;

use super::super::batch::{IngestRequest, IngestSource, IngestionProperties, SourceOutcome, without_secret};
use super::super::catalog::{Database, State, Table};
use super::super::change::Change;
use super::super::error::{EngineError, EngineResult};
use super::super::ingest::{self, NewExtent, Target};
use super::super::names;
use super::super::roles::TableAction;
use super::super::transaction::Decision;
use super::operations::guid;
use super::properties::{self, TableProperties};
use super::{Session, operations, result, schema, tables};
use crate::data::{Column, ColumnBuilder, ColumnType, ResultTable, Schema, Value};
use crate::kql::{Punct, Tokens};

/// `.ingest [async] into table T (...)` and `.ingest inline into table T <| data`.
pub(super) fn run(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    if tokens.eat_word("inline") {
        let table = into_table(tokens)?;
        return inline(session, &table, tokens);
    }
    let asynchronous = tokens.eat_word("async");
    let table = into_table(tokens)?;
    from_blobs(session, asynchronous, table, tokens)
}

fn into_table(tokens: &mut Tokens<'_>) -> EngineResult<String> {
    if !tokens.eat_word("into") {
        return Err(tokens.unexpected("'into'").into());
    }
    tokens.eat_word("table");
    Ok(tokens.expect_name("a table name")?)
}

fn inline(session: &Session<'_>, table: &str, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let given = properties::parse(tokens)?;
    let properties = properties::ingestion(".ingest inline", &given)?;
    let data = if tokens.is(Punct::OpenBracket) {
        bracketed(tokens.rest())?
    } else {
        tokens.expect(Punct::LessPipe)?;
        without_first_blanks(tokens.rest()).to_owned()
    };
    operations::run(session, "DataIngestPush", false, || {
        let state = session.engine.snapshot();
        let (database, table) = session.table(&state, table)?;
        session.rights(&state).on_table(database, table, TableAction::Ingest)?;
        ingest::refuse_if_ingested(table, &properties)?;
        let new = if data.is_empty() {
            Vec::new()
        } else {
            let read = ingest::read_inline(session.engine, database, table, &data, &properties)?;
            NewExtent::of_inline(read, &table.schema)
        };
        let (engine, context) = (session.engine, session.context);
        let (caller, mischief) = (&context.principal, &context.mischief);
        let target = Target { engine, caller, database, table, properties: &properties, mischief };
        let extents = target.commit(new)?;
        let mut rows: Vec<_> = extents.into_iter().map(|id| vec![guid(id)]).collect();
        if rows.is_empty() {
            rows.push(vec![Value::Guid(0)]);
        }
        Ok(result(&[("ExtentId", ColumnType::Guid)], rows))
    })
}

/// Data begins behind the line that ends with `<|`, or behind the blanks on that line.
fn without_first_blanks(text: &str) -> &str {
    let trimmed = text.trim_start_matches([' ', '\t']);
    trimmed.strip_prefix("\r\n").or_else(|| trimmed.strip_prefix('\n')).unwrap_or(trimmed)
}

/// `[row][row]`: the rows, one a line. A bracket within quotes belongs to the row.
fn bracketed(text: &str) -> EngineResult<String> {
    let mut rows = String::new();
    let mut rest = text.trim();
    while let Some(row) = rest.strip_prefix('[') {
        let mut quoted = false;
        let end = row.find(|c| {
            quoted ^= c == '"';
            c == ']' && !quoted
        });
        let Some(end) = end else {
            return Err(EngineError::syntax("a row of .ingest inline has no closing bracket"));
        };
        rows.push_str(&row[..end]);
        rows.push('\n');
        rest = row[end + 1..].trim_start();
    }
    if rest.is_empty() {
        Ok(rows)
    } else {
        Err(EngineError::syntax("expected '[' or the end of .ingest inline"))
    }
}

fn from_blobs(
    session: &Session<'_>,
    asynchronous: bool,
    table: String,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    let urls = urls(tokens)?;
    let given = properties::parse(tokens)?;
    let properties = properties::ingestion(".ingest into", &given)?;
    super::end(tokens)?;
    let sources =
        urls.iter().map(|url| IngestSource { url: url.clone(), id: session.engine.new_id() }).collect();
    let request = IngestRequest {
        principal: session.context.principal.clone(),
        database: session.database.to_owned(),
        table,
        properties,
        sources,
        activity_id: session.context.activity_id,
        queued: false,
        mischief: session.context.mischief.clone(),
    };
    let pull = || {
        let table = meant(session, request.table)?;
        pull(session, IngestRequest { table, ..request }, &urls)
    };
    // The ingestion records itself; only an asynchronous command is an operation of its own.
    if asynchronous { operations::run(session, "DataIngestPull", true, pull) } else { pull() }
}

/// The present name of the table that a request means which was held since it resolved its names.
fn meant(session: &Session<'_>, table: String) -> EngineResult<String> {
    if session.resolved.is_none() {
        return Ok(table);
    }
    let state = session.engine.snapshot();
    Ok(session.table(&state, &table)?.1.name.clone())
}

/// Ingests; answers with a row per extent. A failure of every source is the command's.
fn pull(session: &Session<'_>, request: IngestRequest, urls: &[String]) -> EngineResult<ResultTable> {
    let started = session.engine.now();
    let outcome = session.engine.ingest(request)?;
    let duration = Value::TimeSpan(session.engine.now() - started);
    let failed = outcome.sources.iter().find_map(|source| match source {
        SourceOutcome::Failed(failure) => Some(failure.clone()),
        SourceOutcome::Ingested { .. } => None,
    });
    if let (Some(failure), true) = (&failed, outcome.extents.is_empty()) {
        return Err(failure.clone().into());
    }
    let items = urls.iter().map(|url| without_secret(url)).collect::<Vec<_>>().join(";");
    let ids = if outcome.extents.is_empty() { vec![uuid::Uuid::nil()] } else { outcome.extents };
    let row = |id| {
        let (errors, operation) = (Value::from(failed.is_some()), guid(outcome.operation_id));
        vec![guid(id), Value::from(items.as_str()), duration.clone(), errors, operation]
    };
    Ok(result(&INGESTED, ids.into_iter().map(row).collect()))
}

const INGESTED: [(&str, ColumnType); 5] = [
    ("ExtentId", ColumnType::Guid),
    ("ItemLoaded", ColumnType::String),
    ("Duration", ColumnType::TimeSpan),
    ("HasErrors", ColumnType::Bool),
    ("OperationId", ColumnType::Guid),
];

fn urls(tokens: &mut Tokens<'_>) -> EngineResult<Vec<String>> {
    let bracketed = tokens.eat(Punct::Open);
    let mut urls = vec![tokens.expect_text("the address of a blob in quotes")?];
    while tokens.eat(Punct::Comma) {
        urls.push(tokens.expect_text("the address of a blob in quotes")?);
    }
    if bracketed {
        tokens.expect(Punct::Close)?;
    }
    Ok(urls)
}

/// A `.set`-like command as it was written.
struct FromQuery<'a> {
    verb: &'a str,
    table: String,
    about: TableProperties,
    properties: IngestionProperties,
}

/// `.set|.append|.set-or-append|.set-or-replace [async] T [with (...)] <| query`.
pub(super) fn from_query(
    session: &Session<'_>,
    verb: &str,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    let asynchronous = tokens.eat_word("async");
    let table = tokens.expect_name("a table name")?;
    let mut given = properties::parse(tokens)?;
    let about = TableProperties::take(session, &mut given)?;
    let properties = properties::ingestion(&format!(".{verb}"), &given)?;
    tokens.expect(Punct::LessPipe)?;
    let query = tokens.rest();
    let command = FromQuery { verb, table, about, properties };
    operations::run(session, command.kind(), asynchronous, || {
        command.refuse_early(session)?;
        let rows = super::super::query::rows(session, query)?;
        command.store(session, rows)
    })
}

impl FromQuery<'_> {
    fn kind(&self) -> &'static str {
        match self.verb {
            "set" => "TableSet",
            "append" => "TableAppend",
            "set-or-append" => "TableSetOrAppend",
            _ => "TableSetOrReplace",
        }
    }

    /// The table that the command means. A table that came into being while the request was held counts for the commands
    /// that create.
    fn existing<'d>(&self, session: &Session<'_>, database: &'d Database) -> Option<&'d Arc<Table>> {
        let created = || database.tables.get(&self.table).filter(|_| self.verb != "append");
        session.find_table(database, &self.table).or_else(created)
    }

    /// What is wrong already now, so that the query need not run.
    fn refuse_early(&self, session: &Session<'_>) -> EngineResult<()> {
        let state = session.engine.snapshot();
        let database = session.context_database(&state)?;
        match (self.existing(session, database), self.verb) {
            (Some(_), "set") => Err(EngineError::already_exists("Table", &self.table)),
            (None, "append") => Err(EngineError::not_found("Table", &self.table)),
            (None, _) => names::validate("Table", &self.table),
            (Some(table), _) => {
                session.rights(&state).on_table(database, table, self.action())?;
                Ok(ingest::refuse_if_ingested(table, &self.properties)?)
            }
        }
    }

    /// What the caller needs on a table that exists.
    fn action(&self) -> TableAction {
        let replaces =
            self.verb == "set-or-replace" || self.about.extend_schema || self.about.recreate_schema;
        if replaces { TableAction::Administer } else { TableAction::Ingest }
    }

    fn store(&self, session: &Session<'_>, rows: ResultTable) -> EngineResult<ResultTable> {
        let state = session.engine.snapshot();
        let database = session.context_database(&state)?;
        let existing = self.existing(session, database).map(|table| &**table);
        let schema = self.schema(existing, &rows.schema)?;
        let columns =
            schema.columns.iter().enumerate().map(|(i, column)| converted(&rows, i, column)).collect();
        let new = NewExtent {
            schema: Arc::clone(&schema),
            original_size: rows.columns.iter().map(|column| column.bytes() as u64).sum(),
            rows: rows.rows as u64,
            columns,
        };
        let new = if rows.rows == 0 { Vec::new() } else { vec![new] };
        let extents = ingest::write(session.engine, &self.properties, new)?;
        let decided = session.transact(|state| self.decide(session, state, &schema, &extents));
        if decided.is_err() {
            extents.iter().for_each(|extent| session.engine.extents.doom(extent));
        }
        decided
    }

    /// The table's columns after the command; results are matched to them by position.
    fn schema(&self, existing: Option<&Table>, result: &Schema) -> EngineResult<Arc<Schema>> {
        let fresh = || {
            schema::validate(&result.columns)?;
            result.columns.iter().try_for_each(|column| names::validate("Column", &column.name))?;
            Ok(Arc::new(result.clone()))
        };
        let Some(table) = existing else { return fresh() };
        if self.about.recreate_schema && self.verb == "set-or-replace" {
            return fresh();
        }
        let own = &table.schema.columns;
        for (mine, theirs) in own.iter().zip(&result.columns) {
            if mine.ty != theirs.ty {
                return Err(EngineError::bad_request(format!(
                    "the query's column '{}' has the type {}, but the column '{}' at its position in table '{}' has {}.",
                    theirs.name, theirs.ty, mine.name, table.name, mine.ty
                )));
            }
        }
        match result.columns.get(own.len()..) {
            None | Some([]) => Ok(Arc::clone(&table.schema)),
            Some(more) if self.about.extend_schema => {
                let added = Schema::new(own.iter().chain(more).cloned().collect());
                schema::validate(&added.columns)?;
                Ok(Arc::new(added))
            }
            Some(more) => Err(EngineError::bad_request(format!(
                "the query yields {} columns more than table '{}' has; extend_schema=true adds them.",
                more.len(),
                table.name
            ))),
        }
    }

    fn decide(
        &self,
        session: &Session<'_>,
        state: &State,
        schema: &Arc<Schema>,
        extents: &[super::super::extent::Extent],
    ) -> EngineResult<Decision<ResultTable>> {
        let database = session.context_database(state)?;
        let mut changes = Vec::new();
        let existing = self.existing(session, database);
        match existing {
            None if self.verb == "append" => return Err(EngineError::not_found("Table", &self.table)),
            None => {
                let table = tables::new_table(
                    session,
                    state,
                    database,
                    &self.table,
                    (**schema).clone(),
                    &self.about,
                )?;
                changes.push(tables::put_change(database, table));
            }
            Some(_) if self.verb == "set" => return Err(EngineError::already_exists("Table", &self.table)),
            Some(table) => {
                session.rights(state).on_table(database, table, self.action())?;
                ingest::refuse_at_commit(session.engine, table, &self.properties)?;
                changes.extend(self.changes_of_table(database, table, schema));
            }
        }
        if !extents.is_empty() {
            changes.push(Change::AddExtents {
                database: database.name.clone(),
                table: existing.map_or(&self.table, |table| &table.name).clone(),
                extents: extents.to_vec(),
                merged: false,
            });
        }
        Ok(Decision::new(changes, stored(extents)))
    }

    fn changes_of_table(&self, database: &Database, table: &Table, schema: &Arc<Schema>) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut next = table.header();
        next.schema = Arc::clone(schema);
        next.docstring = self.about.docstring.clone().unwrap_or(next.docstring);
        next.folder = self.about.folder.clone().unwrap_or(next.folder);
        if next.schema != table.schema || next.docstring != table.docstring || next.folder != table.folder {
            changes.push(tables::put_change(database, next));
        }
        if self.verb == "set-or-replace" {
            let ids = table.extents.iter().map(|extent| extent.id).collect();
            changes.push(Change::DropExtents {
                database: database.name.clone(),
                table: table.name.clone(),
                ids,
            });
        }
        changes
    }
}

/// The column of a result as a column of the table; a missing one is null.
fn converted(rows: &ResultTable, at: usize, column: &Column) -> Arc<crate::data::ColumnData> {
    match rows.columns.get(at) {
        Some(data) if data.ty() == column.ty => Arc::clone(data),
        _ => {
            let mut builder = ColumnBuilder::with_capacity(column.ty, rows.rows);
            (0..rows.rows).for_each(|_| builder.push_null());
            Arc::new(builder.finish())
        }
    }
}

fn stored(extents: &[super::super::extent::Extent]) -> ResultTable {
    let columns = [
        ("ExtentId", ColumnType::Guid),
        ("OriginalSize", ColumnType::Real),
        ("ExtentSize", ColumnType::Real),
        ("CompressedSize", ColumnType::Real),
        ("IndexSize", ColumnType::Real),
        ("RowCount", ColumnType::Long),
    ];
    let row = |extent: &super::super::extent::Extent| {
        let size = Value::Real(extent.stored_size as f64);
        let rows = Value::Long(extent.rows.try_into().unwrap_or(i64::MAX));
        vec![
            guid(extent.id),
            Value::Real(extent.original_size as f64),
            size.clone(),
            size,
            Value::Real(0.0),
            rows,
        ]
    };
    result(&columns, extents.iter().map(row).collect())
}
