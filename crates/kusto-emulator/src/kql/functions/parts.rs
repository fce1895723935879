//! Functions that take texts apart and put them together: CSV, URLs, JSON paths, code points, sizes.

use super::Param::{Any, AsText, Dynamic, Long, Real, Text};
use super::text::with_regex;
use super::{Function, exact, long_at, optional, or_null, repeating, text_at};
use crate::data::{ColumnType, Decimal, Value};
use crate::kql::cast::text_of;
use crate::kql::eval::{Env, MAX_TEXT};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

pub(super) const FUNCTIONS: &[Function] = &[
    optional("indexof_regex", &[AsText, Text, Long, Long, Long], 2, ColumnType::Long, indexof_regex),
    exact("regex_quote", &[Text], ColumnType::String, |a, _| Value::string(regex::escape(text_at(a, 0)))),
    exact("replace_strings", &[Text, Dynamic, Dynamic], ColumnType::String, replace_strings),
    exact("translate", &[Text, Text, Text], ColumnType::String, translate),
    exact("to_utf8", &[Text], ColumnType::Dynamic, code_points),
    exact("unicode_codepoints_from_string", &[Text], ColumnType::Dynamic, code_points),
    repeating("make_string", &[Any], ColumnType::String, of_code_points),
    repeating("unicode_codepoints_to_string", &[Any], ColumnType::String, of_code_points),
    exact("parse_csv", &[Text], ColumnType::Dynamic, parse_csv),
    exact("parse_urlquery", &[Text], ColumnType::Dynamic, |a, _| {
        Value::dynamic(json!({"Query Parameters": query_parameters(text_at(a, 0))}))
    }),
    exact("base64_decode_toarray", &[Text], ColumnType::Dynamic, |a, _| {
        let bytes = STANDARD.decode(text_at(a, 0));
        or_null(bytes.ok(), |bytes| Value::dynamic(bytes.into_iter().map(Json::from).collect()))
    }),
    exact("base64_encode_fromarray", &[Dynamic], ColumnType::String, |a, _| {
        let Value::Dynamic(json) = &a[0] else { return Value::from("") };
        let byte = |item: &Json| item.as_u64().and_then(|n| u8::try_from(n).ok());
        let bytes: Option<Vec<u8>> = json.as_array().and_then(|items| items.iter().map(byte).collect());
        Value::string(bytes.map_or_else(String::new, |bytes| STANDARD.encode(bytes)))
    }),
    exact("base64_encode_fromguid", &[Any], ColumnType::String, |a, _| match &a[0] {
        Value::Guid(guid) => Value::string(STANDARD.encode(mixed_endian(guid.to_be_bytes()))),
        _ => Value::from(""),
    }),
    exact("base64_decode_toguid", &[Text], ColumnType::Guid, |a, _| {
        let bytes = STANDARD.decode(text_at(a, 0)).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        or_null(bytes.map(|bytes| u128::from_be_bytes(mixed_endian(bytes))), Value::Guid)
    }),
    exact("parse_version", &[Text], ColumnType::Decimal, parse_version),
    exact("extract_json", &[Text, Text], ColumnType::String, extract_json),
    optional("format_bytes", &[Real, Long, Text], 1, ColumnType::String, format_bytes),
];

/// The place, in characters, of the first match from a place on, within a length, and the how-manieth; -1 when there is none.
fn indexof_regex(a: &[Value], _: &Env) -> Value {
    let text = text_at(a, 0);
    let start = long_at(a, 2).unwrap_or(0);
    let length = long_at(a, 3).unwrap_or(-1);
    let occurrence = long_at(a, 4).unwrap_or(1);
    let (Ok(start), true, true) = (usize::try_from(start), length >= -1, occurrence > 0) else {
        return Value::Null;
    };
    let byte = |chars: usize| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    let from = byte(start);
    let to = usize::try_from(length).map_or(text.len(), |length| byte(start.saturating_add(length)));
    let nth = usize::try_from(occurrence - 1).unwrap_or(usize::MAX);
    let found = with_regex(text_at(a, 1), |regex| {
        regex
            .find_iter(&text[from..to])
            .nth(nth)
            .map(|found| text[..from + found.start()].chars().count() as i64)
    });
    or_null(found.map(|at| at.unwrap_or(-1)), Value::Long)
}

/// Each text of the first array replaced by the text in its place of the second.
fn replace_strings(a: &[Value], env: &Env) -> Value {
    let list = |at: usize| match &a[at] {
        Value::Dynamic(json) => json.as_array(),
        _ => None,
    };
    let (Some(from), Some(to)) = (list(1), list(2)) else { return Value::from("") };
    let mut text = text_at(a, 0).to_owned();
    for (from, to) in from.iter().zip(to) {
        let (from, to) = (text_of(&Value::dynamic(from.clone())), text_of(&Value::dynamic(to.clone())));
        if from.is_empty() {
            continue;
        }
        if text.matches(&from).count().saturating_mul(to.len()) > MAX_TEXT {
            return env.exhaust();
        }
        text = text.replace(&from, &to);
    }
    Value::string(text)
}

/// Characters of the first text become those in their place of the second, whose last one stands for all further places.
fn translate(a: &[Value], _: &Env) -> Value {
    let from: Vec<char> = text_at(a, 0).chars().collect();
    let to: Vec<char> = text_at(a, 1).chars().collect();
    let other = |c: char| match from.iter().position(|known| *known == c) {
        Some(at) => to.get(at).or(to.last()).copied(),
        None => Some(c),
    };
    Value::string(text_at(a, 2).chars().filter_map(other).collect::<String>())
}

fn code_points(a: &[Value], _: &Env) -> Value {
    Value::dynamic(text_at(a, 0).chars().map(|c| Json::from(u32::from(c))).collect())
}

/// The characters of whole numbers, or of arrays of them.
fn of_code_points(a: &[Value], _: &Env) -> Value {
    let mut text = String::new();
    let mut push = |number: Option<i64>| {
        let c = number.and_then(|n| u32::try_from(n).ok()).and_then(char::from_u32);
        text.extend(c);
    };
    for value in a {
        match value {
            Value::Dynamic(json) => match &**json {
                Json::Array(items) => items.iter().for_each(|item| push(item.as_i64())),
                single => push(single.as_i64()),
            },
            value => push(value.as_i64()),
        }
    }
    Value::string(text)
}

/// The fields of the first record; quotes are doubled inside of quotes.
fn parse_csv(a: &[Value], _: &Env) -> Value {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = text_at(a, 0).chars().peekable();
    while let Some(c) = chars.next() {
        let field = fields.last_mut();
        let Some(field) = field else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            '\r' | '\n' if !quoted => break,
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    Value::dynamic(fields.into_iter().map(Json::String).collect())
}

/// The bytes of a guid in the order of its first three parts turned, as .NET stores them; twice gives them back.
fn mixed_endian(bytes: [u8; 16]) -> [u8; 16] {
    let mut turned = bytes;
    turned[..4].reverse();
    turned[4..6].reverse();
    turned[6..8].reverse();
    turned
}

/// Up to four numbers of up to eight digits each, as one number of their digits; missing ones are zero.
fn parse_version(a: &[Value], _: &Env) -> Value {
    let parts: Vec<&str> = text_at(a, 0).split('.').collect();
    let fits = |part: &&str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if parts.len() > 4 || !parts.iter().all(fits) {
        return Value::Null;
    }
    let digits: String = (0..4).map(|at| format!("{:0>8}", parts.get(at).unwrap_or(&"0"))).collect();
    or_null(Decimal::parse(&digits), Value::Decimal)
}

fn query_parameters(query: &str) -> Json {
    let query = query.split_once('?').map_or(query, |(_, query)| query);
    let mut bag = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        bag.insert(key.to_owned(), Json::from(value));
    }
    Json::Object(bag)
}

/// What a path `$.a.b[0]['c']` leads to in JSON text, as text; empty when it leads nowhere.
fn extract_json(a: &[Value], _: &Env) -> Value {
    let found = || {
        let json: Json = serde_json::from_str(text_at(a, 1)).ok()?;
        follow(&json, text_at(a, 0).strip_prefix('$')?).cloned()
    };
    Value::string(found().map_or_else(String::new, |json| text_of(&Value::dynamic(json))))
}

/// What a path behind `$` leads to.
pub(super) fn follow<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    if path.is_empty() {
        return Some(json);
    }
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        return follow(json.get(&rest[..end])?, &rest[end..]);
    }
    let (inside, rest) = path.strip_prefix('[')?.split_once(']')?;
    let name = inside.trim_matches(['\'', '"']);
    let part = match inside.parse::<usize>() {
        Ok(at) => json.get(at)?,
        Err(_) => json.get(name)?,
    };
    follow(part, rest)
}

const UNITS: [&str; 7] = ["Bytes", "KB", "MB", "GB", "TB", "PB", "EB"];

/// A number of bytes with a unit, the largest that leaves a number of one and more unless one is given.
fn format_bytes(a: &[Value], _: &Env) -> Value {
    let Value::Real(bytes) = a[0] else { return Value::from("") };
    let digits = long_at(a, 1).unwrap_or(0).clamp(0, 15) as usize;
    let fitting = || {
        let too_small = |unit: &usize| bytes.abs() / 1024_f64.powi(*unit as i32) >= 1024.0;
        (0..UNITS.len() - 1).find(|unit| !too_small(unit)).unwrap_or(UNITS.len() - 1)
    };
    let unit = match a.get(2) {
        Some(_) => UNITS.iter().position(|unit| *unit == text_at(a, 2)),
        None => Some(fitting()),
    };
    let Some(unit) = unit else { return Value::from("") };
    let scale = 10_f64.powi(digits as i32);
    let number = (bytes / 1024_f64.powi(unit as i32) * scale).round() / scale;
    Value::string(format!("{number} {}", UNITS[unit]))
}
