//! `.drop extents` and `.drop-pretend extents`: by id, by query, or by age, size and number.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use super::super::catalog::{Database, Table};
use super::super::change::Change;
use super::super::error::EngineResult;
use super::super::extent::Extent;
use super::super::roles::{DatabaseAction, TableAction};
use super::super::transaction::Decision;
use super::extents::{listed_by, owner, word};
use super::{Session, end, filters, result};
use crate::data::{ColumnType, ResultTable, TICKS_PER_SECOND, Value};
use crate::kql::{Kind, Punct, Tokens};

/// Everything behind `.drop`; `pretend`: the answer says what would go, and nothing goes.
pub(super) fn run(
    session: &Session<'_>,
    pretend: bool,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    let one = tokens.word() == Some("extent");
    tokens.next();
    if one && !pretend {
        let ids = vec![filters::id(tokens)?];
        return listed(session, ids, tokens);
    }
    if tokens.is(Punct::Open) && !pretend {
        let ids = filters::ids(tokens)?;
        return listed(session, ids, tokens);
    }
    if matches!(tokens.word(), Some("from" | "older")) {
        return by_properties(session, pretend, tokens);
    }
    let pretend = tokens.eat_word("whatif") || pretend;
    tokens.expect(Punct::LessPipe)?;
    let listed = listed_by(session, tokens.rest())?;
    session.transact(|state| {
        let database = session.context_database(state)?;
        session.rights(state).on_database(database, DatabaseAction::Administer)?;
        let found = find(session, database, listed.iter().map(|(id, table)| (*id, table.as_deref())))?;
        Ok(decision(database, found, pretend))
    })
}

/// `(<id>, ...) [from T]`.
fn listed(session: &Session<'_>, ids: Vec<Uuid>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let table = if tokens.eat_word("from") { Some(tokens.expect_name("a table name")?) } else { None };
    end(tokens)?;
    session.transact(|state| {
        let database = session.context_database(state)?;
        let rights = session.rights(state);
        match &table {
            Some(name) => {
                rights.on_table(database, session.table_of(database, name)?, TableAction::Administer)?;
            }
            None => rights.on_database(database, DatabaseAction::Administer)?,
        }
        let found = find(session, database, ids.iter().map(|id| (*id, table.as_deref())))?;
        Ok(decision(database, found, false))
    })
}

/// `[older N days|hours] from T|all tables|tables (A, B) [trim by extentsize|datasize N MB|GB|bytes] [limit N]`.
struct Properties {
    /// Ticks.
    older: Option<i64>,
    /// None: all tables.
    tables: Option<Vec<String>>,
    /// Whether by the size of the ingested text, and how many bytes may stay.
    trim: Option<(bool, u64)>,
    limit: usize,
}

impl Properties {
    fn parse(tokens: &mut Tokens<'_>) -> EngineResult<Self> {
        let older = if tokens.eat_word("older") { Some(age(tokens)?) } else { None };
        word(tokens, "from")?;
        let tables = if tokens.word() == Some("all") && tokens.word_nth(1) == Some("tables") {
            tokens.next();
            tokens.next();
            None
        } else if tokens.word() == Some("tables") && tokens.peek_nth(1).kind == Kind::Punct(Punct::Open) {
            tokens.next();
            Some(super::names(tokens, "a table name")?)
        } else {
            Some(vec![tokens.expect_name("a table name")?])
        };
        let trim = if tokens.eat_word("trim") { Some(trim(tokens)?) } else { None };
        let limit = if tokens.eat_word("limit") { number(tokens)? } else { u64::MAX };
        end(tokens)?;
        Ok(Self { older, tables, trim, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
    }

    /// Those that are to go of the extents of the tables, the oldest first.
    fn choose<'d>(&self, now: i64, mut extents: Found<'d>) -> Found<'d> {
        extents.sort_by_key(|(_, extent)| extent.last_created());
        if let Some(age) = self.older {
            extents.retain(|(_, extent)| extent.last_created() < now.saturating_sub(age));
        }
        if let Some((by_data, most)) = self.trim {
            let size = |extent: &Extent| if by_data { extent.original_size } else { extent.stored_size };
            let mut left: u64 = extents.iter().map(|(_, extent)| size(extent)).sum();
            extents.retain(|(_, extent)| {
                let goes = left > most;
                left -= if goes { size(extent) } else { 0 };
                goes
            });
        }
        extents.truncate(self.limit);
        extents
    }
}

fn number(tokens: &mut Tokens<'_>) -> EngineResult<u64> {
    let found = match tokens.peek().kind {
        Kind::Literal(Value::Long(number), _) => u64::try_from(number).ok(),
        _ => None,
    };
    let Some(number) = found else { return Err(tokens.unexpected("a whole number").into()) };
    tokens.next();
    Ok(number)
}

fn age(tokens: &mut Tokens<'_>) -> EngineResult<i64> {
    let count = i64::try_from(number(tokens)?).unwrap_or(i64::MAX);
    let unit = match tokens.word() {
        Some("days") => 86_400,
        Some("hours") => 3_600,
        _ => return Err(tokens.unexpected("'days' or 'hours'").into()),
    };
    tokens.next();
    Ok(count.saturating_mul(unit * TICKS_PER_SECOND))
}

fn trim(tokens: &mut Tokens<'_>) -> EngineResult<(bool, u64)> {
    word(tokens, "by")?;
    let by_data = tokens.eat_word("datasize");
    if !by_data {
        word(tokens, "extentsize")?;
    }
    let count = number(tokens)?;
    let unit = match tokens.word() {
        Some("bytes") => 1,
        Some("MB") => 1 << 20,
        Some("GB") => 1 << 30,
        _ => return Err(tokens.unexpected("'MB', 'GB' or 'bytes'").into()),
    };
    tokens.next();
    Ok((by_data, count.saturating_mul(unit)))
}

fn by_properties(session: &Session<'_>, pretend: bool, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let wanted = Properties::parse(tokens)?;
    session.transact(|state| {
        let database = session.context_database(state)?;
        let rights = session.rights(state);
        let tables: Vec<&Table> = match &wanted.tables {
            Some(names) => {
                let table = |name: &String| session.table_of(database, name).map(|table| &**table);
                names.iter().map(table).collect::<Result<_, _>>()?
            }
            None => {
                rights.on_database(database, DatabaseAction::Administer)?;
                database.tables.values().map(|table| &**table).collect()
            }
        };
        for table in &tables {
            rights.on_table(database, table, TableAction::Administer)?;
        }
        let extents = tables.iter().flat_map(|table| table.extents.iter().map(move |e| (*table, &**e)));
        let chosen = wanted.choose(session.engine.now(), extents.collect());
        Ok(decision(database, chosen, pretend))
    })
}

type Found<'d> = Vec<(&'d Table, &'d Extent)>;

fn find<'d, 'n>(
    session: &Session<'_>,
    database: &'d Database,
    ids: impl Iterator<Item = (Uuid, Option<&'n str>)>,
) -> EngineResult<Found<'d>> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (id, name) in ids.filter(|(id, _)| seen.insert(*id)) {
        let table = owner(session, database, id, name)?;
        found.extend(table.extent(id).map(|extent| (table, &**extent)));
    }
    Ok(found)
}

fn decision(database: &Database, found: Found<'_>, pretend: bool) -> Decision<ResultTable> {
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
    let changes = if pretend { Vec::new() } else { by_table.into_iter().map(change).collect() };
    Decision::new(changes, answer)
}
