//! What a command's settings belong to: the cluster, a database or a table; as it is named, and as it is in a state.

use super::super::catalog::{Database, MaterializedView, Settings, State, StoredFunction, Table};
use super::super::change::Change;
use super::super::error::{EngineError, EngineResult};
use super::super::roles::{DatabaseAction, TableAction};
use super::Session;
use super::tables::put_change;
use crate::kql::{Kind, Punct, Tokens};

/// The cluster, a database or a table, as it is named in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entity {
    /// The cluster.
    Cluster,
    /// A database; the one in context when not named.
    Database(String),
    /// A table of the database in context.
    Table(String),
    /// A stored function of the database in context.
    Function(String),
    /// A materialized view of the database in context.
    View(String),
}

impl Entity {
    /// Takes `function F` or `materialized-view V`, which have roles and nothing else that can be changed.
    pub(super) fn parse_with_roles(tokens: &mut Tokens<'_>) -> EngineResult<Option<Self>> {
        if tokens.eat_word("function") {
            return Ok(Some(Self::Function(tokens.expect_name("the name of a function")?)));
        }
        match tokens.eat_hyphenated("materialized-view") {
            true => Ok(Some(Self::View(tokens.expect_name("the name of a view")?))),
            false => Ok(None),
        }
    }

    /// Takes `table T`, `database D` or `cluster`.
    pub(super) fn parse(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<Self> {
        if tokens.eat_word("cluster") {
            return Ok(Self::Cluster);
        }
        if tokens.eat_word("table") {
            return Ok(Self::Table(tokens.expect_name("a table name")?));
        }
        if tokens.eat_word("database") {
            let unnamed = matches!(tokens.word(), Some("policy" | "principals" | "ingestion"));
            let name =
                if unnamed { session.database.to_owned() } else { tokens.expect_name("a database name")? };
            return Ok(Self::Database(name));
        }
        Err(tokens.unexpected("'table' or 'database'").into())
    }
}

/// The word behind `table T`, `database [D]` or `cluster`, without taking anything.
pub(super) fn word_behind<'a>(tokens: &mut Tokens<'a>) -> Option<&'a str> {
    let entity = tokens.word()?;
    if entity == "cluster" {
        return tokens.word_nth(1);
    }
    if !matches!(entity, "table" | "database") {
        return None;
    }
    let quoted = tokens.peek_nth(1).kind == Kind::Punct(Punct::OpenBracket);
    let behind = tokens.word_nth(if quoted { 4 } else { 2 });
    match behind {
        None if entity == "database" => tokens.word_nth(1),
        word => word,
    }
}

/// The word behind `function F` or `materialized-view V`, without taking anything.
pub(super) fn word_behind_function<'a>(tokens: &mut Tokens<'a>) -> Option<&'a str> {
    let (entity, length) = tokens.hyphenated()?;
    if !matches!(entity, "function" | "materialized-view") {
        return None;
    }
    let quoted = tokens.peek_nth(length).kind == Kind::Punct(Punct::OpenBracket);
    tokens.word_nth(length + if quoted { 3 } else { 1 })
}

/// An entity in a state.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner<'s> {
    Cluster(&'s State),
    Database(&'s Database),
    Table(&'s Database, &'s Table),
    Function(&'s Database, &'s StoredFunction),
    View(&'s Database, &'s MaterializedView),
}

impl<'s> Owner<'s> {
    /// # Errors
    /// 400 `BadRequest_EntityNotFound`.
    pub(super) fn find(session: &Session<'_>, state: &'s State, entity: &Entity) -> EngineResult<Self> {
        Ok(match entity {
            Entity::Cluster => Self::Cluster(state),
            Entity::Database(name) => Self::Database(state.database(name)?),
            Entity::Table(name) => {
                let (database, table) = session.table(state, name)?;
                Self::Table(database, table)
            }
            Entity::Function(name) => {
                let database = session.context_database(state)?;
                let found = database.functions.get(name);
                Self::Function(database, found.ok_or_else(|| EngineError::not_found("Function", name))?)
            }
            Entity::View(name) => {
                let database = session.context_database(state)?;
                let found = database.views.get(name);
                Self::View(database, found.ok_or_else(|| EngineError::not_found("MaterializedView", name))?)
            }
        })
    }

    /// Policies, roles and mappings that were set here.
    pub(super) fn settings(self) -> &'s Settings {
        match self {
            Self::Cluster(state) => &state.cluster,
            Self::Database(database) => &database.settings,
            Self::Table(_, table) => &table.settings,
            Self::Function(_, function) => &function.settings,
            Self::View(_, view) => &view.settings,
        }
    }

    /// The change that gives the entity these settings.
    pub(super) fn with(self, settings: Settings) -> Change {
        match self {
            Self::Cluster(_) => Change::SetCluster(Box::new(settings)),
            Self::Database(database) => {
                Change::SetDatabase { database: database.name.clone(), settings: Box::new(settings) }
            }
            Self::Table(database, table) => put_change(database, Table { settings, ..table.header() }),
            Self::Function(database, function) => Change::PutFunction {
                database: database.name.clone(),
                function: Box::new(StoredFunction { settings, ..function.clone() }),
            },
            Self::View(database, view) => Change::PutView {
                database: database.name.clone(),
                view: Box::new(MaterializedView { settings, ..view.clone() }),
            },
        }
    }

    /// # Errors
    /// 403 unless the caller may do `on_table` to a table or `on_database` to a database; everything to the cluster.
    pub(super) fn check(
        self,
        session: &Session<'_>,
        state: &State,
        on_table: TableAction,
        on_database: DatabaseAction,
    ) -> EngineResult<()> {
        let rights = session.rights(state);
        match self {
            Self::Cluster(_) => rights.on_cluster(),
            Self::Database(database) => rights.on_database(database, on_database),
            Self::Table(database, table) => rights.on_table(database, table, on_table),
            Self::Function(database, function) => {
                rights.on_entity(database, &function.grants, "Function", &function.name)
            }
            Self::View(database, view) => {
                rights.on_entity(database, &view.grants, "MaterializedView", &view.name)
            }
        }
    }

    /// What answers call it: `Database D`, `Table T`.
    pub(super) fn title(self) -> String {
        match self {
            Self::Cluster(_) => "Cluster".to_owned(),
            Self::Database(database) => format!("Database {}", database.name),
            Self::Table(_, table) => format!("Table {}", table.name),
            Self::Function(_, function) => format!("Function {}", function.name),
            Self::View(_, view) => format!("MaterializedView {}", view.name),
        }
    }
}
