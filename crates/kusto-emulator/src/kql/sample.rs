//! Chance in queries: `rand()`, `new_guid()`, `sample`. It comes from the seed that the catalog gives the query.

use super::batch::{BATCH_ROWS, Batch, Gathered};
use super::bind::Scope;
use super::error::KqlError;
use super::eval::{Env, Operand};
use super::relation::Rows;
use super::typed::{Node, Typed};
use crate::data::{ColumnBuilder, ColumnData, ColumnType, Schema, Value};
use rand::RngExt;
use std::sync::Arc;

/// A function of chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Random {
    /// `rand()`: from 0 to 1; `rand(n)`: a whole number below `n`, as a real.
    Number,
    /// `new_guid()`
    Guid,
}

impl Scope<'_> {
    /// `rand()`, `rand(n)`, `new_guid()`.
    pub(super) fn random(&self, name: &str, bound: Vec<Typed>) -> Result<Typed, KqlError> {
        let (random, ty, most) = match name {
            "rand" => (Random::Number, ColumnType::Real, 1),
            _ => (Random::Guid, ColumnType::Guid, 0),
        };
        if bound.len() > most {
            return Err(self.arity(name, if most == 0 { "0" } else { "0 to 1" }));
        }
        for argument in &bound {
            self.require(name, argument, &[ColumnType::Int, ColumnType::Long])?;
        }
        let parts = bound.into_iter().map(|argument| argument.cast(ColumnType::Long)).collect();
        Ok(Typed::new(ty, Node::Random(random, parts)))
    }
}

/// A draw for each row.
pub(super) fn drawn(random: Random, parts: &[Operand], rows: usize, env: &Env) -> ColumnData {
    let ty = if random == Random::Guid { ColumnType::Guid } else { ColumnType::Real };
    let mut built = ColumnBuilder::with_capacity(ty, rows);
    env.draw(|rng| {
        for row in 0..rows {
            let below = parts.first().map(|below| below.data.value(below.row(row)));
            built.push_value(&match (random, below) {
                (Random::Guid, _) => {
                    let guid = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
                    Value::Guid(guid.as_u128())
                }
                (_, None) => Value::Real(rng.random()),
                (_, Some(Value::Long(below))) if below > 0 => Value::Real(rng.random_range(0..below) as f64),
                _ => Value::Null,
            });
        }
    });
    built.finish()
}

/// Some rows of all, each as likely as any other: those that draw the smallest numbers.
pub(super) struct Reservoir<'s> {
    schema: &'s Schema,
    limit: usize,
    kept: Gathered,
    draws: Vec<u64>,
}

impl<'s> Reservoir<'s> {
    pub(super) fn new(schema: &'s Schema, limit: usize) -> Reservoir<'s> {
        Reservoir { schema, limit, kept: Gathered::of(schema), draws: Vec::new() }
    }

    /// The rows that remain when all have been seen.
    pub(super) fn filled(mut self, rows: Rows, env: &Env, max_memory: usize) -> Result<Batch, KqlError> {
        for batch in rows {
            let batch = batch?;
            env.draw(|rng| self.draws.extend((0..batch.rows).map(|_| rng.random::<u64>())));
            self.kept.push(&batch);
            if self.kept.rows > self.limit.saturating_add(BATCH_ROWS) {
                self.shrink();
            }
            if self.kept.bytes() > max_memory {
                return Err(KqlError::runaway("sample", max_memory));
            }
        }
        self.shrink();
        Ok(self.kept.finish())
    }

    fn shrink(&mut self) {
        if self.draws.len() <= self.limit {
            return;
        }
        let mut rows: Vec<u32> = (0..self.draws.len() as u32).collect();
        rows.sort_by_key(|row| self.draws[*row as usize]);
        rows.truncate(self.limit);
        rows.sort_unstable();
        self.draws = rows.iter().map(|row| self.draws[*row as usize]).collect();
        let all = std::mem::replace(&mut self.kept, Gathered::of(self.schema)).finish();
        self.kept.push(&all.select(&Arc::new(rows)));
    }
}
