//! The fixture of each format version: read today as on the day it was written, and the newest written as before.
//!
//! `fixtures/v1.epochs` was written by a script of its own from the description in `epoch_log::format`, not by this
//! crate, so that the two cannot share a mistake.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{STATE, body_of};
use epoch_log::fs::{FileSystem, RealFileSystem};
use epoch_log::testing::SimulatedDisk;
use epoch_log::{
    Chunk, Column, DirectoryId, Epoch, Footer, Generation, Layout, Lineage, Log, NewChunk, Nonce, Position,
    Start, Worker, WriterOptions, inspect,
};

const V1: &[u8] = include_bytes!("fixtures/v1.epochs");

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

#[test]
fn version_1_is_read_from_its_fixture() {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFileSystem);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1.epochs");
    assert_eq!(inspect::verify(&fs, &path).unwrap(), v1_footer());
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
fn the_writer_writes_version_1_as_its_fixture() {
    let disk = SimulatedDisk::new(0);
    let log = Log::new(STATE, Lineage::new("0123456789abcdef").unwrap()).on(Arc::new(disk.clone()));
    let start = Start::new(Generation(3), Nonce::new("k3v9").unwrap());
    let options = WriterOptions::from(Epoch(4)).epochs_per_file(2.try_into().unwrap());
    let mut writer = log.create(&start, Worker::new(1, 2).unwrap(), options).unwrap();
    let layout = Arc::new(v1_footer().layouts.remove(0));
    let chunk = |epoch, rows, raw_bytes| NewChunk {
        epoch: Epoch(epoch),
        rows,
        raw_bytes,
        layout: Arc::clone(&layout),
    };
    writer.append(&chunk(4, 2, 7), b"abc").unwrap();
    writer.append(&chunk(5, 3, 11), b"defgh").unwrap();
    writer.position(Epoch(5), "p", [1, 2]).unwrap();
    let sealed = writer.seal(Epoch(6)).unwrap();
    assert_eq!(disk.contents(sealed[0].path()).unwrap(), V1);
}

#[test]
fn version_1_is_adopted() {
    let disk = SimulatedDisk::new(0);
    let log = Log::new(STATE, Lineage::new("0123456789abcdef").unwrap()).on(Arc::new(disk.clone()));
    let start = Start::new(Generation(3), Nonce::new("k3v9").unwrap());
    drop(log.create(&start, Worker::new(1, 2).unwrap(), WriterOptions::from(Epoch(4))).unwrap());
    let id = DirectoryId { start, worker: 1 };
    disk.put(&log.path_of(&id).join("6.epochs"), V1);
    let adopted = log.adopt(&id).unwrap();
    let files = adopted.chain(Epoch(4)).unwrap();
    assert_eq!(files[0].footer(), &v1_footer());
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
