//! Rows on their way through a pipeline: columns that are copied only when something looks at them.

use super::catalog::ExtentBatch;
use crate::data::{ColumnData, ColumnType, Schema, Value};
use std::sync::Arc;

/// Rows handled at once: small enough for caches, large enough that the work per batch does not count.
pub(super) const BATCH_ROWS: usize = 1 << 16;

/// A column behind a view of it.
#[derive(Clone, Debug)]
struct Lazy {
    base: Arc<ColumnData>,
    view: View,
}

/// Which rows of the column belong to the batch, in the batch's order.
#[derive(Clone, Debug)]
enum View {
    From(usize),
    Rows(Arc<Vec<u32>>),
}

impl View {
    fn is(&self, other: &View) -> bool {
        match (self, other) {
            (View::From(a), View::From(b)) => a == b,
            (View::Rows(a), View::Rows(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// `rows` of what this view shows, as rows of the column.
    fn compose(&self, rows: &Arc<Vec<u32>>) -> Arc<Vec<u32>> {
        match self {
            View::From(0) => Arc::clone(rows),
            View::From(start) => Arc::new(rows.iter().map(|row| row + *start as u32).collect()),
            View::Rows(inner) => Arc::new(rows.iter().map(|row| inner[*row as usize]).collect()),
        }
    }
}

/// The extent that rows come from.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) id: u128,
    pub(super) tags: Arc<[String]>,
    pub(super) ingestion_time: Option<i64>,
}

/// Some rows of a table.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) rows: usize,
    columns: Vec<Lazy>,
    /// The extent, as long as rows are rows of one.
    pub(super) origin: Option<Arc<Origin>>,
}

impl Batch {
    pub(super) fn new(columns: Vec<Arc<ColumnData>>, rows: usize) -> Batch {
        let columns = columns.into_iter().map(|base| Lazy { base, view: View::From(0) }).collect();
        Batch { rows, columns, origin: None }
    }

    /// The rows of an extent; columns that were added to `schema` after it are null.
    pub(super) fn of_extent(extent: ExtentBatch, schema: &Schema) -> Batch {
        let ExtentBatch { id, tags, ingestion_time, mut columns, rows } = extent;
        for column in schema.columns.iter().skip(columns.len()) {
            columns.push(Arc::new(ColumnData::repeat(column.ty, &Value::Null, rows)));
        }
        let origin = Some(Arc::new(Origin { id, tags, ingestion_time }));
        Batch { origin, ..Batch::new(columns, rows) }
    }

    /// The values of a column: shared when the batch is the whole of it, else copied.
    pub(super) fn column(&self, at: usize) -> Arc<ColumnData> {
        let Lazy { base, view } = &self.columns[at];
        match view {
            View::From(0) if base.len() == self.rows => Arc::clone(base),
            View::From(start) => Arc::new(base.slice(*start, self.rows)),
            View::Rows(rows) => Arc::new(base.take(rows)),
        }
    }

    /// The number of columns.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The values of every column.
    pub(super) fn into_columns(self) -> Vec<Arc<ColumnData>> {
        (0..self.columns.len()).map(|at| self.column(at)).collect()
    }

    /// These rows of the batch, in this order.
    pub(super) fn select(&self, rows: &Arc<Vec<u32>>) -> Batch {
        let mut known: Vec<(View, Arc<Vec<u32>>)> = Vec::new();
        let mut compose = |view: &View| {
            if let Some((_, composed)) = known.iter().find(|(other, _)| other.is(view)) {
                return Arc::clone(composed);
            }
            let composed = view.compose(rows);
            known.push((view.clone(), Arc::clone(&composed)));
            composed
        };
        let columns = self
            .columns
            .iter()
            .map(|lazy| Lazy { base: Arc::clone(&lazy.base), view: View::Rows(compose(&lazy.view)) })
            .collect();
        Batch { rows: rows.len(), columns, origin: self.origin.clone() }
    }

    /// The columns of this batch, then those of another with as many rows.
    pub(super) fn beside(&self, other: &Batch) -> Batch {
        let columns = self.columns.iter().chain(&other.columns).cloned().collect();
        Batch { rows: self.rows, columns, origin: None }
    }

    /// `len` rows from `start` on.
    pub(super) fn slice(&self, start: usize, len: usize) -> Batch {
        let view = |view: &View| match view {
            View::From(first) => View::From(first + start),
            View::Rows(rows) => View::Rows(Arc::new(rows[start..start + len].to_vec())),
        };
        let columns = self
            .columns
            .iter()
            .map(|lazy| Lazy { base: Arc::clone(&lazy.base), view: view(&lazy.view) })
            .collect();
        Batch { rows: len, columns, origin: self.origin.clone() }
    }

    /// The same rows with other columns: some of these, and new ones.
    pub(super) fn rearranged(&self, columns: Vec<Placed>) -> Batch {
        let place = |placed| match placed {
            Placed::Old(at) => self.columns.get::<usize>(at).cloned(),
            Placed::New(base) => Some(Lazy { base, view: View::From(0) }),
        };
        Batch {
            rows: self.rows,
            columns: columns.into_iter().filter_map(place).collect(),
            origin: self.origin.clone(),
        }
    }
}

/// A column of a rearranged batch.
#[derive(Debug)]
pub(super) enum Placed {
    Old(usize),
    New(Arc<ColumnData>),
}

/// Rows gathered from batches into whole columns.
#[derive(Debug)]
pub(super) struct Gathered {
    builders: Vec<crate::data::ColumnBuilder>,
    pub(super) rows: usize,
}

impl Gathered {
    pub(super) fn new(types: impl Iterator<Item = ColumnType>) -> Gathered {
        Gathered { builders: types.map(crate::data::ColumnBuilder::new).collect(), rows: 0 }
    }

    pub(super) fn of(schema: &Schema) -> Gathered {
        Gathered::new(schema.columns.iter().map(|column| column.ty))
    }

    pub(super) fn push(&mut self, batch: &Batch) {
        for (at, builder) in self.builders.iter_mut().enumerate() {
            builder.extend(&batch.column(at));
        }
        self.rows += batch.rows;
    }

    pub(super) fn bytes(&self) -> usize {
        self.builders.iter().map(crate::data::ColumnBuilder::bytes).sum()
    }

    /// Lets go of all rows but the first.
    pub(super) fn truncate(&mut self, rows: usize) {
        let all = std::mem::replace(self, Gathered::new(self.types().into_iter()));
        let types = all.types();
        let kept = all.finish().slice(0, rows);
        *self = Gathered::new(types.into_iter());
        self.push(&kept);
    }

    fn types(&self) -> Vec<ColumnType> {
        self.builders.iter().map(crate::data::ColumnBuilder::ty).collect()
    }

    pub(super) fn finish(self) -> Batch {
        let columns = self.builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        Batch::new(columns, self.rows)
    }
}
