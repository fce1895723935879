//! Reals, told exactly by whole numbers.

use super::value::{Why, digits};

/// Reads a real: decimal digits on both sides of a point, an exponent; `NaN`, `Infinity` and `-Infinity` as the service
/// spells them in its results.
pub(super) fn read(text: &str) -> Result<f64, Why> {
    match text {
        "NaN" => return Ok(f64::NAN),
        "Infinity" => return Ok(f64::INFINITY),
        "-Infinity" => return Ok(f64::NEG_INFINITY),
        _ => {}
    }
    const NO_REAL: Why = "it must be a number, NaN, Infinity or -Infinity";
    let bytes = text.as_bytes();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let lopsided = bytes
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'.' && !bytes.get(at + 1).is_some_and(u8::is_ascii_digit));
    if lopsided || !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(NO_REAL);
    }
    let value: f64 = text.parse().map_err(|_| NO_REAL)?;
    if value.is_finite() { Ok(value) } else { Err("it is too large") }
}

/// Appends the text of a real (see [`Kind::Real`](super::Kind)).
pub(super) fn write(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        let name: &[u8] = match (value.is_nan(), value > 0.0) {
            (true, _) => b"nan",
            (false, true) => b"inf",
            (false, false) => b"-inf",
        };
        return out.extend_from_slice(name);
    }
    out.push(if value < 0.0 { b'-' } else { b'+' });
    let magnitude = value.abs();
    let range = range(magnitude);
    let scaled = magnitude * power(952 - 128 * range);
    digits(range as u64, out); // 0 to 15
    for part in [scaled, scaled.fract() * power(62), (scaled * power(62)).fract() * power(62)] {
        out.push(b':');
        digits(part as u64, out); // whole numbers below 2^63: the rest is cut off
    }
}

/// Which power of two brings a magnitude near one.
#[inline]
fn range(magnitude: f64) -> i32 {
    let of = |logarithm: f64| ((logarithm + 1018.3) / 128.0) as i32;
    // The logarithm lies between two whole numbers, which mostly are of one range.
    let exponent = (magnitude.to_bits() >> 52) as i32 - 1023;
    match magnitude > 0.0 {
        true if exponent > -1023 && of(exponent.into()) == of((exponent + 1).into()) => of(exponent.into()),
        true => of(magnitude.log2()),
        false => 0,
    }
}

/// Two to the power of `exponent`, from -1022 to 1023: nothing but an exponent.
pub(super) const fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}
