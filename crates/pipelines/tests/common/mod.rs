//! Files and chance for tests.
#![allow(dead_code, missing_docs, unreachable_pub)] // every test file uses a part of it

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use pipelines::file::{Block, FileFormat, FileOptions, FileSource};
use pipelines::source::{Budget, Polled, Source};

pub fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A gzip file of several members.
pub fn write_gzip(dir: &Path, name: &str, text: &[u8], members: usize) -> PathBuf {
    let mut stored = Vec::new();
    for piece in text.chunks(text.len().div_ceil(members).max(1)) {
        let mut encoder = GzEncoder::new(&mut stored, Compression::fast());
        encoder.write_all(piece).unwrap();
        encoder.finish().unwrap();
    }
    write(dir, name, stored)
}

pub fn csv(path: &Path) -> FileSource {
    FileSource::new(FileOptions::new([path], FileFormat::Csv)).unwrap()
}

pub fn csv_without_header(path: &Path) -> FileSource {
    FileSource::new(FileOptions::new([path], FileFormat::Csv).with_header(false)).unwrap()
}

pub fn json(path: &Path) -> FileSource {
    FileSource::new(FileOptions::new([path], FileFormat::Json)).unwrap()
}

/// The records of csv text, as the csv crate reads them.
pub fn oracle(text: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    reader.byte_records().map(|record| join(record.unwrap().iter())).collect()
}

pub fn join<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    fields.collect::<Vec<_>>().join(&b"\x1f"[..])
}

/// The records of a block of csv.
pub fn csv_records(block: &Block) -> Vec<Vec<u8>> {
    oracle(&block.text)
}

/// The records of a block of json, each written in one way. Commas stand between the objects of an array only.
pub fn json_records(block: &Block) -> Vec<Vec<u8>> {
    let mut rest = std::str::from_utf8(&block.text).unwrap();
    let mut records = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<serde_json::Value>();
        let Some(value) = values.next() else { return records };
        records.push(value.unwrap().to_string().into_bytes());
        rest = &rest[values.byte_offset()..];
    }
}

/// All blocks of the only file of a source.
pub fn blocks(source: &FileSource, budget: Budget) -> Result<Vec<Block>, pipelines::Error> {
    let name = source.partitions().unwrap().remove(0);
    let mut reader = source.open(&name, None)?;
    let mut blocks = Vec::new();
    loop {
        match reader.poll(budget)? {
            Polled::Batch(block) => blocks.push(block),
            Polled::Pending(_) => unreachable!("a file never has to wait"),
            Polled::End => return Ok(blocks),
        }
    }
}

/// Numbers from a seed: SplitMix64.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    pub fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// The seed of a randomised test: from the environment, to replay one, or a fixed series.
pub fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let replayed = std::env::var("PIPELINES_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    replayed.map_or((0..count).collect::<Vec<_>>(), |seed| vec![seed]).into_iter()
}
