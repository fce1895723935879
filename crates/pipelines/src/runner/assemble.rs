//! Puts the dataflow of one worker together.

use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::probe::Handle as ProbeHandle;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::vec::input::Input;
use timely::dataflow::operators::{ConnectLoop, Feedback, Probe};
use timely::worker::Worker;

use super::keep::{Keeper, Ledger, Writer, WriterThread, keep};
use super::message::{Control, Credit};
use super::read::GaugeSlot;
use super::shared::Shared;
use super::{Job, PipelineSink, Stage, convert, read};
use crate::error::Result;
use crate::source::Source;
use crate::state::{Positions, StateDir};

/// What drives the dataflow of one worker.
pub(super) struct Parts {
    pub(super) dataflow: usize,
    pub(super) control: InputHandleVec<u64, Control>,
    pub(super) clock: ProbeHandle<u64>,
    pub(super) gauge: GaugeSlot,
    pub(super) writer: Option<WriterThread>,
    /// The first epoch of this run, on worker 0.
    pub(super) epoch: u64,
    pub(super) stats: Box<dyn Fn() -> timely_kusto::SinkStats>,
}

/// What worker 0 starts from.
#[derive(Default)]
struct Begin {
    positions: Positions,
    keeper: Option<Keeper>,
    writer: Option<WriterThread>,
}

/// Opens the sink on this worker; nothing after a failure or a stop.
pub(super) fn open<S, M, G, K>(
    worker: &mut Worker,
    job: &Arc<Job<S, M, K>>,
    shared: &Arc<Shared>,
) -> Option<K::Session>
where
    G: Stage,
    K: PipelineSink<G::Row>,
    M: Fn() -> G,
{
    let showing = worker.index().is_multiple_of(shared.options.topology.workers);
    let go_on = |waiting: Option<String>| {
        if showing && let Some(waiting) = waiting {
            shared.show_waiting_for(waiting);
        }
        !shared.stop.is_requested() && !shared.has_failed()
    };
    match job.sink.open(worker, &go_on) {
        Ok(Some(session)) => return Some(session),
        Ok(None) => shared.stopped(true),
        Err(error) => shared.fail(error),
    }
    None
}

pub(super) fn dataflow<S, M, G, K>(
    worker: &mut Worker,
    job: &Arc<Job<S, M, K>>,
    shared: &Arc<Shared>,
    session: K::Session,
) -> Parts
where
    S: Source,
    M: Fn() -> G + Send + Sync + 'static,
    G: Stage<Batch = S::Batch>,
    K: PipelineSink<G::Row>,
{
    let first = worker.index() == 0;
    let begin = if first { begin(job, shared, &session) } else { Ok(Begin::default()) };
    let (begin, failed) = begin.map_or_else(|error| (Begin::default(), Some(error)), |begin| (begin, None));
    let Begin { positions, keeper, writer } = begin;
    let gauge = GaugeSlot::default();
    let dataflow = worker.next_dataflow_index();

    let (mut control, clock) = worker.dataflow::<u64, _, _>(|scope| {
        let (control, messages) = scope.new_input::<Control>();
        let (credits_in, credits) = scope.feedback::<Vec<Credit>>(1);
        let source = JobSource(Arc::clone(job));
        let read = read::read::<S>(
            scope,
            source,
            messages.broadcast(),
            credits,
            Rc::clone(&gauge),
            Arc::clone(shared),
        );
        let stage = (job.stage)();
        let converted = convert::convert(read.batches, stage, Rc::clone(&gauge), Arc::clone(shared));
        converted.credits.connect_loop(credits_in);
        let (clock, sink) = job.sink.attach(&session, converted.rows, read.positions.clone());
        sink.wake_when_room(read.activator.clone());
        sink.wake_when_room(converted.activator);
        assert!(gauge.set(sink).is_ok(), "the gauge is set once");
        shared.wake(read.activator);
        let (probe, clock) = clock.probe();
        keep(read.positions, clock, Ledger::new(positions.clone()), keeper);
        (control, probe)
    });
    match failed {
        Some(error) => shared.fail(error),
        None if first => {
            control.send(Control::Start { epoch: positions.epoch, positions: positions.partitions });
            control.flush();
        }
        None => {}
    }
    let job = Arc::clone(job);
    let stats = Box::new(move || job.sink.stats());
    Parts { dataflow, control, clock, gauge, writer, epoch: positions.epoch, stats }
}

/// Where worker 0 goes on: at the sink's own positions, or at those in the state directory.
fn begin<S, M, K, R>(job: &Job<S, M, K>, shared: &Arc<Shared>, session: &K::Session) -> Result<Begin>
where
    K: PipelineSink<R>,
{
    if let Some(positions) = job.sink.resume(session) {
        return Ok(Begin { positions, keeper: Some(Keeper::Sink(Arc::clone(shared))), writer: None });
    }
    let (dir, identity) = job.state.clone();
    let state = StateDir::open(dir, identity)?;
    let positions = state.load()?;
    let (writer, thread) = Writer::start(state, Arc::clone(shared))?;
    Ok(Begin { positions, keeper: Some(Keeper::File(writer)), writer: Some(thread) })
}

/// The source of a job, shared.
struct JobSource<S, M, K>(Arc<Job<S, M, K>>);

impl<S, M, K> AsRef<S> for JobSource<S, M, K> {
    fn as_ref(&self) -> &S {
        &self.0.source
    }
}
