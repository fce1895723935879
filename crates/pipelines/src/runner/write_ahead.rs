//! The write-ahead sink as a pipeline's sink: it keeps positions by itself, in what it commits.

use std::sync::Arc;

use serde::Serialize;
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Map;
use timely::scheduling::activate::SyncActivator;
use timely::worker::Worker;
use timely_kusto::{
    ColumnName, EncodedRows, EncodedRowsWrittenAhead, PositionAt, RetryCause, RowsWrittenAhead, SinkError,
    SinkStats, WriteAhead, WriteAheadHandle, WriteAheadSink,
};

use super::monitor::SinkReading;
use super::sink::{Gauge, PipelineSink};
use crate::error::{Error, ErrorKind};
use crate::source::Position;
use crate::state::Positions;

/// The write-ahead sink for rows that are encoded already, whose fields are those columns in that order.
#[derive(Clone, Debug)]
pub struct EncodedWriteAhead {
    /// The sink.
    pub ahead: WriteAhead,
    /// Names of the columns, in the order of the fields.
    pub columns: Vec<ColumnName>,
}

impl PipelineSink<EncodedRows> for EncodedWriteAhead {
    type Session = WriteAheadSink;

    fn open(
        &self,
        worker: &mut Worker,
        go_on: &dyn Fn(Option<String>) -> bool,
    ) -> Result<Option<WriteAheadSink>, Error> {
        open(&self.ahead, worker, go_on)
    }

    fn attach<'scope>(
        &self,
        sink: &WriteAheadSink,
        rows: StreamVec<'scope, u64, EncodedRows>,
        positions: StreamVec<'scope, u64, (String, Position)>,
    ) -> (StreamVec<'scope, u64, ()>, Box<dyn Gauge>) {
        let (positions, columns) = (positions.map(as_bytes), self.columns.clone());
        let (clocks, handle) = rows.write_ahead_sink_encoded(sink, positions, columns, |epoch| *epoch);
        (clocks.committed, Box::new(handle))
    }

    fn resume(&self, sink: &WriteAheadSink) -> Option<Positions> {
        Some(resume(sink))
    }

    fn stats(&self) -> SinkStats {
        self.ahead.stats()
    }

    fn retry_causes(&self) -> Vec<RetryCause> {
        self.ahead.retry_causes()
    }

    fn reading(&self) -> SinkReading {
        reading(&self.ahead)
    }
}

impl<R: Serialize + Clone + 'static> PipelineSink<R> for WriteAhead {
    type Session = WriteAheadSink;

    fn open(
        &self,
        worker: &mut Worker,
        go_on: &dyn Fn(Option<String>) -> bool,
    ) -> Result<Option<WriteAheadSink>, Error> {
        open(self, worker, go_on)
    }

    fn attach<'scope>(
        &self,
        sink: &WriteAheadSink,
        rows: StreamVec<'scope, u64, R>,
        positions: StreamVec<'scope, u64, (String, Position)>,
    ) -> (StreamVec<'scope, u64, ()>, Box<dyn Gauge>) {
        let (clocks, handle) = rows.write_ahead_sink(sink, positions.map(as_bytes));
        (clocks.committed, Box::new(handle))
    }

    fn resume(&self, sink: &WriteAheadSink) -> Option<Positions> {
        Some(resume(sink))
    }

    fn stats(&self) -> SinkStats {
        WriteAhead::stats(self)
    }

    fn retry_causes(&self) -> Vec<RetryCause> {
        WriteAhead::retry_causes(self)
    }

    fn reading(&self) -> SinkReading {
        reading(self)
    }
}

fn reading(ahead: &WriteAhead) -> SinkReading {
    let state = ahead.state();
    let pair = |(used, most): (usize, usize)| (used as u64, most as u64);
    SinkReading {
        memory: pair(state.limits.memory),
        uploads: pair(state.limits.uploads),
        long_values: ahead.stats().long_values,
        stalled_for: state.limits.stalled_for,
        ahead: Some(state),
    }
}

fn open(
    ahead: &WriteAhead,
    worker: &mut Worker,
    go_on: &dyn Fn(Option<String>) -> bool,
) -> Result<Option<WriteAheadSink>, Error> {
    WriteAheadSink::open_while(worker, ahead, || go_on(ahead.waiting_for())).map_err(error_of)
}

fn as_bytes((partition, position): (String, Position)) -> PositionAt {
    (partition, position.as_bytes().to_vec())
}

fn resume(sink: &WriteAheadSink) -> Positions {
    let resume = sink.resume();
    let position = |(name, bytes)| (name, Position::from_bytes(bytes));
    Positions { epoch: resume.first_epoch, partitions: resume.positions.into_iter().map(position).collect() }
}

/// An error of the sink, of the kind that leads to the same exit code.
pub(super) fn error_of(error: Arc<SinkError>) -> Error {
    let kind = match (&*error, error.exit_code()) {
        (SinkError::Encode { .. }, _) => ErrorKind::Record,
        (_, 2) => ErrorKind::Options,
        (_, 3) => ErrorKind::Fenced,
        (_, 4) => ErrorKind::Undecided,
        (_, 143) => ErrorKind::Unfinished,
        _ => ErrorKind::Sink,
    };
    Error::new(kind, error.to_string()).with_source(error)
}

impl Gauge for WriteAheadHandle {
    fn error(&self) -> Option<Error> {
        WriteAheadHandle::error(self).map(error_of)
    }

    fn is_full(&self) -> bool {
        WriteAheadHandle::is_full(self)
    }

    fn wake_when_room(&self, operator: SyncActivator) {
        WriteAheadHandle::wake_when_room(self, operator);
    }

    fn held_bytes(&self) -> usize {
        WriteAheadHandle::held_bytes(self)
    }

    fn give_up(&self) -> Option<Error> {
        // Said by the runner to all processes, and not by the sink: it is a stop and no failure.
        let unfinished = self.unfinished().to_string();
        self.error().is_none().then(|| Error::new(ErrorKind::Unfinished, unfinished))
    }

    fn waiting_for(&self) -> Option<String> {
        let paused = || self.limits().paused_for.map(str::to_owned);
        WriteAheadHandle::waiting_for(self).or_else(paused)
    }
}
