//! The names of columns that a query does not name.
//!
//! A column keeps its name; a path in a dynamic is joined by `_`; a conversion, `bin` and their like keep the name of their first
//! argument; an aggregate puts its own name in front of it (`sum_x`, `count_`); the rest is `Column1`, `Column2`, ... (`print_0`,
//! ... in `print`). Which function names how: `microsoft/Kusto-Query-Language src/Kusto.Language/Functions.cs`, `Aggregates.cs`.

use super::ast::Expr;
use crate::data::Value;
use std::collections::HashSet;

/// Functions whose result is called as their first argument is.
const FIRST_ARGUMENT: [&str; 52] = [
    "tostring",
    "tolong",
    "toint",
    "toreal",
    "todouble",
    "tobool",
    "toboolean",
    "todatetime",
    "totimespan",
    "totime",
    "toguid",
    "todecimal",
    "todynamic",
    "toobject",
    "parse_json",
    "parsejson",
    "parse_csv",
    "split",
    "tohex",
    "format_datetime",
    "format_timespan",
    "format_bytes",
    "startofday",
    "bin",
    "floor",
    "bin_at",
    "binary_and",
    "binary_or",
    "binary_xor",
    "binary_not",
    "binary_shift_left",
    "binary_shift_right",
    "bitset_count_ones",
    "round",
    "ceiling",
    "pow",
    "sqrt",
    "log",
    "log2",
    "log10",
    "exp",
    "exp2",
    "exp10",
    "cos",
    "sin",
    "tan",
    "acos",
    "asin",
    "atan",
    "atan2",
    "abs",
    "rand",
];

/// The name that an expression gives its column; none when it gives none.
pub(super) fn of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Name(name) => Some(name.clone()),
        Expr::Member(inner, member) => Some(joined(inner, member)),
        Expr::Index(inner, index) => match &**index {
            Expr::Literal(Value::String(key), _) => Some(joined(inner, key)),
            Expr::Literal(Value::Long(at), _) => Some(joined(inner, &at.to_string())),
            _ => None,
        },
        Expr::Call(function, arguments) => of_call(function, arguments),
        _ => None,
    }
}

fn joined(left: &Expr, right: &str) -> String {
    of(left).map_or_else(|| right.to_owned(), |left| format!("{left}_{right}"))
}

fn of_call(function: &str, arguments: &[Expr]) -> Option<String> {
    let first = || arguments.first().and_then(of);
    match function {
        "ingestion_time" => Some("$IngestionTime".to_owned()),
        "strlen" | "string_size" => Some(format!("{function}_{}", first().unwrap_or_default())),
        "treepath" => Some(format!("tree_{}", first().unwrap_or_default())),
        "repeat" => Some(format!("repeat_{}", first().unwrap_or_default())),
        "column_ifexists" | "columnifexists" => match arguments.first() {
            Some(Expr::Literal(Value::String(name), _)) => Some(name.to_string()),
            _ => None,
        },
        "gettype" => Some(format!("type_{}", first().unwrap_or_default())),
        _ if FIRST_ARGUMENT.contains(&function) => first(),
        _ => None,
    }
}

/// The name of an aggregate's column.
pub(super) fn of_aggregate(function: &str, arguments: &[Expr]) -> String {
    let prefix = match function {
        "make_list" | "make_list_if" | "make_list_with_nulls" | "makelist" => "list",
        "make_set" | "make_set_if" | "makeset" => "set",
        "make_bag" | "make_bag_if" => "bag",
        "take_any" | "take_anyif" | "arg_max" | "arg_min" => {
            return arguments.first().and_then(of).unwrap_or_default();
        }
        other => other,
    };
    let name = if prefix == "countif" { None } else { arguments.first().and_then(of) };
    format!("{prefix}_{}", name.unwrap_or_default())
}

/// Hands out names that are not taken yet.
#[derive(Debug, Default)]
pub(super) struct Unique {
    taken: HashSet<String>,
    numbered: usize,
}

impl Unique {
    /// `name` if it is free, else with the first free number behind it.
    pub(super) fn or_numbered(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        let mut number = 1;
        while !self.taken.insert(free.clone()) {
            free = format!("{name}{number}");
            number += 1;
        }
        free
    }

    /// Takes `name`; false when it was taken before.
    pub(super) fn take(&mut self, name: &str) -> bool {
        self.taken.insert(name.to_owned())
    }

    /// `Column1`, `Column2`, ...: the next that is free.
    pub(super) fn column(&mut self) -> String {
        loop {
            self.numbered += 1;
            let name = format!("Column{}", self.numbered);
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}
