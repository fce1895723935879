//! Tells a schedule by hand: what happens, in words, to the real decisions in the explorer's world.

use super::config::Config;
use super::probe::Fresh;
use super::search::explore_from;
use super::step::Step;
use super::world::{End, Todo, World};

/// A world in which a test decides what happens next.
pub(super) struct Story {
    pub(super) config: Config,
    pub(super) world: World,
}

impl Story {
    pub(super) fn of(config: Config) -> Story {
        Story { world: World::new(&config), config }
    }

    /// The one next step with these words. Fails with what could happen instead.
    pub(super) fn then(mut self, words: &str) -> Story {
        let all = self.world.next(&self.config);
        let can: Vec<String> = all.iter().map(|(_, step)| step.to_string()).collect();
        let at = can.iter().position(|can| can == words);
        let at = at.unwrap_or_else(|| panic!("{words:?} cannot happen, but:\n{}", can.join("\n")));
        self.world = all.into_iter().nth(at).map(|(world, _)| world).expect("it was found");
        assert_eq!(self.world.violation, None);
        self
    }

    pub(super) fn all(self, words: &[&str]) -> Story {
        words.iter().fold(self, |story, words| story.then(words))
    }

    /// A start begins and goes on without faults until its run is open (and older logs are removed).
    pub(super) fn opens(mut self, start: usize) -> Story {
        if self.world.starts.len() == start {
            self = self.then(&format!("start {start} begins"));
        }
        self.until(start, |world| world.starts[start].todo == Todo::Run || ended(world, start))
    }

    /// A start goes on without faults until something holds.
    pub(super) fn until(mut self, start: usize, holds: impl Fn(&World) -> bool) -> Story {
        for _ in 0..200 {
            if holds(&self.world) {
                return self;
            }
            self.world = self.smoothly(start);
            assert_eq!(self.world.violation, None);
        }
        panic!("start {start} does not come so far: {:?}", self.world.starts[start].todo);
    }

    /// The next step of one start alone: its request takes effect, or it looks. Nothing of others happens.
    fn smoothly(&self, start: usize) -> World {
        let own = |step: &Step| match step {
            Step::TakesEffect { start: of, again: false, .. } | Step::NoEffect { start: of, .. } => {
                *of == start
            }
            Step::Names { start: of }
            | Step::LooksIntoTarget { start: of }
            | Step::ListsLogs { start: of } => *of == start,
            Step::Reads { start: of, seen, of: all } => *of == start && seen == all,
            Step::LooksIntoStaging { start: of, patient: true } | Step::Removes { start: of, .. } => {
                *of == start
            }
            Step::Lands { staged, again_later: false } => staged.start == start,
            _ => false,
        };
        let waiting = self.world.starts[start].todo == Todo::Staging;
        let all = self.world.next(&self.config);
        let landing = |step: &Step| matches!(step, Step::Lands { .. });
        let first = all.iter().position(|(_, step)| waiting && landing(step) && own(step));
        let next = first.or_else(|| all.iter().position(|(_, step)| own(step)));
        let can = || all.iter().map(|(_, step)| step.to_string()).collect::<Vec<_>>().join("\n");
        let at = next.unwrap_or_else(|| {
            panic!("start {start} has nothing to do by itself; what can happen:\n{}", can())
        });
        all.into_iter().nth(at).map(|(world, _)| world).expect("it was found")
    }

    /// A worker seals an epoch up to an offset.
    pub(super) fn seals(self, start: usize, worker: usize, epoch: usize, upto: u8) -> Story {
        self.then(&format!("worker {worker} of start {start} seals epoch {epoch} up to offset {upto}"))
    }

    /// The cluster stops: its processes end, its disks stay. What it sent stays on its way.
    pub(super) fn crashes(mut self, start: usize) -> Story {
        self.world.end(start, End::Killed);
        self.world.normalise(&self.config);
        self
    }

    pub(super) fn in_staging(&self) -> u32 {
        self.world.staging.count_ones()
    }

    pub(super) fn in_target(&self) -> u32 {
        self.world.target.count_ones()
    }

    pub(super) fn ended(&self, start: usize, how: End) -> bool {
        self.world.starts[start].todo == Todo::Ended(how)
    }

    /// Where the run of a start began: epoch and offsets.
    pub(super) fn opened_at(&self, start: usize) -> (u8, [u8; 2]) {
        (self.world.starts[start].first, self.world.starts[start].base)
    }

    /// Whatever happens from here on, and with one more start at any time: no row is lost or repeated.
    pub(super) fn and_whatever_happens_then_every_row_is_there_once(mut self) {
        self.config.starts = self.world.starts.len() + 1;
        self.config.cap = 60_000;
        let quiet = self.world.quiet(&self.config);
        assert!(matches!(quiet.fresh_start(&self.config, 0), Fresh::Opens));
        let found = explore_from(&self.config, self.world);
        assert!(found.violation.is_none(), "{found}");
    }
}

fn ended(world: &World, start: usize) -> bool {
    matches!(world.starts[start].todo, Todo::Ended(_))
}
