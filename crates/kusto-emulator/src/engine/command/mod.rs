//! Control commands: the text behind the dot, one file per family.
//!
//! Every family parses its command to the end before it changes anything, then asks for the caller's right on the very
//! state that it changes. Operators behind a `.show` are run over its result by the query engine. A command that is not
//! known, or goes on in a way that is not known, is the service's syntax error.
//!
//! Syntax and results: the command pages under `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/`.

pub(super) mod databases;
mod drop_extents;
mod encoding;
mod entity;
mod extent_tags;
mod extents;
mod filters;
mod functions;
mod ingest;
mod mappings;
mod operations;
mod policies;
pub(super) mod principals;
mod properties;
mod rename;
mod replace;
mod schema;
mod show;
mod tables;
mod views;

use std::sync::Arc;

use super::catalog::{Database, State, Table};
use super::error::{EngineError, EngineResult};
use super::pending::Begun;
use super::roles::Rights;
use super::transaction::Decision;
use super::{Engine, RequestContext, RequestProperties};
use crate::assumptions::{ResolvedNames, RightsOfWaiting, Undocumented, WeakReads};
use crate::data::{ColumnType, ResultTable, Schema, Value};
use crate::holds::HoldPoint;
use crate::kql::{Punct, Tokens};

/// The name of a command's only result table.
const RESULT_NAME: &str = "Table_0";

/// What a command runs with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) context: &'a RequestContext,
    /// The database in context.
    pub(crate) database: &'a str,
    /// The command or query as it came.
    pub(crate) text: &'a str,
    pub(crate) properties: &'a RequestProperties,
    /// Where the names of a request that waited were resolved; otherwise the state that it takes effect on.
    pub(crate) resolved: Option<&'a State>,
    /// The operation that an `async` command is by now.
    pub(crate) operation: Option<Begun>,
}

/// See [`Engine::execute`].
pub(super) fn execute(
    engine: &Engine,
    context: &RequestContext,
    database: &str,
    text: &str,
    properties: &RequestProperties,
) -> EngineResult<ResultTable> {
    let RequestContext { client_request_id, principal, .. } = context;
    tracing::debug!(client_request_id, %principal, database, "command");
    let resolved = context.mischief.hold.is_some().then(|| engine.snapshot());
    context.mischief.reach(HoldPoint::Resolved)?;
    let resolved = resolved.as_deref();
    Session { engine, context, database, text, properties, resolved, operation: None }.run(text)
}

/// See [`Engine::run_operation`].
pub(super) fn resume(session: &Session<'_>) -> EngineResult<ResultTable> {
    session.run(session.text)
}

impl<'a> Session<'a> {
    /// Runs the command in `text`.
    pub(crate) fn run(&self, text: &str) -> EngineResult<ResultTable> {
        let mut tokens = Tokens::new(text);
        tokens.expect(Punct::Dot)?;
        let Some((verb, length)) = tokens.hyphenated() else {
            return Err(tokens.unexpected("a command such as .show tables").into());
        };
        (0..length).for_each(|_| drop(tokens.next()));
        match verb {
            _ if let Some(why) = not_modelled(verb, &mut tokens) => Err(why),
            "show" => show::run(self, &mut tokens),
            "create" | "create-or-alter" | "create-merge" => self.create(verb, &mut tokens),
            "alter" | "alter-merge" | "delete" => self.alter(verb, &mut tokens),
            "drop" => self.drop(&mut tokens),
            "drop-pretend" if matches!(tokens.word(), Some("extents")) => {
                drop_extents::run(self, true, &mut tokens)
            }
            "rename" => rename::run(self, &mut tokens),
            "clear" => tables::clear(self, &mut tokens),
            "move" => extents::move_extents(self, &mut tokens),
            "replace" => replace::run(self, &mut tokens),
            "add" => principals::change(self, principals::Action::Add, &mut tokens),
            "set" if principals::is_role_command(&mut tokens) => {
                principals::change(self, principals::Action::Set, &mut tokens)
            }
            "set" | "append" | "set-or-append" | "set-or-replace" => {
                ingest::from_query(self, verb, &mut tokens)
            }
            "ingest" => ingest::run(self, &mut tokens),
            _ => Err(unknown(&format!(".{verb}"))),
        }
    }

    fn create(&self, verb: &str, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
        match (verb, tokens.word()) {
            ("create", _) if views::follows(tokens) => views::create(self, tokens),
            ("create", Some("function")) => functions::put(self, functions::Verb::Create, tokens),
            ("create-or-alter", Some("function")) => {
                functions::put(self, functions::Verb::CreateOrAlter, tokens)
            }
            ("create" | "create-or-alter", Some("table" | "database")) if mappings::follows(tokens) => {
                mappings::create(self, verb == "create-or-alter", tokens)
            }
            ("create" | "create-merge", Some("table" | "tables")) => {
                tables::create(self, verb == "create-merge", tokens)
            }
            _ => {
                let wanted = format!("'table', 'function' or 'materialized-view' behind .{verb}");
                Err(tokens.unexpected(&wanted).into())
            }
        }
    }

    fn alter(&self, verb: &str, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
        match (verb, entity::word_behind(tokens)) {
            ("alter" | "alter-merge", _) if extent_tags::follows(tokens) => {
                extent_tags::alter(self, verb == "alter-merge", tokens)
            }
            _ if tokens.word() == Some("column") => encoding::alter(self, verb, tokens),
            _ if policies::follows(tokens) => policies::change(self, verb, tokens),
            ("alter", _) if tokens.word() == Some("function") => {
                functions::put(self, functions::Verb::Alter, tokens)
            }
            ("alter", Some("docstring" | "folder")) => tables::describe(self, tokens),
            ("alter" | "alter-merge", _) if tokens.word() == Some("table") => {
                tables::alter(self, verb == "alter-merge", tokens)
            }
            _ => Err(tokens.unexpected(&format!("a table or a policy behind .{verb}")).into()),
        }
    }

    fn drop(&self, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
        match tokens.word() {
            _ if extent_tags::follows(tokens) => extent_tags::drop(self, tokens),
            Some("extents" | "extent") => drop_extents::run(self, false, tokens),
            _ if principals::is_role_command(tokens) => {
                principals::change(self, principals::Action::Drop, tokens)
            }
            Some("table" | "database") if mappings::follows(tokens) => mappings::drop(self, tokens),
            Some("table" | "tables") => tables::drop(self, tokens),
            Some("function" | "functions") => functions::drop(self, tokens),
            Some("materialized") => views::drop(self, tokens),
            _ => Err(tokens.unexpected("a table, extents, a function or a view behind .drop").into()),
        }
    }

    /// The caller's rights on a state.
    pub(crate) fn rights<'s>(&'s self, state: &'s State) -> Rights<'s> {
        let arrives = self.engine.assumptions().rights == RightsOfWaiting::WhenItArrives;
        let arrival = self.resolved.filter(|_| arrives);
        Rights { access: self.engine.access, state, caller: &self.context.principal, arrival }
    }

    /// The database in context.
    pub(crate) fn context_database<'s>(&self, state: &'s State) -> EngineResult<&'s Arc<Database>> {
        state.database(self.database)
    }

    /// A table of the database in context.
    pub(crate) fn table<'s>(
        &self,
        state: &'s State,
        name: &str,
    ) -> EngineResult<(&'s Arc<Database>, &'s Arc<Table>)> {
        let database = self.context_database(state)?;
        Ok((database, self.table_of(database, name)?))
    }

    /// # Errors
    /// 400 `BadRequest_EntityNotFound`.
    pub(crate) fn table_of<'s>(&self, database: &'s Database, name: &str) -> EngineResult<&'s Arc<Table>> {
        self.find_table(database, name).ok_or_else(|| EngineError::not_found("Table", name))
    }

    /// What a name means to this request.
    pub(crate) fn find_table<'s>(&self, database: &'s Database, name: &str) -> Option<&'s Arc<Table>> {
        let assumptions = self.engine.assumptions();
        let Some(resolved) = self.resolved else {
            let formerly = || self.engine.formerly(database, name);
            return database.tables.get(name).or_else(formerly);
        };
        let known = resolved.find_database(&database.name)?;
        let known = known.tables.get(name).or_else(|| self.engine.formerly(known, name))?;
        match assumptions.resolved_names {
            ResolvedNames::FollowTheTable => database.table_by_id(known.id),
            ResolvedNames::CheckedAgain => database.tables.get(name).filter(|table| table.id == known.id),
        }
    }

    /// What queries and `.show` read: the present state, unless a rule or an assumption makes it an older one.
    pub(crate) fn snapshot(&self) -> Arc<State> {
        match self.context.mischief.stale {
            0 if self.reads_weakly() => self.engine.readable(),
            0 => self.engine.snapshot(),
            behind => self.engine.history.behind(behind).unwrap_or_else(|| self.engine.snapshot()),
        }
    }

    /// Whether reads may be as old as is assumed.
    fn reads_weakly(&self) -> bool {
        let asked = || {
            let consistency =
                self.properties.options.get("queryconsistency").and_then(|value| value.as_str());
            consistency.is_some_and(|value| value.to_ascii_lowercase().starts_with("weakconsistency"))
        };
        self.engine.assumptions().weak_reads == WeakReads::Forced || asked()
    }

    /// Refuses what only connectors' code tells of, if that is assumed not to be understood.
    pub(crate) fn needs_undocumented(&self, what: &str) -> EngineResult<()> {
        match self.engine.assumptions().undocumented {
            Undocumented::Known => Ok(()),
            Undocumented::Refused => Err(unknown(what)),
        }
    }

    /// [`Engine::transact`], after whatever was ordered for this moment.
    pub(crate) fn transact<T, E: From<EngineError>>(
        &self,
        decide: impl FnOnce(&State) -> Result<Decision<T>, E>,
    ) -> Result<T, E> {
        let mischief = &self.context.mischief;
        mischief.reach(HoldPoint::Commit).map_err(EngineError::from)?;
        if mischief.merge {
            self.engine.merge(Some(self.database), None)?;
        }
        self.engine.transact(decide)
    }
}

/// What the service has and the local cluster does not, by the words that it starts with, and what to do about it.
const NOT_MODELLED: [(&str, &str, &str); 14] = [
    ("undo", "drop", "a dropped table is gone at once; keep a copy with .set before you drop it"),
    ("create-or-alter", "materialized-view", "drop the view and create it"),
    ("alter", "materialized-view", "drop the view and create it"),
    ("clear", "materialized-view", "drop the view and create it"),
    ("create", "external", "there are no external tables"),
    ("execute", "database", "there are no scripts; send the commands one by one"),
    ("execute", "cluster", "there are no scripts; send the commands one by one"),
    ("export", "", "nothing can be exported"),
    ("purge", "", "single records cannot be removed; drop extents or clear the table"),
    ("delete", "table", "single records cannot be removed; drop extents or clear the table"),
    ("attach", "", "databases are made when the cluster is started"),
    ("detach", "", "databases are made when the cluster is started"),
    ("ingest-from-storage-queued", "", "post a message to the ingestion queue instead"),
    ("cancel", "", "operations and queries run to their end"),
];

/// The refusal of a command that the service has and the local cluster does not.
fn not_modelled(verb: &str, tokens: &mut Tokens<'_>) -> Option<EngineError> {
    let next = tokens.word().unwrap_or_default();
    if verb == "delete" && tokens.word_nth(2) != Some("records") {
        return None;
    }
    let row = NOT_MODELLED.iter().find(|(first, second, _)| {
        *first == verb && (second.is_empty() || next.split('-').next() == second.split('-').next())
    });
    let (first, second, instead) = row?;
    let text = format!(".{first} {second}");
    Some(EngineError::syntax(format!(
        "'{}' is not modelled by the local cluster: {instead}",
        text.trim_end()
    )))
}

/// The error of a command that nobody knows.
fn unknown(command: &str) -> EngineError {
    EngineError::syntax(format!("'{command}' is not recognized as a command by the local cluster"))
}

/// Refuses what stands behind a whole command.
fn end(tokens: &mut Tokens<'_>) -> EngineResult<()> {
    tokens.eat(Punct::Semicolon);
    if tokens.at_end() { Ok(()) } else { Err(tokens.unexpected("the end of the command").into()) }
}

/// A result from rows of values.
fn result(columns: &[(&str, ColumnType)], rows: Vec<Vec<Value>>) -> ResultTable {
    ResultTable::from_rows(RESULT_NAME, Schema::of(columns), rows)
}

/// Takes `(a, b, ...)` or one name.
fn names(tokens: &mut Tokens<'_>, what: &str) -> EngineResult<Vec<String>> {
    if !tokens.eat(Punct::Open) {
        return Ok(vec![tokens.expect_name(what)?]);
    }
    let mut names = vec![tokens.expect_name(what)?];
    while tokens.eat(Punct::Comma) {
        names.push(tokens.expect_name(what)?);
    }
    tokens.expect(Punct::Close)?;
    Ok(names)
}
