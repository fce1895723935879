//! The ten scalar types and their names in each place that names them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A scalar type of the Kusto type system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum ColumnType {
    /// `bool`
    Bool,
    /// `int`: 32 bits, signed.
    Int,
    /// `long`: 64 bits, signed.
    Long,
    /// `real`: IEEE 754, 64 bits.
    Real,
    /// `decimal`: 34 significant digits.
    Decimal,
    /// `datetime`: ticks of 100 ns, UTC.
    DateTime,
    /// `timespan`: ticks of 100 ns.
    TimeSpan,
    /// `guid`
    Guid,
    /// `string`: never null.
    String,
    /// `dynamic`: any JSON value.
    Dynamic,
}

impl ColumnType {
    /// Every type, in the order of the documentation's table.
    #[cfg(test)]
    pub(crate) const ALL: [ColumnType; 10] = [
        ColumnType::Bool,
        ColumnType::Int,
        ColumnType::Long,
        ColumnType::Real,
        ColumnType::Decimal,
        ColumnType::DateTime,
        ColumnType::TimeSpan,
        ColumnType::Guid,
        ColumnType::String,
        ColumnType::Dynamic,
    ];

    /// The type called `name`: its CSL name, an alias of it, or its .NET name (`System.Int64`), in any case.
    pub(crate) fn parse(name: &str) -> Option<ColumnType> {
        let lower = name.to_ascii_lowercase();
        let plain = lower.strip_prefix("system.data.sqltypes.").or(lower.strip_prefix("system."));
        Some(match plain.unwrap_or(&lower) {
            "bool" | "boolean" | "sbyte" => ColumnType::Bool,
            "int" | "int32" => ColumnType::Int,
            "long" | "int64" => ColumnType::Long,
            "real" | "double" => ColumnType::Real,
            "decimal" | "sqldecimal" => ColumnType::Decimal,
            "datetime" | "date" => ColumnType::DateTime,
            "timespan" | "time" => ColumnType::TimeSpan,
            "guid" | "uuid" | "uniqueid" => ColumnType::Guid,
            "string" => ColumnType::String,
            "dynamic" | "object" => ColumnType::Dynamic,
            _ => return None,
        })
    }

    /// The name in KQL, in schemas and in the `ColumnType` of answers.
    pub(crate) fn csl_name(self) -> &'static str {
        match self {
            ColumnType::Bool => "bool",
            ColumnType::Int => "int",
            ColumnType::Long => "long",
            ColumnType::Real => "real",
            ColumnType::Decimal => "decimal",
            ColumnType::DateTime => "datetime",
            ColumnType::TimeSpan => "timespan",
            ColumnType::Guid => "guid",
            ColumnType::String => "string",
            ColumnType::Dynamic => "dynamic",
        }
    }

    /// The `DataType` of a column in a v1 answer.
    pub(crate) fn v1_name(self) -> &'static str {
        match self {
            ColumnType::Bool => "SByte",
            ColumnType::Int => "Int32",
            ColumnType::Long => "Int64",
            ColumnType::Real => "Double",
            ColumnType::Decimal => "SqlDecimal",
            ColumnType::DateTime => "DateTime",
            ColumnType::TimeSpan => "TimeSpan",
            ColumnType::Guid => "Guid",
            ColumnType::String => "String",
            ColumnType::Dynamic => "Object",
        }
    }

    /// The .NET name, as `.show table T schema as json` and `getschema` give it.
    pub(crate) fn system_name(self) -> &'static str {
        match self {
            ColumnType::Bool => "System.SByte",
            ColumnType::Int => "System.Int32",
            ColumnType::Long => "System.Int64",
            ColumnType::Real => "System.Double",
            ColumnType::Decimal => "System.Data.SqlTypes.SqlDecimal",
            ColumnType::DateTime => "System.DateTime",
            ColumnType::TimeSpan => "System.TimeSpan",
            ColumnType::Guid => "System.Guid",
            ColumnType::String => "System.String",
            ColumnType::Dynamic => "System.Object",
        }
    }

    /// Whether values of this type are numbers (`int`, `long`, `real`, `decimal`).
    pub(crate) fn is_numeric(self) -> bool {
        matches!(self, ColumnType::Int | ColumnType::Long | ColumnType::Real | ColumnType::Decimal)
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.csl_name())
    }
}
