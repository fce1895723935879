//! `join` and `lookup`: the right side is held and numbered by its keys, the left side streams past it.
//!
//! A null key matches nothing. Columns of the right side whose name is taken get a number behind it.

use super::ast::{Join, JoinKind};
use super::batch::{BATCH_ROWS, Batch};
use super::bind::common_type;
use super::builder::Builder;
use super::cast;
use super::error::KqlError;
use super::group::Groups;
use super::names::Unique;
use super::relation::{Relation, Rows, gather};
use crate::data::{Column, ColumnData, ColumnType, Schema, Value};
use std::sync::Arc;

/// Where the keys stand on both sides, and the type in which they are compared.
type Keys = Vec<(usize, usize, ColumnType)>;

/// The row that stands for "none".
const NONE: u32 = u32::MAX;

impl Builder<'_> {
    pub(super) fn join(&self, left: Relation, join: &Join) -> Result<Relation, KqlError> {
        let right = self.pipeline(&join.right)?;
        let keys = keys(&left.schema, &right.schema, &join.on)?;
        let right_only = matches!(join.kind, JoinKind::RightSemi | JoinKind::RightAnti);
        let left_only = matches!(join.kind, JoinKind::LeftSemi | JoinKind::LeftAnti);
        let mut unique = Unique::default();
        let mut schema = Schema::default();
        for column in left.schema.columns.iter().filter(|_| !right_only) {
            schema.columns.push(Column::new(unique.or_numbered(&column.name), column.ty));
        }
        let shown = |at: &usize| !(left_only || join.lookup && keys.iter().any(|(_, right, _)| right == at));
        let right_columns: Vec<usize> = (0..right.schema.len()).filter(shown).collect();
        for at in &right_columns {
            let column = &right.schema.columns[*at];
            schema.columns.push(Column::new(unique.or_numbered(&column.name), column.ty));
        }
        let plan = Plan { kind: join.kind, keys, left: left.schema, right: right.schema, right_columns };
        let (max_memory, left, right) = (self.max_memory, left.rows, right.rows);
        let rows =
            std::iter::once_with(move || plan.start(left, right, max_memory)).flat_map(|started| -> Rows {
                match started {
                    Ok(joining) => Box::new(joining),
                    Err(error) => Box::new(std::iter::once(Err(error))),
                }
            });
        Ok(Relation::new(schema, rows))
    }
}

fn keys(left: &Schema, right: &Schema, on: &[(String, String)]) -> Result<Keys, KqlError> {
    let mut keys = Vec::with_capacity(on.len());
    for (a, b) in on {
        let i = left.index_of(a).ok_or_else(|| KqlError::no_name("join", a))?;
        let j = right.index_of(b).ok_or_else(|| KqlError::no_name("join", b))?;
        let (x, y) = (left.columns[i].ty, right.columns[j].ty);
        let ty = common_type(x, y).filter(|ty| *ty != ColumnType::Dynamic).ok_or_else(|| {
            let message =
                format!("'join' operator: '{a}' of type {x} and '{b}' of type {y} cannot be compared as keys. Try adding explicit casts");
            KqlError::semantic("SEM0501", message)
        })?;
        keys.push((i, j, ty));
    }
    Ok(keys)
}

/// What a join has to do.
struct Plan {
    kind: JoinKind,
    keys: Keys,
    left: Schema,
    right: Schema,
    /// Columns of the right side that are shown.
    right_columns: Vec<usize>,
}

impl Plan {
    fn of_side(&self, batch: &Batch, side: fn(&(usize, usize, ColumnType)) -> usize) -> Vec<Arc<ColumnData>> {
        let key = |key: &(usize, usize, ColumnType)| {
            let column = batch.column(side(key));
            if column.ty() == key.2 { column } else { Arc::new(cast::column(&column, key.2)) }
        };
        self.keys.iter().map(key).collect()
    }

    /// Reads the right side.
    fn start(self, left: Rows, right: Rows, max_memory: usize) -> Result<Joining, KqlError> {
        let mut gathered = gather("join", &self.right, right, max_memory)?;
        let keys = self.of_side(&gathered, |key| key.1);
        let mut groups = Groups::new(self.keys.iter().map(|key| key.2));
        let mut assigned = Vec::new();
        groups.assign(&keys, gathered.rows, &mut assigned);
        let known = |row: &usize| !keys.iter().any(|key| key.is_null(*row));
        let mut starts = vec![0_u32; groups.len() + 1];
        (0..gathered.rows).filter(known).for_each(|row| starts[assigned[row] as usize + 1] += 1);
        (0..groups.len()).for_each(|group| starts[group + 1] += starts[group]);
        let mut next = starts.clone();
        let mut rows = vec![0_u32; starts[groups.len()] as usize];
        for row in (0..gathered.rows).filter(known) {
            let group = assigned[row] as usize;
            rows[next[group] as usize] = row as u32;
            next[group] += 1;
        }
        let matched = vec![false; gathered.rows];
        gathered = with_null_row(&gathered, &self.right);
        let seen = Groups::new(self.keys.iter().map(|key| key.2));
        Ok(Joining {
            plan: self,
            left,
            right: gathered,
            groups,
            starts,
            rows,
            matched,
            seen,
            now: None,
            done: false,
            max_memory,
        })
    }
}

/// The batch with one row of nulls behind it, which stands for "no match".
fn with_null_row(batch: &Batch, schema: &Schema) -> Batch {
    let columns = schema.columns.iter().enumerate().map(|(at, column)| {
        let mut built = crate::data::ColumnBuilder::new(column.ty);
        built.extend(&batch.column(at));
        built.push_null();
        Arc::new(built.finish())
    });
    Batch::new(columns.collect(), batch.rows + 1)
}

/// A join at work.
struct Joining {
    plan: Plan,
    left: Rows,
    /// The right side, with a row of nulls at its end.
    right: Batch,
    groups: Groups,
    /// Where the rows of each group start in `rows`.
    starts: Vec<u32>,
    rows: Vec<u32>,
    /// Which right rows found a match.
    matched: Vec<bool>,
    /// Left keys that were there already.
    seen: Groups,
    now: Option<LeftBatch>,
    done: bool,
    max_memory: usize,
}

/// A batch of the left side, and how far it is joined.
struct LeftBatch {
    batch: Batch,
    /// The right group of each row, or none.
    groups: Vec<u32>,
    row: usize,
    /// How many matches of that row are given already.
    given: u32,
}

impl Iterator for Joining {
    type Item = Result<Batch, KqlError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(mut now) = self.now.take() {
                let joined = self.advance(&mut now);
                if now.row < now.batch.rows {
                    self.now = Some(now);
                }
                // Nothing may have come of it, but whoever asks checks the time between batches.
                return Some(Ok(joined));
            }
            match self.left.next() {
                Some(Ok(batch)) => match self.looked_up(batch) {
                    Ok(now) => self.now = Some(now),
                    Err(error) => return Some(Err(error)),
                },
                Some(error) => return Some(error),
                None if self.done => return None,
                None => {
                    self.done = true;
                    return self.rest_of_right().map(Ok);
                }
            }
        }
    }
}

impl Joining {
    /// The right group of each row of a left batch.
    fn looked_up(&mut self, batch: Batch) -> Result<LeftBatch, KqlError> {
        let keys = self.plan.of_side(&batch, |key| key.0);
        let mut groups = self.groups.find(&keys, batch.rows);
        for (row, group) in groups.iter_mut().enumerate() {
            if keys.iter().any(|key| key.is_null(row)) {
                *group = NONE;
            }
        }
        if self.plan.kind == JoinKind::InnerUnique {
            let mut assigned = Vec::new();
            let mut known = self.seen.len() as u32;
            self.seen.assign(&keys, batch.rows, &mut assigned);
            if self.seen.bytes() > self.max_memory {
                return Err(KqlError::runaway("join", self.max_memory));
            }
            for (group, place) in groups.iter_mut().zip(assigned) {
                if place < known { *group = NONE } else { known = place + 1 }
            }
        }
        Ok(LeftBatch { batch, groups, row: 0, given: 0 })
    }

    /// The next pairs of a left batch, about as many as a batch has rows.
    fn advance(&mut self, now: &mut LeftBatch) -> Batch {
        let none = self.right.rows as u32 - 1;
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let outer = matches!(self.plan.kind, JoinKind::LeftOuter | JoinKind::FullOuter);
        while now.row < now.batch.rows && left.len() < BATCH_ROWS {
            let group = now.groups[now.row];
            let range = match group {
                NONE => 0..0,
                group => self.starts[group as usize] as usize..self.starts[group as usize + 1] as usize,
            };
            let matches = &self.rows[range];
            match self.plan.kind {
                JoinKind::LeftSemi | JoinKind::LeftAnti => {
                    if matches.is_empty() == (self.plan.kind == JoinKind::LeftAnti) {
                        left.push(now.row as u32);
                    }
                }
                JoinKind::RightSemi | JoinKind::RightAnti => {
                    matches.iter().for_each(|row| self.matched[*row as usize] = true);
                }
                _ => {
                    let room = BATCH_ROWS - left.len();
                    let part = &matches[now.given as usize..];
                    let part = &part[..part.len().min(room)];
                    part.iter().for_each(|row| self.matched[*row as usize] = true);
                    left.extend(std::iter::repeat_n(now.row as u32, part.len()));
                    right.extend_from_slice(part);
                    now.given += part.len() as u32;
                    if (now.given as usize) < matches.len() {
                        break;
                    }
                    if matches.is_empty() && outer {
                        left.push(now.row as u32);
                        right.push(none);
                    }
                }
            }
            now.row += 1;
            now.given = 0;
        }
        self.paired(&now.batch, left, right)
    }

    fn paired(&self, left_batch: &Batch, left: Vec<u32>, right: Vec<u32>) -> Batch {
        match self.plan.kind {
            JoinKind::LeftSemi | JoinKind::LeftAnti => left_batch.select(&Arc::new(left)),
            JoinKind::RightSemi | JoinKind::RightAnti => self.right_rows(Vec::new()),
            _ => left_batch.select(&Arc::new(left)).beside(&self.right_rows(right)),
        }
    }

    fn right_rows(&self, rows: Vec<u32>) -> Batch {
        let shown = self.plan.right_columns.iter().map(|at| super::batch::Placed::Old(*at)).collect();
        self.right.rearranged(shown).select(&Arc::new(rows))
    }

    /// The right rows that the kind of join gives when all left rows are known.
    fn rest_of_right(&mut self) -> Option<Batch> {
        let wanted = match self.plan.kind {
            JoinKind::RightOuter | JoinKind::FullOuter | JoinKind::RightAnti => false,
            JoinKind::RightSemi => true,
            _ => return None,
        };
        let rows: Vec<u32> = (0..self.matched.len())
            .filter(|row| self.matched[*row] == wanted)
            .map(|row| row as u32)
            .collect();
        let count = rows.len();
        let right = self.right_rows(rows);
        if matches!(self.plan.kind, JoinKind::RightSemi | JoinKind::RightAnti) {
            return Some(right);
        }
        let null = |column: &Column| Arc::new(ColumnData::repeat(column.ty, &Value::Null, count));
        Some(Batch::new(self.plan.left.columns.iter().map(null).collect(), count).beside(&right))
    }
}
