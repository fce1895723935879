//! The fixture of each format version: read today as on the day it was written, and the newest written as before.
//!
//! The fixtures were written by scripts of their own from the description in `epoch_log::format`, not by this crate, so that
//! the two cannot share a mistake.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{STATE, body_of};
use epoch_log::fs::{FileSystem, RealFileSystem};
use epoch_log::testing::SimulatedDisk;
use epoch_log::{
    Chunk, Column, DirectoryId, Epoch, Footer, Generation, Layout, Lineage, Log, NewChunk, Nonce, Position,
    RowSum, Start, Worker, WriterOptions, inspect,
};

const V1: &[u8] = include_bytes!("fixtures/v1.epochs");
/// The same with sums.
const V2: &[u8] = include_bytes!("fixtures/v2.epochs");

const SUMS: [RowSum; 2] = [
    RowSum { over: 0x1122_3344_5566_7788, sum: 1_000_000_000_000 },
    RowSum { over: 0x1122_3344_5566_7788, sum: 7 },
];

fn v1_footer() -> Footer {
    let chunk = |epoch, offset, length, rows, raw_bytes, checksum| Chunk {
        epoch: Epoch(epoch),
        number: 0,
        layout: 0,
        offset,
        length,
        rows,
        raw_bytes,
        checksums: vec![checksum],
        sum: None,
    };
    Footer {
        lineage: "0123456789abcdef".into(),
        generation: Generation(3),
        nonce: "k3v9".into(),
        worker: 1,
        workers: 2,
        from: Epoch(4),
        to: Epoch(6),
        block_bytes: 262_144,
        layouts: vec![Layout {
            format: "csv".into(),
            columns: vec![Column { name: "id".into(), column_type: "long".into() }],
        }],
        chunks: vec![chunk(4, 16, 3, 2, 7, 0x3524_41C2), chunk(5, 19, 5, 3, 11, 0x83E7_8239)],
        positions: vec![Position { epoch: Epoch(5), partition: "p".into(), position: vec![1, 2] }],
    }
}

fn v2_footer() -> Footer {
    let mut footer = v1_footer();
    footer.chunks.iter_mut().zip(SUMS).for_each(|(chunk, sum)| chunk.sum = Some(sum));
    footer
}

fn read(fixture: &str) -> Footer {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFileSystem);
    inspect::verify(&fs, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture)).unwrap()
}

#[test]
fn both_versions_are_read_from_their_fixtures() {
    assert_eq!(read("v1.epochs"), v1_footer());
    assert_eq!(read("v2.epochs"), v2_footer());
}

/// What version 2 has beyond version 1, which the next test reads whole.
#[test]
fn version_2_is_what_the_documentation_says_byte_by_byte() {
    let footer_end = V1.len() - 24;
    assert_eq!(&V2[..8], &V1[..8]);
    assert_eq!(&V2[8..12], &[2, 0, 0, 0]);
    assert_eq!(&V2[12..16], &bitwise_crc32(&V2[..12]).to_le_bytes());
    assert_eq!(&V2[16..footer_end], &V1[16..footer_end], "bodies, and the footer up to the positions");
    let mut sums = 2u64.to_le_bytes().to_vec();
    for RowSum { over, sum } in SUMS {
        sums.extend(over.to_le_bytes());
        sums.extend(sum.to_le_bytes());
    }
    let (end, length) = (footer_end + sums.len(), (footer_end - 24 + sums.len()) as u32);
    assert_eq!(&V2[footer_end..end], sums);
    assert_eq!(&V2[end..end + 12], [&24u64.to_le_bytes()[..], &length.to_le_bytes()].concat());
    assert_eq!(&V2[end + 12..end + 16], &bitwise_crc32(&V2[24..end + 12]).to_le_bytes());
    assert_eq!(&V2[end + 16..], b"KTSEALED");
}

/// Reads the fixture with nothing but the table in the documentation of `format`.
#[test]
fn version_1_is_what_the_documentation_says_byte_by_byte() {
    let mut at = 0;
    let mut next = |what: &str, expected: &[u8]| {
        assert_eq!(&V1[at..at + expected.len()], expected, "{what} at byte {at}");
        at += expected.len();
    };
    let text_length = |length: u64| length.to_le_bytes();
    // Prelude.
    next("magic", b"\x89KTLOG\r\n");
    next("version", &[1, 0]);
    next("zero", &[0, 0]);
    next("checksum of the prelude", &bitwise_crc32(&V1[..12]).to_le_bytes());
    // Bodies.
    next("body of chunk 4.0", b"abc");
    next("body of chunk 5.0", b"defgh");
    // Footer, at 24.
    next("length of lineage", &text_length(16));
    next("lineage", b"0123456789abcdef");
    next("generation", &3u64.to_le_bytes());
    next("length of nonce", &text_length(4));
    next("nonce", b"k3v9");
    next("worker", &1u32.to_le_bytes());
    next("workers", &2u32.to_le_bytes());
    next("from", &4u64.to_le_bytes());
    next("to", &6u64.to_le_bytes());
    next("bytes of a block", &262_144u32.to_le_bytes());
    next("number of layouts", &1u64.to_le_bytes());
    next("length of format", &text_length(3));
    next("format", b"csv");
    next("number of columns", &1u64.to_le_bytes());
    next("length of name", &text_length(2));
    next("name", b"id");
    next("length of type", &text_length(4));
    next("type", b"long");
    next("number of chunks", &2u64.to_le_bytes());
    for (epoch, offset, body, rows, raw_bytes) in
        [(4u64, 16u64, &b"abc"[..], 2u64, 7u64), (5, 19, b"defgh", 3, 11)]
    {
        next("epoch", &epoch.to_le_bytes());
        next("number", &0u32.to_le_bytes());
        next("layout", &0u32.to_le_bytes());
        next("offset", &offset.to_le_bytes());
        next("length", &(body.len() as u64).to_le_bytes());
        next("rows", &rows.to_le_bytes());
        next("raw bytes", &raw_bytes.to_le_bytes());
        next("number of checksums", &1u64.to_le_bytes());
        next("checksum of the block", &bitwise_crc32(body).to_le_bytes());
    }
    next("number of positions", &1u64.to_le_bytes());
    next("epoch of the position", &5u64.to_le_bytes());
    next("length of partition", &text_length(1));
    next("partition", b"p");
    next("length of position", &text_length(2));
    next("position", &[1, 2]);
    // Trailer.
    let footer_end = V1.len() - 24;
    next("where the footer begins", &24u64.to_le_bytes());
    next("length of the footer", &(footer_end as u32 - 24).to_le_bytes());
    next("checksum of the footer", &bitwise_crc32(&V1[24..footer_end + 12]).to_le_bytes());
    next("seal", b"KTSEALED");
    assert_eq!(at, V1.len());
}

#[test]
fn every_changed_byte_of_a_file_with_sums_is_found() {
    let disk = SimulatedDisk::new(0);
    let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
    let log = Log::new(STATE, Lineage::new("0123456789abcdef").unwrap()).on(Arc::clone(&fs));
    let start = Start::new(Generation(3), Nonce::new("k3v9").unwrap());
    drop(log.create(&start, Worker::new(1, 2).unwrap(), WriterOptions::from(Epoch(4))).unwrap());
    let path = log.path_of(&DirectoryId { start, worker: 1 }).join("6.epochs");
    for at in 0..V2.len() {
        let mut damaged = V2.to_vec();
        damaged[at] ^= 1;
        disk.put(&path, &damaged);
        assert!(inspect::verify(&fs, &path).is_err(), "byte {at}");
    }
    disk.put(&path, V2);
    assert_eq!(inspect::verify(&fs, &path).unwrap(), v2_footer());
}

/// The file that a writer makes of the fixture's content.
fn written(sums: Option<[RowSum; 2]>) -> Vec<u8> {
    let disk = SimulatedDisk::new(0);
    let log = Log::new(STATE, Lineage::new("0123456789abcdef").unwrap()).on(Arc::new(disk.clone()));
    let start = Start::new(Generation(3), Nonce::new("k3v9").unwrap());
    let options = WriterOptions::from(Epoch(4)).epochs_per_file(2.try_into().unwrap());
    let mut writer = log.create(&start, Worker::new(1, 2).unwrap(), options).unwrap();
    let layout = Arc::new(v1_footer().layouts.remove(0));
    let chunk = |epoch, rows, raw_bytes, at: usize| NewChunk {
        epoch: Epoch(epoch),
        rows,
        raw_bytes,
        layout: Arc::clone(&layout),
        sum: sums.map(|sums| sums[at]),
    };
    writer.append(&chunk(4, 2, 7, 0), b"abc").unwrap();
    writer.append(&chunk(5, 3, 11, 1), b"defgh").unwrap();
    writer.position(Epoch(5), "p", [1, 2]).unwrap();
    let sealed = writer.seal(Epoch(6)).unwrap();
    disk.contents(sealed[0].path()).unwrap()
}

#[test]
fn the_writer_writes_each_version_as_its_fixture() {
    assert_eq!(written(None), V1);
    assert_eq!(written(Some(SUMS)), V2);
}

#[test]
fn a_file_has_sums_for_all_chunks_or_for_none() {
    let disk = SimulatedDisk::new(0);
    let log = Log::new(STATE, Lineage::new("0123456789abcdef").unwrap()).on(Arc::new(disk));
    let start = Start::new(Generation(3), Nonce::new("k3v9").unwrap());
    for first in [None, Some(SUMS[0])] {
        let worker = Worker::new(u32::from(first.is_some()), 2).unwrap();
        let mut writer = log.create(&start, worker, WriterOptions::from(Epoch(0))).unwrap();
        let layout = Arc::new(v1_footer().layouts.remove(0));
        let chunk =
            |sum| NewChunk { epoch: Epoch(0), rows: 1, raw_bytes: 1, layout: Arc::clone(&layout), sum };
        writer.append(&chunk(first), b"abc").unwrap();
        let other = if first.is_some() { None } else { Some(SUMS[0]) };
        let refused = writer.append(&chunk(other), b"abc").unwrap_err();
        assert!(refused.to_string().contains("all, or none"), "{refused}");
        writer.append(&chunk(first), b"abc").unwrap();
    }
}

#[test]
fn both_versions_are_adopted() {
    is_adopted(V1, &v1_footer());
    is_adopted(V2, &v2_footer());
}

fn is_adopted(file: &[u8], footer: &Footer) {
    let disk = SimulatedDisk::new(0);
    let log = Log::new(STATE, Lineage::new("0123456789abcdef").unwrap()).on(Arc::new(disk.clone()));
    let start = Start::new(Generation(3), Nonce::new("k3v9").unwrap());
    drop(log.create(&start, Worker::new(1, 2).unwrap(), WriterOptions::from(Epoch(4))).unwrap());
    let id = DirectoryId { start, worker: 1 };
    disk.put(&log.path_of(&id).join("6.epochs"), file);
    let adopted = log.adopt(&id).unwrap();
    let files = adopted.chain(Epoch(4)).unwrap();
    assert_eq!(files[0].footer(), footer);
    assert_eq!(body_of(&files[0], 1).unwrap(), b"defgh");
    assert_eq!((adopted.workers(), adopted.sealed_to()), (Some(2), Some(Epoch(6))));
}

/// CRC-32 bit by bit, to owe nothing to the library.
fn bitwise_crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
