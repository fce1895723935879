//! How changes become rows: the record's fields, then those of the mode.

use serde::Serialize;

use super::super::sink::Session;
use super::fold::Net;
use super::{DELETED, DIFF, TIME};
use crate::encode::tail::{Extra, Tail};
use crate::encode::{ColumnName, EncodeError, Encoder, LongValues, SerdeEncoder};

/// Records with their epoch and a mark, [`Net`] or [`Last`](super::fold::Last): rows whose last fields are the sink's.
pub(super) struct MarkedRows {
    rows: SerdeEncoder,
    /// Whether rows without names fit the target, whose last columns then are those of the sink.
    tail_is_last: bool,
    checked: bool,
}

impl MarkedRows {
    pub(super) fn new(session: &Session, tail_is_last: bool) -> Self {
        let rows = session.serde_encoder();
        MarkedRows { rows, tail_is_last, checked: false }
    }

    fn encode_with<D: Serialize>(
        &mut self,
        record: &D,
        tail: Tail<'_>,
        out: &mut Vec<u8>,
    ) -> Result<u64, EncodeError> {
        let start = out.len();
        let written = self.rows.encode_with(record, tail, out)?;
        if !self.checked {
            self.check::<D>(tail).inspect_err(|_| out.truncate(start))?;
            self.checked = true;
        }
        Ok(written)
    }

    /// What is found out by the first row.
    fn check<D: Serialize>(&self, tail: Tail<'_>) -> Result<(), EncodeError> {
        match Encoder::<D>::columns(&self.rows) {
            None if !self.tail_is_last => {
                let names: Vec<&str> = tail.iter().map(|(name, _)| *name).collect();
                let why = format!(
                    "its fields have no names, so that columns go by their order, and {}, which the sink adds, are not the \
                     target's last ones",
                    names.join(" and ")
                );
                Err(EncodeError::new(why, "use a struct, or put these columns at the end of the table"))
            }
            Some(names) => {
                let twice = |(name, _): &&(&str, Extra)| names.iter().filter(|it| it == name).count() > 1;
                tail.iter().find(twice).map_or(Ok(()), |(name, _)| {
                    Err(EncodeError::new("the sink writes a field of that name itself", "rename it")
                        .in_field(name))
                })
            }
            None => Ok(()),
        }
    }
}

/// What becomes the last field of a row.
pub(super) trait Mark {
    /// Its column.
    const COLUMN: &'static str;

    fn extra(&self) -> Extra;
}

/// Of net changes.
impl Mark for isize {
    const COLUMN: &'static str = DIFF;

    fn extra(&self) -> Extra {
        Extra::Long(*self as i64)
    }
}

/// Of last records: whether the key is gone.
impl Mark for bool {
    const COLUMN: &'static str = DELETED;

    fn extra(&self) -> Extra {
        Extra::Bool(*self)
    }
}

impl<D: Serialize, M: Mark> Encoder<(D, u64, M)> for MarkedRows {
    fn encode(&mut self, (record, epoch, mark): &(D, u64, M), out: &mut Vec<u8>) -> Result<u64, EncodeError> {
        let tail = [(TIME, Extra::epoch(*epoch)?), (M::COLUMN, mark.extra())];
        self.encode_with(record, &tail, out)
    }

    fn in_epoch(&mut self, epoch: u64) -> Result<(), EncodeError> {
        Encoder::<D>::in_epoch(&mut self.rows, epoch)
    }

    fn columns(&self) -> Option<&[ColumnName]> {
        Encoder::<D>::columns(&self.rows)
    }

    fn long_values(&self) -> LongValues {
        Encoder::<D>::long_values(&self.rows)
    }
}

/// Net insertions, each as many rows as its difference says.
pub(super) struct InsertedRows(SerdeEncoder);

impl InsertedRows {
    pub(super) fn new(session: &Session) -> Self {
        InsertedRows(session.serde_encoder())
    }
}

impl<D: Serialize + std::fmt::Debug> Encoder<Net<D>> for InsertedRows {
    fn encode(&mut self, (record, _, _): &Net<D>, out: &mut Vec<u8>) -> Result<u64, EncodeError> {
        self.0.encode(record, out)
    }

    fn copies(&self, (record, _, net): &Net<D>) -> Result<u64, EncodeError> {
        crate::sink_v2::insertions(record, *net)
    }

    fn in_epoch(&mut self, epoch: u64) -> Result<(), EncodeError> {
        Encoder::<D>::in_epoch(&mut self.0, epoch)
    }

    fn columns(&self) -> Option<&[ColumnName]> {
        Encoder::<D>::columns(&self.0)
    }

    fn long_values(&self) -> LongValues {
        Encoder::<D>::long_values(&self.0)
    }
}
