//! Fuzzing on stable Rust: a reader of foreign text is fed with damaged examples and has to bear them.
//!
//! Every run has a seed, which is printed when the run fails, together with the input. `KUSTO_FUZZ_SEED=<n>` replays it;
//! `KUSTO_FUZZ_SECONDS=<n>` goes on for so long per reader instead of the usual few thousand inputs. An input that was
//! found to break something becomes an example of its reader, with a word on what it broke.
//!
//! What is checked of every reader: it does not panic, it comes back, and it takes no more memory than [`PER_BYTE`] for a
//! byte of the input beside [`FIXED`]. What more has to hold, each caller checks.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Inputs per reader in a usual run.
const INPUTS: usize = 4_000;
/// The longest input, in bytes, beside deep nesting.
const LONGEST: usize = 16 << 10;
/// Most memory at a time per byte of input: a JSON value has 32 bytes and more for a `0,` of two.
const PER_BYTE: usize = 256;
/// Memory that a reader may take for the shortest input.
const FIXED: usize = 256 << 10;

/// What means something to at least one of the readers.
const WORDS: &[&str] = &[
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ";",
    "=",
    "?",
    "&",
    "#",
    "%",
    "%00",
    "/",
    "//",
    "://",
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
    "<",
    ">",
    "</",
    "<![CDATA[",
    "&amp;",
    "<Message>",
    "</Message>",
    "{\"error\":",
    "\"Rows\":",
    "sig=",
    "token=",
    "Bearer ",
    "-----BEGIN CERTIFICATE-----",
    "-----END",
    "https://",
    "[::1]",
    "xn--",
];

/// Feeds `reader` with damaged `examples`, after the examples themselves.
pub(crate) fn fuzz(name: &str, examples: &[&str], reader: impl Fn(&[u8])) {
    for example in examples {
        feed(name, 0, example.as_bytes(), &reader);
    }
    let variable = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = variable("KUSTO_FUZZ_SEED").unwrap_or_else(|| rand::rng().random());
    let until = variable("KUSTO_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut rng = StdRng::seed_from_u64(seed);
    for count in 0.. {
        let ends = until.map_or(count >= INPUTS, |until| Instant::now() >= until);
        if ends {
            break;
        }
        let input = damaged(examples, &mut rng);
        feed(name, seed, &input, &reader);
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
            let text = String::from_utf8_lossy(&input[..input.len().min(2_000)]);
            eprintln!("{name}: KUSTO_FUZZ_SEED={seed}, {} bytes: {text:?}", input.len());
        }
    }
}

fn feed(name: &str, seed: u64, input: &[u8], reader: &impl Fn(&[u8])) {
    let _witness = Witness { name, seed, input };
    let measured = allocation_counter::measure(|| reader(input));
    let allowed = (FIXED + PER_BYTE * input.len()) as u64;
    assert!(
        measured.bytes_max <= allowed,
        "{} bytes of memory for {} of input",
        measured.bytes_max,
        input.len()
    );
}

/// An example after one to eight accidents.
fn damaged(examples: &[&str], rng: &mut StdRng) -> Vec<u8> {
    let pick = |rng: &mut StdRng| examples[rng.random_range(0..examples.len())].as_bytes();
    let mut bytes = pick(rng).to_vec();
    for _ in 0..rng.random_range(1..=8) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(0..32)).min(bytes.len());
        match rng.random_range(0..9) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.truncate(at),
            2 => bytes.extend_from_within(at..end),
            3 => _ = bytes.splice(at..at, WORDS[rng.random_range(0..WORDS.len())].bytes()),
            4 => _ = bytes.splice(at..end, pick(rng).iter().skip(at).take(64).copied()),
            5 => _ = bytes.splice(at..at, [rng.random::<u8>()]),
            6 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            7 => _ = bytes.splice(at..end, rng.random::<i64>().to_string().into_bytes()),
            8 if rng.random_ratio(1, 16) => {
                let word = WORDS[rng.random_range(0..WORDS.len())].repeat(rng.random_range(1..2_000));
                bytes.splice(at..at, word.into_bytes());
            }
            _ => {}
        }
    }
    bytes.truncate(LONGEST);
    bytes
}
