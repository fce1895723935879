//! Which type a field has, told from its values.
//!
//! A field gets the first of these types that takes all of its values in the rows looked at; empty fields and json
//! nulls say nothing. The rules are stricter than [`types`](crate::types), so that a text which merely looks like a
//! number (`007`, `+49 30 1234`, `1.`) stays what it is:
//!
//! | type | csv fields and json strings | json |
//! |---|---|---|
//! | bool | `true`, `false` in any case (csv only) | true, false |
//! | long | digits without leading zeros, an optional `-`, within 64 bits (csv only) | the same |
//! | real | the same with a fraction or an exponent, or without, at most 17 significant digits (more are not kept by 64 bits), finite (csv only) | the same |
//! | decimal | the same with up to 34 significant digits (csv only) | the same |
//! | datetime | what the type accepts | |
//! | timespan | what the type accepts | |
//! | guid | what the type accepts, without braces | |
//! | dynamic | JSON that begins with `{` or `[` (csv only) | objects, arrays; and these mixed with other values |
//! | string | everything | everything |
//!
//! A field without any value is a string. A json string of digits stays a string: its author wrote quotes.

use crate::types::{ColumnType, Value, is_guid, is_timespan, number, write_datetime};

/// What the values seen so far leave open for one field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates {
    /// Bits of [`ORDER`], for each type that some value did not fit.
    excluded: u16,
    seen: bool,
    nested: bool,
}

/// The types that are told apart, the most special one first.
const ORDER: [ColumnType; 8] = [
    ColumnType::Bool,
    ColumnType::Long,
    ColumnType::Real,
    ColumnType::Decimal,
    ColumnType::DateTime,
    ColumnType::TimeSpan,
    ColumnType::Guid,
    ColumnType::Dynamic,
];

impl Candidates {
    /// Looks at a csv field.
    pub(crate) fn see_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.keep(|kind| fits_text(kind, text));
        }
    }

    /// Looks at a json value.
    pub(crate) fn see_json(&mut self, raw: &str) {
        match raw.as_bytes().first() {
            None | Some(b'n') => {}
            Some(b'"') if raw.len() == 2 => {}
            Some(b'"') => self.keep(|kind| fits_json_string(kind, &raw[1..raw.len() - 1])),
            Some(b'{' | b'[') => {
                self.nested = true;
                self.keep(|kind| kind == ColumnType::Dynamic);
            }
            Some(b't' | b'f') => self.keep(|kind| kind == ColumnType::Bool),
            Some(_) => self.keep(|kind| is_numeric(kind) && fits_text(kind, raw)),
        }
    }

    fn keep(&mut self, fits: impl Fn(ColumnType) -> bool) {
        self.seen = true;
        for (bit, kind) in ORDER.into_iter().enumerate() {
            if self.excluded & (1 << bit) == 0 && !fits(kind) {
                self.excluded |= 1 << bit;
            }
        }
    }

    /// The type for all that was seen.
    pub(crate) fn decide(&self) -> ColumnType {
        if !self.seen {
            return ColumnType::String;
        }
        let open = |bit: &usize| self.excluded & (1 << bit) == 0;
        match (0..ORDER.len()).find(open) {
            Some(bit) => ORDER[bit],
            None if self.nested => ColumnType::Dynamic,
            None => ColumnType::String,
        }
    }
}

fn is_numeric(kind: ColumnType) -> bool {
    matches!(kind, ColumnType::Long | ColumnType::Real | ColumnType::Decimal)
}

fn fits_text(kind: ColumnType, text: &str) -> bool {
    let shape = || number(text.as_bytes()).filter(|number| number.canonical);
    match kind {
        ColumnType::Bool => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        ColumnType::Long => shape().is_some_and(|number| number.integer) && text.parse::<i64>().is_ok(),
        ColumnType::Real => {
            shape().is_some_and(|number| number.digits <= 17) && text.parse::<f64>().is_ok_and(f64::is_finite)
        }
        ColumnType::Decimal => shape().is_some_and(|number| number.digits <= 34 && !number.exponent),
        ColumnType::DateTime => {
            write_datetime(text, &mut Vec::new()).is_ok_and(|value| matches!(value, Value::Plain(_)))
        }
        ColumnType::TimeSpan => is_timespan(text.as_bytes()),
        ColumnType::Guid => is_guid(text.as_bytes()),
        ColumnType::Dynamic => {
            text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        }
        ColumnType::Int | ColumnType::String => false,
    }
}

fn fits_json_string(kind: ColumnType, text: &str) -> bool {
    matches!(kind, ColumnType::DateTime | ColumnType::TimeSpan | ColumnType::Guid) && fits_text(kind, text)
}
