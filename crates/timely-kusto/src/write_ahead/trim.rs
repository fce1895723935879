//! TRIM: behind C on every worker: unlinks epoch files, counts what is delivered.

use std::rc::Rc;

use commit_protocol::{Epoch, Worker};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::order::TotalOrder;
use timely::progress::Timestamp;

use super::scribe::Scribe;
use super::sink::Session;
use crate::sink_v2::Clock;

/// Builds the operator.
pub(super) fn trim<'scope, T: Timestamp + TotalOrder>(
    clock: Clock<'scope, T>,
    session: &Rc<Session>,
    epochs: Rc<dyn Fn(&T) -> u64>,
    scribe: Option<Rc<Scribe>>,
) {
    let mut builder = OperatorBuilder::new("Trim".to_owned(), clock.scope());
    let mut clock = builder.new_input(clock, Pipeline);
    let session = Rc::clone(session);
    builder.build(move |_capabilities| {
        let mut done = session.opened.first_epoch;
        move |frontiers| {
            clock.for_each(|_, _| {});
            let frontier = frontiers[0].frontier();
            let bound = frontier.first().map_or(u64::MAX, |time| epochs(time));
            if bound > done && !session.process.has_failed() {
                done = bound;
                session.committed_below(bound);
                session.process.standing.committed(bound);
                let (process, worker) = (&session.process, Worker(session.index));
                let rows = process.shelf.take_below(session.generation(), worker, Epoch(bound));
                process.courier.counters.rows_delivered(rows);
                if let Some(scribe) = &scribe {
                    scribe.trim(bound);
                }
            }
        }
    });
}
