//! Rights, looked at before anything else.
//!
//! Table Admin on the target for the move, and on the staging table where somebody else made it; a role in the database that
//! lets it create tables where the first ones are missing, and Table Ingestor on `kt_epochs` where somebody else made it. Sources: the section "Permissions" of
//! `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/move-extents.md`, `create-table-command.md` and
//! `data-ingestion/ingest-from-query.md`.

use commit_protocol::{StagingName, Standing};
use futures::future::{OptionFuture, join, join_all, join3};
use kusto_client::{ErrorKind, Role, quote_name};

use super::{Asked, Desk, EPOCHS};
use crate::write_ahead::WriteAheadError;

const RIGHTS: &str = "looking at the rights";

/// Whether one of the roles is of such a kind. The kind is the end of a role's text (`AllDatabasesAdmin`, `Table Admin`);
/// a name may stand before it, and may contain anything.
fn any(roles: &[String], kinds: &[&str]) -> bool {
    roles.iter().any(|role| kinds.iter().any(|kind| role.ends_with(kind)))
}

impl Desk {
    /// Checks that the caller may do all that a start does.
    pub(in super::super) async fn check_rights(&self) -> Result<(), WriteAheadError> {
        match self.missing_roles().await?.into_iter().next() {
            Some(role) => Err(self.missing(role).await),
            None => Ok(()),
        }
    }

    /// Every right that the caller lacks, as the error that a start would end with.
    pub(in super::super) async fn missing_rights(&self) -> Result<Vec<WriteAheadError>, WriteAheadError> {
        let mut missing = Vec::new();
        for role in self.missing_roles().await? {
            missing.push(self.missing(role).await);
        }
        Ok(missing)
    }

    /// In the order in which they can be granted: roles on tables need one in the database.
    async fn missing_roles(&self) -> Result<Vec<Role>, WriteAheadError> {
        let mut missing = Vec::new();
        let target = format!("table {}", quote_name(&self.table));
        let (on_target, there) = join(self.roles(&target), self.tables_there()).await;
        let on_target = match on_target {
            Err(error) => return Err(self.about_target(RIGHTS, error).await),
            Ok(roles) => roles,
        };
        if !any(&on_target, &["Admin"]) {
            missing.push(Role::TableAdmin { table: self.table.clone() });
        }
        let in_database = Role::DatabaseUser { database: self.database.clone() };
        let (names, epochs) = match there {
            // Who may not list tables lacks the role that also creates them.
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                missing.insert(0, in_database);
                return Ok(missing);
            }
            there => there.map_err(asked)?,
        };
        let known = names.standing() != Standing::Unknown;
        if known && !epochs {
            return Err(self.epochs_gone());
        }
        let tables: Vec<_> = names.staging.iter().map(StagingName::to_string).collect();
        let in_whole = async { self.roles(&format!("database {}", quote_name(&self.database))).await };
        let on_staging = tables.iter().map(async |table| self.roles(&format!("table {table}")).await);
        let on_epochs = async { self.roles(&format!("table {EPOCHS}")).await };
        let (in_whole, on_staging, on_epochs) = join3(
            OptionFuture::from((!known).then_some(in_whole)),
            join_all(on_staging),
            OptionFuture::from(epochs.then_some(on_epochs)),
        )
        .await;
        if in_whole.transpose().map_err(asked)?.is_some_and(|held| !any(&held, &["Admin", "User"])) {
            missing.insert(0, in_database);
        }
        for (staging, held) in tables.into_iter().zip(on_staging) {
            let held = match held {
                Err(error) if Desk::is_gone(&error) => continue, // renamed meanwhile: the start finds out
                held => held.map_err(asked)?,
            };
            if !any(&held, &["Admin"]) {
                missing.push(Role::TableAdmin { table: staging });
            }
        }
        if on_epochs.transpose().map_err(asked)?.is_some_and(|held| !any(&held, &["Admin", "Ingestor"])) {
            missing.push(Role::TableIngestor { table: EPOCHS.to_owned() });
        }
        Ok(missing)
    }

    /// The caller's roles on an entity; none where it may not even ask.
    async fn roles(&self, entity: &str) -> Asked<Vec<String>> {
        let answer = match self.command(&format!(".show {entity} principal roles")).await {
            Err(error) if error.kind() == ErrorKind::Forbidden => return Ok(Vec::new()),
            answer => answer?,
        };
        let role = answer.position("Role")?;
        let text = |row: &Vec<serde_json::Value>| row.get(role)?.as_str().map(str::to_owned);
        Ok(answer.rows.iter().filter_map(text).collect())
    }

    /// Who is asking, as a grant names it.
    pub(super) async fn principal(&self) -> String {
        let asked = self.query("print Principal = current_principal()").await.ok();
        let known = asked.and_then(|table| table.scalar()?.as_str().map(str::to_owned));
        let known = known.or_else(|| self.service.principal());
        known.unwrap_or_else(|| Role::SOMEBODY.to_owned())
    }

    /// The error of a role that the caller lacks.
    pub(super) async fn missing(&self, role: Role) -> WriteAheadError {
        let principal = self.principal().await;
        let on = match &role {
            Role::TableAdmin { table } | Role::TableIngestor { table } => table,
            _ => &self.database,
        };
        WriteAheadError::Rights {
            role: format!("{} on {on}", role.name()),
            database: self.database.clone(),
            command: role.grant(&principal),
            principal,
        }
    }
}

fn asked(source: kusto_client::Error) -> WriteAheadError {
    WriteAheadError::Service { doing: RIGHTS.to_owned(), source }
}
