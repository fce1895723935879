//! `.rename table A to B`, `.rename tables B = A [ifexists], ...`: one transaction, whatever the permutation.

use std::collections::BTreeSet;

use super::super::catalog::Database;
use super::super::change::Change;
use super::super::error::{EngineError, EngineResult};
use super::super::names;
use super::super::roles::TableAction;
use super::super::transaction::Decision;
use super::{Session, end, result};
use crate::data::{ColumnType, ResultTable, Value};
use crate::kql::{Punct, Tokens};

struct Renaming {
    old: String,
    new: String,
    if_exists: bool,
}

/// Runs the command; answers with the new names.
pub(super) fn run(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let wanted = if tokens.eat_word("table") { vec![single(tokens)?] } else { several(tokens)? };
    end(tokens)?;
    wanted.iter().try_for_each(|renaming| names::validate("Table", &renaming.new))?;
    session.transact(|state| {
        let database = session.context_database(state)?;
        let pairs = existing(session, database, &wanted)?;
        for (old, _) in &pairs {
            session.rights(state).on_table(database, database.table(old)?, TableAction::Administer)?;
        }
        keeps_count(database, &pairs)?;
        let row = |(_, new): &(String, String)| {
            vec![Value::from(new.as_str()), Value::from(database.name.as_str())]
        };
        let columns = [("TableName", ColumnType::String), ("DatabaseName", ColumnType::String)];
        let answer = result(&columns, pairs.iter().map(row).collect());
        let changes = if pairs.is_empty() {
            Vec::new()
        } else {
            vec![Change::RenameTables { database: database.name.clone(), names: pairs }]
        };
        Ok(Decision::new(changes, answer))
    })
}

fn single(tokens: &mut Tokens<'_>) -> EngineResult<Renaming> {
    let old = tokens.expect_name("a table name")?;
    if !tokens.eat_word("to") {
        return Err(tokens.unexpected("'to'").into());
    }
    Ok(Renaming { old, new: tokens.expect_name("the new name")?, if_exists: false })
}

fn several(tokens: &mut Tokens<'_>) -> EngineResult<Vec<Renaming>> {
    if !tokens.eat_word("tables") {
        return Err(tokens.unexpected("'table' or 'tables' behind .rename").into());
    }
    let mut wanted = Vec::new();
    loop {
        let new = tokens.expect_name("a new name")?;
        tokens.expect(Punct::Assign)?;
        let old = tokens.expect_name("an old name")?;
        wanted.push(Renaming { old, new, if_exists: tokens.eat_word("ifexists") });
        if !tokens.eat(Punct::Comma) {
            return Ok(wanted);
        }
    }
}

/// Pairs of old and new name; what may be missing and is, is left out.
fn existing(
    session: &Session<'_>,
    database: &Database,
    wanted: &[Renaming],
) -> EngineResult<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for Renaming { old, new, if_exists } in wanted {
        match session.find_table(database, old) {
            Some(table) => pairs.push((table.name.clone(), new.clone())),
            None if *if_exists => {}
            None => return Err(EngineError::not_found("Table", old)),
        }
    }
    Ok(pairs)
}

/// The number of tables may not change: no name twice, none that is taken by a table which stays.
fn keeps_count(database: &Database, pairs: &[(String, String)]) -> EngineResult<()> {
    let (mut from, mut to) = (BTreeSet::new(), BTreeSet::new());
    for (old, new) in pairs {
        if !from.insert(old) || !to.insert(new) {
            return Err(EngineError::bad_request(format!(
                "'{old}' or '{new}' stands in .rename tables twice."
            )));
        }
    }
    match to.iter().find(|new| database.tables.contains_key(**new) && !from.contains(**new)) {
        None => Ok(()),
        Some(taken) => Err(EngineError::already_exists("Table", taken)),
    }
}
