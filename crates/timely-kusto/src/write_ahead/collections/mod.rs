//! Differential collections in an append-only table, exactly once.
//!
//! ```text
//! changes (record, time, diff) ─► fold ─► rows of a whole epoch ─► LOG ─► STAGE ─► COMMIT     (operator.rs)
//!                                  │ exchanged by record or key
//!                                  └ consolidated per epoch; upsert: checked per key and time
//! ```
//! | mode | columns added | who reads it | for |
//! |---|---|---|---|
//! | change stream | `_kt_time` long, `_kt_diff` long | `summarize sum(_kt_diff) by ..` | any collection |
//! | upsert | `_kt_time` long, `_kt_deleted` bool | `summarize arg_max(_kt_time, *) by key` | one value per key |
//! | insert-only | none | the table itself | collections that only grow |
//!
//! What it promises, beyond what the sink does:
//! 1. The rows of an epoch are its net changes: what was inserted and retracted within it leaves no trace. `_kt_time` is the
//!    epoch, since nothing finer becomes visible: it is the time where times are epochs, as by default in a pipeline.
//! 2. In memory are the changes of epochs that are not complete, consolidated whenever they have doubled. By an estimate
//!    (`weight.rs`) they count against [`memory`](crate::WriteOptions::memory), and as open epochs against
//!    [`open_epochs`](super::WriteAheadOptions::open_epochs). In upsert a hash of the value of each key that is present (64 bits
//!    beside the key) is kept for the whole run, and counts against nothing.
//! 3. A collection that does not fit its mode (a retraction where rows are only inserted, two values of one key) stops the sink:
//!    the error on the handle shows the record or the key, the clocks stay, and nothing of the epoch is written.
//! 4. Epochs below the resume bound that come again on purpose ([`drop_replayed`](super::WriteAheadOptions::drop_replayed)) make
//!    no rows; in upsert they rebuild what is known of the keys.

mod fold;
mod reader;
mod rows;
mod upsert;
mod weight;

use std::rc::Rc;

use differential_dataflow::lattice::Lattice;
use differential_dataflow::{ExchangeData, Hashable, VecCollection};
use serde::Serialize;
use timely::dataflow::StreamVec;
use timely::order::TotalOrder;
use timely::progress::Timestamp;

use super::WriteAheadError;
use super::handle::WriteAheadHandle;
use super::log::PositionAt;
use super::operator::{Clocks, sink_rows};
use super::sink::{Session, WriteAheadSink};
use crate::encode::tail::EPOCH;

pub use reader::{Reader, ReaderMade};

pub(super) use reader::Definition;

/// The epoch of a row.
pub(super) const TIME: &str = "_kt_time";
/// How many of the record came, or went.
pub(super) const DIFF: &str = "_kt_diff";
/// Whether the key is gone.
pub(super) const DELETED: &str = "_kt_deleted";
/// How many of the record there are, for readers.
pub(super) const COUNT: &str = "_kt_count";

/// Columns that a mode adds, and their types.
pub(super) const OF_CHANGES: [(&str, &str); 2] = [(TIME, "long"), (DIFF, "long")];
/// See [`OF_CHANGES`].
pub(super) const OF_UPSERTS: [(&str, &str); 2] = [(TIME, "long"), (DELETED, "bool")];

/// Writes a differential collection into an append-only table, exactly once.
///
/// `positions` and `epochs` are those of [`write_ahead_sink_by`](super::RowsWrittenAhead::write_ahead_sink_by). A collection that
/// is computed with state (`reduce`, `join`, `count`) needs that state again after a restart: feed the input from its beginning, at
/// the times that it had, to a sink opened with [`drop_replayed`](super::WriteAheadOptions::drop_replayed); what is in the
/// table already is not written again.
pub trait CollectionWrittenAhead<'scope, T: Timestamp, D>: Sized {
    /// Writes the changes: the fields of the record, then `_kt_time`, the epoch, and `_kt_diff`, by how many there are more (or, if
    /// negative, fewer) since the epoch before. For any collection. [`Reader::change_stream`] is what shows the collection.
    fn write_ahead_changes(
        self,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, T, PositionAt>,
        epochs: impl Fn(&T) -> u64 + 'static,
    ) -> (Clocks<'scope, T>, WriteAheadHandle);

    /// Writes the last value of each key that changed within an epoch: the fields of the record, then `_kt_time`, the epoch, and
    /// `_kt_deleted`; of a key that is gone the record that it had. [`Reader::upsert`] is what shows the collection.
    ///
    /// At each time a key has one record or none. This is checked; what was there before the run's first change of a key is
    /// unknown, unless the input is replayed.
    fn write_ahead_upserts<K>(
        self,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, T, PositionAt>,
        epochs: impl Fn(&T) -> u64 + 'static,
        key: impl Fn(&D) -> K + 'static,
    ) -> (Clocks<'scope, T>, WriteAheadHandle)
    where
        K: ExchangeData + Hashable + std::hash::Hash;

    /// Writes each insertion as a row without more columns: a difference of n > 0 is n rows. A record of which an epoch has fewer
    /// than the one before stops the sink.
    fn write_ahead_insert_only(
        self,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, T, PositionAt>,
        epochs: impl Fn(&T) -> u64 + 'static,
    ) -> (Clocks<'scope, T>, WriteAheadHandle);
}

impl<'scope, T, D> CollectionWrittenAhead<'scope, T, D> for VecCollection<'scope, T, D, isize>
where
    T: Timestamp + TotalOrder + Lattice,
    D: ExchangeData + Hashable + std::hash::Hash + Serialize,
{
    fn write_ahead_changes(
        self,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, T, PositionAt>,
        epochs: impl Fn(&T) -> u64 + 'static,
    ) -> (Clocks<'scope, T>, WriteAheadHandle) {
        let epochs: Rc<dyn Fn(&T) -> u64> = Rc::new(epochs);
        let tail_is_last = columns_are_there(&sink.session, &OF_CHANGES);
        let encoder = rows::MarkedRows::new(&sink.session, tail_is_last);
        let changes = fold::net_changes(self.inner, &sink.session, Rc::clone(&epochs));
        sink_rows(changes, sink, positions, encoder, epochs)
    }

    fn write_ahead_upserts<K>(
        self,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, T, PositionAt>,
        epochs: impl Fn(&T) -> u64 + 'static,
        key: impl Fn(&D) -> K + 'static,
    ) -> (Clocks<'scope, T>, WriteAheadHandle)
    where
        K: ExchangeData + Hashable + std::hash::Hash,
    {
        let epochs: Rc<dyn Fn(&T) -> u64> = Rc::new(epochs);
        let tail_is_last = columns_are_there(&sink.session, &OF_UPSERTS);
        let encoder = rows::MarkedRows::new(&sink.session, tail_is_last);
        let upserts = fold::last_values(self.inner, &sink.session, Rc::clone(&epochs), key);
        sink_rows(upserts, sink, positions, encoder, epochs)
    }

    fn write_ahead_insert_only(
        self,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, T, PositionAt>,
        epochs: impl Fn(&T) -> u64 + 'static,
    ) -> (Clocks<'scope, T>, WriteAheadHandle) {
        let epochs: Rc<dyn Fn(&T) -> u64> = Rc::new(epochs);
        let encoder = rows::InsertedRows::new(&sink.session);
        let changes = fold::net_changes(self.inner, &sink.session, Rc::clone(&epochs));
        sink_rows(changes, sink, positions, encoder, epochs)
    }
}

/// Stops the sink unless the target has these columns; whether they are its last ones, in this order.
fn columns_are_there(session: &Session, wanted: &[(&str, &str)]) -> bool {
    let columns = &session.opened.columns;
    match lacking(&session.process.courier.table(), columns, wanted) {
        None => {
            let epoch = session.process.options.has_epoch_column().then_some(EPOCH);
            let added: Vec<&str> = wanted.iter().map(|(name, _)| *name).chain(epoch).collect();
            let last = columns.len().saturating_sub(added.len());
            columns[last..].iter().map(|(name, _)| name.as_str()).eq(added)
        }
        Some(error) => {
            session.process.trouble(error, false);
            false
        }
    }
}

/// The error of a table that lacks one of these columns, or has it with another type.
pub(super) fn lacking(
    table: &str,
    columns: &[(String, String)],
    wanted: &[(&str, &str)],
) -> Option<WriteAheadError> {
    let has = |name: &str| columns.iter().find(|(column, _)| column == name).map(|(_, kind)| kind.as_str());
    let (name, kind) = wanted.iter().find(|(name, kind)| has(name) != Some(kind))?;
    let missing: Vec<String> = wanted
        .iter()
        .filter(|(name, _)| has(name).is_none())
        .map(|(name, kind)| format!("{name}: {kind}"))
        .collect();
    let advice = match has(name) {
        Some(_) => "a column's type cannot be changed in place: use another table".to_owned(),
        None => format!(
            "add what is missing with `.alter-merge table {} ({})`",
            kusto_client::quote_name(table.rsplit('.').next().unwrap_or(table)),
            missing.join(", ")
        ),
    };
    let found = has(name).map_or_else(|| "does not have it".to_owned(), |kind| format!("has it as {kind}"));
    Some(WriteAheadError::Columns {
        table: table.to_owned(),
        column: (*name).to_owned(),
        kind: (*kind).to_owned(),
        found,
        advice,
    })
}
