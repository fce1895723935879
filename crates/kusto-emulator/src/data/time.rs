//! Instants and durations in ticks of 100 ns: civil dates, and the textual forms that the service reads and writes.
//!
//! Forms: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/scalar-data-types/datetime.md` and `timespan.md`.

use std::fmt::Write;

/// Ticks of one second.
pub(crate) const TICKS_PER_SECOND: i64 = 10_000_000;
/// Ticks of one day.
pub(crate) const TICKS_PER_DAY: i64 = 86_400 * TICKS_PER_SECOND;
/// 9999-12-31T23:59:59.9999999Z, the last instant.
pub(crate) const MAX_DATETIME: i64 = 3_155_378_975_999_999_999;
/// 1970-01-01T00:00:00Z.
pub(crate) const UNIX_EPOCH: i64 = 621_355_968_000_000_000;

/// A date and time of the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    /// 1 to 9999.
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
    /// Ticks since midnight.
    pub(crate) ticks: i64,
}

impl Civil {
    /// The date and time of an instant.
    pub(crate) fn of(instant: i64) -> Civil {
        let days = instant.div_euclid(TICKS_PER_DAY) + 306;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Civil {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            ticks: instant.rem_euclid(TICKS_PER_DAY),
        }
    }

    /// The instant; none when the date does not exist or lies outside the years 1 to 9999.
    pub(crate) fn instant(self) -> Option<i64> {
        let valid = (1..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && (0..TICKS_PER_DAY).contains(&self.ticks);
        valid.then(|| days_from_civil(self.year, self.month, self.day) * TICKS_PER_DAY + self.ticks)
    }
}

/// Days of a month.
fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 0001-01-01.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 306
}

/// Reads ASCII text from the left.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Reader<'a> {
        Reader { rest: text.trim_ascii().as_bytes() }
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek().is_some_and(|b| b.eq_ignore_ascii_case(&byte));
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn spaces(&mut self) -> usize {
        let before = self.rest.len();
        self.rest = self.rest.trim_ascii_start();
        before - self.rest.len()
    }

    /// A number of `least` to `most` digits.
    fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.rest.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
        if count < least {
            return None;
        }
        let number = self.rest[..count].iter().fold(0, |n, b| n * 10 + i64::from(b - b'0'));
        self.rest = &self.rest[count..];
        Some(number)
    }

    /// The ticks of a fraction of a second whose point was read; digits beyond the seventh are cut.
    fn fraction(&mut self) -> Option<i64> {
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        let ticks =
            (0..7).fold(0, |n, i| n * 10 + if i < count { i64::from(self.rest[i] - b'0') } else { 0 });
        self.rest = &self.rest[count..];
        Some(ticks)
    }

    fn word(&mut self) -> &'a [u8] {
        let count = self.rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let (word, rest) = self.rest.split_at(count);
        self.rest = rest;
        word
    }

    /// `hh:mm[:ss[.fffffff]]` as ticks.
    fn time_of_day(&mut self) -> Option<i64> {
        let hours = self.digits(1, 2)?;
        if !self.eat(b':') {
            return None;
        }
        let minutes = self.digits(2, 2)?;
        let mut seconds = 0;
        let mut ticks = 0;
        if self.eat(b':') {
            seconds = self.digits(2, 2)?;
            if self.eat(b'.') {
                ticks = self.fraction()?;
            }
        }
        if hours > 23 || minutes > 59 || seconds > 59 {
            return None;
        }
        Some((hours * 3600 + minutes * 60 + seconds) * TICKS_PER_SECOND + ticks)
    }

    /// `Z`, `GMT`, `UTC`, `±hh:mm`, `±hhmm` or nothing: the offset from UTC in ticks.
    fn zone(&mut self) -> Option<i64> {
        self.spaces();
        let negative = match self.peek() {
            None => return Some(0),
            Some(b'+') => false,
            Some(b'-') => true,
            _ => {
                let word = self.word();
                let utc = ["z", "gmt", "utc", "ut"].iter().any(|z| word.eq_ignore_ascii_case(z.as_bytes()));
                return utc.then_some(0);
            }
        };
        self.rest = &self.rest[1..];
        let hours = self.digits(2, 2)?;
        self.eat(b':');
        let minutes = if self.rest.is_empty() { 0 } else { self.digits(2, 2)? };
        let ticks = (hours * 60 + minutes) * 60 * TICKS_PER_SECOND;
        (hours < 15 && minutes < 60).then_some(if negative { -ticks } else { ticks })
    }

    fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

/// Parses an instant: ISO 8601 (date, or date and time joined by `T` or a blank; UTC where no zone is given), RFC 822, RFC 850, and
/// month, day, year.
pub(crate) fn parse_datetime(text: &str) -> Option<i64> {
    iso_datetime(text).or_else(|| rfc_datetime(text)).or_else(|| other_datetime(text))
}

/// `02/17/2016 08:40:01`, `02-17-2016`: month, day, year, as `todatetime()` of the documented examples takes them; and
/// `2016, 2, 17`, `2016 - 02 - 17`.
fn other_datetime(text: &str) -> Option<i64> {
    let mut reader = Reader::new(text);
    let mut numbers = [0; 3];
    let leading_year = reader.rest.iter().take_while(|b| b.is_ascii_digit()).count() == 4;
    for (at, number) in numbers.iter_mut().enumerate() {
        if at > 0 {
            reader.spaces();
            (reader.eat(b'/') || reader.eat(b'-') || reader.eat(b',')).then_some(())?;
            reader.spaces();
        }
        let is_year = at == if leading_year { 0 } else { 2 };
        *number = if is_year { reader.digits(4, 4)? } else { reader.digits(1, 2)? };
    }
    let [year, month, day] = if leading_year { numbers } else { [numbers[2], numbers[0], numbers[1]] };
    reader.spaces();
    let ticks = if reader.rest.is_empty() { 0 } else { reader.time_of_day()? };
    let offset = reader.zone()?;
    reader.end()?;
    shifted(Civil { year, month, day, ticks }, offset)
}

fn iso_datetime(text: &str) -> Option<i64> {
    let mut reader = Reader::new(text);
    let year = reader.digits(4, 4)?;
    let (mut month, mut day) = (1, 1);
    if reader.eat(b'-') {
        month = reader.digits(1, 2)?;
        if reader.eat(b'-') {
            day = reader.digits(1, 2)?;
        }
    }
    let mut ticks = 0;
    let mut offset = 0;
    if !reader.rest.is_empty() {
        if !reader.eat(b'T') && reader.spaces() == 0 {
            return None;
        }
        ticks = reader.time_of_day()?;
        offset = reader.zone()?;
    }
    reader.end()?;
    shifted(Civil { year, month, day, ticks }, offset)
}

/// `[Sat,] 8 Nov 14 15:05[:02] [GMT]` and the same with hyphens in the date.
fn rfc_datetime(text: &str) -> Option<i64> {
    let mut reader = Reader::new(text);
    if reader.peek()?.is_ascii_alphabetic() {
        reader.word();
        reader.eat(b',');
        reader.spaces();
    }
    let day = reader.digits(1, 2)?;
    let separator = |reader: &mut Reader<'_>| (reader.eat(b'-') || reader.spaces() > 0).then_some(());
    separator(&mut reader)?;
    let month = month_number(reader.word())?;
    separator(&mut reader)?;
    let short = reader.rest.iter().take_while(|b| b.is_ascii_digit()).count() == 2;
    let year = reader.digits(2, 4)?;
    let year = if short { year + if year < 50 { 2000 } else { 1900 } } else { year };
    reader.spaces();
    let ticks = if reader.rest.is_empty() { 0 } else { reader.time_of_day()? };
    let offset = reader.zone()?;
    reader.end()?;
    shifted(Civil { year, month, day, ticks }, offset)
}

fn shifted(civil: Civil, offset: i64) -> Option<i64> {
    let instant = civil.instant()? - offset;
    (0..=MAX_DATETIME).contains(&instant).then_some(instant)
}

fn month_number(word: &[u8]) -> Option<i64> {
    const NAMES: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let short = word.get(..3)?;
    let at = NAMES.iter().position(|name| short.eq_ignore_ascii_case(name.as_bytes()))?;
    Some(at as i64 + 1)
}

/// Parses a duration: `[-][d.]hh:mm[:ss[.fffffff]]`, or a whole number of days.
pub(crate) fn parse_timespan(text: &str) -> Option<i64> {
    let mut reader = Reader::new(text);
    let negative = reader.eat(b'-');
    if !negative {
        reader.eat(b'+');
    }
    let mut ahead = Reader { rest: reader.rest };
    let days = ahead.digits(1, 8)?;
    // The earliest has no counterpart with the other sign.
    let sign = if negative { -1 } else { 1 };
    if ahead.rest.is_empty() {
        return days.checked_mul(sign * TICKS_PER_DAY);
    }
    if ahead.eat(b'.') {
        let time = ahead.time_of_day()?;
        ahead.end()?;
        return days.checked_mul(sign * TICKS_PER_DAY)?.checked_add(sign * time);
    }
    let time = reader.time_of_day()?;
    reader.end()?;
    Some(sign * time)
}

/// Appends `n` in at least `width` digits.
fn push_padded(out: &mut String, n: u64, width: u32) {
    let mut scale = 10u64.pow(width - 1);
    while n / scale >= 10 {
        scale *= 10;
    }
    while scale > 0 {
        out.push(char::from(b'0' + ((n / scale) % 10) as u8));
        scale /= 10;
    }
}

fn push_clock(out: &mut String, ticks: u64) {
    let seconds = ticks / TICKS_PER_SECOND as u64;
    push_padded(out, seconds / 3600, 2);
    out.push(':');
    push_padded(out, seconds / 60 % 60, 2);
    out.push(':');
    push_padded(out, seconds % 60, 2);
}

/// Appends an instant as `2020-03-04T14:05:01.3109965Z`.
pub(crate) fn format_datetime(instant: i64, out: &mut String) {
    let civil = Civil::of(instant.clamp(0, MAX_DATETIME));
    push_padded(out, civil.year as u64, 4);
    out.push('-');
    push_padded(out, civil.month as u64, 2);
    out.push('-');
    push_padded(out, civil.day as u64, 2);
    out.push('T');
    push_clock(out, civil.ticks as u64);
    out.push('.');
    push_padded(out, (civil.ticks % TICKS_PER_SECOND) as u64, 7);
    out.push('Z');
}

/// Appends a duration as `[-][d.]hh:mm:ss[.fffffff]`.
pub(crate) fn format_timespan(ticks: i64, out: &mut String) {
    let magnitude = ticks.unsigned_abs();
    if ticks < 0 {
        out.push('-');
    }
    let days = magnitude / TICKS_PER_DAY as u64;
    if days > 0 {
        push_padded(out, days, 1);
        out.push('.');
    }
    push_clock(out, magnitude % TICKS_PER_DAY as u64);
    let fraction = magnitude % TICKS_PER_SECOND as u64;
    if fraction > 0 {
        out.push('.');
        push_padded(out, fraction, 7);
    }
}

/// Parses a guid: 32 hexadecimal digits, with the hyphens or without, braces allowed.
pub(crate) fn parse_guid(text: &str) -> Option<u128> {
    let text = text.trim_ascii();
    let known = uuid::Uuid::try_parse(text).ok().map(|guid| guid.as_u128());
    known.or_else(|| {
        // Hyphens may stand elsewhere.
        let digits = || text.bytes().filter(|byte| *byte != b'-');
        let plain = digits().count() == 32 && digits().all(|byte| byte.is_ascii_hexdigit());
        let digit = |byte: u8| u128::from((byte as char).to_digit(16).unwrap_or(0));
        plain.then(|| digits().fold(0, |guid, byte| guid << 4 | digit(byte)))
    })
}

/// Appends a guid in lower case with hyphens.
pub(crate) fn format_guid(guid: u128, out: &mut String) {
    let _ = write!(out, "{}", uuid::Uuid::from_u128(guid).as_hyphenated());
}
