//! Rows of anything that implements `Serialize`.

use serde::Serialize;

use super::columns::Columns;
use super::row::Row;
use super::tail::{Added, EPOCH, Extra, Tail};
use super::{ColumnName, EncodeError, Encoder, LongValues};
use crate::options::Format;

/// Writes any [`Serialize`] value as a CSV or JSON row.
///
/// | record | CSV | JSON |
/// |---|---|---|
/// | struct | its fields in order; the names make the ingestion mapping | an object |
/// | tuple, tuple struct, sequence | its elements by position | error |
/// | map, struct with a flattened part | error | an object |
/// | newtype, `Some` | as what is in it | as what is in it |
/// | a single value | one column | error |
///
/// | field | CSV | JSON |
/// |---|---|---|
/// | integers (to 128 bits), `bool`, `char`, strings | as text | as in JSON |
/// | `f32`, `f64` | shortest digits; `NaN`, `Infinity`, `-Infinity` | the same, those three as strings |
/// | `None`, `()`, a skipped field | empty: null, or the empty string in a `string` column | `null`, or absent |
/// | bytes (`serde_bytes`) | base64 | base64 |
/// | an enum's variant without data | its name | its name |
/// | an enum's variant with data | error | error |
/// | struct, tuple, sequence, map | JSON in one field, for `dynamic` (in it: bytes are arrays of numbers, `NaN` is `null`, enums as `serde_json` writes them) | the same, not as a string |
///
/// ```
/// use timely_kusto::{Encoder, Format, SerdeEncoder};
///
/// #[derive(serde::Serialize)]
/// struct Storm<'a> {
///     id: u64,
///     state: &'a str,
///     damage: Option<f64>,
/// }
///
/// let mut encoder = SerdeEncoder::new(Format::Csv);
/// let mut rows = Vec::new();
/// encoder.encode(&Storm { id: 1, state: "TEXAS, north", damage: None }, &mut rows)?;
/// assert_eq!(rows, b"1,\"TEXAS, north\",\n");
/// # Ok::<(), timely_kusto::EncodeError>(())
/// ```
#[derive(Debug, Default)]
pub struct SerdeEncoder {
    format: Format,
    columns: Columns,
    scratch: Vec<u8>,
    long: LongValues,
    epoch: Option<Added>,
}

impl SerdeEncoder {
    /// An encoder that takes the columns from the first row.
    pub fn new(format: Format) -> Self {
        SerdeEncoder { format, ..SerdeEncoder::default() }
    }

    /// An encoder for these columns: names for tuples, and a check for structs and maps, whose fields must be among
    /// them (in CSV: in this order).
    pub fn with_columns(format: Format, names: impl IntoIterator<Item = impl Into<ColumnName>>) -> Self {
        let columns = Columns::with_names(names.into_iter().map(Into::into));
        SerdeEncoder { format, columns, ..SerdeEncoder::default() }
    }

    /// The same encoder for rows that carry their epoch, in a last field.
    pub(crate) fn with_epoch(self) -> Self {
        SerdeEncoder { epoch: Some((EPOCH, Extra::Long(0))), ..self }
    }

    /// Appends the record as one row, with the fields of `tail` behind its own.
    #[inline]
    pub(crate) fn encode_with<T: Serialize + ?Sized>(
        &mut self,
        record: &T,
        tail: Tail<'_>,
        out: &mut Vec<u8>,
    ) -> Result<u64, EncodeError> {
        let start = out.len();
        let SerdeEncoder { format, columns, scratch, long, epoch } = self;
        let epoch = epoch.as_ref();
        let written = record.serialize(Row { format: *format, out, scratch, columns, long, tail, epoch });
        written.map(|()| 1).inspect_err(|_| {
            out.truncate(start);
            self.columns.forget_failed_first_row();
        })
    }
}

impl<T: Serialize + ?Sized> Encoder<T> for SerdeEncoder {
    #[inline]
    fn encode(&mut self, record: &T, out: &mut Vec<u8>) -> Result<u64, EncodeError> {
        self.encode_with(record, &[], out)
    }

    fn in_epoch(&mut self, epoch: u64) -> Result<(), EncodeError> {
        if let Some((_, value)) = &mut self.epoch {
            *value = Extra::epoch(epoch)?;
        }
        Ok(())
    }

    fn columns(&self) -> Option<&[ColumnName]> {
        self.columns.names()
    }

    fn long_values(&self) -> LongValues {
        self.long
    }
}
