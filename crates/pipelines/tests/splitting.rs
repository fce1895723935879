//! Where records end: random text in blocks of every size gives the records that it has as a whole.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::Chance;
use pipelines::source::Budget;

const PIECES: [&str; 12] =
    ["a", "longer text", "", "\"\"", ",", "\n", "\r\n", "ü", "5\" pipe", " \"x\"", "0", "{\"k\": [1]}"];

/// One field as a writer would write it: quoted where it must be, and sometimes where it need not.
fn field(chance: &mut Chance) -> String {
    let content: String = (0..chance.below(4)).map(|_| chance.pick(&PIECES)).collect();
    let must = content.contains([',', '\n', '\r']) || content.starts_with('"');
    if must || chance.below(4) == 0 { format!("\"{}\"", content.replace('"', "\"\"")) } else { content }
}

fn text(chance: &mut Chance) -> String {
    let mut text = String::new();
    for _ in 0..chance.below(40) {
        let fields: Vec<_> = (0..1 + chance.below(4)).map(|_| field(chance)).collect();
        text.push_str(&fields.join(","));
        text.push_str(chance.pick(&["\n", "\n", "\r\n", "\n\n"]));
    }
    if chance.below(2) == 0 {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
    }
    text
}

#[test]
fn csv_in_blocks_of_every_size_has_the_records_that_the_csv_crate_reads_from_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    for seed in common::seeds(40) {
        println!("PIPELINES_SEED={seed}");
        let text = text(&mut Chance(seed));
        let source = common::csv_without_header(&common::write(dir.path(), "r.csv", &text));
        let whole = common::oracle(text.as_bytes());
        for bytes in (1..40).chain([100, 1000, 1 << 20]) {
            for rows in [1, 3, u64::MAX] {
                let blocks = common::blocks(&source, Budget { rows, bytes }).unwrap();
                let records: Vec<_> = blocks.iter().flat_map(common::csv_records).collect();
                assert_eq!(records, whole, "{bytes} bytes, {rows} rows of {text:?}");
            }
        }
    }
}

#[test]
fn every_block_knows_the_line_on_which_it_begins() {
    let dir = tempfile::tempdir().unwrap();
    for seed in common::seeds(50) {
        println!("PIPELINES_SEED={seed}");
        let text = text(&mut Chance(seed));
        let source = common::csv_without_header(&common::write(dir.path(), "r.csv", &text));
        let blocks = common::blocks(&source, Budget { rows: 2, bytes: 50 }).unwrap();
        let mut from = 0;
        for block in blocks {
            let found =
                text.as_bytes()[from..].windows(block.text.len()).position(|window| window == block.text);
            let start = from + found.unwrap();
            let line = 1 + text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() as u64;
            assert_eq!(block.line, line);
            from = start + block.text.len();
        }
    }
}

#[test]
fn a_record_of_many_megabytes_is_one_block() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x,\"\n".repeat(3 << 20).replace('"', "\"\"");
    let text = format!("a,b\n1,\"{long}\"\n2,short\n");
    let source = common::csv(&common::write(dir.path(), "l.csv", &text));
    let blocks = common::blocks(&source, Budget { rows: 1, ..Budget::DEFAULT }).unwrap();
    assert_eq!(blocks.len(), 2);
    assert_eq!(blocks[0].text.len(), long.len() + 5);
    assert_eq!(blocks[1].text, b"2,short\n");
}
