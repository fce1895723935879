//! "A run can always be finished": from any state, with everything on its way dropped and every process ended, a fresh
//! start without faults opens a run exactly at what T holds.

use super::config::{Config, WORKERS};
use super::world::{End, Todo, World};
use crate::rules::Rule;

/// What a fresh start came to.
pub(super) enum Fresh {
    Opens,
    /// It needs logs that are not on its hosts.
    Stops,
    Violates(String),
}

impl World {
    /// The world in which everybody has ended and nothing is on its way.
    pub(super) fn quiet(&self, config: &Config) -> World {
        let mut world = self.clone();
        (0..world.starts.len()).for_each(|at| {
            world.end(at, End::Killed);
            let mut start = world.take(at);
            (start.attempts, start.claimed_at, start.claim_read) = (Default::default(), None, true);
            world.set(at, start);
        });
        world.requests.clear();
        (world.posted, world.landing) = (0, 0);
        (world.lost_answers, world.duplicates, world.retries, world.sweeps) = (0, 0, 0, 0);
        (world.disks, world.by_hand) = (0, 0);
        if config.on(Rule::StartByGeneration) {
            world.rows.sort_unstable();
            world.rows.dedup();
        }
        world
    }

    /// Runs a fresh start on a set of hosts, from a quiet world.
    pub(super) fn fresh_start(&self, config: &Config, host: u8) -> Fresh {
        let config = &Config { epochs: config.epochs, starts: self.starts.len() + 1, ..config.clone() };
        let mut world = self.clone();
        let me = world.starts.len();
        world.begin(config, host);
        for _ in 0..200 {
            if let Some(what) = world.violation {
                return Fresh::Violates(format!("a fresh start would go wrong: {what}"));
            }
            match &world.starts[me].todo {
                Todo::Run | Todo::Clean(_) | Todo::Ended(End::Finished) => return world.opened(config, me),
                Todo::Ended(_) => return Fresh::Stops,
                _ => world = world.plainly(config, me),
            }
        }
        Fresh::Violates("a fresh start never opens its run".to_owned())
    }

    /// The next state without faults: requests take effect at once, reads are fresh.
    fn plainly(&self, config: &Config, me: usize) -> World {
        let mut next = Vec::new();
        self.deliveries(config, &mut next);
        if next.is_empty() {
            self.of_start(config, me, &mut next);
        }
        let fresh =
            next.into_iter().rev().find(|(_, step)| !matches!(step, super::Step::ReadsWithout { .. }));
        let (mut world, _) = fresh.expect("a start that has not ended waits for something");
        world.normalise(config);
        world
    }

    fn opened(&self, config: &Config, me: usize) -> Fresh {
        let base = self.starts[me].base;
        let times = match self.coverage(config) {
            Ok(times) => times,
            Err(what) => return Fresh::Violates(what),
        };
        for worker in 0..WORKERS {
            let fits = |offset: usize| (times[worker][offset] == 1) == (offset < usize::from(base[worker]));
            if !(0..usize::from(config.offsets[worker])).all(fits) {
                let (from, held) = (base[worker], &times[worker][..usize::from(config.offsets[worker])]);
                return Fresh::Violates(format!(
                    "a fresh start opens partition {worker} at offset {from}, and T holds {held:?}"
                ));
            }
        }
        Fresh::Opens
    }
}
