//! The operator that makes rows of batches, and gives credit back.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;
use timely::scheduling::activate::SyncActivator;
use timely_kusto::EncodedRows;

use super::message::{Credit, Envelope};
use super::read::GaugeSlot;
use super::shared::Shared;
use crate::convert::BlockConverter;
use crate::error::Result;
use crate::file::Block;
use crate::source::{Batch, MemoryRecord};

/// Batches converted in one turn of the operator, before the sink has its own.
const BATCHES_PER_TURN: usize = 4;

/// Makes rows of batches; one per worker.
pub trait Stage: 'static {
    /// What the source hands out.
    type Batch;
    /// What the sink takes.
    type Row: Clone + 'static;

    /// Appends what the sink takes to `rows`, and returns how many rows that is.
    ///
    /// # Errors
    /// When the batch holds a record that can be no row. The run ends with the error.
    fn convert(&mut self, batch: Self::Batch, rows: &mut Vec<Self::Row>) -> Result<u64>;
}

impl Stage for BlockConverter {
    type Batch = Block;
    type Row = EncodedRows;

    fn convert(&mut self, block: Block, rows: &mut Vec<EncodedRows>) -> Result<u64> {
        // Encoding changes a row's length little: quotes and commas stay, numbers may lose a sign.
        let mut encoded =
            EncodedRows::with_capacity(block.text.len() / 128, block.text.len() + block.text.len() / 8);
        BlockConverter::convert(self, &block, &mut encoded)?;
        let count = encoded.len() as u64;
        rows.push(encoded);
        Ok(count)
    }
}

/// The stage for batches whose records the sink takes as they are.
#[derive(Debug)]
pub struct Unchanged<R>(PhantomData<fn() -> R>);

impl<R> Default for Unchanged<R> {
    fn default() -> Self {
        Unchanged(PhantomData)
    }
}

impl<R: MemoryRecord> Stage for Unchanged<R> {
    type Batch = Vec<R>;
    type Row = R;

    fn convert(&mut self, mut batch: Vec<R>, rows: &mut Vec<R>) -> Result<u64> {
        let count = batch.len() as u64;
        match rows.is_empty() {
            true => *rows = batch,
            false => rows.append(&mut batch),
        }
        Ok(count)
    }
}

/// What comes out of the operator.
pub(super) struct Outputs<'scope, R> {
    pub(super) rows: StreamVec<'scope, u64, R>,
    pub(super) credits: StreamVec<'scope, u64, Credit>,
    pub(super) activator: SyncActivator,
}

/// A batch that waits, and the capabilities for rows and credits.
type Waiting<B> = (Capability<u64>, Capability<u64>, Envelope<B>);

/// Builds the operator.
pub(super) fn convert<'scope, B: Batch, G: Stage<Batch = B>>(
    batches: StreamVec<'scope, u64, Envelope<B>>,
    mut stage: G,
    gauge: GaugeSlot,
    shared: Arc<Shared>,
) -> Outputs<'scope, G::Row> {
    let scope = batches.scope();
    let mut builder = OperatorBuilder::new("Convert".to_owned(), scope);
    let by_target = Exchange::new(|envelope: &Envelope<B>| envelope.target);
    let mut input = builder.new_input(batches, by_target);
    builder.set_notify_for(0, FrontierInterest::Never);
    let (rows_out, rows) = builder.new_output::<Vec<G::Row>>();
    let (credits_out, credits) = builder.new_output::<Vec<Credit>>();
    let (mut rows_out, mut credits_out) = (OutputBuilder::from(rows_out), OutputBuilder::from(credits_out));
    let address = builder.operator_info().address;
    let sync_activator = scope.worker().sync_activator_for(address.to_vec());
    let activator = scope.activator_for(address);

    builder.build(move |_capabilities| {
        let mut waiting: VecDeque<Waiting<B>> = VecDeque::new();
        let mut made = Vec::new();
        // Of a batch that failed: the clock must not pass what was not delivered.
        let mut stuck = None;
        move |_frontiers| {
            input.for_each(|at, envelopes| {
                let arrived = envelopes.drain(..).map(|envelope| (at.retain(0), at.retain(1), envelope));
                waiting.extend(arrived);
            });
            let (mut rows_out, mut credits_out) = (rows_out.activate(), credits_out.activate());
            for _ in 0..BATCHES_PER_TURN {
                let full = gauge.get().is_some_and(|gauge| gauge.is_full());
                if full || stuck.is_some() || shared.has_failed() {
                    return; // the sink wakes the operator when there is room
                }
                let Some((rows_at, credits_at, Envelope { origin, batch, .. })) = waiting.pop_front() else {
                    return;
                };
                let (begun, bytes) = (Instant::now(), batch.weight());
                match stage.convert(batch, &mut made) {
                    Ok(count) => shared.converted(count, begun.elapsed()),
                    Err(error) => {
                        shared.fail(error);
                        stuck = Some((rows_at, credits_at));
                        return;
                    }
                }
                rows_out.session(&rows_at).give_container(&mut made);
                made.clear();
                credits_out.session(&credits_at).give(Credit { origin, bytes });
            }
            if !waiting.is_empty() {
                activator.activate();
            }
        }
    });
    Outputs { rows, credits, activator: sync_activator }
}
