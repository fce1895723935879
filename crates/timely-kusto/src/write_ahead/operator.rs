//! The operators put together, and what users call.

use std::rc::Rc;

use serde::Serialize;
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Map;
use timely::order::TotalOrder;
use timely::progress::Timestamp;

use super::handle::WriteAheadHandle;
use super::log::{self, PositionAt};
use super::sink::WriteAheadSink;
use super::{commit, stage, trim};
use crate::encode::{ColumnName, Encoder, RawEncoder, SerdeEncoder};
use crate::rows::EncodedRows;
use crate::sink_v2::Clock;

/// Streams without data; their frontiers are the news: committed ≤ staged ≤ durable ≤ input, at all times.
#[allow(missing_debug_implementations, reason = "streams have none")]
pub struct Clocks<'scope, T: Timestamp> {
    /// Rows before it are sealed in epoch files, on all workers of all processes. Sources that cannot replay may be
    /// acknowledged behind this one, and no others, after
    /// [`sources_replay(false)`](crate::WriteAheadOptions::sources_replay).
    pub durable: Clock<'scope, T>,
    /// Rows before it are in the staging table, as far as the service's statuses say.
    pub staged: Clock<'scope, T>,
    /// Rows before it are in the table. Acknowledge sources behind this one.
    pub committed: Clock<'scope, T>,
}

/// Writes records to Kusto exactly once.
pub trait RowsWrittenAhead<'scope, T: Timestamp>: Sized {
    /// Writes each record as a row; rows of one epoch become visible at once. Here the time is the epoch.
    ///
    /// `positions` says, at the time after which it holds, where to go on in a source partition; the positions of the
    /// last commit are what [`resume`](WriteAheadSink::resume) returns at the next start.
    fn write_ahead_sink(
        self,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, T, PositionAt>,
    ) -> (Clocks<'scope, T>, WriteAheadHandle)
    where
        T: Into<u64>,
    {
        self.write_ahead_sink_by(sink, positions, |time| time.clone().into())
    }

    /// The same for any time: `epochs` says in which epoch a time is, and must be monotone. An epoch costs a file, a sync
    /// and a share of a commit: make it a second rather than a millisecond.
    fn write_ahead_sink_by(
        self,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, T, PositionAt>,
        epochs: impl Fn(&T) -> u64 + 'static,
    ) -> (Clocks<'scope, T>, WriteAheadHandle);
}

impl<'scope, T, D> RowsWrittenAhead<'scope, T> for StreamVec<'scope, T, D>
where
    T: Timestamp + TotalOrder,
    D: Serialize + Clone + 'static,
{
    fn write_ahead_sink_by(
        self,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, T, PositionAt>,
        epochs: impl Fn(&T) -> u64 + 'static,
    ) -> (Clocks<'scope, T>, WriteAheadHandle) {
        let encoder = SerdeEncoder::new(sink.session.process.courier.options.format());
        sink_rows(self, sink, positions, encoder, Rc::new(epochs))
    }
}

/// Writes rows that are encoded already, exactly once.
pub trait EncodedRowsWrittenAhead<'scope, T: Timestamp> {
    /// Writes rows that stand in the sink's format already; `columns` names their fields in order, or is empty for the
    /// order of the table's columns. Otherwise as [`RowsWrittenAhead::write_ahead_sink_by`].
    fn write_ahead_sink_encoded(
        self,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, T, PositionAt>,
        columns: Vec<ColumnName>,
        epochs: impl Fn(&T) -> u64 + 'static,
    ) -> (Clocks<'scope, T>, WriteAheadHandle);
}

impl<'scope, T> EncodedRowsWrittenAhead<'scope, T> for StreamVec<'scope, T, EncodedRows>
where
    T: Timestamp + TotalOrder,
{
    fn write_ahead_sink_encoded(
        self,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, T, PositionAt>,
        columns: Vec<ColumnName>,
        epochs: impl Fn(&T) -> u64 + 'static,
    ) -> (Clocks<'scope, T>, WriteAheadHandle) {
        let encoder = if columns.is_empty() { RawEncoder::new() } else { RawEncoder::with_columns(columns) };
        sink_rows(self, sink, positions, encoder, Rc::new(epochs))
    }
}

/// Builds the operators around `encoder`.
fn sink_rows<'scope, T, D, E>(
    rows: StreamVec<'scope, T, D>,
    sink: &WriteAheadSink,
    positions: StreamVec<'scope, T, PositionAt>,
    encoder: E,
    epochs: Rc<dyn Fn(&T) -> u64>,
) -> (Clocks<'scope, T>, WriteAheadHandle)
where
    T: Timestamp + TotalOrder,
    D: Clone + 'static,
    E: Encoder<D> + 'static,
{
    let session = &sink.session;
    let dataflow = rows.scope().addr()[0];
    let (files, scribe) = log::log(rows, positions, session, encoder, Rc::clone(&epochs));
    let durable = files.clone().flat_map(|_| None::<()>);
    let descriptions = stage::stage(files, session);
    let staged = descriptions.clone().flat_map(|_| None::<()>);
    let committed = commit::commit(descriptions, session, Rc::clone(&epochs));
    trim::trim(committed.clone(), session, epochs, scribe);
    let handle = WriteAheadHandle { process: std::sync::Arc::clone(&session.process), dataflow };
    (Clocks { durable, staged, committed }, handle)
}
