//! How changes become rows: the record's fields, then those of the mode.

use serde::Serialize;

use super::super::sink::Session;
use super::fold::{Last, Net};
use super::{DELETED, DIFF, TIME};
use crate::encode::tail::{Extra, Tail};
use crate::encode::{ColumnName, EncodeError, Encoder, LongValues, SerdeEncoder};

/// Rows whose last fields are the sink's.
struct Extended {
    rows: SerdeEncoder,
    /// Whether rows without names fit the target, whose last columns then are those of the sink.
    tail_is_last: bool,
    checked: bool,
}

impl Extended {
    fn new(session: &Session, tail_is_last: bool) -> Self {
        let rows = session.serde_encoder();
        Extended { rows, tail_is_last, checked: false }
    }

    fn encode<D: Serialize>(
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

/// Net changes with their epoch and difference.
pub(super) struct ChangeRows(Extended);

impl ChangeRows {
    pub(super) fn new(session: &Session, tail_is_last: bool) -> Self {
        ChangeRows(Extended::new(session, tail_is_last))
    }
}

impl<D: Serialize> Encoder<Net<D>> for ChangeRows {
    fn encode(&mut self, (record, epoch, net): &Net<D>, out: &mut Vec<u8>) -> Result<u64, EncodeError> {
        let tail = [(TIME, Extra::epoch(*epoch)?), (DIFF, Extra::Long(*net as i64))];
        self.0.encode(record, &tail, out)
    }

    fn in_epoch(&mut self, epoch: u64) -> Result<(), EncodeError> {
        Encoder::<D>::in_epoch(&mut self.0.rows, epoch)
    }

    fn columns(&self) -> Option<&[ColumnName]> {
        Encoder::<D>::columns(&self.0.rows)
    }

    fn long_values(&self) -> LongValues {
        Encoder::<D>::long_values(&self.0.rows)
    }
}

/// Last records of keys, with their epoch and whether the key is gone.
pub(super) struct UpsertRows(Extended);

impl UpsertRows {
    pub(super) fn new(session: &Session, tail_is_last: bool) -> Self {
        UpsertRows(Extended::new(session, tail_is_last))
    }
}

impl<D: Serialize> Encoder<Last<D>> for UpsertRows {
    fn encode(&mut self, (record, epoch, gone): &Last<D>, out: &mut Vec<u8>) -> Result<u64, EncodeError> {
        let tail = [(TIME, Extra::epoch(*epoch)?), (DELETED, Extra::Bool(*gone))];
        self.0.encode(record, &tail, out)
    }

    fn in_epoch(&mut self, epoch: u64) -> Result<(), EncodeError> {
        Encoder::<D>::in_epoch(&mut self.0.rows, epoch)
    }

    fn columns(&self) -> Option<&[ColumnName]> {
        Encoder::<D>::columns(&self.0.rows)
    }

    fn long_values(&self) -> LongValues {
        Encoder::<D>::long_values(&self.0.rows)
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
