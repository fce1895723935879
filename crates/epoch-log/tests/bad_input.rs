//! What people put, leave or do where the files are: a clear error that names the file and what to do, and nothing is
//! removed. (Truncated and damaged files: `damage.rs`.)
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::ErrorKind;
use std::path::Path;

use common::{STATE, chunk, disk_with_sealed, file_path, id, lineage, log_on, start, worker};
use epoch_log::fs::FileSystem;
use epoch_log::testing::{Fault, Op, Rule, SimulatedDisk};
use epoch_log::{DirectoryId, Epoch, Error, Lineage, Log, Remedy, Start, WriterOptions};

/// Adopting fails, for a person, naming this path and this advice, and every file is still there.
fn assert_refused(disk: &SimulatedDisk, log: &Log, path: &Path, says: &[&str]) {
    let before = disk.files();
    let error = log.adopt(&id(1)).map(drop).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.path(), Some(path), "{message}");
    assert_eq!(error.remedy(), Remedy::Person, "{message}");
    for text in says {
        assert!(message.contains(text), "{message:?} should say {text:?}");
    }
    assert_eq!(disk.files(), before, "something was removed: {message}");
}

/// A directory with sealed files and an open one, which an adoption would remove.
fn scene() -> (SimulatedDisk, Log) {
    let (disk, log) = disk_with_sealed(2);
    disk.put(&file_path("3.open"), b"unsealed");
    (disk, log)
}

#[test]
fn a_foreign_file_stops_the_adoption() {
    for name in
        ["notes.txt", "1.epochs.bak", "01.epochs", "+3.epochs", "x.open", ".3.open.swp", "4.epochs~", "LOCK"]
    {
        let (disk, log) = scene();
        disk.put(&file_path(name), b"mine");
        assert_refused(&disk, &log, &file_path(name), &["does not belong to this log", "move it elsewhere"]);
    }
}

#[test]
fn a_directory_with_the_name_of_a_file_stops_the_adoption() {
    for name in ["9.epochs", "9.open"] {
        let (disk, log) = scene();
        disk.create_directory(&file_path(name)).unwrap();
        assert_refused(&disk, &log, &file_path(name), &["not a regular file"]);
    }
}

#[test]
fn foreign_names_among_the_directories_are_named() {
    for name in ["README", "g1", "g01-n1", "g1-N", "g2-"] {
        let (disk, log) = scene();
        let path = Path::new(STATE).join("0123456789abcdef").join(name);
        disk.create_directory(&path).unwrap();
        let error = log.directories().unwrap_err();
        assert_eq!(error.path(), Some(path.as_path()), "{error}");
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
    }
    for name in ["x", "w", "w01", "w-1", "w4294967296"] {
        let (disk, log) = scene();
        let path = Path::new(STATE).join("0123456789abcdef/g1-n1").join(name);
        disk.create_directory(&path).unwrap();
        let error = log.directories().unwrap_err();
        assert_eq!(error.path(), Some(path.as_path()), "{error}");
    }
}

#[test]
fn a_directory_copied_from_another_lineage_is_refused() {
    let (disk, _) = scene();
    let other = Lineage::new("fedcba9876543210").unwrap();
    let log = Log::new(STATE, other).on(std::sync::Arc::new(disk.clone()));
    drop(log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap());
    let copy = log.path_of(&id(1)).join("1.epochs");
    disk.put(&copy, &disk.contents(&file_path("1.epochs")).unwrap());
    disk.put(&log.path_of(&id(1)).join("3.open"), b"unsealed");
    let says = ["written as 0123456789abcdef/g1-n1/w0", "stands in fedcba9876543210/g1-n1/w0"];
    assert_refused(&disk, &log, &copy, &says);
    assert_eq!(log.lineages().unwrap(), [lineage(), Lineage::new("fedcba9876543210").unwrap()]);
}

#[test]
fn a_file_of_another_start_or_worker_or_with_another_name_is_refused() {
    let (disk, log) = scene();
    for (start, index) in [(start(2), 0), (start(1), 1)] {
        let id =
            DirectoryId { start: Start { generation: start.generation, nonce: start.nonce }, worker: index };
        let other = log
            .create(&id.start, epoch_log::Worker::new(index, 2).unwrap(), WriterOptions::from(Epoch(0)))
            .unwrap();
        drop(other);
        let copy = log.path_of(&id).join("1.epochs");
        disk.put(&copy, &disk.contents(&file_path("1.epochs")).unwrap());
        let error = log.adopt(&id).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
        assert_eq!(error.path(), Some(copy.as_path()));
    }
    let renamed = file_path("7.epochs");
    disk.put(&renamed, &disk.contents(&file_path("1.epochs")).unwrap());
    assert_refused(&disk, &log, &renamed, &["covers epochs up to 1, not as its name says"]);
}

#[test]
fn two_files_that_hold_the_same_epochs_are_refused() {
    let (disk, log) = scene();
    let elsewhere = Log::new("/elsewhere", lineage()).on(std::sync::Arc::new(disk.clone()));
    let mut writer = elsewhere.create(&start(1), worker(), WriterOptions::from(Epoch(1))).unwrap();
    let other = writer.seal(Epoch(9)).unwrap()[0].path().to_owned();
    disk.put(&file_path("9.epochs"), &disk.contents(&other).unwrap());
    assert_refused(&disk, &log, &file_path("9.epochs"), &["covers epochs from 1", "2.epochs covers too"]);
}

#[test]
fn a_file_of_a_newer_format_is_refused_sealed_or_open() {
    for name in ["1.epochs", "3.open"] {
        let (disk, log) = scene();
        let mut newer = disk.contents(&file_path("1.epochs")).unwrap();
        newer[8] = 3;
        let checksum = crc32fast::hash(&newer[..12]);
        newer[12..16].copy_from_slice(&checksum.to_le_bytes());
        disk.put(&file_path(name), &newer);
        let says = ["format version 3", "reads up to 2", "start the version that wrote it"];
        assert_refused(&disk, &log, &file_path(name), &says);
    }
}

#[test]
fn without_permission_the_error_says_whose_files_these_are() {
    for (denied, named) in [("lock", "lock"), ("2.epochs", "2.epochs"), ("3.open", "3.open"), ("", "lock")] {
        let (disk, log) = scene();
        disk.deny(file_path(denied));
        assert_refused(&disk, &log, &file_path(named), &["run as the user who owns the state directory"]);
        disk.allow_all();
        log.adopt(&id(1)).unwrap();
    }
    let disk = SimulatedDisk::new(0);
    disk.deny("/var");
    let error = log_on(&disk).create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap_err();
    assert_eq!(error.remedy(), Remedy::Person, "{error}");
}

#[test]
fn on_a_read_only_disk_the_error_says_so() {
    let (disk, log) = scene();
    disk.set_read_only(true);
    assert_refused(&disk, &log, &file_path("lock"), &["mount the disk writable"]);
    let error = log.create(&start(2), worker(), WriterOptions::from(Epoch(0))).unwrap_err();
    assert_eq!(error.remedy(), Remedy::Person, "{error}");
    assert!(error.to_string().contains("mount the disk writable"), "{error}");
}

#[test]
fn on_a_full_disk_old_directories_are_read_and_removed_and_new_ones_are_refused() {
    let (disk, log) = disk_with_sealed(3);
    disk.set_capacity(Some(disk.used()));
    disk.inject(Rule::new(Fault::disk_full()).on(Op::CreateDirectory).always());
    let error = log.create(&start(2), worker(), WriterOptions::from(Epoch(0))).unwrap_err();
    assert!(error.to_string().contains("free space on that disk"), "{error}");
    let mut adopted = log.adopt(&id(1)).unwrap();
    assert_eq!(adopted.chain(Epoch(0)).unwrap().len(), 3);
    assert_eq!(adopted.remove_below(Epoch(2)).unwrap().files, 2);
    adopted.discard().unwrap();
    assert_eq!(disk.used(), 0);
}

#[test]
fn a_full_disk_while_writing_loses_nothing_and_goes_on_when_there_is_space() {
    let (disk, log) = disk_with_sealed(0);
    drop(log);
    let log = log_on(&disk);
    let mut writer = log.create(&start(2), worker(), WriterOptions::from(Epoch(0))).unwrap();
    writer.append(&chunk(0, 1), &[1; 5000]).unwrap();
    writer.seal(Epoch(1)).unwrap();
    writer.append(&chunk(1, 1), &[2; 3000]).unwrap();
    disk.set_capacity(Some(disk.used() + 100));
    let error = writer.append(&chunk(1, 1), &[3; 4000]).unwrap_err();
    assert!(matches!(error, Error::DiskFull { needed: 4000, .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Retry);
    assert!(error.to_string().contains("nothing was written and nothing is lost"), "{error}");
    let error = writer.seal(Epoch(2)).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "not even the footer fits: {error}");
    assert_eq!(writer.remove_below(Epoch(1)).unwrap().files, 1, "what is committed makes room");
    writer.append(&chunk(1, 1), &[3; 4000]).unwrap();
    let file = writer.seal(Epoch(2)).unwrap().remove(0);
    assert_eq!(common::body_of(&file, 0).unwrap(), [2; 3000]);
    assert_eq!(common::body_of(&file, 1).unwrap(), [3; 4000]);
}

/// The caller goes on where it may after the seal of an epoch without rows found no space: with chunks of that epoch,
/// with another bound. What was left of the first try must not stand for epochs that have rows now.
#[test]
fn chunks_that_come_after_a_seal_that_found_no_space_are_sealed_once_and_whole() {
    for bound in [3, 4, 5, 6, 8, 12] {
        let (disk, log) = disk_with_sealed(0);
        let options = WriterOptions::from(Epoch(0)).epochs_per_file(8.try_into().unwrap());
        let mut writer = log.create(&start(2), worker(), options).unwrap();
        disk.set_capacity(Some(disk.used()));
        assert!(matches!(writer.seal(Epoch(5)), Err(Error::DiskFull { .. })));
        disk.set_capacity(None);
        writer.append(&chunk(1, 1), b"one").unwrap();
        writer.seal(Epoch(bound)).unwrap();
        assert_eq!(writer.sealed_to(), Epoch(bound));
        drop(writer);
        let adopted = log.adopt(&id(2)).unwrap();
        let files = adopted.chain(Epoch(0)).unwrap();
        assert_eq!(files.len(), 1, "sealed up to {bound}");
        assert_eq!(files[0].to(), Epoch(bound));
        assert_eq!(common::body_of(&files[0], 0).unwrap(), b"one", "sealed up to {bound}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_of_the_disk_and_nothing_is_removed() {
    for op in [Op::List, Op::Open, Op::Length, Op::ReadAt, Op::SyncDirectory, Op::Lock] {
        let (disk, log) = scene();
        let before = disk.files();
        disk.inject(Rule::new(Fault::Fail(ErrorKind::Other)).on(op));
        let error = log.adopt(&id(1)).unwrap_err();
        match op {
            Op::SyncDirectory => assert!(matches!(error, Error::Unsettled { .. }), "{op:?}: {error}"),
            _ => assert!(matches!(error, Error::Io { .. }), "{op:?}: {error}"),
        }
        assert!(error.path().is_some());
        assert_eq!(disk.files(), before, "{op:?}");
    }
}

#[test]
fn a_start_does_not_write_into_a_directory_that_has_files_and_removes_none_of_them() {
    for epochs in [0, 1] {
        let (disk, log) = disk_with_sealed(epochs);
        disk.put(&file_path("3.open"), b"unsealed");
        let before = disk.files();
        let error = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
        assert_eq!(disk.files(), before);
    }
}

#[test]
fn names_that_are_none_are_refused() {
    for text in ["", "G", "a-b", "ä", &"a".repeat(33)] {
        assert_eq!(epoch_log::Nonce::new(text).unwrap_err().remedy(), Remedy::Caller);
    }
    for text in ["", "0123456789abcde", "0123456789abcdefg", "0123456789ABCDEF"] {
        assert_eq!(Lineage::new(text).unwrap_err().remedy(), Remedy::Caller);
    }
    assert!(epoch_log::Worker::new(2, 2).is_err());
}
