//! Every codec passes the suite; gzip is read back by another implementation.

use std::io::Read as _;

use super::testing::{Failing, Stored, conformance};
use super::{Codec, CodecError, Gzip};

/// Reads exactly one member by zlib-rs; bytes after it are an error.
fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = flate2::bufread::GzDecoder::new(bytes);
    let mut text = Vec::new();
    decoder.read_to_end(&mut text).unwrap();
    assert!(decoder.into_inner().is_empty(), "there is more than one member");
    text
}

#[test]
fn gzip_passes_the_suite_up_to_a_whole_blob() {
    conformance(&Gzip::new(1).unwrap(), &gunzip, 64 << 20);
}

#[test]
fn gzip_passes_the_suite_at_every_level() {
    for level in 1..=12 {
        conformance(&Gzip::new(level).unwrap(), &gunzip, 70_000);
    }
}

#[test]
fn stored_passes_the_suite() {
    conformance(&Stored, &<[u8]>::to_vec, 1 << 20);
}

#[test]
fn a_codec_that_fails_at_times_passes_the_suite() {
    let failing = Failing::new(Gzip::new(1).unwrap(), |call| call % 3 == 0);
    conformance(&failing, &gunzip, 70_000);
    assert!(failing.calls() > 20);
}

#[test]
fn levels_outside_1_to_12_are_refused() {
    for level in [i32::MIN, -1, 0, 13, i32::MAX] {
        assert_eq!(Gzip::new(level).unwrap_err(), CodecError::Level { level });
    }
}

#[test]
fn a_higher_level_is_not_larger() {
    let input: Vec<u8> =
        (0..20_000).flat_map(|row| format!("{row},hail,{}\n", row % 7).into_bytes()).collect();
    let size = |level| {
        let mut out = Vec::new();
        Gzip::new(level).unwrap().compress(&input, &mut out).unwrap();
        out.len()
    };
    assert!(size(12) < size(1));
}

#[test]
fn the_output_takes_little_more_room_than_it_needs() {
    let gzip = Gzip::new(1).unwrap();
    let input: Vec<u8> = (0..200_000u64).flat_map(|row| format!("{row},hail\n").into_bytes()).collect();
    gzip.compress(&input, &mut Vec::new()).unwrap();
    let mut out = Vec::new();
    gzip.compress(&input, &mut out).unwrap();
    assert!(out.capacity() < out.len() * 5 / 4, "{} bytes in room for {}", out.len(), out.capacity());
}
