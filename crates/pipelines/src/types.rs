//! Column types, and which text is a value of them.
//!
//! The service stores null, silently, for text that does not parse as the type of its column
//! (`data-explorer/ingest-invalid-data.md`). So every field is checked here first, and written in one form of the
//! several that a type has. What is accepted, and what is written:
//!
//! | type | text | written |
//! |---|---|---|
//! | bool | `true`, `false` in any case, `1`, `0` | `true`, `false` |
//! | int, long | decimal digits with an optional sign, within 32 or 64 bits | without `+` and leading zeros |
//! | real | decimal with an optional fraction and exponent, finite in 64 bits; `NaN`, `inf`, `Infinity` with an optional sign, in any case | as given, or the shortest text of the same value; `NaN`, `Infinity`, `-Infinity` |
//! | decimal | the same without `NaN` and infinity, at most 34 significant digits | as given, without `+` |
//! | datetime | `YYYY-MM-DD`, optionally followed by `T` or a blank and `hh:mm`, `:ss`, a fraction, and `Z` or an offset `±hh:mm`; years 1 to 9999 | `YYYY-MM-DDThh:mm:ss[.fffffff]Z`, in UTC; digits below 100 ns, which the type does not have, are cut |
//! | timespan | `[-][d.]hh:mm:ss[.fffffff]` | as given |
//! | guid | 32 hexadecimal digits in groups of 8-4-4-4-12, in braces or not | without braces |
//! | dynamic | JSON | as given |
//! | string | everything | as given |
//!
//! Blanks around a value of another type than string are passed over; an empty text is null, and in a string column
//! the empty string, because the type has no null.

use std::fmt;

use timely_kusto::types::without_synonym;

mod datetime;
mod number;

pub(crate) use datetime::{is_timespan, write_datetime};
pub(crate) use number::number;

/// A type of the service's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// True or false.
    Bool,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    Long,
    /// 64-bit floating point.
    Real,
    /// 128-bit decimal floating point, 34 digits.
    Decimal,
    /// A point in time, in ticks of 100 ns.
    DateTime,
    /// A length of time, in ticks of 100 ns.
    TimeSpan,
    /// 128-bit identifier.
    Guid,
    /// Text.
    String,
    /// JSON.
    Dynamic,
}

impl ColumnType {
    /// All types, in the order in which inference tries them.
    pub const ALL: [ColumnType; 10] = [
        ColumnType::Bool,
        ColumnType::Int,
        ColumnType::Long,
        ColumnType::Real,
        ColumnType::Decimal,
        ColumnType::DateTime,
        ColumnType::TimeSpan,
        ColumnType::Guid,
        ColumnType::Dynamic,
        ColumnType::String,
    ];

    /// The name in the query language.
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::Bool => "bool",
            ColumnType::Int => "int",
            ColumnType::Long => "long",
            ColumnType::Real => "real",
            ColumnType::Decimal => "decimal",
            ColumnType::DateTime => "datetime",
            ColumnType::TimeSpan => "timespan",
            ColumnType::Guid => "guid",
            ColumnType::String => "string",
            ColumnType::Dynamic => "dynamic",
        }
    }

    /// The type of this name, synonyms included.
    pub fn from_name(name: &str) -> Option<ColumnType> {
        let proper = without_synonym(name);
        Self::ALL.into_iter().find(|known| known.name() == proper)
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A field that fits its column, in the form in which it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    /// Any text.
    Text(&'a str),
    /// A number or a truth value: the same bytes in csv and json.
    Bare(&'a [u8]),
    /// Plain characters that need no quotes in csv and are a string in json.
    Plain(&'a [u8]),
    /// JSON.
    Json(&'a str),
}

/// Why a text is no value of a type.
pub(crate) type Misfit = &'static str;

/// Reads `text` as a value of the type. `scratch` is where a value is written whose text has to change.
pub(crate) fn value<'a>(
    column: ColumnType,
    text: &'a str,
    scratch: &'a mut Vec<u8>,
) -> Result<Value<'a>, Misfit> {
    if column == ColumnType::String {
        return Ok(Value::Text(text));
    }
    let text = trim(text);
    if text.is_empty() {
        return Ok(Value::Null);
    }
    match column {
        ColumnType::Bool => truth(text),
        ColumnType::Int => number::integer(text, i64::from(i32::MIN)..=i64::from(i32::MAX), scratch),
        ColumnType::Long => number::integer(text, i64::MIN..=i64::MAX, scratch),
        ColumnType::Real => number::real(text, scratch),
        ColumnType::Decimal => number::decimal(text, scratch),
        ColumnType::DateTime => write_datetime(text, scratch),
        ColumnType::TimeSpan => match is_timespan(text.as_bytes()) {
            true => Ok(Value::Plain(text.as_bytes())),
            false => Err("it must be [-][d.]hh:mm:ss[.fffffff]"),
        },
        ColumnType::Guid => guid(text),
        ColumnType::Dynamic => match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => Ok(Value::Json(text)),
            Err(_) => Err("it must be JSON"),
        },
        ColumnType::String => Ok(Value::Text(text)),
    }
}

/// Without the blanks around it. Hardly any field has some, and finding that out must cost nothing.
#[inline]
fn trim(text: &str) -> &str {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    match blank(text.as_bytes().first()) || blank(text.as_bytes().last()) {
        true => text.trim_matches([' ', '\t']),
        false => text,
    }
}

fn truth(text: &str) -> Result<Value<'static>, Misfit> {
    match text {
        "1" => Ok(Value::Bare(b"true")),
        "0" => Ok(Value::Bare(b"false")),
        text if text.eq_ignore_ascii_case("true") => Ok(Value::Bare(b"true")),
        text if text.eq_ignore_ascii_case("false") => Ok(Value::Bare(b"false")),
        _ => Err("it must be true, false, 1 or 0"),
    }
}

fn guid(text: &str) -> Result<Value<'_>, Misfit> {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    match is_guid(inner.as_bytes()) {
        true => Ok(Value::Plain(inner.as_bytes())),
        false => Err("it must be 32 hexadecimal digits in groups of 8-4-4-4-12"),
    }
}

pub(crate) fn is_guid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
