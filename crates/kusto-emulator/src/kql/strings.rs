//! How texts are compared: whole, by part, by term, with or without regard to case.
//!
//! A term is a maximal run of letters and digits: `has` finds needles whose ends are ends of terms
//! (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/datatypes-string-operators.md`).

use super::ast::TextOp;
use std::borrow::Cow;

/// Lower case, without copying where nothing changes.
fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// `=~`
pub(super) fn equal_ignoring_case(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        left.eq_ignore_ascii_case(right)
    } else {
        left.to_lowercase() == right.to_lowercase()
    }
}

/// Whether `needle` occurs in `text` with ends of terms on both sides.
pub(super) fn has(text: &str, needle: &str, case_sensitive: bool) -> bool {
    by_term(text, needle, case_sensitive, true, true)
}

fn by_term(text: &str, needle: &str, case_sensitive: bool, at_start: bool, at_end: bool) -> bool {
    if !case_sensitive {
        return by_term(&folded(text), &folded(needle), true, at_start, at_end);
    }
    if needle.is_empty() {
        return true;
    }
    let starts_term = needle.starts_with(char::is_alphanumeric);
    let ends_term = needle.ends_with(char::is_alphanumeric);
    let mut from = 0;
    while let Some(found) = text[from..].find(needle) {
        let (start, end) = (from + found, from + found + needle.len());
        let open_start = !at_start || !starts_term || !text[..start].ends_with(char::is_alphanumeric);
        let open_end = !at_end || !ends_term || !text[end..].starts_with(char::is_alphanumeric);
        if open_start && open_end {
            return true;
        }
        from = start + needle.chars().next().map_or(1, char::len_utf8);
    }
    false
}

/// A string operator on two texts (`matches regex` is not one of these).
pub(super) fn test(op: TextOp, case_sensitive: bool, text: &str, needle: &str) -> bool {
    match op {
        TextOp::Equal => equal_ignoring_case(text, needle),
        TextOp::Has => by_term(text, needle, case_sensitive, true, true),
        TextOp::HasPrefix => by_term(text, needle, case_sensitive, true, false),
        TextOp::HasSuffix => by_term(text, needle, case_sensitive, false, true),
        TextOp::Regex => false,
        _ if !case_sensitive => test(op, true, &folded(text), &folded(needle)),
        TextOp::Contains => text.contains(needle),
        TextOp::StartsWith => text.starts_with(needle),
        TextOp::EndsWith => text.ends_with(needle),
    }
}
