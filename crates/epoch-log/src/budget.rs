//! How many bytes the log may hold before sources pause.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;

/// A byte budget with a high and a low water mark, shared by all writers and adopted directories of a process.
///
/// At `high` it says *pause*, and goes on saying so until removals brought the bytes down to `low`: without the gap
/// sources would be woken for every removed file. It advises and refuses nothing: rows that are on their way when it
/// says pause still have to be written, because nothing is ever dropped. How far the bytes can exceed `high` is what
/// the caller has in flight.
///
/// **While sources are paused, epochs must go on ending**: only a sealed and committed epoch frees space. An epoch
/// that holds the whole budget has to be closed early, or the pipeline waits for itself.
#[derive(Debug)]
pub struct Budget {
    high: u64,
    low: u64,
    bytes: Mutex<u64>,
    paused: AtomicBool,
}

impl Budget {
    /// High water unless told otherwise, in bytes: 4 GiB, some 12 GiB of rows before compression.
    pub const DEFAULT_HIGH_BYTES: u64 = 4 << 30;
    /// Low water unless told otherwise, in bytes: three quarters of the high one.
    pub const DEFAULT_LOW_BYTES: u64 = 3 << 30;

    /// Pauses at `high` bytes, resumes at `low` bytes.
    ///
    /// # Errors
    /// [`Error::Misuse`] unless `low < high`.
    pub fn new(high: u64, low: u64) -> Result<Self, Error> {
        if low >= high {
            return Err(Error::misuse(format!(
                "the low water mark ({low} bytes) must be below the high one ({high})"
            )));
        }
        Ok(Budget { high, low, bytes: Mutex::new(0), paused: AtomicBool::new(false) })
    }

    /// Whether sources should hold back. Cheap: a source asks before every poll.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Bytes of all files counted here: open, sealed, adopted.
    pub fn bytes(&self) -> u64 {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The marks: high, low.
    pub fn marks(&self) -> (u64, u64) {
        (self.high, self.low)
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.change(|held| held.saturating_add(bytes));
    }

    pub(crate) fn subtract(&self, bytes: u64) {
        self.change(|held| held.saturating_sub(bytes));
    }

    /// The flag changes under the lock, so that two changes cannot leave the older one's answer.
    fn change(&self, f: impl FnOnce(u64) -> u64) {
        let mut held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *held = f(*held);
        if *held >= self.high {
            self.paused.store(true, Ordering::Release);
        } else if *held <= self.low {
            self.paused.store(false, Ordering::Release);
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            high: Self::DEFAULT_HIGH_BYTES,
            low: Self::DEFAULT_LOW_BYTES,
            bytes: Mutex::new(0),
            paused: AtomicBool::new(false),
        }
    }
}
