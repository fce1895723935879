//! Tokens of KQL, for queries and for commands.
//!
//! A [`Tokens`] is a cursor over a text; it reads ahead only as far as it is asked, so that a command can stop before data that
//! is no KQL:
//! ```text
//! let mut t = Tokens::new(".ingest inline into table ['a b'] <| 1,2");
//! t.eat(Punct::Dot)                    // one of the operators and brackets in `Punct`
//! t.eat_word("ingest")                 // a bare name, exactly; `eat_hyphenated("set-or-append")` for joined ones
//! t.expect_name("a table name")?       // bare, or quoted in brackets: the name's text
//! t.expect(Punct::LessPipe)?
//! t.rest()                             // the text behind the last token taken: " 1,2"
//! ```
//! * [`Tokens::peek`] looks at the next token, [`Tokens::peek_nth`] further; [`Tokens::next`] takes it. Every [`Token`] has its
//!   bytes (`start..end`) in the text. The end is a token ([`Kind::End`]) that repeats.
//! * Text that is no token becomes [`Kind::Invalid`] with the reason; [`Tokens::unexpected`] makes the error of any token.
//! * Literals arrive as values: strings of all forms (`'..'`, `".."`, `@'..'`, ```` ```..``` ````, `~~~..~~~`, each also behind
//!   `h`), numbers, `1d` and its like, and typed literals (`datetime(..)`, `guid(..)`, `dynamic(..)`, `real(nan)`, `long(null)`).
//!   A bare guid, as commands list extents, is a literal too. Signs are operators.
//! * Comments (`// ..` to the end of the line) are blanks.
//!
//! Forms: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/scalar-data-types/`, `.../schema-entities/entity-names.md`.

use super::error::KqlError;
use super::literal;
use crate::data::{ColumnType, Value, parse_guid};
use std::collections::VecDeque;

/// Operators and brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Punct {
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    Comma,
    Semicolon,
    Colon,
    Dot,
    DotDot,
    Pipe,
    LessPipe,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Assign,
    Equal,
    NotEqual,
    EqualTilde,
    NotTilde,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Not,
    Arrow,
    At,
    Tilde,
}

/// Longest first, so that the first match is the right one.
const PUNCTS: [(&str, Punct); 32] = [
    ("<|", Punct::LessPipe),
    ("..", Punct::DotDot),
    ("==", Punct::Equal),
    ("!=", Punct::NotEqual),
    ("<>", Punct::NotEqual),
    ("=~", Punct::EqualTilde),
    ("!~", Punct::NotTilde),
    ("<=", Punct::LessEqual),
    (">=", Punct::GreaterEqual),
    ("=>", Punct::Arrow),
    ("(", Punct::Open),
    (")", Punct::Close),
    ("[", Punct::OpenBracket),
    ("]", Punct::CloseBracket),
    ("{", Punct::OpenBrace),
    ("}", Punct::CloseBrace),
    (",", Punct::Comma),
    (";", Punct::Semicolon),
    (":", Punct::Colon),
    (".", Punct::Dot),
    ("|", Punct::Pipe),
    ("+", Punct::Plus),
    ("-", Punct::Minus),
    ("*", Punct::Star),
    ("/", Punct::Slash),
    ("%", Punct::Percent),
    ("=", Punct::Assign),
    ("<", Punct::Less),
    (">", Punct::Greater),
    ("!", Punct::Not),
    ("@", Punct::At),
    ("~", Punct::Tilde),
];

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A bare name or keyword: letters, digits, `_`, `$`; its text is the token's.
    Word,
    /// A string literal.
    Text {
        /// The text, escapes resolved.
        text: String,
        /// Written as `h'..'`: not to be shown in logs.
        obfuscated: bool,
    },
    /// A literal of another type; null for `long(null)` and its like.
    Literal(Value, ColumnType),
    /// An operator or bracket.
    Punct(Punct),
    /// The end of the text.
    End,
    /// No token; the reason.
    Invalid(String),
}

/// A token and the bytes it stands in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its first byte in the text.
    pub(crate) start: usize,
    /// The byte behind its last.
    pub(crate) end: usize,
}

/// A cursor over the tokens of a text.
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'a> {
    text: &'a str,
    ahead: VecDeque<Token>,
    read: usize,
    taken: usize,
}

impl<'a> Tokens<'a> {
    /// A cursor before the first token of `text`.
    pub(crate) fn new(text: &'a str) -> Tokens<'a> {
        Tokens { text, ahead: VecDeque::new(), read: 0, taken: 0 }
    }

    /// The next token.
    pub(crate) fn peek(&mut self) -> &Token {
        self.peek_nth(0)
    }

    /// The token `n` places behind the next one.
    pub(crate) fn peek_nth(&mut self, n: usize) -> &Token {
        while self.ahead.len() <= n {
            let token = lex(self.text, self.read);
            self.read = token.end;
            self.ahead.push_back(token);
        }
        &self.ahead[n]
    }

    /// Takes the next token.
    pub(crate) fn next(&mut self) -> Token {
        self.peek();
        let token = self.ahead.pop_front().expect("peek has read a token");
        self.taken = token.end;
        token
    }

    /// The text of a token.
    pub(crate) fn text_of(&self, token: &Token) -> &'a str {
        &self.text[token.start..token.end]
    }

    /// The text that the tokens stand in.
    pub(crate) fn whole(&self) -> &'a str {
        self.text
    }

    /// The byte behind the last token taken.
    pub(crate) fn position(&self) -> usize {
        self.taken
    }

    /// The text behind the last token taken, blanks and comments included.
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.taken..]
    }

    /// Whether nothing is left.
    pub(crate) fn at_end(&mut self) -> bool {
        self.peek().kind == Kind::End
    }

    /// Whether the next token is this operator or bracket.
    pub(crate) fn is(&mut self, punct: Punct) -> bool {
        self.peek().kind == Kind::Punct(punct)
    }

    /// Takes the next token if it is this operator or bracket.
    pub(crate) fn eat(&mut self, punct: Punct) -> bool {
        let found = self.is(punct);
        if found {
            self.next();
        }
        found
    }

    /// Takes this operator or bracket, or tells that something else stands there.
    pub(crate) fn expect(&mut self, punct: Punct) -> Result<(), KqlError> {
        if self.eat(punct) {
            return Ok(());
        }
        let symbol = PUNCTS.iter().find(|(_, p)| *p == punct).map_or("", |(symbol, _)| symbol);
        Err(self.unexpected(&format!("'{symbol}'")))
    }

    /// The next token's text if it is a bare word.
    pub(crate) fn word(&mut self) -> Option<&'a str> {
        self.word_nth(0)
    }

    /// The text of the token `n` places behind the next one, if it is a bare word.
    pub(crate) fn word_nth(&mut self, n: usize) -> Option<&'a str> {
        let token = self.peek_nth(n);
        let (is_word, start, end) = (token.kind == Kind::Word, token.start, token.end);
        is_word.then(|| &self.text[start..end])
    }

    /// Takes the next token if it is this word (keywords are case-sensitive).
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.word() == Some(word);
        if found {
            self.next();
        }
        found
    }

    /// The words joined by hyphens without blanks that come next (`set-or-append`), and how many tokens they take.
    pub(crate) fn hyphenated(&mut self) -> Option<(&'a str, usize)> {
        let first = self.word()?;
        let start = self.peek().start;
        let (mut end, mut count) = (start + first.len(), 1);
        while self.peek_nth(count).kind == Kind::Punct(Punct::Minus)
            && self.peek_nth(count).start == end
            && self.peek_nth(count + 1).kind == Kind::Word
            && self.peek_nth(count + 1).start == end + 1
        {
            end = self.peek_nth(count + 1).end;
            count += 2;
        }
        Some((&self.text[start..end], count))
    }

    /// Takes words joined by hyphens if they are these, whole.
    pub(crate) fn eat_hyphenated(&mut self, words: &str) -> bool {
        let Some((found, count)) = self.hyphenated() else { return false };
        if found != words {
            return false;
        }
        for _ in 0..count {
            self.next();
        }
        true
    }

    /// Takes a name: a bare word, `['any text']` or `["any text"]`.
    pub(crate) fn eat_name(&mut self) -> Option<String> {
        if let Some(word) = self.word() {
            self.next();
            return Some(word.to_owned());
        }
        let quoted = self.is(Punct::OpenBracket)
            && matches!(self.peek_nth(1).kind, Kind::Text { .. })
            && self.peek_nth(2).kind == Kind::Punct(Punct::CloseBracket);
        if !quoted {
            return None;
        }
        self.next();
        let token = self.next();
        self.next();
        match token.kind {
            Kind::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Takes a name, or tells that `what` was expected.
    pub(crate) fn expect_name(&mut self, what: &str) -> Result<String, KqlError> {
        self.eat_name().ok_or_else(|| self.unexpected(what))
    }

    /// Takes a string literal; neighbours are joined to one, as the service does.
    pub(crate) fn eat_text(&mut self) -> Option<String> {
        let mut joined: Option<String> = None;
        while let Kind::Text { text, .. } = &self.peek().kind {
            joined.get_or_insert_default().push_str(text);
            self.next();
        }
        joined
    }

    /// Takes a string literal, or tells that `what` was expected.
    pub(crate) fn expect_text(&mut self, what: &str) -> Result<String, KqlError> {
        self.eat_text().ok_or_else(|| self.unexpected(what))
    }

    /// The error that the next token is not `wanted`.
    pub(crate) fn unexpected(&mut self, wanted: &str) -> KqlError {
        let token = self.peek().clone();
        let (line, column) = line_and_column(self.text, token.start);
        let place = format!("at line {line}, column {column}");
        let found = match &token.kind {
            Kind::Invalid(reason) => return KqlError::syntax(format!("{reason} {place}"), token.start),
            Kind::End => "the text ends".to_owned(),
            Kind::Text { obfuscated: true, .. } => "found h'***'".to_owned(),
            _ => format!("found '{}'", literal::shortened(self.text_of(&token))),
        };
        KqlError::syntax(
            format!("A recognition error occurred {place}: expected {wanted}, {found}"),
            token.start,
        )
    }
}

/// Line and column, both from 1, of a byte of the text.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// The first token at byte `from` or behind it.
fn lex(text: &str, from: usize) -> Token {
    let start = from + blanks(&text[from..]);
    let rest = &text[start..];
    let (kind, len) = match rest.bytes().next() {
        None => (Kind::End, 0),
        Some(first) => token_at(rest, first),
    };
    Token { kind, start, end: start + len }
}

/// Bytes of blanks and comments at the start of `text`.
fn blanks(text: &str) -> usize {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if !rest.starts_with("//") {
            return text.len() - rest.len();
        }
        rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
    }
}

fn token_at(rest: &str, first: u8) -> (Kind, usize) {
    if let Some(found) = literal::string(rest) {
        return found;
    }
    if first.is_ascii_hexdigit()
        && let Some(guid) = bare_guid(rest)
    {
        return (Kind::Literal(Value::Guid(guid), ColumnType::Guid), 36);
    }
    if first.is_ascii_digit() {
        return literal::number(rest);
    }
    if is_word_char(first as char) {
        let len = rest.find(|c| !is_word_char(c)).unwrap_or(rest.len());
        return literal::typed(rest, len).unwrap_or((Kind::Word, len));
    }
    match PUNCTS.iter().find(|(symbol, _)| rest.starts_with(symbol)) {
        Some((symbol, punct)) => (Kind::Punct(*punct), symbol.len()),
        None => {
            let c = rest.chars().next().unwrap_or(' ');
            (Kind::Invalid(format!("unexpected character '{}'", c.escape_default())), c.len_utf8())
        }
    }
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// A guid with its hyphens at the start of `rest`, nothing of a word behind it.
fn bare_guid(rest: &str) -> Option<u128> {
    let candidate = rest.get(..36)?;
    let bytes = candidate.as_bytes();
    let hyphens = [8, 13, 18, 23].iter().all(|at| bytes[*at] == b'-');
    let ends = !rest[36..].starts_with(is_word_char);
    if hyphens && ends { parse_guid(candidate) } else { None }
}
