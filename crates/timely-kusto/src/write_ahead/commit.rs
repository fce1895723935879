//! COMMIT: on worker 0, between what workers staged and the driver that commits it. The stream's frontier is C.
//!
//! The frontier at the input *is* "staged everywhere": nobody counts workers. What is staged goes to the driver together
//! with the bound that the frontier has passed; when the driver has committed it, the clock follows. C never passes a time
//! with rows of an epoch that is not committed: it stays at the earliest description that reaches beyond the bound.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use commit_protocol::{Epoch, News};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::order::TotalOrder;
use timely::progress::Timestamp;

use super::driver::Heard;
use super::message::change;
use super::process::lock;
use super::sink::Session;
use super::stage::Description;
use crate::sink_v2::Clock;

/// Builds the operator.
pub(super) fn commit<'scope, T: Timestamp + TotalOrder>(
    descriptions: StreamVec<'scope, T, Description>,
    session: &Rc<Session>,
    epochs: Rc<dyn Fn(&T) -> u64>,
) -> Clock<'scope, T> {
    let scope = descriptions.scope();
    let mut builder = OperatorBuilder::new("Commit".to_owned(), scope);
    let address = builder.operator_info().address.to_vec();
    let operator = scope.worker().sync_activator_for(address);
    let mut input = builder.new_input(descriptions, Exchange::new(|_: &Description| 0));
    let (_out, clock) = builder.new_output::<Vec<()>>();
    let session = Rc::clone(session);

    builder.build(move |mut capabilities| {
        let held = capabilities.pop().filter(|_| session.seat.is_some());
        drop(capabilities);
        if held.is_some() {
            session.process.tell_progress(|progress| progress.wake = Some(operator));
        }
        let told = session.opened.first_epoch;
        let mut desk = Desk { session, epochs, held, told, bounds: VecDeque::new(), pending: Pending::new() };
        move |frontiers| {
            input.for_each(|time, descriptions| {
                descriptions.drain(..).for_each(|description| desk.staged(time.time(), description));
            });
            desk.reach(frontiers[0].frontier().first());
            desk.follow();
        }
    });
    clock
}

/// What is staged and not told, and the time of everything that is not committed, by the last epoch in it.
struct Pending<T> {
    news: News,
    times: BTreeMap<u64, T>,
}

impl<T> Pending<T> {
    fn new() -> Self {
        Pending { news: News::default(), times: BTreeMap::new() }
    }
}

struct Desk<T: Timestamp> {
    session: Rc<Session>,
    epochs: Rc<dyn Fn(&T) -> u64>,
    /// On worker 0, until the last intent is settled.
    held: Option<Capability<T>>,
    /// The bound that the driver was told last.
    told: u64,
    /// Bounds that it was told, each with the frontier then; `None` is the end.
    bounds: VecDeque<(u64, Option<T>)>,
    pending: Pending<T>,
}

impl<T: Timestamp + TotalOrder> Desk<T> {
    fn staged(&mut self, time: &T, Description { chunks, positions }: Description) {
        let epochs = chunks.iter().map(|chunk| chunk.tag.chunk.epoch.0);
        if let Some(last) = epochs.chain(positions.iter().map(|(epoch, ..)| *epoch)).max() {
            let earliest = self.pending.times.entry(last).or_insert_with(|| time.clone());
            if time < earliest {
                *earliest = time.clone();
            }
        }
        let news = &mut self.pending.news;
        news.chunks.extend(chunks);
        news.positions.extend(positions.into_iter().map(change));
    }

    /// Tells the driver when the frontier has passed a bound.
    fn reach(&mut self, frontier: Option<&T>) {
        let Some(seat) = &self.session.seat else { return };
        if self.held.is_none() || self.bounds.back().is_some_and(|(_, time)| time.is_none()) {
            return;
        }
        let last = || self.pending.times.keys().next_back().map_or(self.told, |last| last.saturating_add(1));
        let bound = frontier.map_or_else(last, |time| (self.epochs)(time)).max(self.told);
        if bound > self.told {
            let mut news = std::mem::take(&mut self.pending.news);
            news.staged_below = Epoch(bound);
            self.session.process.standing.staged(bound);
            seat.tell(Heard::News(news));
        }
        if frontier.is_none() {
            seat.tell(Heard::End);
        }
        if bound > self.told || frontier.is_none() {
            self.told = bound;
            self.bounds.push_back((bound, frontier.cloned()));
        }
    }

    /// Follows the driver.
    fn follow(&mut self) {
        if self.held.is_none() {
            return;
        }
        let (below, closed) = {
            let progress = lock(&self.session.process.progress);
            (progress.below, progress.closed)
        };
        while let Some((bound, time)) = self.bounds.front() {
            let done = if time.is_some() { *bound <= below } else { closed };
            if !done {
                return;
            }
            self.pending.times = self.pending.times.split_off(bound);
            match time.as_ref().map(|time| self.pending.times.values().fold(time, |a, b| a.min(b))) {
                Some(time) => {
                    if let Some(held) = &mut self.held
                        && held.time() < time
                    {
                        held.downgrade(time);
                    }
                }
                None => self.held = None,
            }
            self.bounds.pop_front();
        }
    }
}
