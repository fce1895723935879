//! How a blob is compressed: the seam, and gzip.
//!
//! Promises that every implementation keeps; `testing::conformance` has a test for each:
//!
//! 1. What `compress` appends is one complete member: decompressing it gives the input back, byte for byte, whatever
//!    its size (none included).
//! 2. The same input gives the same output: a blob that is compressed again after a crash is the same blob.
//! 3. `out` keeps what stood in it; after an error it is as it was, and the codec can be used again.
//! 4. Threads may compress with one codec at the same time.

mod gzip;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

use std::fmt;

use thiserror::Error;

pub use gzip::Gzip;

/// Compresses blobs; see the [module documentation](self) for the promises.
pub trait Codec: fmt::Debug + Send + Sync {
    /// What follows the format's suffix in a blob's name, with its dot; the service reads it to know the compression.
    fn suffix(&self) -> &str;

    /// Appends `raw`, compressed as one member, to `out`.
    ///
    /// # Errors
    /// When the level is not there, or memory or the implementation fails.
    fn compress(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError>;
}

/// A blob that was not compressed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// There is no such level.
    #[error("gzip has no level {level}: allowed is 1 to 12")]
    Level {
        /// The level that was asked for.
        level: i32,
    },
    /// The compressor failed.
    #[error("compress {bytes} bytes: {reason}")]
    Failed {
        /// Bytes of input.
        bytes: usize,
        /// Why.
        reason: String,
    },
}
