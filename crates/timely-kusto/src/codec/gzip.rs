//! Gzip by libdeflate, which needs the whole input and writes one member.
//!
//! **Memory.** libdeflate writes into room that is there beforehand, and what it may need at worst is a little more than
//! the input. Rows compress to a third, so that room would double the memory of a blob in flight for nothing. Instead
//! the room is what the last blob needed and an eighth more; the rare blob that compresses worse is done again with room
//! for the worst. The output does not depend on the room.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use libdeflater::{CompressionLvl, Compressor};

use super::{Codec, CodecError};

/// Room that every output gets: header, trailer and a block.
const LEAST_ROOM: usize = 1 << 10;

/// What the first blob is taken to need, per 1,024 bytes of input: rows of text compress better.
const FIRST_RATIO: usize = 384;

/// Gzip, one member per blob, at a level from 1 (fast) to 12 (small).
pub struct Gzip {
    level: i32,
    /// Compressors that are not in use; there are never more than there were threads at one time.
    idle: Mutex<Vec<Compressor>>,
    /// Bytes of output per 1,024 of input, as the last blob had it.
    ratio: AtomicUsize,
}

impl Gzip {
    /// Gzip at a level.
    ///
    /// # Errors
    /// When the level is not in 1 to 12.
    pub fn new(level: i32) -> Result<Self, CodecError> {
        if !(1..=12).contains(&level) {
            return Err(CodecError::Level { level });
        }
        Ok(Gzip { level, idle: Mutex::default(), ratio: AtomicUsize::new(FIRST_RATIO) })
    }

    /// The level.
    pub fn level(&self) -> i32 {
        self.level
    }

    fn take_compressor(&self) -> Result<Compressor, CodecError> {
        let idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        let level = CompressionLvl::new(self.level).map_err(|_| CodecError::Level { level: self.level });
        idle.map_or_else(|| level.map(Compressor::new), Ok)
    }

    fn put_back(&self, compressor: Compressor) {
        self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(compressor);
    }

    /// The room that blobs like the last one need.
    fn likely_room(&self, raw: usize) -> usize {
        let ratio = self.ratio.load(Ordering::Relaxed);
        raw / 1024 * (ratio + ratio / 8) + LEAST_ROOM
    }

    fn compress_into(
        &self,
        compressor: &mut Compressor,
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let start = out.len();
        let worst = compressor.gzip_compress_bound(raw.len());
        let likely = self.likely_room(raw.len()).min(worst);
        let rooms: &[usize] = if likely < worst { &[likely, worst] } else { &[worst] };
        for room in rooms {
            out.reserve_exact(*room);
            out.resize(start + room, 0);
            if let Ok(length) = compressor.gzip_compress(raw, &mut out[start..]) {
                out.truncate(start + length);
                self.ratio.store((length / (raw.len() / 1024 + 1)).min(1024), Ordering::Relaxed);
                return Ok(());
            }
            out.truncate(start);
        }
        let reason = "libdeflate needs more room than it said".to_owned();
        Err(CodecError::Failed { bytes: raw.len(), reason })
    }
}

impl fmt::Debug for Gzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gzip").field("level", &self.level).finish_non_exhaustive()
    }
}

impl Codec for Gzip {
    fn suffix(&self) -> &str {
        ".gz"
    }

    fn compress(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut compressor = self.take_compressor()?;
        let result = self.compress_into(&mut compressor, raw, out);
        self.put_back(compressor);
        result
    }
}
