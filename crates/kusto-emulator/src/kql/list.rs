//! `in`, `has_any`, `has_all`: a value held against a list of constants.

use super::ast::ListOp;
use super::compare::{Key, key_of};
use super::strings;
use crate::data::{ColumnData, Value};
use std::collections::HashSet;
use std::sync::Arc;

/// The list, ready for its operator.
#[derive(Clone, Debug)]
pub(super) struct ListTest {
    keys: Arc<HashSet<Key>>,
    texts: Arc<Vec<String>>,
    has_null: bool,
    numbers: Option<Arc<HashSet<i64>>>,
}

impl ListTest {
    /// A list of values of the type of what is looked for.
    pub(super) fn new(op: ListOp, values: &[Value]) -> ListTest {
        let fold = op == ListOp::InIgnoringCase;
        let text = |value: &Value| value.as_str().map(|t| if fold { t.to_lowercase() } else { t.to_owned() });
        let keys = values
            .iter()
            .map(|v| if fold { Key::Text(text(v).unwrap_or_default()) } else { key_of(v) })
            .collect();
        let number = |value: &Value| match value {
            Value::Long(n) | Value::DateTime(n) | Value::TimeSpan(n) => Some(*n),
            _ => None,
        };
        let numbers: HashSet<i64> = values.iter().filter_map(number).collect();
        let all_numbers = !numbers.is_empty() && values.iter().all(|v| number(v).is_some());
        ListTest {
            keys: Arc::new(keys),
            texts: Arc::new(values.iter().filter_map(text).collect()),
            has_null: values.iter().any(Value::is_null),
            numbers: all_numbers.then(|| Arc::new(numbers)),
        }
    }

    /// Whether the value in `row` is in the list as `op` understands it; none when that is unknown.
    pub(super) fn test(&self, op: ListOp, column: &ColumnData, row: usize) -> Option<bool> {
        match (op, column.text(row)) {
            (ListOp::In, _) if column.is_null(row) => (!self.has_null).then_some(false),
            (ListOp::In, _) => Some(self.contains(column, row)),
            (ListOp::InIgnoringCase, Some(text)) => Some(self.keys.contains(&Key::Text(text.to_lowercase()))),
            (ListOp::HasAny, Some(text)) => {
                Some(self.texts.iter().any(|term| strings::has(text, term, false)))
            }
            (ListOp::HasAll, Some(text)) => {
                Some(self.texts.iter().all(|term| strings::has(text, term, false)))
            }
            _ => None,
        }
    }

    fn contains(&self, column: &ColumnData, row: usize) -> bool {
        use crate::data::Values;
        match (column.values(), &self.numbers) {
            (Values::Long(v) | Values::DateTime(v) | Values::TimeSpan(v), Some(numbers)) => {
                numbers.contains(&v[row])
            }
            (Values::String(v), _) if self.texts.len() <= 8 => {
                self.texts.iter().any(|text| text == v.get(row))
            }
            _ => self.keys.contains(&key_of(&column.value(row))),
        }
    }
}
