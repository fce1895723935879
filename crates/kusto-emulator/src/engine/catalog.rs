//! The catalog as one immutable value: databases, their tables, the tables' extents.
//!
//! A clone shares everything but the path to what changes, so that a snapshot costs a reference count.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use super::error::{EngineError, EngineResult};
use super::extent::Extent;
use super::mapping::MappingKind;
use super::names::database_key;
use super::policy::{BatchingPolicy, PolicyKind};
use super::principal::Principal;
use super::roles::Grant;
use crate::data::Schema;

/// Everything that a request can see.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By lower-case name.
    pub(crate) databases: BTreeMap<String, Arc<Database>>,
    /// AllDatabasesAdmins.
    pub(crate) admins: Vec<Principal>,
    /// Policies of the cluster.
    #[serde(default)]
    pub(crate) cluster: Settings,
}

/// What databases and tables have, and in part the cluster.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Policies set here (not the inherited ones).
    pub(crate) policies: BTreeMap<PolicyKind, Json>,
    /// Roles given here.
    pub(crate) grants: Vec<Grant>,
    /// Ingestion mappings by kind and name: their JSON text.
    #[serde(with = "mappings_as_list")]
    pub(crate) mappings: BTreeMap<(MappingKind, String), String>,
}

/// A database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Database {
    /// The name as it was created.
    pub(crate) name: String,
    /// Never changes, whatever the name.
    pub(crate) id: Uuid,
    /// Roles, policies and mappings of database scope.
    #[serde(flatten)]
    pub(crate) settings: Settings,
    /// By name.
    pub(crate) tables: BTreeMap<String, Arc<Table>>,
    /// Stored functions, by name.
    #[serde(default)]
    pub(crate) functions: BTreeMap<String, Arc<StoredFunction>>,
    /// Materialized views, by name.
    #[serde(default)]
    pub(crate) views: BTreeMap<String, Arc<MaterializedView>>,
}

/// A stored function, as it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredFunction {
    /// The name.
    pub(crate) name: String,
    /// With its brackets.
    pub(crate) parameters: String,
    /// With its braces.
    pub(crate) body: String,
    /// `folder`.
    pub(crate) folder: String,
    /// `docstring`.
    pub(crate) docstring: String,
    /// It may be used like a table, and `union` with a wildcard finds it.
    pub(crate) view: bool,
    /// Roles given here.
    #[serde(flatten)]
    pub(crate) settings: Settings,
}

/// A materialized view: what it says, and the records that it has taken in. The aggregation is computed when it is read, which is
/// what a reader of the whole view sees in the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MaterializedView {
    /// The name.
    pub(crate) name: String,
    /// Its table, whatever that is called by now.
    pub(crate) source: Uuid,
    /// What the query calls the table.
    pub(crate) source_name: String,
    /// One pipeline that ends with `summarize`.
    pub(crate) query: String,
    /// `folder`.
    pub(crate) folder: String,
    /// `docString`.
    pub(crate) docstring: String,
    /// `autoUpdateSchema`: that it says so; the columns here are always those of the table.
    pub(crate) follows_schema: bool,
    /// From when on records of the table count, in ticks.
    pub(crate) effective: i64,
    /// Roles given here.
    #[serde(flatten)]
    pub(crate) settings: Settings,
    /// The records that were ingested since, in whole extents: they stay when the table loses them.
    pub(crate) extents: Vec<Arc<Extent>>,
}

/// A table: what it is called and made of, and its extents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Never changes, whatever the name.
    pub(crate) id: Uuid,
    /// The name.
    pub(crate) name: String,
    /// Columns in order.
    pub(crate) schema: Arc<Schema>,
    /// `folder`.
    pub(crate) folder: String,
    /// `docstring`.
    pub(crate) docstring: String,
    /// `hidden=true`: left out of `.show tables`.
    pub(crate) hidden: bool,
    /// Roles, policies and mappings of the table.
    #[serde(flatten)]
    pub(crate) settings: Settings,
    /// In the order in which they came.
    pub(crate) extents: Vec<Arc<Extent>>,
}

impl std::ops::Deref for Database {
    type Target = Settings;
    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl std::ops::Deref for Table {
    type Target = Settings;
    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl std::ops::Deref for StoredFunction {
    type Target = Settings;
    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl std::ops::Deref for MaterializedView {
    type Target = Settings;
    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl State {
    /// The database of that name, in any case.
    pub(crate) fn find_database(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.get(&database_key(name))
    }

    /// # Errors
    /// 400 `BadRequest_EntityNotFound`.
    pub(crate) fn database(&self, name: &str) -> EngineResult<&Arc<Database>> {
        self.find_database(name).ok_or_else(|| EngineError::not_found("Database", name))
    }

    /// The table with that id, whatever it is called by now.
    pub(crate) fn table_by_id(&self, database: Uuid, table: Uuid) -> Option<(&Arc<Database>, &Arc<Table>)> {
        let database = self.databases.values().find(|candidate| candidate.id == database)?;
        Some((database, database.table_by_id(table)?))
    }

    /// The extents of all tables and views; what both have comes twice.
    pub(crate) fn extents(&self) -> impl Iterator<Item = &Arc<Extent>> {
        self.databases.values().flat_map(|database| {
            let of_tables = database.tables.values().flat_map(|table| &table.extents);
            of_tables.chain(database.views.values().flat_map(|view| &view.extents))
        })
    }

    /// The batching policy in force for a table that may not exist.
    pub(crate) fn batching_policy(&self, database: &str, table: &str) -> Option<BatchingPolicy> {
        self.named_policy(database, table, PolicyKind::IngestionBatching).map(BatchingPolicy::from_json)
    }

    /// Whether streaming ingestion is enabled for a table that may not exist.
    pub(crate) fn streaming_enabled(&self, database: &str, table: &str) -> bool {
        let policy = self.named_policy(database, table, PolicyKind::StreamingIngestion);
        policy.is_some_and(|policy| policy["IsEnabled"] == Json::Bool(true))
    }

    fn named_policy(&self, database: &str, table: &str, kind: PolicyKind) -> Option<&Json> {
        let database = self.find_database(database)?;
        self.policy(database, database.tables.get(table).map(|table| &**table), kind)
    }

    /// The policy in force: the table's own, else the database's, else the cluster's.
    pub(crate) fn policy<'s>(
        &'s self,
        database: &'s Database,
        table: Option<&'s Table>,
        kind: PolicyKind,
    ) -> Option<&'s Json> {
        let own = table.and_then(|table| table.policies.get(&kind));
        own.or_else(|| database.policies.get(&kind)).or_else(|| self.cluster.policies.get(&kind))
    }
}

impl Database {
    /// # Errors
    /// 400 `BadRequest_EntityNotFound`.
    pub(crate) fn table(&self, name: &str) -> EngineResult<&Arc<Table>> {
        self.tables.get(name).ok_or_else(|| EngineError::not_found("Table", name))
    }

    /// The table with that id, whatever it is called by now.
    pub(crate) fn table_by_id(&self, id: Uuid) -> Option<&Arc<Table>> {
        self.tables.values().find(|table| table.id == id)
    }

    /// A materialized view of the table, if there is one.
    pub(crate) fn view_of(&self, table: &Table) -> Option<&Arc<MaterializedView>> {
        self.views.values().find(|view| view.source == table.id)
    }

    /// What else is called so, for a name that is to be new: tables, functions and views have no name in common.
    pub(crate) fn kind_of(&self, name: &str) -> Option<&'static str> {
        let kinds = [
            ("Table", self.tables.contains_key(name)),
            ("Function", self.functions.contains_key(name)),
            ("MaterializedView", self.views.contains_key(name)),
        ];
        kinds.into_iter().find_map(|(kind, found)| found.then_some(kind))
    }
}

impl Table {
    /// Rows in all extents.
    pub(crate) fn row_count(&self) -> u64 {
        self.extents.iter().map(|extent| extent.rows).sum()
    }

    /// The extent with that id.
    pub(crate) fn extent(&self, id: Uuid) -> Option<&Arc<Extent>> {
        self.extents.iter().find(|extent| extent.id == id)
    }

    /// The table without its extents, as a change carries it.
    pub(crate) fn header(&self) -> Self {
        Self { extents: Vec::new(), ..self.clone() }
    }
}

/// JSON has no maps with keys of two parts.
mod mappings_as_list {
    use super::{BTreeMap, MappingKind};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        mappings: &BTreeMap<(MappingKind, String), String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        mappings.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<(MappingKind, String), String>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}
