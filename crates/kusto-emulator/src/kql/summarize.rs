//! Operators that hold what they have seen: `summarize`, `distinct`, `sort`, `top`.

use super::accumulate::State;
use super::aggregate::{self, Aggregate};
use super::ast::{Expr, Named, SortKey};
use super::batch::{BATCH_ROWS, Batch, Gathered};
use super::builder::Builder;
use super::compare::{order, sorts_apart};
use super::error::KqlError;
use super::eval::{Env, eval};
use super::group::Groups;
use super::names::{self, Unique};
use super::project::duplicate;
use super::relation::{Relation, Rows, gather};
use super::typed::{Node, Typed};
use crate::data::{Column, ColumnData, ColumnType, Schema};
use std::cmp::Ordering;
use std::sync::Arc;

/// The name of an aggregate's value inside an expression of aggregates; no column can be called so.
fn placeholder(at: usize) -> String {
    format!("\0{at}")
}

/// What a `summarize` computes, bound.
struct Plan {
    keys: Vec<Typed>,
    aggregates: Vec<Aggregate>,
}

impl Builder<'_> {
    pub(super) fn summarize(
        &self,
        input: Relation,
        items: &[Named],
        by: &[Named],
    ) -> Result<Relation, KqlError> {
        let mut unique = Unique::default();
        let keys = self.columns("summarize", &input.schema, by, &mut unique)?;
        let key_names: Vec<String> = keys.iter().map(|(column, _)| column.name.clone()).collect();
        let (columns, keys): (Vec<Column>, Vec<Typed>) = keys.into_iter().unzip();
        let mut inner = Schema::new(columns);
        let mut output: Vec<(Column, Typed)> = super::project::as_they_are(&inner, 0..inner.len());
        let mut aggregates = Vec::new();
        for name in items.iter().filter_map(|item| item.name.as_deref()) {
            if !unique.take(name) {
                return Err(duplicate("summarize", name));
            }
        }
        for item in items {
            let first = inner.len();
            let rewritten =
                self.extract(&item.expr, &input.schema, &key_names, &mut inner, &mut aggregates, 0)?;
            if matches!(&rewritten, Expr::Name(name) if *name == placeholder(first)) {
                let names = aggregates
                    .last()
                    .map(|aggregate: &Aggregate| aggregate.outputs.clone())
                    .unwrap_or_default();
                for (at, column) in names.into_iter().enumerate() {
                    let name = match &item.name {
                        Some(name) if at == 0 => name.clone(),
                        _ if column.name.is_empty() => unique.column(),
                        _ => unique.or_numbered(&column.name),
                    };
                    output.push((
                        Column::new(name, column.ty),
                        Typed::new(column.ty, Node::Column(first + at)),
                    ));
                }
                continue;
            }
            if inner.len() == first {
                // What is wrong with the expression itself is the better answer, if something is.
                self.with_scope("summarize", &input.schema, |scope| scope.bind(&item.expr))?;
                let message = "'summarize' operator: expected an aggregation function";
                return Err(KqlError::semantic("SEM0098", message));
            }
            let typed = self.with_scope("summarize", &inner, |scope| scope.bind(&rewritten))?;
            let name = match (&item.name, names::of(&item.expr)) {
                (Some(name), _) => name.clone(),
                (None, Some(name)) if !name.is_empty() => unique.or_numbered(&name),
                _ => unique.column(),
            };
            output.push((Column::new(name, typed.ty), typed));
        }
        let (env, max_memory) = (Arc::clone(&self.env), self.max_memory);
        let plan = Plan { keys, aggregates };
        let grouped = Relation::once(inner, move || plan.run(input.rows, &env, max_memory));
        Ok(self.computed(grouped, output))
    }

    /// Takes the aggregate calls out of an expression: each becomes a column of `inner`, and a name that stands for it.
    fn extract(
        &self,
        expr: &Expr,
        schema: &Schema,
        keys: &[String],
        inner: &mut Schema,
        aggregates: &mut Vec<Aggregate>,
        depth: usize,
    ) -> Result<Expr, KqlError> {
        if let Expr::Call(name, arguments) = expr
            && aggregate::is_aggregate(name)
        {
            let aggregate =
                self.with_scope("summarize", schema, |scope| aggregate::bind(scope, name, arguments, keys))?;
            if aggregate.outputs.len() != 1 && depth > 0 {
                return Err(KqlError::unsupported(format_args!(
                    "'{name}' of several columns inside an expression"
                )));
            }
            let at = inner.len();
            for (offset, output) in aggregate.outputs.iter().enumerate() {
                inner.columns.push(Column::new(placeholder(at + offset), output.ty));
            }
            aggregates.push(aggregate);
            return Ok(Expr::Name(placeholder(at)));
        }
        let mut inside = |expr: &Expr| self.extract(expr, schema, keys, inner, aggregates, depth + 1);
        Ok(match expr {
            Expr::Call(name, arguments) => {
                Expr::Call(name.clone(), arguments.iter().map(inside).collect::<Result<_, _>>()?)
            }
            Expr::Negate(part) => Expr::Negate(Box::new(inside(part)?)),
            Expr::Binary(op, left, right) => {
                Expr::Binary(*op, Box::new(inside(left)?), Box::new(inside(right)?))
            }
            Expr::Index(value, index) => Expr::Index(Box::new(inside(value)?), index.clone()),
            Expr::Member(value, name) => Expr::Member(Box::new(inside(value)?), name.clone()),
            Expr::And(parts) => Expr::And(parts.iter().map(inside).collect::<Result<_, _>>()?),
            Expr::Or(parts) => Expr::Or(parts.iter().map(inside).collect::<Result<_, _>>()?),
            other => other.clone(),
        })
    }

    /// Each combination of values once.
    pub(super) fn distinct(&self, input: Relation, items: &[Named]) -> Result<Relation, KqlError> {
        let columns = if items.is_empty() {
            super::project::as_they_are(&input.schema, 0..input.schema.len())
        } else {
            self.columns("distinct", &input.schema, items, &mut Unique::default())?
        };
        let (columns, keys): (Vec<Column>, Vec<Typed>) = columns.into_iter().unzip();
        let (env, max_memory) = (Arc::clone(&self.env), self.max_memory);
        let plan = Plan { keys, aggregates: Vec::new() };
        Ok(Relation::once(Schema::new(columns), move || plan.run(input.rows, &env, max_memory)))
    }

    /// All rows in order, or the first `limit` of that order.
    pub(super) fn sort(
        &self,
        operator: &'static str,
        input: Relation,
        keys: &[SortKey],
        limit: Option<usize>,
    ) -> Result<Relation, KqlError> {
        let mut sorter = Sorter { keys: Vec::new(), env: Arc::clone(&self.env), limit };
        for key in keys {
            let typed = self.with_scope(operator, &input.schema, |scope| scope.bind(&key.expr))?;
            if typed.ty == ColumnType::Dynamic {
                let message = format!(
                    "'{operator}' operator: rows cannot be ordered by a dynamic value. Try adding explicit casts"
                );
                return Err(KqlError::semantic("SEM0068", message));
            }
            sorter.keys.push((typed, key.descending, key.nulls_first));
        }
        let (schema, max_memory) = (input.schema.clone(), self.max_memory);
        let make = move || match limit {
            Some(limit) => sorter.top(operator, &schema, input.rows, limit, max_memory),
            None => Ok(sorter.sorted(gather(operator, &schema, input.rows, max_memory)?)),
        };
        Ok(Relation::once(input.schema, make))
    }
}

impl Plan {
    /// Reads all rows and gives one row per group; one group where there are no keys.
    fn run(self, rows: Rows, env: &Env, max_memory: usize) -> Result<Batch, KqlError> {
        let mut groups = Groups::new(self.keys.iter().map(|key| key.ty));
        let mut states: Vec<State> = self.aggregates.iter().map(Aggregate::start).collect();
        let mut assigned = Vec::new();
        let mut checked = 0;
        for batch in rows {
            let batch = batch?;
            let keys: Vec<Arc<ColumnData>> =
                self.keys.iter().map(|key| eval(key, &batch, env).spread(batch.rows)).collect();
            if keys.is_empty() {
                assigned.clear();
                assigned.resize(batch.rows, 0);
            } else {
                groups.assign(&keys, batch.rows, &mut assigned);
            }
            let count = if keys.is_empty() { 1 } else { groups.len() };
            for (aggregate, state) in self.aggregates.iter().zip(&mut states) {
                aggregate.update(state, &batch, &assigned, count, env);
            }
            checked += batch.rows;
            if checked >= 4 * BATCH_ROWS {
                checked = 0;
                let bytes = groups.bytes() + states.iter().map(State::bytes).sum::<usize>();
                if bytes > max_memory {
                    return Err(KqlError::runaway("summarize", max_memory));
                }
            }
        }
        let count = if self.keys.is_empty() { 1 } else { groups.len() };
        let mut columns = groups.into_columns();
        for (aggregate, state) in self.aggregates.iter().zip(states) {
            columns.extend(aggregate.finish(state, count));
        }
        Ok(Batch::new(columns, count))
    }
}

/// Puts rows in order.
struct Sorter {
    /// Key, descending, nulls first.
    keys: Vec<(Typed, bool, bool)>,
    env: Arc<Env>,
    limit: Option<usize>,
}

impl Sorter {
    fn sorted(&self, batch: Batch) -> Batch {
        let keys: Vec<(Arc<ColumnData>, bool, bool)> = self
            .keys
            .iter()
            .map(|(key, descending, first)| {
                (eval(key, &batch, &self.env).spread(batch.rows), *descending, *first)
            })
            .collect();
        let mut rows: Vec<u32> = (0..batch.rows as u32).collect();
        let compare = |a: &u32, b: &u32| {
            let by = |(key, descending, first): &(Arc<ColumnData>, bool, bool)| {
                by_key(key, *descending, *first, *a as usize, *b as usize)
            };
            // Equal rows stay in their order.
            let differing = keys.iter().map(by).find(|order| *order != Ordering::Equal);
            differing.unwrap_or_else(|| a.cmp(b))
        };
        if let Some(limit) = self.limit.filter(|limit| *limit < rows.len()) {
            if limit > 0 {
                rows.select_nth_unstable_by(limit - 1, compare);
            }
            rows.truncate(limit);
        }
        rows.sort_unstable_by(compare);
        batch.select(&Arc::new(rows))
    }

    /// The first rows in order; what cannot be among them is let go on the way.
    fn top(
        &self,
        operator: &str,
        schema: &Schema,
        rows: Rows,
        limit: usize,
        max_memory: usize,
    ) -> Result<Batch, KqlError> {
        let fresh = || Gathered::new(schema.columns.iter().map(|column| column.ty));
        let mut gathered = fresh();
        for batch in rows {
            // Of a batch no more than its own first rows can be among the first of all.
            let batch = batch?;
            gathered.push(&if batch.rows > limit { self.sorted(batch) } else { batch });
            if gathered.rows > limit.saturating_mul(2).max(2 * BATCH_ROWS) {
                let best = self.sorted(std::mem::replace(&mut gathered, fresh()).finish());
                gathered.push(&best);
            }
            if gathered.bytes() > max_memory {
                return Err(KqlError::runaway(operator, max_memory));
            }
        }
        Ok(self.sorted(gathered.finish()))
    }
}

/// The order of two rows by one key. Null and NaN stand together at the end that is asked for, null outermost.
fn by_key(key: &ColumnData, descending: bool, nulls_first: bool, a: usize, b: usize) -> Ordering {
    let rank = |row: usize| match (key.is_null(row), sorts_apart(key, row)) {
        (true, _) => 2,
        (false, true) => 1,
        _ => 0,
    };
    let (left, right) = (rank(a), rank(b));
    if left > 0 || right > 0 {
        return if nulls_first { right.cmp(&left) } else { left.cmp(&right) };
    }
    let ascending = order(key, a, key, b);
    if descending { ascending.reverse() } else { ascending }
}
