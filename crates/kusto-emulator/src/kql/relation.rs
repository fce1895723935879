//! Tabular expressions at work: each operator turns an iterator of batches into another.
//!
//! Building a relation checks it; no row of a table is read before its first batch is asked for (a scalar taken from a table, as in
//! `in (T | ..)` and `toscalar(..)`, is read while building, as it is a constant for the rest).

use super::ast::{Expr, Operator, Pipeline, Source};
use super::batch::{BATCH_ROWS, Batch, Gathered};
use super::bind::Scope;
use super::catalog::{Catalog, Given, Options, TableSource};
use super::error::KqlError;
use super::eval::{Env, eval};
use super::typed::Typed;
use crate::data::{Column, ColumnType, ResultTable, Schema, Value};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

/// Batches, one after another.
pub(super) type Rows = Box<dyn Iterator<Item = Result<Batch, KqlError>>>;

/// Sources and operators that one query may have, those of its variables counted at every use.
const MAX_PARTS: usize = 500;
/// Pipelines within pipelines.
const MAX_NESTING: usize = 60;
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

/// Builds relations in a database.
pub(super) struct Builder<'a> {
    catalog: &'a dyn Catalog,
    pub(super) env: Arc<Env>,
    pub(super) max_memory: usize,
    variables: HashMap<String, (ColumnType, Value)>,
    /// Tabular variables; each may use those before it.
    tabular: Vec<(String, Pipeline)>,
    given: Option<Arc<Given>>,
    known: RefCell<HashMap<String, Arc<dyn TableSource>>>,
    built: Cell<usize>,
    nesting: Cell<usize>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        catalog: &'a dyn Catalog,
        options: &Options,
        given: Option<ResultTable>,
    ) -> Builder<'a> {
        Builder {
            catalog,
            env: Arc::new(Env::new(catalog, options.timeout)),
            max_memory: options.max_memory,
            variables: HashMap::new(),
            tabular: Vec::new(),
            given: given.map(|table| Arc::new(Given(table))),
            known: RefCell::default(),
            built: Cell::new(0),
            nesting: Cell::new(0),
        }
    }

    /// Declares a scalar variable.
    pub(super) fn declare(&mut self, name: &str, ty: ColumnType, value: Value) {
        self.variables.insert(name.to_owned(), (ty, value));
    }

    /// Declares the variable of a `let`.
    pub(super) fn declare_let(&mut self, name: &str, expr: &Expr) -> Result<(), KqlError> {
        let alias = match expr {
            Expr::Name(other) if !self.variables.contains_key(other) => Some(named(other)),
            Expr::Table(pipeline) => Some((**pipeline).clone()),
            _ => None,
        };
        if let Some(pipeline) = alias {
            self.pipeline(&pipeline)?;
            self.tabular.push((name.to_owned(), pipeline));
            return Ok(());
        }
        let (ty, value) = self.with_scope("let", &Schema::default(), |scope| scope.constant(expr))?;
        self.declare(name, ty, value);
        Ok(())
    }

    /// Runs `work` with the names that mean something behind `operator`.
    pub(super) fn with_scope<T>(
        &self,
        operator: &str,
        schema: &Schema,
        work: impl FnOnce(&Scope<'_>) -> T,
    ) -> T {
        let run_table = |expr: &Expr| self.first_column(expr);
        let (variables, env) = (&self.variables, &*self.env);
        work(&Scope { operator, schema, variables, env, run_table: &run_table })
    }

    /// The values of the first column of a tabular expression.
    fn first_column(&self, expr: &Expr) -> Result<Vec<Value>, KqlError> {
        let pipeline = match expr {
            Expr::Table(pipeline) => (**pipeline).clone(),
            Expr::Name(name) => named(name),
            _ => return Err(KqlError::semantic("SEM0100", "a tabular expression is expected")),
        };
        let relation = self.pipeline(&pipeline)?;
        if relation.schema.is_empty() {
            return Ok(Vec::new());
        }
        let mut values = Vec::new();
        for batch in relation.rows {
            let column = batch?.column(0);
            values.extend((0..column.len()).map(|row| column.value(row)));
            if values.len() > MAX_LIST {
                return Err(KqlError::runaway("in", MAX_LIST));
            }
        }
        Ok(values)
    }

    /// A tabular expression.
    pub(super) fn pipeline(&self, pipeline: &Pipeline) -> Result<Relation, KqlError> {
        self.built.set(self.built.get() + 1 + pipeline.operators.len());
        self.nesting.set(self.nesting.get() + 1);
        if self.built.get() > MAX_PARTS || self.nesting.get() > MAX_NESTING {
            let message = "The query is too complex: it combines too many tabular expressions and operators";
            return Err(KqlError::semantic("SEM0001", message));
        }
        let mut relation = self.checked(self.source(&pipeline.source)?);
        for operator in &pipeline.operators {
            relation = self.operator(relation, operator)?;
        }
        self.nesting.set(self.nesting.get() - 1);
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
            Source::Given => match &self.given {
                Some(given) => Ok(scan(Arc::clone(given) as Arc<dyn TableSource>)),
                None => Err(KqlError::no_table("")),
            },
        }
    }

    fn table(&self, name: &str) -> Result<Relation, KqlError> {
        if let Some(at) = self.tabular.iter().rposition(|(known, _)| known == name) {
            return self.variable(at);
        }
        if self.variables.contains_key(name) {
            return Err(KqlError::semantic("SEM0100", format!("'{name}' is a scalar, a table is expected")));
        }
        if let Some(source) = self.known.borrow().get(name) {
            return Ok(scan(Arc::clone(source)));
        }
        let source = self.catalog.table(name)?;
        self.known.borrow_mut().insert(name.to_owned(), Arc::clone(&source));
        Ok(scan(source))
    }

    /// The tabular variable at `at`, built where only the variables before it are visible.
    fn variable(&self, at: usize) -> Result<Relation, KqlError> {
        let inner = Builder {
            catalog: self.catalog,
            env: Arc::clone(&self.env),
            max_memory: self.max_memory,
            variables: self.variables.clone(),
            tabular: self.tabular[..at].to_vec(),
            given: self.given.clone(),
            known: RefCell::new(self.known.borrow().clone()),
            built: Cell::new(self.built.get()),
            nesting: Cell::new(self.nesting.get()),
        };
        let relation = inner.pipeline(&self.tabular[at].1)?;
        self.built.set(inner.built.get());
        self.known.borrow_mut().extend(inner.known.into_inner());
        Ok(relation)
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
            Operator::MvExpand(columns, limit) => self.mv_expand(input, columns, limit.as_ref()),
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
