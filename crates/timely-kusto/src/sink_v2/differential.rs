//! Differential collections that only ever grow.

use differential_dataflow::lattice::Lattice;
use differential_dataflow::{ExchangeData, Hashable, VecCollection};
use serde::Serialize;
use timely::order::TotalOrder;
use timely::progress::Timestamp;

use super::SinkV2;
use super::handle::SinkHandle;
use super::operator::{Clock, sink_rows};
use crate::encode::{ColumnName, EncodeError, Encoder, LongValues, SerdeEncoder};

/// Writes an insert-only collection to Kusto.
pub trait InsertOnlyToKusto<'scope, T: Timestamp> {
    /// Writes a collection whose consolidated changes are insertions: a difference of `n > 0` is `n` rows. A
    /// retraction stops the sink with an error that shows the record, since a table cannot take a row back.
    ///
    /// Changes are consolidated per time, so what is inserted and retracted at the same time leaves no trace.
    fn sink_v2_insert_only(self, sink: &SinkV2) -> (Clock<'scope, T>, SinkHandle);
}

impl<'scope, T, D> InsertOnlyToKusto<'scope, T> for VecCollection<'scope, T, D, isize>
where
    T: Timestamp + TotalOrder + Lattice,
    D: ExchangeData + Hashable + Serialize,
{
    fn sink_v2_insert_only(self, sink: &SinkV2) -> (Clock<'scope, T>, SinkHandle) {
        let encoder = InsertOnly(SerdeEncoder::new(sink.options().format()));
        sink_rows(self.consolidate().inner, sink, encoder)
    }
}

/// Writes a change as as many rows as its difference says.
#[derive(Debug)]
struct InsertOnly<E>(E);

impl<D, T, E> Encoder<(D, T, isize)> for InsertOnly<E>
where
    D: std::fmt::Debug,
    E: Encoder<D>,
{
    fn encode(&mut self, (record, _, _): &(D, T, isize), out: &mut Vec<u8>) -> Result<u64, EncodeError> {
        self.0.encode(record, out)
    }

    fn copies(&self, (record, _, difference): &(D, T, isize)) -> Result<u64, EncodeError> {
        insertions(record, *difference)
    }

    fn long_values(&self) -> LongValues {
        self.0.long_values()
    }

    fn columns(&self) -> Option<&[ColumnName]> {
        self.0.columns()
    }
}

/// As how many rows a record with this difference is written.
///
/// # Errors
/// When it is retracted.
pub(crate) fn insertions(record: &impl std::fmt::Debug, difference: isize) -> Result<u64, EncodeError> {
    u64::try_from(difference).map_err(|_| retraction(record, difference))
}

fn retraction(record: &impl std::fmt::Debug, difference: isize) -> EncodeError {
    let mut shown = format!("{record:?}");
    if let Some((cut, _)) = shown.char_indices().nth(SHOWN) {
        shown.truncate(cut);
        shown.push('…');
    }
    EncodeError::new(
        format!(
            "the collection retracts it (difference {difference}), and a row cannot be taken back: {shown}"
        ),
        "sink collections that only grow, or write the changes themselves with their differences",
    )
}

/// Characters of a record shown in an error.
const SHOWN: usize = 500;
