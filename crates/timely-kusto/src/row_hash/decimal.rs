//! Decimals without exponent and without zeros that say nothing.

use super::value::{Why, is_decimal};

/// The digits that the service keeps.
const MAX_DIGITS: usize = 34;

/// Appends the text of a decimal.
///
/// # Errors
/// When it is none, or reaches beyond 34 digits on one side of the point.
pub(super) fn write(text: &str, out: &mut Vec<u8>) -> Result<(), Why> {
    is_decimal(text)?;
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |unsigned| (true, unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i32 = exponent.parse().map_err(|_| "its exponent is too large")?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = [0; MAX_DIGITS];
    let all = whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0');
    let length = all.zip(&mut digits).map(|(digit, place)| *place = digit).count();
    let digits = &digits[..length];
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    let digits = &digits[..length - zeros];
    // The value is the digits divided by ten to the power of this.
    let scale = fraction.len() as i32 - exponent - zeros as i32;
    place(negative, digits, scale, out)
}

fn place(negative: bool, digits: &[u8], scale: i32, out: &mut Vec<u8>) -> Result<(), Why> {
    if digits.is_empty() {
        out.push(b'0');
        return Ok(());
    }
    let before = digits.len() as i32 - scale;
    if before > MAX_DIGITS as i32 || scale > MAX_DIGITS as i32 {
        return Err("it has digits more than 34 places from the point");
    }
    if negative {
        out.push(b'-');
    }
    let zeros = |count: i32| std::iter::repeat_n(b'0', usize::try_from(count).unwrap_or(0));
    if scale <= 0 {
        out.extend_from_slice(digits);
        out.extend(zeros(-scale));
    } else if before > 0 {
        let (whole, fraction) = digits.split_at(before as usize);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.extend(zeros(-before));
        out.extend_from_slice(digits);
    }
    Ok(())
}
