//! The text of a value, from the text of its field.

use std::str::from_utf8;

use super::{Kind, decimal, real};
use crate::types::{DateTime, Decimal, Timespan};

/// What a row has for a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given<'a> {
    /// Nothing, or JSON's null.
    Null,
    /// A field of CSV, or a string of JSON.
    Text(&'a [u8]),
    /// A number, `true` or `false` of JSON.
    Bare(&'a [u8]),
    /// An object or array of JSON.
    Nested(&'a [u8]),
}

/// What is wrong with a value.
pub(super) type Why = &'static str;

/// Appends the text of a value, with its end.
///
/// # Errors
/// When the service may read it as another value, or as none; `out` may then have a part of it.
pub(super) fn write(kind: Kind, given: Given<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    match (kind, given) {
        (Kind::String, given) => string(given, out)?,
        (_, Given::Null) => {}
        (_, Given::Nested(_)) => return Err("objects and arrays fit a dynamic only"),
        // A blank field is null as well: data-explorer/kusto/query/scalar-data-types/null-values.md.
        (_, Given::Text(text)) if text.iter().all(|byte| *byte == b' ') => {}
        (kind, Given::Text(text)) => scalar(kind, ascii(text)?, out)?,
        (kind, Given::Bare(text)) => scalar(kind, of_json(kind, text)?, out)?,
    }
    out.push(b',');
    Ok(())
}

fn string(given: Given<'_>, out: &mut Vec<u8>) -> Result<(), Why> {
    let text = match given {
        Given::Null => b"",
        Given::Text(text) => text,
        Given::Bare(text) if text.len() < 19 && text.iter().all(u8::is_ascii_digit) => text,
        Given::Bare(_) => {
            return Err("how numbers, true and false become text is not documented: write them as text");
        }
        Given::Nested(_) => {
            return Err("how objects and arrays become text is not documented: write them as text");
        }
    };
    if from_utf8(text).is_err() {
        return Err("it is not UTF-8, and the service replaces what is not");
    }
    digits(text.len() as u64, out);
    out.push(b':');
    out.extend_from_slice(text);
    Ok(())
}

/// No value but a string has other letters; what else there is, is refused with the reason that its type gives.
fn ascii(text: &[u8]) -> Result<&str, Why> {
    from_utf8(text).map_err(|_| "it is not UTF-8")
}

/// A bare token of JSON, where the type takes it.
fn of_json(kind: Kind, text: &[u8]) -> Result<&str, Why> {
    let text = ascii(text)?;
    let number = !matches!(text, "true" | "false");
    match kind {
        Kind::Bool if number => Err("how numbers become a bool is not documented: write true or false"),
        Kind::Bool => Ok(text),
        Kind::Int | Kind::Long | Kind::Real if number => Ok(text),
        Kind::Decimal if text.parse::<i64>().is_ok() => Ok(text),
        Kind::Decimal => {
            Err("the service may read the number as a real before it is a decimal: write it as text")
        }
        _ => Err("JSON has no such value: write it as text"),
    }
}

fn scalar(kind: Kind, text: &str, out: &mut Vec<u8>) -> Result<(), Why> {
    if text.starts_with('+') {
        return Err("how a + at the beginning is read is not documented: leave it out");
    }
    match kind {
        Kind::Bool => out.push(truth(text)?),
        Kind::Int => whole(text, text.parse::<i32>().map(i64::from).ok(), out)?,
        Kind::Long => whole(text, text.parse().ok(), out)?,
        Kind::Real => real::write(real::read(text)?, out),
        Kind::Decimal => decimal::write(text, out)?,
        Kind::DateTime => datetime(text, out)?,
        Kind::Timespan => timespan(text, out)?,
        Kind::Guid => guid(text.as_bytes(), out)?,
        Kind::String => unreachable!("strings are written by string()"),
    }
    Ok(())
}

fn truth(text: &str) -> Result<u8, Why> {
    match text {
        "1" => Ok(b'1'),
        "0" => Ok(b'0'),
        text if text.eq_ignore_ascii_case("true") => Ok(b'1'),
        text if text.eq_ignore_ascii_case("false") => Ok(b'0'),
        _ => Err("it must be true, false, 1 or 0"),
    }
}

fn whole(text: &str, value: Option<i64>, out: &mut Vec<u8>) -> Result<(), Why> {
    let Some(value) = value else {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let digits = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if digits { "it is too large" } else { "it must be a whole number" });
    };
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    Ok(())
}

const NO_DATETIME: Why = "it must be UTC, written as 2014-05-25T08:20:03.1234567Z: convert times that have an offset (of chrono \
                          or jiff, for instance), or use timely_kusto::types::DateTime";

/// Whether what was read as a time has all parts, as the service writes them itself.
fn is_canonical(text: &[u8]) -> bool {
    const SEPARATORS: [(usize, u8); 6] =
        [(4, b'-'), (7, b'-'), (13, b':'), (16, b':'), (19, b'.'), (27, b'Z')];
    text.len() == DateTime::TEXT && SEPARATORS.iter().all(|(at, separator)| text[*at] == *separator)
}

/// `yyyy-MM-dd HH:mm:ss.fffffff`
fn datetime(text: &str, out: &mut Vec<u8>) -> Result<(), Why> {
    let value: DateTime = text.parse().map_err(|_| NO_DATETIME)?;
    if text.as_bytes().get(16) == Some(&b'.') {
        return Err("it has a fraction, and no seconds");
    }
    // What most encoders write has a blank for the `T`, and no `Z`.
    let written;
    let digits = match text.as_bytes() {
        canonical if is_canonical(canonical) => canonical,
        _ => {
            fine(text)?;
            written = value.text();
            &written
        }
    };
    out.extend_from_slice(&digits[..10]);
    out.push(b' ');
    out.extend_from_slice(&digits[11..27]);
    Ok(())
}

/// The days that are added to a negative one.
const LIFT: i64 = 10_675_199;

fn timespan(text: &str, out: &mut Vec<u8>) -> Result<(), Why> {
    const TICKS_PER_DAY: i64 = 864_000_000_000;
    let value: Timespan = text.parse().map_err(|_| "it must be [-][d.]hh:mm:ss[.fffffff]")?;
    fine(text)?;
    let mut ticks = value.ticks();
    if ticks < 0 {
        out.push(b'-');
        ticks += LIFT * TICKS_PER_DAY;
    }
    out.extend_from_slice(itoa::Buffer::new().format(ticks.div_euclid(TICKS_PER_DAY)).as_bytes());
    out.push(b'.');
    digits(ticks.rem_euclid(TICKS_PER_DAY) as u64, out);
    Ok(())
}

/// Whether a time has nothing below a tick: how that would be rounded is not documented.
fn fine(text: &str) -> Result<(), Why> {
    let fraction = text.rfind([':', '.']).map_or("", |at| &text[at + 1..]).trim_end_matches('Z');
    match fraction.len() > 7 && fraction[7..].bytes().any(|digit| digit != b'0') {
        true => Err(
            "it is finer than 100 ns, which is as fine as the type is: round it (times of chrono, jiff or SystemTime have \
             nanoseconds), or use timely_kusto::types::DateTime or Timespan",
        ),
        false => Ok(()),
    }
}

fn guid(text: &[u8], out: &mut Vec<u8>) -> Result<(), Why> {
    let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let good = |(at, byte): (usize, &u8)| if hyphen(at) { *byte == b'-' } else { byte.is_ascii_hexdigit() };
    if text.len() != 36 || !text.iter().enumerate().all(good) {
        return Err("it must be hexadecimal digits in groups of 8-4-4-4-12");
    }
    let start = out.len();
    out.extend_from_slice(text);
    out[start..].make_ascii_lowercase();
    Ok(())
}

pub(super) fn digits(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Whether a text is a decimal of the service (see [`Decimal`]), without making one.
pub(super) fn is_decimal(text: &str) -> Result<(), Why> {
    Decimal::fault(text).map_or(Ok(()), Err)
}
