//! Durations and byte sizes as people write them in a configuration file.
//!
//! A number always has its unit; several parts may follow one another (`1h 30min`); `_` groups digits. Sizes know the
//! binary units (`KiB` = 1024) and the decimal ones (`KB` = 1000), and a size without a unit is in bytes.

use std::time::Duration;

/// Units of time in nanoseconds, the largest first.
const TIME_UNITS: [(&str, u64); 11] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
    ("sec", 1_000_000_000),
    ("days", 86_400_000_000_000),
    ("day", 86_400_000_000_000),
];

/// Units of size in bytes, the largest first; the first seven are those that [`format_bytes`] writes.
const BYTE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Reads a duration: `30s`, `250ms`, `10min`, `1h 30min`, `2d`.
///
/// # Errors
/// A sentence that says what is wrong: no unit, an unknown unit, no number, or more than a `u64` of nanoseconds
/// (584 years).
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let nanos = parse_parts(text, &TIME_UNITS, None, "a duration needs a unit, as in \"30s\" or \"5min\"")?;
    Ok(Duration::from_nanos(nanos))
}

/// Reads a number of bytes: `64MiB`, `1_000`, `300MB`.
///
/// # Errors
/// A sentence that says what is wrong: an unknown unit, no number, or more than a `u64`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    parse_parts(text, &BYTE_UNITS, Some(1), "")
}

/// Reads a whole number with optional `_` between its digits.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_count(text: &str) -> Result<u64, String> {
    let digits = text.trim();
    let well_formed = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '_');
    if !well_formed {
        return Err(format!("{text:?} is no whole number"));
    }
    digits.replace('_', "").parse().map_err(|_| format!("{text:?} is too large"))
}

/// Sums `number unit` parts.
fn parse_parts(
    text: &str,
    units: &[(&str, u64)],
    without_unit: Option<u64>,
    unit_advice: &str,
) -> Result<u64, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("the text is empty".into());
    }
    let mut sum = 0u64;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit() && c != '_');
        let (unit, after) = split_where(after.trim_start(), |c| !c.is_ascii_alphabetic());
        let number = parse_count(number).map_err(|_| format!("{text:?} has no number before {rest:?}"))?;
        let factor = match (unit, without_unit) {
            ("", Some(factor)) => factor,
            ("", None) => return Err(unit_advice.to_owned()),
            _ => unit_factor(unit, units)?,
        };
        let part = number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large"))?;
        sum = sum.checked_add(part).ok_or_else(|| format!("{text:?} is too large"))?;
        rest = after.trim_start();
    }
    Ok(sum)
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

fn unit_factor(unit: &str, units: &[(&str, u64)]) -> Result<u64, String> {
    units.iter().find_map(|(name, factor)| (*name == unit).then_some(*factor)).ok_or_else(|| {
        let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
        format!("{unit:?} is no unit; there are {}", names.join(", "))
    })
}

/// Writes a duration so that [`parse_duration`] reads it back: `30s`, `1h 30min`.
pub fn format_duration(duration: Duration) -> String {
    let Ok(nanos) = u64::try_from(duration.as_nanos()) else {
        return format!("{duration:?}");
    };
    format_parts(nanos, &TIME_UNITS[..8], "0s")
}

/// Writes a size so that [`parse_bytes`] reads it back, in the largest unit that divides it: `64MiB`, `1000B`.
pub fn format_bytes(bytes: u64) -> String {
    let largest =
        BYTE_UNITS[..5].iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    largest.map_or_else(|| "0B".to_owned(), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

fn format_parts(mut rest: u64, units: &[(&str, u64)], zero: &str) -> String {
    let mut parts = Vec::new();
    for (unit, factor) in units {
        if rest >= *factor {
            parts.push(format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    if parts.is_empty() { zero.to_owned() } else { parts.join(" ") }
}
