//! The aggregates that keep more than one number per group: spread, percentiles, merged bags, bits.

use super::eval::Operand;
use crate::data::{ColumnType, Value, Values};
use serde_json::{Map, Value as Json};

/// What is kept, one entry per group.
#[derive(Debug)]
pub(super) enum Collected {
    /// Count, mean, and sum of squared distances from it.
    Moments(Vec<(f64, f64, f64)>),
    /// All values, in no order.
    Samples(ColumnType, Vec<Vec<Sample>>),
    Bags(Vec<Map<String, Json>>),
    /// The bits so far; none before the first value.
    Bits(Bit, Vec<Option<i64>>),
}

/// A number to be ranked: whole (ticks too) or real.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sample {
    Whole(i64),
    Real(f64),
}

/// How bits are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bit {
    And,
    Or,
    Xor,
}

/// What spread is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    /// Of the whole population rather than of a sample of it.
    pub(super) population: bool,
    /// The square root: standard deviation rather than variance.
    pub(super) root: bool,
}

impl Collected {
    pub(super) fn grow(&mut self, count: usize) {
        match self {
            Collected::Moments(v) => v.resize(count, (0.0, 0.0, 0.0)),
            Collected::Samples(_, v) => v.resize_with(count, Vec::new),
            Collected::Bags(v) => v.resize_with(count, Map::new),
            Collected::Bits(_, v) => v.resize(count, None),
        }
    }

    /// Takes in the value in `row`, which is not null.
    pub(super) fn add(&mut self, group: usize, operand: &Operand, row: usize) {
        let at = operand.row(row);
        match (self, operand.data.values()) {
            (Collected::Moments(v), Values::Real(x)) => {
                let (n, mean, m2) = &mut v[group];
                *n += 1.0;
                let distance = x[at] - *mean;
                *mean += distance / *n;
                *m2 += distance * (x[at] - *mean);
            }
            (Collected::Samples(_, v), Values::Real(x)) => v[group].push(Sample::Real(x[at])),
            (Collected::Samples(_, v), Values::Int(x)) => v[group].push(Sample::Whole(i64::from(x[at]))),
            (Collected::Samples(_, v), Values::Long(x) | Values::DateTime(x) | Values::TimeSpan(x)) => {
                v[group].push(Sample::Whole(x[at]));
            }
            (Collected::Bags(v), _) => {
                if let Value::Dynamic(json) = operand.data.value(at)
                    && let Some(bag) = json.as_object()
                {
                    for (key, value) in bag {
                        v[group].entry(key.clone()).or_insert_with(|| value.clone());
                    }
                }
            }
            (Collected::Bits(bit, v), Values::Long(x)) => {
                let joined = |so_far: i64| match bit {
                    Bit::And => so_far & x[at],
                    Bit::Or => so_far | x[at],
                    Bit::Xor => so_far ^ x[at],
                };
                v[group] = Some(v[group].map_or(x[at], joined));
            }
            _ => {}
        }
    }

    /// The spread, the bag, or the bits of a group.
    pub(super) fn result(&self, group: usize, spread: Spread) -> Value {
        match self {
            Collected::Moments(v) => spread.of(v.get(group).copied().unwrap_or_default()),
            Collected::Bags(v) => Value::dynamic(Json::Object(v.get(group).cloned().unwrap_or_default())),
            Collected::Bits(_, v) => v.get(group).copied().flatten().map_or(Value::Null, Value::Long),
            Collected::Samples(..) => Value::Null,
        }
    }

    /// Puts the samples in order, before [`percentile`](Self::percentile) is asked for.
    pub(super) fn sort(&mut self) {
        if let Collected::Samples(_, groups) = self {
            groups.iter_mut().for_each(|samples| {
                samples.sort_by(|a, b| match (a, b) {
                    (Sample::Whole(a), Sample::Whole(b)) => a.cmp(b),
                    (Sample::Real(a), Sample::Real(b)) => a.total_cmp(b),
                    _ => std::cmp::Ordering::Equal,
                });
            });
        }
    }

    /// The smallest value that `rank` percent of the group's values do not exceed (nearest rank).
    pub(super) fn percentile(&self, group: usize, rank: f64) -> Value {
        let Collected::Samples(ty, groups) = self else { return Value::Null };
        let Some(samples) = groups.get(group).filter(|samples| !samples.is_empty()) else {
            return Value::Null;
        };
        let place = (rank / 100.0 * samples.len() as f64).ceil() as usize;
        match (ty, samples[place.clamp(1, samples.len()) - 1]) {
            (ColumnType::Int, Sample::Whole(n)) => i32::try_from(n).map_or(Value::Null, Value::Int),
            (ColumnType::DateTime, Sample::Whole(n)) => Value::DateTime(n),
            (ColumnType::TimeSpan, Sample::Whole(n)) => Value::TimeSpan(n),
            (_, Sample::Whole(n)) => Value::Long(n),
            (_, Sample::Real(n)) => Value::Real(n),
        }
    }

    /// Bytes of memory in use, as far as it can be told cheaply.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Collected::Moments(v) => v.len() * 24,
            Collected::Samples(_, v) => v.iter().map(|samples| 24 + samples.len() * 16).sum(),
            Collected::Bags(v) => v.iter().map(|bag| 48 + bag.len() * 128).sum(),
            Collected::Bits(_, v) => v.len() * 16,
        }
    }
}

impl Spread {
    /// Zero for no values, and for the sample of one.
    fn of(self, (n, _, m2): (f64, f64, f64)) -> Value {
        if n == 0.0 {
            return Value::Real(0.0);
        }
        let over = if self.population { n } else { (n - 1.0).max(1.0) };
        let variance = m2 / over;
        Value::Real(if self.root { variance.sqrt() } else { variance })
    }
}
