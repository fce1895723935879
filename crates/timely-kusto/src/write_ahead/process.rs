//! What the workers of a process share: the connection, the limits, the logs, and how a run goes.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use commit_protocol::Lineage;
use crossbeam_channel::{Receiver, Sender};
use futures::FutureExt;
use kusto_client::Service;
use timely::scheduling::activate::SyncActivator;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::early::Early;
use super::epoch_chunks::EpochChunks;
use super::error::Told;
use super::message::{Message, Opened};
use super::pressure::{Pressure, STAGING};
use super::service::Desk;
use super::shelf::Shelf;
use super::standing::Standing;
use super::{WriteAheadError, WriteAheadOptions, names};
use crate::budget::Budget;
use crate::codec::{Codec, Gzip};
use crate::delivery::{Courier, Watch};
use crate::failure::{Failure, said};
use crate::options::WriteOptions;
use crate::{Result, SinkError};

/// Chunks of a process that are being staged at a time: each waits for its status, and holds little but its name. More
/// would only fill the service's queues.
const MAX_STAGING: usize = 1024;

/// Bytes that a permit for a body in memory stands for.
const BODY_UNIT: usize = 4 << 10;

/// See the module.
pub(crate) struct Process {
    /// Tells processes apart.
    pub(super) id: u64,
    pub(super) options: WriteAheadOptions,
    pub(super) lineage: Lineage,
    pub(super) courier: Arc<Courier>,
    pub(super) desk: Desk,
    pub(super) budget: Arc<Budget>,
    pub(super) failure: Arc<Failure>,
    pub(super) pressure: Arc<Pressure>,
    pub(super) log: epoch_log::Log,
    pub(super) shelf: Shelf,
    pub(super) early: Early,
    pub(super) epoch_chunks: EpochChunks,
    pub(super) standing: Standing,
    /// Bodies that are read and uploaded at a time.
    pub(super) uploads: Semaphore,
    /// Memory that these bodies may take, in [`BODY_UNIT`]s: half of the sink's, so that the log takes rows also when no
    /// upload gets through.
    pub(super) bodies: Semaphore,
    all_body_units: u32,
    pub(super) staging: Semaphore,
    pub(super) logs: Mutex<Logs>,
    /// The last order that a worker of this process has taken. Each worker hears all of them in their order.
    taken: AtomicU64,
    pub(super) opened: OnceLock<Opened>,
    pub(super) progress: Mutex<Progress>,
    /// What workers are to send to others; any agent of the process does.
    pub(super) outbox: (Sender<Message>, Receiver<Message>),
    agents: Mutex<Vec<SyncActivator>>,
    operators: Mutex<usize>,
    /// A worker was asked to stop before the start was over: what others say about it is no failure here.
    given_up: AtomicBool,
    /// The run is over, well or not: nothing more is tried.
    over: AtomicBool,
    runtime: Option<Runtime>,
}

/// The logs that this process holds during a start.
#[derive(Debug, Default)]
pub(super) struct Logs {
    /// Directories of earlier starts, under their locks.
    pub(super) adopted: Vec<epoch_log::Adopted>,
    /// The new directories, until their workers take them.
    pub(super) writers: BTreeMap<u32, epoch_log::Writer>,
}

/// How far the run is, from the driver to the commit operator.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Epochs below are committed.
    pub(super) below: u64,
    /// The last intent is settled.
    pub(super) closed: bool,
    pub(super) wake: Option<SyncActivator>,
}

impl Process {
    /// Threads for requests. They only wait for the network; compression and files have threads of their own.
    const REQUEST_THREADS: usize = 2;

    pub(super) fn new(
        service: Arc<dyn Service>,
        write: WriteOptions,
        options: WriteAheadOptions,
    ) -> Result<Arc<Self>> {
        options.check(&write)?;
        let lineage = options.lineage(&write);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(Self::REQUEST_THREADS)
            .max_blocking_threads(write.compressors() + write.uploads() + 2)
            .thread_name("timely-kusto")
            .enable_all()
            .build()
            .map_err(SinkError::Runtime)?;
        let codec: Arc<dyn Codec> = Arc::new(Gzip::new(write.compression_level())?);
        let failure = Arc::new(Failure::default());
        let budget = Budget::new(write.memory());
        let log_budget = Arc::new(options.budget().map_err(WriteAheadError::from)?);
        let log_lineage = names::lineage(lineage).map_err(WriteAheadError::from)?;
        let log = options.log(log_lineage).budget_of(Arc::clone(&log_budget));
        let uploads = Semaphore::new(write.uploads());
        let all_body_units = u32::try_from(write.memory() / 2 / BODY_UNIT).unwrap_or(u32::MAX).max(1);
        let bodies = Semaphore::new(all_body_units as usize);
        let desk = Desk::new(Arc::clone(&service), &write, options.pipeline(), lineage);
        let courier = Courier::new(service, Arc::new(write), codec, Arc::clone(&failure));
        let pressure = Pressure::new(Arc::clone(&budget), log_budget, options.most_open_epochs());
        let pressure = Arc::new(pressure);
        let told = Arc::clone(&pressure);
        let _ = courier.watch.set(Watch(Box::new(move |error| told.stalled(STAGING, error)))); // just made
        Ok(Arc::new(Process {
            id: rand::random(),
            options,
            lineage,
            courier,
            desk,
            budget,
            failure,
            pressure,
            log,
            shelf: Shelf::default(),
            early: Early::default(),
            epoch_chunks: EpochChunks::default(),
            standing: Standing::default(),
            uploads,
            bodies,
            all_body_units,
            staging: Semaphore::new(MAX_STAGING),
            logs: Mutex::default(),
            taken: AtomicU64::new(0),
            opened: OnceLock::new(),
            progress: Mutex::default(),
            outbox: crossbeam_channel::unbounded(),
            agents: Mutex::default(),
            operators: Mutex::new(0),
            given_up: AtomicBool::new(false),
            over: AtomicBool::new(false),
            runtime: Some(runtime),
        }))
    }

    /// Stops the sink in this process. The first failure counts.
    pub(super) fn fail(&self, error: impl Into<SinkError>) {
        let error = error.into();
        if is_consequence(&error) {
            return;
        }
        self.failure.set(error);
        self.budget.close();
        self.pressure.wake();
        self.wake_agents();
    }

    /// A worker has told that this process failed, or another one.
    pub(super) fn fail_as_told(&self, told: Told) {
        if !self.given_up.load(SeqCst) {
            self.fail(WriteAheadError::from(told));
        }
    }

    /// The start is given up here.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, SeqCst);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    /// Ends what is under way: the operators are gone.
    pub(super) fn end(&self) {
        self.over.store(true, SeqCst);
    }

    /// Whether the state directory has been used before: by this pipeline, or by one of another name, database or table. If
    /// the service then does not know the pipeline, somebody renamed it or points at another cluster; it would read
    /// everything again.
    pub(super) fn has_local_logs(&self) -> bool {
        self.log.lineages().is_ok_and(|lineages| !lineages.is_empty())
    }

    /// Whether nothing more is to be tried.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(SeqCst) || self.has_failed()
    }

    /// A failure of one part, which ends the sink in all processes. With `look` worker 0 looks first whether this start was
    /// fenced, which then is the reason.
    pub(super) fn trouble(&self, error: impl Into<SinkError>, look: bool) {
        let error = error.into();
        if self.has_failed() || is_consequence(&error) {
            return;
        }
        self.post(Message::Trouble { told: Told::from(&error), look });
        if !look {
            self.fail(error);
        }
    }

    /// Has a message sent to worker 0, or, of a trouble that needs no look, to all.
    pub(super) fn post(&self, message: Message) {
        let _ = self.outbox.0.send(message); // the receiver lives as long as this
        self.wake_agents();
    }

    pub(super) fn register_agent(&self, agent: SyncActivator) {
        self.failure.register(agent.clone());
        lock(&self.agents).push(agent);
    }

    /// Workers of this process, all of which have an agent by the end of the start.
    pub(super) fn workers(&self) -> usize {
        lock(&self.agents).len()
    }

    pub(super) fn wake_agents(&self) {
        for agent in lock(&self.agents).iter() {
            let _ = agent.activate(); // a worker that is gone has nothing to say
        }
    }

    /// The order is new to this process: its part that is done once is done by who asks first.
    pub(super) fn is_first(&self, order: u64) -> bool {
        self.taken.fetch_max(order, SeqCst) < order
    }

    /// Tells the commit operator.
    pub(super) fn tell_progress(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = lock(&self.progress);
        change(&mut progress);
        if let Some(operator) = &progress.wake {
            let _ = operator.activate(); // the dataflow may be gone
        }
    }

    pub(super) fn attach(&self) {
        *lock(&self.operators) += 1;
    }

    pub(super) fn detach(&self) {
        *lock(&self.operators) -= 1;
    }

    /// Waits until a body of so many bytes may be in memory. One that is larger than all there is waits for all of it.
    pub(super) async fn room_for_body(&self, bytes: u64) -> Result<SemaphorePermit<'_>> {
        let permits = self.bodies.acquire_many(self.body_units(bytes)).await;
        permits.map_err(|_| SinkError::Stopped)
    }

    /// Permits for a body.
    pub(super) fn body_units(&self, bytes: u64) -> u32 {
        let units = u32::try_from(bytes.div_ceil(BODY_UNIT as u64)).unwrap_or(u32::MAX);
        units.clamp(1, self.all_body_units)
    }

    /// Chunks that are being staged.
    pub(super) fn staging_in_flight(&self) -> u64 {
        MAX_STAGING.saturating_sub(self.staging.available_permits()) as u64
    }

    /// LOG operators in this process.
    pub(super) fn operators(&self) -> usize {
        *lock(&self.operators)
    }

    /// Runs `task` on the sink's threads; after shutdown it is dropped. If it panics, the sink fails: others wait for
    /// what it would have said.
    pub(super) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let process = Arc::clone(self);
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move {
                if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                    process.broke(&*panic);
                }
            });
        }
    }

    /// Runs `work`, which touches files, on a thread made for it; a panic is as one of a task.
    pub(super) fn spawn_blocking(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) {
        let process = Arc::clone(self);
        if let Some(runtime) = &self.runtime {
            runtime.spawn_blocking(move || process.guard(work));
        }
    }

    /// Runs `work` here; if it panics, the sink fails.
    pub(super) fn guard(&self, work: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            self.broke(&*panic);
        }
    }

    fn broke(&self, panic: &(dyn Any + Send)) {
        self.trouble(SinkError::Broken(said(panic)), false);
    }
}

/// A consequence of a failure, not the failure.
fn is_consequence(error: &SinkError) -> bool {
    match error {
        SinkError::Stopped => true,
        SinkError::WriteAhead(inner) => matches!(**inner, WriteAheadError::Ended),
        _ => false,
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not to block whoever drops last, be it an async thread: requests under way are given up.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process")
            .field("table", &self.courier.table())
            .field("lineage", &self.lineage)
            .field("failure", &self.failure)
            .field("pressure", &self.pressure)
            .finish_non_exhaustive()
    }
}
