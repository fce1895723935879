//! Functions of arrays, sets and property bags inside dynamic values.

use super::Param::{Any, Dynamic, Long, Text};
use super::{Function, exact, long_at, or_null, repeating, text_at};
use crate::data::{ColumnType, Value};
use crate::kql::cast::{text_of, to_json};
use crate::kql::eval::{Env, MAX_TEXT};
use serde_json::{Map, Value as Json};

/// Elements that `range()` and `repeat()` make at most, as documented for `range()`.
const MAX_ELEMENTS: usize = 1_048_576;

pub(super) const FUNCTIONS: &[Function] = &[
    exact("array_slice", &[Dynamic, Long, Long], ColumnType::Dynamic, array_slice),
    exact("array_reverse", &[Dynamic], ColumnType::Dynamic, |a, _| {
        built(array(a, 0).map(|items| items.iter().rev().cloned().collect()))
    }),
    exact("array_rotate_left", &[Dynamic, Long], ColumnType::Dynamic, |a, _| rotate(a, 1)),
    exact("array_rotate_right", &[Dynamic, Long], ColumnType::Dynamic, |a, _| rotate(a, -1)),
    exact("array_sum", &[Dynamic], ColumnType::Real, |a, _| {
        let sum = |items: &Vec<Json>| items.iter().map(Json::as_f64).sum::<Option<f64>>();
        or_null(array(a, 0).and_then(sum), Value::Real)
    }),
    exact("array_sort_asc", &[Dynamic], ColumnType::Dynamic, |a, _| sorted(a, false)),
    exact("array_sort_desc", &[Dynamic], ColumnType::Dynamic, |a, _| sorted(a, true)),
    exact("strcat_array", &[Dynamic, Text], ColumnType::String, strcat_array),
    repeating("set_union", &[Dynamic, Dynamic], ColumnType::Dynamic, |a, _| {
        set(a, |all| all.concat().into_iter().collect())
    }),
    repeating("set_intersect", &[Dynamic, Dynamic], ColumnType::Dynamic, |a, _| {
        set(a, |all| first_where(all, |item, rest| rest.iter().all(|other| other.contains(item))))
    }),
    repeating("set_difference", &[Dynamic, Dynamic], ColumnType::Dynamic, |a, _| {
        set(a, |all| first_where(all, |item, rest| !rest.iter().any(|other| other.contains(item))))
    }),
    repeating("bag_merge", &[Dynamic, Dynamic], ColumnType::Dynamic, bag_merge),
    exact("bag_remove_keys", &[Dynamic, Dynamic], ColumnType::Dynamic, bag_remove_keys),
    exact("repeat", &[Any, Long], ColumnType::Dynamic, repeat),
    exact("range", &[Long, Long, Long], ColumnType::Dynamic, range),
];

fn array(a: &[Value], at: usize) -> Option<&Vec<Json>> {
    match a.get(at) {
        Some(Value::Dynamic(json)) => json.as_array(),
        _ => None,
    }
}

fn built(items: Option<Vec<Json>>) -> Value {
    or_null(items, |items| Value::dynamic(Json::Array(items)))
}

/// A place in an array of `len` elements: counted from its end when negative.
fn place(at: i64, len: usize) -> i64 {
    if at < 0 { at.saturating_add(len as i64) } else { at }
}

/// The elements from one place to another, both included.
fn array_slice(a: &[Value], _: &Env) -> Value {
    let (Some(items), Some(start), Some(end)) = (array(a, 0), long_at(a, 1), long_at(a, 2)) else {
        return Value::Null;
    };
    let start = place(start, items.len()).max(0) as usize;
    let end = (place(end, items.len()).saturating_add(1)).clamp(0, items.len() as i64) as usize;
    built(Some(items.get(start..end).unwrap_or_default().to_vec()))
}

fn rotate(a: &[Value], direction: i64) -> Value {
    let (Some(items), Some(count)) = (array(a, 0), long_at(a, 1)) else { return Value::Null };
    let mut items = items.clone();
    if !items.is_empty() {
        let by = count.wrapping_mul(direction).rem_euclid(items.len() as i64);
        items.rotate_left(by as usize);
    }
    built(Some(items))
}

/// Numbers, then texts; arrays with other elements are not ordered here and give null.
fn sorted(a: &[Value], descending: bool) -> Value {
    let Some(items) = array(a, 0) else { return Value::Null };
    if !items.iter().all(|item| item.is_number() || item.is_string()) {
        return Value::Null;
    }
    let mut items = items.clone();
    items.sort_by(|x, y| {
        let order = match (x.as_str(), y.as_str()) {
            (Some(x), Some(y)) => x.cmp(y),
            (None, None) => x.as_f64().partial_cmp(&y.as_f64()).unwrap_or(std::cmp::Ordering::Equal),
            (x, y) => return x.is_some().cmp(&y.is_some()),
        };
        if descending { order.reverse() } else { order }
    });
    built(Some(items))
}

fn strcat_array(a: &[Value], env: &Env) -> Value {
    let Some(items) = array(a, 0) else { return Value::from("") };
    let texts: Vec<String> = items.iter().map(|item| text_of(&Value::dynamic(item.clone()))).collect();
    if texts.iter().map(|text| text.len() + text_at(a, 1).len()).sum::<usize>() > MAX_TEXT {
        return env.exhaust();
    }
    Value::string(texts.join(text_at(a, 1)))
}

/// The distinct elements of what `combine` makes of arrays; null when one is no array.
fn set(a: &[Value], combine: impl Fn(&[Vec<Json>]) -> Vec<Json>) -> Value {
    let all: Option<Vec<Vec<Json>>> = (0..a.len()).map(|at| array(a, at).cloned()).collect();
    let Some(all) = all else { return Value::Null };
    let mut seen = std::collections::HashSet::new();
    let distinct = combine(&all).into_iter().filter(|item| seen.insert(item.to_string()));
    built(Some(distinct.collect()))
}

fn first_where(all: &[Vec<Json>], wanted: impl Fn(&Json, &[Vec<Json>]) -> bool) -> Vec<Json> {
    let Some((first, rest)) = all.split_first() else { return Vec::new() };
    first.iter().filter(|item| wanted(item, rest)).cloned().collect()
}

/// All keys; of a key that several bags have, the leftmost value.
fn bag_merge(a: &[Value], _: &Env) -> Value {
    let mut merged = Map::new();
    for value in a {
        if let Value::Dynamic(json) = value
            && let Some(bag) = json.as_object()
        {
            for (key, value) in bag {
                merged.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }
    Value::dynamic(Json::Object(merged))
}

fn bag_remove_keys(a: &[Value], _: &Env) -> Value {
    let (Some(Value::Dynamic(json)), Some(keys)) = (a.first(), array(a, 1)) else { return Value::Null };
    let Some(bag) = json.as_object() else { return Value::Null };
    let kept = bag.iter().filter(|(key, _)| !keys.iter().any(|other| other.as_str() == Some(key)));
    Value::dynamic(Json::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect()))
}

fn repeat(a: &[Value], env: &Env) -> Value {
    let Some(count) = long_at(a, 1) else { return Value::Null };
    let item = to_json(&a[0]);
    let count = count.max(0) as usize;
    if count > MAX_ELEMENTS || count.saturating_mul(item.to_string().len()) > MAX_TEXT {
        return env.exhaust();
    }
    built(Some(vec![item; count]))
}

/// Whole numbers from the first to the second, a step apart.
fn range(a: &[Value], _: &Env) -> Value {
    let (Some(start), Some(end), Some(step)) = (long_at(a, 0), long_at(a, 1), long_at(a, 2)) else {
        return Value::Null;
    };
    if step == 0 {
        return Value::Null;
    }
    let next = |n: &i64| n.checked_add(step);
    let inside = |n: &i64| if step > 0 { *n <= end } else { *n >= end };
    let numbers = std::iter::successors(Some(start), next).take_while(inside).take(MAX_ELEMENTS);
    built(Some(numbers.map(Json::from).collect()))
}
