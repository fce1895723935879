//! Invariant 18: damage is corruption, wherever it sits; it is never read as "no rows", and nothing is removed.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{body_of, chunk, disk_with_sealed, file_path, id, inner, start, worker};
use epoch_log::fs::FileSystem;
use epoch_log::testing::{Fault, Op, Rule, SimulatedDisk};
use epoch_log::{BLOCK_BYTES, Epoch, Error, Footer, Log, Remedy, WriterOptions, inspect};

type Look = fn(&Arc<dyn FileSystem>, &Path) -> Result<Footer, Error>;

/// Adopts and reads everything; the first thing that is wrong.
fn read_all(log: &Log) -> Result<Vec<Vec<u8>>, Error> {
    let adopted = log.adopt(&id(1))?;
    let files = adopted.chain(Epoch(0))?;
    files.iter().flat_map(|file| (0..file.chunks().len()).map(|index| body_of(file, index))).collect()
}

fn assert_stops_and_removes_nothing(disk: &SimulatedDisk, log: &Log, name: &str, what: &str) {
    let before = disk.files();
    let error = read_all(log).expect_err(what);
    assert!(matches!(error, Error::Corrupt { .. }), "{what}: {error}");
    assert_eq!(error.path(), Some(file_path(name).as_path()), "{what}: {error}");
    assert_eq!(error.remedy(), Remedy::Person);
    assert!(error.to_string().contains("restore the file"), "{error}");
    assert_eq!(disk.files(), before, "{what}: {error}");
}

#[test]
fn a_bit_that_flips_at_any_byte_stops_the_reader() {
    let (disk, log) = disk_with_sealed(3);
    let path = file_path("2.epochs");
    let length = disk.contents(&path).unwrap().len();
    for byte in 0..length {
        for bit in 0..8 {
            disk.flip_bit(&path, byte, bit);
            assert_stops_and_removes_nothing(&disk, &log, "2.epochs", &format!("bit {bit} of byte {byte}"));
            disk.flip_bit(&path, byte, bit);
        }
    }
    assert_eq!(read_all(&log).unwrap().len(), 3, "and whole again it is read");
}

#[test]
fn a_file_cut_off_at_any_length_stops_the_reader() {
    let (disk, log) = disk_with_sealed(3);
    let path = file_path("2.epochs");
    let whole = disk.contents(&path).unwrap();
    for length in 0..whole.len() {
        disk.damage(&path, |bytes| bytes.truncate(length));
        assert_stops_and_removes_nothing(&disk, &log, "2.epochs", &format!("cut off at {length}"));
        disk.damage(&path, |bytes| bytes.clone_from(&whole));
    }
}

#[test]
fn bytes_added_to_a_file_stop_the_reader() {
    let (disk, log) = disk_with_sealed(3);
    let path = file_path("3.epochs");
    let whole = disk.contents(&path).unwrap();
    for added in [vec![0], vec![0; 5000], whole.clone()] {
        disk.damage(&path, |bytes| bytes.extend(&added));
        assert_stops_and_removes_nothing(&disk, &log, "3.epochs", &format!("{} bytes added", added.len()));
        disk.damage(&path, |bytes| bytes.clone_from(&whole));
    }
}

#[test]
fn a_damaged_block_of_a_large_body_is_found_in_every_way_of_reading() {
    let disk = SimulatedDisk::new(0);
    let log = common::log_on(&disk);
    let mut writer = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap();
    let body: Vec<u8> = (0..3 * BLOCK_BYTES + 100).map(|i| (i / 7) as u8).collect();
    writer.append(&chunk(0, 1), &body).unwrap();
    let file = writer.seal(Epoch(1)).unwrap().remove(0);
    let second_block = 16 + BLOCK_BYTES + 5;
    disk.flip_bit(file.path(), second_block, 3);
    let body = file.body(0).unwrap();
    let mut buffer = vec![0; 10];
    body.read_at(&mut buffer, 7).expect("the first block is whole");
    let error = body.read_at(&mut buffer, BLOCK_BYTES as u64 - 5).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("chunk 0.0 has a wrong checksum in the block at byte {}", 16 + BLOCK_BYTES))
    );
    assert!(matches!(body.verify(), Err(Error::Corrupt { .. })));
    let mut reader = body.reader();
    let mut streamed = Vec::new();
    let error = std::io::copy(&mut reader, &mut streamed).unwrap_err();
    assert!(matches!(inner(error), Error::Corrupt { .. }));
    assert_eq!(streamed.len(), BLOCK_BYTES, "nothing of the damaged block was handed out");
    let fs: Arc<dyn FileSystem> = Arc::new(disk);
    inspect::show(&fs, file.path()).expect("the footer is whole");
    assert!(matches!(inspect::verify(&fs, file.path()), Err(Error::Corrupt { .. })));
}

#[test]
fn a_bit_that_flips_on_its_way_from_the_disk_is_noticed() {
    let (disk, log) = disk_with_sealed(2);
    for read in 0..12 {
        disk.inject(Rule::new(Fault::FlipBit).on(Op::ReadAt).after(read));
        let outcome = read_all(&log);
        disk.heal();
        match outcome {
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error}"),
            Ok(bodies) => assert_eq!(bodies.len(), 2, "the flip came after the last read"),
        }
    }
}

#[test]
fn a_file_that_is_gone_is_missing_and_not_an_epoch_without_rows() {
    let (disk, log) = disk_with_sealed(4);
    disk.remove_file(&file_path("2.epochs")).unwrap();
    let adopted = log.adopt(&id(1)).unwrap();
    let error = adopted.chain(Epoch(0)).unwrap_err();
    assert!(matches!(error, Error::Missing { from: Epoch(1), to: Epoch(2), .. }), "{error}");
    assert!(error.to_string().contains("g1-n1/w0 has no file for the epochs from 1 up to 2"), "{error}");
    assert!(adopted.positions(Epoch(1)..Epoch(4)).is_err());
    assert_eq!(adopted.chain(Epoch(2)).unwrap().len(), 2, "what was committed may be gone");
    drop(adopted);
    disk.remove_file(&file_path("1.epochs")).unwrap();
    assert!(
        matches!(read_all(&log), Err(Error::Missing { from: Epoch(0), .. })),
        "nor may the first be missing"
    );
}

#[test]
fn verify_goes_on_after_a_damaged_file_and_names_it() {
    let (disk, _log) = disk_with_sealed(3);
    disk.flip_bit(&file_path("2.epochs"), 17, 0);
    let fs: Arc<dyn FileSystem> = Arc::new(disk);
    let outcome = |look: Look| {
        let inspected = inspect::directory(&fs, &file_path(""), look).unwrap();
        inspected.into_iter().map(|file| file.outcome.is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(outcome(inspect::show), [true, true, true], "the damage is in a body");
    assert_eq!(outcome(inspect::verify), [true, false, true]);
}

/// A valid checksum over nonsense: a wrong writer must not become a wrong reader.
#[test]
fn a_footer_that_contradicts_itself_is_corruption() {
    let (disk, log) = disk_with_sealed(1);
    let path = file_path("1.epochs");
    let whole = disk.contents(&path).unwrap();
    let footer = u64::from_le_bytes(whole[whole.len() - 24..][..8].try_into().unwrap()) as usize;
    // Offsets of fields within the footer, from the format's documentation.
    let lineage = 8 + 16;
    let worker = lineage + 8 + 8 + 2;
    let (from, to, block) = (worker + 8, worker + 16, worker + 24);
    for (field, value) in [(worker, 2u64), (from, 1), (to, 0), (block, 0), (block, u64::MAX)] {
        disk.damage(&path, |bytes| {
            let width = if field == worker || field == block { 4 } else { 8 };
            bytes[footer + field..][..width].copy_from_slice(&value.to_le_bytes()[..width]);
            let end = bytes.len() - 12;
            let checksum = crc32fast::hash(&bytes[footer..end]);
            bytes[end..end + 4].copy_from_slice(&checksum.to_le_bytes());
        });
        assert_stops_and_removes_nothing(&disk, &log, "1.epochs", &format!("{value} at {field}"));
        disk.damage(&path, |bytes| bytes.clone_from(&whole));
    }
}
