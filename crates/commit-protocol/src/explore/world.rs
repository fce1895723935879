//! The state of the world, and what can be read off it.

use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use super::config::{Config, MOST_EPOCHS, WORKERS};
use super::extents::{Extents, Staged, bits};
use crate::coordinator::Coordinator;
use crate::durable::Durable;
use crate::facts::{Extent, StagedChunk};
use crate::ids::{Attempt, Epoch, ExtentId, Generation, Nonce, StartId, Worker};
use crate::names::{Names, StagingName};
use crate::positions::PositionChange;
use crate::rows::Row;
use crate::rules::Rule;
use crate::tag::{ChunkId, Tag};

/// Owner of the first name, which `init` gave.
pub(super) const INIT: usize = 99;
/// Owner before any table was made.
pub(super) const NOBODY: usize = 98;

/// A fast hash; its quality is enough for sets of some ten million states.
#[derive(Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 32
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
    fn write_u64(&mut self, value: u64) {
        let wide = u128::from(self.0 ^ value ^ 0x2d35_8dcc_aa6c_78a5) * u128::from(0x8bb8_4b93_962e_acc9_u64);
        self.0 = ((wide >> 64) as u64 ^ wide as u64).rotate_left(23).wrapping_add(value);
    }
}

pub(super) fn hash_of(value: &impl Hash) -> u64 {
    let mut mix = Mix::default();
    value.hash(&mut mix);
    mix.finish()
}

/// A shared value that remembers its hash.
#[derive(Debug)]
pub(super) struct Shared<T> {
    hash: u64,
    value: Arc<T>,
}

impl<T: Hash> Shared<T> {
    pub(super) fn new(value: T) -> Shared<T> {
        Shared { hash: hash_of(&value), value: Arc::new(value) }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared { hash: self.hash, value: Arc::clone(&self.value) }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, to: &mut H) {
        to.write_u64(self.hash);
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Shared<T>) -> bool {
        self.hash == other.hash
    }
}

impl<T> Eq for Shared<T> {}

impl<T> PartialOrd for Shared<T> {
    fn partial_cmp(&self, other: &Shared<T>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Shared<T> {
    fn cmp(&self, other: &Shared<T>) -> std::cmp::Ordering {
        self.hash.cmp(&other.hash)
    }
}

/// What a request will do when it takes effect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Effect {
    /// The first tables, by one rename that fails if the anchor is there.
    Create,
    Rename {
        from: usize,
    },
    Append(Shared<Row>),
    Move(Extents),
    Drop(Extents),
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Request {
    pub(super) by: usize,
    pub(super) effect: Effect,
    /// Somebody waits for the answer.
    pub(super) awaited: bool,
    /// The table's name was resolved; from here on a rename does not stop it.
    pub(super) resolved: bool,
}

/// What a start waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Todo {
    /// The answer to its awaited request.
    Answer,
    Names,
    Rows,
    Staging,
    Target(Extents),
    Logs,
    /// Removal of older logs, worker by worker.
    Clean(usize),
    Run,
    Ended(End),
}

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    Finished,
    Fenced,
    Stopped,
    Killed,
}

/// One start: its coordinator, its logs, its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Start {
    pub(super) coordinator: Option<Coordinator>,
    pub(super) todo: Todo,
    pub(super) host: u8,
    /// Once its rename took effect.
    pub(super) generation: u64,
    /// Its claim row landed after so many rows.
    pub(super) claimed_at: Option<usize>,
    /// Its head is read: claims do not matter any more.
    pub(super) claim_read: bool,
    /// Log directories that exist, a bit per worker.
    pub(super) directories: u8,
    /// The first epoch of its run, and the source positions there.
    pub(super) first: u8,
    pub(super) base: [u8; WORKERS],
    /// Where each worker sealed up to, and up to which offset each epoch goes.
    pub(super) sealed: [u8; WORKERS],
    pub(super) upto: [[u8; MOST_EPOCHS]; WORKERS],
    /// The start whose logs it adopted.
    pub(super) adopted: Option<usize>,
    /// The latest attempt of each chunk.
    pub(super) attempts: [[u8; MOST_EPOCHS]; WORKERS],
    pub(super) durable: Option<Durable>,
}

/// Everything.
#[derive(Clone, Debug, Hash)]
pub(super) struct World {
    /// Whose name the staging table has.
    pub(super) owner: usize,
    pub(super) staging: Extents,
    pub(super) target: Extents,
    /// Ingestions posted under a name that is not resolved yet, and those that will land.
    pub(super) posted: Extents,
    pub(super) landing: Extents,
    pub(super) rows: Vec<Shared<Row>>,
    pub(super) requests: Vec<Request>,
    pub(super) starts: Vec<Shared<Start>>,
    pub(super) acknowledged: [u8; WORKERS],
    /// The highest C that was reported.
    pub(super) clock: u8,
    pub(super) lost_answers: u8,
    pub(super) duplicates: u8,
    pub(super) retries: u8,
    pub(super) sweeps: u8,
    pub(super) disks: u8,
    pub(super) by_hand: u8,
    /// A disk was lost; a person dropped something.
    pub(super) disk_lost: bool,
    pub(super) meddled: bool,
    /// A person recorded what became of it.
    pub(super) decided: bool,
    pub(super) violation: Option<String>,
}

impl World {
    pub(super) fn new(config: &Config) -> World {
        World {
            owner: if config.init { NOBODY } else { INIT },
            staging: 0,
            target: 0,
            posted: 0,
            landing: 0,
            rows: Vec::new(),
            requests: Vec::new(),
            starts: Vec::new(),
            acknowledged: [0; WORKERS],
            clock: 0,
            lost_answers: config.lost_answers,
            duplicates: config.duplicates,
            retries: config.retries,
            sweeps: config.sweeps,
            disks: config.disks,
            by_hand: config.by_hand,
            disk_lost: false,
            meddled: false,
            decided: false,
            violation: None,
        }
    }

    pub(super) fn set(&mut self, at: usize, start: Start) {
        self.starts[at] = Shared::new(start);
    }

    pub(super) fn take(&self, at: usize) -> Start {
        Start::clone(&self.starts[at])
    }

    pub(super) fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    pub(super) fn generation(&self, of: usize) -> u64 {
        self.starts.get(of).map_or(0, |start| start.generation)
    }

    pub(super) fn id(&self, of: usize) -> StartId {
        StartId { generation: Generation(self.generation(of)), nonce: Nonce(of as u64) }
    }

    fn name(&self, of: usize) -> StagingName {
        StagingName { lineage: super::config::lineage(), start: self.id(of) }
    }

    pub(super) fn names(&self) -> Names {
        if self.owner == NOBODY {
            return Names::default();
        }
        Names { staging: vec![self.name(self.owner)], anchor: true }
    }

    /// Whether requests under a start's name find a table.
    pub(super) fn live(&self, config: &Config, at: usize) -> bool {
        !config.on(Rule::Fence) && self.generation(at) > 0 || self.owner == at
    }

    pub(super) fn alive(&self, at: usize) -> bool {
        self.starts[at].coordinator.is_some()
    }

    /// The start whose log holds an epoch that a start staged.
    pub(super) fn source(&self, at: usize, epoch: usize) -> usize {
        let start = &self.starts[at];
        match start.adopted {
            Some(adopted) if epoch < usize::from(start.first) => adopted,
            _ => at,
        }
    }

    /// The offsets of a worker's partition in an epoch of a log.
    pub(super) fn range(&self, log: usize, worker: usize, epoch: usize) -> (u8, u8) {
        let start = &self.starts[log];
        let from = if epoch == usize::from(start.first) {
            start.base[worker]
        } else {
            start.upto[worker][epoch - 1]
        };
        (from, start.upto[worker][epoch])
    }

    pub(super) fn rows_of(&self, staged: Staged) -> u64 {
        let (from, to) = self.range(self.source(staged.start, staged.epoch), staged.worker, staged.epoch);
        u64::from(to - from)
    }

    pub(super) fn tag(&self, staged: Staged) -> Tag {
        Tag {
            lineage: super::config::lineage(),
            generation: Generation(self.generation(staged.start)),
            chunk: self.chunk(self.source(staged.start, staged.epoch), staged.worker, staged.epoch),
            attempt: Attempt(staged.attempt as u32),
        }
    }

    pub(super) fn chunk(&self, log: usize, worker: usize, epoch: usize) -> ChunkId {
        let log = Generation(self.generation(log));
        ChunkId { epoch: Epoch(epoch as u64), log, worker: Worker(worker as u32), index: 0 }
    }

    pub(super) fn listing(&self, config: &Config) -> Vec<Extent> {
        let extent = |bit| {
            let staged = Staged::of(bit, config);
            Extent { id: ExtentId(bit as u128), rows: self.rows_of(staged), tags: vec![self.tag(staged)] }
        };
        bits(self.staging).map(extent).collect()
    }

    pub(super) fn staged_of(&self, at: usize, tag: &Tag) -> Staged {
        let (worker, epoch) = (tag.chunk.worker.0 as usize, tag.chunk.epoch.0 as usize);
        Staged { start: at, worker, epoch, attempt: tag.attempt.0 as usize, delivery: 0 }
    }

    /// What STAGE reports for the epochs of a run up to a bound.
    pub(super) fn reports(
        &self,
        at: usize,
        from: usize,
        bound: usize,
    ) -> (Vec<StagedChunk>, Vec<PositionChange>) {
        let (mut chunks, mut positions) = (Vec::new(), Vec::new());
        for (epoch, worker) in (from..bound).flat_map(|epoch| (0..WORKERS).map(move |worker| (epoch, worker)))
        {
            let (low, high) = self.range(at, worker, epoch);
            positions.push(position(worker, epoch, high));
            if low < high {
                let attempt = usize::from(self.starts[at].attempts[worker][epoch]);
                let staged = Staged { start: at, worker, epoch, attempt, delivery: 0 };
                chunks.push(StagedChunk { tag: self.tag(staged), rows: u64::from(high - low), sum: None });
            }
        }
        (chunks, positions)
    }

    /// How often each offset is in T; a violation if one is there twice, or one before it is not.
    pub(super) fn coverage(&self, config: &Config) -> Result<[[u8; 4]; WORKERS], String> {
        let mut times = [[0u8; 4]; WORKERS];
        let mut content: [Option<u64>; MOST_EPOCHS] = [None; MOST_EPOCHS];
        for staged in bits(self.target).map(|bit| Staged::of(bit, config)) {
            let log = self.source(staged.start, staged.epoch);
            let (low, high) = self.range(log, staged.worker, staged.epoch);
            (low..high).for_each(|offset| times[staged.worker][usize::from(offset)] += 1);
            let generation = self.generation(log);
            if *content[staged.epoch].get_or_insert(generation) != generation {
                return Err(format!("epoch {} in T comes from two generations", staged.epoch));
            }
        }
        for (worker, times) in times.iter().enumerate() {
            if let Some(offset) = times.iter().position(|n| *n > 1) {
                return Err(format!("row {offset} of partition {worker} is in T {} times", times[offset]));
            }
            if let Some(gap) = times.windows(2).position(|pair| pair[0] < pair[1]) {
                return Err(format!(
                    "row {gap} of partition {worker} is missing in T, and the one after it is there"
                ));
            }
        }
        Ok(times)
    }
}

pub(super) fn position(worker: usize, epoch: usize, offset: u8) -> PositionChange {
    PositionChange { epoch: Epoch(epoch as u64), partition: worker.to_string(), position: vec![offset] }
}
