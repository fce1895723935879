//! Fields of CSV as the service reads them, one function per kind of value. Separators and row ends are the caller's.
//!
//! The forms are those that `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/scalar-data-types/` documents
//! for literals: numbers in decimal, `true` and `false`, JSON for `dynamic`. An empty field is null for every type but
//! `string`, which has no null: there it is the empty string. Quoting is RFC 4180; an empty string is written as `""`,
//! so that a reader which tells the two apart can.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Appends a string, in quotes where it is empty, has a blank at an end, or contains a comma, a quote or a line break.
#[inline]
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    write_bytes_as_text(out, text.as_bytes());
}

/// Appends text that is known to be UTF-8 (or that the service may mend: it replaces what is not).
#[inline]
pub fn write_bytes_as_text(out: &mut Vec<u8>, text: &[u8]) {
    if needs_quotes(text) {
        write_quoted(out, text);
    } else {
        out.extend_from_slice(text);
    }
}

/// What a reader may take away at the beginning of a blob, unless a quote stands before it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether a field with this text must stand in quotes.
#[inline]
pub fn needs_quotes(text: &[u8]) -> bool {
    let blank = |byte: u8| byte == b' ' || byte == b'\t';
    match (text.first(), text.last()) {
        (Some(first), Some(last)) => {
            blank(*first) || blank(*last) || text.starts_with(BYTE_ORDER_MARK) || has_special(text)
        }
        _ => true,
    }
}

/// Whether a comma, a quote or a line break is in the text.
#[inline]
fn has_special(text: &[u8]) -> bool {
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
    let dirty = |block: &[u8]| block.iter().fold(false, |found, byte| found | special(byte));
    // Blocks without a branch per byte: the compiler makes vector comparisons of them.
    let blocks = text.chunks_exact(16);
    dirty(blocks.remainder()) || blocks.into_iter().any(dirty)
}

/// Appends text in quotes, each quote in it doubled.
pub fn write_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(quote) = memchr::memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=quote]);
        out.push(b'"');
        rest = &rest[quote + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends `true` or `false`.
#[inline]
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends an integer of any width in decimal. What does not fit the column (`int`: 32 bits, `long`: 64 bits with a
/// sign) the service reads as null; larger ones fit a `decimal`.
#[inline]
pub fn write_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a `real`: the shortest digits that read back as the same number, or `NaN`, `Infinity`, `-Infinity` as the
/// service spells them in its results.
#[inline]
pub fn write_real(out: &mut Vec<u8>, value: f64) {
    write_real_with(out, value, value);
}

/// Appends a `real` of single precision with the digits that this precision has.
#[inline]
pub fn write_real_f32(out: &mut Vec<u8>, value: f32) {
    write_real_with(out, value, value.into());
}

#[inline]
fn write_real_with(out: &mut Vec<u8>, value: impl zmij::Float, wide: f64) {
    match non_finite(wide) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes()),
    }
}

/// The service's name of a number that is none.
#[inline]
pub(crate) fn non_finite(value: f64) -> Option<&'static str> {
    if value.is_finite() {
        None
    } else if value.is_nan() {
        Some("NaN")
    } else if value > 0.0 {
        Some("Infinity")
    } else {
        Some("-Infinity")
    }
}

/// Appends bytes as base64 text for a `string` column: the service has no type for bytes.
pub fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        return write_string(out, "");
    }
    let start = out.len();
    let length =
        base64::encoded_len(bytes.len(), true).expect("bytes in memory are far fewer than usize::MAX / 2");
    out.resize(start + length, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("the room is as long as the text");
}

/// Appends what `value` displays, in quotes where it must be. `scratch` is only used then.
///
/// # Errors
/// When `value` fails to display itself; `out` may then have a part of it.
pub fn write_display(out: &mut Vec<u8>, scratch: &mut Vec<u8>, value: &impl fmt::Display) -> fmt::Result {
    let start = out.len();
    write!(Text(out), "{value}")?;
    if needs_quotes(&out[start..]) {
        scratch.clear();
        scratch.extend_from_slice(&out[start..]);
        out.truncate(start);
        write_quoted(out, scratch);
    }
    Ok(())
}

/// Lets `write!` append to bytes.
pub(crate) struct Text<'a>(pub(crate) &'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
