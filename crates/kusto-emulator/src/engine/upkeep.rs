//! What the service does by itself, on the clock: merges, and what retention, tag retention and auto-delete take away.
//!
//! Each table is merged when its `LoopPeriod` has passed since the last time (at first: since the engine was opened).
//! The other policies are looked at once a minute. How soon the service itself gets to them is not documented; it
//! promises only not to be early.

use std::sync::PoisonError;

use serde_json::Value as Json;
use uuid::Uuid;

use super::catalog::{Database, State, Table};
use super::change::Change;
use super::error::{EngineError, EngineResult};
use super::extent::Extent;
use super::policy::{PolicyKind, timespan_ticks};
use super::transaction::Decision;
use super::{Engine, merge};
use crate::assumptions::Merges;
use crate::data::{TICKS_PER_SECOND, parse_datetime};

/// Ticks from one look at the policies to the next.
const PERIOD: i64 = 60 * TICKS_PER_SECOND;

impl Engine {
    /// Whether [`Engine::upkeep`] has something to look at.
    pub(crate) fn upkeep_is_due(&self) -> bool {
        let last = *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.now().saturating_sub(last) >= PERIOD
    }

    /// Does what is due.
    ///
    /// # Errors
    /// If rows cannot be read or written, or the journal cannot.
    pub(crate) fn upkeep(&self) -> EngineResult<()> {
        let now = self.now();
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = now;
        self.transact(|state| Ok::<_, EngineError>(Decision::new(expired(state, now), ())))?;
        if self.assumptions().merges == Merges::ByPolicy {
            let due = self.due_for_merge(now);
            merge::run(self, |_, table| due.contains(&table.id))?;
        }
        Ok(())
    }

    /// Merges what policies allow, at once: in one table or all, of one database or all. Returns how many extents there
    /// are fewer.
    ///
    /// # Errors
    /// If rows cannot be read or written, or the journal cannot.
    pub(crate) fn merge(&self, database: Option<&str>, table: Option<&str>) -> EngineResult<usize> {
        let named =
            |given: Option<&str>, name: &str| given.is_none_or(|given| given.eq_ignore_ascii_case(name));
        merge::run(self, |of, own| named(database, &of.name) && table.is_none_or(|table| own.name == table))
    }

    /// The tables whose period is over; from now on a new one begins.
    fn due_for_merge(&self, now: i64) -> Vec<Uuid> {
        let mut last = self.merged_at.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.snapshot();
        let tables = || state.databases.values().flat_map(|d| d.tables.values().map(move |table| (d, table)));
        let due = |(database, table): &(&std::sync::Arc<Database>, &std::sync::Arc<Table>)| {
            let since = last.get(&table.id).copied().unwrap_or(self.opened);
            now.saturating_sub(since) >= merge::period(&state, database, table)
        };
        let due: Vec<_> = tables().filter(due).map(|(_, table)| table.id).collect();
        last.retain(|id, _| tables().any(|(_, table)| table.id == *id));
        last.extend(due.iter().map(|id| (*id, now)));
        due
    }
}

/// What policies say is to go.
fn expired(state: &State, now: i64) -> Vec<Change> {
    let tables = state.databases.values().flat_map(|d| d.tables.values().map(move |table| (&**d, &**table)));
    tables.flat_map(|(database, table)| expired_of(state, database, table, now)).collect()
}

fn expired_of(state: &State, database: &Database, table: &Table, now: i64) -> Vec<Change> {
    let policy = |kind| state.policy(database, Some(table), kind);
    if table.policies.get(&PolicyKind::AutoDelete).is_some_and(|policy| is_over(policy, table, now)) {
        return vec![Change::DropTable { database: database.name.clone(), table: table.name.clone() }];
    }
    let retention =
        policy(PolicyKind::Retention).and_then(|policy| timespan_ticks(&policy["SoftDeletePeriod"]));
    let old = |extent: &&std::sync::Arc<Extent>| {
        retention.is_some_and(|period| now.saturating_sub(extent.last_created()) > period)
    };
    let ids: Vec<_> = table.extents.iter().filter(old).map(|extent| extent.id).collect();
    let rules = policy(PolicyKind::ExtentTagsRetention).and_then(Json::as_array);
    let tags: Vec<_> = table.extents.iter().filter_map(|extent| kept_tags(extent, rules?, now)).collect();
    let (database, table) = (database.name.clone(), table.name.clone());
    let mut changes = Vec::new();
    if !ids.is_empty() {
        changes.push(Change::DropExtents { database: database.clone(), table: table.clone(), ids });
    }
    if !tags.is_empty() {
        changes.push(Change::SetTags { database, table, tags });
    }
    changes
}

fn is_over(policy: &Json, table: &Table, now: i64) -> bool {
    let expiry = policy["ExpiryDate"].as_str().and_then(parse_datetime);
    let takes_rows = policy["DeleteIfNotEmpty"].as_bool().unwrap_or(false);
    expiry.is_some_and(|expiry| now >= expiry) && (takes_rows || table.row_count() == 0)
}

/// The tags that an extent keeps, if some go.
fn kept_tags(extent: &Extent, rules: &[Json], now: i64) -> Option<(Uuid, Vec<String>)> {
    let over = |rule: &&Json| {
        timespan_ticks(&rule["RetentionPeriod"])
            .is_some_and(|period| now.saturating_sub(extent.created) > period)
    };
    let over: Vec<_> = rules.iter().filter(over).filter_map(|rule| rule["TagPrefix"].as_str()).collect();
    let goes = |tag: &String| over.iter().any(|prefix| tag.starts_with(prefix));
    let kept: Vec<_> = extent.tags.iter().filter(|tag| !goes(tag)).cloned().collect();
    (kept.len() < extent.tags.len()).then_some((extent.id, kept))
}
