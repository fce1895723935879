//! What is measured.

use std::time::Duration;

use crate::{Error, Result};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows of each end-to-end run. Default: 2,000,000: nine blobs of storm events, some seconds a run. Peak memory is
    /// shown at this number and at a hundredth of it.
    pub rows: u64,
    /// Workers (threads) of the sink's process. Default: 1.
    pub workers: usize,
    /// Times added to each request, one run for each. Default: 20 ms and 200 ms.
    pub latencies: Vec<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            rows: 2_000_000,
            workers: 1,
            latencies: vec![Duration::from_millis(20), Duration::from_millis(200)],
        }
    }
}

impl Options {
    /// The most rows that the stages are measured on: two blobs of storm events, which takes seconds; they are steady.
    pub(crate) const STAGE_ROWS: u64 = 450_000;

    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Option`] with name, value and range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |option, value: String, allowed| Err(Error::Option { option, value, allowed });
        if self.rows < 100 {
            return wrong("rows", self.rows.to_string(), "at least 100");
        }
        if !(1..=1024).contains(&self.workers) {
            return wrong("workers", self.workers.to_string(), "1 to 1024");
        }
        let longest = Duration::from_secs(10);
        if let Some(long) = self.latencies.iter().find(|latency| **latency > longest) {
            return wrong("latencies", format!("{long:?}"), "at most 10 s each");
        }
        Ok(())
    }
}
