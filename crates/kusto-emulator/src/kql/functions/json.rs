//! Functions of dynamic values.

use super::Param::{Any, AsText, Dynamic, Long};
use super::{Function, exact, long_at, optional, or_null, repeating};
use crate::data::{ColumnType, Value};
use crate::kql::cast::to_json;
use crate::kql::eval::Env;
use serde_json::Value as Json;

pub(super) const FUNCTIONS: &[Function] = &[
    // `a.b`, `a[0]`, `a['b']`: an element of an array or bag.
    exact("[]", &[Dynamic, Any], ColumnType::Dynamic, element),
    exact("array_length", &[Dynamic], ColumnType::Long, |a, _| {
        or_null(array(a).map(|v| v.len() as i64), Value::Long)
    }),
    repeating("array_concat", &[Dynamic], ColumnType::Dynamic, array_concat),
    optional("array_index_of", &[Dynamic, Any, Long, Long, Long], 2, ColumnType::Long, array_index_of),
    exact("set_has_element", &[Dynamic, Any], ColumnType::Bool, |a, _| {
        or_null(array(a).map(|items| items.contains(&to_json(&a[1]))), Value::Bool)
    }),
    repeating("pack_array", &[Any], ColumnType::Dynamic, |a, _| {
        Value::dynamic(a.iter().map(to_json).collect())
    }),
    repeating("bag_pack", &[AsText, Any], ColumnType::Dynamic, bag_pack),
    repeating("pack", &[AsText, Any], ColumnType::Dynamic, bag_pack),
    // `pack_all(true)`.
    repeating("pack_nonempty", &[AsText, Any], ColumnType::Dynamic, pack_nonempty),
    exact("bag_keys", &[Dynamic], ColumnType::Dynamic, bag_keys),
    exact("bag_has_key", &[Dynamic, AsText], ColumnType::Bool, bag_has_key),
    exact("gettype", &[Any], ColumnType::String, get_type),
];

fn json(a: &[Value]) -> Option<&Json> {
    match a.first() {
        Some(Value::Dynamic(json)) => Some(json),
        _ => None,
    }
}

fn array(a: &[Value]) -> Option<&Vec<Json>> {
    json(a).and_then(Json::as_array)
}

fn element(a: &[Value], _: &Env) -> Value {
    let found = match (json(a), &a[1]) {
        (Some(Json::Object(bag)), Value::String(key)) => bag.get(&**key),
        (Some(Json::Array(items)), index) => index.as_i64().and_then(|at| {
            let at = if at < 0 { at + items.len() as i64 } else { at };
            items.get(usize::try_from(at).ok()?)
        }),
        _ => None,
    };
    found.map_or(Value::Null, |json| Value::dynamic(json.clone()))
}

fn array_concat(a: &[Value], _: &Env) -> Value {
    let mut joined = Vec::new();
    for value in a {
        match value {
            Value::Dynamic(json) if json.is_array() => {
                joined.extend(json.as_array().into_iter().flatten().cloned())
            }
            _ => return Value::Null,
        }
    }
    Value::dynamic(Json::Array(joined))
}

/// The place of an occurrence (the first one) from a place on and within a length; -1 when there is none.
fn array_index_of(a: &[Value], _: &Env) -> Value {
    let Some(items) = array(a) else { return Value::Null };
    let wanted = to_json(&a[1]);
    let start = long_at(a, 2).unwrap_or(0);
    let start = if start < 0 { start.saturating_add(items.len() as i64).max(0) } else { start };
    let (length, occurrence) = (long_at(a, 3).unwrap_or(-1), long_at(a, 4).unwrap_or(1));
    if length < -1 || occurrence < 1 {
        return Value::Null;
    }
    let number = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
    let length = if length < 0 { usize::MAX } else { number(length) };
    let places = items.iter().enumerate().skip(number(start)).take(length);
    let mut found = places.filter(|(_, item)| **item == wanted).map(|(at, _)| at as i64);
    Value::Long(found.nth(number(occurrence - 1)).unwrap_or(-1))
}

/// Keys and values in turn; a bag keeps the order in which they come.
fn bag_pack(a: &[Value], _: &Env) -> Value {
    let pairs = a.chunks_exact(2).map(|pair| (pair[0].as_str().unwrap_or("").to_owned(), to_json(&pair[1])));
    Value::dynamic(Json::Object(pairs.collect()))
}

/// As [`bag_pack`], without what is null or empty.
fn pack_nonempty(a: &[Value], env: &Env) -> Value {
    let empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    let kept: Vec<Value> = a.chunks_exact(2).filter(|pair| !empty(&pair[1])).flatten().cloned().collect();
    bag_pack(&kept, env)
}

fn bag_keys(a: &[Value], _: &Env) -> Value {
    or_null(json(a).and_then(Json::as_object), |bag| Value::dynamic(bag.keys().map(String::as_str).collect()))
}

fn bag_has_key(a: &[Value], _: &Env) -> Value {
    let key = a[1].as_str().unwrap_or("");
    let has = |bag: &serde_json::Map<String, Json>| match key.strip_prefix('$') {
        Some(path) => json(a).is_some_and(|json| super::parts::follow(json, path).is_some()),
        None => bag.contains_key(key),
    };
    or_null(json(a).and_then(Json::as_object).map(has), Value::Bool)
}

/// The type of a value at run time; that of what is inside a dynamic.
fn get_type(a: &[Value], _: &Env) -> Value {
    Value::from(match &a[0] {
        Value::Null => "null",
        Value::Dynamic(json) => match &**json {
            Json::Array(_) => "array",
            Json::Object(_) => "dictionary",
            Json::String(_) => "string",
            Json::Bool(_) => "bool",
            Json::Number(n) if n.is_f64() => "double",
            Json::Number(_) => "long",
            Json::Null => "null",
        },
        other => {
            other.ty().map_or("null", |ty| if ty == ColumnType::Real { "double" } else { ty.csl_name() })
        }
    })
}
