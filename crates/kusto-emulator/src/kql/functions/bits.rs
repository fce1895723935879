//! Functions of the bits of whole numbers, and of angles.

use super::Param::{Long, Real};
use super::{Function, exact, long_at};
use crate::data::{ColumnType, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    exact("binary_and", &[Long, Long], ColumnType::Long, |a, _| pair(a, |x, y| Some(x & y))),
    exact("binary_or", &[Long, Long], ColumnType::Long, |a, _| pair(a, |x, y| Some(x | y))),
    exact("binary_xor", &[Long, Long], ColumnType::Long, |a, _| pair(a, |x, y| Some(x ^ y))),
    exact("binary_not", &[Long], ColumnType::Long, |a, _| {
        long_at(a, 0).map_or(Value::Null, |x| Value::Long(!x))
    }),
    exact("binary_shift_left", &[Long, Long], ColumnType::Long, |a, _| {
        pair(a, |x, y| (y >= 0).then(|| x << (y % 64)))
    }),
    exact("binary_shift_right", &[Long, Long], ColumnType::Long, |a, _| {
        pair(a, |x, y| (y >= 0).then(|| x >> (y % 64)))
    }),
    exact("bitset_count_ones", &[Long], ColumnType::Int, |a, _| {
        long_at(a, 0).map_or(Value::Null, |x| Value::Int(x.count_ones() as i32))
    }),
    exact("sign", &[Real], ColumnType::Real, |a, _| {
        number(a, |x| if x == 0.0 || x.is_nan() { x } else { x.signum() })
    }),
    exact("exp2", &[Real], ColumnType::Real, |a, _| number(a, f64::exp2)),
    exact("exp10", &[Real], ColumnType::Real, |a, _| number(a, |x| 10f64.powf(x))),
    exact("sin", &[Real], ColumnType::Real, |a, _| number(a, f64::sin)),
    exact("cos", &[Real], ColumnType::Real, |a, _| number(a, f64::cos)),
    exact("tan", &[Real], ColumnType::Real, |a, _| number(a, f64::tan)),
    exact("asin", &[Real], ColumnType::Real, |a, _| within_one(a, f64::asin)),
    exact("acos", &[Real], ColumnType::Real, |a, _| within_one(a, f64::acos)),
    exact("atan", &[Real], ColumnType::Real, |a, _| number(a, f64::atan)),
    exact("atan2", &[Real, Real], ColumnType::Real, |a, _| match (&a[0], &a[1]) {
        (Value::Real(y), Value::Real(x)) => Value::Real(y.atan2(*x)),
        _ => Value::Null,
    }),
    exact("cot", &[Real], ColumnType::Real, |a, _| number(a, |x| 1.0 / x.tan())),
    exact("radians", &[Real], ColumnType::Real, |a, _| number(a, f64::to_radians)),
    exact("degrees", &[Real], ColumnType::Real, |a, _| number(a, f64::to_degrees)),
    exact("pi", &[], ColumnType::Real, |_, _| Value::Real(std::f64::consts::PI)),
];

fn pair(a: &[Value], f: impl Fn(i64, i64) -> Option<i64>) -> Value {
    let found = long_at(a, 0).zip(long_at(a, 1)).and_then(|(x, y)| f(x, y));
    found.map_or(Value::Null, Value::Long)
}

fn number(a: &[Value], f: impl Fn(f64) -> f64) -> Value {
    match &a[0] {
        Value::Real(x) => Value::Real(f(*x)),
        _ => Value::Null,
    }
}

/// Null outside of -1 to 1.
fn within_one(a: &[Value], f: impl Fn(f64) -> f64) -> Value {
    match &a[0] {
        Value::Real(x) if x.abs() <= 1.0 => Value::Real(f(*x)),
        _ => Value::Null,
    }
}
