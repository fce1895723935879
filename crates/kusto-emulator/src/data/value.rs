//! One scalar value, for the places where single values are handled; bulk data lives in `ColumnData`.

use super::{ColumnType, Decimal};
use std::sync::Arc;

/// A value of some [`ColumnType`], or null.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// The null of any type but `string`.
    Null,
    /// A `bool`.
    Bool(bool),
    /// An `int`.
    Int(i32),
    /// A `long`.
    Long(i64),
    /// A `real`.
    Real(f64),
    /// A `decimal`.
    Decimal(Decimal),
    /// A `datetime`: ticks of 100 ns since 0001-01-01T00:00:00Z.
    DateTime(i64),
    /// A `timespan`: ticks of 100 ns.
    TimeSpan(i64),
    /// A `guid`, most significant byte first as it is written.
    Guid(u128),
    /// A `string`.
    String(Arc<str>),
    /// A `dynamic` that is not null.
    Dynamic(Arc<serde_json::Value>),
}

impl Value {
    /// A string value.
    pub(crate) fn string(text: impl Into<Arc<str>>) -> Value {
        Value::String(text.into())
    }

    /// A dynamic value; JSON null becomes [`Value::Null`].
    pub(crate) fn dynamic(json: serde_json::Value) -> Value {
        if json.is_null() { Value::Null } else { Value::Dynamic(Arc::new(json)) }
    }

    /// The type of the value; none for null.
    pub(crate) fn ty(&self) -> Option<ColumnType> {
        Some(match self {
            Value::Null => return None,
            Value::Bool(_) => ColumnType::Bool,
            Value::Int(_) => ColumnType::Int,
            Value::Long(_) => ColumnType::Long,
            Value::Real(_) => ColumnType::Real,
            Value::Decimal(_) => ColumnType::Decimal,
            Value::DateTime(_) => ColumnType::DateTime,
            Value::TimeSpan(_) => ColumnType::TimeSpan,
            Value::Guid(_) => ColumnType::Guid,
            Value::String(_) => ColumnType::String,
            Value::Dynamic(_) => ColumnType::Dynamic,
        })
    }

    /// Whether this is null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text of a string value.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an `int` or `long`.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(i64::from(*n)),
            Value::Long(n) => Some(*n),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::string(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Long(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Bool(flag)
    }
}
