//! `.alter`, `.alter-merge` and `.drop` of extent tags. An extent with other tags is another extent: it gets a new id.
//!
//! Syntax: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/alter-extent.md`, `drop-extent-tags.md`, each
//! in its older form (`.alter extent tags`, `.drop extent tags from table T`) and its newer one (`.alter table T extent
//! tags`, `.drop table T extent tags`).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::super::catalog::{Database, State, Table};
use super::super::change::Change;
use super::super::error::{EngineError, EngineResult};
use super::super::extent::Extent;
use super::super::roles::TableAction;
use super::super::tag;
use super::super::transaction::Decision;
use super::extents::{created_range, listed_by, owner, word};
use super::{Session, end, operations, properties, result};
use crate::data::{ColumnType, ResultTable, Value, parse_guid};
use crate::kql::{Kind, Punct, Tokens};

/// Whether `[async] [table T] extent tags` comes next.
pub(super) fn follows(tokens: &mut Tokens<'_>) -> bool {
    let at = usize::from(tokens.word() == Some("async"));
    let at = match tokens.word_nth(at) {
        Some("table") if tokens.peek_nth(at + 1).kind == Kind::Punct(Punct::OpenBracket) => at + 4,
        Some("table") => at + 2,
        _ => at,
    };
    tokens.word_nth(at) == Some("extent") && tokens.word_nth(at + 1) == Some("tags")
}

/// What happens to the tags of one extent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Edit {
    /// These and no others.
    Set(Vec<String>),
    /// These too.
    Add(Vec<String>),
    /// Not these.
    Remove(Vec<String>),
}

impl Edit {
    /// None if the extent stays as it is.
    fn of(&self, old: &[String]) -> Option<Vec<String>> {
        let new = match self {
            Self::Set(tags) => tag::distinct(tags),
            Self::Add(tags) => tag::distinct(&[old, tags].concat()),
            Self::Remove(tags) => old.iter().filter(|tag| !tags.contains(tag)).cloned().collect(),
        };
        let removes_nothing = matches!(self, Self::Remove(_)) && new == old;
        (!removes_nothing).then_some(new)
    }
}

/// Which extents get which edit.
type Edits = BTreeMap<Uuid, Edit>;

/// `.alter[-merge] [async] [table T] extent tags ('a', ...) [with (...)] <| query`.
pub(super) fn alter(
    session: &Session<'_>,
    merge: bool,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    let asynchronous = tokens.eat_word("async");
    let table = head(tokens)?;
    let tags = texts(tokens)?;
    let range = range(tokens)?;
    tokens.expect(Punct::LessPipe)?;
    let query = tokens.rest();
    operations::run(session, "ExtentsAlterTags", asynchronous, || {
        let listed = listed_by(session, query)?;
        let edit = if merge { Edit::Add(tags.clone()) } else { Edit::Set(tags.clone()) };
        let edits = listed.into_iter().map(|(id, _)| (id, edit.clone())).collect();
        session.transact(|state| decide(session, state, table.as_deref(), &edits, range))
    })
}

/// `.drop [async] [table T] extent tags ('a', ...) | from table T ('a', ...) | <| query of ExtentId and Tags`.
pub(super) fn drop(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let asynchronous = tokens.eat_word("async");
    let mut table = head(tokens)?;
    if tokens.eat_word("from") {
        word(tokens, "table")?;
        table = Some(tokens.expect_name("a table name")?);
    }
    if let Some(name) = table.as_ref().filter(|_| tokens.is(Punct::Open)) {
        let tags = texts(tokens)?;
        let range = range(tokens)?;
        end(tokens)?;
        return operations::run(session, "ExtentsDropTags", asynchronous, || {
            session.transact(|state| {
                let (_, table) = session.table(state, name)?;
                let edit = |extent: &std::sync::Arc<Extent>| (extent.id, Edit::Remove(tags.clone()));
                let edits = table.extents.iter().map(edit).collect();
                decide(session, state, Some(name), &edits, range)
            })
        });
    }
    let range = range(tokens)?;
    tokens.expect(Punct::LessPipe)?;
    let query = tokens.rest();
    operations::run(session, "ExtentsDropTags", asynchronous, || {
        let edits = removals(session, query)?;
        session.transact(|state| decide(session, state, table.as_deref(), &edits, range))
    })
}

/// Takes `[table T] extent tags`.
fn head(tokens: &mut Tokens<'_>) -> EngineResult<Option<String>> {
    let table = if tokens.eat_word("table") { Some(tokens.expect_name("a table name")?) } else { None };
    word(tokens, "extent")?;
    word(tokens, "tags")?;
    Ok(table)
}

fn texts(tokens: &mut Tokens<'_>) -> EngineResult<Vec<String>> {
    tokens.expect(Punct::Open)?;
    let mut texts = Vec::new();
    while !tokens.eat(Punct::Close) {
        texts.push(tokens.expect_text("a tag in quotes")?);
        if !tokens.eat(Punct::Comma) {
            tokens.expect(Punct::Close)?;
            break;
        }
    }
    Ok(texts)
}

fn range(tokens: &mut Tokens<'_>) -> EngineResult<(i64, i64)> {
    let mut given = properties::parse(tokens)?;
    let range = created_range(&mut given)?;
    properties::refuse_others("a change of extent tags", given.keys())?;
    Ok(range)
}

/// Rows of a query as tags to be removed: several rows may name one extent, and one row several tags.
fn removals(session: &Session<'_>, query: &str) -> EngineResult<Edits> {
    let rows = super::super::query::rows(session, query)?;
    let column = |name: &str| {
        let missing = || EngineError::bad_request(format!("the query must yield a column {name}."));
        rows.schema.index_of(name).ok_or_else(missing)
    };
    let (ids, tags) = (column("ExtentId")?, column("Tags")?);
    let mut by_extent: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for row in 0..rows.rows {
        let id = match rows.value(row, ids) {
            Value::Guid(id) => id,
            Value::String(text) => parse_guid(&text).unwrap_or_default(),
            _ => 0,
        };
        let mut text = String::new();
        rows.columns[tags].write_text(row, &mut text);
        let list = serde_json::from_str::<Vec<String>>(&text);
        let tags = list.unwrap_or_else(|_| text.split("\r\n").map(str::to_owned).collect());
        by_extent.entry(Uuid::from_u128(id)).or_default().extend(tags);
    }
    Ok(by_extent.into_iter().map(|(id, tags)| (id, Edit::Remove(tags))).collect())
}

fn decide(
    session: &Session<'_>,
    state: &State,
    table: Option<&str>,
    edits: &Edits,
    range: (i64, i64),
) -> EngineResult<Decision<ResultTable>> {
    let database = session.context_database(state)?;
    let Some(table) = only_table(session, database, table, edits)? else {
        return Ok(Decision::nothing(answer(&[])));
    };
    session.rights(state).on_table(database, table, TableAction::Administer)?;
    let concerned = |extent: &&std::sync::Arc<Extent>| (range.0..=range.1).contains(&extent.created);
    let edited: Vec<_> = table
        .extents
        .iter()
        .filter(concerned)
        .filter_map(|extent| Some((extent.id, edits.get(&extent.id)?.of(&extent.tags)?)))
        .map(|(old, tags)| (old, session.engine.new_id(), tags))
        .collect();
    let shown = answer(&edited);
    let (database, name) = (database.name.clone(), table.name.clone());
    let renewed = Change::MoveExtents {
        database: database.clone(),
        from: name.clone(),
        to: name.clone(),
        ids: edited.iter().map(|(old, new, _)| (*old, *new)).collect(),
        ingested: None,
    };
    let tags = edited.into_iter().map(|(_, new, tags)| (new, tags)).collect();
    Ok(Decision::new(vec![renewed, Change::SetTags { database, table: name, tags }], shown))
}

/// The table that has all the extents.
fn only_table<'d>(
    session: &Session<'_>,
    database: &'d Database,
    named: Option<&str>,
    edits: &Edits,
) -> EngineResult<Option<&'d Table>> {
    let mut table = named.map(|name| session.table_of(database, name)).transpose()?.map(|table| &**table);
    for id in edits.keys() {
        let found = owner(session, database, *id, None)?;
        if table.is_some_and(|table| table.id != found.id) {
            return Err(EngineError::bad_request("all extents must belong to the same table."));
        }
        table = Some(found);
    }
    Ok(table)
}

fn answer(edited: &[(Uuid, Uuid, Vec<String>)]) -> ResultTable {
    let columns = ["OriginalExtentId", "ResultExtentId", "ResultExtentTags", "Details"];
    let text = |id: &Uuid| Value::string(id.to_string());
    let row = |(old, new, tags): &(Uuid, Uuid, Vec<String>)| {
        vec![text(old), text(new), Value::string(tags.join("\r\n")), Value::from("")]
    };
    result(&columns.map(|name| (name, ColumnType::String)), edited.iter().map(row).collect())
}
