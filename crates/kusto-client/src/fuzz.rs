//! Readers of foreign text are fed with damaged examples ([`testing::fuzz`](crate::testing::fuzz) says how a run is repeated
//! and made longer) and have to bear them.
//!
//! What is checked of every reader: it does not panic, it comes back, and it takes no more memory than [`PER_BYTE`] for a
//! byte of the input beside [`FIXED`]. What more has to hold, each caller checks.

use crate::testing::fuzz::JSON;

/// Inputs per reader in a usual run.
const INPUTS: u64 = 4_000;
/// Most memory at a time per byte of input: a JSON value has 32 bytes and more for a `0,` of two.
const PER_BYTE: usize = 256;
/// Memory that a reader may take for the shortest input.
const FIXED: usize = 256 << 10;

/// What means something to at least one of the readers, beside [`JSON`].
const WORDS: &[&str] = &[
    "'",
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
    let examples: Vec<&[u8]> = examples.iter().map(|example| example.as_bytes()).collect();
    let words = [JSON, WORDS].concat();
    crate::testing::fuzz::fuzz(name, INPUTS, &examples, &words, |input, _| {
        let (taken, allowed) =
            (allocation_counter::measure(|| reader(input)).bytes_max, FIXED + PER_BYTE * input.len());
        assert!(taken <= allowed as u64, "{taken} bytes of memory for {} of input", input.len());
    });
}
