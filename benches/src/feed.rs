//! The generator in a dataflow: a source that stops while the sink is full, as an embedder writes one.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::generic::source;
use timely::dataflow::{Scope, StreamVec};
use timely_kusto::SinkHandle;

use crate::rows::Generated;

/// Rows handed over at once.
const BATCH: usize = 1024;

/// The rows of one worker: every `step`th of `0..end`, from `next` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) next: u64,
    pub(crate) step: u64,
    pub(crate) end: u64,
}

impl Share {
    /// Makes the next rows; none at the end.
    fn generate<R: Generated>(&mut self, rows: &mut Vec<R>) {
        while rows.len() < BATCH && self.next < self.end {
            rows.push(R::generate(self.next));
            self.next += self.step;
        }
    }
}

/// What the source knows of the sink, which is built after it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    sink: Rc<OnceCell<SinkHandle>>,
    closed_since: Rc<Cell<Option<Instant>>>,
    closed: Rc<Cell<Duration>>,
}

impl Gate {
    /// The sink that the rows go to.
    pub(crate) fn lead_to(&self, sink: SinkHandle) {
        let _ = self.sink.set(sink); // there is one sink
    }

    /// How long the sink was full.
    pub(crate) fn closed(&self) -> Duration {
        self.closed.get()
    }

    fn is_closed(&self) -> bool {
        let full = self.sink.get().is_some_and(SinkHandle::is_full);
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
    source::<_, CapacityContainerBuilder<Vec<R>>, _, _>(scope, "Generator", |capability, info| {
        let activator = scope.activator_for(Rc::clone(&info.address));
        let from_sink = scope.worker().sync_activator_for(info.address.to_vec());
        let mut waits = false;
        let mut capability = Some(capability);
        let mut batch = Vec::with_capacity(BATCH);
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
                return;
            };
            output.session(&at).give_container(&mut batch);
            batch.clear();
            let next = *at.time() + 1;
            at.downgrade(&next);
            activator.activate();
        }
    })
}
