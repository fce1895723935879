//! Entry points: a query, or operators behind a command, to tables.

use super::ast::{Operator, Parameter, Pipeline, Query, Source};
use super::batch::Gathered;
use super::cast;
use super::catalog::{Catalog, Options};
use super::error::KqlError;
use super::lexer::Tokens;
use super::parser::Parser;
use super::relation::{Builder, Relation};
use crate::data::{ResultTable, Value};

/// Runs a query. The answer is one table, `PrimaryResult`; its limits are those of a query sent by a client.
///
/// # Errors
/// When the query does not fit the database, uses what is not supported, or passes a limit ([`super::ErrorKind::Limit`]).
pub(crate) fn run(
    query: &Query,
    catalog: &dyn Catalog,
    options: &Options,
) -> Result<Vec<ResultTable>, KqlError> {
    let mut options = options.clone();
    query.options.iter().for_each(|(name, value)| options.set(name, value));
    let table = execute(query, catalog, &options)?;
    Ok(vec![table])
}

/// Runs the query of a command (`.set-or-append T <| query`), whose result is not sent: the limits on answers do not hold.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_statement(
    query: &Query,
    catalog: &dyn Catalog,
    options: &Options,
) -> Result<ResultTable, KqlError> {
    execute(query, catalog, &Options { no_truncation: true, ..options.clone() })
}

/// Pipes a table, such as a command's result, through operators; the table keeps its name.
///
/// # Errors
/// As [`run`].
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
    let relation = Builder::new(catalog, options, Some(table)).pipeline(&pipeline)?;
    collect(relation, options, &name)
}

fn execute(query: &Query, catalog: &dyn Catalog, options: &Options) -> Result<ResultTable, KqlError> {
    let mut builder = Builder::new(catalog, options, None);
    for parameter in &query.parameters {
        let value = parameter_value(parameter, options)?;
        builder.declare(&parameter.name, parameter.ty, value);
    }
    for (name, expr) in &query.lets {
        builder.declare_let(name, expr)?;
    }
    collect(builder.pipeline(&query.body)?, options, "PrimaryResult")
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

/// The rows of a relation as a table, within the limits of the options.
fn collect(relation: Relation, options: &Options, name: &str) -> Result<ResultTable, KqlError> {
    let Relation { schema, rows } = relation;
    let mut gathered = Gathered::new(schema.columns.iter().map(|column| column.ty));
    let mut left = options.take_max.unwrap_or(usize::MAX);
    for batch in rows {
        let batch = batch?;
        let batch = if batch.rows > left { batch.slice(0, left) } else { batch };
        gathered.push(&batch);
        left -= batch.rows;
        if !options.no_truncation && gathered.rows > options.max_rows {
            return Err(KqlError::result_too_large("record count", options.max_rows));
        }
        if !options.no_truncation && gathered.bytes() > options.max_bytes {
            return Err(KqlError::result_too_large("data size", options.max_bytes));
        }
        if gathered.bytes() > options.max_memory {
            return Err(KqlError::runaway("result", options.max_memory));
        }
        if left == 0 {
            break;
        }
    }
    let batch = gathered.finish();
    let rows = batch.rows;
    Ok(ResultTable { name: name.to_owned(), schema, columns: batch.into_columns(), rows })
}
