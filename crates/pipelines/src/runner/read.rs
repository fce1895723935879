//! The operator that reads: the partitions of one worker, within its credit.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, StreamVec};
use timely::progress::Antichain;
use timely::progress::operate::FrontierInterest;
use timely::scheduling::Activator;
use timely::scheduling::activate::SyncActivator;

use super::message::{Closed, Control, Credit, Envelope};
use super::shared::Shared;
use super::sink::Gauge;
use super::throttle::Throttle;
use crate::error::Result;
use crate::source::{Batch, Budget, Polled, Position, Reader, Source};

/// Batches read in one turn of the operator, before others have theirs.
const BATCHES_PER_TURN: usize = 4;

/// Rows per poll where the rate is limited: few enough that the budget's rows, not its bytes, end a batch.
const ROWS_WHEN_LIMITED: u64 = 1024;

/// The gauge of the worker's sink, which is built after the operators that look at it.
pub(super) type GaugeSlot = Rc<OnceCell<Box<dyn Gauge>>>;

/// What comes out of the operator.
pub(super) struct Outputs<'scope, B> {
    pub(super) batches: StreamVec<'scope, u64, Envelope<B>>,
    pub(super) positions: StreamVec<'scope, u64, Closed>,
    pub(super) activator: SyncActivator,
}

/// Builds the operator.
pub(super) fn read<'scope, S: Source>(
    scope: Scope<'scope, u64>,
    source: impl AsRef<S> + 'static,
    control: StreamVec<'scope, u64, Control>,
    credits: StreamVec<'scope, u64, Credit>,
    gauge: GaugeSlot,
    shared: Arc<Shared>,
) -> Outputs<'scope, S::Batch> {
    // Nothing that comes in holds back what goes out: the operator has capabilities of its own.
    let apart: [(usize, Antichain<u64>); 0] = [];
    let mut builder = OperatorBuilder::new("Read".to_owned(), scope);
    let mut control = builder.new_input_connection(control, Pipeline, apart.clone());
    let by_origin = Exchange::new(|credit: &Credit| credit.origin);
    let mut credits = builder.new_input_connection(credits, by_origin, apart.clone());
    builder.set_notify_for(0, FrontierInterest::Never);
    builder.set_notify_for(1, FrontierInterest::Never);
    let (batches_out, batches) = builder.new_output_connection::<Vec<Envelope<S::Batch>>, _>(apart.clone());
    let (positions_out, positions) = builder.new_output_connection::<Vec<Closed>, _>(apart);
    let address = builder.operator_info().address;
    let sync_activator = scope.worker().sync_activator_for(address.to_vec());
    let activator = scope.activator_for(address);
    let (mut batches_out, mut positions_out) =
        (OutputBuilder::from(batches_out), OutputBuilder::from(positions_out));
    let spreads = source.as_ref().spreads();
    let (index, peers) = (scope.index(), scope.peers());

    builder.build(move |mut capabilities| {
        let (positions_cap, batches_cap) = (capabilities.pop(), capabilities.pop());
        let mut reading = Reading::<S::Batch> {
            index,
            peers,
            spreads,
            mine: Vec::new(),
            capabilities: batches_cap.zip(positions_cap),
            started: false,
            outstanding: 0,
            sent: 0,
            turn: 0,
            throttle: None,
            gauge,
            shared,
        };
        move |_frontiers| {
            let (mut batches, mut positions) = (batches_out.activate(), positions_out.activate());
            let mut close = |reading: &mut Reading<S::Batch>| {
                if let Some((_, at)) = &reading.capabilities {
                    positions.session(at).give_iterator(reading.mine.iter_mut().filter_map(Mine::closed));
                }
            };
            control.for_each(|_, messages| {
                for message in messages.drain(..) {
                    reading.hear(message, source.as_ref(), &mut close);
                }
            });
            credits.for_each(|_, credits| {
                reading.outstanding -= credits.drain(..).map(|credit| credit.bytes).sum::<usize>();
            });
            let next = reading.turn(|at, envelope| batches.session(at).give(envelope));
            reading.follow(next, &activator, &mut close);
        }
    });
    Outputs { batches, positions, activator: sync_activator }
}

/// A partition of this worker.
struct Mine<B> {
    name: String,
    reader: Reader<B>,
    ended: bool,
    /// It was read since its position was last told.
    moved: bool,
}

impl<B> Mine<B> {
    fn closed(&mut self) -> Option<Closed> {
        std::mem::take(&mut self.moved).then(|| (self.name.clone(), self.reader.position()))
    }
}

struct Reading<B> {
    index: usize,
    peers: usize,
    spreads: bool,
    mine: Vec<Mine<B>>,
    /// For batches and for positions; both at the epoch. Gone when there is nothing more to read.
    capabilities: Option<(Capability<u64>, Capability<u64>)>,
    started: bool,
    /// Bytes handed out that no credit came back for.
    outstanding: usize,
    sent: u64,
    turn: usize,
    throttle: Option<Throttle>,
    gauge: GaugeSlot,
    shared: Arc<Shared>,
}

/// What the operator does after a turn.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Go on as soon as the others had their turn.
    Again,
    /// Go on after a time.
    After(Duration),
    /// Wait to be woken: by control, credits or the sink.
    Woken,
    /// There is nothing more to read.
    Ended,
}

impl<B: Batch> Reading<B> {
    fn hear<S: Source<Batch = B>>(
        &mut self,
        message: Control,
        source: &S,
        close: &mut impl FnMut(&mut Self),
    ) {
        match message {
            Control::Start { epoch, positions } => {
                if let Err(error) = self.start(source, epoch, &positions) {
                    self.shared.fail(error);
                }
            }
            Control::Epoch(epoch) => self.advance(epoch, close),
            Control::Stop => {
                // Whose own partitions have ended cannot know whether those of other processes had.
                let cluster = self.shared.options.topology.is_cluster();
                self.shared.stopped(self.capabilities.is_some() || cluster);
                self.end(close);
            }
            Control::Fail(told) => self.shared.fail_elsewhere(told),
            Control::Kept(positions) => {
                if let Err(error) = self.acknowledge(&positions) {
                    self.shared.fail(error);
                }
            }
        }
    }

    /// Opens the partitions of this worker.
    fn start<S: Source<Batch = B>>(
        &mut self,
        source: &S,
        epoch: u64,
        positions: &BTreeMap<String, Position>,
    ) -> Result<()> {
        let names = source.partitions()?;
        let all = names.len();
        let mine = names.into_iter().enumerate().filter(|(number, _)| number % self.peers == self.index);
        for (_, name) in mine {
            let reader = source.open(&name, positions.get(&name))?;
            self.mine.push(Mine { name, reader, ended: false, moved: false });
        }
        let share = self.mine.len() as f64 / all.max(1) as f64;
        let rate = self.shared.options.rate.filter(|_| share > 0.0);
        self.throttle = rate.map(|rate| Throttle::new(rate as f64 * share, Instant::now()));
        self.downgrade(epoch);
        self.started = true;
        Ok(())
    }

    fn downgrade(&mut self, epoch: u64) {
        if let Some((batches, positions)) = &mut self.capabilities {
            batches.downgrade(&epoch);
            positions.downgrade(&epoch);
        }
        if self.index.is_multiple_of(self.shared.options.topology.workers) {
            self.shared.begin_epoch(epoch);
        }
    }

    fn advance(&mut self, epoch: u64, close: &mut impl FnMut(&mut Self)) {
        if self.capabilities.as_ref().is_some_and(|(at, _)| *at.time() < epoch) {
            close(self);
            self.downgrade(epoch);
        }
    }

    /// Reads no further.
    fn end(&mut self, close: &mut impl FnMut(&mut Self)) {
        close(self);
        if self.capabilities.take().is_some() {
            self.shared.reader_ended();
        }
    }

    fn acknowledge(&mut self, positions: &BTreeMap<String, Position>) -> Result<()> {
        self.mine.iter_mut().try_for_each(|mine| match positions.get(&mine.name) {
            Some(position) => mine.reader.acknowledge(position),
            None => Ok(()),
        })
    }

    /// Reads a few batches.
    fn turn(&mut self, mut give: impl FnMut(&Capability<u64>, Envelope<B>)) -> Next {
        if !self.started || self.capabilities.is_none() || self.shared.has_failed() {
            return Next::Woken;
        }
        let begun = Instant::now();
        let mut next = Next::Again;
        for _ in 0..BATCHES_PER_TURN {
            match self.next_batch(begun) {
                Ok(Ok(envelope)) => {
                    if let Some((at, _)) = &self.capabilities {
                        give(at, envelope);
                    }
                }
                Ok(Err(other)) => {
                    next = other;
                    break;
                }
                Err(error) => {
                    self.shared.fail(error);
                    next = Next::Woken;
                    break;
                }
            }
        }
        self.shared.read_for(begun.elapsed());
        next
    }

    /// The next batch of any partition, or why there is none.
    fn next_batch(&mut self, now: Instant) -> Result<Result<Envelope<B>, Next>> {
        let full = self.gauge.get().is_some_and(|gauge| gauge.is_full());
        if full || self.outstanding >= self.shared.options.window {
            return Ok(Err(Next::Woken));
        }
        let budget = match self.throttle.as_mut().map(|throttle| throttle.allowance(now)) {
            None => Budget::DEFAULT,
            Some(Ok(rows)) => Budget { rows: rows.min(ROWS_WHEN_LIMITED), bytes: 16 * Budget::DEFAULT.bytes },
            Some(Err(wait)) => return Ok(Err(Next::After(wait))),
        };
        let mut wait = None;
        for _ in 0..self.mine.len() {
            self.turn = (self.turn + 1) % self.mine.len();
            let mine = &mut self.mine[self.turn];
            if mine.ended {
                continue;
            }
            match mine.reader.poll(budget)? {
                Polled::Batch(batch) => {
                    mine.moved = true;
                    return Ok(Ok(self.envelope(batch, budget)));
                }
                Polled::Pending(time) => wait = Some(wait.unwrap_or(time).min(time)),
                Polled::End => (mine.ended, mine.moved) = (true, true),
            }
        }
        Ok(Err(wait.map_or(Next::Ended, Next::After)))
    }

    fn envelope(&mut self, batch: B, budget: Budget) -> Envelope<B> {
        if let Some(throttle) = &mut self.throttle {
            throttle.take(batch.rows().unwrap_or(budget.rows));
        }
        self.outstanding += batch.weight();
        self.sent += 1;
        let index = self.index as u64;
        let target = if self.spreads { (index + self.sent) % self.peers as u64 } else { index };
        Envelope { target, origin: index, batch }
    }

    fn follow(&mut self, next: Next, activator: &Activator, close: &mut impl FnMut(&mut Self)) {
        match next {
            Next::Again => activator.activate(),
            Next::After(time) => activator.activate_after(time),
            Next::Woken => {}
            Next::Ended => self.end(close),
        }
    }
}
