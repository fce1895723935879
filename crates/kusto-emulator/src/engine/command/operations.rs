//! Commands that run `async`, `.show operations`, `.show operation <id> details`, `.show ingestion failures`.

use uuid::Uuid;

use super::super::error::{EngineError, EngineResult};
use super::super::log::{FailedIngestion, Operation};
use super::super::roles::DatabaseAction;
use super::{Session, filters, properties, result};
use crate::data::{ColumnType, ResultTable, Value};
use crate::kql::{Punct, Tokens};

/// Runs a command as an operation. `asynchronous`: the answer is the operation's id, and its rows or its error are found
/// under it; the work is done by then.
pub(super) fn run(
    session: &Session<'_>,
    kind: &'static str,
    asynchronous: bool,
    work: impl FnOnce() -> EngineResult<ResultTable>,
) -> EngineResult<ResultTable> {
    let (id, started) = (session.engine.new_id(), session.engine.now());
    let outcome = work();
    let (state, status) = match &outcome {
        Ok(_) => ("Completed", String::new()),
        Err(error) if error.permanent => ("BadInput", error.detail.clone()),
        Err(error) => ("Failed", error.detail.clone()),
    };
    session.engine.log.operation(Operation {
        id,
        kind: kind.into(),
        database: session.database.to_owned(),
        principal: session.context.principal.fqn(),
        started,
        ended: session.engine.now(),
        state: state.into(),
        status,
        details: outcome.as_ref().ok().filter(|_| asynchronous).cloned(),
    });
    if asynchronous {
        return Ok(result(&[("OperationId", ColumnType::Guid)], vec![vec![guid(id)]]));
    }
    outcome
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

/// `.show operations [<id> | (<id>, ...)]` and `.show operation <id> details`; `show` was taken.
pub(super) fn show(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    tokens.next();
    let ids = if tokens.is(Punct::Open) {
        Some(filters::ids(tokens)?)
    } else if tokens.at_end() || tokens.is(Punct::Pipe) {
        None
    } else {
        Some(vec![filters::id(tokens)?])
    };
    let visible = visible(session);
    if let Some([id]) = ids.as_deref()
        && tokens.eat_word("details")
    {
        let found = visible.into_iter().find(|operation| operation.id == *id);
        let details = found.and_then(|operation| operation.details);
        return details.ok_or_else(|| EngineError::not_found("OperationDetails", &id.to_string()));
    }
    let listed = |operation: &&Operation| ids.as_ref().is_none_or(|ids| ids.contains(&operation.id));
    Ok(result(&OPERATIONS, visible.iter().filter(listed).map(row).collect()))
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
        Value::DateTime(operation.ended),
        Value::TimeSpan(operation.ended - operation.started),
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

/// `.show ingestion failures [with (OperationId='<guid>')]`; `show ingestion` was taken.
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
    let listed = |failure: &&FailedIngestion| {
        wanted.as_ref().is_none_or(|id| id.eq_ignore_ascii_case(&failure.operation_id.to_string()))
    };
    let failures = session.engine.log.failures();
    Ok(result(&FAILURES, failures.iter().filter(visible).filter(listed).map(failure_row).collect()))
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
