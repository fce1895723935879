//! Invariant 17: after a failed write or sync an epoch file is abandoned, never repaired.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::ErrorKind;

use common::{body_of, chunk, file_path, id, log_on, start, worker};
use epoch_log::testing::{Fault, Gate, Op, Rule, SimulatedDisk, Survival};
use epoch_log::{Epoch, Error, Log, Remedy, Writer, WriterOptions};

fn writer() -> (SimulatedDisk, Log, Writer) {
    let disk = SimulatedDisk::new(5);
    let log = log_on(&disk);
    let mut writer = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap();
    writer.append(&chunk(0, 1), b"first").unwrap();
    writer.seal(Epoch(1)).unwrap();
    writer.append(&chunk(1, 1), b"second").unwrap();
    (disk, log, writer)
}

/// Everything that a failed write or sync can look like, at each call of a seal.
fn failures() -> Vec<(Op, Fault)> {
    let error = ErrorKind::Other;
    vec![
        (Op::Reserve, Fault::Fail(error)),
        (Op::WriteAt, Fault::Fail(error)),
        (Op::WriteAt, Fault::TornWrite(error)),
        (Op::WriteAt, Fault::TornWrite(ErrorKind::StorageFull)),
        (Op::WriteAt, Fault::FailAfter(error)),
        (Op::SyncData, Fault::Fail(error)),
        (Op::SyncData, Fault::LostSync),
        (Op::SyncData, Fault::FailAfter(error)),
        (Op::Rename, Fault::Fail(error)),
        (Op::Rename, Fault::FailAfter(error)),
        (Op::SyncDirectory, Fault::Fail(error)),
        (Op::SyncDirectory, Fault::LostSync),
        (Op::SyncDirectory, Fault::FailAfter(error)),
    ]
}

#[test]
fn a_file_takes_nothing_more_after_a_failure_though_the_disk_has_recovered() {
    for (op, fault) in failures() {
        let (disk, _log, mut writer) = writer();
        disk.inject(Rule::new(fault.clone()).on(op));
        let error = writer.seal(Epoch(2)).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{op:?} {fault:?}: {error}");
        assert_eq!(error.remedy(), Remedy::Restart);
        let calls = disk.calls();
        for outcome in [writer.append(&chunk(1, 1), b"more").map(drop), writer.seal(Epoch(2)).map(drop)] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::Abandoned { .. }), "{op:?} {fault:?}: {error}");
            assert_eq!(error.path(), Some(file_path("2.open").as_path()));
            assert!(error.to_string().contains("end the process and start it again"), "{error}");
        }
        assert_eq!(disk.calls(), calls, "{op:?} {fault:?}: not one call more on this file");
        assert_eq!(writer.sealed_to(), Epoch(1));
        assert!(writer.seal(Epoch(3)).is_err(), "and no later seal passes over it");
    }
}

/// The next process finds the file only if it is whole and stays: a second sync may have lied.
#[test]
fn after_a_failure_the_next_process_finds_what_was_sealed_and_a_power_cut_changes_nothing_of_it() {
    for (op, fault) in failures() {
        for survival in Survival::ALL {
            let (disk, log, mut writer) = writer();
            disk.inject(Rule::new(fault.clone()).on(op));
            writer.seal(Epoch(2)).unwrap_err();
            drop(writer);
            let to = log.adopt(&id(1)).unwrap().sealed_to();
            disk.restart(survival);
            let adopted = log.adopt(&id(1)).unwrap();
            assert!(adopted.sealed_to() >= to, "{op:?} {fault:?} {survival:?}: was {to:?}");
            for (index, file) in adopted.chain(Epoch(0)).unwrap().iter().enumerate() {
                assert_eq!(body_of(file, 0).unwrap(), [&b"first"[..], b"second"][index]);
            }
        }
    }
}

#[test]
fn a_failed_append_abandons_its_file_only() {
    let (disk, _log, mut writer) = writer();
    disk.inject(Rule::new(Fault::TornWrite(ErrorKind::Other)).on(Op::WriteAt));
    writer.append(&chunk(4, 1), b"torn").unwrap_err();
    assert!(matches!(writer.append(&chunk(4, 1), b"again"), Err(Error::Abandoned { .. })));
    writer.append(&chunk(1, 1), b"third").unwrap();
    writer.seal(Epoch(4)).expect("what lies before it is not touched");
    assert!(matches!(writer.seal(Epoch(5)), Err(Error::Abandoned { .. })));
}

/// The rows that failed are in no file: a seal must not take their epoch for one without rows.
#[test]
fn no_seal_passes_over_an_epoch_whose_only_append_failed() {
    let disk = SimulatedDisk::new(0);
    let options = WriterOptions::from(Epoch(0)).epochs_per_file(4.try_into().unwrap());
    let mut writer = log_on(&disk).create(&start(1), worker(), options).unwrap();
    disk.inject(Rule::new(Fault::Fail(ErrorKind::Other)).on(Op::WriteAt));
    writer.append(&chunk(5, 1), b"lost").unwrap_err();
    writer.seal(Epoch(4)).expect("the file before is not touched");
    for to in [5, 6, 7, 8, 20] {
        assert!(matches!(writer.seal(Epoch(to)), Err(Error::Abandoned { .. })), "sealed up to {to}");
    }
}

#[test]
fn a_short_write_and_an_interruption_are_no_failures() {
    let (disk, _log, mut writer) = writer();
    disk.inject(Rule::new(Fault::ShortWrite).on(Op::WriteAt).times(5));
    let interrupted = |op| Rule::new(Fault::Fail(ErrorKind::Interrupted)).on(op).times(3);
    disk.inject(interrupted(Op::WriteAt));
    disk.inject(interrupted(Op::ReadAt));
    writer.append(&chunk(1, 1), b"in many pieces").unwrap();
    let file = writer.seal(Epoch(2)).unwrap().remove(0);
    disk.restart(Survival::Nothing);
    let log = log_on(&disk);
    drop(writer);
    let adopted = log.adopt(&id(1)).unwrap();
    assert_eq!(adopted.chain(Epoch(1)).unwrap()[0].footer(), file.footer());
    assert_eq!(body_of(&adopted.chain(Epoch(1)).unwrap()[0], 1).unwrap(), b"in many pieces");
}

#[test]
fn a_directory_whose_name_could_not_be_made_durable_is_withdrawn() {
    for parent in ["/lib", "storms", "0123456789abcdef", "g1-n1"] {
        let disk = SimulatedDisk::new(0);
        let log = log_on(&disk);
        disk.inject(Rule::new(Fault::LostSync).on(Op::SyncDirectory).at(parent));
        log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap_err();
        // The next start, without a reboot: every sync claims success now.
        let mut writer = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap();
        writer.seal(Epoch(1)).unwrap();
        drop(writer);
        disk.restart(Survival::Nothing);
        assert_eq!(log.adopt(&id(1)).unwrap().sealed_to(), Some(Epoch(1)), "lost with {parent}");
    }
}

/// Two failures in a row leave a name of which nobody knows whether the disk has it.
#[test]
fn a_name_that_can_neither_be_synced_nor_withdrawn_asks_for_a_restart_of_the_machine() {
    let (disk, log, mut writer) = writer();
    disk.inject(Rule::new(Fault::LostSync).on(Op::SyncDirectory));
    disk.inject(Rule::new(Fault::io_error()).on(Op::RemoveFile));
    let error = writer.seal(Epoch(2)).unwrap_err();
    assert!(matches!(error, Error::Unsettled { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Person);
    assert!(error.to_string().contains("restart the machine, not only the process"), "{error}");
    assert!(matches!(writer.seal(Epoch(2)), Err(Error::Abandoned { .. })));
    drop(writer);
    disk.inject(Rule::new(Fault::LostSync).on(Op::SyncDirectory));
    assert!(
        matches!(log.adopt(&id(1)), Err(Error::Unsettled { .. })),
        "an adoption cannot tell what it sees"
    );
    disk.restart(Survival::Nothing);
    assert_eq!(log.adopt(&id(1)).unwrap().sealed_to(), Some(Epoch(1)));
}

#[test]
fn a_directory_that_was_there_before_is_not_withdrawn() {
    let (disk, log, writer) = writer();
    drop(writer);
    disk.inject(Rule::new(Fault::io_error()).on(Op::SyncDirectory).at("storms"));
    let error = log.create(&start(2), worker(), WriterOptions::from(Epoch(0))).unwrap_err();
    assert!(matches!(error, Error::Unsettled { .. }), "{error}");
    assert_eq!(log.adopt(&id(1)).unwrap().sealed_to(), Some(Epoch(1)));
}

/// A disk that takes its time holds back the seal, and nothing else.
#[test]
fn while_a_sync_takes_long_bodies_are_read_and_the_seal_has_not_returned() {
    let (disk, log, mut writer) = writer();
    let sealed = writer.sealed().next().unwrap().clone();
    let open = writer.append(&chunk(1, 1), b"open").unwrap();
    let gate = Gate::new();
    disk.inject(Rule::new(Fault::Hold(gate.clone())).on(Op::SyncData));
    std::thread::scope(|scope| {
        let sealing = scope.spawn(|| writer.seal(Epoch(2)).unwrap().len());
        gate.wait_for_caller();
        assert!(!sealing.is_finished());
        assert_eq!(body_of(&sealed, 0).unwrap(), b"first");
        let mut bytes = [0; 4];
        open.read_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"open");
        assert!(matches!(log.adopt(&id(1)), Err(Error::Locked { .. })));
        gate.open();
        assert_eq!(sealing.join().unwrap(), 1);
    });
}
