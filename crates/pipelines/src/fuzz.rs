//! Everything that comes from outside, damaged: see [`testing::fuzz`](crate::testing::fuzz) for how a run is repeated
//! and made longer.
//!
//! | reader | what holds beside "no panic, no hang, memory bounded" |
//! |---|---|
//! | csv | blocks of every size have the records of the whole; the `csv` crate reads the same where the dialects agree |
//! | json | blocks of every size have the objects that serde_json reads from the whole |
//! | inference and conversion | what inference says of all rows, conversion accepts; rows are counted and well formed |
//! | gzip | a cut or damaged file is an error, never fewer rows without a word |
//! | positions | damaged ones are refused or mean what they say |
//! | types | what is written for a value is a value of the same type, and written as it is |

mod csv_text;
mod json_text;
mod positions;
mod stored;
mod values;

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::file::{Block, FileFormat, FileOptions, FileSource};
use crate::source::{Budget, Polled, Position, Reader, Source};
use crate::testing::fuzz::{Chance, JSON, fuzz};

/// Damaged inputs per reader in a usual run.
const ROUNDS: u64 = 800;
/// Most memory at a time per byte of input.
const PER_BYTE: usize = 512;
/// Memory for the shortest input: the buffers of a reader and of its decompression.
const FIXED: usize = 2 << 20;

/// Runs `read`, and fails if it takes more memory than so many bytes of input may.
fn within_memory<T>(bytes: usize, read: impl FnOnce() -> T) -> T {
    let mut result = None;
    let measured = allocation_counter::measure(|| result = Some(read()));
    let (taken, allowed) = (measured.bytes_max, (FIXED + PER_BYTE * bytes) as u64);
    assert!(taken <= allowed, "{taken} bytes of memory for {bytes} of input");
    result.expect("it ran")
}

/// A file that every input is written to.
struct Scratch {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        Scratch { _dir: dir, path }
    }

    fn source(&self, format: FileFormat, input: &[u8]) -> FileSource {
        std::fs::write(&self.path, input).unwrap();
        source(&self.path, format)
    }
}

fn source(path: &Path, format: FileFormat) -> FileSource {
    FileSource::new(FileOptions::new([path], format).with_header(false)).unwrap()
}

fn open(source: &FileSource, position: Option<&Position>) -> Result<Reader<Block>, Error> {
    source.open(&source.partitions().unwrap()[0], position)
}

/// The next block; none at the end.
fn next(reader: &mut Reader<Block>, budget: Budget) -> Result<Option<Block>, Error> {
    Ok(match reader.poll(budget)? {
        Polled::Batch(block) => Some(block),
        Polled::Pending(_) => unreachable!("a file never has to wait"),
        Polled::End => None,
    })
}

/// All blocks, and whether the file could be read to its end.
fn blocks(source: &FileSource, budget: Budget) -> (Vec<Block>, Result<(), Error>) {
    let mut blocks = Vec::new();
    let mut read = || {
        let mut reader = open(source, None)?;
        while let Some(block) = next(&mut reader, budget)? {
            blocks.push(block);
        }
        Ok(())
    };
    let result = read();
    (blocks, result)
}

/// One row at a time, everything at once, and something between.
fn budgets(chance: &mut Chance) -> [Budget; 3] {
    let some = Budget { rows: 1 + chance.below(4) as u64, bytes: 1 + chance.below(100) };
    [Budget { rows: 1, ..Budget::DEFAULT }, some, Budget { rows: u64::MAX, bytes: 1 + chance.below(2_000) }]
}
