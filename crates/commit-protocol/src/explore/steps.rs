//! Everything that can happen next.

use super::config::{Config, WORKERS};
use super::deliver::Next;
use super::extents::{Extents, Staged, bits, deliveries, set_of};
use super::step::Step;
use super::world::{Effect, End, Request, Shared, Todo, World, position};
use crate::adopt::{HeldLog, LogDirectory, LogFile, LogLists, LoggedChunk};
use crate::facts::{Fact, Listing, News, Patience};
use crate::ids::{Epoch, Worker};
use crate::ledger::Ledger;
use crate::rows::{Claim, Resolution, Row};
use crate::rules::Rule;

impl World {
    /// All next states.
    pub(super) fn next(&self, config: &Config) -> Next {
        let mut next = Vec::new();
        self.deliveries(config, &mut next);
        for at in 0..self.starts.len() {
            self.of_start(config, at, &mut next);
        }
        self.begins(config, &mut next);
        self.disks(config, &mut next);
        self.by_hand(&mut next);
        self.decides(&mut next);
        next.iter_mut().for_each(|(world, _)| world.normalise(config));
        next
    }

    fn begins(&self, config: &Config, next: &mut Next) {
        if self.starts.len() == config.starts {
            return;
        }
        let hosts = if self.starts.is_empty() { 1 } else { config.hosts };
        for host in 0..hosts {
            let mut world = self.clone();
            world.begin(config, host);
            next.push((world, Step::Begins { start: self.starts.len(), host }));
        }
    }

    pub(super) fn of_start(&self, config: &Config, at: usize, next: &mut Next) {
        let told = |fact: Fact| {
            let mut world = self.clone();
            world.tell(config, at, fact);
            world
        };
        match &self.starts[at].todo {
            Todo::Answer | Todo::Ended(_) => {}
            Todo::Names => next.push((told(Fact::Names(self.names())), Step::Names { start: at })),
            Todo::Rows => self.reads(config, at, next),
            Todo::Staging => self.looks_into_staging(config, at, next),
            Todo::Target(asked) => {
                next.push((told(self.target_tags(config, *asked)), Step::LooksIntoTarget { start: at }));
            }
            Todo::Logs => self.lists_logs(config, at, next),
            Todo::Clean(worker) => next.push(self.removes(at, *worker)),
            Todo::Run => self.runs(config, at, next),
        }
        self.sweeps(config, at, next);
    }

    fn target_tags(&self, config: &Config, asked: Extents) -> Fact {
        let found = deliveries(self.target) & asked;
        Fact::Target(bits(found).map(|bit| self.tag(Staged::of(bit, config))).collect())
    }

    /// Reads of `kt_epochs`: of the claim, anything between the claim's place and now; of another row, with or without it.
    fn reads(&self, config: &Config, at: usize, next: &mut Next) {
        let (start, of) = (&self.starts[at], self.rows.len());
        let told = |rows: Vec<Row>| {
            let ledger = Ledger::of(rows);
            let relevant = config.on(Rule::StartRows) && config.on(Rule::StartByGeneration);
            let ledger = Ok(if relevant { ledger.relevant() } else { ledger });
            let mut world = self.clone();
            world.tell(config, at, Fact::Rows { ledger, patience: Patience::Left });
            world
        };
        let rows = |seen: usize| self.rows[..seen].iter().map(|row| Row::clone(row));
        if start.claim_read {
            let own = |row: &Row| row.key().start == self.id(at);
            next.push((told(rows(of).collect()), Step::Reads { start: at, seen: of, of }));
            if let Some(last) =
                rows(of).filter(own).map(|row| row.key()).max_by_key(|key| (key.seq, key.kind))
            {
                let without = rows(of).filter(|row| row.key() != last).collect();
                next.push((told(without), Step::ReadsWithout { start: at }));
            }
            return;
        }
        let oldest = if config.on(Rule::Claim) { start.claimed_at } else { Some(0) };
        let Some(oldest) = oldest else {
            return next.push((told(rows(of).collect()), Step::ReadsWithout { start: at }));
        };
        let newer = (0..self.starts.len()).filter(|other| self.generation(*other) > self.generation(at));
        let newer = newer.filter_map(|other| self.starts[other].claimed_at.map(|place| (other, place))).max();
        if let Some((other, place)) = newer {
            let claim = Row::Claim(Claim { by: self.id(other) });
            let seen = place.min(of);
            next.push((told(rows(seen).chain([claim]).collect()), Step::ReadsNewerClaim { start: at }));
        }
        for seen in oldest..=of {
            let claim = Row::Claim(Claim { by: self.id(at) });
            let mut world = told(rows(seen).chain([claim]).collect());
            let mut read = world.take(at);
            read.claim_read = !matches!(read.todo, Todo::Rows | Todo::Names);
            world.set(at, read);
            next.push((world, Step::Reads { start: at, seen, of }));
        }
    }

    fn looks_into_staging(&self, config: &Config, at: usize, next: &mut Next) {
        let look = |patience| {
            let here = self.live(config, at);
            let listing = if here { Listing::Extents(self.listing(config)) } else { Listing::NoSuchTable };
            let mut world = self.clone();
            world.tell(config, at, Fact::Staging { listing, patience });
            world
        };
        let patient = look(Patience::Left);
        let waits = patient.starts[at] == self.starts[at];
        next.push((patient, Step::LooksIntoStaging { start: at, patient: true }));
        if waits && self.retries > 0 {
            let mut world = look(Patience::Over);
            world.retries -= 1;
            next.push((world, Step::LooksIntoStaging { start: at, patient: false }));
        }
    }

    /// Older starts whose logs lie on the hosts of a start.
    fn older_here(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let me = &self.starts[at];
        (0..self.starts.len()).filter(move |of| {
            let other = &self.starts[*of];
            let older = other.generation > 0 && other.generation < me.generation;
            *of != at && older && other.host == me.host && other.directories != 0
        })
    }

    fn lists_logs(&self, config: &Config, at: usize, next: &mut Next) {
        let (mut directories, mut held) = (Vec::new(), Vec::new());
        for of in self.older_here(at) {
            let workers = (0..WORKERS).filter(|worker| self.starts[of].directories >> worker & 1 == 1);
            let lock = self.alive(of);
            for worker in workers {
                let (start, worker_id) = (self.id(of), Worker(worker as u32));
                if lock {
                    held.push(HeldLog { start, worker: worker_id, holder: format!("start {of}") });
                }
                if !lock || !config.on(Rule::LogLock) {
                    directories.push(self.directory(of, worker));
                }
            }
        }
        let mut world = self.clone();
        world.tell(config, at, Fact::Logs { lists: LogLists { directories, held }, target: Vec::new() });
        if world.starts[at] != self.starts[at] {
            return next.push((world, Step::ListsLogs { start: at }));
        }
        // It waits: only the end of a process that holds a log lets it go on.
        for of in self.older_here(at).filter(|of| self.alive(*of)) {
            let mut world = self.clone();
            world.end(of, End::Killed);
            next.push((world, Step::Killed { start: of }));
        }
    }

    fn directory(&self, of: usize, worker: usize) -> LogDirectory {
        let start = &self.starts[of];
        let file = |epoch: u8| {
            let at = usize::from(epoch);
            let (low, high) = self.range(of, worker, at);
            let rows = u64::from(high - low);
            let id = Epoch(u64::from(epoch));
            let chunk = LoggedChunk { epoch: id, index: 0, rows, columns: Vec::new() };
            let chunks = if rows > 0 { vec![chunk] } else { Vec::new() };
            LogFile { from: id, to: Epoch(id.0 + 1), chunks, positions: vec![position(worker, at, high)] }
        };
        LogDirectory {
            start: self.id(of),
            worker: Worker(worker as u32),
            place: format!("start {of}, worker {worker}"),
            files: (start.first..start.sealed[worker].max(start.first)).map(file).collect(),
        }
    }

    fn removes(&self, at: usize, worker: usize) -> (World, Step) {
        let mut world = self.clone();
        for of in self.older_here(at) {
            let mut older = world.take(of);
            older.directories &= !(1 << worker);
            world.set(of, older);
        }
        world.wait_for(at, if worker + 1 == WORKERS { Todo::Run } else { Todo::Clean(worker + 1) });
        (world, Step::Removes { start: at, worker })
    }

    fn runs(&self, config: &Config, at: usize, next: &mut Next) {
        (0..WORKERS).for_each(|worker| self.seals(config, at, worker, next));
        let Some(coordinator) = &self.starts[at].coordinator else { return };
        let cover = coordinator.standing().cover.0 as usize;
        let sealed = self.starts[at].sealed.map(usize::from);
        for bound in cover + 1..=sealed.into_iter().min().unwrap_or(0) {
            let (chunks, positions) = self.reports(at, cover, bound);
            let mut world = self.clone();
            world.tell(config, at, Fact::News(News { staged_below: Epoch(bound as u64), chunks, positions }));
            next.push((world, Step::Commits { start: at, bound }));
        }
        for (worker, sealed) in sealed.into_iter().enumerate() {
            (cover..sealed).for_each(|epoch| self.posts_again(config, at, worker, epoch, next));
        }
        if config.close && cover == config.epochs {
            let mut world = self.clone();
            world.tell(config, at, Fact::Close);
            next.push((world, Step::Closes { start: at }));
        }
    }

    fn posts_again(&self, config: &Config, at: usize, worker: usize, epoch: usize, next: &mut Next) {
        let (low, high) = self.range(at, worker, epoch);
        if self.retries == 0 || low == high || !self.live(config, at) {
            return;
        }
        let mut world = self.clone();
        world.retries -= 1;
        let mut start = world.take(at);
        start.attempts[worker][epoch] += 1;
        let attempt = usize::from(start.attempts[worker][epoch]);
        world.set(at, start);
        world.ingest(config, Staged { start: at, worker, epoch, attempt, delivery: 0 });
        next.push((world, Step::PostsAgain { start: at, worker, epoch }));
    }

    fn seals(&self, config: &Config, at: usize, worker: usize, next: &mut Next) {
        let start = &self.starts[at];
        let epoch = usize::from(start.sealed[worker]);
        if epoch >= config.epochs {
            return;
        }
        let low = if epoch == usize::from(start.first) {
            start.base[worker]
        } else {
            start.upto[worker][epoch - 1]
        };
        let last = config.offsets[worker];
        let least = if epoch + 1 == config.epochs { last } else { low };
        for upto in least..=last {
            let mut world = self.clone();
            let mut start = world.take(at);
            start.upto[worker][epoch] = upto;
            start.sealed[worker] += 1;
            world.set(at, start);
            if upto > low {
                world.ingest(config, Staged { start: at, worker, epoch, attempt: 0, delivery: 0 });
            }
            if !config.replay {
                world.acknowledge_at_seal(at, worker);
            }
            next.push((world, Step::Seals { start: at, worker, epoch, upto }));
        }
    }

    fn acknowledge_at_seal(&mut self, at: usize, worker: usize) {
        let mut start = self.take(at);
        let below = Epoch(u64::from(start.sealed[worker]));
        let changes: Vec<_> = (0..WORKERS)
            .flat_map(|w| (start.first..start.sealed[w]).map(move |epoch| (w, usize::from(epoch))))
            .map(|(w, epoch)| position(w, epoch, start.upto[w][epoch]))
            .collect();
        let durable = start.durable.as_mut().expect("a run was opened");
        let permit =
            durable.sealed(Worker(worker as u32), below, &changes).expect("one reader per partition");
        self.set(at, start);
        if let Some(permit) = permit {
            self.acknowledge(&permit);
            self.check_later_runs(at);
        }
    }

    /// A later run that was opened must hold what is acknowledged now.
    fn check_later_runs(&mut self, at: usize) {
        for of in 0..self.starts.len() {
            let other = &self.starts[of];
            let later =
                other.generation > self.generation(at) && matches!(other.todo, Todo::Run | Todo::Clean(_));
            let lost = |w: &usize| other.base[*w] < self.acknowledged[*w] && other.sealed[*w] == other.first;
            if later && let Some(worker) = (0..WORKERS).find(lost) {
                self.violate(format!(
                    "start {at} acknowledges offsets of partition {worker} after start {of} opened its run below them"
                ));
            }
        }
    }

    fn sweeps(&self, config: &Config, at: usize, next: &mut Next) {
        let Some(coordinator) = self.starts[at].coordinator.as_ref().filter(|_| self.sweeps > 0) else {
            return;
        };
        let pending = |r: &Request| r.by == at && matches!(r.effect, Effect::Drop(_));
        if !self.live(config, at) || self.requests.iter().any(pending) {
            return;
        }
        let Some(permit) = coordinator.sweep(&Listing::Extents(self.listing(config))) else { return };
        let mut world = self.clone();
        world.sweeps -= 1;
        let effect = Effect::Drop(set_of(permit.extents().iter().map(|(id, _)| *id)));
        world.requests.push(Request { by: at, effect, awaited: false, resolved: !config.late_names });
        next.push((world, Step::Sweeps { start: at }));
    }

    fn disks(&self, config: &Config, next: &mut Next) {
        if self.disks == 0 {
            return;
        }
        for (host, worker) in
            (0..config.hosts).flat_map(|host| (0..WORKERS).map(move |worker| (host, worker)))
        {
            let here =
                |of: &usize| self.starts[*of].host == host && self.starts[*of].directories >> worker & 1 == 1;
            let there: Vec<usize> = (0..self.starts.len()).filter(here).collect();
            if !there.iter().any(|of| self.starts[*of].sealed[worker] > self.starts[*of].first) {
                continue;
            }
            let mut world = self.clone();
            world.disks -= 1;
            world.disk_lost = true;
            for of in there {
                if world.alive(of) {
                    world.end(of, End::Killed);
                }
                let mut start = world.take(of);
                start.directories &= !(1 << worker);
                world.set(of, start);
            }
            next.push((world, Step::DiskLost { host, worker }));
        }
    }

    /// After a start stopped, a person finds nothing of its intent in T and records that.
    fn decides(&self, next: &mut Next) {
        let stopped = self.starts.iter().any(|start| start.todo == Todo::Ended(End::Stopped));
        if !self.meddled || self.decided || !stopped {
            return;
        }
        let rows = self.rows.iter().map(|row| Row::clone(row)).collect();
        let Ok((valid, _)) = Ledger::of(rows).classify() else { return };
        let Some(head) = valid.first().filter(|head| !head.chunks.is_empty()) else { return };
        if set_of(head.extents()) & (self.staging | self.target) != 0 {
            return;
        }
        let resolution = Resolution::restage(head, valid.get(1).map(|parent| parent.as_ref()));
        let resolution = resolution.expect("the parent stands before the head in the chain");
        let mut world = self.clone();
        world.decided = true;
        world.rows.push(Shared::new(Row::Resolution(resolution)));
        next.push((world, Step::DecidedByHand { seq: head.id.seq.0 }));
    }

    /// A person drops the claimed extents of the last intent from S.
    fn by_hand(&self, next: &mut Next) {
        let claimed = self.rows.iter().filter_map(|row| match &**row {
            Row::Intent(intent) => Some(set_of(intent.extents())),
            _ => None,
        });
        let there = claimed.fold(0, |set, ids| set | ids) & self.staging;
        if self.by_hand == 0 || there == 0 {
            return;
        }
        let mut world = self.clone();
        world.by_hand -= 1;
        world.meddled = true;
        world.staging &= !there;
        next.push((world, Step::DroppedByHand));
    }
}
