//! Numbers as text.

use std::io::Write;
use std::ops::RangeInclusive;

use super::{Misfit, Value};

/// What a text has of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    /// It has neither fraction nor exponent.
    pub(crate) integer: bool,
    /// Digits from the first that is not zero on, without the exponent's; zeros at the end of the fraction count.
    pub(crate) digits: usize,
    /// It is a number as JSON writes it: no `+`, no leading zeros, a digit on both sides of the point.
    pub(crate) canonical: bool,
    /// It has an exponent.
    pub(crate) exponent: bool,
}

/// Takes `text` apart as `[+-]digits[.digits][e[+-]digits]`, where one side of the point may lack its digits.
pub(crate) fn number(text: &[u8]) -> Option<Number> {
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let (whole, rest) = split_digits(unsigned);
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(rest) => split_digits(rest),
        None => (&rest[..0], rest),
    };
    let point = unsigned.get(whole.len()) == Some(&b'.');
    let exponent = match rest {
        [] => false,
        [b'e' | b'E', b'+' | b'-', digits @ ..] | [b'e' | b'E', digits @ ..] => {
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return None;
            }
            true
        }
        _ => return None,
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let zeros = whole.iter().chain(fraction).take_while(|digit| **digit == b'0').count();
    let leading_zero = whole.len() > 1 && whole[0] == b'0';
    let lopsided = whole.is_empty() || (point && fraction.is_empty());
    Some(Number {
        integer: !point && !exponent,
        digits: whole.len() + fraction.len() - zeros,
        canonical: !lopsided && !leading_zero && text[0] != b'+',
        exponent,
    })
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

pub(super) fn integer<'a>(
    text: &'a str,
    range: RangeInclusive<i64>,
    scratch: &'a mut Vec<u8>,
) -> Result<Value<'a>, Misfit> {
    let bytes = text.as_bytes();
    let Ok(value) = text.parse::<i64>() else {
        return Err(match number(bytes) {
            Some(number) if number.integer => "it is too large",
            Some(_) => "it must be a whole number, without fraction and exponent",
            None => "it must be a whole number",
        });
    };
    if !range.contains(&value) {
        return Err("it is too large");
    }
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    if matches!(digits, [b'1'..=b'9', ..]) || bytes == b"0" {
        return Ok(Value::Bare(bytes));
    }
    write_into(scratch, format_args!("{value}"))
}

pub(super) fn real<'a>(text: &'a str, scratch: &'a mut Vec<u8>) -> Result<Value<'a>, Misfit> {
    const NO_REAL: Misfit = "it must be a number";
    let bytes = text.as_bytes();
    let Some(shape) = number(bytes) else { return no_number(text).ok_or(NO_REAL) };
    // 10^300 is finite, so only an exponent or very many digits can leave the range.
    let in_range = !shape.exponent && bytes.len() < 300;
    if in_range && shape.canonical {
        return Ok(Value::Bare(bytes));
    }
    let value: f64 = text.parse().map_err(|_| NO_REAL)?;
    match (value.is_finite(), shape.canonical) {
        (false, _) => Err("it is too large"),
        (true, true) => Ok(Value::Bare(bytes)),
        (true, false) => write_into(scratch, format_args!("{value:?}")),
    }
}

fn no_number(text: &str) -> Option<Value<'static>> {
    let (sign, name) = match text.as_bytes()[0] {
        sign @ (b'-' | b'+') => (sign, &text[1..]),
        _ => (b'+', text),
    };
    let infinite = name.eq_ignore_ascii_case("inf") || name.eq_ignore_ascii_case("infinity");
    match (infinite, sign) {
        (true, b'-') => Some(Value::Plain(b"-Infinity")),
        (true, _) => Some(Value::Plain(b"Infinity")),
        (false, _) => text.eq_ignore_ascii_case("nan").then_some(Value::Plain(b"NaN")),
    }
}

pub(super) fn decimal<'a>(text: &'a str, scratch: &'a mut Vec<u8>) -> Result<Value<'a>, Misfit> {
    let bytes = text.as_bytes();
    let shape = number(bytes).ok_or("it must be a number")?;
    if shape.digits > 34 {
        return Err("it has more than 34 significant digits");
    }
    if shape.canonical {
        return Ok(Value::Plain(bytes));
    }
    let (sign, digits) = match bytes[0] {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let (mantissa, exponent) = digits.find(['e', 'E']).map_or((digits, ""), |at| digits.split_at(at));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    // No digit is added: it could be the 35th.
    let point = if fraction.is_empty() { "" } else { "." };
    write_plain(scratch, format_args!("{sign}{whole}{point}{fraction}{exponent}"))
}

fn write_into<'a>(scratch: &'a mut Vec<u8>, text: std::fmt::Arguments<'_>) -> Result<Value<'a>, Misfit> {
    write_plain(scratch, text).map(|value| match value {
        Value::Plain(bytes) => Value::Bare(bytes),
        other => other,
    })
}

fn write_plain<'a>(scratch: &'a mut Vec<u8>, text: std::fmt::Arguments<'_>) -> Result<Value<'a>, Misfit> {
    scratch.clear();
    scratch.write_fmt(text).expect("writing to a vector cannot fail");
    Ok(Value::Plain(scratch))
}
