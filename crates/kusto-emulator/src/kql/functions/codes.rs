//! Hashes, encodings, and counting in texts.

use super::Param::{Any, AsText, Dynamic, Long, Text};
use super::{Function, exact, long_at, optional, or_null, text_at};
use crate::data::{ColumnType, Value};
use crate::kql::cast::text_of;
use crate::kql::eval::{Env, MAX_TEXT};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use std::fmt::Write;

pub(super) const FUNCTIONS: &[Function] = &[
    optional("hash", &[Any, Long], 1, ColumnType::Long, hash),
    optional("hash_xxhash64", &[Any, Long], 1, ColumnType::Long, hash),
    exact("base64_encode_tostring", &[Text], ColumnType::String, |a, _| {
        Value::string(STANDARD.encode(text_at(a, 0)))
    }),
    exact("base64_decode_tostring", &[Text], ColumnType::String, |a, _| {
        let decoded = STANDARD.decode(text_at(a, 0)).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        Value::string(decoded.unwrap_or_default())
    }),
    exact("url_encode", &[Text], ColumnType::String, |a, _| url_encode(text_at(a, 0), true)),
    exact("url_encode_component", &[Text], ColumnType::String, |a, _| url_encode(text_at(a, 0), false)),
    exact("url_decode", &[Text], ColumnType::String, url_decode),
    optional("strrep", &[AsText, Long, Text], 2, ColumnType::String, strrep),
    optional("countof", &[Text, Text, Text], 2, ColumnType::Long, countof),
    optional("tohex", &[Any, Long], 1, ColumnType::String, tohex),
    optional("extract_all", &[Text, Any, Text], 2, ColumnType::Dynamic, extract_all),
    exact("isascii", &[Text], ColumnType::Bool, |a, _| Value::Bool(text_at(a, 0).is_ascii())),
    exact("has_any_index", &[Text, Dynamic], ColumnType::Int, has_any_index),
];

/// Whether [`hash`] knows how the service turns values of a type into bytes.
pub(in crate::kql) fn can_hash(ty: ColumnType) -> bool {
    matches!(ty, ColumnType::String | ColumnType::Long | ColumnType::DateTime | ColumnType::TimeSpan)
}

/// xxHash64 of the UTF-8 text, or of 64 bits, least significant byte first. The documented examples are of a text and an instant.
fn hash(a: &[Value], _: &Env) -> Value {
    let hash = match &a[0] {
        Value::String(text) => xxhash64(text.as_bytes()),
        Value::Long(n) | Value::DateTime(n) | Value::TimeSpan(n) => xxhash64(&n.to_le_bytes()),
        _ => return Value::Null,
    } as i64;
    match a.get(1) {
        None => Value::Long(hash),
        Some(_) => or_null(long_at(a, 1).and_then(|modulo| hash.checked_rem_euclid(modulo)), Value::Long),
    }
}

const PRIMES: [u64; 5] = [
    11_400_714_785_074_694_791,
    14_029_467_366_897_019_727,
    1_609_587_929_392_839_161,
    9_650_029_242_287_828_579,
    2_870_177_450_012_600_261,
];

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The algorithm of `Cyan4973/xxHash doc/xxhash_spec.md`, seed 0.
fn xxhash64(bytes: &[u8]) -> u64 {
    let stripes = bytes.chunks_exact(32);
    let mut rest = stripes.remainder();
    let mut hash = PRIMES[4];
    if bytes.len() >= 32 {
        let mut lanes = [PRIMES[0].wrapping_add(PRIMES[1]), PRIMES[1], 0, 0_u64.wrapping_sub(PRIMES[0])];
        for stripe in stripes {
            lanes
                .iter_mut()
                .zip(stripe.chunks_exact(8))
                .for_each(|(lane, part)| *lane = round(*lane, word(part)));
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
        hash = turned.fold(0, u64::wrapping_add);
        for lane in lanes {
            hash = (hash ^ round(0, lane)).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
        }
    }
    hash = hash.wrapping_add(bytes.len() as u64);
    while rest.len() >= 8 {
        hash = (hash ^ round(0, word(&rest[..8])))
            .rotate_left(27)
            .wrapping_mul(PRIMES[0])
            .wrapping_add(PRIMES[3]);
        rest = &rest[8..];
    }
    if rest.len() >= 4 {
        let mixed = hash ^ word(&rest[..4]).wrapping_mul(PRIMES[0]);
        hash = mixed.rotate_left(23).wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
        rest = &rest[4..];
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(PRIMES[4])).rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(PRIMES[1]);
    hash = (hash ^ hash >> 29).wrapping_mul(PRIMES[2]);
    hash ^ hash >> 32
}

fn url_encode(text: &str, plus: bool) -> Value {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' if plus => out.push('+'),
            b'-' | b'_' | b'.' | b'!' | b'*' | b'(' | b')' => out.push(byte as char),
            byte if byte.is_ascii_alphanumeric() => out.push(byte as char),
            byte => drop(write!(out, "%{byte:02x}")),
        }
    }
    Value::string(out)
}

fn url_decode(a: &[Value], _: &Env) -> Value {
    let spaced = text_at(a, 0).replace('+', " ");
    Value::string(percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// A text some times over, 1024 at most.
fn strrep(a: &[Value], env: &Env) -> Value {
    let count = long_at(a, 1).unwrap_or(0).clamp(0, 1024) as usize;
    let (text, delimiter) = (text_at(a, 0), text_at(a, 2));
    if (text.len() + delimiter.len()) * count > MAX_TEXT {
        return env.exhaust();
    }
    Value::string(vec![text; count].join(delimiter))
}

/// How often a text occurs (occurrences may overlap), or a pattern matches.
fn countof(a: &[Value], _: &Env) -> Value {
    let (text, search) = (text_at(a, 0), text_at(a, 1));
    match a.get(2).map(|_| text_at(a, 2)) {
        None | Some("normal") if search.is_empty() => Value::Null,
        None | Some("normal") => {
            let starts = text.char_indices().filter(|(at, _)| text[*at..].starts_with(search));
            Value::Long(starts.count() as i64)
        }
        Some("regex") => or_null(
            super::text::with_regex(search, |regex| regex.find_iter(text).count() as i64),
            Value::Long,
        ),
        Some(_) => Value::Null,
    }
}

fn tohex(a: &[Value], _: &Env) -> Value {
    let Some(number) = long_at(a, 0) else { return Value::from("") };
    let width = long_at(a, 1).unwrap_or(0).clamp(0, 16) as usize;
    match &a[0] {
        Value::Int(number) => Value::string(format!("{number:0width$x}")),
        _ => Value::string(format!("{number:0width$x}")),
    }
}

/// Every match of the pattern: its group, or an array of its groups when there are several; the groups may be chosen by number
/// or name.
fn extract_all(a: &[Value], _: &Env) -> Value {
    let text = text_at(a, a.len() - 1);
    let chosen = match a {
        [_, Value::Dynamic(groups), _] => groups.as_array(),
        _ => None,
    };
    let found = super::text::with_regex(text_at(a, 0), |regex| {
        let place = |group: &Json| match group.as_str() {
            Some(name) => regex.capture_names().position(|known| known == Some(name)),
            None => group.as_u64().and_then(|at| usize::try_from(at).ok()),
        };
        let groups: Vec<usize> = match chosen {
            Some(groups) => groups.iter().filter_map(place).collect(),
            None => (1..regex.captures_len()).collect(),
        };
        let matches = regex.captures_iter(text).map(|found| {
            let group = |at: &usize| Json::from(found.get(*at).map_or("", |part| part.as_str()));
            if let [single] = &groups[..] { group(single) } else { groups.iter().map(group).collect() }
        });
        if groups.is_empty() { Vec::new() } else { matches.collect::<Vec<Json>>() }
    });
    or_null(found.filter(|all| !all.is_empty()), |all| Value::dynamic(Json::Array(all)))
}

/// The place in the array of the first text that occurs as a term; -1 for none.
fn has_any_index(a: &[Value], _: &Env) -> Value {
    let Value::Dynamic(json) = &a[1] else { return Value::Int(-1) };
    let has =
        |item: &Json| crate::kql::strings::has(text_at(a, 0), &text_of(&Value::dynamic(item.clone())), false);
    let place = json.as_array().and_then(|items| items.iter().position(has));
    Value::Int(place.map_or(-1, |at| at as i32))
}
