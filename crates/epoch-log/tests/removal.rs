//! The removal rule: only whole files below the bound, at any time again, cut off anywhere.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::ErrorKind;

use common::{body_of, chunk, disk_with_sealed, file_path, id, log_on, start, worker};
use epoch_log::fs::FileSystem;
use epoch_log::testing::{Fault, Op, Rule, SimulatedDisk, Survival};
use epoch_log::{Epoch, Error, Removed, WriterOptions};

#[test]
fn files_below_the_bound_go_and_a_file_that_reaches_beyond_it_stays() {
    let disk = SimulatedDisk::new(0);
    let log = log_on(&disk);
    let options = WriterOptions::from(Epoch(0)).epochs_per_file(3.try_into().unwrap());
    let mut writer = log.create(&start(1), worker(), options).unwrap();
    for epoch in 0..9 {
        writer.append(&chunk(epoch, 1), &[epoch as u8]).unwrap();
    }
    writer.seal(Epoch(9)).unwrap();
    writer.append(&chunk(9, 1), b"open").unwrap();
    let mut tos = |bound| {
        writer.remove_below(Epoch(bound)).unwrap();
        writer.sealed().map(|file| file.to().0).collect::<Vec<_>>()
    };
    assert_eq!(tos(2), [3, 6, 9]);
    assert_eq!(tos(3), [6, 9]);
    assert_eq!(tos(5), [6, 9], "4 and 5 are committed, their file is not");
    assert_eq!(tos(0), [6, 9], "an older bound is no harm");
    assert_eq!(tos(u64::MAX), [0u64; 0]);
    assert!(disk.contents(&file_path("12.open")).is_some(), "an open file is not removed");
    writer.seal(Epoch(10)).unwrap();
}

#[test]
fn a_removal_cut_off_at_any_call_leaves_what_is_at_or_above_the_bound_and_is_done_again() {
    for cut in 0.. {
        for survival in Survival::ALL {
            let (disk, log) = disk_with_sealed(6);
            let mut adopted = log.adopt(&id(1)).unwrap();
            disk.cut_power_after(disk.calls() + cut);
            let outcome = adopted.remove_below(Epoch(4));
            drop(adopted);
            let done = outcome.is_ok() && disk.is_powered();
            disk.restart(survival);
            let mut adopted = log.adopt(&id(1)).unwrap();
            let files = adopted.chain(Epoch(4)).unwrap();
            assert_eq!(
                files.iter().map(|file| file.to().0).collect::<Vec<_>>(),
                [5, 6],
                "cut {cut}, {survival:?}"
            );
            assert_eq!(body_of(&files[0], 0).unwrap(), b"body of epoch 4");
            adopted.remove_below(Epoch(4)).unwrap();
            assert_eq!(adopted.sealed().count(), 2, "what came back goes again");
            if done {
                return;
            }
        }
    }
}

#[test]
fn a_removal_that_failed_half_way_goes_on_where_it_stopped() {
    let (disk, log) = disk_with_sealed(5);
    let mut adopted = log.adopt(&id(1)).unwrap();
    disk.inject(Rule::new(Fault::Fail(ErrorKind::Other)).on(Op::RemoveFile).after(1));
    let error = adopted.remove_below(Epoch(4)).unwrap_err();
    assert_eq!(error.path(), Some(file_path("2.epochs").as_path()), "{error}");
    assert_eq!(adopted.remove_below(Epoch(4)).unwrap().files, 3);
    disk.inject(Rule::new(Fault::FailAfter(ErrorKind::Other)).on(Op::RemoveFile));
    adopted.remove_below(Epoch(5)).unwrap_err();
    assert_eq!(adopted.remove_below(Epoch(5)).unwrap().files, 1, "a file that is gone already is no error");
}

#[test]
fn a_body_that_is_being_read_stays_readable_after_its_removal() {
    let (_disk, log) = disk_with_sealed(1);
    let mut adopted = log.adopt(&id(1)).unwrap();
    let body = adopted.chain(Epoch(0)).unwrap()[0].body(0).unwrap();
    let Removed { files, bytes } = adopted.remove_below(Epoch(1)).unwrap();
    assert!(files == 1 && bytes > body.length());
    body.verify().unwrap();
}

#[test]
fn a_discarded_directory_leaves_nothing_and_its_neighbours_alone() {
    let (disk, log) = disk_with_sealed(3);
    let other = epoch_log::Worker::new(1, 2).unwrap();
    drop(log.create(&start(1), other, WriterOptions::from(Epoch(0))).unwrap());
    log.adopt(&id(1)).unwrap().discard().unwrap();
    assert_eq!(log.directories().unwrap().len(), 1, "worker 1 of the same start is still there");
    let last = log.directories().unwrap().remove(0);
    log.adopt(&last).unwrap().discard().unwrap();
    assert!(
        disk.list(&log.path()).unwrap().is_empty(),
        "and with the last worker the start's directory goes"
    );
}

#[test]
fn a_discard_cut_off_at_any_call_can_be_done_again() {
    for cut in 0.. {
        for survival in Survival::ALL {
            let (disk, log) = disk_with_sealed(3);
            let adopted = log.adopt(&id(1)).unwrap();
            disk.cut_power_after(disk.calls() + cut);
            let outcome = adopted.discard();
            let done = outcome.is_ok() && disk.is_powered();
            disk.restart(survival);
            for id in log.directories().unwrap() {
                log.adopt(&id).unwrap().discard().unwrap();
            }
            assert_eq!(log.directories().unwrap(), []);
            if done {
                return;
            }
        }
    }
}

#[test]
fn a_foreign_file_that_came_later_stops_the_discard_before_anything_is_removed() {
    let (disk, log) = disk_with_sealed(3);
    let adopted = log.adopt(&id(1)).unwrap();
    disk.put(&file_path("notes.txt"), b"mine");
    let before = disk.files();
    assert!(matches!(adopted.discard(), Err(Error::Foreign { .. })));
    assert_eq!(disk.files(), before);
}
