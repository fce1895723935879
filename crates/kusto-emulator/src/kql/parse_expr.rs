//! Scalar expressions, by precedence: `or`, `and`, comparison, `+ -`, `* / %`, sign, access.

use super::ast::{BinaryOp, Expr, ListOp, Named, TextOp};
use super::error::KqlError;
use super::lexer::{Kind, Punct};
use super::parser::Parser;
use super::scopes::OF_CLUSTER;
use crate::data::{ColumnType, Decimal, Value};

/// Operators of one level in a row at most (`a + b + c ..`); `and` and `or` have no such bound.
const MAX_CHAIN: usize = 60;

const EQUALITY: [(Punct, BinaryOp); 6] = [
    (Punct::Equal, BinaryOp::Equal),
    (Punct::NotEqual, BinaryOp::NotEqual),
    (Punct::Less, BinaryOp::Less),
    (Punct::LessEqual, BinaryOp::LessEqual),
    (Punct::Greater, BinaryOp::Greater),
    (Punct::GreaterEqual, BinaryOp::GreaterEqual),
];
const SUMS: [(Punct, BinaryOp); 2] = [(Punct::Plus, BinaryOp::Add), (Punct::Minus, BinaryOp::Sub)];
const PRODUCTS: [(Punct, BinaryOp); 3] =
    [(Punct::Star, BinaryOp::Mul), (Punct::Slash, BinaryOp::Div), (Punct::Percent, BinaryOp::Mod)];

/// A string operator by its word, without `!`: how it compares, and whether case counts.
fn text_operator(word: &str) -> Option<(TextOp, bool)> {
    let (stem, case_sensitive) = word.strip_suffix("_cs").map_or((word, false), |stem| (stem, true));
    let op = match stem {
        "contains" => TextOp::Contains,
        "startswith" => TextOp::StartsWith,
        "endswith" => TextOp::EndsWith,
        "has" => TextOp::Has,
        "hasprefix" => TextOp::HasPrefix,
        "hassuffix" => TextOp::HasSuffix,
        _ => return None,
    };
    Some((op, case_sensitive))
}

fn boxed<const N: usize>(operands: [Expr; N]) -> Box<[Expr; N]> {
    Box::new(operands)
}

impl Parser<'_> {
    /// A scalar expression.
    pub(super) fn scalar(&mut self) -> Result<Expr, KqlError> {
        self.nested(|p| p.chain("or", |p| p.chain("and", Self::comparison, Expr::And), Expr::Or))
    }

    /// Operands joined by a word, as one flat node.
    fn chain(
        &mut self,
        word: &str,
        operand: impl Fn(&mut Self) -> Result<Expr, KqlError>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr, KqlError> {
        let first = operand(self)?;
        if self.tokens.word() != Some(word) {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.tokens.eat_word(word) {
            self.count()?;
            operands.push(operand(self)?);
        }
        Ok(join(operands))
    }

    fn comparison(&mut self) -> Result<Expr, KqlError> {
        let left = self.sum()?;
        if let Some(op) = self.eat_one(&EQUALITY) {
            let right = self.sum()?;
            return Ok(Expr::Binary(op, Box::new(left), Box::new(right)));
        }
        for (punct, negated) in [(Punct::EqualTilde, false), (Punct::NotTilde, true)] {
            if self.tokens.eat(punct) {
                let operands = boxed([left, self.sum()?]);
                return Ok(Expr::Text { op: TextOp::Equal, case_sensitive: false, negated, operands });
            }
        }
        let negated = self.tokens.is(Punct::Not);
        let Some(word) = self.tokens.word_nth(usize::from(negated)) else { return Ok(left) };
        self.word_comparison(left, word, negated)
    }

    fn eat_one(&mut self, ops: &[(Punct, BinaryOp)]) -> Option<BinaryOp> {
        let op = ops.iter().find(|(punct, _)| self.tokens.is(*punct)).map(|(_, op)| *op)?;
        self.tokens.next();
        Some(op)
    }

    /// An operator that is a word, perhaps behind `!`; `left` alone when the word is none.
    fn word_comparison(&mut self, left: Expr, word: &str, negated: bool) -> Result<Expr, KqlError> {
        if let Some((op, case_sensitive)) = text_operator(word) {
            self.skip_operator(negated);
            let operands = boxed([left, self.sum()?]);
            return Ok(Expr::Text { op, case_sensitive, negated, operands });
        }
        let list_op = match word {
            "in" => ListOp::In,
            "has_any" => ListOp::HasAny,
            "has_all" => ListOp::HasAll,
            "between" => {
                self.skip_operator(negated);
                return self.between(left, negated);
            }
            "matches" if self.tokens.word_nth(usize::from(negated) + 1) == Some("regex") => {
                self.skip_operator(negated);
                self.tokens.next();
                let operands = boxed([left, self.sum()?]);
                return Ok(Expr::Text { op: TextOp::Regex, case_sensitive: true, negated, operands });
            }
            _ => return Ok(left),
        };
        self.skip_operator(negated);
        let ignoring_case = list_op == ListOp::In && self.eat_tilde();
        let op = if ignoring_case { ListOp::InIgnoringCase } else { list_op };
        let list = self.arguments(Self::expression)?;
        Ok(Expr::List { op, negated, value: Box::new(left), list })
    }

    fn skip_operator(&mut self, negated: bool) {
        if negated {
            self.tokens.next();
        }
        self.tokens.next();
    }

    /// The tilde of `in~`, which is a token nowhere else.
    fn eat_tilde(&mut self) -> bool {
        let found = self.tokens.peek().kind == Kind::Punct(Punct::Tilde);
        if found {
            self.tokens.next();
        }
        found
    }

    fn between(&mut self, value: Expr, negated: bool) -> Result<Expr, KqlError> {
        self.tokens.expect(Punct::Open)?;
        let low = self.scalar()?;
        self.tokens.expect(Punct::DotDot)?;
        let high = self.scalar()?;
        self.tokens.expect(Punct::Close)?;
        Ok(Expr::Between(negated, boxed([value, low, high])))
    }

    fn sum(&mut self) -> Result<Expr, KqlError> {
        self.left_chain(&SUMS, |p| p.left_chain(&PRODUCTS, Self::signed))
    }

    fn left_chain(
        &mut self,
        ops: &[(Punct, BinaryOp)],
        operand: impl Fn(&mut Self) -> Result<Expr, KqlError>,
    ) -> Result<Expr, KqlError> {
        let mut left = operand(self)?;
        let mut length = 0;
        while let Some(op) = self.eat_one(ops) {
            length += 1;
            if length > MAX_CHAIN {
                return Err(self.too_complex());
            }
            left = Expr::Binary(op, Box::new(left), Box::new(operand(self)?));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Expr, KqlError> {
        if self.tokens.eat(Punct::Minus) {
            let operand = self.nested(Self::signed)?;
            return Ok(negated(operand));
        }
        if self.tokens.eat(Punct::Plus) {
            return self.nested(Self::signed);
        }
        self.access()
    }

    /// A primary expression with `.member` and `[index]` behind it.
    pub(super) fn access(&mut self) -> Result<Expr, KqlError> {
        let mut expr = self.primary()?;
        for _ in 0..MAX_CHAIN {
            if self.tokens.eat(Punct::Dot) {
                if self.tokens.is(Punct::OpenBracket) {
                    continue;
                }
                let name = self.tokens.expect_name("the name of a member")?;
                expr = match expr {
                    Expr::Call(call, mut cluster)
                        if call == "cluster"
                            && cluster.len() == 1
                            && name == "database"
                            && self.tokens.is(Punct::Open) =>
                    {
                        cluster.extend(self.arguments(Self::expression)?);
                        Expr::Call(OF_CLUSTER.to_owned(), cluster)
                    }
                    expr => Expr::Member(Box::new(expr), name),
                };
            } else if self.tokens.is(Punct::OpenBracket) {
                self.tokens.next();
                let index = self.scalar()?;
                self.tokens.expect(Punct::CloseBracket)?;
                expr = Expr::Index(Box::new(expr), Box::new(index));
            } else {
                return Ok(expr);
            }
        }
        Err(self.too_complex())
    }

    fn primary(&mut self) -> Result<Expr, KqlError> {
        self.count()?;
        if self.tokens.eat(Punct::Open) {
            let inner = self.nested(Self::expression)?;
            self.tokens.expect(Punct::Close)?;
            return Ok(inner);
        }
        if self.tokens.eat(Punct::Star) {
            return Ok(Expr::Star);
        }
        match self.tokens.word() {
            Some("true" | "false") => {}
            Some("not") if self.tokens.peek_nth(1).kind == Kind::Punct(Punct::Open) => {}
            Some("typeof") if self.tokens.peek_nth(1).kind == Kind::Punct(Punct::Open) => {
                return self.type_of();
            }
            Some(word) if self.tokens.peek_nth(1).kind == Kind::Punct(Punct::Open) => {
                self.tokens.next();
                return Ok(Expr::Call(word.to_owned(), self.arguments(Self::expression)?));
            }
            _ => {}
        }
        if self.tokens.eat_word("not") {
            return Ok(Expr::Call("not".to_owned(), self.arguments(Self::expression)?));
        }
        if let Some((value, ty)) = self.eat_constant() {
            return Ok(Expr::Literal(value, ty));
        }
        self.tokens.eat_name().map(Expr::Name).ok_or_else(|| self.tokens.unexpected("an expression"))
    }

    fn type_of(&mut self) -> Result<Expr, KqlError> {
        self.tokens.next();
        self.tokens.expect(Punct::Open)?;
        let ty = self.type_name()?;
        self.tokens.expect(Punct::Close)?;
        Ok(Expr::TypeOf(ty))
    }

    pub(super) fn arguments(
        &mut self,
        argument: fn(&mut Self) -> Result<Expr, KqlError>,
    ) -> Result<Vec<Expr>, KqlError> {
        self.tokens.expect(Punct::Open)?;
        let mut arguments = Vec::new();
        while !self.tokens.eat(Punct::Close) {
            arguments.push(self.nested(argument)?);
            self.separator(Punct::Close)?;
        }
        Ok(arguments)
    }

    /// A literal with an optional sign.
    pub(super) fn constant(&mut self) -> Result<(Value, ColumnType), KqlError> {
        let minus = self.tokens.eat(Punct::Minus);
        let (value, ty) = self.eat_constant().ok_or_else(|| self.tokens.unexpected("a literal"))?;
        if !minus {
            return Ok((value, ty));
        }
        match negated(Expr::Literal(value, ty)) {
            Expr::Literal(value, ty) => Ok((value, ty)),
            _ => Err(self.tokens.unexpected("a number")),
        }
    }

    fn eat_constant(&mut self) -> Option<(Value, ColumnType)> {
        if let Some(text) = self.tokens.eat_text() {
            return Some((Value::string(text), ColumnType::String));
        }
        let constant = match self.tokens.word() {
            Some("true") => (Value::Bool(true), ColumnType::Bool),
            Some("false") => (Value::Bool(false), ColumnType::Bool),
            _ => match &self.tokens.peek().kind {
                Kind::Literal(value, ty) => (value.clone(), *ty),
                _ => return None,
            },
        };
        self.tokens.next();
        Some(constant)
    }

    /// `[name =] expression`, ...
    pub(super) fn named_list(&mut self) -> Result<Vec<Named>, KqlError> {
        let mut list = Vec::new();
        loop {
            self.count()?;
            list.push(self.named()?);
            if !self.tokens.eat(Punct::Comma) {
                return Ok(list);
            }
        }
    }

    pub(super) fn named(&mut self) -> Result<Named, KqlError> {
        let bare = self.tokens.word().is_some() && self.tokens.peek_nth(1).kind == Kind::Punct(Punct::Assign);
        let quoted =
            self.tokens.is(Punct::OpenBracket) && self.tokens.peek_nth(3).kind == Kind::Punct(Punct::Assign);
        let mut name = None;
        if bare || quoted {
            name = Some(self.tokens.expect_name("a column's name")?);
            self.tokens.expect(Punct::Assign)?;
        }
        Ok(Named { name, expr: self.scalar()? })
    }
}

/// The negation of an expression; of a literal number, the negative literal.
fn negated(operand: Expr) -> Expr {
    let folded = match &operand {
        Expr::Literal(Value::Int(n), _) => n.checked_neg().map(Value::Int),
        Expr::Literal(Value::Long(n), _) => n.checked_neg().map(Value::Long),
        Expr::Literal(Value::Real(n), _) => Some(Value::Real(-n)),
        Expr::Literal(Value::Decimal(n), _) => Some(Value::Decimal(Decimal::negate(*n))),
        Expr::Literal(Value::TimeSpan(n), _) => n.checked_neg().map(Value::TimeSpan),
        _ => None,
    };
    match (folded, operand) {
        (Some(value), Expr::Literal(_, ty)) => Expr::Literal(value, ty),
        (_, operand) => Expr::Negate(Box::new(operand)),
    }
}
