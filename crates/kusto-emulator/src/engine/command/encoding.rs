//! `.alter column T.C policy encoding [type = 'BigObject32']`, `.show column T.C policy encoding`, and the same for all columns
//! of a table, `.show column T.* policy encoding`.
//!
//! Of an encoding, only `MaxValueSize` changes what an ingestion does: how long a string may be before it is cut, and a
//! dynamic before it is null. The profile of a column is kept in its table's encoding policy, under the column's name.
//! Sources: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/alter-encoding-policy.md`, and
//! `show-encoding-policy.md`, which allows a wildcard "to denote all entities for the given EntityType" and says that references
//! to columns have the table's name.

use serde_json::{Value as Json, json};

use super::super::catalog::Table;
use super::super::error::{EngineError, EngineResult};
use super::super::policy::PolicyKind;
use super::super::roles::TableAction;
use super::super::transaction::Decision;
use super::entity::Owner;
use super::{Session, end, policies};
use crate::data::ResultTable;
use crate::kql::{Punct, Tokens};

/// The profiles, and the longest value of those that change it, in bytes.
const PROFILES: [(&str, Option<u64>); 4] =
    [("Identifier", None), ("BigObject", Some(2 << 20)), ("BigObject32", Some(32 << 20)), ("Vector16", None)];

/// A column, as `T.C`.
struct Column {
    table: String,
    column: String,
}

impl Column {
    /// Takes `column T.C policy encoding`.
    fn parse(tokens: &mut Tokens<'_>) -> EngineResult<Self> {
        tokens.next();
        let table = tokens.expect_name("a table name")?;
        tokens.expect(Punct::Dot)?;
        let column = tokens.expect_name("a column name")?;
        policy_encoding(tokens)?;
        Ok(Self { table, column })
    }

    fn check(&self, table: &Table) -> EngineResult<()> {
        match table.schema.index_of(&self.column) {
            Some(_) => Ok(()),
            None => Err(EngineError::not_found("Column", &format!("{}.{}", self.table, self.column))),
        }
    }
}

/// Sets the profile of a column, or clears it.
pub(super) fn alter(session: &Session<'_>, verb: &str, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let column = Column::parse(tokens)?;
    let profile = if verb == "delete" { None } else { profile(tokens)? };
    end(tokens)?;
    session.transact(|state| {
        let (database, table) = session.table(state, &column.table)?;
        session.rights(state).on_table(database, table, TableAction::Administer)?;
        column.check(table)?;
        let mut settings = table.settings.clone();
        let mut encodings =
            settings.policies.get(&PolicyKind::Encoding).cloned().unwrap_or_else(|| json!({}));
        if let Some(by_column) = encodings.as_object_mut() {
            match &profile {
                Some(profile) => drop(by_column.insert(column.column.clone(), profile.clone())),
                None => drop(by_column.remove(&column.column)),
            }
        }
        settings.policies.insert(PolicyKind::Encoding, encodings);
        let owner = Owner::Table(database, table);
        let answer = policies::shown(owner, PolicyKind::Encoding, profile.as_ref());
        Ok(Decision::new(vec![owner.with(settings)], answer))
    })
}

/// Takes `[type = 'name']`.
fn profile(tokens: &mut Tokens<'_>) -> EngineResult<Option<Json>> {
    if !tokens.eat_word("type") {
        return Ok(None);
    }
    tokens.expect(Punct::Assign)?;
    let name = tokens.expect_text("an encoding profile in quotes")?;
    if name.eq_ignore_ascii_case("null") {
        return Ok(None);
    }
    let Some((name, longest)) = PROFILES.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)) else {
        let names = PROFILES.map(|(name, _)| name).join(", ");
        let message = format!("'{name}' is no encoding profile; there are {names} and Null.");
        return Err(EngineError::bad_request(message));
    };
    let mut profile = json!({"Type": name});
    if let Some(longest) = longest {
        profile["MaxValueSize"] = json!(longest);
    }
    Ok(Some(profile))
}

fn policy_encoding(tokens: &mut Tokens<'_>) -> EngineResult<()> {
    match tokens.eat_word("policy") && tokens.eat_word("encoding") {
        true => Ok(()),
        false => Err(tokens.unexpected("'policy encoding'").into()),
    }
}

/// `.show column T.C policy encoding`, a row, and `.show column T.* policy encoding`, a row for each column.
pub(super) fn show(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    tokens.next();
    let table = tokens.expect_name("a table name")?;
    tokens.expect(Punct::Dot)?;
    let asked = match tokens.eat(Punct::Star) {
        true => None,
        false => Some(tokens.expect_name("a column name or *")?),
    };
    policy_encoding(tokens)?;
    let state = session.snapshot();
    let (database, table) = session.table(&state, &table)?;
    session.rights(&state).on_table(database, table, TableAction::Show)?;
    let columns = match &asked {
        Some(column) => {
            Column { table: table.name.clone(), column: column.clone() }.check(table)?;
            vec![column.as_str()]
        }
        None => table.schema.columns.iter().map(|column| column.name.as_str()).collect(),
    };
    let encodings = table.policies.get(&PolicyKind::Encoding);
    let shown = columns.into_iter().map(|column| {
        let name = format!("[{}].[{}].[{column}]", database.name, table.name);
        (name, encodings.and_then(|encodings| encodings.get(column)))
    });
    Ok(policies::shown_of_columns(PolicyKind::Encoding, shown))
}
