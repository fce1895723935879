//! Points in time.

use std::fmt;
use std::str::{FromStr, from_utf8};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digits::{Reader, put};
use super::{TICKS_PER_DAY, TICKS_PER_SECOND, ValueError};

/// A `datetime`: UTC with a precision of 100 ns, from the year 1 to the end of the year 9999
/// (`data-explorer/kusto/query/scalar-data-types/datetime.md`). Its text is `2014-05-25T08:20:03.1234567Z`.
///
/// ```
/// use timely_kusto::types::DateTime;
///
/// let time = DateTime::from_unix_nanos(1_401_006_003_123_456_789);
/// assert_eq!(time.to_string(), "2014-05-25T08:20:03.1234567Z");
/// assert_eq!("2014-05-25 08:20:03.1234567".parse(), Ok(time));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime(i64);

/// Ticks from the year 1 to 1970-01-01.
const UNIX_EPOCH_TICKS: i64 = 719_162 * TICKS_PER_DAY;

/// How long the text is.
const TEXT: usize = "2014-05-25T08:20:03.1234567Z".len();

impl DateTime {
    /// How long its text is.
    pub(crate) const TEXT: usize = TEXT;

    /// 0001-01-01T00:00:00Z
    pub const MIN: DateTime = DateTime(0);

    /// 9999-12-31T23:59:59.9999999Z
    pub const MAX: DateTime = DateTime(3_652_059 * TICKS_PER_DAY - 1);

    /// From ticks of 100 ns since 0001-01-01T00:00:00Z, as .NET counts them; `None` outside the years 1 to 9999.
    pub const fn from_ticks(ticks: i64) -> Option<Self> {
        if ticks < Self::MIN.0 || ticks > Self::MAX.0 { None } else { Some(DateTime(ticks)) }
    }

    /// Ticks of 100 ns since 0001-01-01T00:00:00Z.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// From nanoseconds since 1970; what is finer than 100 ns is cut off (towards the past).
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        DateTime(UNIX_EPOCH_TICKS + nanos.div_euclid(100))
    }

    /// From microseconds since 1970; `None` outside the years 1 to 9999.
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        Self::from_unix_ticks(micros.checked_mul(10)?)
    }

    /// From milliseconds since 1970; `None` outside the years 1 to 9999.
    pub fn from_unix_millis(millis: i64) -> Option<Self> {
        Self::from_unix_ticks(millis.checked_mul(10_000)?)
    }

    /// From seconds since 1970; `None` outside the years 1 to 9999.
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        Self::from_unix_ticks(seconds.checked_mul(TICKS_PER_SECOND)?)
    }

    fn from_unix_ticks(ticks: i64) -> Option<Self> {
        Self::from_ticks(UNIX_EPOCH_TICKS.checked_add(ticks)?)
    }

    /// Nanoseconds since 1970.
    pub fn unix_nanos(self) -> i128 {
        i128::from(self.0 - UNIX_EPOCH_TICKS) * 100
    }

    /// The text, ASCII, always of the same length.
    #[inline]
    pub(crate) fn text(self) -> [u8; TEXT] {
        let (year, month, day) = civil(self.0 / TICKS_PER_DAY);
        let in_day = self.0 % TICKS_PER_DAY;
        let (second, fraction) = ((in_day / TICKS_PER_SECOND) as u32, (in_day % TICKS_PER_SECOND) as u32);
        let mut text = *b"0000-00-00T00:00:00.0000000Z";
        put(&mut text[0..4], year);
        put(&mut text[5..7], month);
        put(&mut text[8..10], day);
        put(&mut text[11..13], second / 3600);
        put(&mut text[14..16], second / 60 % 60);
        put(&mut text[17..19], second % 60);
        put(&mut text[20..27], fraction);
        text
    }
}

/// Year, month and day of the day `days` after 0001-01-01.
///
/// Days are counted from a first of March, so that the day which is not always there ends a year.
#[inline]
fn civil(days: i64) -> (u32, u32, u32) {
    // A day of the year 0's March is day 0: 306 days before 0001-01-01.
    let days = days as u32 + 306;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u32::from(month <= 2), month, day)
}

/// Days from 0001-01-01 to a date, if there is such a date.
fn days_from_civil(year: u32, month: u32, day: u32) -> Option<i64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || day == 0 || day > longest {
        return None;
    }
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year / 4 - year / 100 + year / 400;
    Some(i64::from(365 * year + leap_days + (153 * month + 2) / 5 + day - 1) - 306)
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(from_utf8(&self.text()).expect("digits are ASCII"))
    }
}

impl FromStr for DateTime {
    type Err = ValueError;

    /// Reads ISO 8601 in UTC: a date, `T` or a blank, hours and minutes, and then as much as there is of seconds,
    /// fraction and `Z`; or a date alone. What is finer than 100 ns is cut off.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let reason = "it is written 2014-05-25T08:20:03.1234567Z, in UTC";
        parse(Reader(text.as_bytes()))
            .and_then(DateTime::from_ticks)
            .ok_or_else(|| ValueError::new("datetime", format!("{text:?}"), reason))
    }
}

fn parse(mut text: Reader<'_>) -> Option<i64> {
    let year = text.digits(4)?;
    let month = text.take(b"-").then(|| text.digits(2))??;
    let day = text.take(b"-").then(|| text.digits(2))??;
    let midnight = days_from_civil(year, month, day)? * TICKS_PER_DAY;
    if text.is_empty() {
        return Some(midnight);
    }
    let hour = text.take(b"T ").then(|| text.digits(2))??;
    let minute = text.take(b":").then(|| text.digits(2))??;
    let second = if text.take(b":") { text.digits(2)? } else { 0 };
    let fraction = if text.take(b".") { text.fraction()? } else { 0 };
    text.take(b"Z");
    let in_range = hour < 24 && minute < 60 && second < 60 && text.is_empty();
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    in_range.then_some(midnight + seconds * TICKS_PER_SECOND + fraction)
}

impl TryFrom<SystemTime> for DateTime {
    type Error = ValueError;

    /// What is finer than 100 ns is cut off (towards the past).
    fn try_from(time: SystemTime) -> Result<Self, ValueError> {
        let nanos = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i128::try_from(after.as_nanos()).ok(),
            Err(before) => i128::try_from(before.duration().as_nanos()).ok().map(|nanos| -nanos),
        };
        nanos
            .and_then(|nanos| i64::try_from(nanos.div_euclid(100)).ok())
            .and_then(DateTime::from_unix_ticks)
            .ok_or_else(|| {
                ValueError::new("datetime", format!("{time:?}"), "it is outside the years 1 to 9999")
            })
    }
}

impl Serialize for DateTime {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(from_utf8(&self.text()).expect("digits are ASCII"))
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for DateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
        }
        let ticks = i64::deserialize(deserializer)?;
        DateTime::from_ticks(ticks).ok_or_else(|| D::Error::custom("a datetime outside the years 1 to 9999"))
    }
}
