//! `.create[-merge] table`, `.alter[-merge] table`, `.drop table(s)`, `.clear table data`.

use std::sync::Arc;

use super::super::catalog::{Database, Settings, State, Table};
use super::super::change::Change;
use super::super::error::{EngineError, EngineResult};
use super::super::names;
use super::super::roles::{DatabaseAction, Grant, Role, TableAction};
use super::super::transaction::Decision;
use super::properties::{self, TableProperties};
use super::{Session, end, result, schema};
use crate::data::{ColumnType, ResultTable, Schema, Value};
use crate::kql::{Punct, Tokens};

/// `.create table T (...)` and `.create tables T (...), U (...)`: a no-op for names that exist. `.create-merge table(s)`
/// adds missing columns to those. `[with (...)]` holds for all.
pub(super) fn create(
    session: &Session<'_>,
    merge: bool,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    let several = tokens.eat_word("tables") || !tokens.eat_word("table");
    let mut wanted = vec![new_name(tokens)?];
    if !merge && !several && tokens.eat_hyphenated("based-on") {
        return create_like(session, &wanted.remove(0), tokens);
    }
    let mut schemas = vec![schema::parse(tokens)?];
    while several && tokens.eat(Punct::Comma) {
        wanted.push(new_name(tokens)?);
        schemas.push(schema::parse(tokens)?);
    }
    let mut given = properties::parse(tokens)?;
    let about = TableProperties::take(session, &mut given)?;
    properties::refuse_others(".create table", given.keys())?;
    end(tokens)?;
    if let Some(twice) = wanted.iter().enumerate().find(|(at, name)| wanted[..*at].contains(name)) {
        return Err(EngineError::bad_request(format!("table '{}' stands in the command twice.", twice.1)));
    }
    session.transact(|state| {
        let database = session.context_database(state)?;
        let (mut changes, mut shown) = (Vec::new(), Vec::new());
        for (name, columns) in wanted.iter().zip(&schemas) {
            let created = create_one(session, state, database, merge, (name, columns, &about))?;
            changes.extend(created.changes);
            shown.push(created.answer);
        }
        Ok(Decision::new(changes, schema::united(shown)))
    })
}

fn new_name(tokens: &mut Tokens<'_>) -> EngineResult<String> {
    let name = tokens.expect_name("a table name")?;
    names::validate("Table", &name)?;
    Ok(name)
}

fn create_one(
    session: &Session<'_>,
    state: &State,
    database: &Database,
    merge: bool,
    (name, columns, about): (&str, &Schema, &TableProperties),
) -> EngineResult<Decision<ResultTable>> {
    match database.tables.get(name) {
        None if database.views.contains_key(name) => {
            Err(EngineError::already_exists("MaterializedView", name))
        }
        None => Ok(put(database, new_table(session, state, database, name, columns.clone(), about)?)),
        Some(table) if merge => merge_into(session, state, database, table, columns, about),
        Some(table) => {
            session.rights(state).on_database(database, DatabaseAction::CreateTable)?;
            Ok(Decision::nothing(schema::show_json(database, table)))
        }
    }
}

/// `.create table T based-on U [ifnotexists] [with (...)]`: empty, with the columns, description, policies and mappings of
/// `U`, but not with its roles. Source: `MicrosoftDocs/dataexplorer-docs
/// data-explorer/kusto/management/create-table-based-on-command.md`.
fn create_like(session: &Session<'_>, name: &str, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let model = tokens.expect_name("the name of the table that it is based on")?;
    let if_not_exists = tokens.eat_word("ifnotexists");
    let mut given = properties::parse(tokens)?;
    let about = TableProperties::take(session, &mut given)?;
    properties::refuse_others(".create table based-on", given.keys())?;
    end(tokens)?;
    session.transact(|state| {
        let (database, model) = session.table(state, &model)?;
        session.rights(state).on_database(database, DatabaseAction::Administer)?;
        match database.tables.get(name) {
            Some(table) if if_not_exists => return Ok(Decision::nothing(schema::show_json(database, table))),
            Some(_) => return Err(EngineError::already_exists("Table", name)),
            None => {}
        }
        let mut table = new_table(session, state, database, name, (*model.schema).clone(), &about)?;
        let settings = Settings { grants: table.settings.grants, ..model.settings.clone() };
        table.settings = settings;
        table.folder = about.folder.clone().unwrap_or_else(|| model.folder.clone());
        table.docstring = about.docstring.clone().unwrap_or_else(|| model.docstring.clone());
        Ok(put(database, table))
    })
}

/// A new table, whose creator becomes its admin.
///
/// # Errors
/// 403 unless the caller is a user of the database.
pub(super) fn new_table(
    session: &Session<'_>,
    state: &State,
    database: &Database,
    name: &str,
    columns: Schema,
    about: &TableProperties,
) -> EngineResult<Table> {
    session.rights(state).on_database(database, DatabaseAction::CreateTable)?;
    let creator =
        Grant { role: Role::Admin, principal: session.context.principal.clone(), notes: String::new() };
    let mut table = Table {
        id: session.engine.new_id(),
        name: name.to_owned(),
        schema: Arc::new(columns),
        folder: String::new(),
        docstring: String::new(),
        hidden: false,
        settings: Settings { grants: vec![creator], ..Settings::default() },
        extents: Vec::new(),
    };
    apply(about, &mut table);
    Ok(table)
}

fn apply(about: &TableProperties, table: &mut Table) {
    table.docstring = about.docstring.clone().unwrap_or_else(|| std::mem::take(&mut table.docstring));
    table.folder = about.folder.clone().unwrap_or_else(|| std::mem::take(&mut table.folder));
    table.hidden = about.hidden.unwrap_or(table.hidden);
}

fn put(database: &Database, table: Table) -> Decision<ResultTable> {
    let shown = schema::show_json(database, &table);
    Decision::new(vec![put_change(database, table)], shown)
}

/// The change that gives a database this table.
pub(super) fn put_change(database: &Database, table: Table) -> Change {
    Change::PutTable { database: database.name.clone(), table: Box::new(table.header()) }
}

fn merge_into(
    session: &Session<'_>,
    state: &State,
    database: &Database,
    table: &Table,
    columns: &Schema,
    about: &TableProperties,
) -> EngineResult<Decision<ResultTable>> {
    let rights = session.rights(state);
    rights.on_database(database, DatabaseAction::CreateTable)?;
    let merged = schema::merged(&table.name, &table.schema, columns)?;
    let mut next = table.header();
    apply(about, &mut next);
    if merged == *table.schema && next.docstring == table.docstring && next.folder == table.folder {
        return Ok(Decision::nothing(schema::show_json(database, table)));
    }
    rights.on_table(database, table, TableAction::Administer)?;
    next.schema = Arc::new(merged);
    Ok(put(database, next))
}

/// `.alter table T (...)`: exactly these columns; `.alter-merge table T (...)`: these too. Types never change.
pub(super) fn alter(
    session: &Session<'_>,
    merge: bool,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    tokens.next();
    let name = tokens.expect_name("a table name")?;
    let columns = schema::parse(tokens)?;
    let mut given = properties::parse(tokens)?;
    let about = TableProperties::take(session, &mut given)?;
    properties::refuse_others(".alter table", given.keys())?;
    end(tokens)?;
    session.transact(|state| {
        let (database, table) = session.table(state, &name)?;
        session.rights(state).on_table(database, table, TableAction::Administer)?;
        let merged = schema::merged(&table.name, &table.schema, &columns)?;
        let mut next = table.header();
        next.schema = Arc::new(if merge { merged } else { columns.clone() });
        apply(&about, &mut next);
        Ok(put(database, next))
    })
}

/// `.alter table T docstring 'text'` and `.alter table T folder 'text'`.
pub(super) fn describe(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    if !tokens.eat_word("table") {
        return Err(tokens.unexpected("'table'").into());
    }
    let name = tokens.expect_name("a table name")?;
    let folder = tokens.eat_word("folder") || !tokens.eat_word("docstring");
    let text = tokens.expect_text("a text in quotes")?;
    end(tokens)?;
    session.transact(|state| {
        let (database, table) = session.table(state, &name)?;
        session.rights(state).on_table(database, table, TableAction::Administer)?;
        let mut next = table.header();
        let about = if folder {
            TableProperties { folder: Some(text.clone()), ..TableProperties::default() }
        } else {
            TableProperties { docstring: Some(text.clone()), ..TableProperties::default() }
        };
        apply(&about, &mut next);
        Ok(put(database, next))
    })
}

/// `.drop table T [ifexists]`, `.drop tables (A, B) [ifexists]`; answers with the tables that remain.
pub(super) fn drop(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    tokens.next();
    let names = super::names(tokens, "a table name")?;
    let if_exists = tokens.eat_word("ifexists");
    end(tokens)?;
    session.transact(|state| {
        let database = session.context_database(state)?;
        let mut changes = Vec::new();
        for name in &names {
            match session.find_table(database, name) {
                None if if_exists => {}
                None => return Err(EngineError::not_found("Table", name)),
                Some(table) => {
                    session.rights(state).on_table(database, table, TableAction::Administer)?;
                    if let Some(view) = database.view_of(table) {
                        let (table, view) = (&table.name, &view.name);
                        return Err(EngineError::bad_request(format!(
                            "table '{table}' is the source of the materialized view '{view}': drop the view first."
                        )));
                    }
                    changes.push(Change::DropTable {
                        database: database.name.clone(),
                        table: table.name.clone(),
                    });
                }
            }
        }
        if changes.is_empty() {
            session.rights(state).on_database(database, DatabaseAction::CreateTable)?;
        }
        let dropped = |name: &&String| {
            changes.iter().any(|change| matches!(change, Change::DropTable { table, .. } if table == *name))
        };
        let left = database.tables.keys().filter(|name| !dropped(name));
        let rows =
            left.map(|name| vec![Value::from(name.as_str()), Value::from(database.name.as_str())]).collect();
        let columns = [("TableName", ColumnType::String), ("DatabaseName", ColumnType::String)];
        Ok(Decision::new(changes, result(&columns, rows)))
    })
}

/// `.clear table T data`: all extents go, the table stays.
pub(super) fn clear(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    if !tokens.eat_word("table") {
        return Err(tokens.unexpected("'table' behind .clear").into());
    }
    let name = tokens.expect_name("a table name")?;
    if !tokens.eat_word("data") {
        return Err(tokens.unexpected("'data'").into());
    }
    tokens.eat(Punct::Semicolon);
    end(tokens)?;
    session.transact(|state| {
        let (database, table) = session.table(state, &name)?;
        session.rights(state).on_table(database, table, TableAction::Administer)?;
        let ids = table.extents.iter().map(|extent| extent.id).collect();
        let change = Change::DropExtents { database: database.name.clone(), table: table.name.clone(), ids };
        let answer = result(&[("Result", ColumnType::String)], vec![vec![Value::from("Cleared")]]);
        Ok(Decision::new(vec![change], answer))
    })
}
