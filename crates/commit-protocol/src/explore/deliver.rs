//! Requests resolve their names, take effect, are answered, or lose their answers.

use super::config::Config;
use super::extents::{Extents, Staged, bits};
use super::step::{Step, What};
use super::world::{Effect, INIT, NOBODY, Request, Shared, World};
use crate::facts::{Fact, MovedExtent, Refusal, Reply};
use crate::ids::ExtentId;
use crate::rows::Row;

/// The next states of a world.
pub(super) type Next = Vec<(World, Step)>;

fn what(effect: &Effect) -> What {
    match effect {
        Effect::Create => What::Create,
        Effect::Rename { from } => What::Rename(*from),
        Effect::Append(row) => match &**row {
            Row::Claim(_) => What::Claim,
            Row::Start(_) => What::StartRow,
            Row::Intent(intent) => What::Intent(intent.id.seq.0),
            Row::Resolution(_) => unreachable!("no coordinator appends a person's decision"),
        },
        Effect::Move(_) => What::Move,
        Effect::Drop(_) => What::Drop,
    }
}

const REFUSED: Fact = Fact::Replied(Reply::Refused(Refusal::NoSuchTable));

impl World {
    /// Everything that can happen to requests and messages.
    pub(super) fn deliveries(&self, config: &Config, next: &mut Next) {
        for at in 0..self.requests.len() {
            let request = &self.requests[at];
            if request.resolved {
                self.effect(config, at, next)
            } else {
                self.resolve(config, at, next)
            }
            if request.awaited && self.lost_answers > 0 {
                self.lose(config, at, next);
            }
        }
        for bit in bits(self.posted) {
            let mut world = self.clone();
            let staged = Staged::of(bit, config);
            world.posted &= !(1 << bit);
            world.landing |= if self.live(config, staged.start) { 1 << bit } else { 0 };
            next.push((world, Step::IngestionResolves { staged }));
        }
        bits(self.landing).for_each(|bit| self.land(config, bit, next));
    }

    fn land(&self, config: &Config, bit: usize, next: &mut Next) {
        let staged = Staged::of(bit, config);
        let mut world = self.clone();
        world.landing &= !(1 << bit);
        world.staging |= 1 << bit;
        if staged.delivery == 0 && self.duplicates > 0 {
            let mut twice = world.clone();
            twice.duplicates -= 1;
            twice.landing |= 1 << (bit + 1);
            next.push((twice, Step::Lands { staged, again_later: true }));
        }
        next.push((world, Step::Lands { staged, again_later: false }));
    }

    fn resolve(&self, config: &Config, at: usize, next: &mut Next) {
        let mut world = self.clone();
        let Request { by, effect, awaited, .. } = self.requests[at].clone();
        if self.live(config, by) {
            world.requests[at].resolved = true;
            return next.push((world, Step::Resolves { start: by, what: what(&effect) }));
        }
        world.requests.remove(at);
        if awaited {
            world.tell(config, by, REFUSED);
        }
        next.push((world, Step::NoEffect { start: by, what: what(&effect) }));
    }

    /// The answer is lost while the effect is still to come; losing it after the effect is the same, as nobody knows.
    fn lose(&self, config: &Config, at: usize, next: &mut Next) {
        let mut world = self.clone();
        world.lost_answers -= 1;
        world.requests[at].awaited = false;
        let start = self.requests[at].by;
        world.tell(config, start, Fact::Replied(Reply::Lost));
        next.push((world, Step::AnswerLost { start }));
    }

    fn effect(&self, config: &Config, at: usize, next: &mut Next) {
        let mut world = self.clone();
        let request = world.requests.remove(at);
        let (start, kind) = (request.by, what(&request.effect));
        let (done, again, answer) = match &request.effect {
            Effect::Create => {
                let first = world.owner == NOBODY;
                world.owner = if first { INIT } else { world.owner };
                (first, false, None)
            }
            Effect::Rename { from } => (world.rename(start, *from), false, None),
            Effect::Append(row) => (true, world.append(config, start, row), None),
            Effect::Move(ids) => {
                let all = ids & world.staging == *ids;
                let moved = world.move_extents(config, *ids);
                let one = |bit| MovedExtent { original: ExtentId(bit as u128), moved: true };
                (moved, false, all.then(|| Fact::Moved(bits(*ids).map(one).collect())))
            }
            Effect::Drop(ids) => {
                world.staging &= !ids;
                (true, false, None)
            }
        };
        if request.awaited {
            let moving = matches!(request.effect, Effect::Move(_));
            let plain = if done && !moving { Fact::Replied(Reply::Done) } else { REFUSED };
            world.tell(config, start, answer.unwrap_or(plain));
        }
        let what = kind;
        let step =
            if done { Step::TakesEffect { start, what, again } } else { Step::NoEffect { start, what } };
        next.push((world, step));
    }

    fn rename(&mut self, by: usize, from: usize) -> bool {
        if self.owner != from {
            return false;
        }
        let generation = self.generation(from) + 1;
        let mut start = self.take(by);
        start.generation = generation;
        self.set(by, start);
        self.owner = by;
        true
    }

    /// Appends; whether the row was there before.
    fn append(&mut self, config: &Config, by: usize, row: &Shared<Row>) -> bool {
        if matches!(**row, Row::Claim(_)) {
            let mut start = self.take(by);
            let again = start.claimed_at.is_some();
            start.claimed_at.get_or_insert(self.rows.len());
            self.set(by, start);
            return again;
        }
        let again = self.rows.contains(row);
        if !again || config.rows_twice {
            self.rows.push(row.clone());
        }
        again
    }

    fn move_extents(&mut self, config: &Config, ids: Extents) -> bool {
        let here = ids & self.staging;
        let moved = if here == ids || config.partial_moves { here } else { 0 };
        self.staging &= !moved;
        self.target |= moved;
        if moved != 0
            && let Err(what) = self.coverage(config)
        {
            self.violate(what);
        }
        moved != 0
    }
}
