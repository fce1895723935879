//! Functions of arrays, sets and property bags inside dynamic values.

use super::Param::{Any, Dynamic, Long, Text};
use super::{Function, exact, long_at, optional, or_null, repeating, text_at};
use crate::data::{ColumnType, TICKS_PER_SECOND, Value};
use crate::kql::cast::{as_f64, text_of, to_json};
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
    optional("array_sort_asc", &[Dynamic, Any], 1, ColumnType::Dynamic, |a, _| sorted(a, false)),
    optional("array_sort_desc", &[Dynamic, Any], 1, ColumnType::Dynamic, |a, _| sorted(a, true)),
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
    optional("range", &[Any, Any, Any], 2, ColumnType::Dynamic, range),
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

/// Numbers, then texts, nulls last unless the second argument is false; arrays with other elements, and several arrays, are not
/// ordered here and give null.
fn sorted(a: &[Value], descending: bool) -> Value {
    let nulls_last = match a.get(1) {
        None => true,
        Some(Value::Bool(last)) => *last,
        Some(_) => return Value::Null,
    };
    let Some(items) = array(a, 0) else { return Value::Null };
    if !items.iter().all(|item| item.is_number() || item.is_string() || item.is_null()) {
        return Value::Null;
    }
    let (nulls, mut items): (Vec<Json>, Vec<Json>) = items.iter().cloned().partition(Json::is_null);
    items.sort_by(|x, y| {
        let order = match (x.as_str(), y.as_str()) {
            (Some(x), Some(y)) => x.cmp(y),
            (None, None) => x.as_f64().partial_cmp(&y.as_f64()).unwrap_or(std::cmp::Ordering::Equal),
            (x, y) => return x.is_some().cmp(&y.is_some()),
        };
        if descending { order.reverse() } else { order }
    });
    let at = if nulls_last { items.len() } else { 0 };
    items.splice(at..at, nulls);
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
    let mut kept = Json::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect());
    for path in keys.iter().filter_map(|key| key.as_str()?.strip_prefix("$.")) {
        let (parent, last) = path.rsplit_once('.').unwrap_or(("", path));
        let mut names = parent.split('.').filter(|name| !name.is_empty());
        let found = names.try_fold(&mut kept, |part, name| part.get_mut(name));
        if let Some(Json::Object(bag)) = found {
            bag.shift_remove(last);
        }
    }
    Value::dynamic(kept)
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

/// Values from the first to the second, a step apart: numbers, instants or durations. The step is 1, or an hour.
fn range(a: &[Value], _: &Env) -> Value {
    let step = a.get(2).cloned().unwrap_or(match &a[0] {
        Value::DateTime(_) | Value::TimeSpan(_) => Value::TimeSpan(3_600 * TICKS_PER_SECOND),
        _ => Value::Long(1),
    });
    let values: Vec<Value> = match (&a[0], &a[1], &step) {
        (Value::DateTime(from), Value::DateTime(to), Value::TimeSpan(by)) => {
            steps(*from, *to, *by).map(Value::DateTime).collect()
        }
        (Value::TimeSpan(from), Value::TimeSpan(to), Value::TimeSpan(by)) => {
            steps(*from, *to, *by).map(Value::TimeSpan).collect()
        }
        (from, to, by) => match (from.as_i64(), to.as_i64(), by.as_i64()) {
            (Some(from), Some(to), Some(by)) => steps(from, to, by).map(Value::Long).collect(),
            _ => match [from, to, by].map(as_f64) {
                [Some(from), Some(to), Some(by)] => reals(from, to, by).map(Value::Real).collect(),
                _ => return Value::Null,
            },
        },
    };
    built(Some(values.iter().map(to_json).collect()))
}

fn steps(from: i64, to: i64, by: i64) -> impl Iterator<Item = i64> {
    let next = move |n: &i64| n.checked_add(by).filter(|_| by != 0);
    let inside = move |n: &i64| if by >= 0 { *n <= to } else { *n >= to };
    std::iter::successors(Some(from), next).take_while(inside).take(MAX_ELEMENTS)
}

fn reals(from: f64, to: f64, by: f64) -> impl Iterator<Item = f64> {
    let inside = move |n: &f64| if by >= 0.0 { *n <= to } else { *n >= to };
    let count = if by == 0.0 { 1 } else { MAX_ELEMENTS };
    (0..count).map(move |at| from + by * at as f64).take_while(inside)
}
