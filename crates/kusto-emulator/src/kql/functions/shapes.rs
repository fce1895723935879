//! More functions of arrays, sets and property bags: shifted, split, zipped, compared, walked through.

use super::Param::{Any, Dynamic, Long, Text};
use super::{Function, exact, long_at, optional, or_null, repeating, text_at};
use crate::data::{ColumnType, Value};
use crate::kql::cast::to_json;
use crate::kql::eval::Env;
use serde_json::{Map, Value as Json};

pub(super) const FUNCTIONS: &[Function] = &[
    optional("array_shift_left", &[Dynamic, Long, Any], 2, ColumnType::Dynamic, |a, _| shifted(a, 1)),
    optional("array_shift_right", &[Dynamic, Long, Any], 2, ColumnType::Dynamic, |a, _| shifted(a, -1)),
    exact("array_split", &[Dynamic, Any], ColumnType::Dynamic, array_split),
    exact("array_iff", &[Dynamic, Any, Any], ColumnType::Dynamic, array_iff),
    exact("array_iif", &[Dynamic, Any, Any], ColumnType::Dynamic, array_iff),
    exact("bag_set_key", &[Dynamic, Text, Any], ColumnType::Dynamic, bag_set_key),
    exact("bag_zip", &[Dynamic, Dynamic], ColumnType::Dynamic, bag_zip),
    repeating("zip", &[Dynamic, Dynamic], ColumnType::Dynamic, zip),
    exact("set_equals", &[Dynamic, Dynamic], ColumnType::Bool, |a, _| {
        or_null(
            sets(a).map(|[x, y]| x.len() == y.len() && x.iter().all(|item| y.contains(item))),
            Value::Bool,
        )
    }),
    exact("jaccard_index", &[Dynamic, Dynamic], ColumnType::Real, |a, _| {
        let index = |[x, y]: [Vec<Json>; 2]| {
            let common = x.iter().filter(|item| y.contains(item)).count();
            let all = x.len() + y.len() - common;
            if all == 0 { f64::NAN } else { common as f64 / all as f64 }
        };
        or_null(sets(a).map(index), Value::Real)
    }),
    exact("treepath", &[Dynamic], ColumnType::Dynamic, treepath),
    exact("dynamic_to_json", &[Dynamic], ColumnType::String, |a, _| {
        Value::string(json(a, 0).map_or_else(String::new, |json| sorted_keys(json).to_string()))
    }),
];

fn json(a: &[Value], at: usize) -> Option<&Json> {
    match a.get(at) {
        Some(Value::Dynamic(json)) => Some(json),
        _ => None,
    }
}

fn array(a: &[Value], at: usize) -> Option<&Vec<Json>> {
    json(a, at).and_then(Json::as_array)
}

/// Elements moved by some places; what is left empty becomes the third argument, or null.
fn shifted(a: &[Value], direction: i64) -> Value {
    let (Some(items), Some(count)) = (array(a, 0), long_at(a, 1)) else { return Value::Null };
    let filler = a.get(2).map_or(Json::Null, to_json);
    let by = count.saturating_mul(direction);
    let element = |at: usize| {
        let from = (at as i64).checked_add(by).and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| items.get(from)).unwrap_or(&filler).clone()
    };
    Value::dynamic((0..items.len()).map(element).collect())
}

/// The parts between some places; a negative place counts from the end.
fn array_split(a: &[Value], _: &Env) -> Value {
    let Some(items) = array(a, 0) else { return Value::Null };
    let places: Option<Vec<i64>> = match &a[1] {
        Value::Dynamic(json) => match &**json {
            Json::Array(places) => places.iter().map(Json::as_i64).collect(),
            single => single.as_i64().map(|place| vec![place]),
        },
        single => single.as_i64().map(|place| vec![place]),
    };
    let Some(places) = places else { return Value::Null };
    let mut parts = Vec::with_capacity(places.len() + 1);
    let mut start = 0;
    for place in places {
        let place = if place < 0 { place.saturating_add(items.len() as i64) } else { place };
        let end = (place.max(0) as usize).clamp(start, items.len());
        parts.push(Json::Array(items[start..end].to_vec()));
        start = end;
    }
    parts.push(Json::Array(items[start..].to_vec()));
    Value::dynamic(Json::Array(parts))
}

/// For each flag the element in its place of one or the other array; an argument that is no array stands for all of its places.
fn array_iff(a: &[Value], _: &Env) -> Value {
    let Some(flags) = array(a, 0) else { return Value::Null };
    let flag = |json: &Json| json.as_bool().or_else(|| json.as_f64().map(|n| n != 0.0));
    let element = |at: usize, argument: usize| match (array(a, argument), &a[argument]) {
        (Some(items), _) => items.get(at).cloned().unwrap_or(Json::Null),
        (None, value) => to_json(value),
    };
    let chosen = flags.iter().enumerate().map(|(at, json)| match flag(json) {
        Some(true) => element(at, 1),
        Some(false) => element(at, 2),
        None => Json::Null,
    });
    Value::dynamic(chosen.collect())
}

/// A bag with a value set; `$.a.b` leads to a bag inside, which is made where there is none.
fn bag_set_key(a: &[Value], _: &Env) -> Value {
    let Some(json @ Json::Object(_)) = json(a, 0) else { return Value::Null };
    let key = text_at(a, 1);
    let path: Vec<&str> = key.strip_prefix("$.").map_or_else(|| vec![key], |path| path.split('.').collect());
    let mut json = json.clone();
    let mut place = &mut json;
    for name in path {
        if !place.is_object() {
            *place = Json::Object(Map::new());
        }
        let Json::Object(bag) = place else { return Value::Null };
        place = bag.entry(name).or_insert(Json::Null);
    }
    *place = to_json(&a[2]);
    Value::dynamic(json)
}

/// A bag of names and values; values that are missing are null, names that are missing drop their values.
fn bag_zip(a: &[Value], _: &Env) -> Value {
    let Some(keys) = array(a, 0) else { return Value::Null };
    let values = array(a, 1).map_or(&[][..], Vec::as_slice);
    let mut bag = Map::new();
    for (at, key) in keys.iter().enumerate() {
        if let Some(key) = key.as_str() {
            bag.insert(key.to_owned(), values.get(at).cloned().unwrap_or(Json::Null));
        }
    }
    Value::dynamic(Json::Object(bag))
}

/// Arrays of the elements in one place each, as many as the longest array has; what is no array is an array of itself.
fn zip(a: &[Value], _: &Env) -> Value {
    let lists: Vec<Vec<Json>> =
        (0..a.len()).map(|at| array(a, at).cloned().unwrap_or_else(|| vec![to_json(&a[at])])).collect();
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let tuple = |at: usize| lists.iter().map(|list| list.get(at).cloned().unwrap_or(Json::Null)).collect();
    Value::dynamic((0..longest).map(tuple).collect::<Vec<Json>>().into())
}

/// The distinct elements of two arrays.
fn sets(a: &[Value]) -> Option<[Vec<Json>; 2]> {
    let distinct = |items: &Vec<Json>| {
        let mut seen = std::collections::HashSet::new();
        items.iter().filter(|item| seen.insert(item.to_string())).cloned().collect::<Vec<Json>>()
    };
    Some([distinct(array(a, 0)?), distinct(array(a, 1)?)])
}

/// The paths of all parts, elements of arrays as `[0]`.
fn treepath(a: &[Value], _: &Env) -> Value {
    fn walk(json: &Json, path: &str, paths: &mut Vec<Json>) {
        let mut part = |path: String, part: &Json| {
            if !paths.contains(&Json::String(path.clone())) {
                paths.push(Json::String(path.clone()));
            }
            walk(part, &path, paths);
        };
        match json {
            Json::Object(bag) => bag.iter().for_each(|(key, value)| part(format!("{path}['{key}']"), value)),
            Json::Array(items) => items.iter().for_each(|item| part(format!("{path}[0]"), item)),
            _ => {}
        }
    }
    let Some(json) = json(a, 0) else { return Value::Null };
    let mut paths = Vec::new();
    walk(json, "", &mut paths);
    Value::dynamic(Json::Array(paths))
}

/// The same JSON with the names in order.
fn sorted_keys(json: &Json) -> Json {
    match json {
        Json::Array(items) => items.iter().map(sorted_keys).collect(),
        Json::Object(bag) => {
            let mut sorted: Vec<(String, Json)> =
                bag.iter().map(|(key, value)| (key.clone(), sorted_keys(value))).collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(sorted.into_iter().collect())
        }
        other => other.clone(),
    }
}
