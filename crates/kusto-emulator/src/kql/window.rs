//! Window functions: values that depend on neighbouring rows of a serialized row set.
//!
//! They run over all rows at once; the operators that may hold them gather their input first. Source:
//! `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/window-functions.md` and the functions' pages.

use super::bind::Scope;
use super::compare::same;
use super::error::KqlError;
use super::eval::Operand;
use super::typed::{Node, Typed};
use crate::data::{ColumnBuilder, ColumnData, ColumnType, NullMask, Value, Values};

/// A window function. The last argument of all but the first two may be a condition on which it starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// `prev(x, n, default)`
    Prev,
    /// `next(x, n, default)`
    Next,
    /// `row_number(start, restart)`
    Number,
    /// `row_cumsum(x, restart)`
    Sum,
    /// `row_rank_dense(x, restart)`
    DenseRank,
    /// `row_rank_min(x, restart)`
    MinRank,
    /// `row_window_session(x, from first, between neighbours, restart)`
    Session,
}

fn by_name(name: &str) -> Option<Window> {
    Some(match name {
        "prev" => Window::Prev,
        "next" => Window::Next,
        "row_number" => Window::Number,
        "row_cumsum" => Window::Sum,
        "row_rank_dense" => Window::DenseRank,
        "row_rank_min" => Window::MinRank,
        "row_window_session" => Window::Session,
        _ => return None,
    })
}

/// Whether a function of this name is a window function.
pub(super) fn is_window(name: &str) -> bool {
    by_name(name).is_some()
}

impl Scope<'_> {
    /// A call of a window function.
    pub(super) fn window(&self, name: &str, bound: Vec<Typed>) -> Result<Typed, KqlError> {
        use ColumnType::{Bool, DateTime, Int, Long, Real, TimeSpan};
        let Some(window) = by_name(name) else { return Err(KqlError::no_function(name)) };
        if self.serialized != Some(true) {
            let message = format!(
                "'{}' operator: Function '{name}' cannot be invoked in current context. Details: the row set must be serialized",
                self.operator
            );
            return Err(KqlError::semantic("SEM0001", message));
        }
        let (least, most) = match window {
            Window::Number => (0, 2),
            Window::Prev | Window::Next => (1, 3),
            Window::Session => (3, 4),
            _ => (1, 2),
        };
        if !(least..=most).contains(&bound.len()) {
            return Err(self.arity(name, &format!("{least} to {most}")));
        }
        let mut parts = bound;
        let ty = match window {
            Window::Prev | Window::Next => {
                let ty = parts[0].ty;
                if let Some(offset) = parts.get(1) {
                    self.require(name, offset, &[Int, Long])?;
                    if offset.as_const().is_none() {
                        return Err(KqlError::unsupported(format_args!("an offset of '{name}' that varies")));
                    }
                }
                if parts.len() == 3 {
                    parts[2] =
                        self.unified(name, vec![parts[0].clone(), parts[2].clone()])?[1].clone().cast(ty);
                }
                return Ok(Typed::new(ty, Node::Window(window, parts)));
            }
            Window::Number => {
                if let Some(start) = parts.first() {
                    self.require(name, start, &[Int, Long])?;
                    parts[0] = start.clone().cast(Long);
                }
                Long
            }
            Window::Sum => {
                self.require(name, &parts[0], &[Int, Long, Real])?;
                let ty = if parts[0].ty == Real { Real } else { Long };
                parts[0] = parts[0].clone().cast(ty);
                ty
            }
            Window::Session => {
                self.require(name, &parts[0], &[DateTime])?;
                self.require(name, &parts[1], &[TimeSpan])?;
                self.require(name, &parts[2], &[TimeSpan])?;
                DateTime
            }
            Window::DenseRank | Window::MinRank => Long,
        };
        if parts.len() == most {
            self.require(name, &parts[most - 1], &[Bool])?;
        }
        Ok(Typed::new(ty, Node::Window(window, parts)))
    }
}

/// The values of a window function over all rows.
pub(super) fn windowed(window: Window, ty: ColumnType, parts: &[Operand], rows: usize) -> ColumnData {
    match window {
        Window::Prev => shifted(ty, parts, rows, -1),
        Window::Next => shifted(ty, parts, rows, 1),
        Window::Number => numbers(parts, rows),
        Window::Sum => sums(parts, rows),
        Window::DenseRank | Window::MinRank => ranks(parts, rows, window == Window::DenseRank),
        Window::Session => sessions(parts, rows),
    }
}

fn shifted(ty: ColumnType, parts: &[Operand], rows: usize, direction: i64) -> ColumnData {
    let values = &parts[0];
    let offset = match parts.get(1).map(|offset| offset.data.value(0)) {
        None => Some(1),
        Some(offset) => offset.as_i64(),
    };
    let mut built = ColumnBuilder::with_capacity(ty, rows);
    for row in 0..rows {
        let from = offset.and_then(|offset| offset.checked_mul(direction)?.checked_add(row as i64));
        match (from.and_then(|from| usize::try_from(from).ok()).filter(|from| *from < rows), parts.get(2)) {
            (Some(from), _) => built.push_from(&values.data, values.row(from)),
            (None, Some(default)) => built.push_from(&default.data, default.row(row)),
            (None, None) => built.push_null(),
        }
    }
    built.finish()
}

fn restarts(parts: &[Operand], at: usize, row: usize) -> bool {
    parts.get(at).is_some_and(|restart| restart.is_true(row))
}

fn numbers(parts: &[Operand], rows: usize) -> ColumnData {
    let start = |row: usize| match parts.first() {
        Some(start) => start.data.value(start.row(row)).as_i64(),
        None => Some(1),
    };
    let mut number = None;
    let mut built = ColumnBuilder::with_capacity(ColumnType::Long, rows);
    for row in 0..rows {
        let anew = row == 0 || restarts(parts, 1, row);
        number = if anew { start(row) } else { number.and_then(|n: i64| n.checked_add(1)) };
        built.push_value(&number.map_or(Value::Null, Value::Long));
    }
    built.finish()
}

/// Running sums; a null counts as nothing.
fn sums(parts: &[Operand], rows: usize) -> ColumnData {
    let term = &parts[0];
    let counted = |row: usize| !term.is_null(row);
    let values = match term.data.values() {
        Values::Real(v) => {
            let mut sum = 0.0;
            let each = (0..rows).map(|row| {
                sum = if restarts(parts, 1, row) { 0.0 } else { sum };
                sum += if counted(row) { v[term.row(row)] } else { 0.0 };
                sum
            });
            Values::Real(each.collect())
        }
        Values::Long(v) => {
            let mut sum = 0_i64;
            let each = (0..rows).map(|row| {
                sum = if restarts(parts, 1, row) { 0 } else { sum };
                sum = sum.wrapping_add(if counted(row) { v[term.row(row)] } else { 0 });
                sum
            });
            Values::Long(each.collect())
        }
        _ => return ColumnData::repeat(ColumnType::Long, &Value::Null, rows),
    };
    ColumnData::new(values, NullMask::default())
}

fn ranks(parts: &[Operand], rows: usize, dense: bool) -> ColumnData {
    let term = &parts[0];
    let (mut rank, mut number) = (0_i64, 0_i64);
    let each = (0..rows).map(|row| {
        if restarts(parts, 1, row) {
            (rank, number) = (0, 0);
        }
        number += 1;
        let changed = number == 1 || !same(&term.data, term.row(row), &term.data, term.row(row - 1));
        if changed {
            rank = if dense { rank + 1 } else { number };
        }
        rank
    });
    ColumnData::new(Values::Long(each.collect()), NullMask::default())
}

/// For each instant the first one of its session; after a null the next one starts a session.
fn sessions(parts: &[Operand], rows: usize) -> ColumnData {
    let ticks = |part: &Operand, row: usize| match part.data.value(part.row(row)) {
        Value::DateTime(t) | Value::TimeSpan(t) => Some(t),
        _ => None,
    };
    let mut session: Option<(i64, i64)> = None;
    let mut built = ColumnBuilder::with_capacity(ColumnType::DateTime, rows);
    for row in 0..rows {
        let goes_on = |(first, last): &(i64, i64), now: i64| {
            let within = |from: i64, limit: Option<i64>| limit.is_some_and(|limit| now - from <= limit);
            within(*first, ticks(&parts[1], row)) && within(*last, ticks(&parts[2], row))
        };
        session = ticks(&parts[0], row).map(|now| match session {
            Some(open) if !restarts(parts, 3, row) && goes_on(&open, now) => (open.0, now),
            _ => (now, now),
        });
        built.push_value(&session.map_or(Value::Null, |(first, _)| Value::DateTime(first)));
    }
    built.finish()
}
