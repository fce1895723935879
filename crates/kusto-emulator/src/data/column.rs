//! A column of values in memory: one typed vector and a mask of nulls. Immutable; made by `ColumnBuilder`, shared by `Arc`.

use super::json::{quoted, write_json_string, write_real_json};
use super::{
    ColumnBuilder, ColumnType, Decimal, Value, format_datetime, format_guid, format_timespan, parse_text,
    write_value_text,
};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::sync::Arc;

/// Which rows are null: one bit per row, no words at all while nothing is null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NullMask {
    words: Vec<u64>,
    count: usize,
}

impl NullMask {
    /// Marks `row` as null; rows are marked once, in ascending order.
    pub(crate) fn mark(&mut self, row: usize) {
        if self.words.len() <= row / 64 {
            self.words.resize(row / 64 + 1, 0);
        }
        self.words[row / 64] |= 1 << (row % 64);
        self.count += 1;
    }

    /// Whether `row` is null.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Whether nothing is null.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Texts one after another, and where each ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawArena")]
pub(crate) struct Arena {
    text: String,
    ends: Vec<u64>,
}

#[derive(Deserialize)]
struct RawArena {
    text: String,
    ends: Vec<u64>,
}

impl TryFrom<RawArena> for Arena {
    type Error = String;

    fn try_from(raw: RawArena) -> Result<Arena, String> {
        let mut last = 0;
        for end in &raw.ends {
            let at = usize::try_from(*end).map_err(|e| e.to_string())?;
            if at < last || !raw.text.is_char_boundary(at) {
                return Err(format!("damaged text column: a value ends at byte {end} of {}", raw.text.len()));
            }
            last = at;
        }
        Ok(Arena { text: raw.text, ends: raw.ends })
    }
}

impl Arena {
    /// An arena with room for `rows` texts.
    pub(crate) fn with_capacity(rows: usize) -> Arena {
        Arena { text: String::new(), ends: Vec::with_capacity(rows) }
    }

    /// Appends one text.
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.end();
    }

    /// Appends the text that `write` appends to the string it is given.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        debug_assert!(self.text.len() >= start, "a writer only appends");
        self.end();
    }

    fn end(&mut self) {
        self.ends.push(self.text.len() as u64);
    }

    /// The number of texts.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    fn start(&self, row: usize) -> usize {
        if row == 0 { 0 } else { self.ends[row - 1] as usize }
    }

    /// The text of `row`.
    pub(crate) fn get(&self, row: usize) -> &str {
        &self.text[self.start(row)..self.ends[row] as usize]
    }

    /// All texts in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let text = &self.text[start..*end as usize];
            start = *end as usize;
            text
        })
    }

    /// Bytes of memory in use.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.ends.len() * 8
    }

    fn slice(&self, start: usize, len: usize) -> Arena {
        let (from, to) = (self.start(start), self.start(start + len));
        let ends = self.ends[start..start + len].iter().map(|end| end - from as u64).collect();
        Arena { text: self.text[from..to].to_owned(), ends }
    }

    fn take(&self, rows: &[u32]) -> Arena {
        let mut taken = Arena::with_capacity(rows.len());
        taken.text.reserve(rows.iter().map(|row| self.get(*row as usize).len()).sum());
        rows.iter().for_each(|row| taken.push(self.get(*row as usize)));
        taken
    }
}

/// The values of a column; a null row holds the default of its type (and `""` in an arena).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Values {
    /// `bool`
    Bool(Vec<bool>),
    /// `int`
    Int(Vec<i32>),
    /// `long`
    Long(Vec<i64>),
    /// `real`
    Real(Vec<f64>),
    /// `decimal`
    Decimal(Vec<Decimal>),
    /// `datetime`, ticks
    DateTime(Vec<i64>),
    /// `timespan`, ticks
    TimeSpan(Vec<i64>),
    /// `guid`
    Guid(Vec<u128>),
    /// `string`
    String(Arena),
    /// `dynamic`, as compact JSON text
    Dynamic(Arena),
}

/// Does the same with the vector of whatever type: `vectors!(values, v => v.len())`; arenas are vectors here too.
macro_rules! vectors {
    ($values:expr, $v:ident => $body:expr) => {
        match $values {
            $crate::data::Values::Bool($v) => $body,
            $crate::data::Values::Int($v) => $body,
            $crate::data::Values::Long($v) => $body,
            $crate::data::Values::Real($v) => $body,
            $crate::data::Values::Decimal($v) => $body,
            $crate::data::Values::DateTime($v) => $body,
            $crate::data::Values::TimeSpan($v) => $body,
            $crate::data::Values::Guid($v) => $body,
            $crate::data::Values::String($v) => $body,
            $crate::data::Values::Dynamic($v) => $body,
        }
    };
}

/// A column of values of one type.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ColumnData {
    pub(super) values: Values,
    pub(super) nulls: NullMask,
}

impl ColumnData {
    /// A column of these values; `nulls` marks the rows whose value does not count.
    pub(crate) fn new(values: Values, nulls: NullMask) -> ColumnData {
        ColumnData { values, nulls }
    }

    /// `len` times the same value; nulls (empty strings) when the value is not of the type.
    pub(crate) fn repeat(ty: ColumnType, value: &Value, len: usize) -> ColumnData {
        let mut one = ColumnBuilder::new(ty);
        one.push_value(value);
        one.finish().take(&vec![0; len])
    }

    /// The type.
    pub(crate) fn ty(&self) -> ColumnType {
        match &self.values {
            Values::Bool(_) => ColumnType::Bool,
            Values::Int(_) => ColumnType::Int,
            Values::Long(_) => ColumnType::Long,
            Values::Real(_) => ColumnType::Real,
            Values::Decimal(_) => ColumnType::Decimal,
            Values::DateTime(_) => ColumnType::DateTime,
            Values::TimeSpan(_) => ColumnType::TimeSpan,
            Values::Guid(_) => ColumnType::Guid,
            Values::String(_) => ColumnType::String,
            Values::Dynamic(_) => ColumnType::Dynamic,
        }
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        vectors!(&self.values, v => v.len())
    }

    /// The values, nulls as defaults: for loops that look at [`nulls`](Self::nulls) apart.
    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// Which rows are null.
    pub(crate) fn nulls(&self) -> &NullMask {
        &self.nulls
    }

    /// Whether `row` is null. A string never is.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.is_null(row)
    }

    /// The text of a `string` or the JSON text of a `dynamic` in `row` (empty when null); none for other types.
    pub(crate) fn text(&self, row: usize) -> Option<&str> {
        match &self.values {
            Values::String(arena) | Values::Dynamic(arena) => Some(arena.get(row)),
            _ => None,
        }
    }

    /// The value in `row`.
    ///
    /// # Panics
    /// When there is no such row.
    pub(crate) fn value(&self, row: usize) -> Value {
        if self.is_null(row) {
            return Value::Null;
        }
        match &self.values {
            Values::Bool(v) => Value::Bool(v[row]),
            Values::Int(v) => Value::Int(v[row]),
            Values::Long(v) => Value::Long(v[row]),
            Values::Real(v) => Value::Real(v[row]),
            Values::Decimal(v) => Value::Decimal(v[row]),
            Values::DateTime(v) => Value::DateTime(v[row]),
            Values::TimeSpan(v) => Value::TimeSpan(v[row]),
            Values::Guid(v) => Value::Guid(v[row]),
            Values::String(v) => Value::String(Arc::from(v.get(row))),
            Values::Dynamic(v) => parse_text(ColumnType::Dynamic, v.get(row)),
        }
    }

    /// The rows named by `rows`, in that order (rows may repeat).
    ///
    /// # Panics
    /// When a row is out of range.
    pub(crate) fn take(&self, rows: &[u32]) -> ColumnData {
        fn pick<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|row| values[*row as usize]).collect()
        }
        let values = match &self.values {
            Values::Bool(v) => Values::Bool(pick(v, rows)),
            Values::Int(v) => Values::Int(pick(v, rows)),
            Values::Long(v) => Values::Long(pick(v, rows)),
            Values::Real(v) => Values::Real(pick(v, rows)),
            Values::Decimal(v) => Values::Decimal(pick(v, rows)),
            Values::DateTime(v) => Values::DateTime(pick(v, rows)),
            Values::TimeSpan(v) => Values::TimeSpan(pick(v, rows)),
            Values::Guid(v) => Values::Guid(pick(v, rows)),
            Values::String(v) => Values::String(v.take(rows)),
            Values::Dynamic(v) => Values::Dynamic(v.take(rows)),
        };
        ColumnData { values, nulls: self.null_rows(rows.iter().map(|row| *row as usize)) }
    }

    /// The `len` rows from `start` on.
    ///
    /// # Panics
    /// When the range leaves the column.
    pub(crate) fn slice(&self, start: usize, len: usize) -> ColumnData {
        let range = start..start + len;
        let values = match &self.values {
            Values::Bool(v) => Values::Bool(v[range.clone()].to_vec()),
            Values::Int(v) => Values::Int(v[range.clone()].to_vec()),
            Values::Long(v) => Values::Long(v[range.clone()].to_vec()),
            Values::Real(v) => Values::Real(v[range.clone()].to_vec()),
            Values::Decimal(v) => Values::Decimal(v[range.clone()].to_vec()),
            Values::DateTime(v) => Values::DateTime(v[range.clone()].to_vec()),
            Values::TimeSpan(v) => Values::TimeSpan(v[range.clone()].to_vec()),
            Values::Guid(v) => Values::Guid(v[range.clone()].to_vec()),
            Values::String(v) => Values::String(v.slice(start, len)),
            Values::Dynamic(v) => Values::Dynamic(v.slice(start, len)),
        };
        ColumnData { values, nulls: self.null_rows(range) }
    }

    fn null_rows(&self, rows: impl Iterator<Item = usize>) -> NullMask {
        let mut nulls = NullMask::default();
        if !self.nulls.is_empty() {
            rows.enumerate().filter(|(_, row)| self.is_null(*row)).for_each(|(to, _)| nulls.mark(to));
        }
        nulls
    }

    /// Bytes of memory in use, near enough: what limits on results count, and `OriginalSize` of extents.
    pub(crate) fn bytes(&self) -> usize {
        match &self.values {
            Values::Bool(v) => v.len(),
            Values::Int(v) => v.len() * 4,
            Values::Long(v) | Values::DateTime(v) | Values::TimeSpan(v) => v.len() * 8,
            Values::Real(v) => v.len() * 8,
            Values::Decimal(v) => v.len() * 32,
            Values::Guid(v) => v.len() * 16,
            Values::String(v) | Values::Dynamic(v) => v.bytes(),
        }
    }

    /// Appends the value of `row` as answers encode it, straight from the vector.
    pub(crate) fn write_json(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            return out.push_str("null");
        }
        match &self.values {
            Values::Bool(v) => out.push_str(if v[row] { "true" } else { "false" }),
            Values::Int(v) => drop(write!(out, "{}", v[row])),
            Values::Long(v) => drop(write!(out, "{}", v[row])),
            Values::Real(v) => write_real_json(v[row], out),
            Values::Decimal(v) => drop(write!(out, "\"{}\"", v[row])),
            Values::DateTime(v) => quoted(out, |out| format_datetime(v[row], out)),
            Values::TimeSpan(v) => quoted(out, |out| format_timespan(v[row], out)),
            Values::Guid(v) => quoted(out, |out| format_guid(v[row], out)),
            Values::String(v) => write_json_string(v.get(row), out),
            Values::Dynamic(v) => out.push_str(v.get(row)),
        }
    }

    /// Appends the value of `row` as `tostring()` gives it.
    pub(crate) fn write_text(&self, row: usize, out: &mut String) {
        match &self.values {
            Values::String(v) => out.push_str(v.get(row)),
            Values::Dynamic(v) if !v.get(row).starts_with('"') => out.push_str(v.get(row)),
            _ => write_value_text(&self.value(row), out),
        }
    }
}
