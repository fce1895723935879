//! `.create materialized-view`, `.drop materialized-view`, `.show materialized-view(s)`.
//!
//! A view here keeps the records that it has taken in, and aggregates them when it is read: a reader of the whole view sees the
//! same. What feeds it is what feeds it in the service: records that were ingested since it was made (all, with `backfill`), and
//! extents that were moved in with a new ingestion time; without one the move is refused.
//!
//! Syntax, results and rights: `MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/management/materialized-views/materialized-view-create.md`, `materialized-view-drop.md`,
//! `materialized-view-show-command.md`, `materialized-views-limitations.md`.

use super::super::catalog::{Database, MaterializedView, State, Table};
use super::super::change::Change;
use super::super::error::{EngineError, EngineResult};
use super::super::roles::DatabaseAction;
use super::super::transaction::Decision;
use super::super::{names, query};
use super::functions::{creators, enclosed};
use super::properties::{self, flag};
use super::{Session, end, operations, result};
use crate::data::{ColumnType, ResultTable, Value};
use crate::kql::{self, Expr, Operator, Punct, Source, Statement, Tokens};

/// The aggregation functions that a view may have.
const AGGREGATES: [&str; 20] = [
    "count",
    "countif",
    "dcount",
    "dcountif",
    "min",
    "max",
    "avg",
    "avgif",
    "sum",
    "sumif",
    "arg_max",
    "arg_min",
    "take_any",
    "take_anyif",
    "hll",
    "make_set",
    "make_list",
    "make_bag",
    "percentile",
    "tdigest",
];

const VIEWS: [(&str, ColumnType); 14] = [
    ("Name", ColumnType::String),
    ("SourceTable", ColumnType::String),
    ("Query", ColumnType::String),
    ("MaterializedTo", ColumnType::DateTime),
    ("LastRun", ColumnType::DateTime),
    ("LastRunResult", ColumnType::String),
    ("IsHealthy", ColumnType::Bool),
    ("IsEnabled", ColumnType::Bool),
    ("Folder", ColumnType::String),
    ("DocString", ColumnType::String),
    ("AutoUpdateSchema", ColumnType::Bool),
    ("EffectiveDateTime", ColumnType::DateTime),
    ("Lookback", ColumnType::TimeSpan),
    ("LookbackColumn", ColumnType::String),
];

/// Whether `materialized-view` comes next; `create` and its like were taken, with `async` and `ifnotexists` perhaps to come.
pub(super) fn follows(tokens: &mut Tokens<'_>) -> bool {
    (0..4).any(|at| tokens.word_nth(at) == Some("materialized"))
        && matches!(tokens.word(), Some("async" | "ifnotexists" | "materialized"))
}

struct Request {
    if_not_exists: bool,
    backfill: bool,
    follows_schema: bool,
    folder: String,
    docstring: String,
    name: String,
    table: String,
    query: String,
}

/// `[async] [ifnotexists] materialized-view [with (...)] V on table T { query }`.
pub(super) fn create(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let asynchronous = tokens.eat_word("async");
    let request = parse(session, tokens)?;
    if request.backfill && !asynchronous {
        return Err(EngineError::bad_request("a materialized view with backfill is made async."));
    }
    operations::run(session, "MaterializedViewCreateOrAlter", asynchronous, || {
        session.transact(|state| request.decide(session, state))
    })
}

fn parse(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<Request> {
    let if_not_exists = tokens.eat_word("ifnotexists");
    keyword(tokens)?;
    let mut given = properties::parse(tokens)?;
    let backfill = given.contains_key("backfill") && flag(&mut given, "backfill")?;
    let follows_schema = given.contains_key("autoUpdateSchema") && flag(&mut given, "autoUpdateSchema")?;
    let about = properties::TableProperties::take(session, &mut given)?;
    properties::refuse_others(".create materialized-view (of the local cluster)", given.keys())?;
    let name = tokens.expect_name("the name of a view")?;
    names::validate("MaterializedView", &name)?;
    super::extents::word(tokens, "on")?;
    super::extents::word(tokens, "table")?;
    let table = tokens.expect_name("a table name")?;
    let query = enclosed(tokens, Punct::OpenBrace, Punct::CloseBrace)?;
    end(tokens)?;
    let query = query[1..query.len() - 1].trim().to_owned();
    check(&query, &table)?;
    let (folder, docstring) = (about.folder.unwrap_or_default(), about.docstring.unwrap_or_default());
    Ok(Request { if_not_exists, backfill, follows_schema, folder, docstring, name, table, query })
}

fn keyword(tokens: &mut Tokens<'_>) -> EngineResult<()> {
    match tokens.eat_hyphenated("materialized-view") {
        true => Ok(()),
        false => Err(tokens.unexpected("'materialized-view'").into()),
    }
}

/// Refuses what no view may be.
fn check(query: &str, table: &str) -> EngineResult<()> {
    let wrong = |why: &str| Err(EngineError::bad_request(format!("the query of a materialized view {why}.")));
    let parsed = kql::parse(query)?;
    let [Statement::Rows(pipeline)] = &parsed.statements[..] else {
        return wrong("is one tabular expression, without declarations");
    };
    if pipeline.source != Source::Name(table.to_owned()) {
        return wrong("begins with its table");
    }
    let Some((Operator::Summarize(aggregates, _), before)) = pipeline.operators.split_last() else {
        return wrong("ends with 'summarize'");
    };
    if before.iter().any(|it| matches!(it, Operator::Summarize(..))) {
        return wrong("has one 'summarize'");
    }
    if before.iter().any(|it| matches!(it, Operator::Sort(_) | Operator::Top(..) | Operator::Serialize(_))) {
        return wrong("does not sort");
    }
    let simple = |expr: &Expr| matches!(expr, Expr::Call(name, _) if AGGREGATES.contains(&name.as_str()));
    if aggregates.is_empty() || !aggregates.iter().all(|aggregate| simple(&aggregate.expr)) {
        return wrong("has aggregations that stand alone and that views know");
    }
    Ok(())
}

impl Request {
    fn decide(&self, session: &Session<'_>, state: &State) -> EngineResult<Decision<ResultTable>> {
        let (database, table) = session.table(state, &self.table)?;
        session.rights(state).on_database(database, DatabaseAction::Administer)?;
        match (database.views.get(&self.name), database.kind_of(&self.name)) {
            (Some(known), _) if self.if_not_exists => {
                return Ok(Decision::nothing(shown(database, [&**known])));
            }
            (_, Some(kind)) => return Err(EngineError::already_exists(kind, &self.name)),
            _ => {}
        }
        let view = self.view(session, table);
        let mut next = state.clone();
        let change = Change::PutView { database: database.name.clone(), view: Box::new(view.clone()) };
        next.apply(&change);
        query::try_on(session, &next, &format!("{} | take 0", names::quoted(&self.name)))?;
        Ok(Decision::new(vec![change], shown(database, [&view])))
    }

    fn view(&self, session: &Session<'_>, table: &Table) -> MaterializedView {
        MaterializedView {
            name: self.name.clone(),
            source: table.id,
            source_name: self.table.clone(),
            query: self.query.clone(),
            folder: self.folder.clone(),
            docstring: self.docstring.clone(),
            follows_schema: self.follows_schema,
            effective: session.engine.now(),
            settings: creators(session),
            extents: if self.backfill { table.extents.clone() } else { Vec::new() },
        }
    }
}

/// `.drop materialized-view V [ifexists]`; answers with the views that remain.
pub(super) fn drop(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    keyword(tokens)?;
    let name = tokens.expect_name("the name of a view")?;
    let if_exists = tokens.eat_word("ifexists");
    end(tokens)?;
    session.transact(|state| {
        let database = session.context_database(state)?;
        let left =
            shown(database, database.views.values().filter(|view| view.name != name).map(|view| &**view));
        match database.views.get(&name) {
            None if if_exists => Ok(Decision::nothing(left)),
            None => Err(EngineError::not_found("MaterializedView", &name)),
            Some(view) => {
                session.rights(state).on_entity(database, &view.grants, "MaterializedView", &name)?;
                let change = Change::DropView { database: database.name.clone(), view: name.clone() };
                Ok(Decision::new(vec![change], left))
            }
        }
    })
}

/// `.show materialized-views`, `.show materialized-view V`.
pub(super) fn show(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let name = match tokens.eat_hyphenated("materialized-views") {
        true => None,
        false => {
            keyword(tokens)?;
            Some(tokens.expect_name("the name of a view")?)
        }
    };
    let state = session.snapshot();
    let database = session.context_database(&state)?;
    session.rights(&state).on_database(database, DatabaseAction::Show)?;
    let Some(name) = name else {
        return Ok(shown(database, database.views.values().map(|view| &**view)));
    };
    let view = database.views.get(&name).ok_or_else(|| EngineError::not_found("MaterializedView", &name))?;
    Ok(shown(database, [&**view]))
}

fn shown<'v>(database: &Database, views: impl IntoIterator<Item = &'v MaterializedView>) -> ResultTable {
    let row = |view: &'v MaterializedView| {
        let source = database.table_by_id(view.source).map_or(&view.source_name, |table| &table.name);
        let latest = view.extents.iter().map(|extent| extent.ingested).max();
        let run = latest.unwrap_or(view.effective).max(view.effective);
        vec![
            Value::from(view.name.as_str()),
            Value::from(source.as_str()),
            Value::from(view.query.as_str()),
            latest.map_or(Value::Null, Value::DateTime),
            Value::DateTime(run),
            Value::from("Completed"),
            Value::Bool(true),
            Value::Bool(true),
            Value::from(view.folder.as_str()),
            Value::from(view.docstring.as_str()),
            Value::Bool(view.follows_schema),
            Value::DateTime(view.effective),
            Value::Null,
            Value::from(""),
        ]
    };
    result(&VIEWS, views.into_iter().map(row).collect())
}
