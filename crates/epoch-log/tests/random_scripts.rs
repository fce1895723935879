//! Random scripts with random faults and power cuts, by seed: `EPOCH_LOG_SEED=n` replays one, `EPOCH_LOG_SEEDS=n` runs
//! more of them.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::ErrorKind;

use common::{Scene, Step};
use epoch_log::testing::{Chance, Fault, Op, Rule, Survival};
use epoch_log::{Error, Remedy};

const SEEDS: u64 = 1_000;
const STEPS: u64 = 60;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn whatever_a_caller_and_a_disk_do_what_was_promised_is_kept() {
    let seeds = match number("EPOCH_LOG_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("EPOCH_LOG_SEEDS").unwrap_or(SEEDS),
    };
    let mut seen = Seen::default();
    for seed in seeds.clone() {
        eprintln!("replay with EPOCH_LOG_SEED={seed}");
        run(seed, &mut seen);
    }
    if seeds.end - seeds.start > 1 {
        eprintln!("{seen:?}");
        let Seen { seals, removals, full, failures, cuts, unsettled } = seen;
        assert!(
            [seals, removals, full, failures, cuts, unsettled].iter().all(|count| *count > 50),
            "{seen:?}"
        );
    }
}

/// That the scripts reach what they are for.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    seals: u64,
    removals: u64,
    full: u64,
    failures: u64,
    cuts: u64,
    unsettled: u64,
}

fn run(seed: u64, seen: &mut Seen) {
    let mut chance = Chance::new(seed);
    let mut scene = Scene::new(seed);
    let mut span = 1;
    for _ in 0..STEPS {
        if chance.one_in(12) {
            scene.disk.inject(random_fault(&mut chance));
        }
        if chance.one_in(15) {
            scene.disk.cut_power_after(scene.disk.calls() + chance.below(12));
        }
        // Part of a seal may have been done before the disk was full.
        let sealed = scene.writer.as_ref().map_or(0, |writer| writer.sealed_to().0);
        let step = random_step(&mut chance, &scene, sealed, &mut span);
        let outcome = scene.step(&step);
        match (&step, &outcome) {
            (Step::Seal { .. }, Ok(())) => seen.seals += 1,
            (Step::Remove { .. }, Ok(())) => seen.removals += 1,
            _ => {}
        }
        let Err(error) = outcome else { continue };
        match error.remedy() {
            Remedy::Retry => seen.full += 1,
            Remedy::Caller => panic!("{step:?}: {error}"),
            Remedy::Person if matches!(error, Error::Unsettled { .. }) => {
                seen.unsettled += 1;
                scene.disk.cut_power();
                recover(&mut scene, &mut chance, seen);
            }
            Remedy::Person => panic!("a fault looks like damage: {step:?}: {error}"),
            _ => {
                seen.failures += 1;
                recover(&mut scene, &mut chance, seen);
            }
        }
    }
    scene.disk.heal();
    scene.cut_power_and_check(Survival::ALL[chance.below(3) as usize]);
}

/// After a failure the process ends and a new one looks; or the power fails, or failed.
fn recover(scene: &mut Scene, chance: &mut Chance, seen: &mut Seen) {
    scene.writer = None;
    scene.disk.heal();
    if scene.disk.is_powered() && chance.one_in(2) {
        match scene.adopt_all() {
            Ok(_) => return,
            Err(error) => assert!(!scene.disk.is_powered(), "{error}"),
        }
    }
    seen.cuts += 1;
    scene.cut_power_and_check(Survival::ALL[chance.below(3) as usize]);
}

fn random_fault(chance: &mut Chance) -> Rule {
    let (fault, op) = match chance.below(9) {
        0 => (Fault::Fail(ErrorKind::Other), None),
        1 => (Fault::ShortWrite, Some(Op::WriteAt)),
        2 => (Fault::TornWrite(ErrorKind::Other), Some(Op::WriteAt)),
        3 => (Fault::TornWrite(ErrorKind::StorageFull), Some(Op::WriteAt)),
        4 => (Fault::LostSync, Some(Op::SyncData)),
        5 => (Fault::FailAfter(ErrorKind::Other), Some(Op::Rename)),
        6 => (Fault::disk_full(), Some(Op::Reserve)),
        7 => (Fault::FailAfter(ErrorKind::Other), Some(Op::RemoveFile)),
        _ => return Rule::new(Fault::LostSync).on(Op::SyncDirectory).at("/w0").after(chance.below(3)),
    };
    let rule = Rule::new(fault).after(chance.below(8));
    match op {
        Some(op) => rule.on(op),
        None => rule,
    }
}

fn random_step(chance: &mut Chance, scene: &Scene, sealed: u64, span: &mut u64) -> Step {
    if scene.writer.is_none() {
        *span = 1 + chance.below(4);
        return Step::Create { epochs_per_file: *span };
    }
    let epoch = sealed + chance.below(6);
    match chance.below(16) {
        0 => Step::Die,
        1..=3 => Step::Position { epoch, value: chance.below(4) as u8 },
        4..=7 => Step::Seal { to: (sealed / *span + 1 + chance.below(3)) * *span },
        8..=9 => Step::Remove { below: sealed.saturating_sub(chance.below(4)) },
        _ => Step::Append { epoch, bytes: 1 + chance.below(3000) as usize },
    }
}
