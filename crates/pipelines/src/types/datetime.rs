//! Points and lengths of time as text.

use std::io::Write;

use jiff::{SignedDuration, civil};

use super::{Misfit, Value};

const FORMS: Misfit =
    "it must be YYYY-MM-DD, or YYYY-MM-DDThh:mm:ss[.fffffff] followed by nothing, Z or an offset";

/// Reads a point in time. The canonical form is handed back as it is.
pub(crate) fn write_datetime<'a>(text: &'a str, scratch: &'a mut Vec<u8>) -> Result<Value<'a>, Misfit> {
    let bytes = text.as_bytes();
    let parsed = parse(bytes).ok_or(FORMS)?;
    if !parsed.exists() {
        return Err("there is no such date or time");
    }
    if parsed.canonical {
        return Ok(Value::Plain(bytes));
    }
    parsed.write_utc(scratch)?;
    Ok(Value::Plain(scratch))
}

#[derive(Clone, Copy)]
struct Parsed<'a> {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    /// At most seven digits.
    fraction: &'a [u8],
    offset_minutes: i32,
    canonical: bool,
}

fn parse(text: &[u8]) -> Option<Parsed<'_>> {
    let (date, time) = text.split_at_checked(10)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else { return None };
    let year = u16::from(two(*y1, *y2)?) * 100 + u16::from(two(*y3, *y4)?);
    let (month, day) = (two(*m1, *m2)?, two(*d1, *d2)?);
    let zero = Parsed {
        year,
        month,
        day,
        hour: 0,
        minute: 0,
        second: 0,
        fraction: &[],
        offset_minutes: 0,
        canonical: false,
    };
    let (separator, time) = match time {
        [] => return Some(zero),
        [separator @ (b'T' | b't' | b' '), time @ ..] => (*separator, time),
        _ => return None,
    };
    let [h1, h2, b':', n1, n2, rest @ ..] = time else { return None };
    let (hour, minute) = (two(*h1, *h2)?, two(*n1, *n2)?);
    let (second, rest, seconds) = match rest {
        [b':', s1, s2, rest @ ..] => (two(*s1, *s2)?, rest, true),
        rest => (0, rest, false),
    };
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] if seconds => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (digits > 0).then(|| rest.split_at(digits))?
        }
        rest => (&rest[..0], rest),
    };
    let offset_minutes = offset(rest)?;
    let canonical = separator == b'T' && seconds && rest == b"Z" && fraction.len() <= 7;
    let fraction = &fraction[..fraction.len().min(7)];
    Some(Parsed { hour, minute, second, fraction, offset_minutes, canonical, ..zero })
}

fn offset(text: &[u8]) -> Option<i32> {
    let (sign, hours, minutes) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            (*sign, two(*h1, *h2)?, two(*m1, *m2)?)
        }
        [sign @ (b'+' | b'-'), h1, h2] => (*sign, two(*h1, *h2)?, 0),
        _ => return None,
    };
    let total = i32::from(hours) * 60 + i32::from(minutes);
    (minutes < 60 && total <= 18 * 60).then_some(if sign == b'-' { -total } else { total })
}

fn two(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}

impl Parsed<'_> {
    fn exists(&self) -> bool {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u8::from(leap),
            _ => 31,
        };
        self.year >= 1
            && (1..=12).contains(&self.month)
            && (1..=days).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }

    fn write_utc(&self, scratch: &mut Vec<u8>) -> Result<(), Misfit> {
        const RANGE: Misfit = "it lies outside the years 1 to 9999 in UTC";
        let local = civil::DateTime::new(
            i16::try_from(self.year).map_err(|_| RANGE)?,
            i8::try_from(self.month).map_err(|_| RANGE)?,
            i8::try_from(self.day).map_err(|_| RANGE)?,
            i8::try_from(self.hour).map_err(|_| RANGE)?,
            i8::try_from(self.minute).map_err(|_| RANGE)?,
            i8::try_from(self.second).map_err(|_| RANGE)?,
            0,
        );
        let offset = SignedDuration::from_mins(i64::from(self.offset_minutes));
        let utc = local.and_then(|local| local.checked_sub(offset)).map_err(|_| RANGE)?;
        if utc.year() < 1 {
            return Err(RANGE);
        }
        scratch.clear();
        let (date, time) = (utc.date(), utc.time());
        let (y, m, d) = (date.year(), date.month(), date.day());
        let (h, n, s) = (time.hour(), time.minute(), time.second());
        write!(scratch, "{y:04}-{m:02}-{d:02}T{h:02}:{n:02}:{s:02}")
            .expect("writing to a vector cannot fail");
        if !self.fraction.is_empty() {
            scratch.push(b'.');
            scratch.extend_from_slice(self.fraction);
        }
        scratch.push(b'Z');
        Ok(())
    }
}

/// Whether `text` is `[-][d.]hh:mm:ss[.fffffff]` within the range of the type (64 bits of 100 ns: 10,675,199 days).
pub(crate) fn is_timespan(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let days = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let clock = match text.get(days) {
        Some(b'.') if (1..=8).contains(&days) && decimal_value(&text[..days]) < 10_675_199 => {
            &text[days + 1..]
        }
        Some(b'.') => return false,
        _ => text,
    };
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = clock else { return false };
    let below = |tens, ones, limit| two(tens, ones).is_some_and(|value| value < limit);
    let fraction = match rest {
        [] => true,
        [b'.', digits @ ..] => (1..=7).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    below(*h1, *h2, 24) && below(*m1, *m2, 60) && below(*s1, *s2, 60) && fraction
}

fn decimal_value(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'))
}
