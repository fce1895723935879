//! The aggregates of `summarize`: how each is bound, fed by column, and finished. Nulls are left out, as documented
//! (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/summarize-operator.md`).

use super::ast::Expr;
use super::batch::Batch;
use super::bind::Scope;
use super::cast::to_json;
use super::collected::{Bit, Collected, Spread};
use super::compare::{Key, key_of, order, sorts_apart};
use super::error::KqlError;
use super::eval::{Env, Operand, eval};
use super::typed::Typed;
use crate::data::{Column, ColumnBuilder, ColumnData, ColumnType, Decimal, Value, Values};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

/// What an aggregate computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    DistinctCount,
    List,
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

const SAMPLE: Spread = Spread { population: false, root: false };

/// A bound aggregate: one output column, several for the `arg_` and `take_any` kinds.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    kind: Kind,
    /// Only rows for which this is true count.
    predicate: Option<Typed>,
    arguments: Vec<Typed>,
    /// The longest list that `make_list` and `make_set` collect.
    limit: usize,
    /// The percentiles to give.
    ranks: Vec<f64>,
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
        "make_set" | "makeset" => (Kind::Set, false),
        "make_set_if" => (Kind::Set, true),
        "arg_max" => (Kind::ArgMax, false),
        "arg_min" => (Kind::ArgMin, false),
        "take_any" | "any" => (Kind::Any, false),
        "take_anyif" => (Kind::Any, true),
        "stdev" => (Kind::Spread(Spread { root: true, ..SAMPLE }), false),
        "stdevif" => (Kind::Spread(Spread { root: true, ..SAMPLE }), true),
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
        || kind == Kind::Count && !bound.is_empty()
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

/// An aggregate at work: one entry per group.
#[derive(Debug)]
pub(super) enum State {
    Count(Vec<i64>),
    Longs(ColumnType, Vec<i64>, Vec<i64>),
    Reals(Vec<f64>, Vec<i64>),
    /// Sums, none after one grew beyond what a decimal holds.
    Decimals(Vec<Option<Decimal>>, Vec<i64>),
    Collected(Collected),
    Distinct(Vec<HashSet<Key>>),
    Items(Vec<Vec<Json>>, Vec<HashSet<Key>>),
    /// Per group, the values of all arguments in the best row so far.
    Best(Vec<Option<Best>>),
}

/// The best row of a group: its values, as columns of one row.
type Best = Vec<ColumnData>;

impl Aggregate {
    /// A state without groups.
    pub(super) fn start(&self) -> State {
        let ty = self.arguments.first().map_or(ColumnType::Long, |argument| argument.ty);
        match (self.kind, ty) {
            (Kind::Count, _) => State::Count(Vec::new()),
            (Kind::Sum | Kind::Avg, ColumnType::Real) => State::Reals(Vec::new(), Vec::new()),
            (Kind::Sum | Kind::Avg, ColumnType::Decimal) => State::Decimals(Vec::new(), Vec::new()),
            (Kind::Sum | Kind::Avg, ty) => State::Longs(ty, Vec::new(), Vec::new()),
            (Kind::DistinctCount, _) => State::Distinct(Vec::new()),
            (Kind::Spread(_), _) => State::Collected(Collected::Moments(Vec::new())),
            (Kind::Percentiles { .. }, ty) => State::Collected(Collected::Samples(ty, Vec::new())),
            (Kind::Bag, _) => State::Collected(Collected::Bags(Vec::new())),
            (Kind::Bits(bit), _) => State::Collected(Collected::Bits(bit, Vec::new())),
            (Kind::List | Kind::Set, _) => State::Items(Vec::new(), Vec::new()),
            _ => State::Best(Vec::new()),
        }
    }

    /// Takes in the rows of a batch; `groups` has the group of each, all below `count`.
    pub(super) fn update(&self, state: &mut State, batch: &Batch, groups: &[u32], count: usize, env: &Env) {
        let predicate = self.predicate.as_ref().map(|predicate| eval(predicate, batch, env));
        let arguments: Vec<Operand> =
            self.arguments.iter().map(|argument| eval(argument, batch, env)).collect();
        let counted = |row: usize| predicate.as_ref().is_none_or(|predicate| predicate.is_true(row));
        let rows = groups.iter().map(|group| *group as usize).enumerate().filter(|(row, _)| counted(*row));
        let first = arguments.first();
        match (state, first) {
            (State::Count(counts), _) => {
                counts.resize(count, 0);
                rows.for_each(|(_, group)| counts[group] += 1);
            }
            (State::Longs(_, sums, counts), Some(a)) => {
                sums.resize(count, 0);
                counts.resize(count, 0);
                if let Values::Long(v) | Values::TimeSpan(v) = a.data.values() {
                    rows.filter(|(row, _)| !a.is_null(*row)).for_each(|(row, group)| {
                        sums[group] = sums[group].wrapping_add(v[a.row(row)]);
                        counts[group] += 1;
                    });
                }
            }
            (State::Reals(sums, counts), Some(a)) => {
                sums.resize(count, 0.0);
                counts.resize(count, 0);
                if let Values::Real(v) = a.data.values() {
                    rows.filter(|(row, _)| !a.is_null(*row)).for_each(|(row, group)| {
                        sums[group] += v[a.row(row)];
                        counts[group] += 1;
                    });
                }
            }
            (State::Decimals(sums, counts), Some(a)) => {
                sums.resize(count, Some(Decimal::ZERO));
                counts.resize(count, 0);
                if let Values::Decimal(v) = a.data.values() {
                    rows.filter(|(row, _)| !a.is_null(*row)).for_each(|(row, group)| {
                        sums[group] = sums[group].and_then(|sum| sum.add(v[a.row(row)]));
                        counts[group] += 1;
                    });
                }
            }
            (State::Distinct(sets), Some(a)) => {
                sets.resize_with(count, HashSet::new);
                for (row, group) in rows.filter(|(row, _)| !a.is_null(*row)) {
                    sets[group].insert(key_of(&a.data.value(a.row(row))));
                }
            }
            (State::Items(items, seen), Some(a)) => {
                items.resize_with(count, Vec::new);
                seen.resize_with(count, HashSet::new);
                for (row, group) in rows.filter(|(row, _)| !a.is_null(*row)) {
                    let value = a.data.value(a.row(row));
                    let wanted = self.kind == Kind::List || seen[group].insert(key_of(&value));
                    if wanted && items[group].len() < self.limit {
                        items[group].push(to_json(&value));
                    }
                }
            }
            (State::Collected(collected), Some(a)) => {
                collected.grow(count);
                rows.filter(|(row, _)| !a.is_null(*row))
                    .for_each(|(row, group)| collected.add(group, a, row));
            }
            (State::Best(best), Some(_)) => {
                best.resize_with(count, || None);
                rows.for_each(|(row, group)| self.consider(&mut best[group], &arguments, row));
            }
            _ => {}
        }
    }

    /// Keeps a row if it is better than the best so far.
    fn consider(&self, best: &mut Option<Best>, arguments: &[Operand], row: usize) {
        let key = &arguments[0];
        let at = key.row(row);
        if self.kind != Kind::Any && sorts_apart(&key.data, at) || self.kind == Kind::Any && best.is_some() {
            return;
        }
        let wanted =
            if matches!(self.kind, Kind::Max | Kind::ArgMax) { Ordering::Greater } else { Ordering::Less };
        let better = best.as_ref().is_none_or(|best| order(&key.data, at, &best[0], 0) == wanted);
        if better {
            *best = Some(arguments.iter().map(|a| a.data.take(&[a.row(row) as u32])).collect());
        }
    }

    /// The output columns, one row for each of `count` groups.
    pub(super) fn finish(&self, mut state: State, count: usize) -> Vec<Arc<ColumnData>> {
        if let State::Collected(collected) = &mut state {
            collected.sort();
        }
        let mut built: Vec<ColumnBuilder> =
            self.outputs.iter().map(|output| ColumnBuilder::with_capacity(output.ty, count)).collect();
        for group in 0..count {
            if let State::Best(best) = &state {
                let best = best.get(group).and_then(Option::as_ref);
                for (at, builder) in built.iter_mut().enumerate() {
                    match best {
                        Some(best) => builder.push_from(&best[at], 0),
                        None => builder.push_null(),
                    }
                }
            } else if let (Kind::Percentiles { array }, State::Collected(collected)) = (self.kind, &state) {
                let values = self.ranks.iter().map(|rank| collected.percentile(group, *rank));
                if array {
                    built[0].push_value(&Value::dynamic(values.map(|value| to_json(&value)).collect()));
                } else {
                    built.iter_mut().zip(values).for_each(|(builder, value)| builder.push_value(&value));
                }
            } else {
                built[0].push_value(&self.result_of(&state, group));
            }
        }
        built.into_iter().map(|builder| Arc::new(builder.finish())).collect()
    }

    fn result_of(&self, state: &State, group: usize) -> Value {
        let average = self.kind == Kind::Avg;
        match state {
            State::Count(counts) => Value::Long(counts.get(group).copied().unwrap_or(0)),
            State::Longs(ty, sums, counts) => {
                let (sum, n) = at(sums, counts, group);
                match (ty, average, n) {
                    (_, true, 0) => Value::Null,
                    (ColumnType::TimeSpan, true, n) => Value::TimeSpan(sum / n),
                    (ColumnType::TimeSpan, false, _) => Value::TimeSpan(sum),
                    _ => Value::Long(sum),
                }
            }
            State::Reals(sums, counts) => match at(sums, counts, group) {
                (_, 0) if average => Value::Null,
                (sum, n) => Value::Real(if average { sum / n as f64 } else { sum }),
            },
            State::Decimals(sums, counts) => {
                let sum = sums.get(group).copied().unwrap_or(Some(Decimal::ZERO));
                let n = counts.get(group).copied().unwrap_or(0);
                let result = if average { sum.and_then(|sum| sum.div(Decimal::from(n))) } else { sum };
                result.map_or(Value::Null, Value::Decimal)
            }
            State::Collected(collected) => match self.kind {
                Kind::Spread(spread) => collected.result(group, spread),
                _ => collected.result(group, SAMPLE),
            },
            State::Distinct(sets) => Value::Long(sets.get(group).map_or(0, HashSet::len) as i64),
            State::Items(items, _) => {
                Value::dynamic(Json::Array(items.get(group).cloned().unwrap_or_default()))
            }
            State::Best(_) => Value::Null,
        }
    }
}

fn at<T: Copy + Default>(sums: &[T], counts: &[i64], group: usize) -> (T, i64) {
    (sums.get(group).copied().unwrap_or_default(), counts.get(group).copied().unwrap_or(0))
}

impl State {
    /// Bytes of memory in use, as far as it can be told cheaply.
    pub(super) fn bytes(&self) -> usize {
        match self {
            State::Count(v) => v.len() * 8,
            State::Longs(_, v, _) => v.len() * 16,
            State::Reals(v, _) => v.len() * 16,
            State::Decimals(v, _) => v.len() * 40,
            State::Distinct(sets) => sets.iter().map(|set| 48 + set.len() * 48).sum(),
            State::Items(items, _) => items.iter().map(|list| 72 + list.len() * 96).sum(),
            State::Collected(collected) => collected.bytes(),
            State::Best(best) => best.len() * 128,
        }
    }
}
