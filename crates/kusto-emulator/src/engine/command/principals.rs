//! `.add`, `.drop`, `.set` of roles, and who has which.

use super::super::Engine;
use super::super::catalog::{Database, Settings, State, Table};
use super::super::change::Change;
use super::super::error::{EngineError, EngineResult};
use super::super::principal::Principal;
use super::super::roles::{DatabaseAction, Grant, Rights, Role, TableAction};
use super::super::transaction::Decision;
use super::entity::{Entity, Owner};
use super::{Session, end, result};
use crate::data::{ColumnType, ResultTable, Value};
use crate::kql::{Punct, Tokens};

const PRINCIPALS: [(&str, ColumnType); 6] = [
    ("Role", ColumnType::String),
    ("PrincipalType", ColumnType::String),
    ("PrincipalDisplayName", ColumnType::String),
    ("PrincipalObjectId", ColumnType::String),
    ("PrincipalFQN", ColumnType::String),
    ("Notes", ColumnType::String),
];

const OWN_ROLES: [(&str, ColumnType); 4] = [
    ("Scope", ColumnType::String),
    ("DisplayName", ColumnType::String),
    ("AADObjectID", ColumnType::String),
    ("Role", ColumnType::String),
];

/// What a command does to the holders of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// These too.
    Add,
    /// Not these any more.
    Drop,
    /// These and no others.
    Set,
}

/// See [`Engine::add_cluster_admin`].
pub(in super::super) fn add_cluster_admin(engine: &Engine, principal: &Principal) -> EngineResult<()> {
    engine.transact(|state| {
        if state.admins.contains(principal) {
            return Ok(Decision::nothing(()));
        }
        let admins = state.admins.iter().cloned().chain([principal.clone()]).collect();
        Ok(Decision::new(vec![Change::SetAdmins(admins)], ()))
    })
}

/// See [`Engine::forget_principal`].
pub(in super::super) fn forget(engine: &Engine, principal: &Principal) -> EngineResult<()> {
    engine.transact(|state| {
        let admins = state.admins.iter().filter(|admin| !admin.covers(principal)).cloned().collect();
        let mut changes = vec![Change::SetAdmins(admins)];
        let without = |settings: &Settings| {
            let mut left = settings.clone();
            left.grants.retain(|grant| !grant.principal.covers(principal));
            (left.grants.len() < settings.grants.len()).then_some(left)
        };
        for database in state.databases.values() {
            if let Some(settings) = without(&database.settings) {
                let (database, settings) = (database.name.clone(), Box::new(settings));
                changes.push(Change::SetDatabase { database, settings });
            }
            for table in database.tables.values() {
                if let Some(settings) = without(&table.settings) {
                    changes.push(super::tables::put_change(database, Table { settings, ..table.header() }));
                }
            }
        }
        Ok(Decision::new(changes, ()))
    })
}

/// Whether an entity and one of its roles come next, as in `table T admins`.
pub(super) fn is_role_command(tokens: &mut Tokens<'_>) -> bool {
    let word = super::entity::word_behind(tokens).or_else(|| super::entity::word_behind_function(tokens));
    word.is_some_and(|word| Role::from_plural(word).is_some())
}

/// A change of roles as it was written.
struct Request {
    entity: Entity,
    role: Role,
    principals: Vec<Principal>,
    skip_results: bool,
    notes: String,
}

fn parse(session: &Session<'_>, action: Action, tokens: &mut Tokens<'_>) -> EngineResult<Request> {
    let entity = match Entity::parse_with_roles(tokens)? {
        Some(entity) => entity,
        None => Entity::parse(session, tokens)?,
    };
    let role = tokens.word().and_then(Role::from_plural);
    if entity == Entity::Cluster {
        return Err(EngineError::bad_request(
            "the roles of the cluster cannot be changed by commands; the service has its portal for that.",
        ));
    }
    let fits = |role: &Role| match entity {
        Entity::Database(_) => true,
        Entity::Function(_) | Entity::View(_) => *role == Role::Admin,
        _ => role.is_table_role(),
    };
    let Some(role) = role.filter(fits) else {
        return Err(tokens.unexpected("a role, such as 'admins'").into());
    };
    tokens.next();
    let mut principals = Vec::new();
    if !(action == Action::Set && tokens.eat_word("none")) {
        tokens.expect(Punct::Open)?;
        while !tokens.eat(Punct::Close) {
            principals.push(Principal::parse(&one_text(tokens, "a principal in quotes")?)?);
            if !tokens.eat(Punct::Comma) {
                tokens.expect(Punct::Close)?;
                break;
            }
        }
    }
    let skip_results = tokens.eat_hyphenated("skip-results");
    let notes = tokens.eat_text().unwrap_or_default();
    end(tokens)?;
    Ok(Request { entity, role, principals, skip_results, notes })
}

fn one_text(tokens: &mut Tokens<'_>, what: &str) -> EngineResult<String> {
    Ok(tokens.expect_text(what)?)
}

/// Runs the command; answers with the entity's principals unless told to skip that.
pub(super) fn change(
    session: &Session<'_>,
    action: Action,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    let request = parse(session, action, tokens)?;
    session.transact(|state| {
        let owner = Owner::find(session, state, &request.entity)?;
        owner.check(session, state, TableAction::Administer, DatabaseAction::Administer)?;
        if let (Owner::Table(database, _), Action::Add | Action::Set) = (owner, action) {
            request.known_to(session, state, database)?;
        }
        let mut settings = owner.settings().clone();
        settings.grants = request.applied(action, &settings.grants);
        let answer = request.answer(&settings.grants, &owner.title());
        Ok(Decision::new(vec![owner.with(settings)], answer))
    })
}

impl Request {
    fn applied(&self, action: Action, old: &[Grant]) -> Vec<Grant> {
        let named = |grant: &Grant| self.principals.contains(&grant.principal);
        let stays = |grant: &&Grant| {
            grant.role != self.role
                || (action == Action::Add && !named(grant))
                || (action == Action::Drop && !named(grant))
        };
        let mut grants: Vec<Grant> = old.iter().filter(stays).cloned().collect();
        if action != Action::Drop {
            grants.extend(self.principals.iter().map(|principal| Grant {
                role: self.role,
                principal: principal.clone(),
                notes: self.notes.clone(),
            }));
        }
        grants
    }

    /// A table role is given only to who has a role in the database.
    fn known_to(&self, session: &Session<'_>, state: &State, database: &Database) -> EngineResult<()> {
        let known = |principal: &&Principal| {
            let rights = Rights { caller: principal, ..session.rights(state) };
            rights.is_cluster_admin() || rights.database_roles(database).next().is_some()
        };
        match self.principals.iter().find(|principal| !known(principal)) {
            None => Ok(()),
            Some(stranger) => Err(EngineError::bad_request(format!(
                "principal '{stranger}' has no role in database '{}', so that it can have none on a table of it: add it \
                 to the database first, for instance with .add database {} users ('{stranger}').",
                database.name,
                super::super::names::quoted(&database.name),
            ))),
        }
    }

    fn answer(&self, grants: &[Grant], scope: &str) -> ResultTable {
        if self.skip_results { result(&PRINCIPALS, Vec::new()) } else { listed(grants, scope) }
    }
}

fn listed(grants: &[Grant], scope: &str) -> ResultTable {
    let row = |grant: &Grant| {
        let role = format!("{scope} {}", grant.role);
        let Principal { kind, id, .. } = &grant.principal;
        let fqn = grant.principal.fqn();
        [&role, kind.title(), id, id, &fqn, &grant.notes].map(Value::from).to_vec()
    };
    result(&PRINCIPALS, grants.iter().map(row).collect())
}

/// `.show table T principals` and `.show database D principals`: the entity and `principals` were taken.
pub(super) fn show(session: &Session<'_>, entity: &Entity) -> EngineResult<ResultTable> {
    let state = session.snapshot();
    let owner = Owner::find(session, &state, entity)?;
    owner.check(session, &state, TableAction::Administer, DatabaseAction::Administer)?;
    Ok(listed(&owner.settings().grants, &owner.title()))
}

/// The caller's own roles: on a table, on a database, or (without an entity) everywhere.
pub(super) fn own_roles(session: &Session<'_>, entity: Option<&Entity>) -> EngineResult<ResultTable> {
    let state = session.snapshot();
    let rights = session.rights(&state);
    let mut rows = Vec::new();
    if rights.is_cluster_admin() {
        rows.push(own_role(session, "Cluster", "AllDatabasesAdmin"));
    }
    let on_database = |database: &Database, rows: &mut Vec<Vec<Value>>| {
        let scope = format!("Database {}", database.name);
        rows.extend(
            rights
                .database_roles(database)
                .map(|role| own_role(session, &scope, &format!("Database {role}"))),
        );
    };
    let on_table = |database: &Database, table: &Table, rows: &mut Vec<Vec<Value>>| {
        let scope = format!("Table {}", table.name);
        rows.extend(
            rights
                .table_roles(database, table)
                .map(|role| own_role(session, &scope, &format!("Table {role}"))),
        );
    };
    match entity {
        Some(Entity::Table(name)) => {
            let (database, table) = session.table(&state, name)?;
            on_database(database, &mut rows);
            on_table(database, table, &mut rows);
        }
        Some(Entity::Database(name)) => on_database(state.database(name)?, &mut rows),
        Some(Entity::Function(_) | Entity::View(_)) => {}
        Some(Entity::Cluster) | None => {
            for database in state.databases.values() {
                on_database(database, &mut rows);
                database.tables.values().for_each(|table| on_table(database, table, &mut rows));
            }
        }
    }
    Ok(result(&OWN_ROLES, rows))
}

fn own_role(session: &Session<'_>, scope: &str, role: &str) -> Vec<Value> {
    let id = session.context.principal.id.as_str();
    [scope, id, id, role].map(Value::from).to_vec()
}

const ACCESS: [(&str, ColumnType); 4] = [
    ("PrincipalFQN", ColumnType::String),
    ("Entity", ColumnType::String),
    ("AccessType", ColumnType::String),
    ("IsAllowed", ColumnType::Bool),
];

/// `.show principal access with (principal='...', accesstype='...', database='...'[, table='...'])`, of which no document
/// tells: whether a principal may do something, as a bool in the fourth column, where the Kafka connector
/// (`Azure/kafka-sink-azure-kusto`, `KustoSinkTask.java`) looks for it. For the principal itself and for admins.
pub(super) fn access(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    session.needs_undocumented(".show principal access")?;
    tokens.next();
    tokens.next();
    let mut given = super::properties::parse(tokens)?;
    let mut text = |name: &str| given.remove(name).and_then(|value| value.as_str().map(str::to_owned));
    let (who, kind) = (text("principal"), text("accesstype").unwrap_or_default());
    let (database, table) = (text("database"), text("table"));
    super::properties::refuse_others(".show principal access", given.keys())?;
    let who = who.map_or_else(|| Ok(session.context.principal.clone()), |who| Principal::parse(&who))?;
    let state = session.snapshot();
    let database = state.database(database.as_deref().unwrap_or(session.database))?;
    let table = table.map(|name| session.table_of(database, &name)).transpose()?;
    if !who.covers(&session.context.principal) {
        session.rights(&state).on_database(database, DatabaseAction::Administer)?;
    }
    let rights = Rights { caller: &who, ..session.rights(&state) };
    let (on_table, on_database) = asked_access(&kind)?;
    let allowed = match table {
        Some(table) => rights.on_table(database, table, on_table).is_ok(),
        None => rights.on_database(database, on_database).is_ok(),
    };
    let entity = table.map_or(&database.name, |table| &table.name);
    let row = vec![Value::string(who.fqn()), entity.as_str().into(), kind.as_str().into(), allowed.into()];
    Ok(result(&ACCESS, vec![row]))
}

fn asked_access(kind: &str) -> EngineResult<(TableAction, DatabaseAction)> {
    Ok(match kind.to_ascii_lowercase().as_str() {
        "ingest" => (TableAction::Ingest, DatabaseAction::Ingest),
        "admin" => (TableAction::Administer, DatabaseAction::Administer),
        "view" | "read" => (TableAction::Show, DatabaseAction::Query),
        _ => {
            let message = format!("accesstype is '{kind}'; it must be 'ingest', 'view' or 'admin'.");
            return Err(EngineError::bad_request(message));
        }
    })
}
