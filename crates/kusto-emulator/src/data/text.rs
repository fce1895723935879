//! Scalars from text and to text: the forms in which CSV carries them and `tostring()` writes them.
//!
//! Text that is no value of the type becomes null (`MicrosoftDocs/dataexplorer-docs data-explorer/ingest-invalid-data.md`).

use super::{
    ColumnType, Decimal, Value, format_datetime, format_guid, format_timespan, parse_datetime, parse_guid,
    parse_timespan,
};
use std::fmt::Write;
use std::sync::Arc;

/// Parses text as a value of type `ty`; null when it is none. A string is taken as it is; text that is not JSON becomes a
/// `dynamic` holding that string; empty text is null for every type but `string`.
pub(crate) fn parse_text(ty: ColumnType, text: &str) -> Value {
    fn or_null<T>(parsed: Option<T>, wrap: fn(T) -> Value) -> Value {
        parsed.map_or(Value::Null, wrap)
    }
    match ty {
        ColumnType::Bool => or_null(parse_bool(text), Value::Bool),
        ColumnType::Int => or_null(parse_i64(text).and_then(|n| i32::try_from(n).ok()), Value::Int),
        ColumnType::Long => or_null(parse_i64(text), Value::Long),
        ColumnType::Real => or_null(parse_f64(text), Value::Real),
        ColumnType::Decimal => or_null(Decimal::parse(text), Value::Decimal),
        ColumnType::DateTime => or_null(parse_datetime(text), Value::DateTime),
        ColumnType::TimeSpan => or_null(parse_timespan(text), Value::TimeSpan),
        ColumnType::Guid => or_null(parse_guid(text), Value::Guid),
        ColumnType::String => Value::String(Arc::from(text)),
        ColumnType::Dynamic => parse_dynamic(text),
    }
}

fn parse_dynamic(text: &str) -> Value {
    if text.trim_ascii().is_empty() {
        return Value::Null;
    }
    match serde_json::from_str(text) {
        Ok(json) => Value::dynamic(json),
        Err(_) => Value::dynamic(serde_json::Value::String(text.to_owned())),
    }
}

/// `true`, `false` (any case), `1`, `0`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    let text = text.trim_ascii();
    if text == "1" || text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text == "0" || text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// A whole number in base ten with an optional sign, within 64 bits.
pub(super) fn parse_i64(text: &str) -> Option<i64> {
    text.trim_ascii().parse().ok()
}

/// A number with optional fraction and exponent, or NaN and the infinities as query results spell them (`Infinity`, or `inf`).
pub(super) fn parse_f64(text: &str) -> Option<f64> {
    text.trim_ascii().parse().ok()
}

/// Appends a real as people read it: the shortest digits that give the number back, with a point or an exponent.
pub(super) fn write_real(number: f64, out: &mut String) {
    if number.is_nan() {
        out.push_str("NaN");
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
    } else if number != 0.0 && !(1e-5..1e15).contains(&number.abs()) {
        let _ = write!(out, "{number:E}");
    } else {
        let _ = write!(out, "{number:?}");
    }
}

/// Appends a value as `tostring()` gives it: null is empty, a dynamic string is its text, other dynamics are JSON.
pub(crate) fn write_value_text(value: &Value, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(n) => drop(write!(out, "{n}")),
        Value::Long(n) => drop(write!(out, "{n}")),
        Value::Real(n) => write_real(*n, out),
        Value::Decimal(n) => drop(write!(out, "{n}")),
        Value::DateTime(ticks) => format_datetime(*ticks, out),
        Value::TimeSpan(ticks) => format_timespan(*ticks, out),
        Value::Guid(guid) => format_guid(*guid, out),
        Value::String(text) => out.push_str(text),
        Value::Dynamic(json) => match &**json {
            serde_json::Value::String(text) => out.push_str(text),
            other => drop(write!(out, "{other}")),
        },
    }
}
