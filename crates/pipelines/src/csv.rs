//! The fields of csv records, without copying.
//!
//! Why not a csv crate here: a reader that tells a person where a record is malformed needs the place of every field
//! in the text, and must refuse what readers commonly accept in silence (text after a closing quote, a quote that is
//! never closed). The tests hold the results against the csv crate.

use memchr::{memchr, memchr2};

/// A field as it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Without the quotes around it; quotes within are still doubled if `doubled`.
    pub(crate) text: &'a str,
    /// Whether quotes within stand doubled.
    pub(crate) doubled: bool,
    /// Where the field begins, its quote included.
    pub(crate) start: usize,
    /// Where the next field or record begins.
    pub(crate) next: usize,
    /// Whether it is the last of its record.
    pub(crate) last: bool,
}

/// What is wrong with a record, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) at: usize,
    pub(crate) wrong: &'static str,
}

/// Where the next record begins: `at`, or after blank lines there. None at the end.
pub(crate) fn next_record(text: &str, mut at: usize) -> Option<usize> {
    loop {
        match &text.as_bytes()[at..] {
            [] | [b'\r'] => return None,
            [b'\n', ..] => at += 1,
            [b'\r', b'\n', ..] => at += 2,
            _ => return Some(at),
        }
    }
}

/// The field that begins at `at`.
pub(crate) fn field(text: &str, at: usize) -> Result<Field<'_>, Malformed> {
    match text.as_bytes().get(at) {
        Some(b'"') => quoted(text, at),
        _ => Ok(unquoted(text, at)),
    }
}

fn unquoted(text: &str, start: usize) -> Field<'_> {
    let rest = &text.as_bytes()[start..];
    let length = memchr2(b',', b'\n', rest).unwrap_or(rest.len());
    let last = rest.get(length) != Some(&b',');
    let next = (start + length + 1).min(text.len());
    let content = &text[start..start + length];
    let content = if last { content.strip_suffix('\r').unwrap_or(content) } else { content };
    Field { text: content, doubled: false, start, next, last }
}

fn quoted(text: &str, start: usize) -> Result<Field<'_>, Malformed> {
    let bytes = text.as_bytes();
    let (mut at, mut doubled) = (start + 1, false);
    let close = loop {
        let quote = memchr(b'"', &bytes[at..]).map(|found| at + found);
        let quote =
            quote.ok_or(Malformed { at: start, wrong: "the quote that opens here is never closed" })?;
        if bytes.get(quote + 1) != Some(&b'"') {
            break quote;
        }
        (at, doubled) = (quote + 2, true);
    };
    let (next, last) = match &bytes[close + 1..] {
        [b',', ..] => (close + 2, false),
        [] => (close + 1, true),
        [b'\n', ..] | [b'\r'] => (close + 2, true),
        [b'\r', b'\n', ..] => (close + 3, true),
        _ => {
            return Err(Malformed {
                at: close + 1,
                wrong: "a closing quote is followed by neither comma nor line end",
            });
        }
    };
    Ok(Field { text: &text[start + 1..close], doubled, start, next, last })
}

/// The content of a field, with `scratch` to undouble quotes in.
pub(crate) fn content<'a>(field: &Field<'a>, scratch: &'a mut String) -> &'a str {
    if !field.doubled {
        return field.text;
    }
    scratch.clear();
    for (index, piece) in field.text.split("\"\"").enumerate() {
        if index > 0 {
            scratch.push('"');
        }
        scratch.push_str(piece);
    }
    scratch
}
