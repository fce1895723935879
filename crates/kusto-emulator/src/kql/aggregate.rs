//! The aggregates of `summarize`: which there are, what they take and give, how a call is bound.

use super::ast::Expr;
use super::bind::Scope;
use super::collected::{Bit, Spread};
use super::error::KqlError;
use super::typed::Typed;
use crate::data::{Column, ColumnType, Value};
use serde_json::Value as Json;

/// What an aggregate computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    DistinctCount,
    List,
    /// As `List`; nulls are collected too.
    ListWithNulls,
    Set,
    /// The row in which the first argument is greatest or least; or any row.
    ArgMax,
    ArgMin,
    Any,
    /// `stdev`, `variance` and their like.
    Spread(Spread),
    /// `percentile`, `percentiles`: a column for each rank; or one with an array of them.
    Percentiles {
        array: bool,
    },
    Bag,
    Bits(Bit),
}

pub(super) const SAMPLE: Spread = Spread { population: false, root: false };

/// A bound aggregate: one output column, several for the `arg_` and `take_any` kinds.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    pub(super) kind: Kind,
    /// Only rows for which this is true count.
    pub(super) predicate: Option<Typed>,
    pub(super) arguments: Vec<Typed>,
    /// The longest list that `make_list` and `make_set` collect.
    pub(super) limit: usize,
    /// The percentiles to give.
    pub(super) ranks: Vec<f64>,
    /// Names as far as the function gives them, and types of the outputs.
    pub(super) outputs: Vec<Column>,
}

/// The function's kind, and whether its last argument is a predicate.
fn kind_of(name: &str) -> Option<(Kind, bool)> {
    Some(match name {
        "count" => (Kind::Count, false),
        "countif" => (Kind::Count, true),
        "sum" => (Kind::Sum, false),
        "sumif" => (Kind::Sum, true),
        "avg" => (Kind::Avg, false),
        "avgif" => (Kind::Avg, true),
        "min" => (Kind::Min, false),
        "minif" => (Kind::Min, true),
        "max" => (Kind::Max, false),
        "maxif" => (Kind::Max, true),
        "dcount" | "count_distinct" => (Kind::DistinctCount, false),
        "dcountif" | "count_distinctif" => (Kind::DistinctCount, true),
        "make_list" | "makelist" => (Kind::List, false),
        "make_list_if" => (Kind::List, true),
        "make_list_with_nulls" => (Kind::ListWithNulls, false),
        "make_set" | "makeset" => (Kind::Set, false),
        "make_set_if" => (Kind::Set, true),
        "arg_max" => (Kind::ArgMax, false),
        "arg_min" => (Kind::ArgMin, false),
        "take_any" | "any" => (Kind::Any, false),
        "take_anyif" | "anyif" => (Kind::Any, true),
        "stdev" => (Kind::Spread(Spread { root: true, ..SAMPLE }), false),
        "stdevif" => (Kind::Spread(Spread { root: true, ..SAMPLE }), true),
        "stdevpif" => (Kind::Spread(Spread { root: true, population: true }), true),
        "variancepif" => (Kind::Spread(Spread { population: true, ..SAMPLE }), true),
        "stdevp" => (Kind::Spread(Spread { root: true, population: true }), false),
        "variance" => (Kind::Spread(SAMPLE), false),
        "varianceif" => (Kind::Spread(SAMPLE), true),
        "variancep" => (Kind::Spread(Spread { population: true, ..SAMPLE }), false),
        "percentile" | "percentiles" => (Kind::Percentiles { array: false }, false),
        "percentiles_array" => (Kind::Percentiles { array: true }, false),
        "make_bag" => (Kind::Bag, false),
        "make_bag_if" => (Kind::Bag, true),
        "binary_all_and" => (Kind::Bits(Bit::And), false),
        "binary_all_or" => (Kind::Bits(Bit::Or), false),
        "binary_all_xor" => (Kind::Bits(Bit::Xor), false),
        _ => return None,
    })
}

/// Whether a function of this name is an aggregate.
pub(super) fn is_aggregate(name: &str) -> bool {
    kind_of(name).is_some()
}

/// Binds a call; `keys` are the names of group keys, which `*` leaves out.
pub(super) fn bind(
    scope: &Scope<'_>,
    name: &str,
    arguments: &[Expr],
    keys: &[String],
) -> Result<Aggregate, KqlError> {
    let Some((kind, has_predicate)) = kind_of(name) else {
        return Err(KqlError::semantic("SEM0260", format!("Unknown aggregation function: '{name}'.")));
    };
    let arity = || KqlError::semantic("SEM0219", format!("{name}(): wrong number of arguments"));
    let (mut arguments, mut limit, mut ranks) = (arguments, 1 << 20, Vec::new());
    if let Kind::Percentiles { .. } = kind {
        let (_, rest) = arguments.split_first().ok_or_else(arity)?;
        ranks = self::ranks(scope, name, rest)?;
        arguments = &arguments[..1];
    }
    if matches!(kind, Kind::List | Kind::Set | Kind::DistinctCount)
        && arguments.len() == 2 + usize::from(has_predicate)
    {
        let (_, size) = scope.constant(&arguments[arguments.len() - 1])?;
        if kind != Kind::DistinctCount {
            limit = size.as_i64().and_then(|n| usize::try_from(n).ok()).ok_or_else(arity)?;
        }
        arguments = &arguments[..arguments.len() - 1];
    }
    let mut predicate = None;
    if has_predicate {
        let (last, rest) = arguments.split_last().ok_or_else(arity)?;
        predicate = Some(scope.condition(last)?);
        arguments = rest;
    }
    let mut bound = Vec::new();
    let mut outputs = Vec::new();
    for argument in arguments {
        if *argument == Expr::Star && matches!(kind, Kind::ArgMax | Kind::ArgMin | Kind::Any) {
            for (at, column) in scope.schema.columns.iter().enumerate() {
                let known = outputs.iter().any(|output: &Column| output.name == column.name);
                if !keys.contains(&column.name) && !known {
                    bound.push(Typed::new(column.ty, super::typed::Node::Column(at)));
                    outputs.push(column.clone());
                }
            }
        } else {
            let typed = scope.bind(argument)?;
            outputs.push(Column::new(super::names::of(argument).unwrap_or_default(), typed.ty));
            bound.push(typed);
        }
    }
    let single = !matches!(kind, Kind::ArgMax | Kind::ArgMin | Kind::Any);
    if bound.len() != 1 && single && kind != Kind::Count
        || bound.is_empty() && !single
        || kind == Kind::Count && bound.len() > usize::from(!has_predicate)
    {
        return Err(arity());
    }
    if single {
        let (ty, argument) = result(name, kind, bound.pop())?;
        bound = argument.into_iter().collect();
        let own = super::names::of_aggregate(name, arguments);
        let ranked = |rank: &f64| {
            Column::new(format!("{}_{}", own.replacen("percentiles", "percentile", 1), rank_name(*rank)), ty)
        };
        outputs = match kind {
            Kind::Percentiles { array: false } => ranks.iter().map(ranked).collect(),
            Kind::Percentiles { array: true } => {
                vec![Column::new(own.replacen("percentiles_array", "percentiles", 1), ColumnType::Dynamic)]
            }
            _ => vec![Column::new(own, ty)],
        };
    }
    Ok(Aggregate { kind, predicate, arguments: bound, limit, ranks, outputs })
}

/// The percentiles that are asked for: numbers, or one array of them.
fn ranks(scope: &Scope<'_>, name: &str, arguments: &[Expr]) -> Result<Vec<f64>, KqlError> {
    let mut ranks = Vec::new();
    for argument in arguments {
        match scope.constant(argument)?.1 {
            Value::Dynamic(json) => {
                ranks.extend(json.as_array().into_iter().flatten().filter_map(Json::as_f64));
            }
            value => ranks.extend(super::cast::as_f64(&value)),
        }
    }
    if ranks.is_empty() || ranks.len() > 100 || !ranks.iter().all(|rank| (0.0..=100.0).contains(rank)) {
        let message = format!("{name}(): expected 1 to 100 percentiles from 0 to 100");
        return Err(KqlError::semantic("SEM0024", message));
    }
    Ok(ranks)
}

/// A percentile as part of a column's name: a point becomes `_`.
fn rank_name(rank: f64) -> String {
    rank.to_string().replace('.', "_")
}

/// The type of an aggregate's result, and its argument brought to the type in which it is computed.
fn result(name: &str, kind: Kind, argument: Option<Typed>) -> Result<(ColumnType, Option<Typed>), KqlError> {
    use ColumnType::{DateTime, Decimal, Dynamic, Int, Long, Real, TimeSpan};
    let Some(argument) = argument else { return Ok((Long, None)) };
    let ty = argument.ty;
    let refused = || {
        KqlError::semantic("SEM0024", format!("{name}(): argument is of type {ty}, which it does not take"))
    };
    Ok(match (kind, ty) {
        (Kind::Sum, Int | Long) => (Long, Some(argument.cast(Long))),
        (Kind::Sum, Real | Decimal | TimeSpan) => (ty, Some(argument)),
        (Kind::Avg, Int | Long | Real) => (Real, Some(argument.cast(Real))),
        (Kind::Avg, Decimal | TimeSpan) => (ty, Some(argument)),
        (Kind::Spread(_), Int | Long | Real | Decimal) => (Real, Some(argument.cast(Real))),
        (Kind::Percentiles { .. }, Decimal) => (Real, Some(argument.cast(Real))),
        (Kind::Percentiles { .. }, Int | Long | Real | DateTime | TimeSpan) => (ty, Some(argument)),
        (Kind::Bits(_), Int | Long) => (Long, Some(argument.cast(Long))),
        (Kind::Bag, Dynamic) => (Dynamic, Some(argument)),
        (
            Kind::Sum | Kind::Avg | Kind::Spread(_) | Kind::Percentiles { .. } | Kind::Bits(_) | Kind::Bag,
            _,
        ) => {
            return Err(refused());
        }
        (Kind::Min | Kind::Max, Dynamic) => return Err(refused()),
        (Kind::Min | Kind::Max, _) => (ty, Some(argument)),
        (Kind::DistinctCount | Kind::Count, _) => (Long, Some(argument)),
        _ => (Dynamic, Some(argument)),
    })
}
