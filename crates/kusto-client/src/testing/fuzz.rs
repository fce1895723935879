//! Fuzzing on stable Rust: a reader of foreign text is fed with damaged examples and has to bear them.
//!
//! Every input has a seed, which is printed with the input when the reader panics; what holds beside "it does not panic
//! and it comes back", the reader asserts itself.
//!
//! | variable | meaning |
//! |---|---|
//! | `KUSTO_FUZZ_SEED` | begins with this seed, where the failure was |
//! | `KUSTO_FUZZ_ROUNDS` | so many damaged inputs per reader |
//! | `KUSTO_FUZZ_SECONDS` | goes on for so long per reader instead |
//!
//! An input that was found to break something becomes a test of its own, whose name says what it broke.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

/// The longest input, in bytes.
const LONGEST: usize = 16 << 10;

/// What means something to readers of JSON: words for their inputs.
pub const JSON: &[&str] = &[
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\0",
    "\r\n",
    "\u{feff}",
    "İ",
    "𝄞",
    "null",
    "true",
    "-0",
    "1e999",
    "18446744073709551616",
];

/// Numbers from a seed: SplitMix64.
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// A number below `limit`, which is 1 or more.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    /// One of the list.
    pub fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

/// Feeds `reader` with the examples as they are, and then `rounds` times with one after one to eight accidents, in which
/// `words` get in. `reader` gets chance, too.
pub fn fuzz(
    name: &str,
    rounds: u64,
    examples: &[&[u8]],
    words: &[&str],
    mut reader: impl FnMut(&[u8], &mut Chance),
) {
    for example in examples {
        feed(name, 0, example, &mut reader);
    }
    let variable = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let first = variable("KUSTO_FUZZ_SEED").unwrap_or_else(|| RandomState::new().hash_one(name) >> 16);
    let until = variable("KUSTO_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let rounds = variable("KUSTO_FUZZ_ROUNDS").unwrap_or(rounds);
    let goes_on = |round| until.map_or(round < rounds, |until| Instant::now() < until);
    for seed in (0..).take_while(|round| goes_on(*round)).map(|round| first.wrapping_add(round)) {
        let input = damaged(examples, words, &mut Chance(seed));
        feed(name, seed, &input, &mut reader);
    }
}

/// Prints what was read when the reader panics over it.
struct Witness<'a> {
    name: &'a str,
    seed: u64,
    input: &'a [u8],
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Witness { name, seed, input } = self;
            let shown = input[..input.len().min(2_000)].escape_ascii();
            eprintln!("{name}: KUSTO_FUZZ_SEED={seed}, {} bytes: b\"{shown}\"", input.len());
        }
    }
}

fn feed(name: &str, seed: u64, input: &[u8], reader: &mut impl FnMut(&[u8], &mut Chance)) {
    let _witness = Witness { name, seed, input };
    reader(input, &mut Chance(!seed));
}

fn damaged(examples: &[&[u8]], words: &[&str], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = chance.pick(examples).to_vec();
    for _ in 0..1 + chance.below(8) {
        accident(&mut bytes, examples, words, chance);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn accident(bytes: &mut Vec<u8>, examples: &[&[u8]], words: &[&str], chance: &mut Chance) {
    let at = chance.below(bytes.len() + 1);
    let end = (at + chance.below(32)).min(bytes.len());
    match chance.below(10) {
        0 => drop(bytes.drain(at..end)),
        1 => bytes.truncate(at),
        2 => bytes.extend_from_within(at..end),
        3 | 4 => _ = bytes.splice(at..at, chance.pick(words).bytes()),
        5 => {
            let other = chance.pick(examples);
            let from = chance.below(other.len() + 1);
            bytes.splice(at..end, other[from..].iter().take(64).copied());
        }
        6 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
        7 => _ = bytes.splice(at..end, chance.below(usize::MAX).to_string().into_bytes()),
        8 if chance.below(16) == 0 => {
            let word = chance.pick(words).repeat(1 + chance.below(2_000));
            bytes.splice(at..at, word.into_bytes());
        }
        9 => _ = bytes.splice(at..at, [chance.below(256) as u8]),
        _ => {}
    }
}
