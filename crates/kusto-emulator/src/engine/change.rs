//! Changes of the catalog: what commands decide, the journal records, and a start replays.
//!
//! Applying a change is total and deterministic: it was checked against the very state that it is applied to, by the
//! only writer. A change that names something missing leaves the state as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::catalog::{Database, MaterializedView, Settings, State, StoredFunction, Table};
use super::extent::Extent;
use super::names::database_key;
use super::principal::Principal;

/// One step of a transaction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Change {
    /// The whole catalog: the first record of a compacted journal.
    Everything(Box<State>),
    /// AllDatabasesAdmins from now on.
    SetAdmins(Vec<Principal>),
    /// Policies of the cluster from now on.
    SetCluster(Box<Settings>),
    /// A new database.
    CreateDatabase { name: String, id: Uuid },
    /// Roles, policies and mappings of a database from now on.
    SetDatabase { database: String, settings: Box<Settings> },
    /// A new table, or another schema, description or settings for one that exists; its extents stay.
    PutTable { database: String, table: Box<Table> },
    /// A table goes with all its extents.
    DropTable { database: String, table: String },
    /// Tables change their names, all at once: pairs of old and new name.
    RenameTables { database: String, names: Vec<(String, String)> },
    /// New extents; of a merge, if they hold no record that was not there before.
    AddExtents {
        database: String,
        table: String,
        extents: Vec<Extent>,
        #[serde(default)]
        merged: bool,
    },
    /// Extents go.
    DropExtents { database: String, table: String, ids: Vec<Uuid> },
    /// Extents change table and id: pairs of old and new id; with a new ingestion time if that was asked for.
    MoveExtents { database: String, from: String, to: String, ids: Vec<(Uuid, Uuid)>, ingested: Option<i64> },
    /// Extents have these tags from now on.
    SetTags { database: String, table: String, tags: Vec<(Uuid, Vec<String>)> },
    /// A new stored function, or another one of that name.
    PutFunction { database: String, function: Box<StoredFunction> },
    /// A stored function goes.
    DropFunction { database: String, function: String },
    /// A new materialized view, or another one of that name.
    PutView { database: String, view: Box<MaterializedView> },
    /// A materialized view goes, with the records that only it has.
    DropView { database: String, view: String },
}

impl State {
    /// Applies one change.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Everything(state) => *self = (**state).clone(),
            Change::SetAdmins(admins) => self.admins.clone_from(admins),
            Change::SetCluster(settings) => self.cluster = (**settings).clone(),
            Change::CreateDatabase { name, id } => self.create_database(name, *id),
            Change::SetDatabase { database, settings } => {
                self.with_database(database, |database| database.settings = (**settings).clone());
            }
            Change::PutTable { database, table } => {
                self.with_database(database, |database| database.put(table))
            }
            Change::DropTable { database, table } => self.with_database(database, |database| {
                database.tables.remove(table);
            }),
            Change::RenameTables { database, names } => {
                self.with_database(database, |database| database.rename(names))
            }
            Change::AddExtents { database, table, extents, merged } => {
                let extents: Vec<_> = extents.iter().cloned().map(Arc::new).collect();
                self.with_database(database, |database| {
                    if !merged {
                        database.materialize(table, &extents);
                    }
                    database.with_table(table, |table| table.extents.extend(extents));
                });
            }
            Change::DropExtents { database, table, ids } => {
                self.with_table(database, table, |table| drop(table.take(ids)));
            }
            Change::MoveExtents { database, from, to, ids, ingested } => {
                self.with_database(database, |database| database.move_extents(from, to, ids, *ingested));
            }
            Change::SetTags { database, table, tags } => {
                self.with_table(database, table, |table| table.set_tags(tags))
            }
            Change::PutFunction { database, function } => self.with_database(database, |database| {
                database.functions.insert(function.name.clone(), Arc::new((**function).clone()));
            }),
            Change::DropFunction { database, function } => self.with_database(database, |database| {
                database.functions.remove(function);
            }),
            Change::PutView { database, view } => self.with_database(database, |database| {
                database.views.insert(view.name.clone(), Arc::new((**view).clone()));
            }),
            Change::DropView { database, view } => self.with_database(database, |database| {
                database.views.remove(view);
            }),
        }
    }

    fn create_database(&mut self, name: &str, id: Uuid) {
        let database = Database {
            name: name.to_owned(),
            id,
            settings: Settings::default(),
            tables: BTreeMap::new(),
            functions: BTreeMap::new(),
            views: BTreeMap::new(),
        };
        self.databases.insert(database_key(name), Arc::new(database));
    }

    fn with_database(&mut self, name: &str, change: impl FnOnce(&mut Database)) {
        if let Some(database) = self.databases.get_mut(&database_key(name)) {
            change(Arc::make_mut(database));
        }
    }

    fn with_table(&mut self, database: &str, table: &str, change: impl FnOnce(&mut Table)) {
        self.with_database(database, |database| database.with_table(table, change));
    }
}

impl Database {
    fn with_table(&mut self, name: &str, change: impl FnOnce(&mut Table)) {
        if let Some(table) = self.tables.get_mut(name) {
            change(Arc::make_mut(table));
        }
    }

    fn put(&mut self, table: &Table) {
        let mut put = table.clone();
        if let Some(old) = self.tables.get(&table.name) {
            let same = old.schema == put.schema;
            let extents = old.extents.iter();
            put.extents =
                extents.map(|e| if same { Arc::clone(e) } else { Arc::new(e.pruned(&put.schema)) }).collect();
        }
        self.tables.insert(put.name.clone(), Arc::new(put));
    }

    /// All old names go before the first new one comes, so that a swap works.
    fn rename(&mut self, names: &[(String, String)]) {
        let taken: Vec<_> =
            names.iter().filter_map(|(old, new)| self.tables.remove(old).map(|table| (table, new))).collect();
        for (mut table, new) in taken {
            Arc::make_mut(&mut table).name.clone_from(new);
            self.tables.insert(new.clone(), table);
        }
    }

    fn move_extents(&mut self, from: &str, to: &str, ids: &[(Uuid, Uuid)], ingested: Option<i64>) {
        let Some(schema) = self.tables.get(to).map(|table| Arc::clone(&table.schema)) else { return };
        let old: Vec<Uuid> = ids.iter().map(|(old, _)| *old).collect();
        let mut taken = Vec::new();
        self.with_table(from, |table| taken = table.take(&old));
        let new_ids: BTreeMap<Uuid, Uuid> = ids.iter().copied().collect();
        let moved = taken.iter().map(|extent| {
            let mut moved = extent.pruned(&schema);
            moved.id = new_ids.get(&extent.id).copied().unwrap_or(extent.id);
            if let Some(now) = ingested {
                moved.ingested = now;
                moved.ingested_runs.clear();
            }
            Arc::new(moved)
        });
        let moved: Vec<_> = moved.collect();
        if from != to && ingested.is_some() {
            self.materialize(to, &moved);
        }
        self.with_table(to, |table| table.extents.extend(moved));
    }

    /// Views of the table take in records that are new to it. They see what has a new ingestion time.
    fn materialize(&mut self, table: &str, extents: &[Arc<Extent>]) {
        let Some(id) = self.tables.get(table).map(|table| table.id) else { return };
        for view in self.views.values_mut().filter(|view| view.source == id) {
            Arc::make_mut(view).extents.extend(extents.iter().map(Arc::clone));
        }
    }
}

impl Table {
    /// Takes the extents with these ids out, in the table's order.
    fn take(&mut self, ids: &[Uuid]) -> Vec<Arc<Extent>> {
        let wanted: std::collections::BTreeSet<_> = ids.iter().collect();
        let (taken, kept) = self.extents.drain(..).partition(|extent| wanted.contains(&extent.id));
        self.extents = kept;
        taken
    }

    fn set_tags(&mut self, tags: &[(Uuid, Vec<String>)]) {
        let by_id: BTreeMap<_, _> = tags.iter().map(|(id, tags)| (id, tags)).collect();
        for extent in &mut self.extents {
            if let Some(tags) = by_id.get(&extent.id) {
                Arc::make_mut(extent).tags.clone_from(tags);
            }
        }
    }
}
