//! Performs actions: whatever the coordinator wants becomes a request on its way, or something to look at.

use super::Config;
use super::config::WORKERS;
use super::extents::{Staged, set_of};
use super::world::{Effect, End, Request, Shared, Start, Todo, World};
use crate::action::{AcknowledgePermit, Action, OpenPermit, StagePermit};
use crate::coordinator::Coordinator;
use crate::durable::Durable;
use crate::error::Stop;
use crate::facts::{Fact, Refusal, Reply, StagedChunk};
use crate::positions::Positions;
use crate::rows::Row;
use crate::rules::Rule;

impl World {
    /// A new start begins.
    pub(super) fn begin(&mut self, config: &Config, host: u8) {
        let at = self.starts.len();
        let (coordinator, action) = Coordinator::start_by(config.setup(at), config.rules);
        self.starts.push(Shared::new(Start {
            coordinator: Some(coordinator),
            todo: Todo::Names,
            host,
            generation: 0,
            claimed_at: None,
            claim_read: false,
            directories: 0,
            first: 0,
            base: [0; WORKERS],
            sealed: [0; WORKERS],
            upto: Default::default(),
            adopted: None,
            attempts: Default::default(),
            durable: None,
        }));
        self.perform(config, at, action);
    }

    /// Tells a start a fact and performs what it wants next.
    pub(super) fn tell(&mut self, config: &Config, at: usize, fact: Fact) {
        let mut start = self.take(at);
        let Some(coordinator) = start.coordinator.as_mut() else { return };
        let decided = coordinator.decide(fact);
        // Here already: each change of a start is paid for with a copy and a hash.
        if let Some(todo) = decided.as_ref().ok().and_then(what_for) {
            start.todo = todo;
        }
        self.set(at, start);
        match decided {
            Ok(action) => self.perform(config, at, action),
            Err(stop) => self.stopped(config, at, &stop),
        }
    }

    pub(super) fn wait_for(&mut self, at: usize, todo: Todo) {
        if self.starts[at].todo == todo {
            return;
        }
        let mut start = self.take(at);
        start.todo = todo;
        self.set(at, start);
    }

    fn perform(&mut self, config: &Config, at: usize, action: Action) {
        match action {
            Action::ListNames => self.wait_for(at, Todo::Names),
            Action::ReadRows => self.wait_for(at, Todo::Rows),
            Action::ListStaging(_) => self.wait_for(at, Todo::Staging),
            Action::ListTarget(tags) => {
                let chunk = |tag| 1 << self.staged_anywhere(config, tag);
                let set = tags.iter().map(chunk).fold(0, |set, bit: u128| set | bit);
                self.wait_for(at, Todo::Target(set));
            }
            Action::ListLogs => self.wait_for(at, Todo::Logs),
            Action::Create(_) => self.send(config, at, Effect::Create),
            Action::Rename(permit) => {
                let from = permit.from().start;
                let known = (0..self.starts.len()).find(|of| from.generation.0 > 0 && self.id(*of) == from);
                self.send(config, at, Effect::Rename { from: known.unwrap_or(super::world::INIT) });
            }
            Action::Append(permit) => {
                self.send(config, at, Effect::Append(Shared::new(permit.row().clone())))
            }
            Action::Move(permit) => {
                self.send(config, at, Effect::Move(set_of(permit.extents().iter().copied())));
            }
            Action::Prepare(_) => {
                let mut start = self.take(at);
                start.directories = 3;
                self.set(at, start);
                self.tell(config, at, Fact::Replied(Reply::Done));
            }
            Action::Stage(permit) => self.stage(config, at, &permit),
            Action::Open(permit) => self.open(config, at, &permit),
            Action::Committed(permit) => self.committed(config, at, &permit),
            Action::Wait => self.wait_for(at, Todo::Run),
            Action::Closed => self.finish(config, at),
        }
    }

    /// The bit of a tag's first delivery, whoever staged it.
    fn staged_anywhere(&self, config: &Config, tag: &crate::tag::Tag) -> usize {
        let by = (0..self.starts.len()).find(|of| self.generation(*of) == tag.generation.0);
        self.staged_of(by.unwrap_or(0), tag).bit(config)
    }

    /// A request under a name that is gone already is refused at once, unless names are resolved later.
    fn send(&mut self, config: &Config, by: usize, effect: Effect) {
        let named = matches!(effect, Effect::Move(_) | Effect::Drop(_));
        if named && !config.late_names && !self.live(config, by) {
            return self.tell(config, by, Fact::Replied(Reply::Refused(Refusal::NoSuchTable)));
        }
        let resolved = !named || !config.late_names;
        self.requests.push(Request { by, effect, awaited: true, resolved });
        self.wait_for(by, Todo::Answer);
    }

    /// A message for a chunk is posted; it finds a table, or not.
    pub(super) fn ingest(&mut self, config: &Config, staged: Staged) {
        let bit = 1 << staged.bit(config);
        if config.late_names {
            self.posted |= bit;
        } else if self.live(config, staged.start) {
            self.landing |= bit;
        }
    }

    fn stage(&mut self, config: &Config, at: usize, permit: &StagePermit) {
        let mut start = self.take(at);
        for chunk in permit.chunks() {
            let staged = self.staged_of(at, &chunk.tag);
            let adopted = (0..self.starts.len()).find(|of| self.generation(*of) == chunk.tag.chunk.log.0);
            if adopted != Some(at) {
                start.adopted = adopted;
                start.first = start.first.max(staged.epoch as u8 + 1);
            }
            start.attempts[staged.worker][staged.epoch] = staged.attempt as u8;
        }
        self.set(at, start);
        for chunk in permit.chunks() {
            let staged = self.staged_of(at, &chunk.tag);
            self.ingest(config, staged);
        }
        let reported: Vec<StagedChunk> = permit.chunks().to_vec();
        self.tell(config, at, Fact::Staged(reported));
    }

    fn open(&mut self, config: &Config, at: usize, permit: &OpenPermit) {
        let mut start = self.take(at);
        start.first = permit.first_epoch().0 as u8;
        start.base = offsets(permit.positions());
        start.sealed = [start.first; WORKERS];
        start.durable = Some(Durable::new(permit, WORKERS as u32).without(config.rules));
        start.todo = if config.remove_logs { Todo::Clean(0) } else { Todo::Run };
        let (base, first) = (start.base, start.first);
        self.set(at, start);
        // One that is fenced and does not know it yet hands out old positions; nothing of it will count.
        if self.owner == at {
            self.check_resume(config, base, first);
        }
        if usize::from(first) == config.epochs {
            self.finish(config, at);
        }
    }

    pub(super) fn check_resume(&mut self, config: &Config, base: [u8; WORKERS], first: u8) {
        for (worker, from) in base.into_iter().enumerate() {
            let acknowledged = self.acknowledged[worker];
            if from < acknowledged {
                self.violate(format!(
                    "rows of partition {worker} below offset {acknowledged} were acknowledged, a run opens at {from}"
                ));
            }
        }
        if config.check_clock && first < self.clock {
            self.violate(format!("C reached epoch {}, a run opens at epoch {first}", self.clock));
        }
    }

    fn committed(&mut self, config: &Config, at: usize, permit: &AcknowledgePermit) {
        self.acknowledge(permit);
        let bound = permit.below().0 as u8;
        self.clock = self.clock.max(bound);
        self.wait_for(at, Todo::Run);
        if usize::from(bound) == config.epochs && !config.close {
            self.finish(config, at);
        }
    }

    pub(super) fn acknowledge(&mut self, permit: &AcknowledgePermit) {
        let upto = offsets(permit.positions());
        for (known, upto) in self.acknowledged.iter_mut().zip(upto) {
            *known = (*known).max(upto);
        }
    }

    fn finish(&mut self, config: &Config, at: usize) {
        self.end(at, End::Finished);
        match self.coverage(config) {
            Err(what) => self.violate(what),
            Ok(times) => {
                let all =
                    (0..WORKERS).all(|w| times[w][..usize::from(config.offsets[w])].iter().all(|n| *n == 1));
                if !all {
                    self.violate(format!("start {at} finished and T does not hold every row: {times:?}"));
                }
            }
        }
    }

    fn stopped(&mut self, config: &Config, at: usize, stop: &Stop) {
        let excused = match stop {
            Stop::Fenced { .. } => true,
            Stop::Ambiguous(_) => self.meddled,
            Stop::MissingLogs(_) => !config.replay && (self.disk_lost || config.hosts > 1),
            _ => false,
        };
        if !excused {
            self.violate(format!("start {at} stops for nothing: {stop}"));
        }
        self.end(at, if matches!(stop, Stop::Fenced { .. }) { End::Fenced } else { End::Stopped });
    }

    pub(super) fn end(&mut self, at: usize, end: End) {
        let mut start = self.take(at);
        start.coordinator = None;
        start.durable = None;
        start.todo = Todo::Ended(end);
        self.set(at, start);
        for request in self.requests.iter_mut().filter(|request| request.by == at) {
            request.awaited = false;
        }
    }

    /// Forgets what can have no effect, and brings what is alike into one form.
    pub(super) fn normalise(&mut self, config: &Config) {
        let World { requests, rows, staging, landing, posted, owner, starts, .. } = self;
        let coming = *staging | *landing | *posted;
        requests.retain(|request| {
            request.awaited
                || match &request.effect {
                    Effect::Create => *owner == super::world::NOBODY,
                    Effect::Rename { from } => from == owner,
                    Effect::Append(row) => match **row {
                        Row::Claim(_) => {
                            !starts[request.by].claim_read && starts[request.by].coordinator.is_some()
                        }
                        _ => config.rows_twice || !rows.contains(row),
                    },
                    Effect::Move(ids) => ids & *staging != 0,
                    Effect::Drop(ids) => ids & coming != 0,
                }
        });
        requests.sort_unstable();
        if !config.rows_twice {
            requests.dedup();
        }
        if config.on(Rule::StartByGeneration) {
            let claiming = starts.iter().filter(|start| start.coordinator.is_some() && !start.claim_read);
            let oldest = claiming.filter_map(|start| start.claimed_at).min().unwrap_or(rows.len());
            let free = if config.on(Rule::Claim) { oldest.min(rows.len()) } else { 0 };
            rows[..free].sort_unstable();
        }
    }
}

/// What a start waits for after an action, where that is known without performing it.
fn what_for(action: &Action) -> Option<Todo> {
    match action {
        Action::ListNames => Some(Todo::Names),
        Action::ReadRows => Some(Todo::Rows),
        Action::ListStaging(_) => Some(Todo::Staging),
        Action::ListLogs => Some(Todo::Logs),
        Action::Create(_) | Action::Rename(_) | Action::Append(_) | Action::Move(_) => Some(Todo::Answer),
        _ => None,
    }
}

pub(super) fn offsets(positions: &Positions) -> [u8; WORKERS] {
    std::array::from_fn(|worker| positions.get(&worker.to_string()).map_or(0, |position| position[0]))
}
