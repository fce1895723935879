//! Results: tables of typed values.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, ErrorKind, Result};

/// A result table of a command or a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Its name, `PrimaryResult` or `Table_0` for most.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Its rows as JSON values, in the encodings of the service: 64-bit integers exact, `datetime` as
    /// `2020-03-04T14:05:01.3109965Z`, `timespan` as `[-][d.]hh:mm:ss[.fffffff]`, `decimal` as a string.
    pub rows: Vec<Vec<Value>>,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its Kusto type: `string`, `long`, `datetime`, ...
    pub column_type: String,
}

impl Table {
    /// The position of the column `name`, or an error that lists the columns there are.
    pub fn position(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            let names: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
            Error::new(
                ErrorKind::Protocol,
                format!("read column {name}"),
                &self.name,
                format!("the result has the columns {}", names.join(", ")),
            )
        })
    }

    /// The rows as values of `T`, by column name: a struct that derives `Deserialize`, or a map.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] with the row's number when a row does not fit `T`.
    pub fn rows_as<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        self.rows.iter().enumerate().map(|(index, row)| self.row_as(index, row)).collect()
    }

    fn row_as<T: DeserializeOwned>(&self, index: usize, row: &[Value]) -> Result<T> {
        let names = self.columns.iter().map(|column| column.name.clone());
        let object = names.zip(row.iter().cloned()).collect::<serde_json::Map<_, _>>();
        serde_json::from_value(Value::Object(object)).map_err(|error| {
            Error::new(ErrorKind::Protocol, format!("read row {index}"), &self.name, error.to_string())
        })
    }

    /// The only value of a table with one row and one column, such as the answer to `T | count`.
    pub fn scalar(&self) -> Option<&Value> {
        match self.rows.as_slice() {
            [row] => row.first(),
            _ => None,
        }
    }
}
