//! Functions of text.

use super::Param::{AsText, Long, Text};
use super::{Function, exact, long_at, of_text, optional, repeating, text_at, text_by};
use crate::data::{ColumnType, Value};
use crate::kql::eval::{Env, MAX_TEXT};
use sha2::Digest;
use std::cell::RefCell;

pub(super) const FUNCTIONS: &[Function] = &[
    exact("strlen", &[Text], ColumnType::Long, |a, _| Value::Long(text_at(a, 0).chars().count() as i64)),
    exact("string_size", &[Text], ColumnType::Long, |a, _| Value::Long(text_at(a, 0).len() as i64)),
    optional("substring", &[Text, Long, Long], 2, ColumnType::String, substring),
    repeating("strcat", &[AsText], ColumnType::String, strcat),
    repeating("strcat_delim", &[Text, AsText, AsText], ColumnType::String, strcat_delim),
    optional("split", &[Text, Text, Long], 2, ColumnType::Dynamic, split),
    exact("tolower", &[Text], ColumnType::String, |a, _| Value::string(text_at(a, 0).to_lowercase())),
    exact("toupper", &[Text], ColumnType::String, |a, _| Value::string(text_at(a, 0).to_uppercase())),
    exact("trim", &[Text, Text], ColumnType::String, |a, _| trim(a, true, true)),
    exact("trim_start", &[Text, Text], ColumnType::String, |a, _| trim(a, true, false)),
    exact("trim_end", &[Text, Text], ColumnType::String, |a, _| trim(a, false, true)),
    exact("replace_string", &[Text, Text, Text], ColumnType::String, replace_string),
    exact("replace_regex", &[Text, Text, Text], ColumnType::String, replace_regex),
    exact("extract", &[Text, Long, Text], ColumnType::String, extract),
    optional("indexof", &[AsText, AsText, Long, Long, Long], 2, ColumnType::Long, indexof),
    exact("reverse", &[AsText], ColumnType::String, |a, _| {
        Value::string(text_at(a, 0).chars().rev().collect::<String>())
    }),
    of_text("hash_md5", md5, |a, _| text_by(a, md5)),
    of_text("hash_sha1", sha1, |a, _| text_by(a, sha1)),
    of_text("hash_sha256", sha256, |a, _| text_by(a, sha256)),
    exact("strcmp", &[Text, Text], ColumnType::Int, |a, _| {
        Value::Int(text_at(a, 0).cmp(text_at(a, 1)) as i32)
    }),
];

fn md5(text: &str, out: &mut String) {
    hex(&md5::Md5::digest(text), out);
}

fn sha1(text: &str, out: &mut String) {
    hex(&sha1::Sha1::digest(text), out);
}

fn sha256(text: &str, out: &mut String) {
    hex(&sha2::Sha256::digest(text), out);
}

fn hex(digest: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in digest {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Characters from a place on; a negative place counts from the end.
fn substring(a: &[Value], _: &Env) -> Value {
    let text = text_at(a, 0);
    let Some(start) = long_at(a, 1) else { return Value::from("") };
    let start = if start < 0 { (text.chars().count() as i64 + start).max(0) } else { start };
    let length = long_at(a, 2).unwrap_or(i64::MAX).max(0);
    Value::string(text.chars().skip(start as usize).take(length as usize).collect::<String>())
}

fn strcat(a: &[Value], _: &Env) -> Value {
    Value::string(a.iter().filter_map(Value::as_str).collect::<String>())
}

fn strcat_delim(a: &[Value], env: &Env) -> Value {
    let parts: Vec<&str> = a.iter().skip(1).filter_map(Value::as_str).collect();
    if parts.iter().map(|part| part.len() + text_at(a, 0).len()).sum::<usize>() > MAX_TEXT {
        return env.exhaust();
    }
    Value::string(parts.join(text_at(a, 0)))
}

fn split(a: &[Value], _: &Env) -> Value {
    let (text, delimiter) = (text_at(a, 0), text_at(a, 1));
    let parts: Vec<&str> = if delimiter.is_empty() { vec![text] } else { text.split(delimiter).collect() };
    match long_at(a, 2) {
        None => Value::dynamic(parts.into_iter().collect()),
        Some(at) => {
            let at = if at < 0 { parts.len() as i64 + at } else { at };
            let part = usize::try_from(at).ok().and_then(|at| parts.get(at));
            Value::dynamic(part.copied().into_iter().collect())
        }
    }
}

/// Runs `work` with the compiled pattern; none when it is no pattern. The last patterns of the thread stay compiled.
pub(super) fn with_regex<T>(pattern: &str, work: impl FnOnce(&regex::Regex) -> T) -> Option<T> {
    thread_local! { static COMPILED: RefCell<Vec<regex::Regex>> = const { RefCell::new(Vec::new()) }; }
    COMPILED.with_borrow_mut(|compiled| {
        let at = match compiled.iter().position(|regex| regex.as_str() == pattern) {
            Some(at) => at,
            None => {
                if compiled.len() == 8 {
                    compiled.remove(0);
                }
                compiled.push(regex::Regex::new(pattern).ok()?);
                compiled.len() - 1
            }
        };
        Some(work(&compiled[at]))
    })
}

fn trim(a: &[Value], start: bool, end: bool) -> Value {
    let mut text = text_at(a, 1);
    if start {
        let found =
            with_regex(&format!("^(?:{})", text_at(a, 0)), |regex| regex.find(text).map_or(0, |m| m.end()));
        text = &text[found.unwrap_or(0)..];
    }
    if end {
        let found =
            with_regex(&format!("(?:{})$", text_at(a, 0)), |regex| regex.find(text).map(|m| m.start()));
        text = &text[..found.flatten().unwrap_or(text.len())];
    }
    Value::from(text)
}

fn replace_string(a: &[Value], env: &Env) -> Value {
    let (text, from, to) = (text_at(a, 0), text_at(a, 1), text_at(a, 2));
    if text.len().saturating_mul(to.len() + 1) > MAX_TEXT
        && text.matches(from).count().saturating_mul(to.len()) > MAX_TEXT
    {
        return env.exhaust();
    }
    if from.is_empty() { Value::from(text) } else { Value::string(text.replace(from, to)) }
}

/// Groups are written `\1` in the replacement.
fn replace_regex(a: &[Value], env: &Env) -> Value {
    let (text, to) = (text_at(a, 0), text_at(a, 2));
    if (text.len() + 1).saturating_mul(to.len() + 1) > 8 * MAX_TEXT {
        return env.exhaust();
    }
    let replaced = with_regex(text_at(a, 1), |regex| {
        regex
            .replace_all(text, |found: &regex::Captures<'_>| {
                let mut out = String::new();
                let mut chars = to.chars();
                while let Some(c) = chars.next() {
                    match (c, chars.clone().next().and_then(|d| d.to_digit(10))) {
                        ('\\', Some(group)) => {
                            chars.next();
                            out.push_str(found.get(group as usize).map_or("", |m| m.as_str()));
                        }
                        _ => out.push(c),
                    }
                }
                out
            })
            .into_owned()
    });
    Value::string(replaced.unwrap_or_else(|| text.to_owned()))
}

fn extract(a: &[Value], _: &Env) -> Value {
    let group = usize::try_from(long_at(a, 1).unwrap_or(0)).unwrap_or(usize::MAX);
    let text = text_at(a, 2);
    let found = with_regex(text_at(a, 0), |regex| {
        regex.captures(text).and_then(|found| found.get(group).map(|m| m.as_str().to_owned()))
    });
    Value::string(found.flatten().unwrap_or_default())
}

/// The place, in characters, of an occurrence (the first one) from a place on and within a length; -1 when there is none. A
/// place may be counted from the end. The length is counted anew behind each occurrence, as the page's example has it.
fn indexof(a: &[Value], _: &Env) -> Value {
    let (text, needle) = (text_at(a, 0), text_at(a, 1));
    let chars = text.chars().count() as i64;
    let start = long_at(a, 2).unwrap_or(0);
    let start = if start < 0 { start.saturating_add(chars).max(0) } else { start };
    let (length, occurrence) = (long_at(a, 3).unwrap_or(-1), long_at(a, 4).unwrap_or(1));
    if length < -1 || occurrence < 1 {
        return Value::Null;
    }
    let byte = |place: i64| {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        text.char_indices().nth(place).map_or(text.len(), |(at, _)| at)
    };
    let mut from = start;
    let mut found = -1;
    for _ in 0..occurrence.min(chars + 1) {
        let (start, end) =
            (byte(from), if length < 0 { text.len() } else { byte(from.saturating_add(length)) });
        let Some(at) = text[start..end].find(needle) else { return Value::Long(-1) };
        found = text[..start + at].chars().count() as i64;
        from = found + 1;
    }
    Value::Long(found)
}
