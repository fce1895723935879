//! Invariants 16 and 18 and the removal rule: the power fails after each file-system call of a script.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{Scene, Step};
use epoch_log::testing::{Fault, Op, Rule, Survival};
use epoch_log::{Error, Remedy};

/// Several starts, spans of one and of four epochs, open epochs side by side, empty seals, removals, deaths.
fn script() -> Vec<Step> {
    use Step::*;
    vec![
        Create { epochs_per_file: 1 },
        Append { epoch: 0, bytes: 700 },
        Append { epoch: 0, bytes: 1 },
        Position { epoch: 0, value: 1 },
        Append { epoch: 1, bytes: 3000 },
        Seal { to: 1 },
        Position { epoch: 1, value: 2 },
        Seal { to: 2 },
        Seal { to: 5 },
        Append { epoch: 5, bytes: 40 },
        Append { epoch: 7, bytes: 600 },
        Append { epoch: 6, bytes: 60 },
        Position { epoch: 7, value: 3 },
        Remove { below: 2 },
        Seal { to: 9 },
        Append { epoch: 9, bytes: 100 },
        Remove { below: 6 },
        Die,
        Create { epochs_per_file: 4 },
        Append { epoch: 1, bytes: 2000 },
        Append { epoch: 2, bytes: 20 },
        Append { epoch: 5, bytes: 20 },
        Seal { to: 4 },
        Remove { below: 3 },
        Seal { to: 7 },
        Append { epoch: 7, bytes: 10 },
        Remove { below: 4 },
        Seal { to: 8 },
    ]
}

/// Runs the script until its first error, which only the end of power may cause.
fn run(scene: &mut Scene) {
    for step in script() {
        if let Err(error) = scene.step(&step) {
            assert!(!scene.disk.is_powered(), "{step:?}: {error}");
            return;
        }
    }
}

fn calls_of_the_script() -> u64 {
    let mut scene = Scene::new(0);
    run(&mut scene);
    assert!(scene.disk.is_powered());
    scene.disk.calls()
}

#[test]
fn after_a_power_cut_at_any_call_every_sealed_epoch_is_there_and_no_other() {
    let calls = calls_of_the_script();
    assert!(calls > 100, "the script is not trivial: {calls} calls");
    for cut in 0..=calls {
        for survival in Survival::ALL {
            for seed in 0..if survival == Survival::Chance { 20 } else { 1 } {
                let mut scene = Scene::new(seed);
                scene.disk.cut_power_after(cut);
                run(&mut scene);
                eprintln!("power cut after call {cut} of {calls}, survival {survival:?}, seed {seed}");
                scene.cut_power_and_check(survival);
            }
        }
    }
}

#[test]
fn after_a_kill_at_any_call_every_sealed_epoch_is_there_and_stays_through_a_power_cut() {
    let calls = calls_of_the_script();
    for kill in 0..=calls {
        for survival in Survival::ALL {
            let mut scene = Scene::new(kill);
            // Every call from here on fails, as if none were made any more; the page cache lives on.
            scene.disk.inject(Rule::new(Fault::io_error()).after(kill).always());
            for step in script() {
                if scene.step(&step).is_err() {
                    break;
                }
            }
            scene.disk.heal();
            eprintln!("killed after call {kill} of {calls}, then power cut with survival {survival:?}");
            scene.adopt_all().unwrap();
            scene.cut_power_and_check(survival);
        }
    }
}

/// Each call of the script fails once, in each way; the process goes on where it may, else dies.
#[test]
fn after_a_failure_of_any_call_every_sealed_epoch_is_there_and_stays_through_a_power_cut() {
    let faults = [
        Fault::io_error(),
        Fault::FailAfter(ErrorKind::Other),
        Fault::disk_full(),
        Fault::TornWrite(ErrorKind::StorageFull),
        Fault::ShortWrite,
        Fault::LostSync,
    ];
    let calls = calls_of_the_script();
    for call in 0..=calls {
        for fault in &faults {
            for survival in Survival::ALL {
                eprintln!("{fault:?} at call {call} of {calls}, then power cut with survival {survival:?}");
                let mut scene = Scene::new(call);
                scene.disk.inject(Rule::new(fault.clone()).after(call));
                for step in script() {
                    let Err(error) = scene.step(&step) else { continue };
                    match error.remedy() {
                        Remedy::Retry => continue,
                        Remedy::Restart => {
                            scene.disk.heal();
                            scene.adopt_all().unwrap();
                        }
                        // The machine is restarted, as it is below.
                        _ => assert!(matches!(error, Error::Unsettled { .. }), "{step:?}: {error}"),
                    }
                    break;
                }
                scene.disk.heal();
                scene.cut_power_and_check(survival);
            }
        }
    }
}

/// The tests above fail when a step of the seal, or the sync at adoption, is left out.
#[test]
fn the_power_cuts_find_each_sync_that_is_left_out() {
    for (op, path) in [
        (Op::SyncData, ".open"),
        (Op::SyncDirectory, "/w0"),
        (Op::SyncDirectory, "g1-n1"),
        (Op::SyncDirectory, "0123456789abcdef"),
        (Op::SyncDirectory, "storms"),
        (Op::SyncDirectory, "/lib"),
        (Op::SyncDirectory, "/var"),
        (Op::SyncDirectory, "/"),
    ] {
        let lost = catch_unwind(AssertUnwindSafe(|| {
            let mut scene = Scene::new(7);
            scene.disk.inject(Rule::new(Fault::LyingSync).on(op).at(path).always());
            run(&mut scene);
            scene.cut_power_and_check(Survival::Nothing);
        }));
        assert!(lost.is_err(), "a missing {op:?} of {path} goes unnoticed");
    }
}

/// A predecessor that died between rename and sync left a name that only memory holds.
#[test]
fn an_adoption_without_its_own_sync_would_show_a_file_that_a_power_cut_takes() {
    let run = |adoption_syncs: bool| {
        let mut scene = Scene::new(3);
        scene.step(&Step::Create { epochs_per_file: 1 }).unwrap();
        scene.step(&Step::Append { epoch: 0, bytes: 10 }).unwrap();
        let dies_at_the_sync = Rule::new(Fault::io_error()).on(Op::SyncDirectory).at("/w0");
        scene.disk.inject(dies_at_the_sync);
        scene.disk.inject(Rule::new(Fault::io_error()).on(Op::RemoveFile));
        scene.step(&Step::Seal { to: 1 }).unwrap_err();
        scene.disk.heal();
        if !adoption_syncs {
            scene.disk.inject(Rule::new(Fault::LyingSync).on(Op::SyncDirectory).always());
        }
        let adopted = scene.adopt_all().unwrap();
        assert_eq!(adopted[0].chain(epoch_log::Epoch(0)).unwrap().len(), 1, "the renamed file is found");
        drop(adopted);
        scene.cut_power_and_check(Survival::Nothing);
    };
    run(true);
    assert!(catch_unwind(AssertUnwindSafe(|| run(false))).is_err());
}
