//! Named columns, schemas, and the tables that queries and commands answer with.

use super::{ColumnBuilder, ColumnData, ColumnType, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A column's name and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    /// The name, case-sensitive.
    pub(crate) name: String,
    /// The type.
    pub(crate) ty: ColumnType,
}

impl Column {
    /// A column called `name` of type `ty`.
    pub(crate) fn new(name: impl Into<String>, ty: ColumnType) -> Column {
        Column { name: name.into(), ty }
    }
}

/// The columns of a table, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Schema {
    /// The columns, in order.
    pub(crate) columns: Vec<Column>,
}

impl Schema {
    /// A schema of these columns.
    pub(crate) fn new(columns: Vec<Column>) -> Schema {
        Schema { columns }
    }

    /// A schema from pairs of name and type.
    pub(crate) fn of(columns: &[(&str, ColumnType)]) -> Schema {
        Schema { columns: columns.iter().map(|(name, ty)| Column::new(*name, *ty)).collect() }
    }

    /// The position of the column called `name` (names are case-sensitive).
    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// How many columns there are.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there are no columns.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }
}

/// A table of an answer: a name, columns, and the rows stored by column.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResultTable {
    /// The table's name in the answer, for instance `Table_0` or `PrimaryResult`.
    pub(crate) name: String,
    /// Names and types of the columns.
    pub(crate) schema: Schema,
    /// One vector per column of the schema, all of the same length.
    pub(crate) columns: Vec<Arc<ColumnData>>,
    /// The number of rows (it counts also where there are no columns).
    pub(crate) rows: usize,
}

impl ResultTable {
    /// A table of `columns`, which must fit `schema` and have the same length each.
    pub(crate) fn new(name: impl Into<String>, schema: Schema, columns: Vec<Arc<ColumnData>>) -> ResultTable {
        let rows = columns.first().map_or(0, |column| column.len());
        debug_assert!(columns.len() == schema.len() && columns.iter().all(|column| column.len() == rows));
        ResultTable { name: name.into(), schema, columns, rows }
    }

    /// A table from rows of values; a value that does not fit its column's type becomes null.
    pub(crate) fn from_rows<R>(name: impl Into<String>, schema: Schema, rows: R) -> ResultTable
    where
        R: IntoIterator,
        R::Item: AsRef<[Value]>,
    {
        let mut builders: Vec<ColumnBuilder> =
            schema.columns.iter().map(|column| ColumnBuilder::new(column.ty)).collect();
        let mut count = 0;
        for row in rows {
            let row = row.as_ref();
            for (i, builder) in builders.iter_mut().enumerate() {
                builder.push_value(row.get(i).unwrap_or(&Value::Null));
            }
            count += 1;
        }
        let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        ResultTable { name: name.into(), schema, columns, rows: count }
    }

    /// The value in `row` of the column at `column`.
    ///
    /// # Panics
    /// When the row or the column is out of range.
    pub(crate) fn value(&self, row: usize, column: usize) -> Value {
        self.columns[column].value(row)
    }

    /// Appends one row as a JSON array, values encoded as answers encode them.
    pub(crate) fn write_row_json(&self, row: usize, out: &mut String) {
        out.push('[');
        for (i, column) in self.columns.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            column.write_json(row, out);
        }
        out.push(']');
    }
}
