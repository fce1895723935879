//! JSON: how answers encode values, and JSON text made compact.

use super::{Value, format_datetime, format_guid, format_timespan};
use std::fmt::Write;

/// Appends a value as answers encode it: null as `null`, 64-bit integers exactly, NaN and the infinities as strings, decimals,
/// instants, durations and guids as strings, dynamic values as JSON.
pub(crate) fn write_value_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(n) => drop(write!(out, "{n}")),
        Value::Long(n) => drop(write!(out, "{n}")),
        Value::Real(n) => write_real_json(*n, out),
        Value::Decimal(n) => drop(write!(out, "\"{n}\"")),
        Value::DateTime(ticks) => quoted(out, |out| format_datetime(*ticks, out)),
        Value::TimeSpan(ticks) => quoted(out, |out| format_timespan(*ticks, out)),
        Value::Guid(guid) => quoted(out, |out| format_guid(*guid, out)),
        Value::String(text) => write_json_string(text, out),
        Value::Dynamic(json) => drop(write!(out, "{json}")),
    }
}

/// Appends `"`, what `body` writes, `"`.
pub(super) fn quoted(out: &mut String, body: impl FnOnce(&mut String)) {
    out.push('"');
    body(out);
    out.push('"');
}

/// Appends a real: a JSON number, or the strings `"NaN"`, `"Infinity"`, `"-Infinity"`.
pub(super) fn write_real_json(number: f64, out: &mut String) {
    match serde_json::Number::from_f64(number) {
        Some(json) => drop(write!(out, "{json}")),
        None if number.is_nan() => out.push_str("\"NaN\""),
        None => out.push_str(if number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }),
    }
}

/// Appends text as a JSON string, escaped.
pub(crate) fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => drop(write!(out, "\\u{byte:04x}")),
        }
    }
    out.push_str(&text[copied..]);
    out.push('"');
}

/// Appends `text`, which must be valid JSON, without the blanks between its tokens.
pub(crate) fn compact_json(text: &str, out: &mut String) {
    let (mut in_string, mut escaped, mut copied) = (false, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            (escaped, in_string) = (byte == b'\\' && !escaped, byte != b'"' || escaped);
        } else if byte == b'"' {
            in_string = true;
        } else if byte.is_ascii_whitespace() {
            out.push_str(&text[copied..at]);
            copied = at + 1;
        }
    }
    out.push_str(&text[copied..]);
}
