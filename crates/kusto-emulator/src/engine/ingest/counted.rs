//! Extents that count: so many rows under these tags, and null in every column. For an emulator that accepts blobs and
//! keeps none of them; all that is done with extents (listings, moves, drops, counts of rows) works on them.

use std::sync::Arc;

use super::super::Engine;
use super::super::batch::{IngestFailure, IngestionProperties};
use super::super::principal::Principal;
use super::commit::{NewExtent, Target};
use super::resolve;
use crate::data::Schema;
use crate::faults::Mischief;

/// Rows of which nothing is known but their number.
#[derive(Debug)]
pub(crate) struct CountedRows {
    /// In whose name.
    pub(crate) principal: Principal,
    /// The database's name, in any case.
    pub(crate) database: String,
    /// The table's name.
    pub(crate) table: String,
    /// Tags and the like.
    pub(crate) properties: IngestionProperties,
    /// How many.
    pub(crate) rows: u64,
    /// Their bytes as text.
    pub(crate) raw_bytes: u64,
}

impl Engine {
    /// Gives the table one extent of these rows, or none if there are none.
    ///
    /// # Errors
    /// As an ingestion: no such table, no role, a tag there already.
    pub(crate) fn ingest_counted(&self, counted: &CountedRows) -> Result<(), IngestFailure> {
        let CountedRows { principal: caller, properties, .. } = counted;
        let names = (counted.database.as_str(), counted.table.as_str());
        let (database, table) = resolve(self, caller, names, true)?;
        // Without columns the extent reads as one that is older than all columns of the table.
        let (schema, columns) = (Arc::new(Schema::default()), Vec::new());
        let new = NewExtent { schema, columns, rows: counted.rows, original_size: counted.raw_bytes };
        let new = Some(new).filter(|new| new.rows > 0).into_iter().collect();
        let (database, table, mischief) = (&*database, &*table, &Mischief::default());
        Target { engine: self, caller, database, table, properties, mischief }.commit(new).map(drop)
    }
}
