//! The file of positions, and the positions in it.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::*;
use crate::error::ErrorKind;
use crate::state::{Identity, Positions, StateDir};

const TEXT: &str = "k,v\n1,\"a\nb\"\n2,c\n\n3,d\n4,e\n";

fn identity() -> Identity {
    let [pipeline, cluster, database, table, source, format] =
        ["p", "https://c", "D", "T", "file a.csv (csv with header)", "csv"].map(str::to_owned);
    Identity { pipeline, cluster, database, table, source, format }
}

const WORDS: &[&str] = &[
    "{",
    "}",
    "\"",
    ":",
    ",",
    "\n",
    "null",
    "-1",
    "18446744073709551615",
    "\"epoch\":",
    "\"positions\":{",
    "00",
    "ff",
    "\\u0000",
    "[",
];

/// The second line under a checksum that fits.
fn sealed(body: &[u8]) -> Vec<u8> {
    let sum: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    let header = format!("{{\"format\":\"timely-kusto positions\",\"version\":1,\"sha256\":\"{sum}\"}}\n");
    [header.as_bytes(), body, b"\n"].concat()
}

#[test]
fn a_damaged_file_of_positions_is_refused_and_never_means_other_ones() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path(), identity()).unwrap();
    let partitions =
        [("a.csv", 1), ("ü \"q\"", 255)].map(|(name, at)| (name.to_owned(), Position::new(1, &[at, 0])));
    let kept = Positions { epoch: 7, partitions: partitions.into() };
    state.save(&kept).unwrap();
    let path = dir.path().join("positions");
    let whole = std::fs::read(&path).unwrap();
    fuzz("positions", ROUNDS, &[&whole], WORDS, |input, _| {
        std::fs::write(&path, input).unwrap();
        match within_memory(input.len(), || state.load()) {
            Ok(positions) => assert_eq!(positions, kept),
            Err(error) => {
                assert!(error.kind().needs_person() && error.to_string().contains("positions"), "{error}")
            }
        }
    });
    let body = whole[..whole.len() - 1].rsplit(|byte| *byte == b'\n').next().unwrap();
    fuzz("sealed positions", ROUNDS, &[body], WORDS, |input, _| {
        std::fs::write(&path, sealed(input)).unwrap();
        if let Err(error) = within_memory(input.len(), || state.load()) {
            assert!(matches!(error.kind(), ErrorKind::Damaged | ErrorKind::OtherPipeline), "{error}");
        }
    });
}

/// Every position that reading the file passes, and what follows it.
fn places(source: &FileSource) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut reader = open(source, None).unwrap();
    let mut passed = vec![(reader.position(), Vec::new())];
    while let Some(block) = next(&mut reader, Budget { rows: 1, bytes: 1 }).unwrap() {
        passed.iter_mut().for_each(|(_, rest): &mut (_, Vec<u8>)| rest.extend_from_slice(&block.text));
        passed.push((reader.position(), Vec::new()));
    }
    passed.into_iter().map(|(position, rest)| (position.as_bytes().to_vec(), rest)).collect()
}

#[test]
fn a_damaged_position_in_a_file_is_refused_or_lies_within_it() {
    let scratch = Scratch::new("f.csv");
    let source = scratch.source(FileFormat::Csv, TEXT.as_bytes());
    let places = places(&source);
    let examples: Vec<&[u8]> = places.keys().map(Vec::as_slice).collect();
    fuzz("position", ROUNDS, &examples, &["\0", "\x01", "\x7f"], |input, _| {
        let position = Position::from_bytes(input.to_vec());
        let Ok(mut reader) = open(&source, Some(&position)) else { return };
        let mut rest = Vec::new();
        while let Ok(Some(block)) = next(&mut reader, Budget::DEFAULT) {
            rest.extend_from_slice(&block.text);
        }
        assert!(TEXT.as_bytes().ends_with(&rest) || rest.is_empty());
        assert!(places.get(input).is_none_or(|kept| kept.len() <= rest.len()));
    });
}

#[test]
fn a_position_behind_the_end_of_its_file_or_on_a_line_that_it_cannot_have_is_refused() {
    let scratch = Scratch::new("f.csv");
    let source = scratch.source(FileFormat::Csv, TEXT.as_bytes());
    let good = open(&source, None).unwrap().position();
    for (from, value) in [(1, TEXT.len() as u64 + 1), (1, u64::MAX), (9, u64::MAX), (9, 0)] {
        let mut bytes = good.as_bytes().to_vec();
        bytes[from..from + 8].copy_from_slice(&value.to_le_bytes());
        let error = open(&source, Some(&Position::from_bytes(bytes))).err();
        let error = error.unwrap_or_else(|| panic!("{value} at {from} is taken"));
        assert!(error.kind().needs_person(), "{error}");
    }
}
