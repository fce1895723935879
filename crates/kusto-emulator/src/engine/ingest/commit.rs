//! The end of an ingestion: extents are written, and the table gets them in one transaction.

use std::sync::Arc;

use uuid::Uuid;

use super::super::Engine;
use super::super::batch::{IngestFailure, IngestionProperties};
use super::super::catalog::{Database, State, Table};
use super::super::change::Change;
use super::super::error::EngineError;
use super::super::extent::{Extent, StoredColumn};
use super::super::policy::{PolicyKind, timespan_ticks};
use super::super::principal::Principal;
use super::super::roles::{Rights, TableAction};
use super::super::tag;
use super::super::transaction::Decision;
use super::columns::Columns;
use crate::assumptions::{IngestIfNotExists, ResolvedNames, RightsOfWaiting};
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

    /// The rows as so many extents of about the same size, or fewer, but none without rows.
    pub(super) fn parts(&self, count: u64) -> Vec<Self> {
        let each = self.rows.div_ceil(count.max(1)).max(1);
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let part = |start: u64| {
            let rows = each.min(self.rows - start);
            let slice = |column: &Arc<ColumnData>| Arc::new(column.slice(number(start), number(rows)));
            let (schema, columns) = (Arc::clone(&self.schema), self.columns.iter().map(slice).collect());
            Self { schema, columns, rows, original_size: self.original_size * rows / self.rows }
        };
        (0..self.rows.div_ceil(each)).map(|n| part(n * each)).collect()
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

/// Where rows go, in whose name, and how.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) caller: &'a Principal,
    pub(crate) database: &'a Database,
    pub(crate) table: &'a Table,
    pub(crate) properties: &'a IngestionProperties,
    pub(crate) mischief: &'a Mischief,
}

impl Target<'_> {
    /// Gives the extents to the table, whatever it is called by now, all at once.
    ///
    /// # Errors
    /// If the table is gone, the caller may not ingest any more, a tag of `ingestIfNotExists` is there by now, or the disk
    /// fails (transient).
    pub(crate) fn commit(&self, new: Vec<NewExtent>) -> Result<Vec<Uuid>, IngestFailure> {
        if self.mischief.in_halves() { self.commit_in_steps(new) } else { self.commit_part(new) }
    }

    /// Gives the first half of each extent to the table, then the second.
    pub(super) fn commit_in_steps(&self, new: Vec<NewExtent>) -> Result<Vec<Uuid>, IngestFailure> {
        let halves = new.iter().map(|extent| extent.parts(2).into_iter());
        let (first, second): (Vec<_>, Vec<_>) = halves.map(|mut parts| (parts.next(), parts.next())).unzip();
        let mut extents = self.commit_part(first.into_iter().flatten().collect())?;
        if !self.mischief.half {
            self.mischief.reach(HoldPoint::Halfway)?;
            // The first half has the tags that ingestIfNotExists would find.
            let properties =
                &IngestionProperties { ingest_if_not_exists: Vec::new(), ..self.properties.clone() };
            let rest = Target { properties, ..*self };
            extents.extend(rest.commit_part(second.into_iter().flatten().collect())?);
        }
        Ok(extents)
    }

    fn commit_part(&self, new: Vec<NewExtent>) -> Result<Vec<Uuid>, IngestFailure> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let extents = write(self.engine, self.properties, new)?;
        let committed = self.prepare().and_then(|()| {
            let decided = self.engine.transact(|state| self.decide(state, &extents));
            decided.map_err(|failure: Failure| failure.0)
        });
        if committed.is_err() {
            extents.iter().for_each(|extent| self.engine.extents.doom(extent));
        }
        committed
    }

    /// Whatever was ordered for the moment before the effect.
    fn prepare(&self) -> Result<(), IngestFailure> {
        self.mischief.reach(HoldPoint::Commit)?;
        if self.mischief.merge {
            let merged = self.engine.merge(Some(&self.database.name), None);
            merged.map_err(|error| Failure::from(error).0)?;
        }
        Ok(())
    }

    fn decide(&self, state: &State, extents: &[Extent]) -> Result<Decision<Vec<Uuid>>, Failure> {
        let assumed = self.engine.assumptions();
        let means_the_same = |(_, now): &(&Arc<Database>, &Arc<Table>)| {
            now.name == self.table.name || assumed.resolved_names == ResolvedNames::FollowTheTable
        };
        let found = state.table_by_id(self.database.id, self.table.id).filter(means_the_same);
        let Some((database, table)) = found else {
            let message = format!("table '{}' was dropped or renamed meanwhile", self.table.name);
            return Err(Failure(IngestFailure::permanent("BadRequest_TableNotExist", message)));
        };
        if assumed.rights == RightsOfWaiting::WhenItTakesEffect {
            self.refuse_without_right(state, database, table).map_err(Failure)?;
        }
        refuse_at_commit(self.engine, table, self.properties).map_err(Failure)?;
        self.refuse_too_old(state, database, table).map_err(Failure)?;
        let change = Change::AddExtents {
            database: database.name.clone(),
            table: table.name.clone(),
            extents: extents.iter().map(|extent| extent.pruned(&table.schema)).collect(),
            merged: false,
        };
        Ok(Decision::new(vec![change], extents.iter().map(|extent| extent.id).collect()))
    }

    /// What retention would take away at once is not let in.
    fn refuse_too_old(&self, state: &State, database: &Database, table: &Table) -> Result<(), IngestFailure> {
        let policy = state.policy(database, Some(table), PolicyKind::Retention);
        let period = policy.and_then(|policy| timespan_ticks(&policy["SoftDeletePeriod"]));
        let age = self.properties.creation_time.map(|created| self.engine.now().saturating_sub(created));
        match period.zip(age) {
            Some((period, age)) if age > period => Err(IngestFailure::permanent(
                "BadRequest_CreationTimeEarlierThanSoftDeletePeriod",
                format!("the creation time lies before the soft-delete period of table '{}'", table.name),
            )),
            _ => Ok(()),
        }
    }

    fn refuse_without_right(
        &self,
        state: &State,
        database: &Database,
        table: &Table,
    ) -> Result<(), IngestFailure> {
        let rights = Rights { access: self.engine.access, state, caller: self.caller, arrival: None };
        let allowed = rights.on_table(database, table, TableAction::Ingest);
        allowed.map_err(|error| IngestFailure::permanent("Forbidden", error.detail))
    }
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
        .put(file, &new.schema, new.columns)
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
