//! Keeps positions behind the clock: an operator on worker 0, and the thread that writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

use super::message::Closed;
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::state::{Positions, StateDir};

/// Who keeps positions.
pub(super) enum Keeper {
    /// A file of the state directory.
    File(Writer),
    /// The sink has done so already: readers are told.
    Sink(Arc<Shared>),
}

impl Keeper {
    fn keep(&self, delivered: &Positions) {
        match self {
            Keeper::File(writer) => writer.write(delivered),
            Keeper::Sink(shared) => shared.set_kept(delivered.partitions.clone()),
        }
    }
}

/// Builds the operator. `keeper` is there on worker 0 only, to which all positions go.
pub(super) fn keep<'scope>(
    positions: StreamVec<'scope, u64, Closed>,
    clock: StreamVec<'scope, u64, ()>,
    mut ledger: Ledger,
    keeper: Option<Keeper>,
) {
    let mut builder = OperatorBuilder::new("Keep".to_owned(), positions.scope());
    let mut closed = builder.new_input(positions, Exchange::new(|_: &Closed| 0));
    let mut clock = builder.new_input(clock, Pipeline);
    builder.build(move |_capabilities| {
        move |frontiers: &[MutableAntichain<u64>]| {
            clock.for_each(|_, _| {});
            closed.for_each(|at, positions| ledger.close(*at.time(), positions.drain(..)));
            let first = |frontier: &MutableAntichain<u64>| frontier.frontier().first().copied();
            // Both: the clock may be ahead of positions that are still on their way.
            let passed = frontiers.iter().filter_map(first).min();
            if let Some(keeper) = &keeper
                && ledger.pass(passed)
            {
                keeper.keep(&ledger.delivered);
            }
        }
    });
}

/// Positions by the epoch that they close, and those that are delivered.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    closed: BTreeMap<u64, BTreeMap<String, crate::source::Position>>,
    delivered: Positions,
}

impl Ledger {
    pub(super) fn new(delivered: Positions) -> Self {
        Ledger { closed: BTreeMap::new(), delivered }
    }

    fn close(&mut self, epoch: u64, positions: impl Iterator<Item = Closed>) {
        self.closed.entry(epoch).or_default().extend(positions);
    }

    /// Takes over what was closed before `epoch` (all, if there is none); whether that was anything.
    fn pass(&mut self, epoch: Option<u64>) -> bool {
        let mut passed = std::mem::take(&mut self.closed);
        if let Some(epoch) = epoch {
            self.closed = passed.split_off(&epoch);
        }
        let Some(last) = passed.last_key_value().map(|(last, _)| *last) else { return false };
        self.delivered.partitions.extend(passed.into_values().flatten());
        self.delivered.epoch = epoch.unwrap_or(last + 1);
        true
    }
}

/// Hands positions to the thread that writes them; a newer one takes the place of one that still waits.
#[derive(Clone, Debug)]
pub(super) struct Writer(Arc<(Mutex<Desk>, Condvar)>);

#[derive(Debug, Default)]
struct Desk {
    next: Option<Positions>,
    done: bool,
}

impl Writer {
    /// Starts the thread. It ends, with everything written, after [`WriterThread::finish`].
    pub(super) fn start(state: StateDir, shared: Arc<Shared>) -> Result<(Writer, WriterThread)> {
        let writer = Writer(Arc::default());
        let desk = writer.clone();
        let thread =
            thread::Builder::new().name("positions".to_owned()).spawn(move || desk.run(&state, &shared));
        let thread = thread.map_err(|error| {
            Error::new(
                ErrorKind::Worker,
                format!("the thread that keeps positions could not be started: {error}"),
            )
        })?;
        Ok((writer.clone(), WriterThread { writer, thread }))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, positions: &Positions) {
        self.desk().next = Some(positions.clone());
        self.0.1.notify_one();
    }

    fn run(&self, state: &StateDir, shared: &Shared) {
        let mut desk = self.desk();
        loop {
            if let Some(positions) = desk.next.take() {
                drop(desk);
                match state.save(&positions) {
                    Ok(()) => shared.set_kept(positions.partitions),
                    Err(error) => return shared.fail(error),
                }
                desk = self.desk();
            } else if desk.done {
                return;
            } else {
                desk = self.0.1.wait(desk).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// The thread that writes positions.
#[derive(Debug)]
pub(super) struct WriterThread {
    writer: Writer,
    thread: JoinHandle<()>,
}

impl WriterThread {
    /// Waits until everything is written.
    pub(super) fn finish(self) {
        self.writer.desk().done = true;
        self.writer.0.1.notify_one();
        // A panic of the thread was printed by it; the positions it did not write are read again.
        let _ = self.thread.join();
    }
}
