//! `.create[-or-alter]`, `.show` and `.drop` of ingestion mappings, of tables and of the database.

use super::super::catalog::{Database, Settings, State, Table};
use super::super::change::Change;
use super::super::error::{EngineError, EngineResult};
use super::super::mapping::{Mapping, MappingKind};
use super::super::names;
use super::super::roles::{DatabaseAction, TableAction};
use super::super::transaction::Decision;
use super::{Entity, Session, end, result};
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
    super::filters::word_behind_entity(tokens) == Some("ingestion")
}

/// Where a mapping lives, looked up in a state.
struct Scope<'s> {
    database: &'s Database,
    table: Option<&'s Table>,
}

impl<'s> Scope<'s> {
    fn find(session: &Session<'_>, state: &'s State, entity: &Entity) -> EngineResult<Self> {
        match entity {
            Entity::Table(name) => {
                let (database, table) = session.table(state, name)?;
                Ok(Self { database, table: Some(table) })
            }
            Entity::Database(name) => Ok(Self { database: state.database(name)?, table: None }),
        }
    }

    fn settings(&self) -> &'s Settings {
        self.table.map_or(&self.database.settings, |table| &table.settings)
    }

    fn check(
        &self,
        session: &Session<'_>,
        state: &State,
        table: TableAction,
        database: DatabaseAction,
    ) -> EngineResult<()> {
        let rights = session.rights(state);
        match self.table {
            Some(own) => rights.on_table(self.database, own, table),
            None => rights.on_database(self.database, database),
        }
    }

    fn with(&self, settings: Settings) -> Change {
        match self.table {
            Some(table) => super::tables::put_change(self.database, Table { settings, ..table.header() }),
            None => {
                Change::SetDatabase { database: self.database.name.clone(), settings: Box::new(settings) }
            }
        }
    }

    fn rows<'a>(
        &self,
        mappings: impl Iterator<Item = (&'a (MappingKind, String), &'a String)>,
    ) -> ResultTable {
        let table = self.table.map_or("", |table| table.name.as_str());
        let row = |((kind, name), text): (&'a (MappingKind, String), &'a String)| {
            [name, kind.title(), text, &self.database.name, table].map(Value::from).to_vec()
        };
        result(&COLUMNS, mappings.map(row).collect())
    }
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
        let scope = Scope::find(session, state, &entity)?;
        scope.check(session, state, TableAction::Ingest, DatabaseAction::Ingest)?;
        if !replace && scope.settings().mappings.contains_key(&key) {
            return Err(EngineError::already_exists("Ingestion mapping", &key.1));
        }
        let mut settings = scope.settings().clone();
        settings.mappings.insert(key.clone(), text.clone());
        Ok(Decision::new(vec![scope.with(settings)], scope.rows(std::iter::once((&key, &text)))))
    })
}

/// `.drop table T ingestion <kind> mapping "name"`; answers with the mappings of that kind that remain.
pub(super) fn drop(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let entity = Entity::parse(session, tokens)?;
    let key = (kind(tokens)?, mapping_name(tokens)?);
    end(tokens)?;
    session.transact(|state| {
        let scope = Scope::find(session, state, &entity)?;
        scope.check(session, state, TableAction::Ingest, DatabaseAction::Ingest)?;
        let mut settings = scope.settings().clone();
        if settings.mappings.remove(&key).is_none() {
            return Err(EngineError::not_found("IngestionMapping", &key.1));
        }
        let left = scope.rows(settings.mappings.iter().filter(|((kind, _), _)| *kind == key.0));
        Ok(Decision::new(vec![scope.with(settings)], left))
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
    let scope = Scope::find(session, &state, entity)?;
    if scope.check(session, &state, TableAction::Ingest, DatabaseAction::Ingest).is_err() {
        scope.check(session, &state, TableAction::Show, DatabaseAction::Show)?;
    }
    let fits = |(kind, own): &(MappingKind, String)| {
        wanted_kind.is_none_or(|wanted| wanted == *kind) && name.as_ref().is_none_or(|name| name == own)
    };
    let mappings = &scope.settings().mappings;
    match &name {
        Some(name) if !mappings.keys().any(fits) => Err(EngineError::not_found("IngestionMapping", name)),
        _ => Ok(scope.rows(mappings.iter().filter(|(key, _)| fits(key)))),
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
