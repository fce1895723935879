//! What a writer takes, refuses, and hands out; the byte budget.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::Read;
use std::sync::{Arc, Mutex};

use common::{body_of, chunk, id, lineage, log_on, start, worker};
use epoch_log::fs::{Entry, File, FileSystem, LockAttempt};
use epoch_log::testing::SimulatedDisk;
use epoch_log::{BLOCK_BYTES, Budget, Epoch, Error, Log, MAX_OPEN_FILES, Remedy, Writer, WriterOptions};

fn writer(epochs_per_file: u64) -> (SimulatedDisk, Log, Writer) {
    let disk = SimulatedDisk::new(0);
    let log = log_on(&disk);
    let options = WriterOptions::from(Epoch(0)).epochs_per_file(epochs_per_file.try_into().unwrap());
    let writer = log.create(&start(1), worker(), options).unwrap();
    (disk, log, writer)
}

#[test]
fn a_seal_covers_every_epoch_below_its_bound_without_a_gap_rows_or_not() {
    let (_disk, log, mut writer) = writer(1);
    writer.append(&chunk(2, 1), b"two").unwrap();
    writer.append(&chunk(4, 1), b"four").unwrap();
    writer.append(&chunk(9, 1), b"nine").unwrap();
    let spans = |files: Vec<epoch_log::SealedFile>| {
        files.iter().map(|file| (file.from().0, file.to().0, file.chunks().len())).collect::<Vec<_>>()
    };
    assert_eq!(spans(writer.seal(Epoch(7)).unwrap()), [(0, 3, 1), (3, 7, 1)]);
    assert_eq!(spans(writer.seal(Epoch(8)).unwrap()), [(7, 8, 0)], "the footer is the evidence of no rows");
    drop(writer);
    let adopted = log.adopt(&id(1)).unwrap();
    assert_eq!(spans(adopted.chain(Epoch(0)).unwrap()), [(0, 3, 1), (3, 7, 1), (7, 8, 0)]);
    assert_eq!(spans(adopted.chain(Epoch(5)).unwrap()), [(3, 7, 1), (7, 8, 0)]);
    assert_eq!(spans(adopted.chain(Epoch(8)).unwrap()), []);
    assert_eq!(adopted.workers(), Some(2));
}

#[test]
fn epochs_of_one_file_keep_their_chunks_apart() {
    let (_disk, _log, mut writer) = writer(4);
    for (epoch, body) in [(0, "a"), (3, "b"), (0, "c"), (1, "d")] {
        writer.append(&chunk(epoch, 1), body.as_bytes()).unwrap();
    }
    let file = writer.seal(Epoch(4)).unwrap().remove(0);
    let names: Vec<_> = file.chunks().iter().map(|chunk| (chunk.epoch.0, chunk.number)).collect();
    assert_eq!(names, [(0, 0), (3, 0), (0, 1), (1, 0)]);
    assert_eq!(body_of(&file, 2).unwrap(), b"c");
    assert_eq!(file.footer().layouts.len(), 1, "equal layouts are written once");
}

#[test]
fn a_bound_within_a_span_seals_when_nothing_newer_shares_the_file() {
    let (_disk, _log, mut writer) = writer(4);
    writer.append(&chunk(0, 1), b"a").unwrap();
    assert_eq!(writer.seal(Epoch(2)).unwrap().len(), 1, "as at the end of the input");
    writer.append(&chunk(2, 1), b"b").unwrap();
    writer.append(&chunk(3, 1), b"c").unwrap();
    let error = writer.seal(Epoch(3)).unwrap_err();
    assert!(error.to_string().contains("one file holds the epochs 2 and 3, seal at 4"), "{error}");
    assert_eq!(writer.seal(Epoch(4)).unwrap()[0].chunks().len(), 2);
}

#[test]
fn what_comes_after_its_seal_is_refused() {
    let (disk, _log, mut writer) = writer(1);
    writer.seal(Epoch(3)).unwrap();
    let calls = disk.calls();
    let refused = [
        writer.append(&chunk(2, 1), b"late").map(drop),
        writer.append(&chunk(3, 1), b"").map(drop),
        writer.append(&chunk(u64::MAX, 1), b"beyond").map(drop),
        writer.position(Epoch(2), "p", [1]),
        writer.seal(Epoch(3)).map(drop),
        writer.seal(Epoch(1)).map(drop),
    ];
    for outcome in refused {
        assert_eq!(outcome.unwrap_err().remedy(), Remedy::Caller);
    }
    assert_eq!(disk.calls(), calls, "and the disk was not asked");
}

#[test]
fn positions_are_written_when_they_change_and_the_last_word_of_an_epoch_counts() {
    let (_disk, log, mut writer) = writer(1);
    writer.position(Epoch(0), "a", [1]).unwrap();
    writer.position(Epoch(0), "a", [2]).unwrap();
    writer.position(Epoch(0), "b", [7]).unwrap();
    writer.position(Epoch(1), "a", [2]).unwrap();
    writer.position(Epoch(3), "a", [3]).unwrap();
    let positions = |file: &epoch_log::SealedFile| {
        let of = |p: &epoch_log::Position| (p.epoch.0, p.partition.clone(), p.position.clone());
        file.positions().iter().map(of).collect::<Vec<_>>()
    };
    let files = writer.seal(Epoch(2)).unwrap();
    assert_eq!(positions(&files[0]), [(0, "a".into(), vec![2]), (0, "b".into(), vec![7])]);
    writer.position(Epoch(2), "b", [7]).unwrap();
    assert_eq!(positions(&writer.seal(Epoch(3)).unwrap()[0]), [], "nothing changed");
    assert_eq!(positions(&writer.seal(Epoch(4)).unwrap()[0]), [(3, "a".into(), vec![3])]);
    drop((files, writer));
    let adopted = log.adopt(&id(1)).unwrap();
    let at = |from, to| adopted.positions(Epoch(from)..Epoch(to)).unwrap().into_iter().collect::<Vec<_>>();
    assert_eq!(at(0, 4), [("a".into(), vec![3]), ("b".into(), vec![7])]);
    assert_eq!(at(0, 3), [("a".into(), vec![2]), ("b".into(), vec![7])]);
    assert_eq!(at(1, 4), [("a".into(), vec![3])]);
}

#[test]
fn open_files_have_a_limit_that_a_seal_lifts() {
    let (_disk, _log, mut writer) = writer(1);
    for epoch in 0..MAX_OPEN_FILES as u64 {
        writer.append(&chunk(epoch, 1), b"x").unwrap();
    }
    let next = chunk(MAX_OPEN_FILES as u64, 1);
    let error = writer.append(&next, b"x").unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Retry);
    writer.append(&chunk(0, 1), b"still taken").unwrap();
    writer.seal(Epoch(1)).unwrap();
    writer.append(&next, b"x").unwrap();
}

/// Otherwise a frontier that passes an epoch without rows here would wait for ever, with all files open.
#[test]
fn an_epoch_without_rows_is_sealed_at_the_limit_of_open_files_too() {
    let (_disk, log, mut writer) = writer(1);
    for epoch in 1..=MAX_OPEN_FILES as u64 {
        writer.append(&chunk(epoch, 1), b"x").unwrap();
    }
    assert_eq!(writer.seal(Epoch(1)).unwrap()[0].chunks().len(), 0);
    assert!(
        matches!(writer.append(&chunk(1000, 1), b"x"), Err(Error::Limit { .. })),
        "no file was closed by it"
    );
    writer.seal(Epoch(2)).unwrap();
    drop(writer);
    assert_eq!(log.adopt(&id(1)).unwrap().chain(Epoch(0)).unwrap().len(), 2);
}

#[test]
fn unsealed_positions_have_a_limit_that_leaves_room_in_the_footer() {
    let (_disk, _log, mut writer) = writer(1);
    let mut taken = 0;
    let error = loop {
        match writer.position(Epoch(0), format!("partition {taken}"), vec![0; 1 << 20]) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Limit { .. }) && taken > 20, "{taken}: {error}");
    assert_eq!(writer.seal(Epoch(1)).unwrap()[0].positions().len(), taken);
    writer.position(Epoch(1), "another", vec![0; 1 << 20]).expect("the seal made room");
}

#[test]
fn a_body_is_read_while_its_file_is_open_sealed_and_gone() {
    let (_disk, _log, mut writer) = writer(1);
    let content: Vec<u8> = (0..BLOCK_BYTES * 2 + 77).map(|i| (i * 31 / 7) as u8).collect();
    writer.append(&chunk(0, 1), b"before").unwrap();
    let body = writer.append(&chunk(0, 1), &content).unwrap();
    let check = || {
        let mut streamed = Vec::new();
        body.reader().read_to_end(&mut streamed).unwrap();
        assert!(streamed == content);
        for (offset, length) in
            [(0, 1), (5, BLOCK_BYTES), (BLOCK_BYTES, BLOCK_BYTES), (BLOCK_BYTES - 1, BLOCK_BYTES + 2)]
        {
            let mut range = vec![0; length];
            body.read_at(&mut range, offset as u64).unwrap();
            assert!(range == content[offset..offset + length], "{length} bytes at {offset}");
        }
        body.read_at(&mut [], body.length()).unwrap();
        assert_eq!(body.read_at(&mut [0], body.length()).unwrap_err().remedy(), Remedy::Caller);
        body.verify().unwrap();
    };
    check();
    writer.seal(Epoch(1)).unwrap();
    check();
    writer.remove_below(Epoch(1)).unwrap();
    check();
}

#[test]
fn the_budget_says_pause_at_high_water_and_resume_at_low_water_only() {
    let disk = SimulatedDisk::new(0);
    let budget = Arc::new(Budget::new(10_000, 5_000).unwrap());
    let log = log_on(&disk).budget_of(Arc::clone(&budget));
    let mut writer = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap();
    let mut paused = Vec::new();
    for epoch in 0..6 {
        writer.append(&chunk(epoch, 1), &[0; 2000]).expect("it advises, it does not refuse");
        writer.seal(Epoch(epoch + 1)).unwrap();
        paused.push(budget.is_paused());
        assert_eq!(budget.bytes(), disk.used(), "it counts what is on the disk");
    }
    assert_eq!(paused, [false, false, false, false, true, true]);
    let mut paused = Vec::new();
    for bound in 1..=6 {
        writer.remove_below(Epoch(bound)).unwrap();
        paused.push(budget.is_paused());
        assert_eq!(budget.bytes(), disk.used());
    }
    assert_eq!(paused, [true, true, true, false, false, false]);
    writer.append(&chunk(6, 1), &[0; 20_000]).unwrap();
    assert!(budget.is_paused(), "open bytes count");
    writer.seal(Epoch(7)).unwrap();
    drop(writer);
    assert_eq!(budget.bytes(), 0, "files that nobody holds weigh on nobody");
    let adopted = log.adopt(&id(1)).unwrap();
    assert_eq!((budget.bytes(), budget.is_paused()), (disk.used(), true), "adopted bytes count");
    adopted.discard().unwrap();
    assert_eq!((budget.bytes(), budget.is_paused()), (0, false));
}

#[test]
fn a_budget_without_a_gap_is_refused() {
    assert_eq!(Budget::new(10, 10).unwrap_err().remedy(), Remedy::Caller);
    let (high, low) = Budget::default().marks();
    assert!(low < high);
}

/// Notes the largest read: memory does not grow with the file.
#[derive(Debug)]
struct Measured {
    disk: SimulatedDisk,
    largest: Arc<Mutex<usize>>,
}

#[derive(Debug)]
struct MeasuredFile {
    file: Arc<dyn File>,
    largest: Arc<Mutex<usize>>,
}

impl File for MeasuredFile {
    fn length(&self) -> std::io::Result<u64> {
        self.file.length()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let mut largest = self.largest.lock().unwrap();
        *largest = buffer.len().max(*largest);
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
        self.file.write_at(bytes, offset)
    }
    fn reserve(&self, offset: u64, length: u64) -> std::io::Result<()> {
        self.file.reserve(offset, length)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

impl FileSystem for Measured {
    fn create_directory(&self, path: &std::path::Path) -> std::io::Result<()> {
        self.disk.create_directory(path)
    }
    fn list(&self, path: &std::path::Path) -> std::io::Result<Vec<Entry>> {
        self.disk.list(path)
    }
    fn create(&self, path: &std::path::Path) -> std::io::Result<Arc<dyn File>> {
        self.disk.create(path)
    }
    fn open(&self, path: &std::path::Path) -> std::io::Result<Arc<dyn File>> {
        Ok(Arc::new(MeasuredFile { file: self.disk.open(path)?, largest: Arc::clone(&self.largest) }))
    }
    fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &std::path::Path) -> std::io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_directory(&self, path: &std::path::Path) -> std::io::Result<()> {
        self.disk.remove_directory(path)
    }
    fn sync_directory(&self, path: &std::path::Path) -> std::io::Result<()> {
        self.disk.sync_directory(path)
    }
    fn lock(&self, path: &std::path::Path, note: &str) -> std::io::Result<LockAttempt> {
        self.disk.lock(path, note)
    }
}

#[test]
fn opening_reads_footers_only_and_a_body_is_read_block_by_block() {
    let largest = Arc::new(Mutex::new(0));
    let fs = Measured { disk: SimulatedDisk::new(0), largest: Arc::clone(&largest) };
    let log = Log::new(common::STATE, lineage()).on(Arc::new(fs));
    let mut writer = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap();
    writer.append(&chunk(0, 1), &vec![7; 40 * BLOCK_BYTES]).unwrap();
    writer.seal(Epoch(1)).unwrap();
    drop(writer);
    let adopted = log.adopt(&id(1)).unwrap();
    assert!(*largest.lock().unwrap() <= 4096, "{largest:?}");
    let body = adopted.chain(Epoch(0)).unwrap()[0].body(0).unwrap();
    std::io::copy(&mut body.reader(), &mut std::io::sink()).unwrap();
    body.verify().unwrap();
    body.read_at(&mut vec![0; 10 * BLOCK_BYTES], 3).unwrap();
    assert_eq!(*largest.lock().unwrap(), BLOCK_BYTES);
}
