//! Decimal numbers.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ValueError;

/// A `decimal` as text: an optional sign, digits with an optional point among them, an optional exponent. At most 34
/// significant digits, the precision that the service keeps.
///
/// ```
/// use timely_kusto::types::Decimal;
///
/// let price: Decimal = "19.90".parse()?;
/// assert_eq!(price.as_str(), "19.90");
/// assert!("12,5".parse::<Decimal>().is_err());
/// # Ok::<(), timely_kusto::types::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(Box<str>);

/// The significant digits that the service keeps.
const MAX_DIGITS: usize = 34;

impl Decimal {
    /// The text, as it was given; a `+` at its beginning is left out, since it is not documented that the service reads one.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Why a text is no decimal, if it is none: what reading it finds, without a copy of it.
    pub(crate) fn fault(text: &str) -> Option<&'static str> {
        fault(text)
    }
}

/// Why a text is no decimal, if it is none.
fn fault(text: &str) -> Option<&'static str> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) =
        unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)) && exponent.parse::<i16>().is_ok()
    });
    if !digits(whole) || !digits(fraction) || !exponent_fits {
        return Some("it is written as digits, a point and an exponent, as in -12.5 or 1e5");
    }
    let significant = mantissa.trim_start_matches(['0', '.']).bytes().filter(u8::is_ascii_digit).count();
    (significant > MAX_DIGITS).then_some("it has more than 34 significant digits")
}

impl FromStr for Decimal {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match fault(text) {
            None => Ok(Decimal(text.strip_prefix('+').unwrap_or(text).into())),
            Some(reason) => Err(ValueError::new("decimal", format!("{text:?}"), reason)),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for Decimal {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
