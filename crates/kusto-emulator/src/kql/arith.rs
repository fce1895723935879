//! Arithmetic over columns: overflow and division by zero of whole numbers give null; modulo is never negative.

use super::ast::BinaryOp;
use super::eval::Operand;
use crate::data::{ColumnData, ColumnType, Decimal, MAX_DATETIME, NullMask, Values};

/// The type of `left op right`, and the types its operands are brought to; none when they do not go together.
pub(super) fn types(
    op: BinaryOp,
    left: ColumnType,
    right: ColumnType,
) -> Option<(ColumnType, [ColumnType; 2])> {
    use BinaryOp::{Add, Div, Mod, Mul, Sub};
    use ColumnType::{DateTime, Int, Long, Real, TimeSpan};
    let number = |ty: ColumnType| if ty == Int || ty == Long { Long } else { Real };
    Some(match (op, left, right) {
        (_, a, b) if a.is_numeric() && b.is_numeric() => {
            let ty = arithmetic_type(a, b);
            (ty, [ty, ty])
        }
        (Sub, DateTime, DateTime) => (TimeSpan, [left, right]),
        (Add | Sub, DateTime, TimeSpan) => (DateTime, [left, right]),
        (Add, TimeSpan, DateTime) => (DateTime, [left, right]),
        (Add | Sub | Mod, TimeSpan, TimeSpan) => (TimeSpan, [left, right]),
        (Div, TimeSpan, TimeSpan) => (Real, [left, right]),
        (Mul | Div, TimeSpan, n) if n.is_numeric() => (TimeSpan, [left, number(n)]),
        (Mul, n, TimeSpan) if n.is_numeric() => (TimeSpan, [number(n), right]),
        _ => return None,
    })
}

/// The type in which two numbers meet in arithmetic: `real` wins, then `decimal`; whole numbers give `long`.
fn arithmetic_type(left: ColumnType, right: ColumnType) -> ColumnType {
    let either = |ty| left == ty || right == ty;
    if either(ColumnType::Real) {
        ColumnType::Real
    } else if either(ColumnType::Decimal) {
        ColumnType::Decimal
    } else {
        ColumnType::Long
    }
}

/// Values for `n` rows, null where an operand is or where `f` has none.
fn collect<T: Default>(
    n: usize,
    a: &Operand,
    b: &Operand,
    f: impl Fn(usize, usize) -> Option<T>,
) -> (Vec<T>, NullMask) {
    let mut nulls = NullMask::default();
    let clean = a.data.nulls().is_empty() && b.data.nulls().is_empty();
    let mut values = Vec::with_capacity(n);
    for row in 0..n {
        let known = clean || !(a.is_null(row) || b.is_null(row));
        let value = if known { f(a.row(row), b.row(row)) } else { None };
        if value.is_none() {
            nulls.mark(row);
        }
        values.push(value.unwrap_or_default());
    }
    (values, nulls)
}

/// `a op b`, of type `ty`, for `n` rows.
pub(super) fn binary(op: BinaryOp, a: &Operand, b: &Operand, ty: ColumnType, n: usize) -> ColumnData {
    use Values::{DateTime, Decimal as Dec, Long, Real, TimeSpan};
    let (values, nulls) = match (a.data.values(), b.data.values()) {
        (Real(x), Real(y)) => {
            let (values, nulls) = collect(n, a, b, |i, j| Some(reals(op, x[i], y[j])));
            (Real(values), nulls)
        }
        (Dec(x), Dec(y)) => {
            let (values, nulls) = collect(n, a, b, |i, j| decimals(op, x[i], y[j]));
            (Dec(values), nulls)
        }
        (TimeSpan(x), TimeSpan(y)) if op == BinaryOp::Div => {
            let (values, nulls) = collect(n, a, b, |i, j| Some(x[i] as f64 / y[j] as f64));
            (Real(values), nulls)
        }
        (TimeSpan(x), Real(y)) => {
            let (values, nulls) = collect(n, a, b, |i, j| ticks(reals(op, x[i] as f64, y[j])));
            (TimeSpan(values), nulls)
        }
        (Real(x), TimeSpan(y)) => {
            let (values, nulls) = collect(n, a, b, |i, j| ticks(reals(op, x[i], y[j] as f64)));
            (TimeSpan(values), nulls)
        }
        (Long(x) | DateTime(x) | TimeSpan(x), Long(y) | DateTime(y) | TimeSpan(y)) => {
            let (values, nulls) = collect(n, a, b, |i, j| longs(op, x[i], y[j]).filter(|v| fits(ty, *v)));
            (wrap(ty, values), nulls)
        }
        _ => return ColumnData::repeat(ty, &crate::data::Value::Null, n),
    };
    ColumnData::new(values, nulls)
}

fn wrap(ty: ColumnType, values: Vec<i64>) -> Values {
    match ty {
        ColumnType::DateTime => Values::DateTime(values),
        ColumnType::TimeSpan => Values::TimeSpan(values),
        _ => Values::Long(values),
    }
}

fn fits(ty: ColumnType, value: i64) -> bool {
    ty != ColumnType::DateTime || (0..=MAX_DATETIME).contains(&value)
}

fn ticks(number: f64) -> Option<i64> {
    (number.abs() < 9.2e18).then_some(number as i64)
}

fn longs(op: BinaryOp, x: i64, y: i64) -> Option<i64> {
    match op {
        BinaryOp::Add => x.checked_add(y),
        BinaryOp::Sub => x.checked_sub(y),
        BinaryOp::Mul => x.checked_mul(y),
        BinaryOp::Div => x.checked_div(y),
        _ => x.checked_rem_euclid(y),
    }
}

fn reals(op: BinaryOp, x: f64, y: f64) -> f64 {
    match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Div => x / y,
        _ => x.rem_euclid(y),
    }
}

fn decimals(op: BinaryOp, x: Decimal, y: Decimal) -> Option<Decimal> {
    match op {
        BinaryOp::Add => x.add(y),
        BinaryOp::Sub => x.sub(y),
        BinaryOp::Mul => x.mul(y),
        BinaryOp::Div => x.div(y),
        _ => None,
    }
}

/// `-a`
pub(super) fn negate(a: &Operand, n: usize) -> ColumnData {
    let (values, nulls) = match a.data.values() {
        Values::Int(x) => {
            let (values, nulls) = collect(n, a, a, |i, _| x[i].checked_neg());
            (Values::Int(values), nulls)
        }
        Values::Real(x) => {
            let (values, nulls) = collect(n, a, a, |i, _| Some(-x[i]));
            (Values::Real(values), nulls)
        }
        Values::Decimal(x) => {
            let (values, nulls) = collect(n, a, a, |i, _| Some(x[i].negate()));
            (Values::Decimal(values), nulls)
        }
        Values::Long(x) | Values::TimeSpan(x) => {
            let (values, nulls) = collect(n, a, a, |i, _| x[i].checked_neg());
            (wrap(a.data.ty(), values), nulls)
        }
        _ => return ColumnData::repeat(a.data.ty(), &crate::data::Value::Null, n),
    };
    ColumnData::new(values, nulls)
}

/// `abs(a)`
pub(super) fn absolute(a: &Operand, n: usize) -> ColumnData {
    let (values, nulls) = match a.data.values() {
        Values::Int(x) => {
            let (values, nulls) = collect(n, a, a, |i, _| x[i].checked_abs());
            (Values::Int(values), nulls)
        }
        Values::Real(x) => {
            let (values, nulls) = collect(n, a, a, |i, _| Some(x[i].abs()));
            (Values::Real(values), nulls)
        }
        Values::Decimal(x) => {
            let magnitude = |d: Decimal| if d < Decimal::ZERO { d.negate() } else { d };
            let (values, nulls) = collect(n, a, a, |i, _| Some(magnitude(x[i])));
            (Values::Decimal(values), nulls)
        }
        Values::Long(x) | Values::TimeSpan(x) => {
            let (values, nulls) = collect(n, a, a, |i, _| x[i].checked_abs());
            (wrap(a.data.ty(), values), nulls)
        }
        _ => return ColumnData::repeat(a.data.ty(), &crate::data::Value::Null, n),
    };
    ColumnData::new(values, nulls)
}

/// `bin(a, size)`: the largest multiple of `size` that is not above `a`; null for a size that is not positive.
pub(super) fn bin(a: &Operand, size: &Operand, n: usize) -> ColumnData {
    let (values, nulls) = match (a.data.values(), size.data.values()) {
        (Values::Real(x), Values::Real(y)) => {
            let down = |x: f64, y: f64| (y > 0.0).then(|| (x / y).floor() * y);
            let (values, nulls) = collect(n, a, size, |i, j| down(x[i], y[j]));
            (Values::Real(values), nulls)
        }
        (
            Values::Long(x) | Values::DateTime(x) | Values::TimeSpan(x),
            Values::Long(y) | Values::TimeSpan(y),
        ) => {
            let down = |x: i64, y: i64| if y > 0 { x.checked_sub(x.rem_euclid(y)) } else { None };
            let (values, nulls) = collect(n, a, size, |i, j| down(x[i], y[j]));
            (wrap(a.data.ty(), values), nulls)
        }
        _ => return ColumnData::repeat(a.data.ty(), &crate::data::Value::Null, n),
    };
    ColumnData::new(values, nulls)
}
