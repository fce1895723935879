//! The fields that rows have: learned from the first row, checked on every later one.

use super::{ColumnName, EncodeError};

const SAME_FIELDS: &str =
    "all rows of a sink have the same fields in the same order; use the format json, or two sinks";

/// What is known about the fields.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    shape: Shape,
    names: Vec<ColumnName>,
    /// Per name, how the field begins in JSON: `"name":`.
    json_keys: Vec<Box<[u8]>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shape {
    /// No row was seen.
    #[default]
    Unknown,
    /// Names are being taken from the first row.
    Learning,
    /// The names are known.
    Named,
    /// Fields have no names; so many there are.
    Positional(usize),
}

impl Columns {
    pub(crate) fn with_names(names: impl IntoIterator<Item = ColumnName>) -> Self {
        let mut columns = Columns::default();
        names.into_iter().for_each(|name| columns.learn(name));
        columns.shape = Shape::Named;
        columns
    }

    pub(crate) fn names(&self) -> Option<&[ColumnName]> {
        (self.shape == Shape::Named).then_some(&self.names)
    }

    fn learn(&mut self, name: ColumnName) {
        self.json_keys.push(format!("{}:", serde_json::Value::from(&*name)).into_bytes().into());
        self.names.push(name);
    }

    /// Begins a row whose fields have names.
    #[inline]
    pub(crate) fn begin_named(&mut self) -> Result<(), EncodeError> {
        match self.shape {
            Shape::Named => Ok(()),
            Shape::Unknown => {
                self.shape = Shape::Learning;
                Ok(())
            }
            Shape::Learning | Shape::Positional(_) => Err(EncodeError::new(
                "its fields have names and those of earlier rows have none",
                SAME_FIELDS,
            )),
        }
    }

    /// The next field in the order of rows: its position is `index`, and its name must be `name`.
    #[inline]
    pub(crate) fn next_named(&mut self, index: usize, name: &'static str) -> Result<(), EncodeError> {
        if self.shape == Shape::Learning {
            self.learn(ColumnName::Borrowed(name));
            return Ok(());
        }
        match self.names.get(index) {
            // The same derived code gives the same address: no bytes are compared.
            Some(known) if std::ptr::eq::<str>(&**known, name) || known == name => Ok(()),
            Some(known) => {
                Err(other_field(name, &format!("earlier rows have the field {known} in its place")))
            }
            None => Err(other_field(name, "earlier rows have fewer fields")),
        }
    }

    /// The position of the field `name`, which may stand anywhere (JSON); `index` is where it is looked for first.
    #[inline]
    pub(crate) fn find_named(&mut self, index: usize, name: &'static str) -> Result<usize, EncodeError> {
        if self.shape == Shape::Learning {
            self.learn(ColumnName::Borrowed(name));
            return Ok(self.names.len() - 1);
        }
        if let Some(known) = self.names.get(index)
            && std::ptr::eq::<str>(&**known, name)
        {
            return Ok(index);
        }
        let found = self.names.iter().position(|known| known == name);
        found.ok_or_else(|| other_field(name, "earlier rows do not have it, and it would be dropped"))
    }

    /// How the field at `position` begins in JSON.
    #[inline]
    pub(crate) fn json_key(&self, position: usize) -> &[u8] {
        &self.json_keys[position]
    }

    /// Whether a field that begins with `key` (`"name"` in JSON) is among the names, where names were given.
    pub(crate) fn accepts_key(&self, key: &[u8]) -> bool {
        self.shape != Shape::Named
            || self.json_keys.iter().any(|known| known.strip_suffix(b":").is_some_and(|known| known == key))
    }

    /// Ends a row of `count` fields that all must be there.
    #[inline]
    pub(crate) fn end_named(&mut self, count: usize) -> Result<(), EncodeError> {
        self.shape = Shape::Named;
        match self.names.get(count) {
            None => Ok(()),
            Some(missing) => Err(EncodeError::new(format!("the field {missing} is missing"), SAME_FIELDS)),
        }
    }

    /// Ends a row of fields that have names, of which some may be left out.
    #[inline]
    pub(crate) fn end_some_named(&mut self) {
        self.shape = Shape::Named;
    }

    /// Ends a row of `count` fields without names.
    #[inline]
    pub(crate) fn end_positional(&mut self, count: usize) -> Result<(), EncodeError> {
        let expected = match self.shape {
            Shape::Positional(expected) => expected,
            Shape::Named => self.names.len(),
            Shape::Unknown | Shape::Learning => {
                self.shape = Shape::Positional(count);
                count
            }
        };
        if count == expected {
            return Ok(());
        }
        Err(EncodeError::new(format!("it has {count} fields and earlier rows have {expected}"), SAME_FIELDS))
    }

    /// Forgets what a first row taught that turned out to be no row.
    pub(crate) fn forget_failed_first_row(&mut self) {
        if self.shape == Shape::Learning {
            *self = Columns::default();
        }
    }
}

#[cold]
fn other_field(name: &str, reason: &str) -> EncodeError {
    EncodeError::new(reason, SAME_FIELDS).in_field(name)
}
