//! Columns and the batches of rows to come, and the operators that need nothing but them.

use super::batch::{BATCH_ROWS, Batch, Gathered};
use super::catalog::TableSource;
use super::error::KqlError;
use super::eval::{Env, eval};
use super::typed::Typed;
use crate::data::{Column, ColumnType, ResultTable, Schema, Value};
use std::sync::Arc;

/// Batches, one after another.
pub(super) type Rows = Box<dyn Iterator<Item = Result<Batch, KqlError>>>;

/// Columns and their rows to come.
pub(super) struct Relation {
    pub(super) schema: Schema,
    pub(super) rows: Rows,
    /// Whether the order of rows means something, so that window functions may look at neighbours.
    pub(super) serialized: bool,
    /// What `as`, or the database, calls these rows.
    pub(super) name: Option<String>,
}

impl Relation {
    pub(super) fn new(
        schema: Schema,
        rows: impl Iterator<Item = Result<Batch, KqlError>> + 'static,
    ) -> Relation {
        Relation { schema, rows: Box::new(rows), serialized: false, name: None }
    }

    /// The relation of one batch that is made when it is asked for.
    pub(super) fn once(schema: Schema, make: impl FnOnce() -> Result<Batch, KqlError> + 'static) -> Relation {
        Relation::new(schema, std::iter::once_with(make))
    }
}

/// The rows of a batch for which the condition is true; none when there are none.
pub(super) fn filtered(batch: &Batch, condition: &Typed, env: &Env) -> Option<Batch> {
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
pub(super) fn scan(source: Arc<dyn TableSource>) -> Relation {
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
pub(super) struct Take {
    pub(super) rows: Rows,
    pub(super) left: usize,
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
pub(super) fn count(input: Relation) -> Relation {
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
pub(super) fn get_schema(described: &Schema) -> Relation {
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
