//! The end of an ingestion: extents are written, and the table gets them in one transaction.

use std::sync::Arc;

use uuid::Uuid;

use super::super::Engine;
use super::super::batch::{IngestFailure, IngestionProperties};
use super::super::catalog::{Database, State, Table};
use super::super::change::Change;
use super::super::error::EngineError;
use super::super::extent::{Extent, StoredColumn};
use super::super::tag;
use super::super::transaction::Decision;
use super::columns::Columns;
use crate::assumptions::{IngestIfNotExists, ResolvedNames};
use crate::data::{ColumnData, Schema};
use crate::faults::Mischief;
use crate::holds::HoldPoint;

/// Sources are put together into one extent up to this many rows.
const ROWS_PER_EXTENT: u64 = 4_000_000;

/// Rows that are to become an extent.
pub(crate) struct NewExtent {
    pub(crate) schema: Arc<Schema>,
    pub(crate) columns: Vec<Arc<ColumnData>>,
    pub(crate) rows: u64,
    pub(crate) original_size: u64,
}

impl NewExtent {
    /// The extents of a batch: few, whatever the number of sources.
    pub(super) fn merged(sources: Vec<Columns>, schema: &Arc<Schema>) -> Vec<Self> {
        let mut merged: Vec<Columns> = Vec::new();
        for source in sources {
            match merged.last_mut() {
                Some(last) if last.rows() + source.rows() <= ROWS_PER_EXTENT => last.append(source),
                _ => merged.push(source),
            }
        }
        let extent = |columns: Columns| Self {
            schema: Arc::clone(schema),
            rows: columns.rows(),
            original_size: columns.text_bytes(),
            columns: columns.into_data(),
        };
        merged.into_iter().map(extent).collect()
    }

    /// The first half of the rows (the larger one) and the second.
    fn halves(&self) -> (Self, Self) {
        let middle = self.rows.div_ceil(2);
        let part = |start: u64, rows: u64| {
            let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            let slice = |column: &Arc<ColumnData>| Arc::new(column.slice(number(start), number(rows)));
            let (schema, columns) = (Arc::clone(&self.schema), self.columns.iter().map(slice).collect());
            Self { schema, columns, rows, original_size: self.original_size / 2 }
        };
        (part(0, middle), part(middle, self.rows - middle))
    }

    /// The one extent of inline data; none if it has no rows.
    pub(crate) fn of_inline(columns: Columns, schema: &Arc<Schema>) -> Vec<Self> {
        Self::merged(Some(columns).filter(|columns| columns.rows() > 0).into_iter().collect(), schema)
    }
}

/// # Errors
/// `Skipped_IngestByTagAlreadyExists` if the table has data under a tag of `ingestIfNotExists`.
pub(crate) fn refuse_if_ingested(
    table: &Table,
    properties: &IngestionProperties,
) -> Result<(), IngestFailure> {
    match tag::already_ingested(table, &properties.ingest_if_not_exists) {
        None => Ok(()),
        Some(value) => Err(IngestFailure::permanent(
            "Skipped_IngestByTagAlreadyExists",
            format!("table '{}' already has data tagged 'ingest-by:{value}'", table.name),
        )),
    }
}

/// Gives the extents to the table, whatever it is called by now, all at once.
///
/// # Errors
/// If the table is gone, a tag of `ingestIfNotExists` is there by now, or the disk fails (transient).
pub(crate) fn commit(
    engine: &Engine,
    (database, table): (&Database, &Table),
    properties: &IngestionProperties,
    new: Vec<NewExtent>,
    mischief: &Mischief,
) -> Result<Vec<Uuid>, IngestFailure> {
    if !mischief.in_halves() {
        return commit_part(engine, (database, table), properties, new, mischief);
    }
    let (first, second): (Vec<_>, Vec<_>) = new.iter().map(NewExtent::halves).unzip();
    let mut extents = commit_part(engine, (database, table), properties, first, mischief)?;
    if !mischief.half {
        mischief.reach(HoldPoint::Halfway)?;
        // The first half has the tags that ingestIfNotExists would find.
        let properties = IngestionProperties { ingest_if_not_exists: Vec::new(), ..properties.clone() };
        let second = second.into_iter().filter(|extent| extent.rows > 0).collect();
        extents.extend(commit_part(engine, (database, table), &properties, second, mischief)?);
    }
    Ok(extents)
}

fn commit_part(
    engine: &Engine,
    (database, table): (&Database, &Table),
    properties: &IngestionProperties,
    new: Vec<NewExtent>,
    mischief: &Mischief,
) -> Result<Vec<Uuid>, IngestFailure> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let extents = write(engine, properties, new)?;
    let committed = prepare(engine, database, mischief).and_then(|()| {
        let decided =
            engine.transact(|state| decide(engine, state, (database.id, table), properties, &extents));
        decided.map_err(|failure: Failure| failure.0)
    });
    if committed.is_err() {
        extents.iter().for_each(|extent| engine.extents.doom(extent));
    }
    committed
}

/// Whatever was ordered for the moment before the effect.
fn prepare(engine: &Engine, database: &Database, mischief: &Mischief) -> Result<(), IngestFailure> {
    mischief.reach(HoldPoint::Commit)?;
    if mischief.merge {
        engine.merge(Some(&database.name), None).map_err(|error| Failure::from(error).0)?;
    }
    Ok(())
}

/// [`refuse_if_ingested`] in the transaction, unless that is assumed not to happen.
///
/// # Errors
/// As [`refuse_if_ingested`].
pub(crate) fn refuse_at_commit(
    engine: &Engine,
    table: &Table,
    properties: &IngestionProperties,
) -> Result<(), IngestFailure> {
    match engine.assumptions().ingest_if_not_exists {
        IngestIfNotExists::Atomic => refuse_if_ingested(table, properties),
        IngestIfNotExists::CheckedAtStart => Ok(()),
    }
}

/// Writes the files of the extents; the catalog does not know them yet.
pub(crate) fn write(
    engine: &Engine,
    properties: &IngestionProperties,
    new: Vec<NewExtent>,
) -> Result<Vec<Extent>, IngestFailure> {
    let mut written: Vec<Extent> = Vec::with_capacity(new.len());
    for extent in new {
        match write_one(engine, properties, extent) {
            Ok(extent) => written.push(extent),
            Err(failure) => {
                written.iter().for_each(|extent| engine.extents.doom(extent));
                return Err(failure);
            }
        }
    }
    Ok(written)
}

fn write_one(
    engine: &Engine,
    properties: &IngestionProperties,
    new: NewExtent,
) -> Result<Extent, IngestFailure> {
    let (id, file, now) = (engine.new_id(), engine.new_id(), engine.now());
    let stored_size = new.columns.iter().map(|column| column.bytes() as u64).sum();
    let data = engine
        .extents
        .put(file, new.columns)
        .map_err(|error| IngestFailure::transient("General_InternalServerError", error.to_string()))?;
    Ok(Extent {
        id,
        tags: tag::distinct(&properties.tags),
        created: properties.creation_time.unwrap_or(now),
        max_created: None,
        ingested: now,
        ingested_runs: Vec::new(),
        rows: new.rows,
        original_size: new.original_size,
        stored_size,
        columns: StoredColumn::of(&new.schema),
        file,
        data,
    })
}

/// The error of a commit, which may come from the journal.
struct Failure(IngestFailure);

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self(IngestFailure::transient("General_InternalServerError", error.detail))
    }
}

fn decide(
    engine: &Engine,
    state: &State,
    (database, table): (Uuid, &Table),
    properties: &IngestionProperties,
    extents: &[Extent],
) -> Result<Decision<Vec<Uuid>>, Failure> {
    let means_the_same = |(_, now): &(&Arc<Database>, &Arc<Table>)| {
        now.name == table.name || engine.assumptions().resolved_names == ResolvedNames::FollowTheTable
    };
    let Some((database, table)) = state.table_by_id(database, table.id).filter(means_the_same) else {
        let message = format!("table '{}' was dropped or renamed meanwhile", table.name);
        return Err(Failure(IngestFailure::permanent("BadRequest_TableNotExist", message)));
    };
    refuse_at_commit(engine, table, properties).map_err(Failure)?;
    let change = Change::AddExtents {
        database: database.name.clone(),
        table: table.name.clone(),
        extents: extents.iter().map(|extent| extent.pruned(&table.schema)).collect(),
    };
    Ok(Decision::new(vec![change], extents.iter().map(|extent| extent.id).collect()))
}
