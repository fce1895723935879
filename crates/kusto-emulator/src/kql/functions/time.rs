//! Functions of instants.

use super::Param::{DateTime, Long, Text, TimeSpan};
use super::{Function, exact, long_at, optional, or_null, text_at};
use crate::data::{Civil, ColumnType, MAX_DATETIME, TICKS_PER_DAY, TICKS_PER_SECOND, UNIX_EPOCH, Value};
use crate::kql::eval::Env;
use std::fmt::Write;

pub(super) const FUNCTIONS: &[Function] = &[
    optional("now", &[TimeSpan], 0, ColumnType::DateTime, |a, env| {
        instant(env.now.checked_add(ticks_at(a, 0).unwrap_or(0)))
    }),
    exact("ago", &[TimeSpan], ColumnType::DateTime, |a, env| {
        instant(ticks_at(a, 0).and_then(|t| env.now.checked_sub(t)))
    }),
    optional("startofday", &[DateTime, Long], 1, ColumnType::DateTime, |a, _| start_of(a, "day")),
    optional("startofweek", &[DateTime, Long], 1, ColumnType::DateTime, |a, _| start_of(a, "week")),
    optional("startofmonth", &[DateTime, Long], 1, ColumnType::DateTime, |a, _| start_of(a, "month")),
    optional("startofyear", &[DateTime, Long], 1, ColumnType::DateTime, |a, _| start_of(a, "year")),
    exact("getyear", &[DateTime], ColumnType::Int, |a, _| part(a, |c| c.year)),
    exact("monthofyear", &[DateTime], ColumnType::Int, |a, _| part(a, |c| c.month)),
    exact("getmonth", &[DateTime], ColumnType::Int, |a, _| part(a, |c| c.month)),
    exact("dayofmonth", &[DateTime], ColumnType::Int, |a, _| part(a, |c| c.day)),
    exact("hourofday", &[DateTime], ColumnType::Int, |a, _| {
        part(a, |c| c.ticks / (3_600 * TICKS_PER_SECOND))
    }),
    exact("dayofweek", &[DateTime], ColumnType::TimeSpan, day_of_week),
    exact("datetime_diff", &[Text, DateTime, DateTime], ColumnType::Long, datetime_diff),
    exact("datetime_add", &[Text, Long, DateTime], ColumnType::DateTime, datetime_add),
    exact("format_datetime", &[DateTime, Text], ColumnType::String, format_datetime),
    exact("unixtime_seconds_todatetime", &[Long], ColumnType::DateTime, |a, _| unix(a, TICKS_PER_SECOND)),
    exact("unixtime_milliseconds_todatetime", &[Long], ColumnType::DateTime, |a, _| unix(a, 10_000)),
    exact("unixtime_microseconds_todatetime", &[Long], ColumnType::DateTime, |a, _| unix(a, 10)),
];

pub(super) fn ticks_at(a: &[Value], at: usize) -> Option<i64> {
    match a.get(at) {
        Some(Value::DateTime(t) | Value::TimeSpan(t)) => Some(*t),
        _ => None,
    }
}

pub(super) fn instant(ticks: Option<i64>) -> Value {
    or_null(ticks.filter(|t| (0..=MAX_DATETIME).contains(t)), Value::DateTime)
}

pub(super) fn unix(a: &[Value], unit: i64) -> Value {
    instant(long_at(a, 0).and_then(|n| n.checked_mul(unit)?.checked_add(UNIX_EPOCH)))
}

/// Days since Monday, 0001-01-01.
pub(super) fn days(ticks: i64) -> i64 {
    ticks.div_euclid(TICKS_PER_DAY)
}

fn part(a: &[Value], of: fn(Civil) -> i64) -> Value {
    or_null(ticks_at(a, 0).map(|t| of(Civil::of(t)) as i32), Value::Int)
}

/// Days since the last Sunday, as a duration.
fn day_of_week(a: &[Value], _: &Env) -> Value {
    or_null(ticks_at(a, 0).map(|t| (t / TICKS_PER_DAY + 1) % 7 * TICKS_PER_DAY), Value::TimeSpan)
}

pub(super) fn start_of(a: &[Value], unit: &str) -> Value {
    let offset = if a.len() > 1 { long_at(a, 1) } else { Some(0) };
    let (Some(t), Some(offset)) = (ticks_at(a, 0), offset) else { return Value::Null };
    let midnight = t - t.rem_euclid(TICKS_PER_DAY);
    let start = match unit {
        "day" => Some(midnight),
        "week" => Some(midnight - (t / TICKS_PER_DAY + 1) % 7 * TICKS_PER_DAY),
        "month" => Civil { day: 1, ticks: 0, ..Civil::of(t) }.instant(),
        _ => Civil { month: 1, day: 1, ticks: 0, ..Civil::of(t) }.instant(),
    };
    instant(start.and_then(|start| moved(start, unit, offset)))
}

/// Ticks of a unit of fixed length.
fn fixed(unit: &str) -> Option<i64> {
    Some(match unit {
        "week" => 7 * TICKS_PER_DAY,
        "day" => TICKS_PER_DAY,
        "hour" => 3_600 * TICKS_PER_SECOND,
        "minute" => 60 * TICKS_PER_SECOND,
        "second" => TICKS_PER_SECOND,
        "millisecond" => 10_000,
        "microsecond" => 10,
        _ => return None,
    })
}

/// Months of a unit of calendar length.
fn months(unit: &str) -> Option<i64> {
    Some(match unit {
        "year" => 12,
        "quarter" => 3,
        "month" => 1,
        _ => return None,
    })
}

/// An instant some units later; a day that the month does not have becomes its last.
fn moved(t: i64, unit: &str, count: i64) -> Option<i64> {
    if let Some(ticks) = fixed(unit) {
        return t.checked_add(ticks.checked_mul(count)?);
    }
    let civil = Civil::of(t);
    let month = (civil.year * 12 + civil.month - 1).checked_add(months(unit)?.checked_mul(count)?)?;
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    (0..4).find_map(|back| Civil { year, month, day: civil.day - back, ticks: civil.ticks }.instant())
}

fn datetime_add(a: &[Value], _: &Env) -> Value {
    let unit = text_at(a, 0).to_lowercase();
    let sum = ticks_at(a, 2).zip(long_at(a, 1)).and_then(|(t, count)| moved(t, &unit, count));
    instant(sum)
}

/// How many borders of the unit lie between two instants.
fn datetime_diff(a: &[Value], _: &Env) -> Value {
    let unit = text_at(a, 0).to_lowercase();
    let (Some(left), Some(right)) = (ticks_at(a, 1), ticks_at(a, 2)) else { return Value::Null };
    if unit == "nanosecond" {
        return or_null(left.checked_sub(right).and_then(|ticks| ticks.checked_mul(100)), Value::Long);
    }
    let ordinal = |t: i64| match (unit.as_str(), fixed(&unit), months(&unit)) {
        ("week", ..) => Some((t / TICKS_PER_DAY + 1) / 7),
        (_, Some(ticks), _) => Some(t.div_euclid(ticks)),
        (_, _, Some(months)) => {
            let civil = Civil::of(t);
            Some((civil.year * 12 + civil.month - 1).div_euclid(months))
        }
        _ => None,
    };
    or_null(ordinal(left).zip(ordinal(right)).and_then(|(l, r)| l.checked_sub(r)), Value::Long)
}

/// `yyyy-MM-dd HH:mm:ss.fffffff` and parts of it; delimiters as documented, other letters give nothing.
fn format_datetime(a: &[Value], _: &Env) -> Value {
    let Some(t) = ticks_at(a, 0) else { return Value::from("") };
    let civil = Civil::of(t);
    let mut out = String::new();
    let mut rest = text_at(a, 1);
    while let Some(c) = rest.chars().next() {
        let run = rest.chars().take_while(|d| *d == c).count();
        if !c.is_ascii_alphabetic() {
            (0..run).for_each(|_| out.push(c));
        } else if !push_part(&mut out, &civil, c, run) {
            return Value::Null;
        }
        rest = &rest[run * c.len_utf8()..];
    }
    Value::string(out)
}

fn push_part(out: &mut String, civil: &Civil, kind: char, run: usize) -> bool {
    let seconds = civil.ticks / TICKS_PER_SECOND;
    let hour = seconds / 3_600;
    let fraction = format!("{:07}", civil.ticks % TICKS_PER_SECOND);
    let number = match kind {
        'y' if run <= 2 => civil.year % 100,
        'y' => civil.year,
        'M' => civil.month,
        'd' => civil.day,
        'H' => hour,
        'h' => (hour + 11) % 12 + 1,
        'm' => seconds / 60 % 60,
        's' => seconds % 60,
        'f' => return fraction.get(..run).map(|digits| out.push_str(digits)).is_some(),
        'F' => return fraction.get(..run).map(|digits| out.push_str(digits.trim_end_matches('0'))).is_some(),
        't' => {
            out.push_str(if hour < 12 { "AM" } else { "PM" });
            return true;
        }
        _ => return false,
    };
    write!(out, "{number:0run$}").is_ok()
}
