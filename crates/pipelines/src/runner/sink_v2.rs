//! SinkV2 as a pipeline's sink.

use serde::Serialize;
use timely::dataflow::StreamVec;
use timely::scheduling::activate::SyncActivator;
use timely::worker::Worker;
use timely_kusto::{
    ColumnName, EncodedRows, EncodedRowsToKusto, RetryCause, RowsToKusto, SinkError, SinkHandle, SinkStats,
    SinkV2,
};

use super::monitor::SinkReading;
use super::sink::{Gauge, PipelineSink};
use crate::error::{Error, ErrorKind};
use crate::source::Position;

/// SinkV2 for rows that are encoded already, whose fields are those columns in that order.
#[derive(Clone, Debug)]
pub struct EncodedSinkV2 {
    /// The sink.
    pub sink: SinkV2,
    /// Names of the columns, in the order of the fields.
    pub columns: Vec<ColumnName>,
}

impl PipelineSink<EncodedRows> for EncodedSinkV2 {
    type Session = ();

    fn open(&self, _: &mut Worker, _: &dyn Fn(Option<String>) -> bool) -> Result<Option<()>, Error> {
        Ok(Some(()))
    }

    fn attach<'scope>(
        &self,
        _session: &(),
        rows: StreamVec<'scope, u64, EncodedRows>,
        _positions: StreamVec<'scope, u64, (String, Position)>,
    ) -> (StreamVec<'scope, u64, ()>, Box<dyn Gauge>) {
        let (clock, handle) = rows.sink_v2_encoded(&self.sink, self.columns.clone());
        (clock, Box::new(handle))
    }

    fn stats(&self) -> SinkStats {
        self.sink.stats()
    }

    fn retry_causes(&self) -> Vec<RetryCause> {
        self.sink.retry_causes()
    }

    fn reading(&self) -> SinkReading {
        reading(&self.sink)
    }
}

impl<R: Serialize + Clone + 'static> PipelineSink<R> for SinkV2 {
    type Session = ();

    fn open(&self, _: &mut Worker, _: &dyn Fn(Option<String>) -> bool) -> Result<Option<()>, Error> {
        Ok(Some(()))
    }

    fn attach<'scope>(
        &self,
        _session: &(),
        rows: StreamVec<'scope, u64, R>,
        _positions: StreamVec<'scope, u64, (String, Position)>,
    ) -> (StreamVec<'scope, u64, ()>, Box<dyn Gauge>) {
        let (clock, handle) = rows.sink_v2(self);
        (clock, Box::new(handle))
    }

    fn stats(&self) -> SinkStats {
        SinkV2::stats(self)
    }

    fn retry_causes(&self) -> Vec<RetryCause> {
        SinkV2::retry_causes(self)
    }

    fn reading(&self) -> SinkReading {
        reading(self)
    }
}

fn reading(sink: &SinkV2) -> SinkReading {
    let (uploads, most) = sink.uploads();
    SinkReading {
        memory: (sink.memory_in_use() as u64, sink.options().memory() as u64),
        uploads: (uploads as u64, most as u64),
        long_values: sink.stats().long_values,
        stalled_for: sink.stalled_for(),
        ahead: None,
    }
}

impl Gauge for SinkHandle {
    fn error(&self) -> Option<Error> {
        let error = SinkHandle::error(self)?;
        let kind = match *error {
            SinkError::Options(_) => ErrorKind::Options,
            SinkError::Encode { .. } => ErrorKind::Record,
            _ => ErrorKind::Sink,
        };
        Some(Error::new(kind, error.to_string()).with_source(error))
    }

    fn is_full(&self) -> bool {
        SinkHandle::is_full(self)
    }

    fn wake_when_room(&self, operator: SyncActivator) {
        SinkHandle::wake_when_room(self, operator);
    }

    fn held_bytes(&self) -> usize {
        self.undelivered().bytes
    }
}
