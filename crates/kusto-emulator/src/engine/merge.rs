//! Merges: several extents of a table become one, with another id and all their tags.
//!
//! What may be merged with what (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/merge-policy.md`,
//! `.../extent-tags.md`):
//! 1. the policy in force allows it: `AllowMerge` or `AllowRebuild` (here both mean the same: there are no files that
//!    one of them could spare);
//! 2. the sets of `drop-by:` tags are equal; all other tags are united, unless they would become too many;
//! 3. the result stays within `RowCountUpperBoundForMerge`, `OriginalSizeMBUpperBoundForMerge`, `MaxExtentsToMerge` and
//!    `MaxRangeInHours`.
//!
//! Rows keep their order within the extents, their ingestion times, and their number. A merge whose extents were
//! changed meanwhile is given up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value as Json;

use super::Engine;
use super::catalog::{Database, State, Table};
use super::change::Change;
use super::error::{EngineError, EngineResult};
use super::extent::{Extent, ExtentColumns, StoredColumn};
use super::policy::{PolicyKind, timespan_ticks};
use super::tag;
use super::transaction::Decision;
use crate::data::{ColumnBuilder, TICKS_PER_SECOND};

/// Characters that the united tags of an extent may have. Source: `.../extent-tags.md`.
const MAX_TAG_CHARACTERS: usize = 1_000_000;

/// The limits of a table's merge policy.
#[derive(Debug, Clone, Copy)]
struct Limits {
    rows: u64,
    original_size: u64,
    extents: usize,
    range: i64,
}

impl Limits {
    /// None if the policy allows no merges.
    fn in_force(state: &State, database: &Database, table: &Table) -> Option<Self> {
        let policy = policy(state, database, table);
        let allows = |name: &str| policy.and_then(|policy| policy[name].as_bool()).unwrap_or(true);
        let number = |name: &str, default: u64| policy.and_then(|p| p[name].as_u64()).unwrap_or(default);
        let limits = Self {
            rows: number("RowCountUpperBoundForMerge", 16_000_000),
            original_size: number("OriginalSizeMBUpperBoundForMerge", 30_000).saturating_mul(1 << 20),
            extents: usize::try_from(number("MaxExtentsToMerge", 100)).unwrap_or(usize::MAX),
            range: i64::try_from(number("MaxRangeInHours", 24))
                .unwrap_or(i64::MAX)
                .saturating_mul(3600 * TICKS_PER_SECOND),
        };
        (allows("AllowMerge") || allows("AllowRebuild")).then_some(limits)
    }

    fn fit(&self, group: &[&Arc<Extent>], next: &Extent) -> bool {
        let all = || group.iter().map(|extent| &***extent).chain([next]);
        let characters = distinct_tags(all()).iter().map(|tag| tag.chars().count()).sum::<usize>();
        let (first, last) = (all().map(|e| e.created).min(), all().map(Extent::last_created).max());
        all().map(|extent| extent.rows).sum::<u64>() <= self.rows
            && all().map(|extent| extent.original_size).sum::<u64>() <= self.original_size
            && group.len() < self.extents
            && last.zip(first).is_none_or(|(last, first)| last.saturating_sub(first) <= self.range)
            && characters <= MAX_TAG_CHARACTERS
    }
}

fn policy<'p>(state: &'p State, database: &'p Database, table: &'p Table) -> Option<&'p Json> {
    state.policy(database, Some(table), PolicyKind::Merge)
}

/// How long a table waits from one merge to the next: an hour, or what its policy says.
pub(super) fn period(state: &State, database: &Database, table: &Table) -> i64 {
    let own = policy(state, database, table).and_then(|policy| timespan_ticks(&policy["LoopPeriod"]));
    own.unwrap_or(3600 * TICKS_PER_SECOND)
}

/// Merges the tables that `which` wants; returns how many extents there are fewer.
///
/// # Errors
/// If rows cannot be read or written.
pub(super) fn run(engine: &Engine, which: impl Fn(&Database, &Table) -> bool) -> EngineResult<usize> {
    let state = engine.snapshot();
    let mut fewer = 0;
    for database in state.databases.values() {
        for table in database.tables.values().filter(|table| which(database, table)) {
            for group in groups(&state, database, table) {
                if merge(engine, database, table, &group)? {
                    fewer += group.len() - 1;
                }
            }
        }
    }
    Ok(fewer)
}

/// Extents that become one, two or more each.
fn groups<'t>(state: &State, database: &Database, table: &'t Table) -> Vec<Vec<&'t Arc<Extent>>> {
    let Some(limits) = Limits::in_force(state, database, table) else { return Vec::new() };
    let mut open: BTreeMap<BTreeSet<&str>, Vec<&Arc<Extent>>> = BTreeMap::new();
    let mut groups = Vec::new();
    for extent in &table.extents {
        let group = open.entry(tag::drop_by(&extent.tags)).or_default();
        if !group.is_empty() && !limits.fit(group, extent) {
            groups.push(std::mem::take(group));
        }
        group.push(extent);
    }
    groups.extend(open.into_values());
    groups.retain(|group| group.len() > 1);
    groups
}

/// False if somebody changed the extents meanwhile.
fn merge(engine: &Engine, database: &Database, table: &Table, group: &[&Arc<Extent>]) -> EngineResult<bool> {
    let merged = united(engine, table, group)?;
    let decided =
        engine.transact(|state| Ok::<_, EngineError>(decide(state, database, table, group, &merged)));
    if !matches!(decided, Ok(true)) {
        engine.extents.doom(&merged);
    }
    decided
}

fn decide(
    state: &State,
    database: &Database,
    table: &Table,
    group: &[&Arc<Extent>],
    merged: &Extent,
) -> Decision<bool> {
    let Some((database, table)) = state.table_by_id(database.id, table.id) else {
        return Decision::nothing(false);
    };
    let unchanged =
        |extent: &&Arc<Extent>| table.extent(extent.id).is_some_and(|now| now.tags == extent.tags);
    if !group.iter().all(unchanged) {
        return Decision::nothing(false);
    }
    let (database, name) = (database.name.clone(), table.name.clone());
    let ids = group.iter().map(|extent| extent.id).collect();
    let dropped = Change::DropExtents { database: database.clone(), table: name.clone(), ids };
    let extents = vec![merged.pruned(&table.schema)];
    Decision::new(vec![dropped, Change::AddExtents { database, table: name, extents, merged: true }], true)
}

/// The extent that takes the place of the group.
fn united(engine: &Engine, table: &Table, group: &[&Arc<Extent>]) -> EngineResult<Extent> {
    let columns = columns(engine, table, group)?;
    let (id, file) = (engine.new_id(), engine.new_id());
    let stored_size = columns.iter().map(|column| column.bytes() as u64).sum();
    let data = engine.extents.put(file, &table.schema, columns).map_err(EngineError::internal)?;
    let extents = || group.iter().map(|extent| &***extent);
    let runs: Vec<_> = extents().flat_map(Extent::ingestion_times).collect();
    Ok(Extent {
        id,
        tags: distinct_tags(extents()),
        created: extents().map(|extent| extent.created).min().unwrap_or_default(),
        max_created: extents().map(Extent::last_created).max(),
        ingested: runs.first().map_or(0, |(_, time)| *time),
        ingested_runs: runs,
        rows: extents().map(|extent| extent.rows).sum(),
        original_size: extents().map(|extent| extent.original_size).sum(),
        stored_size,
        columns: StoredColumn::of(&table.schema),
        file,
        data,
    })
}

fn distinct_tags<'e>(extents: impl Iterator<Item = &'e Extent>) -> Vec<String> {
    tag::distinct(&extents.flat_map(|extent| extent.tags.iter().cloned()).collect::<Vec<_>>())
}

fn columns(engine: &Engine, table: &Table, group: &[&Arc<Extent>]) -> EngineResult<ExtentColumns> {
    let rows = |extent: &Extent| usize::try_from(extent.rows).unwrap_or(usize::MAX);
    let total = group.iter().map(|extent| rows(extent)).sum();
    let column = |column: &crate::data::Column| {
        let mut builder = ColumnBuilder::with_capacity(column.ty, total);
        for extent in group {
            match extent.position(&column.name, column.ty) {
                Some(at) => {
                    let stored = engine.extents.columns(extent).map_err(EngineError::internal)?;
                    builder.extend(&stored[at]);
                }
                None => (0..rows(extent)).for_each(|_| builder.push_null()),
            }
        }
        Ok(Arc::new(builder.finish()))
    };
    table.schema.columns.iter().map(column).collect()
}
