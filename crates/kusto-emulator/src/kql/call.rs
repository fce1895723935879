//! Sources that are calls: functions of the query, `table(..)`, `materialize(..)`, and `invoke`.

use super::ast::{Expr, Function, Named, Operator, Pipeline, Source, TakesIn};
use super::builder::Builder;
use super::error::KqlError;
use super::relation::Relation;
use super::scopes::Closure;
use crate::data::{Column, Schema};
use std::rc::Rc;

/// What a function is given: an expression of the query, or rows that are there already.
enum Argument<'e> {
    Written(&'e Expr),
    Rows(Pipeline),
}

impl Builder<'_> {
    /// `table('T')`, `materialize(..)`, or a function of the query that gives rows.
    pub(super) fn call_source(&self, name: &str, arguments: &[Expr]) -> Result<Relation, KqlError> {
        if let Some(function) = self.names.function(name) {
            let written = arguments.iter().map(Argument::Written).collect();
            return self.call_function(name, function, written);
        }
        match (name, arguments) {
            ("materialize", [table]) => self.pipeline(&self.tabular(table)?),
            ("table", [table, ..]) => {
                let (_, value) =
                    self.with_scope("table", &Schema::default(), |scope| scope.constant(table))?;
                self.table(value.as_str().unwrap_or(""))
            }
            ("materialized_view", [view] | [view, _]) => {
                let (_, value) =
                    self.with_scope("materialized_view", &Schema::default(), |scope| scope.constant(view))?;
                self.materialized_part(value.as_str().unwrap_or(""))
            }
            _ => Err(KqlError::no_function(name)),
        }
    }

    /// `T | invoke f(x)` is `f(T, x)`.
    pub(super) fn invoke(
        &self,
        name: &str,
        rows: Pipeline,
        arguments: &[Expr],
    ) -> Result<Relation, KqlError> {
        let function = self.names.function(name).ok_or_else(|| KqlError::no_function(name))?;
        let mut given = vec![Argument::Rows(rows)];
        given.extend(arguments.iter().map(Argument::Written));
        self.call_function(name, function, given)
    }

    fn call_function(
        &self,
        name: &str,
        function: &Closure<Function>,
        arguments: Vec<Argument<'_>>,
    ) -> Result<Relation, KqlError> {
        let Function { parameters, lets, body, .. } = &function.what;
        if arguments.len() > parameters.len() {
            return Err(wrong_arguments(name, parameters.len()));
        }
        let mut names = (*function.names).clone();
        let mut arguments = arguments.into_iter();
        for parameter in parameters {
            match (parameter, arguments.next()) {
                (TakesIn::Scalar(parameter), Some(Argument::Written(argument))) => {
                    let (ty, value) =
                        self.with_scope(name, &Schema::default(), |scope| scope.constant(argument))?;
                    let value = super::scopes::argument(name, parameter, ty, &value)?;
                    names.declare_scalar(&parameter.name, parameter.ty, value);
                }
                (TakesIn::Scalar(parameter), None) => {
                    let value = parameter.default.as_ref();
                    let value = value.ok_or_else(|| wrong_arguments(name, parameters.len()))?;
                    let value = super::cast::value(value, parameter.ty);
                    names.declare_scalar(&parameter.name, parameter.ty, value);
                }
                (TakesIn::Table(parameter, schema), Some(argument)) => {
                    let rows = match argument {
                        Argument::Written(expr) => self.tabular(expr)?,
                        Argument::Rows(rows) => rows,
                    };
                    let what = self.table_argument(name, schema, rows)?;
                    names.declare_table(parameter, Closure::new(what, &self.names));
                }
                _ => return Err(wrong_arguments(name, parameters.len())),
            }
        }
        let mut inner = self.among(Rc::new(names));
        for (name, value) in lets {
            inner.declare_let(name, value)?;
        }
        inner.pipeline(&inner.tabular(body)?)
    }

    /// A table given to a function: it must have the declared columns, and the function sees only those.
    fn table_argument(&self, name: &str, schema: &Schema, rows: Pipeline) -> Result<Pipeline, KqlError> {
        if schema.is_empty() {
            return Ok(rows);
        }
        let found = self.pipeline(&rows)?.schema;
        if let Some(missing) = schema.columns.iter().find(|column| !found.columns.contains(column)) {
            let message =
                format!("{name}(): the table has no column '{}' of type {}", missing.name, missing.ty);
            return Err(KqlError::semantic("SEM0024", message));
        }
        let column = |column: &Column| Named { name: None, expr: Expr::Name(column.name.clone()) };
        let seen = Operator::Project(schema.columns.iter().map(column).collect());
        Ok(Pipeline { source: Source::Nested(Box::new(rows)), operators: vec![seen] })
    }
}

/// A function has another number of arguments.
pub(super) fn wrong_arguments(name: &str, wanted: usize) -> KqlError {
    KqlError::semantic("SEM0219", format!("{name}(): function expects {wanted} argument(s)"))
}
