//! Operators that change columns and leave rows alone: `project` and its kin, `extend`.

use super::ast::{NameOrder, Named};
use super::batch::{Batch, Placed};
use super::builder::Builder;
use super::error::KqlError;
use super::eval::{Env, eval};
use super::names::{self, Unique};
use super::relation::Relation;
use super::typed::{Node, Typed};
use crate::data::{Column, Schema};
use std::sync::Arc;

/// The error that two columns are given one name.
pub(super) fn duplicate(operator: &str, name: &str) -> KqlError {
    KqlError::semantic("SEM0119", format!("'{operator}' operator: a column named '{name}' is declared twice"))
}

impl Builder<'_> {
    /// Binds expressions as columns and names them: as they are named, by the rules of unnamed columns, or by number.
    pub(super) fn columns(
        &self,
        operator: &str,
        schema: &Schema,
        items: &[Named],
        unique: &mut Unique,
    ) -> Result<Vec<(Column, Typed)>, KqlError> {
        self.columns_among(operator, (schema, None), items, unique)
    }

    /// As [`columns`](Self::columns), over rows of which it is known whether they have an order.
    fn columns_among(
        &self,
        operator: &str,
        (schema, serialized): (&Schema, Option<bool>),
        items: &[Named],
        unique: &mut Unique,
    ) -> Result<Vec<(Column, Typed)>, KqlError> {
        for name in items.iter().filter_map(|item| item.name.as_deref()) {
            if !unique.take(name) {
                return Err(duplicate(operator, name));
            }
        }
        let mut columns = Vec::with_capacity(items.len());
        for item in items {
            let typed = self.with_rows(operator, schema, serialized, |scope| scope.bind(&item.expr))?;
            let name = match (&item.name, names::of(&item.expr)) {
                (Some(name), _) => name.clone(),
                (None, Some(name)) => unique.or_numbered(&name),
                (None, None) => unique.column(),
            };
            columns.push((Column::new(name, typed.ty), typed));
        }
        Ok(columns)
    }

    pub(super) fn project(&self, input: Relation, items: &[Named]) -> Result<Relation, KqlError> {
        let rows = (&input.schema, Some(input.serialized));
        let columns = self.columns_among("project", rows, items, &mut Unique::default())?;
        Ok(self.computed(input, columns))
    }

    pub(super) fn extend(
        &self,
        operator: &str,
        input: Relation,
        items: &[Named],
    ) -> Result<Relation, KqlError> {
        let mut unique = Unique::default();
        for column in &input.schema.columns {
            if !items.iter().any(|item| item.name.as_deref() == Some(column.name.as_str())) {
                unique.take(&column.name);
            }
        }
        let rows = (&input.schema, Some(input.serialized));
        let added = self.columns_among(operator, rows, items, &mut unique)?;
        // A column that is calculated anew leaves its place and is appended, as documented.
        let replaced =
            |at: &usize| added.iter().any(|(column, _)| column.name == input.schema.columns[*at].name);
        let kept = (0..input.schema.len()).filter(|at| !replaced(at));
        let mut columns = as_they_are(&input.schema, kept);
        columns.extend(added);
        Ok(self.computed(input, columns))
    }

    /// The input's rows with these columns.
    pub(super) fn computed(&self, input: Relation, columns: Vec<(Column, Typed)>) -> Relation {
        let (columns, exprs): (Vec<Column>, Vec<Typed>) = columns.into_iter().unzip();
        let windows = exprs.iter().any(Typed::has_window);
        let input = if windows { self.whole("extend", input) } else { input };
        let env = Arc::clone(&self.env);
        let rows = input.rows.map(move |batch| batch.map(|batch| compute(&batch, &exprs, &env)));
        Relation::new(Schema::new(columns), rows)
    }

    /// `project-away` and `project-keep`: columns that match a pattern are dropped, or are the only ones kept.
    pub(super) fn keep(
        &self,
        input: Relation,
        patterns: &[String],
        keep: bool,
    ) -> Result<Relation, KqlError> {
        let operator = if keep { "project-keep" } else { "project-away" };
        known_patterns(operator, &input.schema, patterns.iter())?;
        let matched = |name: &str| patterns.iter().any(|pattern| matches(pattern, name));
        let kept = (0..input.schema.len()).filter(|at| matched(&input.schema.columns[*at].name) == keep);
        let columns = as_they_are(&input.schema, kept);
        Ok(self.computed(input, columns))
    }

    pub(super) fn rename(&self, input: Relation, renames: &[(String, String)]) -> Result<Relation, KqlError> {
        let mut columns = as_they_are(&input.schema, 0..input.schema.len());
        for (new, old) in renames {
            let at = input.schema.index_of(old).ok_or_else(|| KqlError::no_name("project-rename", old))?;
            columns[at].0.name.clone_from(new);
        }
        let mut unique = Unique::default();
        match columns.iter().find(|(column, _)| !unique.take(&column.name)) {
            Some((column, _)) => Err(duplicate("project-rename", &column.name)),
            None => Ok(self.computed(input, columns)),
        }
    }

    /// `project-reorder`: the columns that the patterns name come first, in their order.
    pub(super) fn reorder(
        &self,
        input: Relation,
        patterns: &[(String, NameOrder)],
    ) -> Result<Relation, KqlError> {
        known_patterns("project-reorder", &input.schema, patterns.iter().map(|(pattern, _)| pattern))?;
        let name = |at: usize| input.schema.columns[at].name.as_str();
        let mut left: Vec<usize> = (0..input.schema.len()).collect();
        let mut order = Vec::with_capacity(left.len());
        for (pattern, sorted) in patterns {
            let (mut found, rest): (Vec<usize>, Vec<usize>) =
                left.into_iter().partition(|at| matches(pattern, name(*at)));
            match sorted {
                NameOrder::Kept => {}
                NameOrder::Ascending => found.sort_by(|a, b| name(*a).cmp(name(*b))),
                NameOrder::Descending => found.sort_by(|a, b| name(*b).cmp(name(*a))),
            }
            order.append(&mut found);
            left = rest;
        }
        order.append(&mut left);
        let columns = as_they_are(&input.schema, order);
        Ok(self.computed(input, columns))
    }
}

/// A pattern without `*` must name a column.
fn known_patterns<'p>(
    operator: &str,
    schema: &Schema,
    patterns: impl Iterator<Item = &'p String>,
) -> Result<(), KqlError> {
    for pattern in patterns {
        if !pattern.contains('*') && schema.index_of(pattern).is_none() {
            return Err(KqlError::no_name(operator, pattern));
        }
    }
    Ok(())
}

/// Columns of the input, unchanged.
pub(super) fn as_they_are(schema: &Schema, places: impl IntoIterator<Item = usize>) -> Vec<(Column, Typed)> {
    let column = |at: usize| {
        let column = schema.columns[at].clone();
        let ty = column.ty;
        (column, Typed::new(ty, Node::Column(at)))
    };
    places.into_iter().map(column).collect()
}

fn compute(batch: &Batch, exprs: &[Typed], env: &Env) -> Batch {
    let place = |expr: &Typed| match expr.node {
        Node::Column(at) => Placed::Old(at),
        _ => Placed::New(eval(expr, batch, env).spread(batch.rows)),
    };
    batch.rearranged(exprs.iter().map(place).collect())
}

/// Whether a name matches a pattern in which `*` stands for any text.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pattern.contains('*').then(|| pattern.rsplit('*').next().unwrap_or("")) else {
        return rest.is_empty();
    };
    let middle: Vec<&str> = parts.collect();
    for part in &middle[..middle.len().saturating_sub(1)] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
