//! LOG: rows into chunks, one set per epoch; chunks into epoch files; a seal when the frontier passes an epoch bound.
//!
//! ```text
//! rows ─► encode ─► open chunk of the epoch ─► compress ─┐         (threads)
//! positions ─────────────────────────────────────────────┼─► Scribe ─► seal ─► files ─► STAGE
//! frontier passes a bound ───────────────────────────────┘                     clock: D
//! ```
//! A chunk never spans epochs. A worker seals everything below the bound into files, also when it has no rows. One seal is
//! under way at a time; the next takes all that is complete by then, so that slow disks make larger seals and not more of
//! them. The operator holds one capability, at the earliest time of what is not sealed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use epoch_log::{Column, Layout, RowSum, SealedFile};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::order::TotalOrder;
use timely::progress::Timestamp;
use tokio::sync::oneshot;

use super::WriteAheadError;
use super::epoch_chunks::Size;
use super::process::Process;
use super::scribe::{Job, Scribe, Sealed};
use super::sink::Session;
use crate::budget::Reservation;
use crate::chunk::{Buffers, Chunk};
use crate::encode::tail::EPOCH;
use crate::encode::{EncodeError, Encoder};
use crate::row_hash::{Misfit, RowHash};
use crate::{Format, Result, SinkError};

/// Epochs that are sealed at once, each with an open file of its own until then.
const EPOCHS_PER_SEAL: usize = 64;

/// The longest that a worker is held for each container of rows, at twice the memory limit.
const HELD_AT_MOST: Duration = Duration::from_secs(1);

/// Where a source partition goes on after what it handed out up to a time.
pub type PositionAt = (String, Vec<u8>);

/// Builds the operator. Its stream's frontier is D; the thread that writes its files is what TRIM needs.
pub(super) fn log<'scope, T, D, E>(
    rows: StreamVec<'scope, T, D>,
    positions: StreamVec<'scope, T, PositionAt>,
    session: &Rc<Session>,
    encoder: E,
    epochs: Rc<dyn Fn(&T) -> u64>,
) -> (StreamVec<'scope, T, SealedFile>, Option<Rc<Scribe>>)
where
    T: Timestamp + TotalOrder,
    D: Clone + 'static,
    E: Encoder<D> + 'static,
{
    let scope = rows.scope();
    let mut builder = OperatorBuilder::new("Log".to_owned(), scope);
    let address = builder.operator_info().address.to_vec();
    let operator = scope.worker().sync_activator_for(address);
    let mut rows = builder.new_input(rows, Pipeline);
    let mut positions = builder.new_input(positions, Pipeline);
    let (files, stream) = builder.new_output::<Vec<SealedFile>>();
    let mut files = OutputBuilder::from(files);
    session.process.failure.register(operator.clone());
    let wake = Arc::new(move || {
        let _ = operator.activate(); // a worker that is gone waits for nothing
    });
    let scribe = session.scribe(wake).map(Rc::new);
    let shared = scribe.clone();
    let session = Rc::clone(session);

    builder.build(move |mut capabilities| {
        let mut logger = Logger::new(session, encoder, epochs, scribe, capabilities.pop());
        move |frontiers| {
            rows.for_each_time(|time, containers| {
                containers.for_each(|records| logger.take(time.time(), records.drain(..)));
            });
            positions.for_each(|time, positions| logger.positions(time.time(), positions.drain(..)));
            let mut files = files.activate();
            logger.sealed(|at, file| files.session(at).give(file));
            let first = |at: usize| frontiers[at].frontier().first().cloned();
            let frontier = match (first(0), first(1)) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            logger.reach(frontier);
        }
    });
    (stream, shared)
}

/// The chunk of an epoch that takes the next rows.
struct Open {
    raw: Vec<u8>,
    is_spacious: bool,
    rows: u64,
    memory: Reservation,
}

/// The operator without its streams.
struct Logger<T: Timestamp, D, E> {
    session: Rc<Session>,
    encoder: E,
    records: PhantomData<fn(D)>,
    epochs: Rc<dyn Fn(&T) -> u64>,
    scribe: Option<Rc<Scribe>>,
    open: BTreeMap<u64, Open>,
    /// Where partitions stand, of each epoch that is not sealed: the last word of each counts.
    standing: BTreeMap<u64, BTreeMap<String, Vec<u8>>>,
    /// The earliest time with a row or a position, of each epoch that is not sealed.
    earliest: BTreeMap<u64, T>,
    held: Option<Capability<T>>,
    sealed_to: u64,
    /// A seal that is under way: its bound, and the frontier that led to it.
    sealing: Option<(u64, Option<T>)>,
    layout: Option<Arc<Layout>>,
    /// What rows are hashed over, if they are.
    hash: Option<RowHash>,
    /// When the open chunk is closed; looked up once per container, and for each chunk.
    closes_at: Size,
    rows_taken: u64,
    long_values: u64,
}

impl<T, D, E> Logger<T, D, E>
where
    T: Timestamp + TotalOrder,
    E: Encoder<D>,
{
    fn new(
        session: Rc<Session>,
        encoder: E,
        epochs: Rc<dyn Fn(&T) -> u64>,
        scribe: Option<Rc<Scribe>>,
        held: Option<Capability<T>>,
    ) -> Self {
        session.process.attach();
        let sealed_to = session.opened.first_epoch;
        let hash = session.row_hash().unwrap_or_else(|error| {
            session.process.trouble(error, false);
            None
        });
        Logger {
            session,
            encoder,
            records: PhantomData,
            epochs,
            scribe,
            open: BTreeMap::new(),
            standing: BTreeMap::new(),
            earliest: BTreeMap::new(),
            held,
            sealed_to,
            sealing: None,
            layout: None,
            hash,
            closes_at: Size::default(),
            rows_taken: 0,
            long_values: 0,
        }
    }

    fn process(&self) -> &Arc<Process> {
        &self.session.process
    }

    fn has_failed(&self) -> bool {
        self.process().has_failed()
    }

    /// The epoch of a time, if rows of it are to be logged.
    fn epoch(&self, time: &T) -> Result<Option<u64>, WriteAheadError> {
        let (epoch, first_epoch) = ((self.epochs)(time), self.session.opened.first_epoch);
        match epoch >= first_epoch {
            true => Ok(Some(epoch)),
            false if self.process().options.drops_replayed() => Ok(None),
            false => Err(WriteAheadError::Replayed { epoch, first_epoch }),
        }
    }

    fn note(&mut self, epoch: u64, time: &T) {
        let known = self.earliest.len();
        let earliest = self.earliest.entry(epoch).or_insert_with(|| time.clone());
        if time < earliest {
            *earliest = time.clone();
        }
        if self.earliest.len() > known {
            self.session.unsealed(self.earliest.len());
        }
    }

    /// Takes records of one time.
    fn take(&mut self, time: &T, records: impl Iterator<Item = D>) {
        if self.has_failed() {
            return; // the clock stays, and with it what the source is told
        }
        let (started, taken) = (Instant::now(), self.rows_taken);
        if let Err(error) = self.write_all(time, records) {
            self.process().trouble(error, false);
        }
        let counters = &self.process().courier.counters;
        counters.encoded(self.rows_taken - taken, started.elapsed());
        self.warn_of_long_values();
        let budget = &self.process().budget;
        if budget.is_over() {
            let started = Instant::now();
            budget.wait_at_most(HELD_AT_MOST);
            self.process().courier.counters.held(started.elapsed());
        }
    }

    fn write_all(&mut self, time: &T, records: impl Iterator<Item = D>) -> Result<()> {
        let Some(epoch) = self.epoch(time)? else {
            records.for_each(drop);
            return Ok(());
        };
        self.note(epoch, time);
        self.encoder.in_epoch(epoch).map_err(|source| self.unwritable(source))?;
        self.closes_at = self.process().chunk_size(epoch, self.session.peers);
        for record in records {
            let copies = self.encoder.copies(&record).map_err(|source| self.unwritable(source))?;
            for _ in 0..copies {
                self.write(epoch, &record)?;
            }
        }
        if let Some(open) = self.open.get_mut(&epoch) {
            open.memory.resize(open.raw.len());
        }
        Ok(())
    }

    fn unwritable(&self, source: EncodeError) -> SinkError {
        SinkError::Encode { row: self.rows_taken, table: self.process().courier.table(), source }
    }

    fn write(&mut self, epoch: u64, record: &D) -> Result<()> {
        let process = &self.session.process;
        let open = self.open.entry(epoch).or_insert_with(|| Open {
            raw: Vec::new(),
            is_spacious: false,
            rows: 0,
            memory: process.budget.reserve(),
        });
        let rows = match self.encoder.encode(record, &mut open.raw) {
            Ok(rows) => rows,
            Err(source) => return Err(self.unwritable(source)),
        };
        open.rows += rows;
        self.rows_taken += rows;
        let Size { bytes: most, rows: most_rows } = self.closes_at;
        if open.raw.len() > Buffers::SMALL && !open.is_spacious {
            open.is_spacious = true;
            process.courier.buffers.move_to_whole(&mut open.raw, most);
        }
        let rows_reached = most_rows.is_some_and(|most| open.rows >= most);
        if open.raw.len() >= most || rows_reached { self.close(epoch) } else { Ok(()) }
    }

    /// Sends the open chunk of an epoch on its way into the epoch file.
    fn close(&mut self, epoch: u64) -> Result<()> {
        let Some(Open { raw, rows, mut memory, .. }) = self.open.remove(&epoch).filter(|open| open.rows > 0)
        else {
            return Ok(());
        };
        memory.resize(raw.len());
        let process = &self.session.process;
        process.count_chunk(epoch, self.session.peers)?;
        self.closes_at = process.chunk_size(epoch, self.session.peers);
        let layout = self.layout()?;
        let (tell, packed) = oneshot::channel();
        let courier = Arc::clone(&self.process().courier);
        let chunk = Chunk { raw, rows, mapping: None, memory };
        let sum = self.sum_of(&layout, rows);
        self.process().spawn(async move {
            let _ = tell.send(courier.compress_while(chunk, sum).await); // the thread may have ended
        });
        self.give(Job::Append { epoch, layout, packed });
        Ok(())
    }

    /// Makes the sum over the rows of a chunk, beside its compression.
    fn sum_of(
        &self,
        layout: &Layout,
        rows: u64,
    ) -> impl FnOnce(&[u8]) -> Result<Option<RowSum>> + Send + 'static + use<T, D, E> {
        let fields =
            |layout: &Layout| layout.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        let format = self.process().courier.options.format();
        let hash = self
            .hash
            .as_ref()
            .map(|hash| (hash.id(), hash.summer(format, &fields(layout)), self.process().courier.table()));
        let first_row = self.rows_taken - rows;
        move |raw| {
            let Some((over, mut summer, table)) = hash else { return Ok(None) };
            let misfit = |it: Misfit| SinkError::Encode { row: first_row + it.row, table, source: it.into() };
            Ok(Some(RowSum { over, sum: summer.sum(raw).map_err(misfit)? }))
        }
    }

    fn give(&self, job: Job) {
        if let Some(scribe) = &self.scribe {
            scribe.give(job);
        }
    }

    /// How rows are written, as it stands in the files: by name where the encoder knows names, or writes in the order of the
    /// table.
    fn layout(&mut self) -> Result<Arc<Layout>> {
        if self.layout.is_none() {
            let format = self.process().courier.options.format().ingestion_format().to_owned();
            let names = self.encoder.columns().unwrap_or_default();
            self.check_epoch_column(names)?;
            let columns = match names.is_empty() && format == Format::Csv.ingestion_format() {
                // By position: as the table's columns stand now, whatever becomes of them before this is staged.
                true => self.session.opened.columns.iter().map(column).collect(),
                false => names.iter().map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?,
            };
            let layout = Layout { format, columns };
            // What cannot be sent along is found out before it is logged.
            crate::delivery::stage::mapping_of(&layout, self.process().courier.options.table())?;
            self.layout = Some(Arc::new(layout));
        }
        Ok(self.layout.clone().unwrap_or_else(|| Arc::new(Layout { format: String::new(), columns: vec![] })))
    }

    /// The epoch is written where it belongs: behind fields without names, and once.
    fn check_epoch_column(&self, names: &[crate::ColumnName]) -> Result<(), WriteAheadError> {
        let refused = |why: String| Err(WriteAheadError::Refused { why });
        let last = self.session.opened.columns.last().is_some_and(|(name, _)| name == EPOCH);
        let (table, writes) = (self.process().courier.table(), self.process().options.has_epoch_column());
        match names.iter().filter(|name| *name == EPOCH).count() {
            0 if writes && !last => refused(format!(
                "rows have fields without names, which go by the order of columns, and {EPOCH}, which the sink adds, is not the \
                 last column of {table}"
            )),
            2.. => refused(format!(
                "rows for {table} have a field {EPOCH}, which the sink writes itself: rename it"
            )),
            _ => Ok(()),
        }
    }

    fn column(&self, name: &str) -> Result<Column, WriteAheadError> {
        let columns = &self.session.opened.columns;
        match columns.iter().find(|(column, _)| column == name) {
            Some(known) => Ok(column(known)),
            None => Err(WriteAheadError::NoColumn {
                field: name.to_owned(),
                table: self.process().courier.table(),
                columns: columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// Takes positions of one time.
    fn positions(&mut self, time: &T, positions: impl Iterator<Item = PositionAt>) {
        if self.has_failed() {
            return;
        }
        match self.epoch(time) {
            Ok(Some(epoch)) => {
                self.note(epoch, time);
                self.standing.entry(epoch).or_default().extend(positions);
            }
            Ok(None) => positions.for_each(drop),
            Err(error) => self.process().trouble(error, false),
        }
    }

    /// Everything below the frontier is complete: seals what can be.
    fn reach(&mut self, frontier: Option<T>) {
        if self.sealing.is_some() || self.has_failed() || self.held.is_none() {
            return;
        }
        let last = || self.earliest.keys().next_back().map_or(self.sealed_to, |last| last.saturating_add(1));
        let bound = frontier.as_ref().map_or_else(last, |time| (self.epochs)(time));
        if bound <= self.sealed_to {
            self.hold(frontier.as_ref());
            return;
        }
        if let Err(error) = self.seal(bound) {
            self.process().trouble(error, false);
            return;
        }
        self.sealing = Some((bound, frontier));
    }

    fn seal(&mut self, bound: u64) -> Result<()> {
        let later = self.standing.split_off(&bound);
        for (epoch, positions) in std::mem::replace(&mut self.standing, later) {
            self.give(Job::Positions { epoch, positions });
        }
        let complete: Vec<u64> = self.open.range(..bound).map(|(epoch, _)| *epoch).collect();
        for (number, epoch) in complete.iter().enumerate() {
            self.close(*epoch)?;
            if (number + 1).is_multiple_of(EPOCHS_PER_SEAL) {
                self.give(Job::Seal { to: epoch + 1, tell: false });
            }
        }
        self.give(Job::Seal { to: bound, tell: true });
        Ok(())
    }

    /// Hands on what was sealed.
    fn sealed(&mut self, mut give: impl FnMut(&Capability<T>, SealedFile)) {
        let Some(scribe) = &self.scribe else { return };
        let Ok(Sealed { to, files }) = scribe.sealed.try_recv() else { return };
        let (Some(held), Some((bound, frontier))) = (&self.held, self.sealing.take()) else { return };
        debug_assert_eq!(to, bound);
        for file in files {
            let within = self.earliest.range(file.from().0..file.to().0).map(|(_, time)| time).min();
            if let Some(time) = within {
                self.session.sealed(file.to().0);
                give(&held.delayed(time), file);
            }
        }
        self.sealed_to = to;
        self.process().standing.sealed(self.session.index, to);
        self.earliest = self.earliest.split_off(&to);
        self.session.unsealed(self.earliest.len());
        self.hold(frontier.as_ref());
    }

    /// Lets go of all times but the earliest that is not sealed.
    fn hold(&mut self, frontier: Option<&T>) {
        let unsealed = self.earliest.values().min();
        match [frontier, unsealed].into_iter().flatten().min() {
            Some(time) => {
                if let Some(held) = &mut self.held
                    && held.time() < time
                {
                    held.downgrade(time);
                }
            }
            None => self.held = None,
        }
    }

    fn warn_of_long_values(&mut self) {
        let seen = self.encoder.long_values();
        if seen.count > self.long_values {
            let (count, table) = (seen.count - self.long_values, self.process().courier.table());
            tracing::warn!(
                count,
                longest = seen.longest,
                field = seen.field,
                table,
                "values above 1 MB: {LONG}"
            );
            self.process().courier.counters.long_values(count);
            self.long_values = seen.count;
        }
    }
}

fn column((name, kind): &(String, String)) -> Column {
    Column { name: name.clone(), column_type: kind.clone() }
}

const LONG: &str = "the service cuts strings there and stores dynamics as null, unless the column's encoding policy has a \
                    larger MaxValueSize; a start copies these policies to the staging table";

impl<T: Timestamp, D, E> Drop for Logger<T, D, E> {
    fn drop(&mut self) {
        self.session.process.detach();
    }
}

/// The writer of a worker, until its operator takes it.
pub(super) type WriterSlot = RefCell<Option<epoch_log::Writer>>;
