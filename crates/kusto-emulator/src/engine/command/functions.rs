//! `.create[-or-alter] function`, `.alter function`, `.drop function(s)`, `.show function(s)`.
//!
//! Syntax, results and rights: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/create-function.md`,
//! `create-alter-function.md`, `alter-function.md`, `drop-function.md`, `show-function.md`.

use std::sync::Arc;

use super::super::catalog::{Database, Settings, State, StoredFunction};
use super::super::change::Change;
use super::super::error::{EngineError, EngineResult};
use super::super::names;
use super::super::query;
use super::super::roles::{DatabaseAction, Grant, Role};
use super::super::transaction::Decision;
use super::properties;
use super::{Session, end, result};
use crate::data::{ColumnType, ResultTable, Value};
use crate::kql::{self, Kind, Punct, Tokens};

const FUNCTIONS: [(&str, ColumnType); 5] = [
    ("Name", ColumnType::String),
    ("Parameters", ColumnType::String),
    ("Body", ColumnType::String),
    ("Folder", ColumnType::String),
    ("DocString", ColumnType::String),
];

/// What a command that writes a function does where it is there, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Create,
    CreateOrAlter,
    Alter,
}

/// `function [ifnotexists] [with (...)] F(parameters) { body }`.
pub(super) fn put(session: &Session<'_>, verb: Verb, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    tokens.next();
    let if_not_exists = verb == Verb::Create && tokens.eat_word("ifnotexists");
    let mut given = properties::parse(tokens)?;
    let mut flag = |name: &str| match given.contains_key(name) {
        true => properties::flag(&mut given, name),
        false => Ok(false),
    };
    let (view, unchecked) = (flag("view")?, flag("skipvalidation")?);
    let about = properties::TableProperties::take(session, &mut given)?;
    properties::refuse_others(".create function", given.keys())?;
    let name = tokens.expect_name("the name of a function")?;
    names::validate("Function", &name)?;
    let parameters = enclosed(tokens, Punct::Open, Punct::Close)?;
    let body = enclosed(tokens, Punct::OpenBrace, Punct::CloseBrace)?;
    end(tokens)?;
    let takes_none = kql::parse_function(&parameters, &body, view)?.parameters.is_empty();
    let wanted = StoredFunction {
        name,
        parameters,
        body,
        folder: about.folder.unwrap_or_default(),
        docstring: about.docstring.unwrap_or_default(),
        view,
        settings: Settings::default(),
    };
    session.transact(|state| {
        let database = session.context_database(state)?;
        let known = database.functions.get(&wanted.name);
        let settings = match known {
            Some(known) if if_not_exists => return Ok(Decision::nothing(shown([&**known]))),
            Some(_) if verb == Verb::Create => {
                return Err(EngineError::already_exists("Function", &wanted.name));
            }
            None if verb == Verb::Alter => return Err(EngineError::not_found("Function", &wanted.name)),
            Some(known) => {
                session.rights(state).on_entity(database, &known.grants, "Function", &known.name)?;
                known.settings.clone()
            }
            None => {
                session.rights(state).on_database(database, DatabaseAction::CreateTable)?;
                creators(session)
            }
        };
        let function = StoredFunction { settings, ..wanted.clone() };
        if takes_none && !unchecked {
            try_out(session, state, database, &function)?;
        }
        let answer = shown([&function]);
        let database = database.name.clone();
        Ok(Decision::new(vec![Change::PutFunction { database, function: Box::new(function) }], answer))
    })
}

/// Who creates something is its admin.
pub(super) fn creators(session: &Session<'_>) -> Settings {
    let principal = session.context.principal.clone();
    let admin = Grant { role: Role::Admin, principal, notes: String::new() };
    Settings { grants: vec![admin], ..Settings::default() }
}

/// The text from one bracket to the one that closes it, both included.
pub(super) fn enclosed(tokens: &mut Tokens<'_>, open: Punct, close: Punct) -> EngineResult<String> {
    let start = tokens.peek().start;
    tokens.expect(open)?;
    let mut depth = 1_usize;
    let text = tokens.whole();
    loop {
        let token = tokens.next();
        match token.kind {
            Kind::Punct(punct) if punct == open => depth += 1,
            Kind::Punct(punct) if punct == close => depth -= 1,
            Kind::End => return Err(EngineError::syntax("a bracket is not closed")),
            _ => {}
        }
        if depth == 0 {
            return Ok(text[start..token.end].to_owned());
        }
    }
}

/// Whether the function can be called.
fn try_out(
    session: &Session<'_>,
    state: &State,
    database: &Database,
    function: &StoredFunction,
) -> EngineResult<()> {
    let mut next = state.clone();
    let put = Change::PutFunction { database: database.name.clone(), function: Box::new(function.clone()) };
    next.apply(&put);
    let call = format!("{}()", names::quoted(&function.name));
    let rows = query::try_on(session, &next, &format!("{call} | take 0"));
    let scalar = || query::try_on(session, &next, &format!("print {call}"));
    rows.or_else(|refused| scalar().map_err(|_| refused)).map(|_| ())
}

/// `.drop function F [ifexists]`, `.drop functions (F, G) [ifexists]`.
pub(super) fn drop(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let several = tokens.eat_word("functions") || !tokens.eat_word("function");
    let wanted = super::names(tokens, "the name of a function")?;
    let if_exists = tokens.eat_word("ifexists");
    end(tokens)?;
    session.transact(|state| {
        let database = session.context_database(state)?;
        let mut changes = Vec::new();
        for name in &wanted {
            match database.functions.get(name) {
                None if if_exists => {}
                None => return Err(EngineError::not_found("Function", name)),
                Some(function) => {
                    session.rights(state).on_entity(database, &function.grants, "Function", name)?;
                    changes.push(Change::DropFunction {
                        database: database.name.clone(),
                        function: name.clone(),
                    });
                }
            }
        }
        let left = database.functions.values().filter(|function| !wanted.contains(&function.name));
        let answer = match several {
            true => shown(left.map(|function| &**function)),
            false => {
                result(&FUNCTIONS[..1], wanted.iter().map(|name| vec![Value::from(name.as_str())]).collect())
            }
        };
        Ok(Decision::new(changes, answer))
    })
}

/// `.show functions`, `.show function F`.
pub(super) fn show(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let all = tokens.eat_word("functions") || !tokens.eat_word("function");
    let name = if all { None } else { Some(tokens.expect_name("the name of a function")?) };
    let state = session.snapshot();
    let database = session.context_database(&state)?;
    session.rights(&state).on_database(database, DatabaseAction::Show)?;
    let Some(name) = name else {
        return Ok(shown(database.functions.values().map(Arc::as_ref)));
    };
    let function = database.functions.get(&name).ok_or_else(|| EngineError::not_found("Function", &name))?;
    Ok(shown([&**function]))
}

fn shown<'f>(functions: impl IntoIterator<Item = &'f StoredFunction>) -> ResultTable {
    let row = |function: &StoredFunction| {
        let StoredFunction { name, parameters, body, folder, docstring, .. } = function;
        [name, parameters, body, folder, docstring].map(|text| Value::from(text.as_str())).to_vec()
    };
    result(&FUNCTIONS, functions.into_iter().map(row).collect())
}
