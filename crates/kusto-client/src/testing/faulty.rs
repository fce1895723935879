//! A service that fails as told.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::gate::Gate;
use super::store::status;
use crate::{
    Blob, Effect, Error, ErrorKind, FailureStatus, Ingestion, IngestionState, IngestionStatus, Report,
    Result, Service, Table, Ticket, UploadedBlob,
};

/// The five operations of a [`Service`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Service::upload`]
    Upload,
    /// [`Service::queue`]
    Queue,
    /// [`Service::status`]
    Status,
    /// [`Service::command`]
    Command,
    /// [`Service::query`]
    Query,
}

impl Operation {
    const ALL: [Operation; 5] =
        [Operation::Upload, Operation::Queue, Operation::Status, Operation::Command, Operation::Query];

    /// Whether its effect changes the cluster, so that a caller has to know whether it happened.
    fn has_effect(self) -> bool {
        matches!(self, Operation::Upload | Operation::Queue | Operation::Command)
    }
}

/// What goes wrong with one call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The call fails before anything was sent: the error says that there was no effect.
    BeforeEffect(ErrorKind),
    /// Nothing happens, but the caller cannot know: the error says that the effect is unknown.
    RequestLost(ErrorKind),
    /// It happens, and then the answer is lost: the error says that the effect is unknown.
    AfterEffect(ErrorKind),
    /// The service asks to wait so long before the next attempt; nothing happens.
    Throttled(Duration),
    /// It happens twice; the caller hears of the second.
    Twice,
    /// `queue` only: the message is accepted and then lost by the service; its status stays pending.
    MessageLost,
    /// `status` only: this is answered instead.
    Status(IngestionStatus),
    /// `command` and `query` only: it happens, and this is answered instead.
    Answer(Table),
    /// Fails with this error, before anything happened.
    Error(Error),
}

/// How often an operation was called, and how often it failed by order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were begun.
    pub calls: usize,
    /// Calls in which a fault took place.
    pub faults: usize,
}

/// Wraps a service and injects faults: scripted ones first, then those that a seed chooses. A clone is the same
/// wrapper. Without orders it changes nothing.
///
/// ```
/// # use kusto_client::{ErrorKind, testing::{Fault, Faulty, MemoryService, Operation}};
/// let service = Faulty::new(MemoryService::new());
/// service.fail_next(Operation::Queue, Fault::AfterEffect(ErrorKind::Interrupted));
/// service.hold(Operation::Upload); // uploads wait here until `release`
/// # assert_eq!(service.count(Operation::Queue), 0);
/// ```
pub struct Faulty<S>(Arc<Inner<S>>);

type Hook = Arc<dyn Fn(Operation) -> BoxFuture<'static, ()> + Send + Sync>;

struct Inner<S> {
    service: S,
    orders: Mutex<Orders>,
    /// Where calls stand before their effect, and where they stand before their answer.
    before: [Gate; 5],
    after: [Gate; 5],
}

#[derive(Default)]
struct Orders {
    scripted: HashMap<Operation, VecDeque<Fault>>,
    always: HashMap<Operation, Fault>,
    chance: Option<Chance>,
    counts: HashMap<Operation, Counts>,
    lost: HashSet<Uuid>,
    hook: Option<Hook>,
}

struct Chance {
    rng: StdRng,
    rate: f64,
}

impl<S> Clone for Faulty<S> {
    fn clone(&self) -> Self {
        Faulty(Arc::clone(&self.0))
    }
}

impl<S: fmt::Debug> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("service", &self.0.service).finish_non_exhaustive()
    }
}

impl<S> Faulty<S> {
    /// Wraps `service`; no fault is ordered yet.
    pub fn new(service: S) -> Self {
        let orders = Mutex::default();
        Faulty(Arc::new(Inner { service, orders, before: Default::default(), after: Default::default() }))
    }

    /// Wraps `service`; each call fails with probability `rate` in a way that may pass. The same seed and the same
    /// order of calls give the same faults.
    pub fn seeded(service: S, seed: u64, rate: f64) -> Self {
        let faulty = Self::new(service);
        faulty.orders().chance = Some(Chance { rng: StdRng::seed_from_u64(seed), rate });
        faulty
    }

    /// The service inside.
    pub fn inner(&self) -> &S {
        &self.0.service
    }

    /// The next call of `operation` that no earlier order claims meets `fault`; several calls line up.
    pub fn fail_next(&self, operation: Operation, fault: Fault) -> &Self {
        self.orders().scripted.entry(operation).or_default().push_back(fault);
        self
    }

    /// The next `count` calls meet `fault`.
    pub fn fail_times(&self, operation: Operation, count: usize, fault: Fault) -> &Self {
        (0..count).for_each(|_| _ = self.fail_next(operation, fault.clone()));
        self
    }

    /// Every call without a scripted fault meets `fault`, until [`heal`](Self::heal).
    pub fn fail_always(&self, operation: Operation, fault: Fault) -> &Self {
        self.orders().always.insert(operation, fault);
        self
    }

    /// Takes back every order, the seed's too. Gates and lost messages stay.
    pub fn heal(&self) {
        let mut orders = self.orders();
        orders.scripted.clear();
        orders.always.clear();
        orders.chance = None;
    }

    /// Calls of `operation` so far.
    pub fn count(&self, operation: Operation) -> usize {
        self.counts(operation).calls
    }

    /// Calls and faults of `operation` so far.
    pub fn counts(&self, operation: Operation) -> Counts {
        self.orders().counts.get(&operation).copied().unwrap_or_default()
    }

    /// Runs before every call, after it was counted: a place for a delay, or to let something else happen first.
    pub fn on_call(
        &self,
        hook: impl Fn(Operation) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> &Self {
        self.orders().hook = Some(Arc::new(hook));
        self
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Order without sleeping: calls of an operation stand at a gate until the test lets them go.
impl<S> Faulty<S> {
    /// Calls of `operation` wait before their effect.
    pub fn hold(&self, operation: Operation) -> &Self {
        self.0.before[operation as usize].shut();
        self
    }

    /// Calls of `operation` wait after their effect, before the caller hears of it.
    pub fn hold_answer(&self, operation: Operation) -> &Self {
        self.0.after[operation as usize].shut();
        self
    }

    /// Opens both gates of `operation`.
    pub fn release(&self, operation: Operation) {
        self.0.before[operation as usize].open();
        self.0.after[operation as usize].open();
    }

    /// Lets `calls` calls of `operation` through the shut gate (both gates, where both are shut).
    pub fn let_pass(&self, operation: Operation, calls: usize) {
        self.0.before[operation as usize].let_pass(calls);
        self.0.after[operation as usize].let_pass(calls);
    }

    /// Opens every gate.
    pub fn release_all(&self) {
        Operation::ALL.into_iter().for_each(|operation| self.release(operation));
    }

    /// How many calls of `operation` stand at a gate.
    pub fn held(&self, operation: Operation) -> usize {
        self.0.before[operation as usize].waiting() + self.0.after[operation as usize].waiting()
    }

    /// Blocks this thread until `calls` calls of `operation` stand before their effect. Not for a thread that has to
    /// drive those calls itself.
    ///
    /// # Panics
    /// When they have not come within a minute.
    pub fn wait_until_held(&self, operation: Operation, calls: usize) {
        self.0.before[operation as usize].wait_until_waiting(calls);
    }

    /// As [`wait_until_held`](Self::wait_until_held), for calls that stand before their answer.
    ///
    /// # Panics
    /// When they have not come within a minute.
    pub fn wait_until_answer_held(&self, operation: Operation, calls: usize) {
        self.0.after[operation as usize].wait_until_waiting(calls);
    }
}

impl Orders {
    /// Counts a call and picks what goes wrong with it.
    fn begin(&mut self, operation: Operation) -> Option<Fault> {
        let fault = self.pick(operation);
        let counts = self.counts.entry(operation).or_default();
        counts.calls += 1;
        counts.faults += usize::from(fault.is_some());
        fault
    }

    fn pick(&mut self, operation: Operation) -> Option<Fault> {
        let scripted = self.scripted.get_mut(&operation).and_then(VecDeque::pop_front);
        scripted.or_else(|| self.always.get(&operation).cloned()).or_else(|| self.chance(operation))
    }

    /// A fault that may pass; every caller that follows the errors' advice gets over it.
    fn chance(&mut self, operation: Operation) -> Option<Fault> {
        let Chance { rng, rate } = self.chance.as_mut()?;
        if !rng.random_bool(*rate) {
            return None;
        }
        let kinds = [ErrorKind::Interrupted, ErrorKind::Timeout, ErrorKind::Service];
        let kind = kinds[rng.random_range(0..kinds.len())];
        Some(match rng.random_range(0..4) {
            0 => Fault::Throttled(Duration::from_millis(rng.random_range(0..3))),
            1 if operation.has_effect() => Fault::AfterEffect(kind),
            2 if operation.has_effect() => Fault::RequestLost(kind),
            _ => Fault::BeforeEffect(ErrorKind::Unreachable),
        })
    }
}

fn error(operation: Operation, kind: ErrorKind, effect: Effect) -> Error {
    let verb = match operation {
        Operation::Upload => "upload a blob",
        Operation::Queue => "queue a blob",
        Operation::Status => "read an ingestion's status",
        Operation::Command => "run a command",
        Operation::Query => "run a query",
    };
    Error::new(kind, verb, "fault injection", "failed by order of the test").with_effect(effect)
}

impl<S: Service> Faulty<S> {
    /// One call: count, hook, gate, fault before, effect, gate, fault after.
    async fn call<T, F>(&self, operation: Operation, effect: impl Fn() -> F + Send + Sync) -> Result<T>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        let (fault, hook) = {
            let mut orders = self.orders();
            (orders.begin(operation), orders.hook.clone())
        };
        if let Some(hook) = hook {
            hook(operation).await;
        }
        self.0.before[operation as usize].pass().await;
        let failure = match &fault {
            Some(Fault::BeforeEffect(kind)) => Some(error(operation, *kind, Effect::None)),
            Some(Fault::RequestLost(kind)) => Some(error(operation, *kind, Effect::Unknown)),
            Some(Fault::Throttled(wait)) => Some(
                error(operation, ErrorKind::Throttled, Effect::None)
                    .with_retry_after(Some(*wait))
                    .with_http_status(429),
            ),
            Some(Fault::Error(error)) => Some(error.clone()),
            _ => None,
        };
        if let Some(failure) = failure {
            return Err(failure);
        }
        if matches!(fault, Some(Fault::Twice)) {
            effect().await?;
        }
        let result = effect().await;
        self.0.after[operation as usize].pass().await;
        match fault {
            Some(Fault::AfterEffect(kind)) => result.and(Err(error(operation, kind, Effect::Unknown))),
            _ => result,
        }
    }

    /// The fault at the head of the line if it is one that this operation alone knows.
    fn take<T>(&self, operation: Operation, wanted: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let mut orders = self.orders();
        let head = orders.scripted.get_mut(&operation);
        let found = head.as_ref().and_then(|line| line.front()).and_then(&wanted);
        match (found, head) {
            (Some(found), Some(line)) => {
                line.pop_front();
                orders.note(operation);
                Some(found)
            }
            _ => {
                let found = orders.always.get(&operation).and_then(wanted)?;
                orders.note(operation);
                Some(found)
            }
        }
    }

    fn ticket(&self, ingestion: &Ingestion) -> Ticket {
        self.orders().lost.insert(ingestion.source_id);
        let status_table = (ingestion.report == Report::Table).then(|| "lost://status".to_owned());
        Ticket { source_id: ingestion.source_id, status_table, signature: None }
    }
}

impl Orders {
    fn note(&mut self, operation: Operation) {
        let counts = self.counts.entry(operation).or_default();
        counts.calls += 1;
        counts.faults += 1;
    }
}

impl<S: Service> Service for Faulty<S> {
    fn prepare(&self) -> BoxFuture<'_, Result<()>> {
        self.0.service.prepare()
    }

    fn upload(&self, blob: Blob) -> BoxFuture<'_, Result<UploadedBlob>> {
        async move { self.call(Operation::Upload, || self.0.service.upload(blob.clone())).await }.boxed()
    }

    fn queue<'a>(
        &'a self,
        ingestion: &'a Ingestion,
        blob: &'a UploadedBlob,
    ) -> BoxFuture<'a, Result<Ticket>> {
        async move {
            let lost = |fault: &Fault| matches!(fault, Fault::MessageLost).then_some(());
            if self.take(Operation::Queue, lost).is_some() {
                self.0.before[Operation::Queue as usize].pass().await;
                return Ok(self.ticket(ingestion));
            }
            // A message that comes twice does so behind the service's back: a second post under the same id would be
            // seen through (promise 8).
            let copy = Ingestion { source_id: Uuid::new_v4(), ..ingestion.clone() };
            let posted = OnceLock::new();
            let post = || async {
                let ingestion = if posted.get().is_none() { ingestion } else { &copy };
                let ticket = self.0.service.queue(ingestion, blob).await?;
                Ok(posted.get_or_init(|| ticket).clone())
            };
            let ticket = self.call(Operation::Queue, post).await?;
            self.orders().lost.remove(&ingestion.source_id);
            Ok(ticket)
        }
        .boxed()
    }

    fn status<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<IngestionStatus>> {
        async move {
            let told =
                |fault: &Fault| if let Fault::Status(status) = fault { Some(status.clone()) } else { None };
            if let Some(status) = self.take(Operation::Status, told) {
                self.0.before[Operation::Status as usize].pass().await;
                return Ok(status);
            }
            let lost = self.orders().lost.contains(&ticket.source_id);
            let look = || async move {
                if lost {
                    return Ok(status(IngestionState::Pending, FailureStatus::Unknown, None));
                }
                self.0.service.status(ticket).await
            };
            self.call(Operation::Status, look).await
        }
        .boxed()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a str) -> BoxFuture<'a, Result<Table>> {
        async move {
            let told = self.take(Operation::Command, answer);
            if let Some(table) = told {
                self.0.before[Operation::Command as usize].pass().await;
                self.0.service.command(database, command).await?;
                return Ok(table);
            }
            self.call(Operation::Command, || self.0.service.command(database, command)).await
        }
        .boxed()
    }

    fn query<'a>(&'a self, database: &'a str, query: &'a str) -> BoxFuture<'a, Result<Vec<Table>>> {
        async move {
            if let Some(table) = self.take(Operation::Query, answer) {
                self.0.before[Operation::Query as usize].pass().await;
                return Ok(vec![table]);
            }
            self.call(Operation::Query, || self.0.service.query(database, query)).await
        }
        .boxed()
    }
}

fn answer(fault: &Fault) -> Option<Table> {
    if let Fault::Answer(table) = fault { Some(table.clone()) } else { None }
}
