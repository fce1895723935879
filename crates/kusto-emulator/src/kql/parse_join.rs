//! `join`, `lookup` and `parse`: operators with a syntax of their own.

use super::ast::{BinaryOp, Expr, Join, JoinKind, Operator, Parse, ParseKind, ParsePart};
use super::error::KqlError;
use super::lexer::Punct;
use super::parser::Parser;
use crate::data::ColumnType;

fn join_kind(word: &str) -> Option<JoinKind> {
    Some(match word {
        "innerunique" => JoinKind::InnerUnique,
        "inner" => JoinKind::Inner,
        "leftouter" => JoinKind::LeftOuter,
        "rightouter" => JoinKind::RightOuter,
        "fullouter" => JoinKind::FullOuter,
        "leftsemi" => JoinKind::LeftSemi,
        "anti" | "leftanti" | "leftantisemi" => JoinKind::LeftAnti,
        "rightsemi" => JoinKind::RightSemi,
        "rightanti" | "rightantisemi" => JoinKind::RightAnti,
        _ => return None,
    })
}

impl Parser<'_> {
    /// What follows `join` or `lookup`.
    pub(super) fn join(&mut self, lookup: bool) -> Result<Operator, KqlError> {
        let mut kind = if lookup { JoinKind::LeftOuter } else { JoinKind::InnerUnique };
        self.hints()?;
        if self.tokens.word() == Some("kind") && self.is_option() {
            let word = self.option_word()?;
            let known = join_kind(&word)
                .filter(|kind| !lookup || matches!(kind, JoinKind::LeftOuter | JoinKind::Inner));
            kind = known.ok_or_else(|| {
                KqlError::semantic("SEM0501", format!("the kind of join '{word}' is not known here"))
            })?;
        }
        self.hints()?;
        let right = self.nested(Self::union_table)?;
        if !self.tokens.eat_word("on") {
            return Err(self.tokens.unexpected("'on'"));
        }
        let mut on = Vec::new();
        loop {
            self.count()?;
            let condition = self.scalar()?;
            self.conditions(condition, &mut on)?;
            if !self.tokens.eat(Punct::Comma) {
                return Ok(Operator::Join(Box::new(Join { kind, lookup, right, on })));
            }
        }
    }

    /// `a`, `$left.a == $right.b`, and several of them joined by `and`.
    fn conditions(&mut self, condition: Expr, on: &mut Vec<(String, String)>) -> Result<(), KqlError> {
        match condition {
            Expr::Name(name) => on.push((name.clone(), name)),
            Expr::And(parts) => {
                for part in parts {
                    self.conditions(part, on)?;
                }
            }
            Expr::Binary(BinaryOp::Equal, a, b) => match (side(&a), side(&b)) {
                (Some(("$left", left)), Some(("$right", right)))
                | (Some(("$right", right)), Some(("$left", left))) => {
                    on.push((left.to_owned(), right.to_owned()));
                }
                _ => return Err(not_a_key()),
            },
            _ => return Err(not_a_key()),
        }
        Ok(())
    }

    /// What follows `parse` or `parse-where`: `[kind=simple] text with * "a" b:type ..`.
    pub(super) fn parse(&mut self, only_fitting: bool) -> Result<Operator, KqlError> {
        let kind = self.parse_kind()?;
        let text = self.scalar()?;
        if !self.tokens.eat_word("with") {
            return Err(self.tokens.unexpected("'with'"));
        }
        let mut parts = Vec::new();
        loop {
            self.count()?;
            if let Some(text) = self.tokens.eat_text() {
                parts.push(ParsePart::Text(text));
            } else if self.tokens.eat(Punct::Star) {
                parts.push(ParsePart::Skip);
            } else if let Some(name) = self.tokens.eat_name() {
                let typed = self.tokens.eat(Punct::Colon);
                let ty = if typed { self.type_name()? } else { ColumnType::String };
                parts.push(ParsePart::Column(name, ty));
            } else {
                break;
            }
        }
        let unclear = |pair: &[ParsePart]| match pair {
            [ParsePart::Column(_, ty), ParsePart::Skip] => *ty == ColumnType::String,
            pair => pair.iter().all(|part| !matches!(part, ParsePart::Text(_))),
        };
        if parts.is_empty() || parts.windows(2).any(unclear) {
            return Err(KqlError::unsupported("'parse' without a text between two columns"));
        }
        Ok(Operator::Parse(Parse { text, only_fitting, kind, parts }))
    }
}

impl Parser<'_> {
    /// `kind=simple`, `kind=relaxed`, `kind=regex flags=U`.
    fn parse_kind(&mut self) -> Result<ParseKind, KqlError> {
        if self.tokens.word() != Some("kind") || !self.is_option() {
            return Ok(ParseKind::Simple);
        }
        match self.option_word()?.as_str() {
            "simple" => Ok(ParseKind::Simple),
            "relaxed" => Ok(ParseKind::Relaxed),
            "regex" if self.tokens.word() == Some("flags") && self.is_option() => {
                Ok(ParseKind::Regex(self.option_word()?))
            }
            "regex" => Ok(ParseKind::Regex(String::new())),
            other => Err(KqlError::unsupported(format_args!("'parse kind={other}'"))),
        }
    }
}

fn side(expr: &Expr) -> Option<(&str, &str)> {
    match expr {
        Expr::Member(inner, column) => match &**inner {
            Expr::Name(side) => Some((side, column)),
            _ => None,
        },
        _ => None,
    }
}

fn not_a_key() -> KqlError {
    let message = "'join' operator: a condition must be the name of a column or '$left.a == $right.b'";
    KqlError::semantic("SEM0501", message)
}
