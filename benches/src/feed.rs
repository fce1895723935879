//! The generator in a dataflow: a source that stops while the sink is full, as an embedder writes one.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::generic::source;
use timely::dataflow::{Scope, StreamVec};
use timely::scheduling::activate::SyncActivator;
use timely::worker::Worker;
use timely_kusto::{SinkHandle, WriteAheadHandle};

use crate::rows::Generated;

/// Rows handed over at once.
pub(crate) const BATCH: usize = 1024;

/// The rows of one worker: every `step`th of `0..end`, from `next` on, so many at a time of the dataflow, from `time` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) next: u64,
    pub(crate) step: u64,
    pub(crate) end: u64,
    pub(crate) time: u64,
    pub(crate) batch: usize,
}

impl Share {
    /// The share of a worker of `0..end`, from the beginning on.
    pub(crate) fn of(worker: &Worker, end: u64) -> Self {
        Share { next: worker.index() as u64, step: worker.peers() as u64, end, time: 0, batch: BATCH }
    }

    /// The first row that is not handed over before `time`.
    pub(crate) fn row_at(&self, time: u64) -> u64 {
        self.next + self.step * self.batch as u64 * time.saturating_sub(self.time)
    }

    /// The first row of this worker that is not in it.
    pub(crate) fn row_behind(&self) -> u64 {
        self.next + self.step * self.end.saturating_sub(self.next).div_ceil(self.step)
    }

    /// Makes the next rows; none at the end.
    fn generate<R: Generated>(&mut self, rows: &mut Vec<R>) {
        while rows.len() < self.batch && self.next < self.end {
            rows.push(R::generate(self.next));
            self.next += self.step;
        }
    }
}

/// Where the rows go.
#[derive(Clone, Debug)]
pub(crate) enum Sink {
    V2(SinkHandle),
    Ahead(WriteAheadHandle),
}

impl Sink {
    fn is_full(&self) -> bool {
        match self {
            Sink::V2(handle) => handle.is_full(),
            Sink::Ahead(handle) => handle.is_full(),
        }
    }

    fn wake_when_room(&self, source: SyncActivator) {
        match self {
            Sink::V2(handle) => handle.wake_when_room(source),
            Sink::Ahead(handle) => handle.wake_when_room(source),
        }
    }
}

/// What the source knows of the sink, which is built after it, and the other way round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    sink: Rc<OnceCell<Sink>>,
    time: Rc<Cell<u64>>,
    over: Rc<Cell<bool>>,
    closed_since: Rc<Cell<Option<Instant>>>,
    closed: Rc<Cell<Duration>>,
}

impl Gate {
    /// The sink that the rows go to.
    pub(crate) fn lead_to(&self, sink: Sink) {
        let _ = self.sink.set(sink); // there is one sink
    }

    /// How long the sink was full.
    pub(crate) fn closed(&self) -> Duration {
        self.closed.get()
    }

    /// The time at which the next rows are handed over, and whether there are no more.
    pub(crate) fn time(&self) -> (u64, bool) {
        (self.time.get(), self.over.get())
    }

    fn is_closed(&self) -> bool {
        let full = self.sink.get().is_some_and(Sink::is_full);
        match (full, self.closed_since.get()) {
            (true, None) => self.closed_since.set(Some(Instant::now())),
            (false, Some(since)) => {
                self.closed.set(self.closed.get() + since.elapsed());
                self.closed_since.set(None);
            }
            _ => {}
        }
        full
    }
}

/// Rows of `share` while `gate` is open, each batch at a time of its own.
pub(crate) fn feed<'scope, R: Generated>(
    scope: Scope<'scope, u64>,
    mut share: Share,
    gate: Gate,
) -> StreamVec<'scope, u64, R> {
    gate.time.set(share.time);
    source::<_, CapacityContainerBuilder<Vec<R>>, _, _>(scope, "Generator", |mut capability, info| {
        capability.downgrade(&share.time);
        let activator = scope.activator_for(Rc::clone(&info.address));
        let from_sink = scope.worker().sync_activator_for(info.address.to_vec());
        let mut waits = false;
        let mut capability = Some(capability);
        let mut batch = Vec::with_capacity(share.batch);
        move |output| {
            if let (false, Some(sink)) = (waits, gate.sink.get()) {
                sink.wake_when_room(from_sink.clone());
                waits = true;
            }
            if gate.is_closed() {
                return; // the sink wakes this operator when there is room
            }
            share.generate(&mut batch);
            let Some(at) = capability.as_mut().filter(|_| !batch.is_empty()) else {
                capability = None;
                gate.over.set(true);
                return;
            };
            output.session(&at).give_container(&mut batch);
            batch.clear();
            let next = *at.time() + 1;
            at.downgrade(&next);
            gate.time.set(next);
            activator.activate();
        }
    })
}
