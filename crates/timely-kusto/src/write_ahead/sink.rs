//! The sink of one worker, from its opening on.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use commit_protocol::{Attempt, ChunkId, Generation, StagingName, Tag};
use kusto_client::{Client, ConnectionOptions, Service};
use timely::worker::Worker;
use tokio::sync::mpsc::UnboundedSender;

use super::agent::{Agent, Desk};
use super::audit::Audit;
use super::bus::{self, Line};
use super::driver::{Driver, Heard};
use super::error::{STOPPED, Told};
use super::init::Initialized;
use super::log::WriterSlot;
use super::message::{Message, Opened};
use super::process::{Process, lock};
use super::resolve::{Undecided, Verdict};
use super::scribe::Scribe;
use super::standing::WriteAheadState;
use super::{Reader, ReaderMade, WriteAheadError, WriteAheadOptions};
use crate::delivery::trouble::RetryCause;
use crate::encode::SerdeEncoder;
use crate::options::WriteOptions;
use crate::row_hash::RowHash;
use crate::stats::SinkStats;
use crate::{Result, SinkError};

/// What all workers of a process open their sinks from: the connection, the options, the limits.
///
/// Made once per process and run, before `timely::execute`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WriteAhead {
    pub(super) process: Arc<Process>,
}

impl WriteAhead {
    /// Prepares a connection. Nothing is sent before a sink is opened.
    ///
    /// # Errors
    /// When options cannot work together, or threads cannot be started.
    pub fn connect(
        connection: &ConnectionOptions,
        write: &WriteOptions,
        options: WriteAheadOptions,
    ) -> Result<Self> {
        let client = Client::connect(connection.clone()).map_err(|source| SinkError::Service {
            rows: 0,
            table: crate::delivery::qualified(write),
            attempts: 1,
            after: Default::default(),
            source,
        })?;
        Self::with_service(Arc::new(client), write.clone(), options)
    }

    /// The same over any [`Service`].
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn with_service(
        service: Arc<dyn Service>,
        write: WriteOptions,
        options: WriteAheadOptions,
    ) -> Result<Self> {
        Process::new(service, write, options).map(|process| WriteAhead { process })
    }

    /// Makes the first tables of the pipeline unless they are there, as the first start does. Waits for the service; not to be
    /// called from asynchronous code.
    ///
    /// # Errors
    /// When a right is missing, with the command that grants it; when the service refuses; when epoch files are here and
    /// the service does not know the pipeline.
    pub fn init(&self) -> Result<Initialized, SinkError> {
        self.ask(|process| async move { super::init::init(&process).await })
    }

    /// Makes the function that shows the collection in the target, and its materialized view, unless they are there. Waits as
    /// [`init`](Self::init) does, and until the view has taken in what the table holds.
    ///
    /// # Errors
    /// When the target lacks a column of the mode or of the key; when a function or a view of that name is somebody else's; when
    /// a right is missing, with the command that grants it: Database User for a function, Database Admin for a view; when the
    /// view is not complete within [`Deadlines::view`](super::Deadlines::view), or cannot be asked about: the service goes on
    /// making it, as the error says, and the same call later finds it.
    pub fn init_reader(&self, reader: &Reader) -> Result<ReaderMade, SinkError> {
        let reader = reader.clone();
        self.ask(
            |process| async move { process.desk.make_reader(&reader, process.options.waits().view).await },
        )
    }

    /// The rights that the caller lacks for a start, each as the error that a start would end with: who lacks which role,
    /// and the command that grants it. Waits as [`init`](Self::init) does.
    ///
    /// # Errors
    /// When the service cannot be asked.
    pub fn missing_rights(&self) -> Result<Vec<WriteAheadError>, SinkError> {
        self.ask(|process| async move { process.desk.missing_rights().await })
    }

    /// Compares the rows that intents promise with those that the table shows. Changes nothing, and may be asked while the
    /// pipeline runs, here or elsewhere. Waits as [`init`](Self::init) does.
    ///
    /// # Errors
    /// When the service does not know the pipeline or cannot be asked; when `kt_epochs` or the tables of the pipeline are
    /// damaged.
    pub fn audit(&self) -> Result<Audit, SinkError> {
        self.ask(|process| async move { super::audit::audit(&process).await })
    }

    /// The intent that a person has to decide about, if there is one: a start ends with "may or may not be in the target"
    /// because of it. Waits as [`init`](Self::init) does.
    ///
    /// # Errors
    /// As [`audit`](Self::audit).
    pub fn undecided(&self) -> Result<Option<Undecided>, SinkError> {
        self.ask(|process| async move { super::resolve::undecided(&process).await })
    }

    /// Records what a person found out about an intent, for the next start to follow. Waits as [`init`](Self::init) does.
    ///
    /// # Errors
    /// When the evidence speaks against it, a decision is recorded already, or a start has taken over since
    /// [`undecided`](Self::undecided); when a right is missing or the service cannot be asked.
    pub fn resolve(&self, undecided: &Undecided, verdict: Verdict) -> Result<(), SinkError> {
        let undecided = undecided.clone();
        self.ask(|process| async move { super::resolve::resolve(&process, &undecided, verdict).await })
    }

    /// Has the sink's threads do something, and waits for it.
    fn ask<T, F>(&self, work: impl FnOnce(Arc<Process>) -> F) -> Result<T, SinkError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, WriteAheadError>> + Send + 'static,
    {
        let work = work(Arc::clone(&self.process));
        let (tell, told) = crossbeam_channel::bounded(1);
        self.process.spawn(async move {
            let _ = tell.send(work.await); // who asked waits for it
        });
        Ok(told.recv().unwrap_or(Err(WriteAheadError::Ended))?)
    }

    /// What the sink has done so far in this process.
    pub fn stats(&self) -> SinkStats {
        self.process.courier.counters.read()
    }

    /// What was tried again so far in this process, by cause.
    pub fn retry_causes(&self) -> Vec<RetryCause> {
        self.process.courier.troubles.read()
    }

    /// How far the sink is in this process, and its limits. Readable at any time, from any thread.
    pub fn state(&self) -> WriteAheadState {
        self.process.state()
    }

    /// What the sink is waiting for, in words, if it is not just working.
    pub fn waiting_for(&self) -> Option<String> {
        self.process.pressure.doing()
    }

    /// The options that rows are written with.
    pub fn options(&self) -> &WriteOptions {
        &self.process.courier.options
    }
}

/// Where a run goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Rows of epochs below are in the table.
    pub first_epoch: u64,
    /// Where each source partition goes on. One that is not listed starts at its beginning.
    pub positions: BTreeMap<String, Vec<u8>>,
}

/// The sink of one worker, opened: older starts are fenced and what they left is finished.
pub struct WriteAheadSink {
    pub(super) session: Rc<Session>,
}

impl WriteAheadSink {
    /// Opens the sink on this worker. Every worker of every process does so, and as the first thing: it builds a dataflow
    /// and steps `worker` until the start is over, on all workers alike.
    ///
    /// # Errors
    /// On all workers the same: a right is missing, another start fenced this one, a person has to decide, or the service or
    /// the disk failed. [`SinkError::exit_code`] says which.
    pub fn open(worker: &mut Worker, ahead: &WriteAhead) -> Result<Self, Arc<SinkError>> {
        Self::open_while(worker, ahead, || true)?.ok_or_else(|| Arc::new(SinkError::Stopped))
    }

    /// The same, given up when `go_on`, which is asked now and then, says no: then nothing is returned here, and other
    /// processes end with an error that says so.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_while(
        worker: &mut Worker,
        ahead: &WriteAhead,
        go_on: impl Fn() -> bool,
    ) -> Result<Option<Self>, Arc<SinkError>> {
        let process = &ahead.process;
        let (line, seat, dataflow) = join(worker, process);
        while process.opened.get().is_none() {
            if let Some(error) = process.failure.get().cloned() {
                leave(worker, dataflow);
                return Err(error);
            }
            if !go_on() {
                let message = "stopped before the start was over; nothing is lost, start again".to_owned();
                process.give_up();
                process.post(Message::Trouble { told: Told { exit_code: STOPPED, message }, look: false });
                leave(worker, dataflow);
                process.end();
                return Ok(None);
            }
            worker.step_or_park(Some(std::time::Duration::from_millis(200)));
        }
        let Some(opened) = process.opened.get().cloned() else { return Ok(None) };
        let index = u32::try_from(worker.index()).unwrap_or(u32::MAX);
        let writer = lock(&process.logs).writers.remove(&index);
        let session = Session {
            process: Arc::clone(process),
            index,
            peers: worker.peers(),
            opened,
            seat,
            writer: RefCell::new(writer),
            sealed: RefCell::default(),
            unsealed: Cell::new(0),
            folding: Cell::new(0),
            _line: line,
        };
        Ok(Some(WriteAheadSink { session: Rc::new(session) }))
    }

    /// Where sources go on, and the first epoch that counts.
    pub fn resume(&self) -> Resume {
        let Opened { first_epoch, positions, .. } = &self.session.opened;
        Resume { first_epoch: *first_epoch, positions: positions.iter().cloned().collect() }
    }
}

impl std::fmt::Debug for WriteAheadSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteAheadSink")
            .field("worker", &self.session.index)
            .field("opened", &self.session.opened)
            .finish_non_exhaustive()
    }
}

/// Takes part in the talk of all workers; worker 0 starts the driver.
fn join(worker: &mut Worker, process: &Arc<Process>) -> (Rc<Line>, Option<Seat>, usize) {
    let (index, peers) = (worker.index(), worker.peers());
    let (heard, driver) = tokio::sync::mpsc::unbounded_channel();
    let (give, orders) = crossbeam_channel::unbounded();
    let seat = (index == 0).then(|| Seat { driver: heard.clone() });
    let desk = seat.is_some().then_some(Desk { driver: heard, orders });
    let mut wake = None;
    let (line, dataflow) = bus::connect(worker, |line, activator| {
        process.register_agent(activator.clone());
        wake = Some(activator);
        Agent {
            process: Arc::clone(process),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            peers,
            line,
            desk,
        }
    });
    if let Some(wake) = wake.filter(|_| index == 0) {
        process.spawn(Driver::new(Arc::clone(process), peers, driver, give, wake).drive());
    }
    let local_logs = process.has_local_logs();
    line.send(0, Message::Hello { process: process.id, worker: index as u64, local_logs });
    (line, seat, dataflow)
}

/// Leaves a start that failed. What it had to tell the others was sent by the step in which it was heard.
fn leave(worker: &mut Worker, dataflow: usize) {
    for _ in 0..2 {
        worker.step();
    }
    worker.drop_dataflow(dataflow);
}

/// Worker 0's way to its driver.
pub(super) struct Seat {
    driver: UnboundedSender<Heard>,
}

impl Seat {
    pub(super) fn tell(&self, heard: Heard) {
        let _ = self.driver.send(heard); // a driver that has ended has said why
    }
}

/// What the operators of one worker share.
pub(super) struct Session {
    pub(super) process: Arc<Process>,
    pub(super) index: u32,
    /// Workers of all processes.
    pub(super) peers: usize,
    pub(super) opened: Opened,
    pub(super) seat: Option<Seat>,
    pub(super) writer: WriterSlot,
    /// Where the epoch files end that are not committed.
    pub(super) sealed: RefCell<VecDeque<u64>>,
    /// Epochs with rows or positions that are not sealed.
    pub(super) unsealed: Cell<usize>,
    /// Epochs with changes of collections that are not complete.
    pub(super) folding: Cell<usize>,
    pub(super) _line: Rc<Line>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.process.end();
    }
}

impl Session {
    pub(super) fn generation(&self) -> Generation {
        self.opened.staging.start.generation
    }

    /// An encoder of records, as the options want rows.
    pub(super) fn serde_encoder(&self) -> SerdeEncoder {
        let encoder = SerdeEncoder::new(self.process.courier.options.format());
        if self.process.options.has_epoch_column() { encoder.with_epoch() } else { encoder }
    }

    /// What rows are hashed over, if they are.
    pub(super) fn row_hash(&self) -> Result<Option<RowHash>, WriteAheadError> {
        let parsed = self.opened.hashed.as_deref().map(RowHash::parse).transpose();
        parsed.map_err(|source| WriteAheadError::Refused { why: source.to_string() })
    }

    /// Stops the sink unless the target has the columns that the options demand.
    pub(super) fn check_columns(&self) {
        let table = self.process.courier.table();
        if let Err(error) = self.process.options.check_columns(&table, &self.opened.columns) {
            self.process.trouble(error, false);
        }
    }

    pub(super) fn staging(&self) -> StagingName {
        self.opened.staging.into()
    }

    pub(super) fn tag(&self, chunk: ChunkId, attempt: Attempt) -> Tag {
        Tag { lineage: self.opened.staging.lineage, generation: self.generation(), chunk, attempt }
    }

    /// Starts the thread that writes this worker's files; a failure is the sink's.
    pub(super) fn scribe(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Option<Scribe> {
        let started = || {
            let twice = WriteAheadError::Options {
                option: "a sink",
                why: "it is in a dataflow already: open another",
            };
            let mut writer = self.writer.borrow_mut().take().ok_or(twice)?;
            writer.begin_at(epoch_log::Epoch(self.opened.first_epoch))?;
            Scribe::start(Arc::clone(&self.process), writer, wake)
        };
        started().map_err(|error| self.process.trouble(error, false)).ok()
    }

    /// A file that ends there is sealed.
    pub(super) fn sealed(&self, to: u64) {
        self.sealed.borrow_mut().push_back(to);
    }

    /// So many epochs have rows or positions and are not sealed.
    pub(super) fn unsealed(&self, epochs: usize) {
        self.unsealed.set(epochs);
        self.count();
    }

    /// So many epochs have changes of collections and are not complete.
    pub(super) fn folding(&self, epochs: usize) {
        if self.folding.replace(epochs) != epochs {
            self.count();
        }
    }

    pub(super) fn committed_below(&self, bound: u64) {
        let mut sealed = self.sealed.borrow_mut();
        while sealed.front().is_some_and(|first| *first <= bound) {
            sealed.pop_front();
        }
        drop(sealed);
        self.process.epoch_chunks.forget_below(bound);
        self.count();
    }

    fn count(&self) {
        let open = self.sealed.borrow().len() + self.unsealed.get() + self.folding.get();
        self.process.pressure.set_open(self.index, open as u64);
    }
}
