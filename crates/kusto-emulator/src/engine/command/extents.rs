//! `.show ... extents` and `.move extents`.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::super::catalog::{Database, State, Table};
use super::super::change::Change;
use super::super::error::{EngineError, EngineResult};
use super::super::extent::Extent;
use super::super::roles::{DatabaseAction, TableAction};
use super::super::transaction::Decision;
use super::filters::{self, ExtentFilter};
use super::operations::guid;
use super::{Session, end, operations, properties, result};
use crate::assumptions::{CreatedRange, MissingExtents};
use crate::data::{ColumnType, ResultTable, Value, parse_datetime, parse_guid};
use crate::kql::{Punct, Tokens};

const EXTENTS: [(&str, ColumnType); 16] = [
    ("ExtentId", ColumnType::Guid),
    ("DatabaseName", ColumnType::String),
    ("TableName", ColumnType::String),
    ("MaxCreatedOn", ColumnType::DateTime),
    ("OriginalSize", ColumnType::Real),
    ("ExtentSize", ColumnType::Real),
    ("CompressedSize", ColumnType::Real),
    ("IndexSize", ColumnType::Real),
    ("Blocks", ColumnType::Long),
    ("Segments", ColumnType::Long),
    ("ExtentContainerId", ColumnType::String),
    ("RowCount", ColumnType::Long),
    ("MinCreatedOn", ColumnType::DateTime),
    ("Tags", ColumnType::String),
    ("Kind", ColumnType::String),
    ("DeletedRowCount", ColumnType::Long),
];

/// Extents of tables (all of the database when none is named); the words before and `extents` were taken.
pub(super) fn show(
    session: &Session<'_>,
    database: &str,
    tables: Option<&[String]>,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    let filter = ExtentFilter::parse(session, tokens)?;
    let state = session.snapshot();
    let database = state.database(database)?;
    let tables: Vec<&Table> = match tables {
        Some(names) => names
            .iter()
            .map(|name| session.table_of(database, name).map(|t| &**t))
            .collect::<Result<_, _>>()?,
        None => database.tables.values().map(|table| &**table).collect(),
    };
    let rights = session.rights(&state);
    rights.on_database(database, DatabaseAction::Show).or_else(|refused| {
        let own = |table: &&Table| rights.on_table(database, table, TableAction::Show).is_ok();
        if !tables.is_empty() && tables.iter().all(own) { Ok(()) } else { Err(refused) }
    })?;
    Ok(listed(session, &state, &filter, tables.into_iter().map(|table| (&**database, table))))
}

/// `.show cluster extents ...`: of all databases; `cluster` and `extents` were taken.
pub(super) fn show_cluster(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let filter = ExtentFilter::parse(session, tokens)?;
    let state = session.snapshot();
    session.rights(&state).on_cluster()?;
    let databases = state.databases.values();
    let tables = databases.flat_map(|database| database.tables.values().map(|table| (&**database, &**table)));
    Ok(listed(session, &state, &filter, tables))
}

fn listed<'s>(
    session: &Session<'_>,
    state: &State,
    filter: &ExtentFilter,
    tables: impl Iterator<Item = (&'s Database, &'s Table)>,
) -> ResultTable {
    let now = session.engine.now();
    let of = |(database, table): (&'s Database, &'s Table)| {
        let found = filter.of(state, database, table, now).into_iter();
        found.map(|extent| row(database, table, extent)).collect::<Vec<_>>()
    };
    result(&EXTENTS, tables.flat_map(of).take(filter.most).collect())
}

fn row(database: &Database, table: &Table, extent: &Extent) -> Vec<Value> {
    vec![
        guid(extent.id),
        database.name.as_str().into(),
        table.name.as_str().into(),
        Value::DateTime(extent.last_created()),
        Value::Real(extent.original_size as f64),
        Value::Real(extent.stored_size as f64),
        Value::Real(extent.stored_size as f64),
        Value::Real(0.0),
        Value::Long(1),
        Value::Long(1),
        Value::from(""),
        Value::Long(extent.rows.try_into().unwrap_or(i64::MAX)),
        Value::DateTime(extent.created),
        Value::string(extent.tags.join("\r\n")),
        Value::from("StorageV3"),
        Value::Long(0),
    ]
}

/// A `.move extents` as it was written.
pub(super) struct Move {
    pub(super) target: String,
    source: Option<String>,
    /// Of the source; none: all of them.
    ids: Option<Vec<Uuid>>,
    /// Whose rows name extents.
    query: Option<String>,
    new_ingestion_time: bool,
    created: (i64, i64),
}

impl Move {
    /// Makes the answer take as long as is assumed of so many extents.
    pub(super) fn takes(&self, session: &Session<'_>, extents: usize) {
        let assumed = session.engine.assumptions();
        let more = if self.new_ingestion_time { assumed.new_ingestion_time_takes } else { Duration::ZERO };
        let each = assumed.move_takes.saturating_add(more);
        session.context.mischief.takes.add(each.saturating_mul(extents.try_into().unwrap_or(u32::MAX)));
    }

    /// Takes `table T [with (...)]`.
    pub(super) fn into_table(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<Self> {
        let target = table_name(tokens)?;
        let mut given = properties::parse(tokens)?;
        let new_ingestion_time =
            given.contains_key("setNewIngestionTime") && properties::flag(&mut given, "setNewIngestionTime")?;
        let required = session.engine.assumptions().created_range == CreatedRange::Required;
        let bounds = ["extentCreatedOnFrom", "extentCreatedOnTo"];
        if let Some(missing) = bounds.iter().find(|name| required && !given.contains_key(**name)) {
            return Err(EngineError::bad_request(format!("a move of extents needs the property {missing}.")));
        }
        let created = created_range(&mut given)?;
        properties::refuse_others("a move of extents", given.keys())?;
        Ok(Self { target, source: None, ids: None, query: None, new_ingestion_time, created })
    }
}

/// Runs `.move [async] extents ...` in its three forms. All extents are moved, or none.
pub(super) fn move_extents(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let asynchronous = tokens.eat_word("async");
    let request = parse_move(session, tokens)?;
    operations::run(session, "ExtentsMove", asynchronous, || {
        let listed = match &request.query {
            Some(query) => Some(listed_by(session, query)?),
            None => None,
        };
        session.transact(|state| {
            let missing = session.engine.assumptions().missing_extents;
            let moves = moves(session, state, &request, listed.as_deref(), missing)?;
            let answer = moves.result();
            request.takes(session, moves.moved.len());
            Ok(Decision::new(moves.changes, answer))
        })
    })
}

fn parse_move(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<Move> {
    word(tokens, "extents")?;
    let all = tokens.eat_word("all");
    let source = if tokens.eat_word("from") { Some(table_name(tokens)?) } else { None };
    word(tokens, "to")?;
    let mut request = Move { source, ..Move::into_table(session, tokens)? };
    if request.source.is_none() {
        tokens.expect(Punct::LessPipe)?;
        request.query = Some(tokens.rest().to_owned());
        return Ok(request);
    }
    if !all {
        request.ids = Some(filters::ids(tokens)?);
    }
    end(tokens)?;
    Ok(request)
}

pub(super) fn word(tokens: &mut Tokens<'_>, wanted: &str) -> EngineResult<()> {
    if tokens.eat_word(wanted) { Ok(()) } else { Err(tokens.unexpected(&format!("'{wanted}'")).into()) }
}

fn table_name(tokens: &mut Tokens<'_>) -> EngineResult<String> {
    word(tokens, "table")?;
    Ok(tokens.expect_name("a table name")?)
}

/// Takes `extentCreatedOnFrom` and `extentCreatedOnTo` out of the properties.
pub(super) fn created_range(
    given: &mut serde_json::Map<String, serde_json::Value>,
) -> EngineResult<(i64, i64)> {
    let from = moment(given, "extentCreatedOnFrom", 0)?;
    Ok((from, moment(given, "extentCreatedOnTo", i64::MAX)?))
}

fn moment(
    given: &mut serde_json::Map<String, serde_json::Value>,
    name: &str,
    absent: i64,
) -> EngineResult<i64> {
    let Some(value) = given.remove(name) else { return Ok(absent) };
    value.as_str().and_then(parse_datetime).ok_or_else(|| {
        EngineError::bad_request(format!("property {name} is {value}; it must be a datetime."))
    })
}

/// An extent that a query names, and its table where that is named too.
pub(super) type Listed = (Uuid, Option<String>);

/// The extents that a query names.
pub(super) fn listed_by(session: &Session<'_>, query: &str) -> EngineResult<Vec<Listed>> {
    let rows = super::super::query::rows(session, query)?;
    let Some(id) = rows.schema.index_of("ExtentId") else {
        return Err(EngineError::bad_request("the query must yield a column ExtentId."));
    };
    let table = rows.schema.index_of("TableName");
    let read = |row| {
        let id = match rows.value(row, id) {
            Value::Guid(id) => id,
            Value::String(text) => parse_guid(&text).unwrap_or_default(),
            _ => 0,
        };
        let table = table.and_then(|table| rows.value(row, table).as_str().map(str::to_owned));
        (Uuid::from_u128(id), table)
    };
    Ok((0..rows.rows).map(read).collect())
}

/// What a move comes to.
#[derive(Debug, Default)]
pub(super) struct Moves {
    pub(super) changes: Vec<Change>,
    /// Pairs of old and new id.
    pub(super) moved: Vec<(Uuid, Uuid)>,
    /// Extents that stay, with an answer that says `Failed`.
    failed: Vec<Uuid>,
}

impl Moves {
    fn result(&self) -> ResultTable {
        let moved = self.moved.iter().map(|(old, new)| (*old, new.to_string(), ""));
        let failed =
            self.failed.iter().map(|id| (*id, "Failed".to_owned(), "An extent of the list is gone."));
        moved_result(moved.chain(failed))
    }
}

/// The changes of a move; what an extent that is gone means to it, `missing` says.
pub(super) fn moves(
    session: &Session<'_>,
    state: &State,
    request: &Move,
    listed: Option<&[Listed]>,
    missing: MissingExtents,
) -> EngineResult<Moves> {
    let (database, target) = session.table(state, &request.target)?;
    let rights = session.rights(state);
    rights.on_table(database, target, TableAction::Administer)?;
    if let Some(view) = database.view_of(target).filter(|_| !request.new_ingestion_time) {
        let (table, view) = (&target.name, &view.name);
        return Err(EngineError::bad_request(format!(
            "Cannot move extents to '{table}' since materialized view '{view}' will not process these extents (can \
             lead to data loss in the materialized view)."
        )));
    }
    let (mut moves, mut gone) = (Moves::default(), Vec::new());
    for (source, ids) in wanted(session, database, request, listed, &mut gone)? {
        let source = database.table(source)?;
        rights.on_table(database, source, TableAction::Administer)?;
        let pairs = pairs(session, request, source, target, ids, &mut gone)?;
        moves.moved.extend(pairs.iter().copied());
        moves.changes.push(Change::MoveExtents {
            database: database.name.clone(),
            from: source.name.clone(),
            to: target.name.clone(),
            ids: pairs,
            ingested: request.new_ingestion_time.then(|| session.engine.now()),
        });
    }
    match (gone.first(), missing) {
        (None, _) | (_, MissingExtents::OthersMove) => Ok(moves),
        (Some(id), MissingExtents::Refused) => Err(EngineError::not_found("Extent", &id.to_string())),
        (_, MissingExtents::NothingMoves) => Ok(Moves::default()),
        (_, MissingExtents::RowsSayFailed) => {
            gone.extend(moves.moved.iter().map(|(old, _)| *old));
            Ok(Moves { failed: gone, ..Moves::default() })
        }
    }
}

/// Which extents are to leave which tables; `gone` gets those that are nowhere.
fn wanted<'d>(
    session: &Session<'_>,
    database: &'d Database,
    request: &Move,
    listed: Option<&[Listed]>,
    gone: &mut Vec<Uuid>,
) -> EngineResult<BTreeMap<&'d str, Vec<Uuid>>> {
    let mut by_source: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
    if let Some(source) = &request.source {
        let table = session.table_of(database, source)?;
        let all = || table.extents.iter().map(|extent| extent.id).collect();
        by_source.insert(&table.name, request.ids.clone().unwrap_or_else(all));
    }
    for (id, named) in listed.unwrap_or_default() {
        let named = named.as_deref().map(|name| session.table_of(database, name)).transpose()?;
        match find_owner(database, *id, named.map(|table| &**table)) {
            Some(table) => by_source.entry(&table.name).or_default().push(*id),
            None => gone.push(*id),
        }
    }
    Ok(by_source)
}

fn find_owner<'d>(database: &'d Database, id: Uuid, named: Option<&'d Table>) -> Option<&'d Table> {
    let has = |table: &&Table| table.extent(id).is_some();
    match named {
        Some(table) => Some(table).filter(has),
        None => database.tables.values().map(|table| &**table).find(has),
    }
}

/// The table that has an extent.
pub(super) fn owner<'d>(
    session: &Session<'_>,
    database: &'d Database,
    id: Uuid,
    named: Option<&str>,
) -> EngineResult<&'d Table> {
    let named = named.map(|name| session.table_of(database, name)).transpose()?;
    let found = find_owner(database, id, named.map(|table| &**table));
    found.ok_or_else(|| EngineError::not_found("Extent", &id.to_string()))
}

/// Old and new ids of what is moved out of one table; `gone` gets those that it does not have.
fn pairs(
    session: &Session<'_>,
    request: &Move,
    source: &Table,
    target: &Table,
    mut ids: Vec<Uuid>,
    gone: &mut Vec<Uuid>,
) -> EngineResult<Vec<(Uuid, Uuid)>> {
    if source.id == target.id {
        return Err(EngineError::bad_request(format!(
            "table '{}' is both source and destination.",
            source.name
        )));
    }
    same_columns(source, target)?;
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    let named = request.ids.is_some();
    let (from, to) = request.created;
    let mut pairs = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(extent) = source.extent(id) else {
            gone.push(id);
            continue;
        };
        match (from..=to).contains(&extent.created) {
            true => pairs.push((id, session.engine.new_id())),
            false if named => {
                return Err(EngineError::not_found("Extent", &format!("{id} in the given time range")));
            }
            false => {}
        }
    }
    Ok(pairs)
}

/// Every column of the source must be in the destination, with the same type.
fn same_columns(source: &Table, target: &Table) -> EngineResult<()> {
    let fits = |column: &&crate::data::Column| !target.schema.columns.contains(column);
    match source.schema.columns.iter().find(fits) {
        None => Ok(()),
        Some(odd) => Err(EngineError::bad_request(format!(
            "cannot move extents: column '{}' of type {} of table '{}' is not in table '{}' with the same name and type.",
            odd.name, odd.ty, source.name, target.name
        ))),
    }
}

/// The result of a move or a replacement: old id, new one (none if it was dropped), details.
pub(super) fn moved_result<'t>(moved: impl Iterator<Item = (Uuid, String, &'t str)>) -> ResultTable {
    let columns = ["OriginalExtentId", "ResultExtentId", "Details"].map(|name| (name, ColumnType::String));
    let row = |(old, new, details): (Uuid, String, &str)| {
        vec![Value::string(old.to_string()), Value::string(new), Value::from(details)]
    };
    result(&columns, moved.map(row).collect())
}
