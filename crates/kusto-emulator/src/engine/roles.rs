//! Roles: who may do what, on which entity.
//!
//! | role | may |
//! |---|---|
//! | AllDatabasesAdmin | everything |
//! | database admin | everything in the database |
//! | database user | query, look, create tables (and become their admin) |
//! | database viewer | query, look |
//! | database unrestricted viewer | nothing by itself: it adds to a user or viewer what no policy here takes away |
//! | database ingestor | ingest into every table; not query |
//! | database monitor | look (`.show ...`); not query |
//! | table admin | everything on the table, ingestion included |
//! | table ingestor | ingest into the table |
//!
//! A table role holds only for a principal that has a role in the database. Sources: `MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/access-control/role-based-access-control.md` and the command pages' "Permissions".

use std::fmt;

use serde::{Deserialize, Serialize};

use super::catalog::{Database, State, Table};
use super::error::{EngineError, EngineResult};
use super::principal::Principal;

/// A role on a database or on a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Everything.
    Admin,
    /// Queries and creates tables.
    User,
    /// Queries.
    Viewer,
    /// Queries, tables with a restricted view included.
    UnrestrictedViewer,
    /// Ingests.
    Ingestor,
    /// Looks at metadata.
    Monitor,
}

impl Role {
    /// Reads the plural of a command (`admins`, `ingestors`, ...).
    pub(crate) fn from_plural(word: &str) -> Option<Self> {
        Some(match word {
            "admins" => Self::Admin,
            "users" => Self::User,
            "viewers" => Self::Viewer,
            "unrestrictedviewers" => Self::UnrestrictedViewer,
            "ingestors" => Self::Ingestor,
            "monitors" => Self::Monitor,
            _ => return None,
        })
    }

    /// Whether the role exists on tables.
    pub(crate) fn is_table_role(self) -> bool {
        matches!(self, Self::Admin | Self::Ingestor)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "Admin",
            Self::User => "User",
            Self::Viewer => "Viewer",
            Self::UnrestrictedViewer => "UnrestrictedViewer",
            Self::Ingestor => "Ingestor",
            Self::Monitor => "Monitor",
        })
    }
}

/// One principal in one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// Which role.
    pub(crate) role: Role,
    /// Who has it.
    pub(crate) principal: Principal,
    /// The note given with the command.
    pub(crate) notes: String,
}

/// Whether roles are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Access {
    /// No sign-in is used: every caller is AllDatabasesAdmin.
    #[default]
    Open,
    /// Every call needs the role that its command's documentation asks for.
    ByRole,
}

/// What a caller wants to do to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatabaseAction {
    /// Run queries.
    Query,
    /// Look at metadata with `.show`.
    Show,
    /// Create a table.
    CreateTable,
    /// Change mappings of the database.
    Ingest,
    /// Anything else.
    Administer,
}

impl DatabaseAction {
    fn allowed_by(self, role: Role) -> bool {
        match self {
            Self::Query => matches!(role, Role::Admin | Role::User | Role::Viewer),
            Self::Show => !matches!(role, Role::Ingestor | Role::UnrestrictedViewer),
            Self::CreateTable => matches!(role, Role::Admin | Role::User),
            Self::Ingest => matches!(role, Role::Admin | Role::Ingestor),
            Self::Administer => role == Role::Admin,
        }
    }

    fn needed(self) -> &'static str {
        match self {
            Self::Query => "Database Viewer",
            Self::Show => "Database Viewer or Monitor",
            Self::CreateTable => "Database User",
            Self::Ingest => "Database Ingestor",
            Self::Administer => "Database Admin",
        }
    }
}

/// What a caller wants to do to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableAction {
    /// Look at its schema, extents or policies.
    Show,
    /// Add rows or change its mappings.
    Ingest,
    /// Anything else.
    Administer,
}

/// The rights of one caller on one snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rights<'a> {
    pub(crate) access: Access,
    pub(crate) state: &'a State,
    pub(crate) caller: &'a Principal,
    /// The state whose roles count, where that is not `state`: the one that the request met when it arrived.
    pub(crate) arrival: Option<&'a State>,
}

impl Rights<'_> {
    /// Whether the caller may do everything.
    pub(crate) fn is_cluster_admin(&self) -> bool {
        let admins = &self.arrival.unwrap_or(self.state).admins;
        self.access == Access::Open || admins.iter().any(|admin| admin.covers(self.caller))
    }

    /// # Errors
    /// 403 unless the caller may do everything.
    pub(crate) fn on_cluster(&self) -> EngineResult<()> {
        if self.is_cluster_admin() { Ok(()) } else { Err(self.refused("AllDatabasesAdmin", "the cluster")) }
    }

    /// # Errors
    /// 403 naming principal, role and database.
    pub(crate) fn on_database(&self, database: &Database, action: DatabaseAction) -> EngineResult<()> {
        if self.is_cluster_admin() || self.database_roles(database).any(|role| action.allowed_by(role)) {
            return Ok(());
        }
        Err(self.refused(action.needed(), &format!("database '{}'", database.name)))
    }

    /// # Errors
    /// 403 naming principal, role and table.
    pub(crate) fn on_table(
        &self,
        database: &Database,
        table: &Table,
        action: TableAction,
    ) -> EngineResult<()> {
        if self.may_on_table(database, table, action) {
            return Ok(());
        }
        let needed = match action {
            TableAction::Show => "Database Viewer or Monitor",
            TableAction::Ingest => "Table Ingestor",
            TableAction::Administer => "Table Admin",
        };
        Err(self.refused(needed, &format!("table '{}' of database '{}'", table.name, database.name)))
    }

    /// Whether the caller administers a function or a view, which have these grants of their own.
    ///
    /// # Errors
    /// 403 naming principal, role and entity.
    pub(crate) fn on_entity(
        &self,
        database: &Database,
        grants: &[Grant],
        kind: &str,
        name: &str,
    ) -> EngineResult<()> {
        let member = self.database_roles(database).next().is_some();
        let own = |grant: &Grant| member && grant.role == Role::Admin && grant.principal.covers(self.caller);
        if self.on_database(database, DatabaseAction::Administer).is_ok() || grants.iter().any(own) {
            return Ok(());
        }
        let entity = format!("{kind} '{name}' of database '{}'", database.name);
        Err(self.refused(&format!("{kind} Admin"), &entity))
    }

    fn may_on_table(&self, database: &Database, table: &Table, action: TableAction) -> bool {
        let on_database = |action| self.on_database(database, action).is_ok();
        match action {
            TableAction::Show => {
                on_database(DatabaseAction::Show) || self.table_roles(database, table).next().is_some()
            }
            TableAction::Ingest => {
                on_database(DatabaseAction::Ingest) || self.table_roles(database, table).next().is_some()
            }
            TableAction::Administer => {
                on_database(DatabaseAction::Administer)
                    || self.table_roles(database, table).any(|role| role == Role::Admin)
            }
        }
    }

    /// The caller's own roles on a database.
    pub(crate) fn database_roles<'b>(&'b self, database: &'b Database) -> impl Iterator<Item = Role> + 'b {
        let known = self.known(database).unwrap_or(database);
        known.grants.iter().filter(|grant| grant.principal.covers(self.caller)).map(|grant| grant.role)
    }

    /// The database as it was at the arrival, where that counts.
    fn known(&self, database: &Database) -> Option<&Database> {
        self.arrival?.databases.values().find(|known| known.id == database.id).map(|known| &**known)
    }

    /// The caller's own roles on a table that hold: only beside a role in its database.
    pub(crate) fn table_roles<'b>(
        &'b self,
        database: &'b Database,
        table: &'b Table,
    ) -> impl Iterator<Item = Role> + 'b {
        let member = self.database_roles(database).next().is_some();
        let known = self.known(database).and_then(|database| database.table_by_id(table.id));
        let grants = &known.map_or(table, |known| &**known).grants;
        let own = move |grant: &&Grant| member && grant.principal.covers(self.caller);
        grants.iter().filter(own).map(|grant| grant.role)
    }

    fn refused(&self, role: &str, entity: &str) -> EngineError {
        EngineError::forbidden(format!(
            "Principal '{}' is not authorized: the action needs the role {role} on {entity}.",
            self.caller
        ))
    }
}
