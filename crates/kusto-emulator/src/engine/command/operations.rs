//! Commands that run `async`, `.show operations`, `.show operation <id> details`, `.show ingestion failures`.

use uuid::Uuid;

use super::super::error::{EngineError, EngineResult};
use super::super::log::{FailedIngestion, Operation};
use super::super::pending::Begun;
use super::super::roles::DatabaseAction;
use super::{Session, filters, properties, result};
use crate::assumptions::OperationColumns;
use crate::data::{ColumnType, ResultTable, TICKS_PER_DAY, Value};
use crate::kql::{Punct, Tokens};

/// Runs a command as an operation. `asynchronous`: the answer is the operation's id, under which its rows or its error are
/// found when its time has come.
pub(super) fn run(
    session: &Session<'_>,
    kind: &'static str,
    asynchronous: bool,
    work: impl FnOnce() -> EngineResult<ResultTable>,
) -> EngineResult<ResultTable> {
    let engine = session.engine;
    if asynchronous && session.operation.is_none() {
        let id = engine.postpone(session, kind)?;
        return Ok(result(&[("OperationId", ColumnType::Guid)], vec![vec![guid(id)]]));
    }
    let begun = session.operation.unwrap_or_else(|| Begun { id: engine.new_id(), at: engine.now() });
    let outcome = work();
    let (state, status) = match &outcome {
        Ok(_) => ("Completed", String::new()),
        Err(error) if error.permanent => ("BadInput", error.detail.clone()),
        Err(error) => ("Failed", error.detail.clone()),
    };
    engine.log.operation(Operation {
        updated: engine.now(),
        state: state.into(),
        status,
        details: outcome.as_ref().ok().filter(|_| asynchronous).cloned(),
        ..Operation::begun(session, kind, begun)
    });
    outcome
}

impl Operation {
    /// The first entry of an operation: it is in progress.
    pub(in super::super) fn begun(session: &Session<'_>, kind: &'static str, begun: Begun) -> Self {
        Self {
            id: begun.id,
            kind: kind.into(),
            database: session.database.to_owned(),
            principal: session.context.principal.fqn(),
            started: begun.at,
            updated: begun.at,
            state: "InProgress".into(),
            status: String::new(),
            details: None,
        }
    }
}

pub(super) fn guid(id: Uuid) -> Value {
    Value::Guid(id.as_u128())
}

const OPERATIONS: [(&str, ColumnType); 13] = [
    ("OperationId", ColumnType::String),
    ("Operation", ColumnType::String),
    ("NodeId", ColumnType::String),
    ("StartedOn", ColumnType::DateTime),
    ("LastUpdatedOn", ColumnType::DateTime),
    ("Duration", ColumnType::TimeSpan),
    ("State", ColumnType::String),
    ("Status", ColumnType::String),
    ("RootActivityId", ColumnType::Guid),
    ("ShouldRetry", ColumnType::Bool),
    ("Database", ColumnType::String),
    ("Principal", ColumnType::String),
    ("User", ColumnType::String),
];

/// How many of them the document lists.
const DOCUMENTED_COLUMNS: usize = 8;

/// How long an operation and a failure are listed, and how long it is found by its id, in ticks.
const LISTED_FOR: i64 = 14 * TICKS_PER_DAY;
const FOUND_FOR: i64 = TICKS_PER_DAY / 4;

/// `.show operations [<id> | (<id>, ...)]` and `.show operation <id> details`; `show` was taken. Without an id: every
/// entry of two weeks, of which an operation may have several. By id: its latest, if that is less than six hours old.
/// Source: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/show-operations.md`.
pub(super) fn show(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    tokens.next();
    let ids = if tokens.is(Punct::Open) {
        Some(filters::ids(tokens)?)
    } else if tokens.at_end() || tokens.is(Punct::Pipe) {
        None
    } else {
        Some(vec![filters::id(tokens)?])
    };
    let (visible, now) = (visible(session), session.engine.now());
    if let Some([id]) = ids.as_deref()
        && tokens.eat_word("details")
    {
        let found = latest(&visible, *id).and_then(|operation| operation.details.clone());
        return found.ok_or_else(|| EngineError::not_found("OperationDetails", &id.to_string()));
    }
    let younger = |than: i64| move |entry: &&Operation| now.saturating_sub(entry.updated) < than;
    let rows: Vec<_> = match ids {
        None => visible.iter().filter(younger(LISTED_FOR)).map(row).collect(),
        Some(ids) => {
            let found = ids.iter().filter_map(|id| latest(&visible, *id));
            found.filter(younger(FOUND_FOR)).map(row).collect()
        }
    };
    let columns = match session.engine.assumptions().operation_columns {
        OperationColumns::WithMore => OPERATIONS.len(),
        OperationColumns::Documented => DOCUMENTED_COLUMNS,
    };
    let cut = |row: Vec<Value>| row.into_iter().take(columns).collect();
    Ok(result(&OPERATIONS[..columns], rows.into_iter().map(cut).collect()))
}

/// The newest entry of an operation.
fn latest(entries: &[Operation], id: Uuid) -> Option<&Operation> {
    entries.iter().rev().find(|entry| entry.id == id)
}

/// One's own operations; a database's admin sees all of the database.
fn visible(session: &Session<'_>) -> Vec<Operation> {
    let state = session.snapshot();
    let rights = session.rights(&state);
    let caller = session.context.principal.fqn();
    let administers = |name: &str| {
        state.find_database(name).is_some_and(|d| rights.on_database(d, DatabaseAction::Administer).is_ok())
    };
    let mut operations = session.engine.log.operations();
    operations.retain(|operation| operation.principal == caller || administers(&operation.database));
    operations
}

fn row(operation: &Operation) -> Vec<Value> {
    let principal = operation.principal.as_str();
    vec![
        Value::string(operation.id.to_string()),
        (*operation.kind).into(),
        "".into(),
        Value::DateTime(operation.started),
        Value::DateTime(operation.updated),
        Value::TimeSpan(operation.updated - operation.started),
        (*operation.state).into(),
        operation.status.as_str().into(),
        guid(operation.id),
        false.into(),
        operation.database.as_str().into(),
        principal.into(),
        principal.into(),
    ]
}

const FAILURES: [(&str, ColumnType); 16] = [
    ("OperationId", ColumnType::Guid),
    ("Database", ColumnType::String),
    ("Table", ColumnType::String),
    ("FailedOn", ColumnType::DateTime),
    ("IngestionSourcePath", ColumnType::String),
    ("Details", ColumnType::String),
    ("FailureKind", ColumnType::String),
    ("RootActivityId", ColumnType::Guid),
    ("OperationKind", ColumnType::String),
    ("OriginatesFromUpdatePolicy", ColumnType::Bool),
    ("ErrorCode", ColumnType::String),
    ("Principal", ColumnType::String),
    ("User", ColumnType::String),
    ("IngestionProperties", ColumnType::String),
    ("NumberOfSources", ColumnType::Long),
    ("ShouldRetry", ColumnType::Bool),
];

/// `.show ingestion failures [with (OperationId='<guid>')]`, of two weeks; `show ingestion` was taken.
pub(super) fn show_failures(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    if !tokens.eat_word("failures") {
        return Err(tokens.unexpected("'failures'").into());
    }
    let mut given = properties::parse(tokens)?;
    let wanted = given.remove("OperationId").and_then(|id| id.as_str().map(str::to_owned));
    properties::refuse_others(".show ingestion failures", given.keys())?;
    let state = session.snapshot();
    let rights = session.rights(&state);
    let caller = session.context.principal.fqn();
    let visible = |failure: &&FailedIngestion| {
        let database = state.find_database(&failure.database);
        failure.principal == caller
            || database.is_some_and(|d| rights.on_database(d, DatabaseAction::Administer).is_ok())
    };
    let now = session.engine.now();
    let recent = |failure: &&FailedIngestion| now.saturating_sub(failure.failed_on) < LISTED_FOR;
    let listed = |failure: &&FailedIngestion| {
        wanted.as_ref().is_none_or(|id| id.eq_ignore_ascii_case(&failure.operation_id.to_string()))
    };
    let failures = session.engine.log.failures();
    Ok(result(
        &FAILURES,
        failures.iter().filter(recent).filter(visible).filter(listed).map(failure_row).collect(),
    ))
}

fn failure_row(failed: &FailedIngestion) -> Vec<Value> {
    let principal = failed.principal.as_str();
    vec![
        guid(failed.operation_id),
        failed.database.as_str().into(),
        failed.table.as_str().into(),
        Value::DateTime(failed.failed_on),
        failed.source.as_str().into(),
        failed.message.as_str().into(),
        if failed.permanent { "Permanent" } else { "Transient" }.into(),
        guid(failed.activity_id),
        (*failed.operation_kind).into(),
        false.into(),
        (*failed.code).into(),
        principal.into(),
        principal.into(),
        failed.properties.as_str().into(),
        Value::Long(failed.sources as i64),
        (!failed.permanent).into(),
    ]
}
