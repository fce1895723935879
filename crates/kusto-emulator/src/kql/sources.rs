//! Sources of rows other than tables: `print`, `datatable`, `range`, `union`.

use super::ast::{Expr, Named, Source, Union};
use super::batch::{BATCH_ROWS, Batch, Placed};
use super::builder::Builder;
use super::cast;
use super::error::KqlError;
use super::names::Unique;
use super::relation::Relation;
use crate::data::{Column, ColumnBuilder, ColumnData, ColumnType, Schema, Value};
use std::sync::Arc;

impl Builder<'_> {
    /// One row of values; unnamed ones are `print_0`, `print_1`, ...
    pub(super) fn print(&self, items: &[Named]) -> Result<Relation, KqlError> {
        let numbered = |(at, item): (usize, &Named)| Named {
            name: item.name.clone().or_else(|| Some(format!("print_{at}"))),
            expr: item.expr.clone(),
        };
        let items: Vec<Named> = items.iter().enumerate().map(numbered).collect();
        let none = Schema::default();
        let columns = self.columns("print", &none, &items, &mut Unique::default())?;
        let one_row = Relation::once(none, || Ok(Batch::new(Vec::new(), 1)));
        Ok(self.computed(one_row, columns))
    }

    pub(super) fn datatable(&self, schema: &Schema, values: &[Expr]) -> Result<Relation, KqlError> {
        let wide = schema.len();
        if wide == 0 || !values.len().is_multiple_of(wide) {
            let message = format!("datatable: {} values do not fill rows of {wide} columns", values.len());
            return Err(KqlError::semantic("SEM0036", message));
        }
        let mut unique = Unique::default();
        if let Some(column) = schema.columns.iter().find(|column| !unique.take(&column.name)) {
            return Err(super::project::duplicate("datatable", &column.name));
        }
        let mut builders: Vec<ColumnBuilder> =
            schema.columns.iter().map(|column| ColumnBuilder::new(column.ty)).collect();
        for (at, value) in values.iter().enumerate() {
            let column = &schema.columns[at % wide];
            let (ty, value) =
                self.with_scope("datatable", &Schema::default(), |scope| scope.constant(value))?;
            if !cast::possible(ty, column.ty) {
                let message = format!(
                    "datatable: a value of type {ty} stands in column '{}' of type {}",
                    column.name, column.ty
                );
                return Err(KqlError::semantic("SEM0036", message));
            }
            builders[at % wide].push_value(&cast::value(&value, column.ty));
        }
        let columns: Vec<Arc<ColumnData>> =
            builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        let batch = Batch::new(columns, values.len() / wide);
        Ok(Relation::once(schema.clone(), move || Ok(batch)))
    }

    /// Values from the first bound to the second, a step apart, made as they are asked for.
    pub(super) fn range(&self, name: &str, bounds: &[Expr; 3]) -> Result<Relation, KqlError> {
        let mut constants = Vec::with_capacity(3);
        for bound in bounds {
            constants.push(self.with_scope("range", &Schema::default(), |scope| scope.constant(bound))?);
        }
        let types = [constants[0].0, constants[1].0, constants[2].0];
        let ty = match types {
            [ColumnType::DateTime, ColumnType::DateTime, ColumnType::TimeSpan] => ColumnType::DateTime,
            [ColumnType::TimeSpan, ColumnType::TimeSpan, ColumnType::TimeSpan] => ColumnType::TimeSpan,
            types if types.iter().all(|ty| matches!(ty, ColumnType::Int | ColumnType::Long)) => {
                ColumnType::Long
            }
            types
                if types
                    .iter()
                    .all(|ty| matches!(ty, ColumnType::Int | ColumnType::Long | ColumnType::Real)) =>
            {
                ColumnType::Real
            }
            [from, to, step] => {
                let message = format!("'range' operator: cannot go from {from} to {to} by {step}");
                return Err(KqlError::semantic("SEM0047", message));
            }
        };
        let schema = Schema::of(&[(name, ty)]);
        let values: Vec<Value> = constants.into_iter().map(|(_, value)| value).collect();
        let count = steps(ty, &values)?;
        let rows = (0..count).step_by(BATCH_ROWS).map(move |first| {
            let rows = (count - first).min(BATCH_ROWS as u64);
            let mut built = ColumnBuilder::with_capacity(ty, rows as usize);
            (first..first + rows).for_each(|at| built.push_value(&step(ty, &values, at)));
            Ok(Batch::new(vec![Arc::new(built.finish())], rows as usize))
        });
        Ok(Relation { serialized: true, ..Relation::new(schema, rows) })
    }

    /// The rows of several tables. Columns are matched by name and type; where tables disagree on the type of a name, each type
    /// gets a column `name_type`.
    pub(super) fn union(&self, first: Option<Relation>, union: &Union) -> Result<Relation, KqlError> {
        let mut legs: Vec<(String, Relation)> = Vec::with_capacity(union.tables.len() + 1);
        legs.extend(first.map(|leg| (leg_name(&leg, 0), leg)));
        let mut tables = Vec::with_capacity(union.tables.len());
        for pipeline in &union.tables {
            match &pipeline.source {
                Source::Wildcard(pattern) => tables.extend(self.tables_like(pattern)),
                _ => tables.push(pipeline.clone()),
            }
        }
        for pipeline in &tables {
            match self.pipeline(pipeline) {
                Ok(leg) => legs.push((leg_name(&leg, legs.len()), leg)),
                Err(e) if union.fuzzy && e.code == "SEM0100" => {}
                Err(e) => return Err(e),
            }
        }
        if legs.is_empty() {
            return Err(KqlError::semantic(
                "SEM0100",
                "'union' operator: none of its tables could be resolved",
            ));
        }
        let wanted = merged(&legs, union.inner);
        let mut schema =
            Schema::new(wanted.iter().map(|(name, column)| Column::new(name, column.ty)).collect());
        if let Some(source) = &union.source_column {
            schema.columns.insert(0, Column::new(source, ColumnType::String));
        }
        let with_source = union.source_column.is_some();
        let rows = legs.into_iter().flat_map(move |(name, leg)| {
            let places: Vec<(Option<usize>, ColumnType)> =
                wanted.iter().map(|(_, column)| (place(&leg.schema, column), column.ty)).collect();
            leg.rows
                .map(move |batch| batch.map(|batch| adapted(&batch, &places, with_source.then_some(&name))))
        });
        Ok(Relation::new(schema, rows))
    }
}

/// What `withsource=` calls the rows of a leg.
fn leg_name(leg: &Relation, at: usize) -> String {
    leg.name.clone().unwrap_or_else(|| format!("union_arg{at}"))
}

fn place(schema: &Schema, column: &Column) -> Option<usize> {
    schema.columns.iter().position(|known| known == column)
}

/// The columns of a union: the name each gets, and the name and type it has in its tables.
fn merged(legs: &[(String, Relation)], inner: bool) -> Vec<(String, Column)> {
    let mut columns: Vec<Column> = Vec::new();
    for (_, leg) in legs {
        for column in &leg.schema.columns {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
    }
    if inner {
        columns.retain(|column| legs.iter().all(|(_, leg)| place(&leg.schema, column).is_some()));
    }
    let shared = |name: &str| columns.iter().filter(|column| column.name == name).count() > 1;
    let mut unique = Unique::default();
    columns.iter().filter(|column| !shared(&column.name)).for_each(|column| {
        unique.take(&column.name);
    });
    let mut name = |column: &Column| {
        if shared(&column.name) {
            unique.or_numbered(&format!("{}_{}", column.name, column.ty))
        } else {
            column.name.clone()
        }
    };
    columns.iter().map(|column| (name(column), column.clone())).collect()
}

/// A batch of one table with the columns of the union; those it lacks are null.
fn adapted(batch: &Batch, places: &[(Option<usize>, ColumnType)], source: Option<&String>) -> Batch {
    let constant = |ty, value: &Value| Placed::New(Arc::new(ColumnData::repeat(ty, value, batch.rows)));
    let source = source.map(|name| constant(ColumnType::String, &Value::from(name.as_str())));
    let columns = places.iter().map(|(place, ty)| match place {
        Some(at) => Placed::Old(*at),
        None => constant(*ty, &Value::Null),
    });
    batch.rearranged(source.into_iter().chain(columns).collect())
}

/// How many values a range has.
fn steps(ty: ColumnType, values: &[Value]) -> Result<u64, KqlError> {
    let zero = || KqlError::semantic("SEM0047", "'range' operator: the step must not be zero");
    if ty == ColumnType::Real {
        let [from, to, step] = [0, 1, 2].map(|at| cast::as_f64(&values[at]).unwrap_or(f64::NAN));
        let count = ((to - from) / step).floor() + 1.0;
        return if step == 0.0 {
            Err(zero())
        } else {
            Ok(if count > 0.0 { count.min(1e15) as u64 } else { 0 })
        };
    }
    let [Some(from), Some(to), Some(step)] = [0, 1, 2].map(|at| cast::as_i64(&values[at]).map(i128::from))
    else {
        return Ok(0);
    };
    if step == 0 {
        return Err(zero());
    }
    let count = if (to - from).signum() == -step.signum() { 0 } else { (to - from) / step + 1 };
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

/// The value at place `at` of a range.
fn step(ty: ColumnType, values: &[Value], at: u64) -> Value {
    if ty == ColumnType::Real {
        let [from, step] = [0, 2].map(|at| cast::as_f64(&values[at]).unwrap_or(f64::NAN));
        return Value::Real(from + step * at as f64);
    }
    let [from, step] = [0, 2].map(|at| cast::as_i64(&values[at]).unwrap_or(0));
    let value = i128::from(from) + i128::from(step) * i128::from(at);
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    match ty {
        ColumnType::DateTime => Value::DateTime(value),
        ColumnType::TimeSpan => Value::TimeSpan(value),
        _ => Value::Long(value),
    }
}
