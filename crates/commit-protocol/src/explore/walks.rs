//! Walks: random paths from the first state to the end. The searches that are bounded by default reach some twenty
//! steps; a run takes two or three times as many. Walks see the far end of the large configurations.
//!
//! `KT_SEED=<n>` replays one walk, `KT_WALKS=<n>` sets how many there are for each configuration.

use super::probe::Fresh;
use super::world::{End, Todo, World};
use super::*;
use crate::rules::{Rule, Rules};

/// Walks of each configuration by default: a second for all of them.
const WALKS: u64 = 500;
/// Longer than any walk: each step uses something up.
const MOST_STEPS: usize = 400;
/// A fresh start is tried from every so manieth state, and from the last.
const PROBED: usize = 10;

/// What the walks of a configuration came to.
#[derive(Debug, Default)]
struct Walked {
    walks: u64,
    steps: usize,
    longest: usize,
    finished: u64,
}

/// SplitMix64: small, and the seed replays a walk.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % bound as u64) as usize
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn walks(config: &Config) -> Walked {
    let seeds = match number("KT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KT_WALKS").unwrap_or(WALKS),
    };
    let mut walked = Walked::default();
    for seed in seeds {
        let mut trace = Vec::new();
        let outcome = walk(config, seed, &mut trace);
        let words = || trace.iter().map(Step::to_string).collect::<Vec<_>>().join("\n  ");
        let end =
            outcome.unwrap_or_else(|what| panic!("{}, KT_SEED={seed}: {what}\n  {}", config.name, words()));
        walked.walks += 1;
        walked.steps += trace.len();
        walked.longest = walked.longest.max(trace.len());
        walked.finished += u64::from(end.starts.iter().any(|start| start.todo == Todo::Ended(End::Finished)));
    }
    println!("{:<44} {walked:?}", config.name);
    walked
}

/// One walk until nothing can happen any more; what is wrong on its way, if anything is.
fn walk(config: &Config, seed: u64, trace: &mut Vec<Step>) -> Result<World, String> {
    let mut chance = Chance(seed);
    let mut world = World::new(config);
    loop {
        let mut next = world.next(config);
        if let Some(what) = world.violation {
            return Err(what);
        }
        let last = next.is_empty();
        if last || trace.len() % PROBED == PROBED - 1 {
            probe(config, &world)?;
        }
        if last {
            return Ok(world);
        }
        if trace.len() == MOST_STEPS {
            return Err("it never ends".to_owned());
        }
        let (after, step) = next.swap_remove(chance.below(next.len()));
        trace.push(step);
        world = after;
    }
}

/// What the search asks of a state, of one on a walk.
fn probe(config: &Config, world: &World) -> Result<(), String> {
    if world.meddled && !world.decided {
        return Ok(());
    }
    if let Some(what) = world.broken_invariant(config) {
        return Err(what);
    }
    let quiet = world.quiet(config);
    let fresh: Vec<Fresh> = (0..config.hosts).map(|host| quiet.fresh_start(config, host)).collect();
    let opens = fresh.iter().any(|fresh| matches!(fresh, Fresh::Opens));
    match fresh
        .into_iter()
        .find_map(|fresh| if let Fresh::Violates(what) = fresh { Some(what) } else { None })
    {
        Some(what) => Err(what),
        None if opens || world.disk_lost => Ok(()),
        None => Err("no fresh start can open a run, although no disk was lost".to_owned()),
    }
}

/// Everything at once, with one kind of source and the other.
fn large(name: &'static str) -> Config {
    Config {
        starts: 3,
        lost_answers: 2,
        duplicates: 1,
        retries: 1,
        sweeps: 2,
        rows_twice: true,
        late_names: true,
        ..Config::named(name)
    }
}

#[test]
fn walks_of_three_starts_with_all_faults_keep_every_row_once_to_their_end() {
    assert!(walks(&large("walks: three starts, all faults")).finished > 0 || number("KT_SEED").is_some());
}

#[test]
fn walks_of_three_starts_with_lost_disks_and_hosts_keep_every_row_once_to_their_end() {
    for replay in [true, false] {
        let config =
            Config { starts: 4, disks: 1, hosts: 2, replay, ..large("walks: disks lost, two sets of hosts") };
        let _ = walks(&config);
    }
}

#[test]
fn walks_an_epoch_at_a_time_with_partial_moves_and_a_close_keep_every_row_once_to_their_end() {
    let config = Config {
        epochs: 3,
        offsets: [2, 1],
        starts: 2,
        chunks_per_commit: 1,
        partial_moves: true,
        close: true,
        init: true,
        ..large("walks: three epochs, one at a time, partial moves")
    };
    assert!(walks(&config).finished > 0 || number("KT_SEED").is_some());
}

/// Walks bite, too: without the fence, with a status instead of a listing, with a sweep of the living, one of them goes wrong.
#[test]
fn walks_find_a_rule_that_is_left_out() {
    for rule in [Rule::Fence, Rule::Listing, Rule::GenerationOver] {
        let config = Config { rules: Rules::without(rule), ..large("walks: a rule left out") };
        let wrong = |seed: &u64| walk(&config, *seed, &mut Vec::new()).is_err();
        assert!((0..2_000).find(wrong).is_some(), "no walk goes wrong without {rule:?}");
    }
}
