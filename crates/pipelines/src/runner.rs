//! Binds a source to a sink: on workers and processes, with back-pressure, and through restarts.
//!
//! ```text
//!  process 0, worker 0: ticks, stop, kept positions ──► control, broadcast to all workers
//!                                                          │
//!  every worker:   read ──batches──► (exchange) convert ──rows──► sink ──clock──┐
//!                   ▲ │ positions, at the end of an epoch    │                  ▼
//!                   │ └──────────────────────────────────────┼──► keep (worker 0) ──► <state>/positions
//!                   └───────────── credits ◄─────────────────┘
//! ```
//!
//! Invariants, cited in the tests:
//!
//! 1. **At least once.** A position is kept only after the sink's clock has passed the epoch it closes: every row
//!    before it is delivered.
//! 2. **Nothing twice without a failure.** A graceful stop and the end of a source deliver all that was read and keep
//!    the positions behind it.
//! 3. **Epochs are process 0's.** It ticks, the others follow by what they receive. No decision hangs on a clock; a
//!    long epoch only means that more is read again after a crash. Epoch numbers go on over restarts.
//! 4. **Back-pressure.** A reader has credit for [`RunOptions::window`] bytes. A converter gives it back when the rows
//!    are with the sink, and does not convert while its sink is full. So what lies between reader and sink is bounded on
//!    every worker, and a slow host slows the readers and nothing else. Nobody polls in a loop: arrivals, credits, the
//!    sink and timers wake the operators.
//! 5. **One error ends all.** The first error of any worker, a panic included, ends every worker of every process with
//!    that error; a process that is gone before it could tell, or hangs, with an error that names it.
//!    What was delivered until then is kept.
//! 6. **Partitions have no owner.** They are dealt to workers anew at each start, so workers and processes may be more
//!    or fewer the next time, and more than there are partitions.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use timely::communication::allocator::ProcessBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::{AllocatorBuilder, Hooks};
use timely::execute::execute_from;
use timely::worker::Worker;
use timely::{CommunicationConfig, WorkerConfig};

use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;
use crate::state::Identity;

mod assemble;
mod convert;
mod drive;
mod keep;
mod message;
mod monitor;
mod network;
mod read;
mod report;
mod shared;
mod sink;
mod sink_v2;
mod stop;
mod throttle;
mod write_ahead;

pub use convert::{Stage, Unchanged};
pub use monitor::{Milestone, Monitor, Reading, SinkReading};
pub use report::{Progress, Report, RetriedFor, Times};
pub use sink::{Gauge, PipelineSink};
pub use sink_v2::EncodedSinkV2;
pub use stop::StopHandle;
pub use write_ahead::EncodedWriteAhead;

use shared::Shared;

/// How a pipeline runs.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where workers run.
    pub topology: Topology,
    /// The length of an epoch. Default: 10 s.
    pub checkpoint_interval: Duration,
    /// The most rows per second, over all workers; as fast as it goes when absent. Default: absent.
    pub rate: Option<u64>,
    /// Bytes that a worker may have read and not yet handed to the sink. Default: 8 MiB: several blocks for each of
    /// many workers.
    pub window: usize,
    /// How long a stop waits until what was read is delivered, if the sink can deliver the rest at the next start: the
    /// write-ahead sink can. Default: 1 minute: a commit of the service takes seconds, and supervisors wait for 90 s.
    pub stop_timeout: Duration,
    /// How often [`Progress`] is shown. Default: 500 ms.
    pub progress_interval: Duration,
    /// How long this process waits for the others of its cluster. Default: 5 minutes, for hosts that are started one
    /// after another.
    pub join_timeout: Duration,
    /// How long another process of the cluster may be silent until it counts as lost; each says a word four times as
    /// often. Default: 60 s, longer than a machine that works is ever held up, and than a short break of the network.
    pub peer_timeout: Duration,
    /// Where the run can be read from. Default: one that nobody reads.
    pub monitor: Monitor,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            topology: Topology::workers(1),
            checkpoint_interval: Duration::from_secs(10),
            rate: None,
            window: 8 << 20,
            stop_timeout: Duration::from_secs(60),
            progress_interval: Duration::from_millis(500),
            join_timeout: Duration::from_secs(300),
            peer_timeout: Duration::from_secs(60),
            monitor: Monitor::new(),
        }
    }
}

/// Where workers run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Workers (threads) in this process.
    pub workers: usize,
    /// This process, counted from 0.
    pub process: usize,
    /// `host:port` of every process, in order; empty for one process alone.
    pub hosts: Vec<String>,
}

impl Topology {
    /// One process with so many workers.
    pub fn workers(workers: usize) -> Self {
        Topology { workers, process: 0, hosts: Vec::new() }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Options`] naming what cannot be.
    pub fn validate(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Options, what));
        let processes = self.hosts.len().max(1);
        if !(1..=1024).contains(&self.workers) {
            return wrong(format!("workers is {}: it must be 1 to 1024", self.workers));
        }
        if self.process >= processes {
            return wrong(format!("process is {}: there are {processes}, counted from 0", self.process));
        }
        Ok(())
    }

    fn is_cluster(&self) -> bool {
        self.hosts.len() > 1
    }
}

/// What is run: a source, what makes rows of its batches, and a sink.
#[derive(Debug)]
pub struct Job<S, M, K> {
    /// What is read.
    pub source: S,
    /// Makes the stage of one worker, which turns batches into rows.
    pub stage: M,
    /// Where the rows go.
    pub sink: K,
    /// The state directory, and whose it is. Used on process 0 only.
    pub state: (std::path::PathBuf, Identity),
}

/// Runs a pipeline until its source ends, it is stopped, or something fails.
///
/// Returns when every row that was read is delivered and the positions behind it are kept, or with the error that
/// ended it, on every process. `observe` is called now and then by one worker of this process; it must not block.
///
/// # Errors
/// The first error of any worker of any process; see [`ErrorKind`].
pub fn run<S, M, G, K>(
    job: Job<S, M, K>,
    options: &RunOptions,
    stop: &StopHandle,
    observe: impl Fn(&Progress) + Send + Sync + 'static,
) -> Result<Report>
where
    S: Source,
    M: Fn() -> G + Send + Sync + 'static,
    G: Stage<Batch = S::Batch>,
    K: PipelineSink<G::Row>,
{
    options.topology.validate()?;
    let started = Instant::now();
    let shared = Arc::new(Shared::new(options.clone(), stop.clone(), Box::new(observe)));
    let job = Arc::new(job);
    let _watched = watch(&shared, &job, started);
    let report = || shared.report(&job.sink.stats(), job.sink.retry_causes(), started.elapsed());
    let (workers_job, workers_shared) = (Arc::clone(&job), Arc::clone(&shared));
    let Some((builders, threads)) = communication(&shared)? else {
        shared.stopped(true);
        return Ok(report());
    };
    options.monitor.tell(Milestone::Together);
    let guards = execute_from(builders, threads, WorkerConfig::default(), move |worker| {
        guarded(worker, &workers_job, &workers_shared);
    });
    let guards = guards.map_err(not_started)?;
    // Threads that serve the network tell of a process that is gone by a panic, which joining them passes on.
    let joined = catch_unwind(AssertUnwindSafe(|| {
        guards
            .join()
            .into_iter()
            .filter_map(Result::err)
            .for_each(|panic| shared.fail(broke_down(&panic, &shared)));
    }));
    if let Err(panic) = joined {
        shared.fail(broke_down(panic_text(&*panic), &shared));
    }
    shared.lines.close();
    match shared.take_error() {
        Some(error) => Err(error),
        None => Ok(report()),
    }
}

/// Has a run watched until what this returns is dropped.
fn watch<S, M, G, K>(shared: &Arc<Shared>, job: &Arc<Job<S, M, K>>, started: Instant) -> Ended
where
    S: Source,
    M: Fn() -> G + Send + Sync + 'static,
    G: Stage<Batch = S::Batch>,
    K: PipelineSink<G::Row>,
{
    // Not to keep what is watched: the monitor may outlive it.
    let (run, job) = (Arc::downgrade(shared), Arc::downgrade(job));
    let monitor = shared.options.monitor.clone();
    monitor.begin(move || {
        let (Some(run), Some(job)) = (run.upgrade(), job.upgrade()) else { return Reading::default() };
        let report = run.report(&job.sink.stats(), job.sink.retry_causes(), started.elapsed());
        Reading { running: true, report, epoch: run.epoch(), sink: job.sink.reading() }
    });
    Ended(monitor)
}

/// Ends the watching when it is dropped.
struct Ended(Monitor);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What the workers talk through, one builder each, and the threads behind it.
type Communication = (Vec<AllocatorBuilder>, Box<dyn Any + Send>);

/// Makes it; `None` when a stop came before all processes were there.
fn communication(shared: &Shared) -> Result<Option<Communication>> {
    let options = &shared.options;
    let workers = options.topology.workers;
    if !options.topology.is_cluster() {
        let config = match workers {
            1 => CommunicationConfig::Thread,
            workers => CommunicationConfig::Process(workers),
        };
        return config.try_build().map(Some).map_err(not_started);
    }
    let waiting = |whom| shared.show_waiting_for(whom);
    let Some(sockets) = network::connect(&options.topology, options.join_timeout, &shared.stop, waiting)?
    else {
        return Ok(None);
    };
    let lines = shared.lines.open(&options.topology, sockets, options.peer_timeout)?;
    let hooks = Hooks::default();
    let local = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), hooks.spill.clone());
    let process = options.topology.process;
    let built = initialize_networking_from_sockets(local, lines, process, workers, hooks);
    let (builders, threads) = built.map_err(|error| not_started(error.to_string()))?;
    Ok(Some((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(threads))))
}

/// Tells the other processes of the pipeline that this one failed before it could run, so that they do not wait for it.
/// Takes a few seconds where they are not there.
pub fn tell_others(topology: &Topology, error: &Error, stop: &StopHandle) {
    if topology.is_cluster() {
        network::take_leave(topology, error, stop);
    }
}

fn not_started(error: String) -> Error {
    worker_error(format!("the workers could not be started: {error}"))
}

/// A worker whose panic is an error like others.
fn guarded<S, M, G, K>(worker: &mut Worker, job: &Arc<Job<S, M, K>>, shared: &Arc<Shared>)
where
    S: Source,
    M: Fn() -> G + Send + Sync + 'static,
    G: Stage<Batch = S::Batch>,
    K: PipelineSink<G::Row>,
{
    let worked = catch_unwind(AssertUnwindSafe(|| {
        match assemble::open(worker, job, shared) {
            Some(session) => {
                let parts = assemble::dataflow(worker, job, shared, session);
                drive::drive(worker, parts, shared);
                shared.worked();
            }
            // What was built to open the sink has told the others.
            None => drive::drop_all(worker),
        }
    }));
    if let Err(panic) = worked {
        let error = broke_down(panic_text(&*panic), shared);
        let told = error.tell();
        shared.fail(error);
        // This worker's dataflow cannot tell any more. Another one of the process may; if none does, the other
        // processes notice by their connections.
        if shared.options.topology.is_cluster()
            && (shared.lines.loss().is_some() || !drive::others_tell(shared))
        {
            shared.lines.hang_up(Some(&told));
        }
        drive::drop_all(worker);
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message")
}

/// What timely's panics say when another process is gone.
const GONE: [&str; 3] = ["MergeQueue poisoned", "timely communication error", "thread panic"];

/// What a panic of timely's means: a process that was lost is named, by whoever noticed it first.
fn broke_down(panic: &str, shared: &Shared) -> Error {
    if !GONE.iter().any(|gone| panic.contains(gone)) {
        return worker_error(format!("a worker broke down: {panic}"));
    }
    if !shared.has_failed()
        && let Some(lost) = shared.lines.loss_soon()
    {
        return lost;
    }
    let text = format!("the connection to another process of the pipeline broke ({panic})");
    Error::new(ErrorKind::Worker, text).with_advice(
        "the output of the other process tells why it ended; start all of them again: they go on where the kept \
         positions are",
    )
}

fn worker_error(text: String) -> Error {
    Error::new(ErrorKind::Worker, text).with_advice(
        "start again: it goes on where the kept positions are; if it comes back, report it as a defect",
    )
}
