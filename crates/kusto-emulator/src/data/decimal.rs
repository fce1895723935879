//! `decimal`: a base-ten number of at most 34 significant digits, computed exactly and rounded half away from zero.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// Significant digits of a decimal (the precision of IEEE 754 decimal128).
const DIGITS: u32 = 34;
const LIMIT: u128 = 10u128.pow(DIGITS);
/// Digits behind the point at most. A magnitude below 10⁻³⁴ is zero here.
const MAX_SCALE: u32 = 34;

/// `mantissa / 10^scale`, |mantissa| < 10³⁴, scale ≤ 34; the scale is kept as written (`1.50` stays `1.50`).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Decimal {
    mantissa: i128,
    scale: u8,
}

impl Decimal {
    /// Zero.
    pub(crate) const ZERO: Decimal = Decimal { mantissa: 0, scale: 0 };

    /// Parses `[+-]digits[.digits][e[+-]digits]`. None when it is not a number or has more than 34 digits before the point.
    pub(crate) fn parse(text: &str) -> Option<Decimal> {
        let text = text.trim_ascii();
        let (negative, body) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (number, exponent) = match body.find(['e', 'E']) {
            Some(at) => (&body[..at], body[at + 1..].parse::<i32>().ok()?),
            None => (body, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut digits = Accumulator::default();
        for byte in whole.bytes().chain(fraction.bytes()) {
            digits.push(byte)?;
        }
        let magnitude = digits.round();
        let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent) - digits.dropped;
        Decimal::from_parts(negative, magnitude, scale)
    }

    fn from_parts(negative: bool, mut magnitude: u128, mut scale: i64) -> Option<Decimal> {
        if magnitude == 0 {
            return Some(Decimal { mantissa: 0, scale: scale.clamp(0, i64::from(MAX_SCALE)) as u8 });
        }
        while scale < 0 {
            magnitude = magnitude.checked_mul(10).filter(|m| *m < LIMIT)?;
            scale += 1;
        }
        if scale > i64::from(MAX_SCALE) {
            let surplus = scale - i64::from(MAX_SCALE);
            magnitude = if surplus > 38 { 0 } else { round_div(magnitude, 10u128.pow(surplus as u32)) };
            scale = i64::from(MAX_SCALE);
        }
        if magnitude >= LIMIT {
            (magnitude, scale) = (round_div(magnitude, 10), scale - 1);
        }
        if scale < 0 {
            return None;
        }
        let mantissa = i128::try_from(magnitude).ok()?;
        Some(Decimal { mantissa: if negative { -mantissa } else { mantissa }, scale: scale as u8 })
    }

    /// The nearest decimal of a finite number; none for NaN, infinities and magnitudes of 10³⁴ and more.
    pub(crate) fn from_f64(number: f64) -> Option<Decimal> {
        if number.is_finite() { Decimal::parse(&format!("{number:e}")) } else { None }
    }

    /// The nearest `f64`.
    pub(crate) fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The whole part, when it fits 64 bits.
    pub(crate) fn to_i64(self) -> Option<i64> {
        i64::try_from(self.mantissa / 10i128.pow(u32::from(self.scale))).ok()
    }

    /// The same number without trailing zeros behind the point: equal decimals become identical.
    pub(crate) fn normalized(self) -> (i128, u8) {
        let (mut mantissa, mut scale) = (self.mantissa, self.scale);
        while scale > 0 && mantissa % 10 == 0 {
            (mantissa, scale) = (mantissa / 10, scale - 1);
        }
        (mantissa, scale)
    }

    /// `-self`
    pub(crate) fn negate(self) -> Decimal {
        Decimal { mantissa: -self.mantissa, ..self }
    }

    /// The sum; none on overflow.
    pub(crate) fn add(self, other: Decimal) -> Option<Decimal> {
        let (low, high) = if self.scale <= other.scale { (self, other) } else { (other, self) };
        let shift = u32::from(high.scale - low.scale);
        let negative = low.mantissa < 0;
        let (wide_hi, wide_lo) = wide_mul(low.mantissa.unsigned_abs(), 10u128.pow(shift));
        if wide_hi == 0
            && let Ok(aligned) = i128::try_from(wide_lo)
            && let Some(sum) = (if negative { -aligned } else { aligned }).checked_add(high.mantissa)
        {
            return Decimal::from_parts(sum < 0, sum.unsigned_abs(), i64::from(high.scale));
        }
        // The operands lie too far apart for 38 digits: the finer one is rounded to where the result ends.
        let room = DIGITS.saturating_sub(digits_of(low.mantissa.unsigned_abs())).min(shift);
        let aligned = low.mantissa.checked_mul(10i128.pow(room))?;
        let coarse = round_div(high.mantissa.unsigned_abs(), 10u128.pow(shift - room));
        let coarse = i128::try_from(coarse).ok()?;
        let sum = aligned.checked_add(if high.mantissa < 0 { -coarse } else { coarse })?;
        Decimal::from_parts(sum < 0, sum.unsigned_abs(), i64::from(low.scale) + i64::from(room))
    }

    /// The difference; none on overflow.
    pub(crate) fn sub(self, other: Decimal) -> Option<Decimal> {
        self.add(other.negate())
    }

    /// The product; none on overflow.
    pub(crate) fn mul(self, other: Decimal) -> Option<Decimal> {
        let (mut hi, mut lo) = wide_mul(self.mantissa.unsigned_abs(), other.mantissa.unsigned_abs());
        let mut scale = i64::from(self.scale) + i64::from(other.scale);
        let mut last = 0;
        while hi > 0 || lo >= LIMIT {
            (hi, lo, last) = wide_div10(hi, lo);
            scale -= 1;
        }
        if last >= 5 {
            lo += 1;
        }
        Decimal::from_parts((self.mantissa < 0) != (other.mantissa < 0), lo, scale)
    }

    /// The quotient to 34 digits; none when `other` is zero or the result overflows.
    pub(crate) fn div(self, other: Decimal) -> Option<Decimal> {
        let divisor = other.mantissa.unsigned_abs();
        if divisor == 0 {
            return None;
        }
        let mut quotient = self.mantissa.unsigned_abs() / divisor;
        let mut rest = self.mantissa.unsigned_abs() % divisor;
        let mut scale = i64::from(self.scale) - i64::from(other.scale);
        while (rest > 0 || scale < 0) && quotient < LIMIT / 10 && scale < i64::from(MAX_SCALE) {
            rest *= 10;
            quotient = quotient * 10 + rest / divisor;
            rest %= divisor;
            scale += 1;
        }
        if rest >= divisor - rest {
            quotient += 1;
        }
        Decimal::from_parts((self.mantissa < 0) != (other.mantissa < 0), quotient, scale)
    }
}

/// Collects up to 36 digits exactly; further ones only move the point.
#[derive(Default)]
struct Accumulator {
    magnitude: u128,
    dropped: i64,
}

impl Accumulator {
    fn push(&mut self, byte: u8) -> Option<()> {
        let digit = byte.is_ascii_digit().then(|| u128::from(byte - b'0'))?;
        if self.magnitude < LIMIT * 100 {
            self.magnitude = self.magnitude * 10 + digit;
        } else {
            self.dropped += 1;
        }
        Some(())
    }

    /// At most 34 digits; `dropped` counts those cut off.
    fn round(&mut self) -> u128 {
        let mut cut = 0;
        let mut limit = LIMIT;
        while self.magnitude >= limit {
            limit *= 10;
            cut += 1;
        }
        if cut > 0 {
            self.magnitude = round_div(self.magnitude, 10u128.pow(cut));
            self.dropped += i64::from(cut);
        }
        self.magnitude
    }
}

fn digits_of(mut number: u128) -> u32 {
    let mut digits = 0;
    while number > 0 {
        number /= 10;
        digits += 1;
    }
    digits
}

fn round_div(number: u128, divisor: u128) -> u128 {
    let rest = number % divisor;
    number / divisor + u128::from(rest >= divisor - rest)
}

fn wide_mul(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let (low, mid1, mid2, high) = (a0 * b0, a1 * b0, a0 * b1, a1 * b1);
    let middle = (low >> 64) + (mid1 & LOW) + (mid2 & LOW);
    (high + (mid1 >> 64) + (mid2 >> 64) + (middle >> 64), (middle << 64) | (low & LOW))
}

/// `(hi, lo) / 10` and the remainder, by schoolbook division over 64-bit digits.
fn wide_div10(hi: u128, lo: u128) -> (u128, u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (q_hi, rest) = (hi / 10, hi % 10);
    let upper = (rest << 64) | (lo >> 64);
    let lower = ((upper % 10) << 64) | (lo & LOW);
    (q_hi, ((upper / 10) << 64) | (lower / 10), lower % 10)
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Decimal {
        Decimal { mantissa: i128::from(number), scale: 0 }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        let sign = self.mantissa.signum().cmp(&other.mantissa.signum());
        if sign != Ordering::Equal {
            return sign;
        }
        let magnitude =
            |d: &Decimal, shift: u8| wide_mul(d.mantissa.unsigned_abs(), 10u128.pow(u32::from(shift)));
        let left = magnitude(self, other.scale.saturating_sub(self.scale));
        let right = magnitude(other, self.scale.saturating_sub(other.scale));
        if self.mantissa < 0 { right.cmp(&left) } else { left.cmp(&right) }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Decimal) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let scale = usize::from(self.scale);
        let digits = format!("{:0width$}", self.mantissa.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        if scale == 0 { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}
