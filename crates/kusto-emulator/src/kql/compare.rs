//! Equality and order of values: of pairs, of rows, and as keys of sets.

use crate::data::{ColumnData, Value, Values, write_value_json};
use std::cmp::Ordering;

/// A value as the key of a set: values are equal when their keys are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Null,
    Bool(bool),
    Number(i64),
    Real(u64),
    Decimal(i128, u8),
    Ticks(i64),
    Guid(u128),
    Text(String),
    Json(String),
}

/// The key of a value.
pub(super) fn key_of(value: &Value) -> Key {
    match value {
        Value::Null => Key::Null,
        Value::Bool(b) => Key::Bool(*b),
        Value::Int(n) => Key::Number(i64::from(*n)),
        Value::Long(n) => Key::Number(*n),
        Value::Real(n) => Key::Real(real_bits(*n)),
        Value::Decimal(n) => {
            let (mantissa, scale) = n.normalized();
            Key::Decimal(mantissa, scale)
        }
        Value::DateTime(t) | Value::TimeSpan(t) => Key::Ticks(*t),
        Value::Guid(g) => Key::Guid(*g),
        Value::String(text) => Key::Text(text.to_string()),
        Value::Dynamic(_) => {
            let mut json = String::new();
            write_value_json(value, &mut json);
            Key::Json(json)
        }
    }
}

/// Bits that are equal for equal reals: one zero, one NaN.
fn real_bits(number: f64) -> u64 {
    if number == 0.0 {
        0
    } else if number.is_nan() {
        f64::NAN.to_bits()
    } else {
        number.to_bits()
    }
}

/// Whether two rows of columns of one type hold the same value, nulls being the same.
pub(super) fn same(left: &ColumnData, i: usize, right: &ColumnData, j: usize) -> bool {
    if left.is_null(i) || right.is_null(j) {
        return left.is_null(i) == right.is_null(j);
    }
    match (left.values(), right.values()) {
        (Values::Bool(a), Values::Bool(b)) => a[i] == b[j],
        (Values::Int(a), Values::Int(b)) => a[i] == b[j],
        (Values::Long(a), Values::Long(b))
        | (Values::DateTime(a), Values::DateTime(b))
        | (Values::TimeSpan(a), Values::TimeSpan(b)) => a[i] == b[j],
        (Values::Real(a), Values::Real(b)) => real_bits(a[i]) == real_bits(b[j]),
        (Values::Decimal(a), Values::Decimal(b)) => a[i] == b[j],
        (Values::Guid(a), Values::Guid(b)) => a[i] == b[j],
        (Values::String(a), Values::String(b)) | (Values::Dynamic(a), Values::Dynamic(b)) => {
            a.get(i) == b.get(j)
        }
        _ => false,
    }
}

/// Folds the values of a column into the hashes of its rows.
pub(super) fn fold_hashes(column: &ColumnData, hashes: &mut [u64]) {
    fn each<T: Copy>(values: &[T], hashes: &mut [u64], word: impl Fn(T) -> u64) {
        values.iter().zip(hashes).for_each(|(value, hash)| *hash = mix(*hash, word(*value)));
    }
    match column.values() {
        Values::Bool(v) => each(v, hashes, u64::from),
        Values::Int(v) => each(v, hashes, |n| n as u64),
        Values::Long(v) | Values::DateTime(v) | Values::TimeSpan(v) => each(v, hashes, |n| n as u64),
        Values::Real(v) => each(v, hashes, real_bits),
        Values::Decimal(v) => each(v, hashes, |n| {
            let (mantissa, scale) = n.normalized();
            mix(mantissa as u64, (mantissa >> 64) as u64 ^ u64::from(scale))
        }),
        Values::Guid(v) => each(v, hashes, |n| mix(n as u64, (n >> 64) as u64)),
        Values::String(v) | Values::Dynamic(v) => {
            v.iter().zip(hashes).for_each(|(text, hash)| *hash = text_hash(*hash, text.as_bytes()));
        }
    }
}

/// One step of hashing: a wide multiplication folded onto itself.
fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f_u128;
    (product as u64) ^ ((product >> 64) as u64)
}

fn text_hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(seed, bytes.len() as u64);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        hash = mix(hash, chunk.try_into().map_or(0, u64::from_le_bytes));
    }
    let tail = chunks.remainder().iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    mix(hash, tail)
}

/// Whether a value sorts with the nulls: null and NaN do.
pub(super) fn sorts_apart(column: &ColumnData, row: usize) -> bool {
    column.is_null(row) || matches!(column.values(), Values::Real(v) if v[row].is_nan())
}

/// The order of two rows of columns of one type; neither is null.
pub(super) fn order(left: &ColumnData, i: usize, right: &ColumnData, j: usize) -> Ordering {
    match (left.values(), right.values()) {
        (Values::Bool(a), Values::Bool(b)) => a[i].cmp(&b[j]),
        (Values::Int(a), Values::Int(b)) => a[i].cmp(&b[j]),
        (Values::Long(a), Values::Long(b))
        | (Values::DateTime(a), Values::DateTime(b))
        | (Values::TimeSpan(a), Values::TimeSpan(b)) => a[i].cmp(&b[j]),
        (Values::Real(a), Values::Real(b)) => a[i].partial_cmp(&b[j]).unwrap_or(Ordering::Equal),
        (Values::Decimal(a), Values::Decimal(b)) => a[i].cmp(&b[j]),
        (Values::Guid(a), Values::Guid(b)) => a[i].cmp(&b[j]),
        (Values::String(a), Values::String(b)) | (Values::Dynamic(a), Values::Dynamic(b)) => {
            a.get(i).cmp(b.get(j))
        }
        _ => Ordering::Equal,
    }
}
