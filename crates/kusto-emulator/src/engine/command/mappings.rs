//! `.create[-or-alter]`, `.show` and `.drop` of ingestion mappings, of tables and of the database.

use super::super::catalog::State;
use super::super::error::{EngineError, EngineResult};
use super::super::mapping::{Mapping, MappingKind};
use super::super::names;
use super::super::roles::{DatabaseAction, TableAction};
use super::super::transaction::Decision;
use super::entity::{Entity, Owner};
use super::{Session, end, result};
use crate::data::{ColumnType, ResultTable, Value};
use crate::kql::Tokens;

const COLUMNS: [(&str, ColumnType); 5] = [
    ("Name", ColumnType::String),
    ("Kind", ColumnType::String),
    ("Mapping", ColumnType::String),
    ("Database", ColumnType::String),
    ("Table", ColumnType::String),
];

/// Whether the entity that comes next is followed by `ingestion`.
pub(super) fn follows(tokens: &mut Tokens<'_>) -> bool {
    super::entity::word_behind(tokens) == Some("ingestion")
}

/// An entity that can have mappings, in a state.
fn find<'s>(session: &Session<'_>, state: &'s State, entity: &Entity) -> EngineResult<Owner<'s>> {
    match entity {
        Entity::Cluster => Err(EngineError::syntax("ingestion mappings belong to a table or a database")),
        _ => Owner::find(session, state, entity),
    }
}

fn rows<'a>(
    owner: Owner<'_>,
    mappings: impl Iterator<Item = (&'a (MappingKind, String), &'a String)>,
) -> ResultTable {
    let (database, table) = match owner {
        Owner::Cluster(_) | Owner::Function(..) | Owner::View(..) => ("", ""),
        Owner::Database(database) => (database.name.as_str(), ""),
        Owner::Table(database, table) => (database.name.as_str(), table.name.as_str()),
    };
    let row = |((kind, name), text): (&'a (MappingKind, String), &'a String)| {
        [name, kind.title(), text, database, table].map(Value::from).to_vec()
    };
    result(&COLUMNS, mappings.map(row).collect())
}

/// `.create[-or-alter] table T ingestion <kind> mapping "name" '<json>'`.
pub(super) fn create(
    session: &Session<'_>,
    replace: bool,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    let entity = Entity::parse(session, tokens)?;
    let kind = kind(tokens)?;
    let name = mapping_name(tokens)?;
    names::validate("Ingestion mapping", &name)?;
    let text = tokens.expect_text("the mapping's JSON in quotes")?;
    end(tokens)?;
    Mapping::parse(kind, &text)?;
    let key = (kind, name);
    session.transact(|state| {
        let owner = find(session, state, &entity)?;
        owner.check(session, state, TableAction::Ingest, DatabaseAction::Ingest)?;
        if !replace && owner.settings().mappings.contains_key(&key) {
            return Err(EngineError::already_exists("Ingestion mapping", &key.1));
        }
        let mut settings = owner.settings().clone();
        settings.mappings.insert(key.clone(), text.clone());
        Ok(Decision::new(vec![owner.with(settings)], rows(owner, std::iter::once((&key, &text)))))
    })
}

/// `.drop table T ingestion <kind> mapping "name"`; answers with the mappings of that kind that remain.
pub(super) fn drop(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let entity = Entity::parse(session, tokens)?;
    let key = (kind(tokens)?, mapping_name(tokens)?);
    end(tokens)?;
    session.transact(|state| {
        let owner = find(session, state, &entity)?;
        owner.check(session, state, TableAction::Ingest, DatabaseAction::Ingest)?;
        let mut settings = owner.settings().clone();
        if settings.mappings.remove(&key).is_none() {
            return Err(EngineError::not_found("IngestionMapping", &key.1));
        }
        let left = rows(owner, settings.mappings.iter().filter(|((kind, _), _)| *kind == key.0));
        Ok(Decision::new(vec![owner.with(settings)], left))
    })
}

/// `.show table T ingestion [<kind>] mapping(s) ["name"]`; the entity was taken.
pub(super) fn show(
    session: &Session<'_>,
    entity: &Entity,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    let listed = |word| matches!(word, Some("mapping" | "mappings"));
    let first = tokens.word();
    let wanted_kind = if listed(first) { None } else { Some(kind_word(tokens)?) };
    if !listed(tokens.word()) {
        return Err(tokens.unexpected("'mapping' or 'mappings'").into());
    }
    tokens.next();
    let name = if tokens.at_end() || tokens.is(crate::kql::Punct::Pipe) {
        None
    } else {
        Some(name_or_text(tokens)?)
    };
    let state = session.snapshot();
    let owner = find(session, &state, entity)?;
    if owner.check(session, &state, TableAction::Ingest, DatabaseAction::Ingest).is_err() {
        owner.check(session, &state, TableAction::Show, DatabaseAction::Show)?;
    }
    let fits = |(kind, own): &(MappingKind, String)| {
        wanted_kind.is_none_or(|wanted| wanted == *kind) && name.as_ref().is_none_or(|name| name == own)
    };
    let mappings = &owner.settings().mappings;
    match &name {
        Some(name) if !mappings.keys().any(fits) => Err(EngineError::not_found("IngestionMapping", name)),
        _ => Ok(rows(owner, mappings.iter().filter(|(key, _)| fits(key)))),
    }
}

/// Takes `ingestion <kind> mapping`.
fn kind(tokens: &mut Tokens<'_>) -> EngineResult<MappingKind> {
    if !tokens.eat_word("ingestion") {
        return Err(tokens.unexpected("'ingestion'").into());
    }
    let kind = kind_word(tokens)?;
    if !tokens.eat_word("mapping") {
        return Err(tokens.unexpected("'mapping'").into());
    }
    Ok(kind)
}

fn kind_word(tokens: &mut Tokens<'_>) -> EngineResult<MappingKind> {
    match tokens.word().and_then(MappingKind::from_word) {
        Some(kind) => {
            tokens.next();
            Ok(kind)
        }
        None => Err(tokens.unexpected("a kind of mapping that the local cluster has (csv or json)").into()),
    }
}

fn mapping_name(tokens: &mut Tokens<'_>) -> EngineResult<String> {
    name_or_text(tokens)
}

fn name_or_text(tokens: &mut Tokens<'_>) -> EngineResult<String> {
    if let crate::kql::Kind::Text { text, .. } = &tokens.peek().kind {
        let text = text.clone();
        tokens.next();
        return Ok(text);
    }
    Ok(tokens.expect_name("the mapping's name")?)
}
