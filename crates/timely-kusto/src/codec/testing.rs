//! For tests: the suite that every codec passes, a codec that compresses nothing, and one that fails at times.
//!
//! The checks panic with what was promised and not kept; call them from a test.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Codec, CodecError};

/// Decompresses one blob, which must be exactly one member.
pub type Decompress<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// Checks all promises of a codec on inputs of up to `largest` bytes. `decompress` is an implementation by others.
///
/// # Panics
/// When a promise is not kept.
pub fn conformance(codec: &dyn Codec, decompress: Decompress<'_>, largest: usize) {
    suffix_begins_with_a_dot_or_is_empty(codec);
    gives_back_what_it_was_given(codec, decompress, largest);
    gives_the_same_output_for_the_same_input(codec);
    keeps_what_stood_in_the_output(codec, decompress);
    serves_threads_at_the_same_time(codec, decompress);
}

fn suffix_begins_with_a_dot_or_is_empty(codec: &dyn Codec) {
    let suffix = codec.suffix();
    assert!(suffix.is_empty() || suffix.starts_with('.'), "suffix {suffix:?} has no dot");
}

/// Promise 1.
fn gives_back_what_it_was_given(codec: &dyn Codec, decompress: Decompress<'_>, largest: usize) {
    let mut sizes = vec![0, 1, 2, 1023, 1024, 1025, 65_535, 65_536, 1 << 20];
    sizes.retain(|size| *size < largest);
    sizes.push(largest);
    for size in sizes {
        for (kind, input) in [("text", text(size)), ("noise", noise(size)), ("zeros", vec![0; size])] {
            let output = compress(codec, &input);
            assert!(decompress(&output) == input, "{size} bytes of {kind} do not come back");
        }
    }
}

/// Promise 2.
fn gives_the_same_output_for_the_same_input(codec: &dyn Codec) {
    let input = text(100_000);
    let first = compress(codec, &input);
    compress(codec, &noise(100_000));
    assert!(compress(codec, &input) == first, "the same input gives another output the second time");
}

/// Promise 3.
fn keeps_what_stood_in_the_output(codec: &dyn Codec, decompress: Decompress<'_>) {
    let input = text(10_000);
    let mut out = b"before".to_vec();
    while codec.compress(&input, &mut out).is_err() {
        assert_eq!(out, b"before", "an error leaves something in the output");
    }
    assert!(out.starts_with(b"before"), "the output lost what stood in it");
    assert!(decompress(&out[6..]) == input, "what was appended is no member");
}

/// Promise 4.
fn serves_threads_at_the_same_time(codec: &dyn Codec, decompress: Decompress<'_>) {
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|index| scope.spawn(move || compress(codec, &text(50_000 + index)))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread that compresses does not panic"))
            .collect()
    });
    for (index, output) in outputs.iter().enumerate() {
        assert!(decompress(output) == text(50_000 + index), "a thread's output does not come back");
    }
}

/// Compresses, again where the codec fails: an error must leave it usable.
fn compress(codec: &dyn Codec, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..100 {
        match codec.compress(input, &mut out) {
            Ok(()) => return out,
            Err(error) => assert!(out.is_empty(), "an error leaves something in the output: {error}"),
        }
    }
    panic!("{codec:?} failed a hundred times in a row");
}

/// Bytes like rows.
fn text(size: usize) -> Vec<u8> {
    let mut rows = String::with_capacity(size + 64);
    for row in 0u64.. {
        if rows.len() >= size {
            break;
        }
        rows.push_str(&format!(
            "{row},TEXAS,\"hail of {} inches, and wind from the north\"\n",
            row * row % 97
        ));
    }
    rows.truncate(size);
    rows.into_bytes()
}

/// Bytes that no codec makes smaller (xorshift64*, Vigna 2016).
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// No compression: the blob is the rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stored;

impl Codec for Stored {
    fn suffix(&self) -> &str {
        ""
    }

    fn compress(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(raw);
        Ok(())
    }
}

/// Fails at the calls that a rule names, and is the codec within otherwise.
pub struct Failing<C> {
    inner: C,
    calls: AtomicU64,
    fails: fn(u64) -> bool,
}

impl<C: Codec> Failing<C> {
    /// Fails at call `n` (from 0) where `fails(n)`.
    pub fn new(inner: C, fails: fn(u64) -> bool) -> Self {
        Failing { inner, calls: AtomicU64::new(0), fails }
    }

    /// Calls so far, failed ones too.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl<C: fmt::Debug> fmt::Debug for Failing<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failing")
            .field("inner", &self.inner)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

impl<C: Codec> Codec for Failing<C> {
    fn suffix(&self) -> &str {
        self.inner.suffix()
    }

    fn compress(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if (self.fails)(call) {
            let reason = format!("call {call} was told to fail");
            return Err(CodecError::Failed { bytes: raw.len(), reason });
        }
        self.inner.compress(raw, out)
    }
}
