//! Invariant 23: a directory is read for adoption only under its exclusive lock.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::process::{Child, Command, Stdio};

use common::{chunk, disk_with_sealed, id, lineage, start, worker};
use epoch_log::testing::{Op, Survival};
use epoch_log::{Epoch, Error, Log, Remedy, WriterOptions};

#[test]
fn while_a_writer_lives_its_directory_is_not_adopted_and_nothing_in_it_is_touched() {
    let (disk, log) = disk_with_sealed(0);
    let mut writer = log.create(&start(2), worker(), WriterOptions::from(Epoch(0))).unwrap();
    writer.append(&chunk(0, 1), b"in hand").unwrap();
    let before = (disk.files(), disk.calls());
    let error = log.adopt(&id(2)).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Retry);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    assert_eq!(disk.files(), before.0);
    assert_eq!(disk.calls(), before.1 + 1, "after the lock was refused nothing was even read");
    assert_eq!(disk.recent_calls().last().unwrap().op, Op::Lock);
    writer.seal(Epoch(1)).unwrap();
    drop(writer);
    assert_eq!(log.adopt(&id(2)).unwrap().sealed_to(), Some(Epoch(1)));
}

#[test]
fn everything_that_reads_holds_the_lock() {
    let (_disk, log) = disk_with_sealed(1);
    let adopted = log.adopt(&id(1)).unwrap();
    let is_locked = || matches!(log.adopt(&id(1)), Err(Error::Locked { .. }));
    assert!(is_locked());
    let file = adopted.chain(Epoch(0)).unwrap().remove(0);
    drop(adopted);
    assert!(is_locked(), "a sealed file holds it");
    let body = file.body(0).unwrap();
    drop(file);
    assert!(is_locked(), "a body holds it");
    let reader = body.reader();
    drop(body);
    assert!(is_locked(), "a reader holds it");
    drop(reader);
    assert!(!is_locked());
    let mut writer = log.create(&start(3), worker(), WriterOptions::from(Epoch(0))).unwrap();
    let body = writer.append(&chunk(0, 1), b"open").unwrap();
    drop(writer);
    assert!(matches!(log.adopt(&id(3)), Err(Error::Locked { .. })), "a body of an open file holds it");
    drop(body);
    log.adopt(&id(3)).unwrap();
}

#[test]
fn a_refused_adoption_gives_the_lock_back() {
    let (disk, log) = disk_with_sealed(1);
    let stray = common::file_path("stray");
    disk.put(&stray, b"");
    log.adopt(&id(1)).unwrap_err();
    epoch_log::fs::FileSystem::remove_file(&disk, &stray).unwrap();
    log.adopt(&id(1)).unwrap();
}

#[test]
fn a_power_cut_ends_all_locks() {
    let (disk, log) = disk_with_sealed(1);
    let before = log.adopt(&id(1)).unwrap();
    disk.restart(Survival::Nothing);
    let after = log.adopt(&id(1)).unwrap();
    drop(before);
    assert!(matches!(log.adopt(&id(1)), Err(Error::Locked { .. })), "an old lock does not end a new one");
    drop(after);
}

#[test]
fn who_waits_is_told_for_whom_and_may_give_up() {
    let (_disk, log) = disk_with_sealed(1);
    let held = log.adopt(&id(1)).unwrap();
    let mut asked = 0;
    let error = log
        .adopt_when_free(&id(1), |holder| {
            asked += 1;
            assert!(holder.note.contains("worker 0 of start g1-n1"), "{holder}");
            if asked < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap_err();
    assert!(matches!(error, Error::Locked { .. }));
    assert_eq!(asked, 3);
    let mut held = Some(held);
    log.adopt_when_free(&id(1), |_| {
        drop(held.take());
        ControlFlow::Continue(())
    })
    .unwrap();
}

const STATE: &str = "EPOCH_LOG_TEST_STATE";

/// Not a test of its own: the process that the next tests start.
#[test]
#[ignore = "the other process of the tests below, which start it"]
fn other_process_writes_seals_and_keeps_the_lock() {
    let log = Log::new(std::env::var(STATE).unwrap(), lineage());
    let mut writer = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap();
    writer.append(&chunk(0, 1), b"sealed by a process").unwrap();
    writer.seal(Epoch(1)).unwrap();
    writer.append(&chunk(1, 1), b"not sealed").unwrap();
    std::io::stdout().write_all(b"\nready\n").unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// Ends its process when the test ends, however it ends.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_other_process(state: &std::path::Path) -> Other {
    let name = "other_process_writes_seals_and_keeps_the_lock";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", name])
        .env(STATE, state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let other = Other(child);
    assert!(stdout.lines().any(|line| line.unwrap() == "ready"), "the other process failed");
    other
}

#[test]
fn a_living_or_stopped_process_keeps_its_directory_and_a_killed_one_leaves_it() {
    let state = tempfile::tempdir().unwrap();
    let mut other = start_other_process(state.path());
    let log = Log::new(state.path(), lineage());
    let holder = format!("process {} (worker 0 of start g1-n1)", other.0.id());
    let error = log.adopt(&id(1)).unwrap_err().to_string();
    assert!(error.contains(&holder), "{error}");

    let pid = rustix::process::Pid::from_child(&other.0);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let error = log.adopt(&id(1)).unwrap_err().to_string();
    assert!(error.contains(&holder) && error.contains("a stopped process holds its lock too"), "{error}");

    let adopted = log
        .adopt_when_free(&id(1), |waiting_for| {
            assert_eq!(waiting_for.note, holder);
            other.0.kill().unwrap();
            other.0.wait().unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    let files = adopted.chain(Epoch(0)).unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(common::body_of(&files[0], 0).unwrap(), b"sealed by a process");
    let left: Vec<_> =
        std::fs::read_dir(adopted.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the sealed file and the lock, not the open file: {left:?}");
}
