//! Lengths of time.

use std::fmt;
use std::str::{FromStr, from_utf8};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digits::{Reader, put};
use super::{TICKS_PER_DAY, TICKS_PER_SECOND, ValueError};

/// A `timespan`: a length of time with a sign and a precision of 100 ns. Its text is `[-][d.]hh:mm:ss[.fffffff]`
/// (`data-explorer/kusto/query/scalar-data-types/timespan.md`).
///
/// ```
/// use timely_kusto::types::Timespan;
///
/// assert_eq!(Timespan::from_ticks(-863_999_999_999).to_string(), "-23:59:59.9999999");
/// assert_eq!("1.02:00:00".parse::<Timespan>()?.ticks(), 26 * 3600 * 10_000_000);
/// # Ok::<(), timely_kusto::types::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timespan(i64);

/// The longest text: `-10675199.02:48:05.4775808`.
const LONGEST: usize = 26;

impl Timespan {
    /// About minus 29,000 years.
    pub const MIN: Timespan = Timespan(i64::MIN);

    /// About 29,000 years.
    pub const MAX: Timespan = Timespan(i64::MAX);

    /// From ticks of 100 ns.
    pub const fn from_ticks(ticks: i64) -> Self {
        Timespan(ticks)
    }

    /// Ticks of 100 ns.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// Writes the text at the end of `text` and returns where it begins.
    fn text(self, text: &mut [u8; LONGEST]) -> usize {
        let ticks = self.0.unsigned_abs();
        let (days, in_day) = (ticks / TICKS_PER_DAY as u64, ticks % TICKS_PER_DAY as u64);
        let second = (in_day / TICKS_PER_SECOND as u64) as u32;
        let fraction = (in_day % TICKS_PER_SECOND as u64) as u32;
        *text = *b"-00000000.00:00:00.0000000";
        put(&mut text[10..12], second / 3600);
        put(&mut text[13..15], second / 60 % 60);
        put(&mut text[16..18], second % 60);
        put(&mut text[19..26], fraction);
        let mut start = 10;
        if days > 0 {
            let width = 1 + days.ilog10() as usize;
            start = 9 - width;
            put(&mut text[start..9], days as u32);
        }
        if self.0 < 0 {
            start -= 1;
            text[start] = b'-';
        }
        start
    }

    /// The text without a fraction that is zero.
    fn with_text<R>(self, use_text: impl FnOnce(&str) -> R) -> R {
        let mut text = [0; LONGEST];
        let start = self.text(&mut text);
        let end = if self.0 % TICKS_PER_SECOND == 0 { LONGEST - 8 } else { LONGEST };
        use_text(from_utf8(&text[start..end]).expect("digits are ASCII"))
    }
}

impl fmt::Display for Timespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}

impl FromStr for Timespan {
    type Err = ValueError;

    /// Reads `[-][d.]hh:mm:ss[.fffffff]`; what is finer than 100 ns is cut off.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        parse(Reader(text.as_bytes())).map(Timespan).ok_or_else(|| {
            ValueError::new("timespan", format!("{text:?}"), "it is written [-][d.]hh:mm:ss[.fffffff]")
        })
    }
}

fn parse(mut text: Reader<'_>) -> Option<i64> {
    let sign = if text.take(b"-") { -1 } else { 1 };
    let mut days = 0;
    let mut rest = text;
    if rest.number().is_some() && rest.take(b".") {
        days = text.number()?;
        text = rest;
    }
    let hour = text.digits(2)?;
    let minute = text.take(b":").then(|| text.digits(2))??;
    let second = text.take(b":").then(|| text.digits(2))??;
    let fraction = if text.take(b".") { text.fraction()? } else { 0 };
    if hour >= 24 || minute >= 60 || second >= 60 || !text.is_empty() {
        return None;
    }
    let in_day = i64::from(hour * 3600 + minute * 60 + second) * TICKS_PER_SECOND + fraction;
    days.checked_mul(sign * TICKS_PER_DAY)?.checked_add(sign * in_day)
}

impl TryFrom<Duration> for Timespan {
    type Error = ValueError;

    /// What is finer than 100 ns is cut off.
    fn try_from(duration: Duration) -> Result<Self, ValueError> {
        i64::try_from(duration.as_nanos() / 100).map(Timespan).map_err(|_| {
            ValueError::new("timespan", format!("{duration:?}"), "it is longer than 29,000 years")
        })
    }
}

impl Serialize for Timespan {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.with_text(|text| serializer.serialize_str(text))
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timespan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
        }
        i64::deserialize(deserializer).map(Timespan)
    }
}

/// For `#[serde(with = "timely_kusto::types::duration_as_timespan")]` on a field of [`Duration`]: a `timespan` instead
/// of serde's own form, a struct of seconds and nanoseconds. What is finer than 100 ns is cut off.
pub mod duration_as_timespan {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Timespan;

    /// Writes a duration as a timespan.
    ///
    /// # Errors
    /// When it is longer than 29,000 years.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        Timespan::try_from(*duration).map_err(S::Error::custom)?.serialize(serializer)
    }

    /// Reads a timespan as a duration.
    ///
    /// # Errors
    /// When it is negative, or no timespan.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let ticks = u64::try_from(Timespan::deserialize(deserializer)?.ticks())
            .map_err(|_| D::Error::custom("a duration is not negative"))?;
        Ok(Duration::new(ticks / 10_000_000, (ticks % 10_000_000) as u32 * 100))
    }
}
