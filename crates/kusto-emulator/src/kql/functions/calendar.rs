//! Instants and durations taken apart and put together.

use super::Param::{DateTime, Long, Real, Text, TimeSpan};
use super::time::{days, instant, start_of, ticks_at, unix};
use super::{Function, exact, long_at, optional, or_null, text_at};
use crate::data::{Civil, ColumnType, TICKS_PER_DAY, TICKS_PER_SECOND, Value};
use crate::kql::eval::Env;
use std::fmt::Write;

pub(super) const FUNCTIONS: &[Function] = &[
    optional("endofday", &[DateTime, Long], 1, ColumnType::DateTime, |a, _| end_of(a, "day")),
    optional("endofweek", &[DateTime, Long], 1, ColumnType::DateTime, |a, _| end_of(a, "week")),
    optional("endofmonth", &[DateTime, Long], 1, ColumnType::DateTime, |a, _| end_of(a, "month")),
    optional("endofyear", &[DateTime, Long], 1, ColumnType::DateTime, |a, _| end_of(a, "year")),
    exact("dayofyear", &[DateTime], ColumnType::Int, |a, _| part(a, 0, day_of_year)),
    exact("week_of_year", &[DateTime], ColumnType::Long, |a, _| {
        or_null(ticks_at(a, 0).map(week_of_year), Value::Long)
    }),
    exact("datetime_part", &[Text, DateTime], ColumnType::Int, datetime_part),
    optional("make_datetime", &[Long, Long, Long, Long, Long, Real], 3, ColumnType::DateTime, make_datetime),
    optional("make_timespan", &[Long, Long, Real, Real], 2, ColumnType::TimeSpan, make_timespan),
    exact("format_timespan", &[TimeSpan, Text], ColumnType::String, format_timespan),
    exact("unixtime_nanoseconds_todatetime", &[Long], ColumnType::DateTime, |a, _| {
        let ticks = long_at(a, 0).map_or(Value::Null, |n| Value::Long(n.div_euclid(100)));
        unix(&[ticks], 1)
    }),
];

fn part(a: &[Value], at: usize, of: fn(i64) -> i64) -> Value {
    or_null(ticks_at(a, at).map(|ticks| of(ticks) as i32), Value::Int)
}

/// The last tick before the next day, week, month or year starts.
fn end_of(a: &[Value], unit: &str) -> Value {
    let offset = if a.len() > 1 { long_at(a, 1) } else { Some(0) };
    let next = or_null(offset.and_then(|offset| offset.checked_add(1)), Value::Long);
    match start_of(&[a[0].clone(), next], unit) {
        Value::DateTime(ticks) => instant(ticks.checked_sub(1)),
        _ => Value::Null,
    }
}

fn new_year(ticks: i64) -> i64 {
    Civil { month: 1, day: 1, ticks: 0, ..Civil::of(ticks) }.instant().unwrap_or(0)
}

fn day_of_year(ticks: i64) -> i64 {
    (ticks - new_year(ticks)) / TICKS_PER_DAY + 1
}

/// The week by ISO 8601: weeks start on Monday, the first has the year's first Thursday.
fn week_of_year(ticks: i64) -> i64 {
    let day = days(ticks);
    let thursday = (day - day.rem_euclid(7) + 3).max(0) * TICKS_PER_DAY;
    (day_of_year(thursday) - 1) / 7 + 1
}

fn datetime_part(a: &[Value], _: &Env) -> Value {
    let of: fn(i64) -> i64 = match text_at(a, 0).to_lowercase().as_str() {
        "year" => |t| Civil::of(t).year,
        "quarter" => |t| (Civil::of(t).month + 2) / 3,
        "month" => |t| Civil::of(t).month,
        "week_of_year" | "weekofyear" => week_of_year,
        "day" => |t| Civil::of(t).day,
        "dayofyear" => day_of_year,
        "hour" => |t| t / (3_600 * TICKS_PER_SECOND) % 24,
        "minute" => |t| t / (60 * TICKS_PER_SECOND) % 60,
        "second" => |t| t / TICKS_PER_SECOND % 60,
        "millisecond" => |t| t % TICKS_PER_SECOND / 10_000,
        "microsecond" => |t| t % TICKS_PER_SECOND / 10,
        "nanosecond" => |t| t % TICKS_PER_SECOND * 100,
        _ => return Value::Null,
    };
    part(a, 1, of)
}

fn real_at(a: &[Value], at: usize) -> Option<f64> {
    match a.get(at) {
        None => Some(0.0),
        Some(Value::Real(n)) => Some(*n),
        Some(_) => None,
    }
}

/// Ticks of hours, minutes and seconds of a day; none when one is out of its range.
fn of_day(hour: i64, minute: i64, second: f64) -> Option<i64> {
    let fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..60.0).contains(&second);
    fits.then(|| {
        (hour * 3_600 + minute * 60) * TICKS_PER_SECOND + (second * TICKS_PER_SECOND as f64).round() as i64
    })
}

fn make_datetime(a: &[Value], _: &Env) -> Value {
    let optional = |at: usize| if a.len() > at { long_at(a, at) } else { Some(0) };
    let made = || {
        let ticks = of_day(optional(3)?, optional(4)?, real_at(a, 5)?)?;
        Civil { year: long_at(a, 0)?, month: long_at(a, 1)?, day: long_at(a, 2)?, ticks }.instant()
    };
    instant(made())
}

/// `hour, minute [, second]`, or `day, hour, minute, second`.
fn make_timespan(a: &[Value], _: &Env) -> Value {
    let made = || match a.len() {
        4 => {
            let minute = real_at(a, 2)?;
            let minute = (minute.fract() == 0.0).then_some(minute as i64)?;
            let ticks = of_day(long_at(a, 1)?, minute, real_at(a, 3)?)?;
            long_at(a, 0)?.checked_mul(TICKS_PER_DAY)?.checked_add(ticks)
        }
        _ => of_day(long_at(a, 0)?, long_at(a, 1)?, real_at(a, 2)?),
    };
    or_null(made(), Value::TimeSpan)
}

/// Runs of `d`, `H`/`h`, `m`, `s`, `f`, `F` by their width; delimiters as they stand; null for other letters.
fn format_timespan(a: &[Value], _: &Env) -> Value {
    let Some(ticks) = ticks_at(a, 0) else { return Value::from("") };
    let size = ticks.unsigned_abs() as i64;
    let seconds = size / TICKS_PER_SECOND;
    let fraction = format!("{:07}", size % TICKS_PER_SECOND);
    let mut out = String::from(if ticks < 0 { "-" } else { "" });
    let mut rest = text_at(a, 1);
    while let Some(c) = rest.chars().next() {
        let run = rest.chars().take_while(|d| *d == c).count();
        rest = &rest[run * c.len_utf8()..];
        let number = match c {
            'd' => seconds / 86_400,
            'H' | 'h' => seconds / 3_600 % 24,
            'm' => seconds / 60 % 60,
            's' => seconds % 60,
            'f' | 'F' => {
                let Some(digits) = fraction.get(..run) else { return Value::Null };
                out.push_str(if c == 'f' { digits } else { digits.trim_end_matches('0') });
                continue;
            }
            c if c.is_ascii_alphabetic() => return Value::Null,
            c => {
                (0..run).for_each(|_| out.push(c));
                continue;
            }
        };
        let _ = write!(out, "{number:0run$}");
    }
    Value::string(out)
}
