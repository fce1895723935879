//! gzip files: damaged, cut, with rubbish behind, and much larger than they look.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

const WORDS: &[&str] = &["\u{1f}", "\0", "\0\0\0\0", "\x08", "a,b\n"];

#[test]
fn a_damaged_gzip_file_is_an_error_and_what_came_before_it_is_whole() {
    let text: String = (0..200).map(|n| format!("{n},\"row {}\"\n", n * n)).collect();
    let one = gzip(text.as_bytes());
    let two = [gzip(&text.as_bytes()[..700]), gzip(&text.as_bytes()[700..])].concat();
    let scratch = Scratch::new("f.csv.gz");
    fuzz("gzip", ROUNDS, &[&one, &two], WORDS, |input, chance| {
        let source = scratch.source(FileFormat::Csv, input);
        for budget in budgets(chance) {
            let (blocks, result) = within_memory(input.len(), || blocks(&source, budget));
            let read: Vec<u8> = blocks.into_iter().flat_map(|block| block.text).collect();
            // One of several members can go, or come twice, without a trace; within one the checksum tells.
            let members = [&b""[..], text.as_bytes(), &text.as_bytes()[..700], &text.as_bytes()[700..]];
            assert!(result.is_err() || consists_of(&read, &members), "{} bytes", read.len());
        }
    });
}

/// Whether `read` is some of these, one after another.
fn consists_of(read: &[u8], members: &[&[u8]]) -> bool {
    let rest = |member: &&[u8]| (!member.is_empty()).then(|| read.strip_prefix(*member)).flatten();
    read.is_empty() || members.iter().filter_map(rest).any(|rest| consists_of(rest, members))
}

#[test]
fn a_small_gzip_file_of_one_endless_record_is_refused_before_it_fills_the_memory() {
    let scratch = Scratch::new("f.csv.gz");
    let stored = gzip(&vec![b'"'; 64 << 20]);
    let text = "a".repeat(64 << 20);
    for stored in [stored, gzip(text.as_bytes())] {
        std::fs::write(&scratch.path, &stored).unwrap();
        let mut options = FileOptions::new([&scratch.path], FileFormat::Csv).with_header(false);
        options.record_bytes = 100_000;
        let source = FileSource::new(options).unwrap();
        let (_, result) = within_memory(stored.len(), || blocks(&source, Budget::DEFAULT));
        assert!(result.unwrap_err().to_string().contains("larger than 100000 bytes"));
    }
}
