//! Tabular expressions at work: each operator turns an iterator of batches into another.
//!
//! Building a relation checks it; no row of a table is read before its first batch is asked for (a scalar taken from a table, as in
//! `in (T | ..)` and `toscalar(..)`, is read while building, as it is a constant for the rest).

use super::ast::{Expr, Function, Let, Named, Operator, Pipeline, Source, TakesIn};
use super::batch::{BATCH_ROWS, Batch, Gathered};
use super::bind::Scope;
use super::catalog::{Catalog, Given, Options, TableSource};
use super::error::KqlError;
use super::eval::{Env, eval};
use super::scopes::{self, Closure, Names};
use super::typed::Typed;
use crate::data::{Column, ColumnType, ResultTable, Schema, Value};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Batches, one after another.
pub(super) type Rows = Box<dyn Iterator<Item = Result<Batch, KqlError>>>;

/// Sources and operators that one query may have, those of its variables counted at every use.
const MAX_PARTS: usize = 500;
/// Pipelines within pipelines.
const MAX_NESTING: usize = 60;
/// Functions that a query may declare.
const MAX_FUNCTIONS: usize = 200;
/// Nodes that calls of the query's functions may add to its expressions.
const MAX_EXPANSION: usize = 100_000;
/// Values that a tabular expression may give where a scalar or a list stands.
const MAX_LIST: usize = 1_000_000;

/// Columns and their rows to come.
pub(super) struct Relation {
    pub(super) schema: Schema,
    pub(super) rows: Rows,
}

impl Relation {
    pub(super) fn new(
        schema: Schema,
        rows: impl Iterator<Item = Result<Batch, KqlError>> + 'static,
    ) -> Relation {
        Relation { schema, rows: Box::new(rows) }
    }

    /// The relation of one batch that is made when it is asked for.
    pub(super) fn once(schema: Schema, make: impl FnOnce() -> Result<Batch, KqlError> + 'static) -> Relation {
        Relation::new(schema, std::iter::once_with(make))
    }
}

/// What the parts of one query share.
struct Shared<'a> {
    catalog: &'a dyn Catalog,
    given: Option<Arc<Given>>,
    /// The tables asked for so far: each is asked for once.
    known: RefCell<HashMap<String, Arc<dyn TableSource>>>,
    built: Cell<usize>,
    nesting: Cell<usize>,
    /// How much more the bodies of functions may add to expressions.
    room: Cell<usize>,
}

/// Builds relations in a database, among some names.
pub(super) struct Builder<'a> {
    shared: Rc<Shared<'a>>,
    pub(super) env: Arc<Env>,
    pub(super) max_memory: usize,
    pub(super) names: Rc<Names>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        catalog: &'a dyn Catalog,
        options: &Options,
        given: Option<ResultTable>,
    ) -> Builder<'a> {
        let shared = Shared {
            catalog,
            given: given.map(|table| Arc::new(Given(table))),
            known: RefCell::default(),
            built: Cell::new(0),
            nesting: Cell::new(0),
            room: Cell::new(MAX_EXPANSION),
        };
        Builder {
            shared: Rc::new(shared),
            env: Arc::new(Env::new(catalog, options)),
            max_memory: options.max_memory,
            names: Rc::default(),
        }
    }

    /// The same query seen from a place with other names.
    pub(super) fn among(&self, names: Rc<Names>) -> Builder<'a> {
        let (shared, env) = (Rc::clone(&self.shared), Arc::clone(&self.env));
        Builder { shared, env, max_memory: self.max_memory, names }
    }

    /// Declares a scalar variable.
    pub(super) fn declare(&mut self, name: &str, ty: ColumnType, value: Value) {
        Rc::make_mut(&mut self.names).declare_scalar(name, ty, value);
    }

    /// Declares what a `let` does.
    pub(super) fn declare_let(&mut self, name: &str, value: &Let) -> Result<(), KqlError> {
        match value {
            Let::Function(function) => {
                if self.names.functions() >= MAX_FUNCTIONS {
                    return Err(too_complex());
                }
                let closure = Closure { what: function.clone(), names: Rc::clone(&self.names) };
                Rc::make_mut(&mut self.names).declare_function(name, closure);
            }
            Let::Value(expr) if self.names.is_tabular(expr) => {
                let pipeline = self.tabular(expr)?;
                self.pipeline(&pipeline)?;
                let closure = Closure { what: pipeline, names: Rc::clone(&self.names) };
                Rc::make_mut(&mut self.names).declare_table(name, closure);
            }
            Let::Value(expr) => {
                let (ty, value) = self.with_scope("let", &Schema::default(), |scope| scope.constant(expr))?;
                self.declare(name, ty, value);
            }
        }
        Ok(())
    }

    fn tabular(&self, expr: &Expr) -> Result<Pipeline, KqlError> {
        scopes::as_pipeline(expr)
            .ok_or_else(|| KqlError::semantic("SEM0100", "a tabular expression is expected"))
    }

    /// Runs `work` with the names that mean something behind `operator`.
    pub(super) fn with_scope<T>(
        &self,
        operator: &str,
        schema: &Schema,
        work: impl FnOnce(&Scope<'_>) -> T,
    ) -> T {
        let run_table = |expr: &Expr, names: &Rc<Names>| self.among(Rc::clone(names)).first_column(expr);
        let locals = HashMap::new();
        let (names, env, room) = (&self.names, &*self.env, &self.shared.room);
        work(&Scope { operator, schema, names, locals: &locals, env, room, run_table: &run_table })
    }

    /// The type and the values of the first column of a tabular expression.
    fn first_column(&self, expr: &Expr) -> Result<(ColumnType, Vec<Value>), KqlError> {
        let pipeline = self.tabular(expr)?;
        let relation = self.pipeline(&pipeline)?;
        let Some(first) = relation.schema.columns.first() else {
            return Ok((ColumnType::Dynamic, Vec::new()));
        };
        let ty = first.ty;
        let mut values = Vec::new();
        for batch in relation.rows {
            let column = batch?.column(0);
            values.extend((0..column.len()).map(|row| column.value(row)));
            if values.len() > MAX_LIST {
                return Err(KqlError::runaway("in", MAX_LIST));
            }
        }
        Ok((ty, values))
    }

    /// A tabular expression.
    pub(super) fn pipeline(&self, pipeline: &Pipeline) -> Result<Relation, KqlError> {
        let Shared { built, nesting, .. } = &*self.shared;
        built.set(built.get() + 1 + pipeline.operators.len());
        nesting.set(nesting.get() + 1);
        if built.get() > MAX_PARTS || nesting.get() > MAX_NESTING {
            return Err(too_complex());
        }
        let mut relation = self.checked(self.source(&pipeline.source)?);
        for operator in &pipeline.operators {
            relation = self.operator(relation, operator)?;
        }
        nesting.set(nesting.get() - 1);
        self.env.check()?;
        Ok(self.checked(relation))
    }

    /// The same rows, as long as time and memory last.
    fn checked(&self, relation: Relation) -> Relation {
        let env = Arc::clone(&self.env);
        Relation::new(relation.schema, relation.rows.map(move |batch| env.check().and(batch)))
    }

    fn source(&self, source: &Source) -> Result<Relation, KqlError> {
        match source {
            Source::Name(name) => self.table(name),
            Source::Nested(pipeline) => self.pipeline(pipeline),
            Source::Print(items) => self.print(items),
            Source::Datatable(schema, values) => self.datatable(schema, values),
            Source::Range(name, bounds) => self.range(name, bounds),
            Source::Union(union) => self.union(None, union),
            Source::Call(name, arguments) => self.call_source(name, arguments),
            Source::OfDatabase(database, table) => {
                let (_, value) =
                    self.with_scope("database", &Schema::default(), |scope| scope.constant(database))?;
                let here = self.shared.catalog.database();
                if value.as_str().is_none_or(|name| name != here) {
                    return Err(KqlError::unsupported("tables of another database than the request's"));
                }
                self.stored(table)
            }
            Source::Wildcard(_) => Err(KqlError::unsupported("wildcards outside of 'union'")),
            Source::Given => match &self.shared.given {
                Some(given) => Ok(scan(Arc::clone(given) as Arc<dyn TableSource>)),
                None => Err(KqlError::no_table("")),
            },
        }
    }

    fn table(&self, name: &str) -> Result<Relation, KqlError> {
        if let Some(table) = self.names.table(name) {
            return self.among(Rc::clone(&table.names)).pipeline(&table.what);
        }
        if self.names.scalar(name).is_some() {
            return Err(KqlError::semantic("SEM0100", format!("'{name}' is a scalar, a table is expected")));
        }
        if self.names.function(name).is_some_and(|function| function.what.view) {
            return self.call_source(name, &[]);
        }
        self.stored(name)
    }

    /// A table of the database.
    fn stored(&self, name: &str) -> Result<Relation, KqlError> {
        if let Some(source) = self.shared.known.borrow().get(name) {
            return Ok(scan(Arc::clone(source)));
        }
        let source = self.shared.catalog.table(name)?;
        self.shared.known.borrow_mut().insert(name.to_owned(), Arc::clone(&source));
        Ok(scan(source))
    }

    /// The tables and views that a pattern with `*` stands for, in the order of their names.
    pub(super) fn tables_like(&self, pattern: &str) -> Vec<Pipeline> {
        let matches = |name: &str| super::project::matches(pattern, name);
        let mut names = self.names.tables_like(matches);
        names.extend(self.shared.catalog.tables().into_iter().filter(|name| matches(name)));
        names.sort();
        names.dedup();
        names.iter().map(|name| named(name)).collect()
    }

    /// `table('T')`, `materialize(..)`, or a function of the query that gives rows.
    fn call_source(&self, name: &str, arguments: &[Expr]) -> Result<Relation, KqlError> {
        if let Some(function) = self.names.function(name) {
            return self.call_function(name, function, arguments);
        }
        match (name, arguments) {
            ("materialize", [table]) => self.pipeline(&self.tabular(table)?),
            ("table", [table, ..]) => {
                let (_, value) =
                    self.with_scope("table", &Schema::default(), |scope| scope.constant(table))?;
                self.table(value.as_str().unwrap_or(""))
            }
            _ => Err(KqlError::no_function(name)),
        }
    }

    fn call_function(
        &self,
        name: &str,
        function: &Closure<Function>,
        arguments: &[Expr],
    ) -> Result<Relation, KqlError> {
        let Function { parameters, lets, body, .. } = &function.what;
        if arguments.len() > parameters.len() {
            return Err(wrong_arguments(name, parameters.len()));
        }
        let mut names = (*function.names).clone();
        for (at, parameter) in parameters.iter().enumerate() {
            match (parameter, arguments.get(at)) {
                (TakesIn::Scalar(parameter), Some(argument)) => {
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
                    let what = self.table_argument(name, schema, argument)?;
                    let names_here = Rc::clone(&self.names);
                    names.declare_table(parameter, Closure { what, names: names_here });
                }
                (TakesIn::Table(..), None) => return Err(wrong_arguments(name, parameters.len())),
            }
        }
        let mut inner = self.among(Rc::new(names));
        for (name, value) in lets {
            inner.declare_let(name, value)?;
        }
        inner.pipeline(&inner.tabular(body)?)
    }

    /// A table given to a function: it must have the declared columns, and the function sees only those.
    fn table_argument(&self, name: &str, schema: &Schema, argument: &Expr) -> Result<Pipeline, KqlError> {
        let pipeline = self.tabular(argument)?;
        if schema.is_empty() {
            return Ok(pipeline);
        }
        let found = self.pipeline(&pipeline)?.schema;
        if let Some(missing) = schema.columns.iter().find(|column| !found.columns.contains(column)) {
            let message =
                format!("{name}(): the table has no column '{}' of type {}", missing.name, missing.ty);
            return Err(KqlError::semantic("SEM0024", message));
        }
        let column = |column: &Column| Named { name: None, expr: Expr::Name(column.name.clone()) };
        let seen = Operator::Project(schema.columns.iter().map(column).collect());
        Ok(Pipeline { source: Source::Nested(Box::new(pipeline)), operators: vec![seen] })
    }

    fn operator(&self, input: Relation, operator: &Operator) -> Result<Relation, KqlError> {
        match operator {
            Operator::Where(condition) => self.filter(input, condition),
            Operator::Project(items) => self.project(input, items),
            Operator::Extend(items) => self.extend(input, items),
            Operator::ProjectAway(patterns) => self.keep(input, patterns, false),
            Operator::ProjectKeep(patterns) => self.keep(input, patterns, true),
            Operator::ProjectRename(renames) => self.rename(input, renames),
            Operator::ProjectReorder(patterns) => self.reorder(input, patterns),
            Operator::Summarize(aggregates, keys) => self.summarize(input, aggregates, keys),
            Operator::Distinct(keys) => self.distinct(input, keys),
            Operator::Count => Ok(count(input)),
            Operator::Take(limit) => {
                let limit = self.row_count("take", limit)?;
                Ok(Relation { schema: input.schema, rows: Box::new(Take { rows: input.rows, left: limit }) })
            }
            Operator::Top(limit, keys) => {
                let limit = self.row_count("top", limit)?;
                self.sort("top", input, keys, Some(limit))
            }
            Operator::Sort(keys) => self.sort("sort", input, keys, None),
            Operator::MvExpand(expand) => self.mv_expand(input, expand),
            Operator::Join(join) => self.join(input, join),
            Operator::Parse(parse) => self.parse(input, parse),
            Operator::Union(union) => self.union(Some(input), union),
            Operator::GetSchema => Ok(get_schema(&input.schema)),
            Operator::Pass => Ok(input),
        }
    }

    /// A number of rows that an operator is given.
    pub(super) fn row_count(&self, operator: &str, expr: &Expr) -> Result<usize, KqlError> {
        let (_, value) = self.with_scope(operator, &Schema::default(), |scope| scope.constant(expr))?;
        let count = value.as_i64().and_then(|n| usize::try_from(n).ok());
        count.ok_or_else(|| {
            KqlError::semantic(
                "SEM0041",
                format!("'{operator}' operator: the number of rows must be a whole number, zero or more"),
            )
        })
    }

    fn filter(&self, input: Relation, condition: &Expr) -> Result<Relation, KqlError> {
        let condition = self.with_scope("where", &input.schema, |scope| scope.condition(condition))?;
        let env = Arc::clone(&self.env);
        let rows = input.rows.filter_map(move |batch| match batch {
            Ok(batch) => filtered(&batch, &condition, &env).map(Ok),
            error => Some(error),
        });
        Ok(Relation::new(input.schema, rows))
    }
}

fn too_complex() -> KqlError {
    let message =
        "The query is too complex: it combines too many tabular expressions, operators and functions";
    KqlError::semantic("SEM0001", message)
}

pub(super) fn wrong_arguments(name: &str, wanted: usize) -> KqlError {
    KqlError::semantic("SEM0219", format!("{name}(): function expects {wanted} argument(s)"))
}

/// A pipeline that is only a name.
pub(super) fn named(name: &str) -> Pipeline {
    Pipeline { source: Source::Name(name.to_owned()), operators: Vec::new() }
}

/// The rows of a batch for which the condition is true; none when there are none.
fn filtered(batch: &Batch, condition: &Typed, env: &Env) -> Option<Batch> {
    let flags = eval(condition, batch, env);
    if flags.stride == 0 {
        return flags.is_true(0).then(|| batch.clone());
    }
    let rows: Vec<u32> = (0..batch.rows).filter(|row| flags.is_true(*row)).map(|row| row as u32).collect();
    match rows.len() {
        0 => None,
        n if n == batch.rows => Some(batch.clone()),
        _ => Some(batch.select(&Arc::new(rows))),
    }
}

/// The rows of a table, cut into batches.
fn scan(source: Arc<dyn TableSource>) -> Relation {
    let schema = source.schema().clone();
    let of_rows = schema.clone();
    let extents = std::iter::once_with(move || source.extents()).flatten();
    let rows = extents.flat_map(move |extent| {
        let whole = Batch::of_extent(extent, &of_rows);
        (0..whole.rows)
            .step_by(BATCH_ROWS)
            .map(move |start| Ok(whole.slice(start, BATCH_ROWS.min(whole.rows - start))))
    });
    Relation::new(schema, rows)
}

/// The first rows; its source is not asked for more than it needs.
struct Take {
    rows: Rows,
    left: usize,
}

impl Iterator for Take {
    type Item = Result<Batch, KqlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let batch = match self.rows.next()? {
            Ok(batch) => batch,
            error => return Some(error),
        };
        let batch = if batch.rows > self.left { batch.slice(0, self.left) } else { batch };
        self.left -= batch.rows;
        Some(Ok(batch))
    }
}

/// `count`
fn count(input: Relation) -> Relation {
    let schema = Schema::of(&[("Count", ColumnType::Long)]);
    Relation::once(schema.clone(), move || {
        let mut total = 0;
        for batch in input.rows {
            total += batch?.rows as i64;
        }
        Ok(table_batch(&ResultTable::from_rows("", schema, [[Value::Long(total)]])))
    })
}

/// `getschema`
fn get_schema(described: &Schema) -> Relation {
    let schema = Schema::of(&[
        ("ColumnName", ColumnType::String),
        ("ColumnOrdinal", ColumnType::Long),
        ("DataType", ColumnType::String),
        ("ColumnType", ColumnType::String),
    ]);
    let row = |(at, column): (usize, &Column)| {
        [
            Value::from(column.name.as_str()),
            Value::Long(at as i64),
            Value::from(column.ty.system_name()),
            Value::from(column.ty.csl_name()),
        ]
    };
    let table = ResultTable::from_rows("", schema, described.columns.iter().enumerate().map(row));
    let batch = table_batch(&table);
    Relation::once(table.schema, move || Ok(batch))
}

/// A table as one batch.
pub(super) fn table_batch(table: &ResultTable) -> Batch {
    Batch::new(table.columns.clone(), table.rows)
}

/// All rows as one batch, as long as they fit in memory.
pub(super) fn gather(
    operator: &str,
    schema: &Schema,
    rows: Rows,
    max_memory: usize,
) -> Result<Batch, KqlError> {
    let mut gathered = Gathered::new(schema.columns.iter().map(|column| column.ty));
    for batch in rows {
        gathered.push(&batch?);
        if gathered.bytes() > max_memory || gathered.rows > u32::MAX as usize - BATCH_ROWS {
            return Err(KqlError::runaway(operator, max_memory));
        }
    }
    Ok(gathered.finish())
}
