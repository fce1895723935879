//! `$filter` of table storage: comparisons of properties with constants, joined by `and`, `or`, `not` and parentheses.
//!
//! ```text
//! or   := and ("or" and)*          operand := name | constant
//! and  := not ("and" not)*         constant := 'text' | 12 | 12L | 1.5 | true | datetime'..' | guid'..' | X'..' | binary'..'
//! not  := "not" not | test         test := "(" or ")" | operand [("eq"|"ne"|"gt"|"ge"|"lt"|"le") operand]
//! ```
//!
//! A comparison with a property that an entity does not have, or that is of another type, is false; so is one of `ne`.
//! Source: Azure Storage REST API, "Querying tables and entities".

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::error::{StorageError, StorageResult};
use super::sas::parse_moment;
use super::table::{Entity, Key};

/// The longest filter, in bytes; the service takes about 15 discrete comparisons and an address of 32 KiB.
const MAX_BYTES: usize = 32 * 1024;

/// Parentheses and `not`s within each other.
const MAX_DEPTH: usize = 64;

/// A filter that was understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compare(Operand, Comparison, Operand),
    /// A property that is true or false by itself.
    Flag(Operand),
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Property(String),
    Constant(Constant),
}

/// `eq`, `ne`, `gt`, `ge`, `lt`, `le`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A value with its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    Text(String),
    Whole(i64),
    Real(f64),
    Flag(bool),
    Moment(Timestamp),
    Guid(Uuid),
    Binary(Vec<u8>),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// 400 `InvalidInput` with the place where it is not understood.
    pub(crate) fn parse(text: &str) -> StorageResult<Self> {
        if text.len() > MAX_BYTES {
            return Err(StorageError::invalid_input("The filter is longer than 32 KiB."));
        }
        let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
        let filter = parser.or()?;
        if parser.at < parser.tokens.len() {
            return Err(parser.unexpected());
        }
        Ok(filter)
    }

    /// Whether an entity is wanted.
    pub(crate) fn accepts(&self, key: &Key, entity: &Entity) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.accepts(key, entity)),
            Self::Or(parts) => parts.iter().any(|part| part.accepts(key, entity)),
            Self::Not(part) => !part.accepts(key, entity),
            Self::Flag(operand) => operand.value(key, entity) == Some(Constant::Flag(true)),
            Self::Compare(left, comparison, right) => {
                let ordering = left
                    .value(key, entity)
                    .zip(right.value(key, entity))
                    .and_then(|(left, right)| left.compare(&right));
                ordering.is_some_and(|ordering| comparison.holds(ordering))
            }
        }
    }
}

impl Comparison {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Equal,
            "ne" => Self::NotEqual,
            "gt" => Self::Greater,
            "ge" => Self::GreaterOrEqual,
            "lt" => Self::Less,
            "le" => Self::LessOrEqual,
            _ => return None,
        })
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }
}

impl Operand {
    fn value(&self, key: &Key, entity: &Entity) -> Option<Constant> {
        match self {
            Self::Constant(constant) => Some(constant.clone()),
            Self::Property(name) => match name.as_str() {
                "PartitionKey" => Some(Constant::Text(key.0.clone())),
                "RowKey" => Some(Constant::Text(key.1.clone())),
                "Timestamp" => Some(Constant::Moment(entity.modified)),
                name => Constant::of(entity, name),
            },
        }
    }
}

impl Constant {
    /// A property by its type: the one that is written beside it, or that of its JSON.
    fn of(entity: &Entity, name: &str) -> Option<Self> {
        let value = entity.properties.get(name)?;
        let kind = entity.properties.get(&format!("{name}@odata.type")).and_then(Value::as_str);
        match (kind, value) {
            (Some("Edm.Int64"), Value::String(text)) => text.parse().ok().map(Self::Whole),
            (Some("Edm.DateTime"), Value::String(text)) => parse_moment(text).map(Self::Moment),
            (Some("Edm.Guid"), Value::String(text)) => text.parse().ok().map(Self::Guid),
            (Some("Edm.Binary"), Value::String(text)) => STANDARD.decode(text).ok().map(Self::Binary),
            (Some("Edm.Double"), Value::String(text)) => text.parse().ok().map(Self::Real),
            (Some("Edm.Double"), Value::Number(number)) => number.as_f64().map(Self::Real),
            (_, Value::String(text)) => Some(Self::Text(text.clone())),
            (_, Value::Bool(flag)) => Some(Self::Flag(*flag)),
            (_, Value::Number(number)) => {
                number.as_i64().map(Self::Whole).or_else(|| number.as_f64().map(Self::Real))
            }
            _ => None,
        }
    }

    /// `None` for values of different types.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Whole(one), Self::Whole(other)) => Some(one.cmp(other)),
            (Self::Real(one), Self::Real(other)) => one.partial_cmp(other),
            (Self::Whole(one), Self::Real(other)) => (*one as f64).partial_cmp(other),
            (Self::Real(one), Self::Whole(other)) => one.partial_cmp(&(*other as f64)),
            (Self::Flag(one), Self::Flag(other)) => Some(one.cmp(other)),
            (Self::Moment(one), Self::Moment(other)) => Some(one.cmp(other)),
            (Self::Guid(one), Self::Guid(other)) => Some(one.cmp(other)),
            (Self::Binary(one), Self::Binary(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    Constant(Constant),
}

fn invalid(text: &str, at: usize) -> StorageError {
    let rest: String = text.get(at..).unwrap_or_default().chars().take(20).collect();
    StorageError::invalid_input(format!("The filter is not understood at byte {at}: '{rest}'."))
}

/// Splits a filter into words, constants and parentheses.
fn tokens(text: &str) -> StorageResult<Vec<Token>> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let at = text.len() - rest.len();
        let length = match first {
            '(' => {
                tokens.push(Token::Open);
                1
            }
            ')' => {
                tokens.push(Token::Close);
                1
            }
            _ => {
                let (token, length) = word_or_constant(rest).ok_or_else(|| invalid(text, at))?;
                tokens.push(token);
                length
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// The token that `text` begins with, and its length.
fn word_or_constant(text: &str) -> Option<(Token, usize)> {
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '\'')).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if let Some(quoted) = rest.strip_prefix('\'') {
        let (value, length) = quoted_text(quoted)?;
        return Some((Token::Constant(typed(word, value)?), end + 1 + length));
    }
    let token = match word {
        "" => return None,
        "true" => Token::Constant(Constant::Flag(true)),
        "false" => Token::Constant(Constant::Flag(false)),
        _ if word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) => {
            Token::Constant(number(word)?)
        }
        _ => Token::Word(word.to_owned()),
    };
    Some((token, end))
}

fn number(word: &str) -> Option<Constant> {
    let whole = word.strip_suffix(['L', 'l']).unwrap_or(word);
    if let Ok(whole) = whole.parse() {
        return Some(Constant::Whole(whole));
    }
    word.parse().ok().map(Constant::Real)
}

/// The text up to the closing quote (quotes in it are doubled), and its length with that quote.
fn quoted_text(text: &str) -> Option<(String, usize)> {
    let (mut value, mut rest) = (String::new(), text);
    loop {
        let (part, behind) = rest.split_once('\'')?;
        value.push_str(part);
        match behind.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((value, text.len() - behind.len())),
        }
    }
}

fn typed(kind: &str, text: String) -> Option<Constant> {
    match kind {
        "" => Some(Constant::Text(text)),
        "datetime" => parse_moment(&text).map(Constant::Moment),
        "guid" => text.parse().ok().map(Constant::Guid),
        "X" | "binary" => hexadecimal(&text).map(Constant::Binary),
        _ => None,
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn or(&mut self) -> StorageResult<Filter> {
        let mut parts = vec![self.and()?];
        while self.take_word("or") {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::Or(parts) })
    }

    fn and(&mut self) -> StorageResult<Filter> {
        let mut parts = vec![self.not()?];
        while self.take_word("and") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And(parts) })
    }

    fn not(&mut self) -> StorageResult<Filter> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(StorageError::invalid_input("The filter is nested too deeply."));
        }
        let negated = self.take_word("not");
        let filter = if negated { Filter::Not(Box::new(self.not()?)) } else { self.test()? };
        self.depth -= 1;
        Ok(filter)
    }

    fn test(&mut self) -> StorageResult<Filter> {
        if self.take(&Token::Open) {
            let inner = self.or()?;
            return if self.take(&Token::Close) { Ok(inner) } else { Err(self.unexpected()) };
        }
        let left = self.operand()?;
        let comparison = match self.tokens.get(self.at) {
            Some(Token::Word(word)) => Comparison::named(word),
            _ => None,
        };
        let Some(comparison) = comparison else { return Ok(Filter::Flag(left)) };
        self.at += 1;
        Ok(Filter::Compare(left, comparison, self.operand()?))
    }

    fn operand(&mut self) -> StorageResult<Operand> {
        let operand = match self.tokens.get(self.at) {
            Some(Token::Word(name)) => Operand::Property(name.clone()),
            Some(Token::Constant(constant)) => Operand::Constant(constant.clone()),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(operand)
    }

    fn take(&mut self, token: &Token) -> bool {
        let there = self.tokens.get(self.at) == Some(token);
        self.at += usize::from(there);
        there
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.take(&Token::Word(word.to_owned()))
    }

    fn unexpected(&self) -> StorageError {
        let what = match self.tokens.get(self.at) {
            None => "it ends too early".to_owned(),
            Some(Token::Open) => "'(' is not expected".to_owned(),
            Some(Token::Close) => "')' is not expected".to_owned(),
            Some(Token::Word(word)) => format!("'{word}' is not expected"),
            Some(Token::Constant(constant)) => format!("{constant:?} is not expected"),
        };
        StorageError::invalid_input(format!("The filter is not understood: {what}."))
    }
}

#[cfg(test)]
mod tests;
