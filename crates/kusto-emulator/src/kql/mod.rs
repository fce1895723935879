//! The query language: from text to tables.
//!
//! ```text
//!  text ─ lexer ─ parser ─► ast::Query ─ bind ─► plan: operators over typed expressions ─ run ─► batches ─► ResultTable
//!                                         ▲ schemas                                        ▲ columns of extents, shared
//!                                         └──────────────────── Catalog ───────────────────┘
//! ```
//!
//! What it promises:
//! 1. A query is checked as a whole before a row is read: names, types, numbers of arguments. What this subset does not know is an
//!    error in the service's terms, never a guess.
//! 2. Rows flow in batches through operators that pull; `sort`, `top`, `summarize`, `distinct`, `sample`, the right side of a
//!    `join`, and what looks at neighbouring rows hold them. `take` stops its
//!    source.
//! 3. Expressions are evaluated over whole columns; no allocation per row on comparisons, arithmetic, string predicates and grouping.
//! 4. Everything has a bound: depth and size of the text, rows and bytes of the answer, memory of an operator.
//!
//! Semantics: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/`.

mod accumulate;
mod aggregate;
mod arith;
mod ast;
mod batch;
mod bind;
mod bind_call;
mod builder;
mod call;
mod cast;
mod catalog;
mod collected;
mod compare;
mod error;
mod eval;
mod expr;
mod functions;
mod group;
mod join;
mod lexer;
mod list;
mod literal;
mod mv_apply;
mod mv_expand;
mod names;
mod operators;
mod parse;
mod parse_expr;
mod parse_join;
mod parse_op;
mod parser;
mod project;
mod relation;
mod run;
mod sample;
mod scopes;
mod sources;
mod strings;
mod summarize;
mod typed;
mod window;

pub(crate) use ast::{Expr, Function, Operator, Query, Source, Statement};
pub(crate) use catalog::{Catalog, ExtentBatch, Given, Options, TableSource};
pub(crate) use error::{ErrorKind, KqlError, TIMED_OUT};
pub(crate) use lexer::{Kind, Punct, Tokens};
pub(crate) use run::{Answer, apply, run, run_statement};

/// Parses a query.
///
/// # Errors
/// When the text is no query, or uses something that is not supported.
pub(crate) fn parse(text: &str) -> Result<Query, KqlError> {
    parser::Parser::new(Tokens::new(text)).query()
}

/// Parses a stored function: `(parameters)` and `{ body }`.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_function(parameters: &str, body: &str, view: bool) -> Result<Function, KqlError> {
    let text = format!("{parameters} {body}");
    let mut parser = parser::Parser::new(Tokens::new(&text));
    let function = parser.function(view)?;
    if parser.tokens.at_end() {
        Ok(function)
    } else {
        Err(parser.tokens.unexpected("the end of the function"))
    }
}

/// The words of a text, and what is quoted in it: whatever can be the name of something.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut tokens = Tokens::new(text);
    let mut words = Vec::new();
    loop {
        let token = tokens.next();
        match token.kind {
            Kind::End | Kind::Invalid(_) => return words,
            Kind::Word => words.push(tokens.text_of(&token).to_owned()),
            Kind::Text { text, .. } => words.push(text),
            _ => {}
        }
    }
}

/// Parses the operators behind a command: `| where .. | project ..`, up to the end of the text. Empty text has none.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_operators(text: &str) -> Result<Vec<Operator>, KqlError> {
    let mut parser = parser::Parser::new(Tokens::new(text));
    let operators = parser.operators()?;
    while parser.tokens.eat(Punct::Semicolon) {}
    if parser.tokens.at_end() {
        Ok(operators)
    } else {
        Err(parser.tokens.unexpected("'|' or the end of the command"))
    }
}

#[cfg(test)]
mod tests;
