//! Positions survive what happens to files, and never pass for none.
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::PermissionsExt;

use pipelines::ErrorKind;
use pipelines::source::Position;
use pipelines::state::{Identity, Positions, StateDir};

fn identity(table: &str) -> Identity {
    Identity {
        pipeline: "storms".into(),
        cluster: "https://c".into(),
        database: "D".into(),
        table: table.into(),
        source: "file a.csv (csv with header)".into(),
        format: "csv".into(),
    }
}

fn positions(epoch: u64) -> Positions {
    let partitions = [("a.csv", 1), ("ü \"quoted\"", 255)]
        .map(|(name, byte)| (name.to_owned(), Position::new(1, &[byte, 0])));
    Positions { epoch, partitions: partitions.into() }
}

#[test]
fn what_was_kept_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path().join("deep/er"), identity("T")).unwrap();
    assert_eq!(state.load().unwrap(), Positions::default());
    state.save(&positions(1)).unwrap();
    state.save(&positions(2)).unwrap();
    drop(state);
    let state = StateDir::open(dir.path().join("deep/er"), identity("T")).unwrap();
    assert_eq!(state.load().unwrap(), positions(2));
}

#[test]
fn every_damaged_byte_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path(), identity("T")).unwrap();
    state.save(&positions(1)).unwrap();
    let path = dir.path().join("positions");
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let error = state.load().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "byte {at}");
    }
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = state.load().unwrap_err();
        assert!(error.kind().needs_person(), "cut at {length}: {error}");
    }
}

#[test]
fn positions_of_another_pipeline_are_refused_and_both_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path(), identity("Storms")).unwrap();
    state.save(&positions(1)).unwrap();
    drop(state);
    let error = StateDir::open(dir.path(), identity("Other")).unwrap().load().unwrap_err();
    assert!(error.kind() == ErrorKind::OtherPipeline && error.kind().is_configuration());
    let error = error.to_string();
    assert!(error.contains("their table is \"Storms\", and now it is \"Other\""), "{error}");
}

#[test]
fn only_the_owner_can_read_them() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path().join("state"), identity("T")).unwrap();
    state.save(&positions(1)).unwrap();
    let mode = |path: &str| std::fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("state"), mode("state/positions"), mode("state/lock")), (0o700, 0o600, 0o600));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let error = StateDir::open("/proc/none/state", identity("T")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.to_string().contains("/proc/none/state"), "{error}");
}
