//! At most so many rows per second.

use std::time::{Duration, Instant};

/// A bucket that holds a tenth of a second's rows at most, so that a pause is not made up for by a burst.
#[derive(Debug)]
pub(super) struct Throttle {
    rows_per_second: f64,
    rows: f64,
    at: Instant,
}

impl Throttle {
    pub(super) fn new(rows_per_second: f64, now: Instant) -> Self {
        Throttle { rows_per_second, rows: 1.0, at: now }
    }

    /// Rows that may be read now, or how long to wait for more.
    pub(super) fn allowance(&mut self, now: Instant) -> Result<u64, Duration> {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.rows_per_second;
        self.at = now;
        self.rows = (self.rows + gained).min((self.rows_per_second / 10.0).max(1.0));
        if self.rows >= 1.0 {
            return Ok(self.rows as u64);
        }
        let seconds = (1.0 - self.rows) / self.rows_per_second;
        Err(Duration::from_secs_f64(seconds.clamp(0.001, 1.0)))
    }

    pub(super) fn take(&mut self, rows: u64) {
        self.rows -= rows as f64;
    }
}
