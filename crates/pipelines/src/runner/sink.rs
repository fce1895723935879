//! The sink as the runner sees it: opened on every worker, then put behind the rows; it may keep positions by itself.

use timely::dataflow::StreamVec;
use timely::scheduling::activate::SyncActivator;
use timely::worker::Worker;
use timely_kusto::{RetryCause, SinkStats};

use super::monitor::SinkReading;
use crate::error::Error;
use crate::source::Position;
use crate::state::Positions;

/// Takes rows of type `R`.
pub trait PipelineSink<R>: Send + Sync + 'static {
    /// What a worker has of the sink once it is open.
    type Session: 'static;

    /// Opens the sink on a worker, before its dataflow is built. All workers of all processes do so, and come to the same
    /// end. `go_on` is asked now and then, and told what the sink waits for, if it is known; when it says no, the opening
    /// is given up and nothing is returned.
    ///
    /// # Errors
    /// When it cannot be opened; nothing is read then.
    fn open(
        &self,
        worker: &mut Worker,
        go_on: &dyn Fn(Option<String>) -> bool,
    ) -> Result<Option<Self::Session>, Error>;

    /// Puts the sink behind `rows` in the dataflow of one worker. `positions` says at which position a partition
    /// stood at the end of an epoch, at that epoch as its time; a sink that keeps positions by itself takes them from
    /// there.
    ///
    /// Returns the clock, whose frontier passes an epoch when every row up to it is delivered, and the gauge.
    fn attach<'scope>(
        &self,
        session: &Self::Session,
        rows: StreamVec<'scope, u64, R>,
        positions: StreamVec<'scope, u64, (String, Position)>,
    ) -> (StreamVec<'scope, u64, ()>, Box<dyn Gauge>);

    /// The positions to go on at, if the sink keeps them; the runner then keeps none.
    fn resume(&self, session: &Self::Session) -> Option<Positions> {
        let _ = session;
        None
    }

    /// What the sink has done so far in this process.
    fn stats(&self) -> SinkStats;

    /// What it is at in this process.
    fn reading(&self) -> SinkReading {
        SinkReading::default()
    }

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

    /// A stop has waited long enough: what the run ends with, without what is not delivered. Nothing for a sink that would
    /// lose it, which is waited for.
    fn give_up(&self) -> Option<Error> {
        None
    }

    /// What it waits for, if it is known better than from its fullness.
    fn waiting_for(&self) -> Option<String> {
        None
    }
}
