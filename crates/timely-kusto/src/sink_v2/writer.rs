//! The logic of the operator, without timely: what it holds, and when a chunk is closed.
//!
//! A [`Lease`] stands for a time that the clock may not pass: in the operator it holds a capability, in tests a
//! number. A chunk has one lease, that of the earliest row in it; a delivered chunk drops its own, so the clock can
//! pass. That is all the progress state there is.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use futures::FutureExt;
use kusto_client::IngestionMapping;
use tokio::task::AbortHandle;

use super::Shared;
use crate::budget::Reservation;
use crate::chunk::{Buffers, Chunk};
use crate::delivery::Delivered;
use crate::encode::{EncodeError, Encoder};
use crate::failure::said;
use crate::{Result, SinkError};

/// Keeps the clock from passing `time` while it lives.
#[derive(Debug)]
pub(crate) struct Lease<T, C> {
    pub(crate) time: T,
    /// Never read: it acts by being dropped.
    #[allow(dead_code)]
    pub(crate) capability: C,
}

/// What the operator of one worker holds.
pub(crate) struct Writer<T, C, D, E> {
    shared: Arc<Shared>,
    encoder: E,
    records: PhantomData<fn(D)>,
    mapping: Option<IngestionMapping>,
    open: Option<Open<T, C>>,
    in_flight: BTreeMap<u64, InFlight<T, C>>,
    /// The earliest time of rows that will not be delivered: set by a failure, never released.
    stuck: Option<Lease<T, C>>,
    next: u64,
    rows_taken: u64,
    long_values: u64,
    /// How long the worker was held at the memory limit.
    held: Duration,
    outcomes: (Sender<Outcome>, Receiver<Outcome>),
    flush: Arc<AtomicBool>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

type Outcome = (u64, Result<Delivered>);

/// The chunk that takes the next rows.
struct Open<T, C> {
    raw: Vec<u8>,
    /// Whether `raw` has room for a whole chunk.
    is_spacious: bool,
    rows: u64,
    since: Instant,
    memory: Reservation,
    lease: Lease<T, C>,
    /// Wakes the operator when the chunk comes of age; dropped with it, since most are closed long before.
    _timer: Timer,
}

/// A task that is not needed any more once this is dropped.
struct Timer(Option<AbortHandle>);

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl<T, C> Open<T, C> {
    /// An empty chunk; the operator is woken when it comes of age.
    fn new(shared: &Shared, lease: Lease<T, C>, wake: &Arc<dyn Fn() + Send + Sync>) -> Self {
        // The age is counted from `since` here and there: woken a moment too early, the operator would find the chunk
        // too young, and nobody would wake it again.
        let since = Instant::now();
        let of_age = tokio::time::Instant::from_std(since + shared.courier.options.batch_interval());
        let wake = Arc::clone(wake);
        let timer = shared.spawn(async move {
            tokio::time::sleep_until(of_age).await;
            wake();
        });
        Open {
            raw: Vec::new(),
            is_spacious: false,
            rows: 0,
            since,
            memory: shared.budget.reserve(),
            lease,
            _timer: Timer(timer),
        }
    }

    /// Takes a buffer for a whole chunk when the rows have outgrown the small one.
    #[inline]
    fn outgrow(&mut self, shared: &Shared) {
        if self.raw.len() > Buffers::SMALL && !self.is_spacious {
            self.is_spacious = true;
            let chunk = shared.chunk_bytes();
            shared.courier.buffers.move_to_whole(&mut self.raw, chunk);
        }
    }
}

/// A chunk on its way.
struct InFlight<T, C> {
    rows: u64,
    lease: Lease<T, C>,
}

impl<T: Ord + Clone, C, D, E: Encoder<D>> Writer<T, C, D, E> {
    /// A writer of `shared`'s sink; `wake` has the operator scheduled, from any thread; setting `flush` has it close
    /// its open chunk in its next turn.
    pub(crate) fn new(
        shared: Arc<Shared>,
        encoder: E,
        flush: Arc<AtomicBool>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        shared.attach();
        Writer {
            shared,
            encoder,
            records: PhantomData,
            mapping: None,
            open: None,
            in_flight: BTreeMap::new(),
            stuck: None,
            next: 0,
            rows_taken: 0,
            long_values: 0,
            held: Duration::ZERO,
            outcomes: unbounded(),
            flush,
            wake,
        }
    }

    /// Takes records of one time; `capability` mints what holds that time.
    pub(crate) fn take(&mut self, time: &T, capability: impl Fn() -> C, records: impl Iterator<Item = D>) {
        let started = Instant::now();
        let (taken, held) = (self.rows_taken, self.held);
        let mut records = records;
        while self.shared.failure.get().is_none() {
            let Some(record) = records.next() else { break };
            if let Err(error) = self.write(time, &capability, &record) {
                self.stick(Lease { time: time.clone(), capability: capability() });
                self.shared.fail(error);
            }
        }
        let encoding = started.elapsed().saturating_sub(self.held - held);
        self.shared.courier.counters.encoded(self.rows_taken - taken, encoding);
        let refused = records.count();
        if refused > 0 {
            self.stick(Lease { time: time.clone(), capability: capability() });
            self.shared.refused(refused as u64);
        }
        if let Some(open) = &mut self.open {
            open.memory.resize(open.raw.len());
        }
        self.warn_of_long_values();
        self.hold_if_over();
    }

    /// Writes a record as often as its encoder says: chunks are closed in between.
    fn write(&mut self, time: &T, capability: &impl Fn() -> C, record: &D) -> Result<()> {
        let copies = self.encoder.copies(record).map_err(|source| self.unwritable(source))?;
        for _ in 0..copies {
            if self.shared.failure.get().is_some() {
                self.stick(Lease { time: time.clone(), capability: capability() });
                break;
            }
            self.write_once(time, capability, record)?;
        }
        Ok(())
    }

    fn unwritable(&self, source: EncodeError) -> SinkError {
        SinkError::Encode { row: self.rows_taken, table: self.shared.courier.table(), source }
    }

    fn write_once(&mut self, time: &T, capability: &impl Fn() -> C, record: &D) -> Result<()> {
        let lease = || Lease { time: time.clone(), capability: capability() };
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(Open::new(&self.shared, lease(), &self.wake)),
        };
        if *time < open.lease.time {
            open.lease = lease();
        }
        let rows = match self.encoder.encode(record, &mut open.raw) {
            Ok(rows) => rows,
            Err(source) => return Err(self.unwritable(source)),
        };
        open.rows += rows;
        self.rows_taken += rows;
        open.outgrow(&self.shared);
        if self.shared.is_whole(open.raw.len(), open.rows) {
            self.close()?;
            self.hold_if_over();
        }
        Ok(())
    }

    /// The service cuts or drops values above 1 MB without a word; here is one.
    fn warn_of_long_values(&mut self) {
        let seen = self.encoder.long_values();
        if seen.count > self.long_values {
            let (count, table) = (seen.count - self.long_values, self.shared.courier.table());
            tracing::warn!(
                count,
                longest = seen.longest,
                field = seen.field,
                table,
                "values above 1 MB: the service cuts strings there and stores dynamics as null, unless the column's \
                 encoding policy has a larger MaxValueSize"
            );
            self.shared.courier.counters.long_values(count);
            self.long_values = seen.count;
        }
    }

    /// What is to be done each time the operator runs: outcomes in, chunks that are due out.
    /// Returns whether something is still undelivered and moving.
    pub(crate) fn turn(&mut self, input_ended: bool) -> bool {
        self.settle();
        if self.shared.failure.get().is_some() {
            self.abandon();
            return !self.in_flight.is_empty();
        }
        let due = |open: &Open<T, C>| {
            input_ended || open.since.elapsed() >= self.shared.courier.options.batch_interval()
        };
        let flush = self.flush.swap(false, Ordering::Relaxed);
        if flush || self.open.as_ref().is_some_and(due) {
            self.close_or_fail();
        }
        self.open.is_some() || !self.in_flight.is_empty()
    }

    /// At twice the memory limit: holds the worker until less is in use.
    fn hold_if_over(&mut self) {
        if !self.shared.budget.is_over() {
            return;
        }
        // Rows in an open chunk do not move by themselves.
        self.close_or_fail();
        let started = Instant::now();
        self.shared.budget.wait();
        let held = started.elapsed();
        self.held += held;
        self.shared.courier.counters.held(held);
        self.settle();
    }

    fn close_or_fail(&mut self) {
        if let Err(error) = self.close() {
            self.shared.fail(error);
            self.abandon();
        }
    }

    /// Sends the open chunk on its way.
    fn close(&mut self) -> Result<()> {
        if self.open.as_ref().is_none_or(|open| open.rows == 0) {
            self.open = None;
            return Ok(());
        }
        let mapping = self.mapping()?;
        let Some(Open { raw, rows, mut memory, lease, .. }) = self.open.take() else { return Ok(()) };
        memory.resize(raw.len());
        let chunk = Chunk { raw, rows, mapping, memory };
        let index = self.next;
        self.next += 1;
        self.in_flight.insert(index, InFlight { rows, lease });
        let (courier, outcomes, wake) =
            (Arc::clone(&self.shared.courier), self.outcomes.0.clone(), Arc::clone(&self.wake));
        self.shared.spawn(async move {
            // A panic must not leave the chunk on its way for ever.
            let outcome = AssertUnwindSafe(courier.deliver(chunk)).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|panic| Err(SinkError::Broken(said(&*panic))));
            let _ = outcomes.send((index, outcome)); // the dataflow may be gone
            wake();
        });
        Ok(())
    }

    /// How the service finds the columns: by the user's mapping, by names the encoder knows, or by position.
    fn mapping(&mut self) -> Result<Option<IngestionMapping>> {
        if self.mapping.is_none() {
            self.mapping = self.shared.courier.options.mapping(self.encoder.columns())?;
        }
        Ok(self.mapping.clone())
    }

    /// Takes the outcomes that arrived.
    fn settle(&mut self) {
        while let Ok((index, outcome)) = self.outcomes.1.try_recv() {
            let Some(InFlight { rows, lease }) = self.in_flight.remove(&index) else { continue };
            let counters = &self.shared.courier.counters;
            match outcome {
                Ok(Delivered::Rows) => counters.rows_delivered(rows),
                Ok(Delivered::Skipped) => counters.rows_skipped(rows),
                Ok(Delivered::Dropped) => {} // counted where it was decided
                Err(error) => {
                    self.stick(lease);
                    self.shared.fail(error);
                }
            }
        }
    }

    /// After a failure: frees the rows that will not be sent, and keeps their time.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            self.stick(open.lease);
        }
    }

    fn stick(&mut self, lease: Lease<T, C>) {
        if self.stuck.as_ref().is_none_or(|stuck| lease.time < stuck.time) {
            self.stuck = Some(lease);
        }
    }
}

impl<T, C, D, E> Drop for Writer<T, C, D, E> {
    fn drop(&mut self) {
        self.shared.detach();
        let on_the_way: u64 = self.in_flight.values().map(|chunk| chunk.rows).sum();
        let open = self.open.as_ref().map_or(0, |open| open.rows);
        if on_the_way + open > 0 {
            let table = self.shared.courier.table();
            tracing::warn!(
                on_the_way,
                never_sent = open,
                table,
                "the dataflow was dropped with rows undelivered"
            );
        }
    }
}
