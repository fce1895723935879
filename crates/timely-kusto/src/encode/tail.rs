//! Fields that the sink adds to every row: times, differences, epochs.

use serde::{Serialize, Serializer};

use super::EncodeError;

/// The column with the epoch of each row, where a sink writes it.
pub(crate) const EPOCH: &str = "_kt_epoch";

/// A field behind those of the record.
pub(crate) type Added = (&'static str, Extra);

/// The fields behind those of the record, in order.
pub(crate) type Tail<'a> = &'a [Added];

/// The value of such a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    Long(i64),
    Bool(bool),
}

impl Extra {
    /// An epoch, which must fit a `long`.
    pub(crate) fn epoch(epoch: u64) -> Result<Self, EncodeError> {
        i64::try_from(epoch).map(Extra::Long).map_err(|_| {
            let what = format!("its epoch is {epoch}, and a column of type long ends at {}", i64::MAX);
            EncodeError::new(what, "map times to smaller epochs")
        })
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Extra::Long(value) => serializer.serialize_i64(*value),
            Extra::Bool(value) => serializer.serialize_bool(*value),
        }
    }
}
