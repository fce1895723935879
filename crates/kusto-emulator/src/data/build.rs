//! Fills a column value by value, from text, JSON or scalars, without an allocation per row.

use super::text::{parse_bool, parse_f64, parse_i64};
use super::{
    Arena, ColumnData, ColumnType, Decimal, NullMask, Value, Values, compact_json, parse_datetime,
    parse_guid, parse_timespan, write_json_string,
};
use serde_json::Value as Json;
use std::fmt::Write;

/// A column in the making.
#[derive(Clone, Debug)]
pub(crate) struct ColumnBuilder {
    column: ColumnData,
}

impl ColumnBuilder {
    /// An empty column of type `ty`.
    pub(crate) fn new(ty: ColumnType) -> ColumnBuilder {
        ColumnBuilder::with_capacity(ty, 0)
    }

    /// An empty column of type `ty` with room for `rows` values.
    pub(crate) fn with_capacity(ty: ColumnType, rows: usize) -> ColumnBuilder {
        let values = match ty {
            ColumnType::Bool => Values::Bool(Vec::with_capacity(rows)),
            ColumnType::Int => Values::Int(Vec::with_capacity(rows)),
            ColumnType::Long => Values::Long(Vec::with_capacity(rows)),
            ColumnType::Real => Values::Real(Vec::with_capacity(rows)),
            ColumnType::Decimal => Values::Decimal(Vec::with_capacity(rows)),
            ColumnType::DateTime => Values::DateTime(Vec::with_capacity(rows)),
            ColumnType::TimeSpan => Values::TimeSpan(Vec::with_capacity(rows)),
            ColumnType::Guid => Values::Guid(Vec::with_capacity(rows)),
            ColumnType::String => Values::String(Arena::with_capacity(rows)),
            ColumnType::Dynamic => Values::Dynamic(Arena::with_capacity(rows)),
        };
        ColumnBuilder { column: ColumnData::new(values, NullMask::default()) }
    }

    /// The column's type.
    pub(crate) fn ty(&self) -> ColumnType {
        self.column.ty()
    }

    /// The number of values so far.
    pub(crate) fn len(&self) -> usize {
        self.column.len()
    }

    /// Bytes of memory in use, near enough.
    pub(crate) fn bytes(&self) -> usize {
        self.column.bytes()
    }

    /// Appends a null (the empty text where the type is `string`).
    pub(crate) fn push_null(&mut self) {
        let row = self.len();
        match &mut self.column.values {
            Values::String(v) => return v.push(""),
            Values::Bool(v) => v.push(false),
            Values::Int(v) => v.push(0),
            Values::Long(v) | Values::DateTime(v) | Values::TimeSpan(v) => v.push(0),
            Values::Real(v) => v.push(0.0),
            Values::Decimal(v) => v.push(Decimal::ZERO),
            Values::Guid(v) => v.push(0),
            Values::Dynamic(v) => v.push(""),
        }
        self.column.nulls.mark(row);
    }

    /// Appends the value that `text` spells by the rules of CSV ingestion. Text that is none appends a null; the answer is
    /// false then (for empty text too, unless the type is `string`).
    pub(crate) fn push_text(&mut self, text: &str) -> bool {
        fn push<T>(values: &mut Vec<T>, parsed: Option<T>) -> bool {
            parsed.map(|value| values.push(value)).is_some()
        }
        let pushed = match &mut self.column.values {
            Values::Bool(v) => push(v, parse_bool(text)),
            Values::Int(v) => push(v, parse_i64(text).and_then(|n| i32::try_from(n).ok())),
            Values::Long(v) => push(v, parse_i64(text)),
            Values::Real(v) => push(v, parse_f64(text)),
            Values::Decimal(v) => push(v, Decimal::parse(text)),
            Values::DateTime(v) => push(v, parse_datetime(text)),
            Values::TimeSpan(v) => push(v, parse_timespan(text)),
            Values::Guid(v) => push(v, parse_guid(text)),
            Values::String(v) => {
                v.push(text);
                true
            }
            Values::Dynamic(v) => push_dynamic_text(v, text),
        };
        if !pushed {
            self.push_null();
        }
        pushed
    }

    /// Appends a scalar. An `int` widens to `long`, `real` and `decimal`, a `long` to `real` and `decimal`, anything to
    /// `dynamic`; what fits no other way becomes null.
    pub(crate) fn push_value(&mut self, value: &Value) {
        match (&mut self.column.values, value) {
            (Values::Bool(v), Value::Bool(b)) => v.push(*b),
            (Values::Int(v), Value::Int(n)) => v.push(*n),
            (Values::Long(v), Value::Long(n)) => v.push(*n),
            (Values::Long(v), Value::Int(n)) => v.push(i64::from(*n)),
            (Values::Real(v), Value::Real(n)) => v.push(*n),
            (Values::Real(v), Value::Long(n)) => v.push(*n as f64),
            (Values::Real(v), Value::Int(n)) => v.push(f64::from(*n)),
            (Values::Decimal(v), Value::Decimal(n)) => v.push(*n),
            (Values::Decimal(v), Value::Long(n)) => v.push(Decimal::from(*n)),
            (Values::Decimal(v), Value::Int(n)) => v.push(Decimal::from(i64::from(*n))),
            (Values::DateTime(v), Value::DateTime(t)) | (Values::TimeSpan(v), Value::TimeSpan(t)) => {
                v.push(*t)
            }
            (Values::Guid(v), Value::Guid(g)) => v.push(*g),
            (Values::String(v), Value::String(text)) => v.push(text),
            (Values::Dynamic(_), Value::Null) => self.push_null(),
            (Values::Dynamic(v), value) => v.push_with(|out| super::write_value_json(value, out)),
            _ => self.push_null(),
        }
    }

    /// Appends a JSON value by the rules of JSON ingestion: a `dynamic` takes it whole, a `string` takes the text of a JSON
    /// string and the JSON text of anything else, other types take JSON scalars through their text.
    pub(crate) fn push_json(&mut self, json: &Json) {
        match (&mut self.column.values, json) {
            (_, Json::Null) => self.push_null(),
            (Values::Dynamic(v), json) => {
                v.push_with(|out| super::write_value_json(&Value::dynamic(json.clone()), out))
            }
            (_, Json::String(text)) => drop(self.push_text(text)),
            (Values::String(v), json) => v.push(&json.to_string()),
            (_, Json::Bool(flag)) => drop(self.push_text(if *flag { "true" } else { "false" })),
            (_, Json::Number(number)) => self.push_number(number),
            _ => self.push_null(),
        }
    }

    fn push_number(&mut self, number: &serde_json::Number) {
        let whole = || {
            number
                .as_i64()
                .or(number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64))
        };
        match (&mut self.column.values, number.as_f64()) {
            (Values::Real(v), Some(real)) => v.push(real),
            (Values::Long(v), _) if whole().is_some() => v.extend(whole()),
            (Values::Bool(v), Some(real)) if real == 0.0 || real == 1.0 => v.push(real != 0.0),
            _ => drop(self.push_text(&number.to_string())),
        }
    }

    /// Appends the value in `row` of a column of the same type (a null when the types differ).
    pub(crate) fn push_from(&mut self, from: &ColumnData, row: usize) {
        if from.is_null(row) {
            return self.push_null();
        }
        match (&mut self.column.values, &from.values) {
            (Values::Bool(v), Values::Bool(f)) => v.push(f[row]),
            (Values::Int(v), Values::Int(f)) => v.push(f[row]),
            (Values::Long(v), Values::Long(f))
            | (Values::DateTime(v), Values::DateTime(f))
            | (Values::TimeSpan(v), Values::TimeSpan(f)) => v.push(f[row]),
            (Values::Real(v), Values::Real(f)) => v.push(f[row]),
            (Values::Decimal(v), Values::Decimal(f)) => v.push(f[row]),
            (Values::Guid(v), Values::Guid(f)) => v.push(f[row]),
            (Values::String(v), Values::String(f)) | (Values::Dynamic(v), Values::Dynamic(f)) => {
                v.push(f.get(row))
            }
            _ => self.push_value(&from.value(row)),
        }
    }

    /// Appends every row of a column of the same type.
    pub(crate) fn extend(&mut self, from: &ColumnData) {
        if self.len() == 0 && from.ty() == self.ty() {
            self.column = from.clone();
        } else {
            (0..from.len()).for_each(|row| self.push_from(from, row));
        }
    }

    /// Appends a text to a `string` column as `write` appends it to the string it is given; a null for other types.
    pub(crate) fn push_string_with(&mut self, write: impl FnOnce(&mut String)) {
        match &mut self.column.values {
            Values::String(v) => v.push_with(write),
            _ => self.push_null(),
        }
    }

    /// The values so far.
    pub(crate) fn column(&self) -> &ColumnData {
        &self.column
    }

    /// The finished column.
    pub(crate) fn finish(self) -> ColumnData {
        self.column
    }
}

/// JSON text is kept compact; other text, and JSON with a number that no `real` holds, becomes a JSON string; blank text and
/// `null` are no value.
fn push_dynamic_text(arena: &mut Arena, text: &str) -> bool {
    let trimmed = text.trim_ascii();
    if trimmed.is_empty() || trimmed == "null" {
        return false;
    }
    let plain = !has_unusual_numbers(trimmed);
    let is_json = plain && serde_json::from_str::<serde::de::IgnoredAny>(trimmed).is_ok();
    match if plain { None } else { serde_json::from_str::<Json>(trimmed).ok() } {
        Some(json) => arena.push_with(|out| {
            let _ = write!(out, "{json}");
        }),
        None if is_json => arena.push_with(|out| compact_json(trimmed, out)),
        None => arena.push_with(|out| write_json_string(text, out)),
    }
    true
}

/// Whether there may be numbers with an exponent, or so many digits that they need one: those are looked at one by one.
fn has_unusual_numbers(text: &str) -> bool {
    let mut digits = 0;
    text.bytes().any(|byte| match byte {
        b'0'..=b'9' | b'.' => {
            digits += 1;
            digits > 300
        }
        b'e' | b'E' if digits > 0 => true,
        _ => {
            digits = 0;
            false
        }
    })
}
