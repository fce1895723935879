//! Aggregates at work: one entry per group, fed by column, and finished. Nulls are left out, as documented
//! (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/summarize-operator.md`).

use super::aggregate::{Aggregate, Kind, SAMPLE};
use super::batch::Batch;
use super::cast::to_json;
use super::collected::Collected;
use super::compare::{Key, key_of, order, sorts_apart};
use super::eval::{Env, Operand, eval};
use crate::data::{ColumnBuilder, ColumnData, ColumnType, Decimal, Value, Values};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

/// An aggregate at work: one entry per group.
#[derive(Debug)]
pub(super) enum State {
    Count(Vec<i64>),
    Longs(ColumnType, Vec<i64>, Vec<i64>),
    Reals(Vec<f64>, Vec<i64>),
    /// Sums, none after one grew beyond what a decimal holds.
    Decimals(Vec<Option<Decimal>>, Vec<i64>),
    /// The least or greatest so far, of whole numbers and ticks.
    Extremes(ColumnType, Vec<Option<i64>>),
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
            (Kind::Min | Kind::Max, ColumnType::Long | ColumnType::DateTime | ColumnType::TimeSpan) => {
                State::Extremes(ty, Vec::new())
            }
            (Kind::DistinctCount, _) => State::Distinct(Vec::new()),
            (Kind::Spread(_), _) => State::Collected(Collected::Moments(Vec::new())),
            (Kind::Percentiles { .. }, ty) => State::Collected(Collected::Samples(ty, Vec::new())),
            (Kind::Bag, _) => State::Collected(Collected::Bags(Vec::new())),
            (Kind::Bits(bit), _) => State::Collected(Collected::Bits(bit, Vec::new())),
            (Kind::List | Kind::ListWithNulls | Kind::Set, _) => State::Items(Vec::new(), Vec::new()),
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
            (State::Extremes(_, best), Some(a)) => {
                best.resize(count, None);
                let better = if self.kind == Kind::Max { i64::max } else { i64::min };
                if let Values::Long(v) | Values::DateTime(v) | Values::TimeSpan(v) = a.data.values() {
                    rows.filter(|(row, _)| !a.is_null(*row)).for_each(|(row, group)| {
                        let value = v[a.row(row)];
                        best[group] = Some(best[group].map_or(value, |so_far| better(so_far, value)));
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
                for (row, group) in
                    rows.filter(|(row, _)| self.kind == Kind::ListWithNulls || !a.is_null(*row))
                {
                    let value = a.data.value(a.row(row));
                    self.collect(value, &mut items[group], &mut seen[group]);
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

    /// Appends a value to a list or a set; a set takes the elements of an array one by one.
    fn collect(&self, value: Value, items: &mut Vec<Json>, seen: &mut HashSet<Key>) {
        if self.kind == Kind::Set
            && let Value::Dynamic(json) = &value
            && let Some(elements) = json.as_array()
        {
            for element in elements {
                let element = Value::dynamic(element.clone());
                if items.len() < self.limit && seen.insert(key_of(&element)) {
                    items.push(to_json(&element));
                }
            }
        } else if items.len() < self.limit && (self.kind != Kind::Set || seen.insert(key_of(&value))) {
            items.push(to_json(&value));
        }
    }

    /// Keeps a row if it is better than the best so far.
    fn consider(&self, best: &mut Option<Best>, arguments: &[Operand], row: usize) {
        let key = &arguments[0];
        let at = key.row(row);
        let apart = self.kind != Kind::Any && sorts_apart(&key.data, at);
        let whole_row = matches!(self.kind, Kind::ArgMax | Kind::ArgMin);
        if apart && (best.is_some() || !whole_row) || self.kind == Kind::Any && best.is_some() {
            return;
        }
        let wanted =
            if matches!(self.kind, Kind::Max | Kind::ArgMax) { Ordering::Greater } else { Ordering::Less };
        let better = best.as_ref().is_none_or(|best| {
            // A row of nulls stands only until another comes.
            let stand_in = self.kind != Kind::Any && sorts_apart(&best[0], 0);
            stand_in || order(&key.data, at, &best[0], 0) == wanted
        });
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
                (_, 0) if average => Value::Real(f64::NAN),
                (sum, n) => Value::Real(if average { sum / n as f64 } else { sum }),
            },
            State::Decimals(sums, counts) => {
                let sum = sums.get(group).copied().unwrap_or(Some(Decimal::ZERO));
                let n = counts.get(group).copied().unwrap_or(0);
                let result = if average { sum.and_then(|sum| sum.div(Decimal::from(n))) } else { sum };
                result.map_or(Value::Null, Value::Decimal)
            }
            State::Extremes(ty, best) => match (ty, best.get(group).copied().flatten()) {
                (_, None) => Value::Null,
                (ColumnType::DateTime, Some(ticks)) => Value::DateTime(ticks),
                (ColumnType::TimeSpan, Some(ticks)) => Value::TimeSpan(ticks),
                (_, Some(n)) => Value::Long(n),
            },
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
            State::Extremes(_, v) => v.len() * 16,
            State::Distinct(sets) => sets.iter().map(|set| 48 + set.len() * 48).sum(),
            State::Items(items, _) => items.iter().map(|list| 72 + list.len() * 96).sum(),
            State::Collected(collected) => collected.bytes(),
            State::Best(best) => best.len() * 128,
        }
    }
}
