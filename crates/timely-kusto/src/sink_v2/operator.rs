//! The timely operator: a [`Writer`] between an input and a clock.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::order::TotalOrder;
use timely::progress::Timestamp;

use super::SinkV2;
use super::handle::SinkHandle;
use super::writer::Writer;
use crate::encode::ColumnName;
use crate::encode::{Encoder, RawEncoder, SerdeEncoder};
use crate::rows::EncodedRows;

/// A stream without data; its frontier is the news.
pub type Clock<'scope, T> = StreamVec<'scope, T, ()>;

/// Writes records to Kusto.
pub trait RowsToKusto<'scope, T: Timestamp> {
    /// Writes each record as a row of the sink's table. Returns a clock, whose frontier passes a time once every row
    /// up to it is delivered, and a handle.
    ///
    /// A struct's fields find their columns by name; a tuple's by position.
    ///
    /// ```no_run
    /// # use kusto_client::ConnectionOptions; use timely_kusto::{SinkV2, RowsToKusto, WriteOptions};
    /// # use timely::dataflow::operators::vec::ToStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let connection = ConnectionOptions::builder().cluster_url("http://127.0.0.1:8080").no_auth().build()?;
    /// let write = WriteOptions::builder().database("Samples").table("Points").build()?;
    /// let sink = SinkV2::connect(&connection, &write)?;
    /// timely::execute_from_args(std::env::args(), move |worker| {
    ///     let handle = worker.dataflow::<u64, _, _>(|scope| {
    ///         let (_clock, handle) = vec![(1, "one"), (2, "two")].to_stream(scope).sink_v2(&sink);
    ///         handle
    ///     });
    ///     handle.drive(worker)
    /// })?;
    /// # Ok(()) }
    /// ```
    fn sink_v2(self, sink: &SinkV2) -> (Clock<'scope, T>, SinkHandle);
}

/// Writes rows that are encoded already.
pub trait EncodedRowsToKusto<'scope, T: Timestamp> {
    /// Writes rows that stand in the sink's format already; `columns` names their fields in order, or is empty for
    /// the order of the table's columns. Returns what [`RowsToKusto::sink_v2`] returns.
    ///
    /// The rows of one [`EncodedRows`] stay in one blob: `batch_rows` closes a chunk behind the batch that reaches it.
    fn sink_v2_encoded(self, sink: &SinkV2, columns: Vec<ColumnName>) -> (Clock<'scope, T>, SinkHandle);
}

impl<'scope, T, D> RowsToKusto<'scope, T> for StreamVec<'scope, T, D>
where
    T: Timestamp + TotalOrder,
    D: Serialize + Clone + 'static,
{
    fn sink_v2(self, sink: &SinkV2) -> (Clock<'scope, T>, SinkHandle) {
        let encoder = SerdeEncoder::new(sink.options().format());
        sink_rows(self, sink, encoder)
    }
}

impl<'scope, T> EncodedRowsToKusto<'scope, T> for StreamVec<'scope, T, EncodedRows>
where
    T: Timestamp + TotalOrder,
{
    fn sink_v2_encoded(self, sink: &SinkV2, columns: Vec<ColumnName>) -> (Clock<'scope, T>, SinkHandle) {
        let encoder = if columns.is_empty() { RawEncoder::new() } else { RawEncoder::with_columns(columns) };
        sink_rows(self, sink, encoder)
    }
}

/// Builds the operator around `encoder`.
pub(super) fn sink_rows<'scope, T, D, E>(
    rows: StreamVec<'scope, T, D>,
    sink: &SinkV2,
    encoder: E,
) -> (Clock<'scope, T>, SinkHandle)
where
    T: Timestamp + TotalOrder,
    D: Clone + 'static,
    E: Encoder<D> + 'static,
{
    let scope = rows.scope();
    let mut builder = OperatorBuilder::new("SinkV2".to_owned(), scope);
    let address = builder.operator_info().address.to_vec();
    let dataflow = address[0];
    let operator = scope.worker().sync_activator_for(address);
    let mut input = builder.new_input(rows, Pipeline);
    let (_output, clock) = builder.new_output::<Vec<()>>();

    let shared = Arc::clone(&sink.shared);
    shared.failure.register(operator.clone());
    let flush = Arc::new(AtomicBool::new(false));
    let handle = SinkHandle {
        shared: Arc::clone(&shared),
        dataflow,
        operator: operator.clone(),
        flush: Arc::clone(&flush),
    };
    let wake = Arc::new(move || {
        let _ = operator.activate(); // a worker that is gone waits for nothing
    });
    let mut writer = Writer::new(shared, encoder, flush, wake);

    builder.build_reschedule(move |initial| {
        drop(initial); // the clock is held by leases alone
        move |frontiers| {
            input.for_each_time(|time, containers| {
                for container in containers {
                    writer.take(time.time(), || time.retain(0), container.drain(..));
                }
            });
            writer.turn(frontiers[0].is_empty())
        }
    });
    (clock, handle)
}
