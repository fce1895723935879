//! Functions of numbers, and of the request.

use super::Param::{Long, Real};
use super::{Function, exact, long_at, optional};
use crate::data::{ColumnType, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    exact("sqrt", &[Real], ColumnType::Real, |a, _| real(a, |x| if x < 0.0 { None } else { Some(x.sqrt()) })),
    exact("exp", &[Real], ColumnType::Real, |a, _| real(a, |x| Some(x.exp()))),
    exact("log", &[Real], ColumnType::Real, |a, _| real(a, |x| (x > 0.0).then(|| x.ln()))),
    exact("log10", &[Real], ColumnType::Real, |a, _| real(a, |x| (x > 0.0).then(|| x.log10()))),
    exact("log2", &[Real], ColumnType::Real, |a, _| real(a, |x| (x > 0.0).then(|| x.log2()))),
    exact("pow", &[Real, Real], ColumnType::Real, |a, _| match (&a[0], &a[1]) {
        (Value::Real(x), Value::Real(y)) => Value::Real(x.powf(*y)),
        _ => Value::Null,
    }),
    exact("ceiling", &[Real], ColumnType::Real, |a, _| real(a, |x| Some(x.ceil()))),
    optional("round", &[Real, Long], 1, ColumnType::Real, |a, _| {
        let digits = long_at(a, 1).unwrap_or(0).clamp(-15, 15) as i32;
        real(a, |x| {
            let scale = 10f64.powi(digits);
            Some((x * scale).round() / scale)
        })
    }),
    exact("isnan", &[Real], ColumnType::Bool, |a, _| flag(a, f64::is_nan)),
    exact("isinf", &[Real], ColumnType::Bool, |a, _| flag(a, f64::is_infinite)),
    exact("isfinite", &[Real], ColumnType::Bool, |a, _| flag(a, f64::is_finite)),
    exact("current_principal", &[], ColumnType::String, |_, env| Value::from(env.principal.as_str())),
    exact("current_cluster_endpoint", &[], ColumnType::String, |_, env| {
        env.cluster.as_deref().map_or(Value::from(""), Value::from)
    }),
    exact("current_database", &[], ColumnType::String, |_, env| Value::from(env.database.as_str())),
];

fn real(a: &[Value], f: impl Fn(f64) -> Option<f64>) -> Value {
    match &a[0] {
        Value::Real(x) => f(*x).map_or(Value::Null, Value::Real),
        _ => Value::Null,
    }
}

fn flag(a: &[Value], f: fn(f64) -> bool) -> Value {
    match &a[0] {
        Value::Real(x) => Value::Bool(f(*x)),
        _ => Value::Null,
    }
}
