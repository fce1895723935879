//! `mv-expand`: each row as many times as its longest array has elements; a row whose arrays are all empty is dropped.

use super::ast::MvExpand;
use super::batch::{BATCH_ROWS, Batch, Placed};
use super::builder::Builder;
use super::cast;
use super::error::KqlError;
use super::names;
use super::project::{as_they_are, duplicate};
use super::relation::{Relation, Rows};
use super::typed::Typed;
use crate::data::{Column, ColumnBuilder, ColumnData, ColumnType, Schema, Value};
use serde_json::Value as Json;
use std::sync::Arc;

/// What is expanded, and how.
#[derive(Debug)]
pub(super) struct Plan {
    /// Place and type of each expanded column.
    columns: Vec<(usize, ColumnType)>,
    as_arrays: bool,
    indexed: bool,
    limit: usize,
}

impl Plan {
    /// Whether the column at this place is one of those that are expanded.
    pub(super) fn expands(&self, at: usize) -> bool {
        self.columns.iter().any(|(place, _)| *place == at)
    }
}

impl Builder<'_> {
    pub(super) fn mv_expand(&self, input: Relation, expand: &MvExpand) -> Result<Relation, KqlError> {
        let (before, schema, plan) = self.expansion("mv-expand", input, expand)?;
        let rows = before.rows.flat_map(move |batch| -> Rows {
            match batch {
                Ok(batch) => Box::new(Expansion::new(batch, Arc::clone(&plan))),
                error => Box::new(std::iter::once(error)),
            }
        });
        Ok(Relation::new(schema, rows))
    }

    /// The rows with the arrays as columns; the columns behind the expansion; and how to expand.
    pub(super) fn expansion(
        &self,
        operator: &str,
        input: Relation,
        expand: &MvExpand,
    ) -> Result<(Relation, Schema, Arc<Plan>), KqlError> {
        let limit = expand.limit.as_ref();
        let limit = limit.map_or(Ok(usize::MAX), |limit| self.row_count(operator, limit))?;
        let mut columns = as_they_are(&input.schema, 0..input.schema.len());
        let mut expanded = Vec::new();
        for (item, ty) in &expand.columns {
            let typed = self.with_scope(operator, &input.schema, |scope| scope.bind(&item.expr))?;
            let name = item.name.clone().or_else(|| names::of(&item.expr));
            let column =
                Column::new(name.unwrap_or_else(|| "Column1".to_owned()), ty.unwrap_or(ColumnType::Dynamic));
            let at = place(&mut columns, column, expandable(typed)?);
            expanded.push((at, ty.unwrap_or(ColumnType::Dynamic)));
        }
        let before = self.computed(input, columns);
        let mut schema = before.schema.clone();
        if let Some(index) = &expand.index {
            if schema.index_of(index).is_some() {
                return Err(duplicate(operator, index));
            }
            schema.columns.push(Column::new(index, ColumnType::Long));
        }
        let indexed = expand.index.is_some();
        let plan = Arc::new(Plan { columns: expanded, as_arrays: expand.as_arrays, indexed, limit });
        Ok((before, schema, plan))
    }
}

fn expandable(typed: Typed) -> Result<Typed, KqlError> {
    if typed.ty == ColumnType::Dynamic {
        return Ok(typed);
    }
    let message =
        format!("'mv-expand' operator: a value of type {} cannot be expanded, expected dynamic", typed.ty);
    Err(KqlError::semantic("SEM0065", message))
}

/// Puts a column in the place of the one of its name, or behind the others.
fn place(columns: &mut Vec<(Column, Typed)>, column: Column, typed: Typed) -> usize {
    match columns.iter().position(|(known, _)| known.name == column.name) {
        Some(at) => {
            columns[at] = (column, typed);
            at
        }
        None => {
            columns.push((column, typed));
            columns.len() - 1
        }
    }
}

/// The elements that a value expands to.
fn elements(value: Value, as_arrays: bool) -> Vec<Value> {
    let Value::Dynamic(json) = value else { return vec![Value::Null] };
    match &*json {
        Json::Array(items) => items.iter().map(|item| Value::dynamic(item.clone())).collect(),
        Json::Object(bag) => {
            let single = |(key, value): (&String, &Json)| {
                Value::dynamic(if as_arrays {
                    Json::Array(vec![Json::String(key.clone()), value.clone()])
                } else {
                    Json::Object([(key.clone(), value.clone())].into_iter().collect())
                })
            };
            bag.iter().map(single).collect()
        }
        _ => vec![Value::Dynamic(json)],
    }
}

/// An element as the type that it is said to have; null when it has another (texts are not parsed as numbers).
fn conforming(element: &Value, ty: ColumnType) -> Value {
    let is_text = matches!(element, Value::Dynamic(json) if json.is_string());
    if is_text && (ty.is_numeric() || ty == ColumnType::Bool) {
        Value::Null
    } else {
        cast::value(element, ty)
    }
}

/// Expands the rows of a batch, some at a time, so that no part is much larger than a batch.
pub(super) struct Expansion {
    batch: Batch,
    next: usize,
    plan: Arc<Plan>,
}

impl Expansion {
    pub(super) fn new(batch: Batch, plan: Arc<Plan>) -> Expansion {
        Expansion { batch, next: 0, plan }
    }
}

impl Iterator for Expansion {
    type Item = Result<Batch, KqlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.batch.rows {
            return None;
        }
        let Plan { columns: expanded, as_arrays, indexed, limit } = &*self.plan;
        let columns: Vec<Arc<ColumnData>> = expanded.iter().map(|(at, _)| self.batch.column(*at)).collect();
        let mut built: Vec<ColumnBuilder> = expanded.iter().map(|(_, ty)| ColumnBuilder::new(*ty)).collect();
        let mut index = ColumnBuilder::new(ColumnType::Long);
        let mut rows = Vec::new();
        while self.next < self.batch.rows && rows.len() < BATCH_ROWS {
            let lists: Vec<Vec<Value>> =
                columns.iter().map(|column| elements(column.value(self.next), *as_arrays)).collect();
            let longest = lists.iter().map(Vec::len).max().unwrap_or(0).min(*limit);
            rows.extend(std::iter::repeat_n(self.next as u32, longest));
            for ((builder, list), (_, ty)) in built.iter_mut().zip(&lists).zip(expanded) {
                let element = |at| list.get(at).unwrap_or(&Value::Null);
                (0..longest).for_each(|at| builder.push_value(&conforming(element(at), *ty)));
            }
            if *indexed {
                (0..longest).for_each(|at| index.push_value(&Value::Long(at as i64)));
            }
            self.next += 1;
        }
        let repeated = self.batch.select(&Arc::new(rows));
        let mut placed: Vec<Placed> = (0..repeated.width()).map(Placed::Old).collect();
        for ((at, _), builder) in expanded.iter().zip(built) {
            placed[*at] = Placed::New(Arc::new(builder.finish()));
        }
        if *indexed {
            placed.push(Placed::New(Arc::new(index.finish())));
        }
        Some(Ok(repeated.rearranged(placed)))
    }
}
