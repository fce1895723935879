//! The sink as the runner sees it: SinkV2 today; a sink that keeps positions by itself has its place here.

use timely::dataflow::StreamVec;
use timely::scheduling::activate::SyncActivator;
use timely_kusto::{RetryCause, SinkStats};

use crate::error::Error;
use crate::source::Position;
use crate::state::Positions;

/// Takes rows of type `R`.
pub trait PipelineSink<R>: Send + Sync + 'static {
    /// Puts the sink behind `rows` in the dataflow of one worker. `positions` says at which position a partition
    /// stood at the end of an epoch, at that epoch as its time; a sink that keeps positions by itself takes them from
    /// there.
    ///
    /// Returns the clock, whose frontier passes an epoch when every row up to it is delivered, and the gauge.
    fn attach<'scope>(
        &self,
        rows: StreamVec<'scope, u64, R>,
        positions: StreamVec<'scope, u64, (String, Position)>,
    ) -> (StreamVec<'scope, u64, ()>, Box<dyn Gauge>);

    /// The positions to go on at, if the sink keeps them; the runner then keeps none.
    ///
    /// # Errors
    /// When they cannot be read.
    fn resume(&self) -> Result<Option<Positions>, Error> {
        Ok(None)
    }

    /// What the sink has done so far in this process.
    fn stats(&self) -> SinkStats;

    /// What it tried again so far in this process, by cause.
    fn retry_causes(&self) -> Vec<RetryCause> {
        Vec::new()
    }
}

/// How the sink of one worker is doing.
pub trait Gauge {
    /// Why it stopped for good, if it did.
    fn error(&self) -> Option<Error>;

    /// Whether it should be given no more rows for now.
    fn is_full(&self) -> bool;

    /// Activates an operator whenever the sink stops being full, and when it fails.
    fn wake_when_room(&self, operator: SyncActivator);

    /// Bytes of rows that it holds in this process.
    fn held_bytes(&self) -> usize;
}
