//! Extents: immutable sets of rows, and how a table's schema looks at them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::store::ExtentData;
use crate::data::{ColumnData, ColumnType, Schema};

/// A shard of a table. What identifies it may change (a move gives it a new id); its rows never do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Extent {
    /// Unique among all extents there ever were.
    pub(crate) id: Uuid,
    /// In the order given, without repeats.
    pub(crate) tags: Vec<String>,
    /// `MinCreatedOn` (and `MaxCreatedOn`), in ticks: when the data is said to have come into being.
    pub(crate) created: i64,
    /// `MaxCreatedOn` where that is another: the extent was merged.
    #[serde(default)]
    pub(crate) max_created: Option<i64>,
    /// When the rows were ingested, in ticks.
    pub(crate) ingested: i64,
    /// Numbers of rows and their ingestion times, in order, where that is not one for all: the extent was merged.
    #[serde(default)]
    pub(crate) ingested_runs: Vec<(u64, i64)>,
    /// How many rows.
    pub(crate) rows: u64,
    /// Bytes of the ingested text, uncompressed.
    pub(crate) original_size: u64,
    /// Bytes of the stored columns.
    pub(crate) stored_size: u64,
    /// What is stored, in the order of the file.
    pub(crate) columns: Vec<StoredColumn>,
    /// The name of the file with the rows.
    pub(crate) file: Uuid,
    /// The rows, once they are in memory; shared by all versions of the extent.
    #[serde(skip)]
    pub(crate) data: Arc<ExtentData>,
}

/// The columns of an extent, in the order of its file.
pub(crate) type ExtentColumns = Vec<Arc<ColumnData>>;

/// A column of an extent's file that still counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredColumn {
    /// The table's column.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: ColumnType,
    /// Where it stands in the file.
    pub(crate) position: usize,
}

impl StoredColumn {
    /// All columns of `schema`, in order.
    pub(crate) fn of(schema: &Schema) -> Vec<Self> {
        let columns = schema.columns.iter().enumerate();
        columns
            .map(|(position, column)| Self { name: column.name.clone(), ty: column.ty, position })
            .collect()
    }
}

impl Extent {
    /// Where the table's column `name` is in the file; none if the extent is older than the column.
    pub(crate) fn position(&self, name: &str, ty: ColumnType) -> Option<usize> {
        self.columns
            .iter()
            .find(|stored| stored.name == name && stored.ty == ty)
            .map(|stored| stored.position)
    }

    /// `MaxCreatedOn`, in ticks.
    pub(crate) fn last_created(&self) -> i64 {
        self.max_created.unwrap_or(self.created)
    }

    /// Numbers of rows and when they were ingested, in order.
    pub(crate) fn ingestion_times(&self) -> Vec<(u64, i64)> {
        if self.ingested_runs.is_empty() {
            vec![(self.rows, self.ingested)]
        } else {
            self.ingested_runs.clone()
        }
    }

    /// Without the columns that `schema` no longer has: a column of that name that comes later starts empty.
    pub(crate) fn pruned(&self, schema: &Schema) -> Self {
        let mut pruned = self.clone();
        pruned.columns.retain(|stored| {
            schema.index_of(&stored.name).is_some_and(|i| schema.columns[i].ty == stored.ty)
        });
        pruned
    }
}
