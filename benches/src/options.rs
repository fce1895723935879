//! What is measured.

use std::time::Duration;

use timely_kusto::WriteOptions;

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
    /// Names and values of write options that are not to have their default, in the words of
    /// [`WriteOptionsBuilder::set`](timely_kusto::WriteOptionsBuilder::set).
    pub settings: Vec<(String, String)>,
}

/// The database of all runs.
pub(crate) const DATABASE: &str = "Bench";

/// The options of a sink for `table`.
pub(crate) fn write_options(table: &str, settings: &[(String, String)]) -> Result<WriteOptions> {
    let mut builder = WriteOptions::builder().database(DATABASE).table(table);
    for (name, value) in settings {
        if ["database", "table", "format"].contains(&name.as_str()) {
            let allowed = "left alone: it belongs to the measurement";
            return Err(Error::Option { option: "set", value: name.clone(), allowed });
        }
        builder.set(name, value)?;
    }
    Ok(builder.build()?)
}

impl Default for Options {
    fn default() -> Self {
        Options {
            rows: 2_000_000,
            workers: 1,
            latencies: vec![Duration::from_millis(20), Duration::from_millis(200)],
            settings: Vec::new(),
        }
    }
}

impl Options {
    /// The most rows that the stages are measured on: two blobs of storm events, which takes seconds; they are steady.
    pub(crate) const STAGE_ROWS: u64 = 450_000;

    /// Takes a setting apart: `memory=96MiB`.
    ///
    /// # Errors
    /// When there is no `=`.
    pub fn parse_setting(text: &str) -> Result<(String, String), String> {
        let (name, value) = text.split_once('=').ok_or("a setting is NAME=VALUE, as memory=96MiB")?;
        Ok((name.to_owned(), value.to_owned()))
    }

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
        write_options("T", &self.settings)?;
        let longest = Duration::from_secs(10);
        if let Some(long) = self.latencies.iter().find(|latency| **latency > longest) {
            return wrong("latencies", format!("{long:?}"), "at most 10 s each");
        }
        Ok(())
    }
}
