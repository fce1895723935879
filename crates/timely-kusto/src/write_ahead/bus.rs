//! How workers talk: a dataflow of its own, whose time means nothing but "sent".
//!
//! ```text
//! worker 0:  driver ─► orders ─┐                      ┌─► agent of every worker ─► its part of the order
//!                              ├─► line ─► exchange ──┤
//! any:       outbox of process ┘                      └─► on worker 0: to the driver
//! ```
//! It is built by the start and lives as long as the sink's operators do. Every worker has a [`Line`]; when the last of all
//! is dropped, the dataflow is complete.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use timely::dataflow::InputHandleVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::input::Input;
use timely::worker::Worker;

use super::agent::Agent;
use super::message::{Envelope, Message};

/// Sends messages to workers.
#[derive(Default)]
pub(super) struct Line {
    input: RefCell<Option<InputHandleVec<u64, Envelope>>>,
}

impl Line {
    /// Sends to one worker.
    pub(super) fn send(&self, to: usize, message: Message) {
        if let Some(input) = self.input.borrow_mut().as_mut() {
            input.send(Envelope { to: to as u64, message });
            // A new time each: only then does the exchange hand on what it gathers for a worker.
            let next = input.time() + 1;
            input.advance_to(next);
        }
    }

    /// Sends to all of `peers` workers.
    pub(super) fn send_all(&self, peers: usize, message: &Message) {
        (0..peers).for_each(|to| self.send(to, message.clone()));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.input.borrow_mut().take());
    }
}

/// Builds the dataflow on this worker, with the agent that `make` makes for the line and the operator that is to be
/// activated when there is something to send.
pub(super) fn connect(
    worker: &mut Worker,
    make: impl FnOnce(Weak<Line>, timely::scheduling::activate::SyncActivator) -> Agent,
) -> (Rc<Line>, usize) {
    let line = Rc::new(Line::default());
    let dataflow = worker.next_dataflow_index();
    let weak = Rc::downgrade(&line);
    let input = worker.dataflow::<u64, _, _>(|scope| {
        let (input, messages) = scope.new_input::<Envelope>();
        let mut builder = OperatorBuilder::new("Agent".to_owned(), scope);
        let address = builder.operator_info().address.to_vec();
        let activator = scope.worker().sync_activator_for(address);
        let mut messages = builder.new_input(messages, Exchange::new(|envelope: &Envelope| envelope.to));
        let mut agent = make(weak, activator);
        builder.build(move |_capabilities| {
            move |_frontiers| {
                messages.for_each(|_, envelopes| {
                    envelopes.drain(..).for_each(|Envelope { message, .. }| agent.hear(message));
                });
                agent.turn();
            }
        });
        input
    });
    *line.input.borrow_mut() = Some(input);
    (line, dataflow)
}
