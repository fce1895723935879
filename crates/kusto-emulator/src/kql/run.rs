//! Entry points: a query, or operators behind a command, to tables.

use super::ast::{Operator, Parameter, Pipeline, Query, Source, Statement};
use super::batch::{Batch, Gathered};
use super::builder::Builder;
use super::cast;
use super::catalog::{Catalog, Given, Options};
use super::error::{ErrorKind, KqlError};
use super::lexer::Tokens;
use super::parser::Parser;
use super::relation::Relation;
use crate::data::{ResultTable, Value};
use std::sync::Arc;

/// What a query answers.
#[derive(Debug)]
pub(crate) struct Answer {
    /// A table called `PrimaryResult` for each tabular statement, in order.
    pub(crate) tables: Vec<ResultTable>,
    /// The limit at which the last table ends before its rows do.
    pub(crate) failure: Option<KqlError>,
}

impl Answer {
    /// The tables, if all rows are there.
    ///
    /// # Errors
    /// The failure.
    pub(crate) fn complete(self) -> Result<Vec<ResultTable>, KqlError> {
        self.failure.map_or(Ok(self.tables), Err)
    }
}

/// Runs a query; its limits are those of a query sent by a client.
///
/// # Errors
/// When the query does not fit the database, or uses what is not supported. That it passes a limit ([`ErrorKind::Limit`]) while
/// rows are made is part of the answer, as in the service.
pub(crate) fn run(query: &Query, catalog: &dyn Catalog, options: &Options) -> Result<Answer, KqlError> {
    let mut options = options.clone();
    query.options.iter().for_each(|(name, value)| options.set(name, value));
    execute(query, catalog, &options)
}

/// Runs the query of a command (`.set-or-append T <| query`), whose result is not sent: the limits on answers do not hold.
///
/// # Errors
/// As [`run`]; when it passes a limit, too, or has more than one tabular statement.
pub(crate) fn run_statement(
    query: &Query,
    catalog: &dyn Catalog,
    options: &Options,
) -> Result<ResultTable, KqlError> {
    let mut options = options.clone();
    query.options.iter().for_each(|(name, value)| options.set(name, value));
    let options = options.for_statement();
    let mut tables = execute(query, catalog, &options)?.complete()?;
    let table = tables.pop().filter(|_| tables.is_empty());
    table.ok_or_else(|| KqlError::unsupported("a query of several tables in a command"))
}

/// Pipes a table, such as a command's result, through operators; the table keeps its name.
///
/// # Errors
/// As [`run_statement`].
pub(crate) fn apply(
    table: ResultTable,
    operators: &[Operator],
    catalog: &dyn Catalog,
    options: &Options,
) -> Result<ResultTable, KqlError> {
    if operators.is_empty() {
        return Ok(table);
    }
    let name = table.name.clone();
    let pipeline = Pipeline { source: Source::Given, operators: operators.to_vec() };
    let mut builder = Builder::new(catalog, options);
    builder.declare_stored()?;
    let builder = builder.over(Arc::new(Given(table)));
    let (table, failure) = collect(builder.pipeline(&pipeline)?, options, &name)?;
    failure.map_or(Ok(table), Err)
}

fn execute(query: &Query, catalog: &dyn Catalog, options: &Options) -> Result<Answer, KqlError> {
    let mut builder = Builder::new(catalog, options);
    builder.declare_stored()?;
    for parameter in &query.parameters {
        let value = parameter_value(parameter, options)?;
        builder.declare(&parameter.name, parameter.ty, value);
    }
    let mut relations = Vec::new();
    for statement in &query.statements {
        match statement {
            Statement::Let(name, value) => builder.declare_let(name, value)?,
            Statement::Rows(pipeline) => relations.push(builder.pipeline(pipeline)?),
        }
    }
    let mut tables = Vec::with_capacity(relations.len());
    for relation in relations {
        let (table, failure) = collect(relation, options, "PrimaryResult")?;
        tables.push(table);
        if failure.is_some() {
            return Ok(Answer { tables, failure });
        }
    }
    Ok(Answer { tables, failure: None })
}

/// The value that the request gives a parameter, or its default.
fn parameter_value(parameter: &Parameter, options: &Options) -> Result<Value, KqlError> {
    let Parameter { name, ty, default } = parameter;
    let Some(text) = options.parameters.get(name) else {
        let missing = || {
            KqlError::semantic("SEM0500", format!("The query parameter '{name}' has no value and no default"))
        };
        return default.clone().map(|value| cast::value(&value, *ty)).ok_or_else(missing);
    };
    let mut parser = Parser::new(Tokens::new(text));
    let literal = parser.constant().ok().filter(|_| parser.tokens.at_end());
    match literal {
        Some((value, from)) if from == *ty || from.is_numeric() && ty.is_numeric() || value.is_null() => {
            Ok(cast::value(&value, *ty))
        }
        _ if *ty == crate::data::ColumnType::String => Ok(Value::from(text.as_str())),
        Some((Value::String(text), _)) => non_null(name, crate::data::parse_text(*ty, &text)),
        _ => non_null(name, crate::data::parse_text(*ty, text)),
    }
}

fn non_null(name: &str, value: Value) -> Result<Value, KqlError> {
    if value.is_null() {
        return Err(KqlError::semantic(
            "SEM0500",
            format!("The value of the query parameter '{name}' is no literal of its type"),
        ));
    }
    Ok(value)
}

/// The rows of a relation as a table, as far as the limits of the options go, and the limit that was passed.
fn collect(
    relation: Relation,
    options: &Options,
    name: &str,
) -> Result<(ResultTable, Option<KqlError>), KqlError> {
    let Relation { schema, mut rows, .. } = relation;
    let mut gathered = Gathered::of(&schema);
    let failure = loop {
        let batch = match rows.next() {
            None => break None,
            Some(Ok(batch)) => batch,
            Some(Err(limit)) if limit.kind == ErrorKind::Limit => break Some(limit),
            Some(Err(error)) => return Err(error),
        };
        if let Some(limit) = within(options, &mut gathered, batch) {
            break limit;
        }
    };
    let batch = gathered.finish();
    let rows = batch.rows;
    let table = ResultTable { name: name.to_owned(), schema, columns: batch.into_columns(), rows };
    Ok((table, failure))
}

/// Takes in the rows of a batch that may be answered; tells when, and why, no more are taken.
fn within(options: &Options, gathered: &mut Gathered, batch: Batch) -> Option<Option<KqlError>> {
    let wanted = options.take_max.unwrap_or(usize::MAX) - gathered.rows;
    let (max_rows, max_bytes) = options.limits();
    let allowed = max_rows - gathered.rows;
    let rows = batch.rows.min(wanted).min(allowed);
    let taken = if rows < batch.rows { batch.slice(0, rows) } else { batch.clone() };
    let before = gathered.bytes();
    gathered.push(&taken);
    if gathered.bytes() > options.max_memory {
        return Some(Some(KqlError::runaway("result", options.max_memory)));
    }
    if gathered.bytes() > max_bytes {
        // Rows of a batch weigh much the same: as many stay as fit, about.
        let (size, room) = (gathered.bytes() - before, max_bytes.saturating_sub(before));
        let fitting = (taken.rows as f64 * room as f64 / size.max(1) as f64) as usize;
        gathered.truncate(gathered.rows - taken.rows + fitting.min(taken.rows));
        return Some(Some(KqlError::result_too_large("data size", max_bytes)));
    }
    if rows == batch.rows.min(wanted) {
        return (rows == wanted).then_some(None);
    }
    Some(Some(KqlError::result_too_large("record count", max_rows)))
}
