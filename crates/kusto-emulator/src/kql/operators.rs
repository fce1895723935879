//! Each operator of a pipeline turns a relation into another; here is which, and the short ones.

use super::ast::{Expr, Named, Operator};
use super::builder::Builder;
use super::error::KqlError;
use super::relation::{Relation, Take, count, filtered, gather, get_schema};
use super::sample::Reservoir;
use crate::data::Schema;
use std::sync::Arc;

impl Builder<'_> {
    pub(super) fn operator(&self, input: Relation, operator: &Operator) -> Result<Relation, KqlError> {
        let serialized = match operator {
            Operator::Sort(_) | Operator::Top(..) | Operator::GetSchema | Operator::Serialize(_) => true,
            Operator::Summarize(..)
            | Operator::Distinct(_)
            | Operator::Count
            | Operator::Join(_)
            | Operator::Union(_)
            | Operator::Sample(_)
            | Operator::SampleDistinct(..) => false,
            _ => input.serialized,
        };
        Ok(Relation { serialized, name: None, ..self.transformed(input, operator)? })
    }

    fn transformed(&self, input: Relation, operator: &Operator) -> Result<Relation, KqlError> {
        match operator {
            Operator::Where(condition) => self.filter(input, condition),
            Operator::Project(items) => self.project(input, items),
            Operator::Extend(items) => self.extend("extend", input, items),
            Operator::Serialize(items) if items.is_empty() => Ok(input),
            Operator::Serialize(items) => {
                self.extend("serialize", Relation { serialized: true, ..input }, items)
            }
            Operator::ProjectAway(patterns) => self.keep(input, patterns, false),
            Operator::ProjectKeep(patterns) => self.keep(input, patterns, true),
            Operator::ProjectRename(renames) => self.rename(input, renames),
            Operator::ProjectReorder(patterns) => self.reorder(input, patterns),
            Operator::Summarize(aggregates, keys) => self.summarize(input, aggregates, keys),
            Operator::Distinct(keys) => self.distinct(input, keys),
            Operator::Count => Ok(count(input)),
            Operator::Take(limit) => self.take("take", input, limit),
            Operator::Top(limit, keys) => {
                let limit = self.row_count("top", limit)?;
                self.sort("top", input, keys, Some(limit))
            }
            Operator::Sort(keys) => self.sort("sort", input, keys, None),
            Operator::Sample(limit) => self.sample(input, limit),
            Operator::SampleDistinct(limit, key) => {
                let distinct = self.distinct(input, std::slice::from_ref::<Named>(key))?;
                self.take("sample-distinct", distinct, limit)
            }
            Operator::MvExpand(expand) => self.mv_expand(input, expand),
            Operator::MvApply(expand, operators) => self.mv_apply(input, expand, operators),
            Operator::Join(join) => self.join(input, join),
            Operator::Parse(parse) => self.parse(input, parse),
            Operator::Union(union) => self.union(Some(input), union),
            Operator::GetSchema => Ok(get_schema(&input.schema)),
            Operator::As(_) | Operator::Invoke(..) => Ok(input),
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

    fn take(&self, operator: &str, input: Relation, limit: &Expr) -> Result<Relation, KqlError> {
        let left = self.row_count(operator, limit)?;
        Ok(Relation { rows: Box::new(Take { rows: input.rows, left }), ..input })
    }

    fn sample(&self, input: Relation, limit: &Expr) -> Result<Relation, KqlError> {
        let limit = self.row_count("sample", limit)?;
        let (schema, env, max_memory) = (input.schema.clone(), Arc::clone(&self.env), self.max_memory);
        let make = move || Reservoir::new(&schema, limit).filled(input.rows, &env, max_memory);
        Ok(Relation::once(input.schema, make))
    }

    fn filter(&self, input: Relation, condition: &Expr) -> Result<Relation, KqlError> {
        let bind = |scope: &super::bind::Scope<'_>| scope.condition(condition);
        let condition = self.with_rows("where", &input.schema, Some(input.serialized), bind)?;
        let input = if condition.has_window() { self.whole("where", input) } else { input };
        let env = Arc::clone(&self.env);
        let rows = input.rows.filter_map(move |batch| match batch {
            Ok(batch) => filtered(&batch, &condition, &env).map(Ok),
            error => Some(error),
        });
        Ok(Relation::new(input.schema, rows))
    }

    /// All rows in one batch, for expressions that look at neighbouring rows.
    pub(super) fn whole(&self, operator: &'static str, input: Relation) -> Relation {
        let (schema, max_memory) = (input.schema.clone(), self.max_memory);
        let rows = input.rows;
        let serialized = input.serialized;
        let gathered = Relation::once(input.schema, move || gather(operator, &schema, rows, max_memory));
        Relation { serialized, ..gathered }
    }
}
