//! From records to rows: the sink's hot loop.
//!
//! ```text
//! T: Serialize ──► SerdeEncoder ──► row ──► field ──► csv (text by the service's rules)
//!                       │                     └─────► dynamic (JSON: sequences, maps and structs within a row)
//!                       └── columns: a struct's field names ──► inline ingestion mapping
//! EncodedRows ───► RawEncoder ────► the same bytes
//! ```
//!
//! 1. A row ends with `\n`, and a buffer holds whole rows only: an error leaves it as it was.
//! 2. All rows of an encoder have the same fields in the same order (JSON may leave fields out); a row with other
//!    fields is an error that names the field, never a shifted or a dropped value.
//! 3. Nothing is allocated per row once buffers have grown.
//! 4. A value of 1 MB, which the service would cut or drop silently, is counted ([`Encoder::long_values`]); a row of
//!    64 MB, for which the service refuses the whole blob, is an error.

mod columns;
pub mod csv;
mod dynamic;
mod error;
mod field;
mod raw;
mod row;
mod serde_encoder;
pub(crate) mod tail;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use error::EncodeError;
pub use raw::RawEncoder;
pub use serde_encoder::SerdeEncoder;

/// The name of a column.
pub type ColumnName = Cow<'static, str>;

/// The longest value that the service keeps whole, in bytes: a longer string is cut and a longer dynamic becomes null,
/// without an error, unless the column's encoding policy says more (`MaxValueSize`, up to 32 MiB;
/// `data-explorer/kusto/management/alter-encoding-policy.md`).
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// The longest row in bytes: for a longer one the service refuses the whole blob (`Stream_InputStreamTooLarge`).
pub const MAX_ROW_BYTES: usize = 64_000_000;

/// Turns records into rows; one instance per worker and sink.
pub trait Encoder<D: ?Sized> {
    /// Appends the record's rows to `out`, each ended by `\n`, and returns how many there are.
    ///
    /// # Errors
    /// When the record makes no row; `out` is then as it was.
    fn encode(&mut self, record: &D, out: &mut Vec<u8>) -> Result<u64, EncodeError>;

    /// How often the record is to be encoded, each time as rows of its own that may go into another blob.
    ///
    /// # Errors
    /// When the record cannot be written at all.
    fn copies(&self, record: &D) -> Result<u64, EncodeError> {
        let _ = record;
        Ok(1)
    }

    /// Tells that the records to come are of this epoch, for encoders whose rows carry it.
    ///
    /// # Errors
    /// When the epoch does not fit a `long`.
    fn in_epoch(&mut self, epoch: u64) -> Result<(), EncodeError> {
        let _ = epoch;
        Ok(())
    }

    /// The columns in the order of the fields, once they are known: a struct's field names after its first row.
    /// They do not change afterwards.
    fn columns(&self) -> Option<&[ColumnName]>;

    /// Values above [`MAX_VALUE_BYTES`] that were seen so far.
    fn long_values(&self) -> LongValues {
        LongValues::default()
    }
}

/// Values that the service would cut or drop without an error: a sink warns when the count has grown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongValues {
    /// How many there were.
    pub count: u64,
    /// The bytes of the longest.
    pub longest: usize,
    /// The position of the last one's field in its row.
    pub field: usize,
}

impl LongValues {
    #[inline]
    fn note(&mut self, bytes: usize, field: usize) {
        if bytes > MAX_VALUE_BYTES {
            *self = LongValues { count: self.count + 1, longest: self.longest.max(bytes), field };
        }
    }
}
