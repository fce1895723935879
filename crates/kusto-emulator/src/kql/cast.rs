//! Conversions between types: the `to..()` functions, and the widening of numbers.

use crate::data::{
    ColumnBuilder, ColumnData, ColumnType, Decimal, NullMask, Value, Values, parse_text, write_value_text,
};

/// Whether a value of type `from` can be converted to type `to` at all.
pub(super) fn possible(from: ColumnType, to: ColumnType) -> bool {
    use ColumnType::{Bool, DateTime, Decimal, Dynamic, Int, Long, Real, String, TimeSpan};
    match (from, to) {
        (String | Dynamic, _) | (_, String | Dynamic) => true,
        (a, b) if a == b => true,
        (a, b) if a.is_numeric() && b.is_numeric() => true,
        (Bool, Int | Long | Real | Decimal) | (Int | Long | Real | Decimal, Bool) => true,
        (DateTime | TimeSpan, Long) | (Long, DateTime | TimeSpan) => true,
        _ => false,
    }
}

/// The column's values as type `to`; what cannot be converted is null.
pub(super) fn column(from: &ColumnData, to: ColumnType) -> ColumnData {
    let nulls = || from.nulls().clone();
    match (from.values(), to) {
        (Values::Int(v), ColumnType::Long) => {
            ColumnData::new(Values::Long(v.iter().map(|n| i64::from(*n)).collect()), nulls())
        }
        (Values::Int(v), ColumnType::Real) => {
            ColumnData::new(Values::Real(v.iter().map(|n| f64::from(*n)).collect()), nulls())
        }
        (Values::Long(v), ColumnType::Real) => {
            ColumnData::new(Values::Real(v.iter().map(|n| *n as f64).collect()), nulls())
        }
        (_, ColumnType::String) => text_column(from),
        (Values::String(v), _) => {
            let mut built = ColumnBuilder::with_capacity(to, v.len());
            v.iter().for_each(|text| {
                built.push_text(text);
            });
            built.finish()
        }
        _ => {
            let mut built = ColumnBuilder::with_capacity(to, from.len());
            (0..from.len()).for_each(|row| built.push_value(&value(&from.value(row), to)));
            built.finish()
        }
    }
}

/// The same for the `to..()` functions of a query.
pub(super) fn of_query(from: &ColumnData, to: ColumnType, reads_hexadecimal: bool) -> ColumnData {
    let (Values::String(texts), true) = (from.values(), reads_hexadecimal) else { return column(from, to) };
    if !matches!(to, ColumnType::Int | ColumnType::Long) {
        return column(from, to);
    }
    let mut built = ColumnBuilder::with_capacity(to, texts.len());
    texts.iter().for_each(|text| match hexadecimal(text, to) {
        Some(number) => built.push_value(&number),
        None => drop(built.push_text(text)),
    });
    built.finish()
}

/// The number that hexadecimal digits behind `0x` spell, for `tolong()` and `toint()`. The documents have the form for literals
/// only (`data-explorer/kusto/query/scalar-data-types/long.md`); queries in the wild lean on the functions reading it too.
/// Ingestion does not.
fn hexadecimal(text: &str, to: ColumnType) -> Option<Value> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match to {
        ColumnType::Long => {
            Some(u64::from_str_radix(digits, 16).map_or(Value::Null, |n| Value::Long(n as i64)))
        }
        ColumnType::Int => {
            Some(u32::from_str_radix(digits, 16).map_or(Value::Null, |n| Value::Int(n as i32)))
        }
        _ => None,
    }
}

fn text_column(from: &ColumnData) -> ColumnData {
    let mut built = ColumnBuilder::with_capacity(ColumnType::String, from.len());
    (0..from.len()).for_each(|row| {
        if from.is_null(row) {
            built.push_null()
        } else {
            built.push_string_with(|out| from.write_text(row, out))
        }
    });
    built.finish()
}

/// One value as type `to`, or null.
pub(super) fn value(from: &Value, to: ColumnType) -> Value {
    if from.ty() == Some(to) {
        return from.clone();
    }
    match (from, to) {
        (Value::Null, ColumnType::String) => Value::from(""),
        (Value::Null, _) => Value::Null,
        (_, ColumnType::String) => Value::string(text_of(from)),
        (Value::String(text), _) => parse_text(to, text),
        (Value::Dynamic(json), _) => of_json(json, to),
        (_, ColumnType::Dynamic) => as_dynamic(from),
        (_, ColumnType::Bool) => as_f64(from).map_or(Value::Null, |n| Value::Bool(n != 0.0)),
        (_, ColumnType::Int) => {
            as_i64(from).and_then(|n| i32::try_from(n).ok()).map_or(Value::Null, Value::Int)
        }
        (_, ColumnType::Long) => as_i64(from).map_or(Value::Null, Value::Long),
        (_, ColumnType::Real) => as_f64(from).map_or(Value::Null, Value::Real),
        (_, ColumnType::Decimal) => as_decimal(from).map_or(Value::Null, Value::Decimal),
        (Value::Long(n), ColumnType::DateTime) if (0..=crate::data::MAX_DATETIME).contains(n) => {
            Value::DateTime(*n)
        }
        (Value::Long(n), ColumnType::TimeSpan) => Value::TimeSpan(*n),
        _ => Value::Null,
    }
}

/// The text that `tostring()` gives.
pub(super) fn text_of(value: &Value) -> String {
    let mut text = String::new();
    write_value_text(value, &mut text);
    text
}

/// Any value as a dynamic one.
pub(super) fn as_dynamic(from: &Value) -> Value {
    Value::dynamic(to_json(from))
}

/// Any value as JSON, as it stands inside a dynamic.
pub(super) fn to_json(from: &Value) -> serde_json::Value {
    match from {
        Value::Dynamic(json) => (**json).clone(),
        Value::String(text) => serde_json::Value::String(text.to_string()),
        other => {
            let mut text = String::new();
            crate::data::write_value_json(other, &mut text);
            serde_json::from_str(&text).unwrap_or(serde_json::Value::Null)
        }
    }
}

/// A JSON value as a scalar; objects and arrays only have a text.
fn of_json(json: &serde_json::Value, to: ColumnType) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::String(text) => parse_text(to, text),
        Json::Bool(flag) => value(&Value::Bool(*flag), to),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(n), _) => value(&Value::Long(n), to),
            (None, Some(n)) => value(&Value::Real(n), to),
            _ => Value::Null,
        },
        _ => Value::Null,
    }
}

pub(super) fn as_i64(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(b) => Some(i64::from(*b)),
        Value::Real(n) if n.is_finite() && n.abs() < 9.223_372_036_854_775e18 => Some(*n as i64),
        Value::Decimal(n) => n.to_i64(),
        Value::DateTime(t) | Value::TimeSpan(t) => Some(*t),
        other => other.as_i64(),
    }
}

pub(super) fn as_f64(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(b) => Some(f64::from(*b)),
        Value::Real(n) => Some(*n),
        Value::Decimal(n) => Some(n.to_f64()),
        other => other.as_i64().map(|n| n as f64),
    }
}

pub(super) fn as_decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Decimal(n) => Some(*n),
        Value::Real(n) => Decimal::from_f64(*n),
        Value::Bool(b) => Some(Decimal::from(i64::from(*b))),
        other => other.as_i64().map(Decimal::from),
    }
}

/// A column of booleans, unknown where the item is none.
pub(super) fn flags(items: impl Iterator<Item = Option<bool>>) -> ColumnData {
    let mut nulls = NullMask::default();
    let values = items
        .enumerate()
        .map(|(row, item)| {
            item.unwrap_or_else(|| {
                nulls.mark(row);
                false
            })
        })
        .collect();
    ColumnData::new(Values::Bool(values), nulls)
}
