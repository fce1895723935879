//! Queries: statements, sources, and the pipe between operators.
//!
//! `query := (statement ';')* tabular`, `tabular := source ('|' operator)*`. What stands on the right of `let`, in brackets or
//! behind `in` may be scalar or tabular; both are read as an expression, and a name or bracket followed by `|` turns tabular
//! there, so that nothing is read twice.

use super::ast::{
    Expr, Function, Let, Operator, Parameter, Pipeline, Query, Source, Statement, TakesIn, Union,
};
use super::error::KqlError;
use super::lexer::{Kind, Punct, Tokens};
use super::scopes;
use crate::data::{Column, ColumnType, Schema, Value};

/// Expressions nested deeper than this are refused: what follows walks them recursively.
const MAX_DEPTH: usize = 60;
/// Operators of one pipeline at most.
const MAX_OPERATORS: usize = 100;
/// Statements, list items and arguments at most, in total.
const MAX_NODES: usize = 200_000;

/// A parser at some place of a text.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    pub(super) tokens: Tokens<'a>,
    depth: usize,
    nodes: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(tokens: Tokens<'a>) -> Parser<'a> {
        Parser { tokens, depth: 0, nodes: 0 }
    }

    /// Runs `parse` one level deeper; refuses to go too deep.
    pub(super) fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, KqlError>,
    ) -> Result<T, KqlError> {
        self.depth += 1;
        let parsed = if self.depth > MAX_DEPTH { Err(self.too_complex()) } else { parse(self) };
        self.depth -= 1;
        parsed
    }

    /// Counts one more part of the query.
    pub(super) fn count(&mut self) -> Result<(), KqlError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES { Err(self.too_complex()) } else { Ok(()) }
    }

    pub(super) fn too_complex(&self) -> KqlError {
        KqlError::syntax(
            "The query is too complex: it is nested too deeply or has too many parts",
            self.tokens.position(),
        )
    }

    /// A whole query up to the end of the text.
    pub(super) fn query(&mut self) -> Result<Query, KqlError> {
        let (mut parameters, mut statements, mut options) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            while self.tokens.eat(Punct::Semicolon) {}
            let answers = statements.iter().any(|statement| matches!(statement, Statement::Rows(_)));
            if answers && self.tokens.at_end() {
                return Ok(Query { parameters, options, statements });
            }
            self.count()?;
            match self.tokens.word() {
                Some("let") if !self.is_source_named("let") => {
                    let (name, value) = self.let_statement()?;
                    statements.push(Statement::Let(name, value));
                }
                Some("set") if self.tokens.word_nth(1).is_some() => options.push(self.set_statement()?),
                Some("declare") if self.tokens.word_nth(1) == Some("query_parameters") => {
                    self.declare(&mut parameters)?
                }
                Some(word @ ("alias" | "restrict")) if self.tokens.word_nth(1).is_some() => {
                    return Err(KqlError::unsupported(format_args!("the statement '{word}'")));
                }
                _ => {
                    statements.push(Statement::Rows(self.pipeline()?));
                    if !self.tokens.at_end() && !self.tokens.is(Punct::Semicolon) {
                        return Err(self.tokens.unexpected("'|', ';' or the end of the query"));
                    }
                    continue;
                }
            }
            if !self.tokens.is(Punct::Semicolon) {
                return Err(self.tokens.unexpected("';'"));
            }
        }
    }

    /// Whether the word that comes next is used as a table's name rather than as a keyword.
    fn is_source_named(&mut self, _word: &str) -> bool {
        matches!(self.tokens.peek_nth(1).kind, Kind::Punct(Punct::Pipe) | Kind::End)
    }

    fn let_statement(&mut self) -> Result<(String, Let), KqlError> {
        self.tokens.next();
        let name = self.tokens.expect_name("the name of a variable")?;
        self.tokens.expect(Punct::Assign)?;
        let view =
            self.tokens.word() == Some("view") && self.tokens.peek_nth(1).kind == Kind::Punct(Punct::Open);
        let is_function = view
            || self.tokens.is(Punct::Open)
                && (self.tokens.peek_nth(1).kind == Kind::Punct(Punct::Close)
                    || self.tokens.peek_nth(2).kind == Kind::Punct(Punct::Colon));
        if !is_function {
            return Ok((name, Let::Value(self.expression()?)));
        }
        if view {
            self.tokens.next();
        }
        Ok((name, Let::Function(self.nested(|p| p.function(view))?)))
    }

    /// `(parameters) { declarations; result }`
    pub(super) fn function(&mut self, view: bool) -> Result<Function, KqlError> {
        self.tokens.expect(Punct::Open)?;
        let mut parameters = Vec::new();
        while !self.tokens.eat(Punct::Close) {
            parameters.push(self.takes_in()?);
            self.separator(Punct::Close)?;
        }
        self.tokens.expect(Punct::OpenBrace)?;
        let mut lets = Vec::new();
        while self.tokens.word() == Some("let") && self.tokens.word_nth(1).is_some() {
            self.count()?;
            lets.push(self.let_statement()?);
            self.tokens.expect(Punct::Semicolon)?;
        }
        let body = self.expression()?;
        while self.tokens.eat(Punct::Semicolon) {}
        self.tokens.expect(Punct::CloseBrace)?;
        Ok(Function { view, parameters, lets, body })
    }

    fn takes_in(&mut self) -> Result<TakesIn, KqlError> {
        let name = self.tokens.expect_name("the name of a parameter")?;
        self.tokens.expect(Punct::Colon)?;
        if !self.tokens.eat(Punct::Open) {
            let ty = self.type_name()?;
            let default = if self.tokens.eat(Punct::Assign) { Some(self.constant()?.0) } else { None };
            return Ok(TakesIn::Scalar(Parameter { name, ty, default }));
        }
        let mut columns = Vec::new();
        if self.tokens.eat(Punct::Star) {
            self.tokens.expect(Punct::Close)?;
            return Ok(TakesIn::Table(name, Schema::default()));
        }
        while !self.tokens.eat(Punct::Close) {
            columns.push(self.column_declaration()?);
            self.separator(Punct::Close)?;
        }
        Ok(TakesIn::Table(name, Schema::new(columns)))
    }

    fn set_statement(&mut self) -> Result<(String, Value), KqlError> {
        self.tokens.next();
        let name = self.tokens.expect_name("the name of an option")?;
        let value = if self.tokens.eat(Punct::Assign) { self.literal_or_word()? } else { Value::Bool(true) };
        Ok((name, value))
    }

    fn literal_or_word(&mut self) -> Result<Value, KqlError> {
        match self.tokens.word() {
            Some(word) if !matches!(word, "true" | "false") => {
                let value = Value::from(word);
                self.tokens.next();
                Ok(value)
            }
            _ => Ok(self.constant()?.0),
        }
    }

    fn declare(&mut self, parameters: &mut Vec<Parameter>) -> Result<(), KqlError> {
        self.tokens.next();
        self.tokens.next();
        self.tokens.expect(Punct::Open)?;
        while !self.tokens.eat(Punct::Close) {
            let Column { name, ty } = self.column_declaration()?;
            let default = if self.tokens.eat(Punct::Assign) { Some(self.constant()?.0) } else { None };
            parameters.push(Parameter { name, ty, default });
            self.separator(Punct::Close)?;
        }
        Ok(())
    }

    /// A comma, or the bracket that ends the list (left to be taken).
    pub(super) fn separator(&mut self, end: Punct) -> Result<(), KqlError> {
        self.count()?;
        if self.tokens.is(end) { Ok(()) } else { self.tokens.expect(Punct::Comma) }
    }

    /// `name:type`
    fn column_declaration(&mut self) -> Result<Column, KqlError> {
        let name = self.tokens.expect_name("a column's name")?;
        self.tokens.expect(Punct::Colon)?;
        Ok(Column::new(name, self.type_name()?))
    }

    /// A type's name.
    pub(super) fn type_name(&mut self) -> Result<ColumnType, KqlError> {
        let ty = self.tokens.word().and_then(ColumnType::parse);
        let ty = ty.ok_or_else(|| self.tokens.unexpected("the name of a type"))?;
        self.tokens.next();
        Ok(ty)
    }

    /// A source and its operators.
    pub(super) fn pipeline(&mut self) -> Result<Pipeline, KqlError> {
        self.nested(|p| {
            let source = p.source()?;
            let operators = p.operators()?;
            Ok(match source {
                Source::Nested(inner) if operators.is_empty() => *inner,
                source => Pipeline { source, operators },
            })
        })
    }

    /// `| operator | operator`
    pub(super) fn operators(&mut self) -> Result<Vec<Operator>, KqlError> {
        let mut operators = Vec::new();
        while self.tokens.eat(Punct::Pipe) {
            self.count()?;
            operators.push(self.operator()?);
            if operators.len() > MAX_OPERATORS {
                return Err(self.too_complex());
            }
        }
        Ok(operators)
    }

    fn source(&mut self) -> Result<Source, KqlError> {
        if let Some(source) = self.keyword_source()? {
            return Ok(source);
        }
        if self.tokens.eat(Punct::Open) {
            let inner = self.pipeline()?;
            self.tokens.expect(Punct::Close)?;
            return Ok(Source::Nested(Box::new(inner)));
        }
        let next = self.tokens.peek_nth(1).kind.clone();
        if self.tokens.word().is_none() || !matches!(next, Kind::Punct(Punct::Open)) {
            return Ok(Source::Name(self.tokens.expect_name("a table or a tabular operator")?));
        }
        let expr = self.access()?;
        self.source_of(expr)
    }

    /// What gives rows, from an expression that was read as a scalar.
    fn source_of(&mut self, expr: Expr) -> Result<Source, KqlError> {
        let refused = |name: &str| {
            matches!(name, "externaldata" | "external_table")
                .then(|| KqlError::unsupported(format_args!("'{name}(..)' as a source of rows")))
        };
        if let Expr::Call(name, _) = innermost(&expr)
            && let Some(error) = refused(name)
        {
            return Err(error);
        }
        match scopes::as_pipeline(&expr) {
            Some(Pipeline { source, operators }) if operators.is_empty() => Ok(source),
            Some(pipeline) => Ok(Source::Nested(Box::new(pipeline))),
            None => Err(self.tokens.unexpected("a tabular expression before this")),
        }
    }

    /// The sources that begin with a keyword; none when the next word is no such keyword here.
    pub(super) fn keyword_source(&mut self) -> Result<Option<Source>, KqlError> {
        let Some(word) = self.tokens.word() else { return Ok(None) };
        let second = self.tokens.peek_nth(1).kind.clone();
        let starts_operand = !matches!(
            second,
            Kind::End
                | Kind::Punct(Punct::Pipe | Punct::Semicolon | Punct::Close | Punct::Comma | Punct::Assign)
        );
        Ok(Some(match word {
            "datatable" if second == Kind::Punct(Punct::Open) => self.datatable()?,
            "print" if starts_operand => {
                self.tokens.next();
                Source::Print(self.named_list()?)
            }
            "range" if second == Kind::Word && self.tokens.word_nth(2) == Some("from") => self.range()?,
            "union" if starts_operand => {
                self.tokens.next();
                Source::Union(self.union()?)
            }
            "find" | "search" | "externaldata" | "evaluate"
                if matches!(second, Kind::Word | Kind::Text { .. }) =>
            {
                return Err(KqlError::unsupported(format_args!("the operator '{word}'")));
            }
            _ => return Ok(None),
        }))
    }

    fn datatable(&mut self) -> Result<Source, KqlError> {
        self.tokens.next();
        self.tokens.expect(Punct::Open)?;
        let mut columns = Vec::new();
        while !self.tokens.eat(Punct::Close) {
            columns.push(self.column_declaration()?);
            self.separator(Punct::Close)?;
        }
        self.tokens.expect(Punct::OpenBracket)?;
        let mut values = Vec::new();
        while !self.tokens.eat(Punct::CloseBracket) {
            values.push(self.scalar()?);
            self.separator(Punct::CloseBracket)?;
        }
        Ok(Source::Datatable(Schema::new(columns), values))
    }

    fn range(&mut self) -> Result<Source, KqlError> {
        self.tokens.next();
        let name = self.tokens.expect_name("a column's name")?;
        let mut bound = |word: &str| {
            if self.tokens.eat_word(word) {
                self.scalar()
            } else {
                Err(self.tokens.unexpected(&format!("'{word}'")))
            }
        };
        Ok(Source::Range(name, Box::new([bound("from")?, bound("to")?, bound("step")?])))
    }

    /// What follows the word `union`.
    pub(super) fn union(&mut self) -> Result<Union, KqlError> {
        let mut union = Union { inner: false, source_column: None, fuzzy: false, tables: Vec::new() };
        loop {
            self.hints()?;
            let assigned = self.is_option();
            match self.tokens.word() {
                Some("kind") if assigned => union.inner = self.option_word()? == "inner",
                Some("withsource" | "with_source") if assigned => {
                    union.source_column = Some(self.option_word()?)
                }
                Some("isfuzzy") if assigned => union.fuzzy = self.option_word()? == "true",
                _ => break,
            }
        }
        loop {
            self.count()?;
            union.tables.push(self.union_table()?);
            if !self.tokens.eat(Punct::Comma) {
                return Ok(union);
            }
        }
    }

    pub(super) fn option_word(&mut self) -> Result<String, KqlError> {
        self.tokens.next();
        self.tokens.expect(Punct::Assign)?;
        self.tokens.expect_name("a value")
    }

    pub(super) fn union_table(&mut self) -> Result<Pipeline, KqlError> {
        if self.tokens.eat(Punct::Open) {
            let table = self.pipeline()?;
            self.tokens.expect(Punct::Close)?;
            return Ok(table);
        }
        let starts_wildcard = self.tokens.is(Punct::Star)
            || self.tokens.word().is_some() && {
                let end = self.tokens.peek().end;
                let next = self.tokens.peek_nth(1);
                next.kind == Kind::Punct(Punct::Star) && next.start == end
            };
        let source = if starts_wildcard { Source::Wildcard(self.pattern()?) } else { self.source()? };
        Ok(Pipeline { source, operators: Vec::new() })
    }

    /// An expression that may be tabular too, as in `let x = T | where ..`.
    pub(super) fn expression(&mut self) -> Result<Expr, KqlError> {
        if let Some(source) = self.keyword_source()? {
            let operators = self.operators()?;
            return Ok(Expr::Table(Box::new(Pipeline { source, operators })));
        }
        let expr = self.scalar()?;
        if !self.tokens.is(Punct::Pipe) {
            return Ok(expr);
        }
        let source = self.source_of(expr)?;
        let operators = self.operators()?;
        Ok(Expr::Table(Box::new(Pipeline { source, operators })))
    }
}

/// What an expression of members starts with.
fn innermost(expr: &Expr) -> &Expr {
    match expr {
        Expr::Member(inner, _) | Expr::Index(inner, _) => innermost(inner),
        other => other,
    }
}
