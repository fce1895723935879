//! The same on the operating system's file system.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use common::{body_of, chunk, id, lineage, start, worker};
use epoch_log::{BLOCK_BYTES, Epoch, Error, Log, Remedy, WriterOptions};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_run_a_death_an_adoption_and_the_end_of_the_directory() {
    let root = tempfile::tempdir().unwrap();
    let state = root.path().join("state/of/storms");
    let log = Log::new(&state, lineage());
    assert!(log.directories().unwrap().is_empty() && log.lineages().unwrap().is_empty());
    let options = WriterOptions::from(Epoch(10)).epochs_per_file(2.try_into().unwrap());
    let mut writer = log.create(&start(1), worker(), options).unwrap();
    let body: Vec<u8> = (0..3 * BLOCK_BYTES + 1).map(|i| (i / 3) as u8).collect();
    writer.append(&chunk(10, 5), &body).unwrap();
    writer.append(&chunk(13, 1), b"thirteen").unwrap();
    writer.position(Epoch(11), "p", *b"next").unwrap();
    assert_eq!(writer.seal(Epoch(14)).unwrap().len(), 2);
    writer.append(&chunk(14, 1), b"never sealed").unwrap();
    assert!(writer.path().join("16.open").exists());
    drop(writer);

    assert_eq!(log.directories().unwrap(), [id(1)]);
    let mut adopted = log.adopt(&id(1)).unwrap();
    assert!(!adopted.path().join("16.open").exists());
    let files = adopted.chain(Epoch(10)).unwrap();
    assert!(body_of(&files[0], 0).unwrap() == body);
    assert_eq!(body_of(&files[1], 0).unwrap(), b"thirteen");
    assert_eq!(adopted.positions(Epoch(10)..Epoch(14)).unwrap()["p"], b"next");
    assert_eq!(adopted.remove_below(Epoch(12)).unwrap().bytes, files[0].bytes());
    drop(files);
    adopted.discard().unwrap();
    assert_eq!(fs::read_dir(log.path()).unwrap().count(), 0);
}

#[test]
fn files_and_directories_are_their_owners_alone() {
    let root = tempfile::tempdir().unwrap();
    let state = root.path().join("state");
    let log = Log::new(&state, lineage());
    let mut writer = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap();
    writer.append(&chunk(1, 1), b"open").unwrap();
    let sealed = writer.seal(Epoch(1)).unwrap()[0].path().to_owned();
    let directories = sealed.ancestors().skip(1).take_while(|path| path.starts_with(&state));
    assert_eq!(directories.map(mode).collect::<Vec<_>>(), [0o700; 4]);
    for name in ["1.epochs", "2.open", "lock"] {
        assert_eq!(mode(&writer.path().join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_sealed_file_takes_no_more_of_the_disk_than_its_bytes() {
    let root = tempfile::tempdir().unwrap();
    let log = Log::new(root.path(), lineage());
    let mut writer = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap();
    writer.append(&chunk(0, 1), &[1; 100_000]).unwrap();
    let file = writer.seal(Epoch(1)).unwrap().remove(0);
    let metadata = fs::metadata(file.path()).unwrap();
    assert_eq!(metadata.len(), file.bytes());
    assert!(metadata.blocks() * 512 <= file.bytes() + 16 * 4096, "{} blocks", metadata.blocks());
}

#[test]
fn a_link_in_the_directory_is_foreign_wherever_it_leads() {
    let root = tempfile::tempdir().unwrap();
    let log = Log::new(root.path(), lineage());
    let mut writer = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap();
    let sealed = writer.seal(Epoch(1)).unwrap()[0].path().to_owned();
    drop(writer);
    std::os::unix::fs::symlink(&sealed, sealed.with_file_name("2.epochs")).unwrap();
    let error = log.adopt(&id(1)).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    assert_eq!(error.path(), Some(sealed.with_file_name("2.epochs").as_path()));
    assert!(sealed.exists());
}

#[test]
fn a_state_directory_that_cannot_be_made_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a-file");
    fs::write(&file, b"").unwrap();
    let log = Log::new(file.join("state"), lineage());
    let error = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap_err();
    assert_eq!(error.path(), Some(file.join("state").as_path()), "{error}");
}

/// A disk of a few MiB, for instance `mount -t tmpfs -o size=4m tmpfs DIR`.
#[test]
#[ignore = "needs a small disk of its own: EPOCH_LOG_SMALL_DISK=DIR"]
fn a_small_disk_fills_up_loses_nothing_and_goes_on_after_a_removal() {
    let root = std::env::var("EPOCH_LOG_SMALL_DISK").unwrap();
    let log = Log::new(Path::new(&root).join("state"), lineage());
    let mut writer = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap();
    let body: Vec<u8> = (0..300_000).map(|i| (i / 5) as u8).collect();
    let mut appended = 0;
    let error = loop {
        match writer.append(&chunk(appended / 3, 1), &body) {
            Ok(_) => appended += 1,
            Err(error) => break error,
        }
        if appended % 3 == 0 {
            writer.seal(Epoch(appended / 3)).unwrap();
        }
    };
    assert_eq!(error.remedy(), Remedy::Retry, "{error}");
    assert!(writer.remove_below(Epoch(1)).unwrap().files == 1);
    writer.append(&chunk(appended / 3, 1), &body).unwrap();
    writer.seal(Epoch(appended / 3 + 1)).unwrap();
    drop(writer);
    let adopted = log.adopt(&id(1)).unwrap();
    let files = adopted.chain(Epoch(1)).unwrap();
    let chunks: usize = files.iter().map(|file| file.chunks().len()).sum();
    assert_eq!(chunks as u64, appended + 1 - 3);
    for file in files {
        for index in 0..file.chunks().len() {
            assert!(body_of(&file, index).unwrap() == body);
        }
    }
    adopted.discard().unwrap();
}
