//! What happens in each step of a walk: drawn from the seed and the step's number alone, so that a seed gives the same
//! steps whatever else went on.
//!
//! A step is one start of the pipeline, from its processes to the end of all of them.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use timely_kusto::failpoints::{COMMITTING, STARTING, STEPS};

use super::weather::{Doubts, Weather};

/// Processes of a start.
pub(super) const MOST_PROCESSES: usize = 3;

/// One start of the pipeline, and how it ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Step {
    pub(super) number: u64,
    pub(super) shape: Shape,
    /// How fast it reads, beside the usual rate of the walk.
    pub(super) pace: Pace,
    /// A small budget of epoch files, at which the source pauses.
    pub(super) log_bytes: Option<u64>,
    /// Processes whose disks are lost before the start, by their numbers.
    pub(super) lost_disks: Vec<usize>,
    /// The service's moods: from which millisecond of the step on, in order.
    pub(super) weather: Vec<(u64, Weather)>,
    pub(super) stalls: Vec<Stall>,
    pub(super) full_disk: Option<FullDisk>,
    /// When requests that are held on their way go on, and whether they die instead.
    pub(super) release: Option<(u64, bool)>,
    /// When the service's node is replaced by another one.
    pub(super) fail_over: Option<u64>,
    pub(super) ending: Ending,
}

/// How many processes, and workers in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shape {
    pub(super) processes: usize,
    pub(super) workers: usize,
}

/// How fast a start reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Pace {
    Slow,
    Usual,
    Fast,
}

/// One process is stopped by SIGSTOP, and goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Stall {
    pub(super) process: usize,
    /// In milliseconds of the step.
    pub(super) at: u64,
    pub(super) length: u64,
}

/// The disk of one process, or of each, is full for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct FullDisk {
    pub(super) process: Option<usize>,
    /// In milliseconds of the step.
    pub(super) at: u64,
    pub(super) length: u64,
}

/// When a step's end begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Moment {
    /// So many milliseconds after the processes were started.
    Started(u64),
    /// So many milliseconds after all processes were together: in the middle of what the start has to do.
    Joined(u64),
    /// So many milliseconds after rows of this start came to the table.
    Flowing(u64),
}

/// How a start ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Ending {
    /// These processes are killed.
    Kill { processes: Vec<usize>, at: Moment },
    /// This process dies when it comes to this place, or is killed when it has not come there so many milliseconds after
    /// all were together.
    Failpoint { process: usize, place: String, patience: u64 },
    /// A process is asked to stop.
    Stop { process: usize, interrupt: bool, at: Moment },
    /// The pipeline is started a second time. What was there first is paused meanwhile, or not.
    Rival { shape: Shape, paused: bool, same_disks: bool, at: Moment, resume: u64, then: u64 },
}

impl Step {
    /// The step of this number in the walk of a seed.
    pub(super) fn of(seed: u64, number: u64, doubts: &Doubts) -> Self {
        let mut chance = StdRng::seed_from_u64(mixed(seed, number));
        let shape = Shape::draw(&mut chance);
        let every = 0..shape.processes;
        Step {
            number,
            shape,
            pace: *[Pace::Slow, Pace::Usual, Pace::Usual, Pace::Fast]
                .choose(&mut chance)
                .unwrap_or(&Pace::Usual),
            log_bytes: chance.random_bool(0.1).then(|| 1 << chance.random_range(12..20)),
            lost_disks: every.clone().filter(|_| chance.random_bool(0.06)).collect(),
            weather: weather(&mut chance, doubts),
            stalls: stalls(&mut chance, shape),
            full_disk: chance.random_bool(0.08).then(|| FullDisk {
                process: chance.random_bool(0.6).then(|| chance.random_range(0..shape.processes)),
                at: chance.random_range(0..600),
                length: chance.random_range(50..600),
            }),
            release: chance
                .random_bool(0.6)
                .then(|| (chance.random_range(0..1_200), chance.random_bool(0.2))),
            fail_over: chance.random_bool(0.05).then(|| chance.random_range(0..1_200)),
            ending: Ending::draw(&mut chance, shape),
        }
    }

    /// The start without troubles that finishes a round.
    pub(super) fn last_shape(seed: u64, number: u64) -> Shape {
        Shape::draw(&mut StdRng::seed_from_u64(mixed(seed, number)))
    }
}

/// One number of two (SplitMix64), so that neighbouring seeds and steps have nothing in common.
pub(super) fn mixed(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Shape {
    /// Three processes half of the time, else one or two.
    fn draw(chance: &mut StdRng) -> Self {
        let processes = *[1, 2, 3, 3].choose(chance).unwrap_or(&3);
        Shape { processes, workers: chance.random_range(1..=3) }
    }
}

impl Ending {
    fn draw(chance: &mut StdRng, shape: Shape) -> Self {
        match chance.random_range(0..100) {
            0..42 => Ending::kill(chance, shape),
            42..84 => Ending::failpoint(chance, shape),
            84..91 => Ending::Stop {
                process: chance.random_range(0..shape.processes),
                interrupt: chance.random(),
                at: Moment::draw(chance),
            },
            _ => Ending::Rival {
                shape: Shape::draw(chance),
                paused: chance.random(),
                same_disks: chance.random(),
                at: Moment::draw(chance),
                resume: chance.random_range(0..800),
                then: chance.random_range(0..600),
            },
        }
    }

    /// One, several or all.
    fn kill(chance: &mut StdRng, shape: Shape) -> Self {
        let mut processes: Vec<usize> = (0..shape.processes).collect();
        processes.shuffle(chance);
        processes.truncate(chance.random_range(1..=shape.processes));
        Ending::Kill { processes, at: Moment::draw(chance) }
    }

    /// The coordinator is in the first process.
    fn failpoint(chance: &mut StdRng, shape: Shape) -> Self {
        let side = if chance.random() { "before" } else { "after" };
        let action = |action: &str| (0, format!("{side} {action}"));
        let (process, place) = match chance.random_range(0..10) {
            0..3 => action(STARTING.choose(chance).unwrap_or(&STARTING[0])),
            3..6 => action(COMMITTING.choose(chance).unwrap_or(&COMMITTING[0])),
            _ => (
                chance.random_range(0..shape.processes),
                STEPS.choose(chance).unwrap_or(&STEPS[0]).to_string(),
            ),
        };
        let again = !STARTING.iter().any(|action| place.ends_with(action)); // what a start does once
        let times = if again { *[1, 1, 2, 3, 5].choose(chance).unwrap_or(&1) } else { 1 };
        Ending::Failpoint {
            process,
            place: format!("{place}#{times}"),
            patience: chance.random_range(500..1_500),
        }
    }
}

impl Moment {
    fn draw(chance: &mut StdRng) -> Self {
        match chance.random_range(0..10) {
            0..2 => Moment::Started(chance.random_range(0..900)),
            2..5 => Moment::Joined(chance.random_range(0..400)),
            _ => Moment::Flowing(chance.random_range(0..500)),
        }
    }
}

/// Fair at times, else one mood or two.
fn weather(chance: &mut StdRng, doubts: &Doubts) -> Vec<(u64, Weather)> {
    let first = if chance.random_bool(0.3) { Weather::fair(doubts) } else { Weather::draw(chance, doubts) };
    let mut moods = vec![(0, first)];
    if chance.random_bool(0.3) {
        moods.push((chance.random_range(100..900), Weather::draw(chance, doubts)));
    }
    moods
}

fn stalls(chance: &mut StdRng, shape: Shape) -> Vec<Stall> {
    let count = if chance.random_bool(0.25) { chance.random_range(1..=shape.processes) } else { 0 };
    let mut stall = || Stall {
        process: chance.random_range(0..shape.processes),
        at: chance.random_range(0..900),
        length: chance.random_range(20..700),
    };
    (0..count).map(|_| stall()).collect()
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
