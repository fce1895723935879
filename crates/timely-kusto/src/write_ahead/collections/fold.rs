//! From changes as they come to the rows of whole epochs.
//!
//! A worker holds one capability per epoch that is not complete, at the earliest time of its changes, so that rows come out within
//! the epoch. What is held is consolidated whenever it has doubled: a record that comes and goes costs nothing for long. It counts
//! as memory of the sink, so that sources pause; they go on ending epochs, which is what frees it.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::rc::Rc;

use differential_dataflow::consolidation::consolidate;
use differential_dataflow::{ExchangeData, Hashable};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;
use timely::order::TotalOrder;
use timely::progress::Timestamp;

use super::super::sink::Session;
use super::upsert::Keys;
use super::weight::Weight;
use crate::SinkError;
use crate::budget::Reservation;

/// Changes of an epoch below which consolidating them is not worth the sort.
const FEW: usize = 1024;

/// A record, its epoch, and how many more there are of it since the epoch before; never none.
pub(super) type Net<D> = (D, u64, isize);

/// The record of a key, the epoch in which it changed, and whether the key is gone.
pub(super) type Last<D> = (D, u64, bool);

/// The net changes of each epoch, once the epoch is complete.
pub(super) fn net_changes<'scope, T, D>(
    changes: StreamVec<'scope, T, (D, T, isize)>,
    session: &Rc<Session>,
    epochs: Rc<dyn Fn(&T) -> u64>,
) -> StreamVec<'scope, T, Net<D>>
where
    T: Timestamp + TotalOrder,
    D: ExchangeData + Hashable,
{
    // What is dropped anyway is not worth holding.
    let drops_replayed = session.process.options.drops_replayed();
    let first_epoch = if drops_replayed { session.opened.first_epoch } else { 0 };
    let fold = Fold::new(session, epochs, first_epoch);
    let route = |(record, _, _): &(D, T, isize)| record.hashed().into();
    let finish = |epoch, changes: Vec<(D, isize)>| {
        Ok(changes.into_iter().map(move |(record, net)| (record, epoch, net)).collect())
    };
    fold.operator(changes, "NetChanges", route, |record, _| record, finish)
}

/// The last record of each key that changed in an epoch, once the epoch is complete.
pub(super) fn last_values<'scope, T, D, K>(
    changes: StreamVec<'scope, T, (D, T, isize)>,
    session: &Rc<Session>,
    epochs: Rc<dyn Fn(&T) -> u64>,
    key: impl Fn(&D) -> K + 'static,
) -> StreamVec<'scope, T, Last<D>>
where
    T: Timestamp + TotalOrder,
    D: ExchangeData + Hashable + Hash,
    K: ExchangeData + Hashable + Hash,
{
    let key = Rc::new(key);
    let key_of = Rc::clone(&key);
    let mut keys = Keys::new(session.process.courier.table());
    let fold = Fold::new(session, epochs, 0);
    let route = move |(record, _, _): &(D, T, isize)| key_of(record).hashed().into();
    let finish = move |epoch, changes: Vec<((K, T, D), isize)>| {
        let last = keys.fold(changes)?;
        Ok(last.into_iter().map(|(record, gone)| (record, epoch, gone)).collect())
    };
    fold.operator(changes, "LastValues", route, move |record, time| (key(&record), time, record), finish)
}

/// The changes of an epoch that is not complete.
struct Open<T: Timestamp, I> {
    /// At the earliest time of a change.
    at: Capability<T>,
    changes: Vec<(I, isize)>,
    /// How many there were when they were consolidated last.
    consolidated: usize,
}

impl<T: Timestamp, I: Ord> Open<T, I> {
    fn push(&mut self, item: I, difference: isize) {
        self.changes.push((item, difference));
        if self.changes.len() > FEW.max(2 * self.consolidated) {
            consolidate(&mut self.changes);
            self.consolidated = self.changes.len();
        }
    }
}

struct Fold<T: Timestamp, I> {
    session: Rc<Session>,
    epochs: Rc<dyn Fn(&T) -> u64>,
    /// Changes of epochs below are dropped.
    first_epoch: u64,
    open: BTreeMap<u64, Open<T, I>>,
    /// What records are like.
    weight: Weight,
    memory: Reservation,
}

impl<T: Timestamp + TotalOrder, I: Ord + 'static> Fold<T, I> {
    fn new(session: &Rc<Session>, epochs: Rc<dyn Fn(&T) -> u64>, first_epoch: u64) -> Self {
        let memory = session.process.budget.keep();
        let (session, open) = (Rc::clone(session), BTreeMap::new());
        Fold { session, epochs, first_epoch, open, weight: Weight::default(), memory }
    }

    /// Builds the operator: `item` is what changes are consolidated by, `finish` makes rows of a complete epoch's.
    fn operator<'scope, D: ExchangeData, R: Clone + 'static>(
        mut self,
        changes: StreamVec<'scope, T, (D, T, isize)>,
        name: &str,
        route: impl Fn(&(D, T, isize)) -> u64 + 'static,
        item: impl Fn(D, T) -> I + 'static,
        mut finish: impl FnMut(u64, Vec<(I, isize)>) -> Result<Vec<R>, SinkError> + 'static,
    ) -> StreamVec<'scope, T, R> {
        changes.unary_frontier(Exchange::new(route), name, move |_, _| {
            move |(input, frontier), output| {
                input.for_each_time(|capability, containers| {
                    let capability = capability.retain(0);
                    for (record, time, difference) in containers.flat_map(|changes| changes.drain(..)) {
                        if self.takes(&time) {
                            self.weight.see(&record);
                            self.take(&capability, &time, difference, || item(record, time.clone()));
                        }
                    }
                });
                let bound = frontier.frontier().first().map(|time| (self.epochs)(time));
                while let Some((epoch, open)) = self.complete(bound) {
                    let Open { at, mut changes, .. } = open;
                    consolidate(&mut changes);
                    match finish(epoch, changes) {
                        Ok(rows) => output.session(&at).give_iterator(rows.into_iter()),
                        Err(error) => {
                            self.session.process.trouble(error, false);
                            // Held on to: the clocks stay.
                            let (changes, consolidated) = (Vec::new(), 0);
                            self.open.insert(epoch, Open { at, changes, consolidated });
                        }
                    }
                }
                self.count();
            }
        })
    }

    fn takes(&self, time: &T) -> bool {
        !self.session.process.has_failed() && (self.epochs)(time) >= self.first_epoch
    }

    fn take(&mut self, capability: &Capability<T>, time: &T, difference: isize, item: impl FnOnce() -> I) {
        let epoch = (self.epochs)(time);
        let open = self.open.entry(epoch).or_insert_with(|| Open {
            at: capability.delayed(time),
            changes: Vec::new(),
            consolidated: 0,
        });
        if time < open.at.time() {
            open.at = capability.delayed(time);
        }
        open.push(item(), difference);
    }

    /// Says what is held: the epochs, and the memory that they take.
    fn count(&mut self) {
        self.session.folding(self.open.len());
        let held = self.open.values().map(|open| self.weight.of(&open.changes));
        self.memory.resize(held.fold(0, usize::saturating_add));
    }

    /// Takes out the first epoch, if it is below the bound; without one all are complete.
    fn complete(&mut self, bound: Option<u64>) -> Option<(u64, Open<T, I>)> {
        let first = *self.open.keys().next()?;
        let is_complete = bound.is_none_or(|bound| first < bound) && !self.session.process.has_failed();
        if is_complete { self.open.remove(&first).map(|open| (first, open)) } else { None }
    }
}
