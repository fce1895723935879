//! `.show ... extents`, `.move extents`, `.drop extents`.

use std::collections::BTreeMap;

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
    let filter = ExtentFilter::parse(tokens)?;
    let state = session.engine.snapshot();
    let database = state.database(database)?;
    let tables: Vec<&Table> = match tables {
        Some(names) => {
            names.iter().map(|name| database.table(name).map(|t| &**t)).collect::<Result<_, _>>()?
        }
        None => database.tables.values().map(|table| &**table).collect(),
    };
    let rights = session.rights(&state);
    rights.on_database(database, DatabaseAction::Show).or_else(|refused| {
        let own = |table: &&Table| rights.on_table(database, table, TableAction::Show).is_ok();
        if !tables.is_empty() && tables.iter().all(own) { Ok(()) } else { Err(refused) }
    })?;
    let rows = tables
        .iter()
        .flat_map(|table| filter.of(table).into_iter().map(|extent| row(database, table, extent)));
    Ok(result(&EXTENTS, rows.collect()))
}

fn row(database: &Database, table: &Table, extent: &Extent) -> Vec<Value> {
    vec![
        guid(extent.id),
        database.name.as_str().into(),
        table.name.as_str().into(),
        Value::DateTime(extent.created),
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
    /// Takes `table T [with (...)]`.
    pub(super) fn into_table(tokens: &mut Tokens<'_>) -> EngineResult<Self> {
        let target = table_name(tokens)?;
        let mut given = properties::parse(tokens)?;
        let new_ingestion_time =
            given.contains_key("setNewIngestionTime") && properties::flag(&mut given, "setNewIngestionTime")?;
        let from = moment(&mut given, "extentCreatedOnFrom", 0)?;
        let created = (from, moment(&mut given, "extentCreatedOnTo", i64::MAX)?);
        properties::refuse_others("a move of extents", given.keys())?;
        Ok(Self { target, source: None, ids: None, query: None, new_ingestion_time, created })
    }
}

/// Runs `.move [async] extents ...` in its three forms. All extents are moved, or none.
pub(super) fn move_extents(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let asynchronous = tokens.eat_word("async");
    let request = parse_move(tokens)?;
    operations::run(session, "ExtentsMove", asynchronous, || {
        let listed = match &request.query {
            Some(query) => Some(listed_by(session, query)?),
            None => None,
        };
        session.engine.transact(|state| {
            let (changes, moved) = moves(session, state, &request, listed.as_deref())?;
            Ok(Decision::new(changes, moved_result(moved.iter().map(|(old, new)| (*old, Some(*new))))))
        })
    })
}

fn parse_move(tokens: &mut Tokens<'_>) -> EngineResult<Move> {
    word(tokens, "extents")?;
    let all = tokens.eat_word("all");
    let source = if tokens.eat_word("from") { Some(table_name(tokens)?) } else { None };
    word(tokens, "to")?;
    let mut request = Move { source, ..Move::into_table(tokens)? };
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

/// Pairs of old and new id.
pub(super) type Moved = Vec<(Uuid, Uuid)>;

/// The changes of a move, and pairs of old and new id.
pub(super) fn moves(
    session: &Session<'_>,
    state: &State,
    request: &Move,
    listed: Option<&[Listed]>,
) -> EngineResult<(Vec<Change>, Moved)> {
    let (database, target) = session.table(state, &request.target)?;
    let rights = session.rights(state);
    rights.on_table(database, target, TableAction::Administer)?;
    let mut changes = Vec::new();
    let mut moved = Vec::new();
    for (source, ids) in wanted(database, request, listed)? {
        let source = database.table(source)?;
        rights.on_table(database, source, TableAction::Administer)?;
        let pairs = pairs(session, request, source, target, ids)?;
        moved.extend(pairs.iter().copied());
        changes.push(Change::MoveExtents {
            database: database.name.clone(),
            from: source.name.clone(),
            to: target.name.clone(),
            ids: pairs,
            ingested: request.new_ingestion_time.then(|| session.engine.now()),
        });
    }
    Ok((changes, moved))
}

/// Which extents are to leave which tables.
fn wanted<'d>(
    database: &'d Database,
    request: &Move,
    listed: Option<&[Listed]>,
) -> EngineResult<BTreeMap<&'d str, Vec<Uuid>>> {
    let mut by_source: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
    if let Some(source) = &request.source {
        let table = database.table(source)?;
        let all = || table.extents.iter().map(|extent| extent.id).collect();
        by_source.insert(&table.name, request.ids.clone().unwrap_or_else(all));
    }
    for (id, table) in listed.unwrap_or_default() {
        by_source.entry(&owner(database, *id, table.as_deref())?.name).or_default().push(*id);
    }
    Ok(by_source)
}

/// The table that has an extent.
pub(super) fn owner<'d>(database: &'d Database, id: Uuid, named: Option<&str>) -> EngineResult<&'d Table> {
    let has = |table: &&Table| table.extent(id).is_some();
    let found = match named {
        Some(name) => Some(&**database.table(name)?).filter(has),
        None => database.tables.values().map(|table| &**table).find(has),
    };
    found.ok_or_else(|| EngineError::not_found("Extent", &id.to_string()))
}

/// Old and new ids of what is moved out of one table.
fn pairs(
    session: &Session<'_>,
    request: &Move,
    source: &Table,
    target: &Table,
    mut ids: Vec<Uuid>,
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
        let extent = source.extent(id).ok_or_else(|| EngineError::not_found("Extent", &id.to_string()))?;
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

/// The result of a move or a replacement; an extent without a new id was dropped.
pub(super) fn moved_result(moved: impl Iterator<Item = (Uuid, Option<Uuid>)>) -> ResultTable {
    let columns = [
        ("OriginalExtentId", ColumnType::String),
        ("ResultExtentId", ColumnType::String),
        ("Details", ColumnType::String),
    ];
    let text = |id: Option<Uuid>| Value::string(id.map(|id| id.to_string()).unwrap_or_default());
    result(&columns, moved.map(|(old, new)| vec![text(Some(old)), text(new), Value::from("")]).collect())
}

/// `.drop extent <id>`, `.drop extents (<id>, ...) [from T]`, `.drop extents from T`, `.drop extents [whatif] <| query`.
pub(super) fn drop_extents(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let one = tokens.word() == Some("extent");
    tokens.next();
    if one {
        let ids = vec![filters::id(tokens)?];
        return drop_listed(session, ids, tokens);
    }
    if tokens.is(Punct::Open) {
        let ids = filters::ids(tokens)?;
        return drop_listed(session, ids, tokens);
    }
    if tokens.eat_word("from") {
        let table = tokens.expect_name("a table name")?;
        end(tokens)?;
        return session.engine.transact(|state| {
            let (database, table) = session.table(state, &table)?;
            session.rights(state).on_table(database, table, TableAction::Administer)?;
            let found = table.extents.iter().map(|extent| (&**table, &**extent)).collect();
            Ok(dropped(database, found, false))
        });
    }
    let what_if = tokens.eat_word("whatif");
    tokens.expect(Punct::LessPipe)?;
    let listed = listed_by(session, tokens.rest())?;
    session.engine.transact(|state| {
        let database = session.context_database(state)?;
        session.rights(state).on_database(database, DatabaseAction::Administer)?;
        let found = find(database, listed.iter().map(|(id, table)| (*id, table.as_deref())))?;
        Ok(dropped(database, found, what_if))
    })
}

fn drop_listed(session: &Session<'_>, ids: Vec<Uuid>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let table = if tokens.eat_word("from") { Some(tokens.expect_name("a table name")?) } else { None };
    end(tokens)?;
    session.engine.transact(|state| {
        let database = session.context_database(state)?;
        let rights = session.rights(state);
        match &table {
            Some(name) => rights.on_table(database, database.table(name)?, TableAction::Administer)?,
            None => rights.on_database(database, DatabaseAction::Administer)?,
        }
        let found = find(database, ids.iter().map(|id| (*id, table.as_deref())))?;
        Ok(dropped(database, found, false))
    })
}

type Found<'d> = Vec<(&'d Table, &'d Extent)>;

fn find<'d, 'n>(
    database: &'d Database,
    ids: impl Iterator<Item = (Uuid, Option<&'n str>)>,
) -> EngineResult<Found<'d>> {
    let mut seen = std::collections::HashSet::new();
    let mut found = Vec::new();
    for (id, name) in ids.filter(|(id, _)| seen.insert(*id)) {
        let table = owner(database, id, name)?;
        found.extend(table.extent(id).map(|extent| (table, &**extent)));
    }
    Ok(found)
}

fn dropped(database: &Database, found: Found<'_>, what_if: bool) -> Decision<ResultTable> {
    let columns = [
        ("ExtentId", ColumnType::String),
        ("TableName", ColumnType::String),
        ("CreatedOn", ColumnType::DateTime),
    ];
    let row = |(table, extent): &(&Table, &Extent)| {
        vec![
            Value::string(extent.id.to_string()),
            table.name.as_str().into(),
            Value::DateTime(extent.created),
        ]
    };
    let answer = result(&columns, found.iter().map(row).collect());
    let mut by_table: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
    for (table, extent) in &found {
        by_table.entry(&table.name).or_default().push(extent.id);
    }
    let change = |(table, ids): (&str, Vec<Uuid>)| Change::DropExtents {
        database: database.name.clone(),
        table: table.to_owned(),
        ids,
    };
    let changes = if what_if { Vec::new() } else { by_table.into_iter().map(change).collect() };
    Decision::new(changes, answer)
}
