//! Storm events made up from a seed, as a source with positions: to try a pipeline out, and to measure one.
//!
//! - Row `i` depends on the seed and `i` only, so the rows are the same on any number of workers.
//! - The rows are dealt to a fixed number of partitions, which does not depend on workers either: partition `p` of `n`
//!   has the rows `p`, `p + n`, `p + 2n`, and so on.
//! - **Position**: how many rows of the partition were handed out.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::source::{Budget, PartitionReader, Polled, Position, Reader, Source, no_such_partition};

mod storm;

pub use storm::{COLUMNS, Storm, storm};

const FORM: u8 = 1;

/// Which rows to make up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GeneratorOptions {
    /// How many rows; without end when absent.
    pub rows: Option<u64>,
    /// Another seed gives other rows. Default: 1.
    pub seed: u64,
    /// How many partitions. Default: 16, so that up to as many workers share the work evenly.
    pub partitions: u32,
}

impl Default for GeneratorOptions {
    fn default() -> Self {
        GeneratorOptions { rows: None, seed: 1, partitions: 16 }
    }
}

impl GeneratorOptions {
    /// The most partitions: each is kept in the state file.
    pub const MAX_PARTITIONS: u32 = 4096;

    /// Checks the options.
    ///
    /// # Errors
    /// [`ErrorKind::Options`] naming the option, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        match self.partitions {
            1..=Self::MAX_PARTITIONS => Ok(()),
            other => Err(Error::new(
                ErrorKind::Options,
                format!("partitions is {other}: it must be 1 to {}", Self::MAX_PARTITIONS),
            )),
        }
    }
}

/// The source; see the [module documentation](self).
#[derive(Clone, Debug)]
pub struct StormSource {
    options: GeneratorOptions,
}

impl StormSource {
    /// A source of these rows.
    ///
    /// # Errors
    /// Those of [`GeneratorOptions::validate`].
    pub fn new(options: GeneratorOptions) -> Result<Self> {
        options.validate()?;
        Ok(StormSource { options })
    }
}

impl Source for StormSource {
    type Batch = Vec<Storm>;

    /// The number of rows is left out: a pipeline may be asked for more of them later.
    fn identity(&self) -> String {
        format!("generator with seed {} and {} partitions", self.options.seed, self.options.partitions)
    }

    fn partitions(&self) -> Result<Vec<String>> {
        Ok((0..self.options.partitions).map(|partition| format!("storms-{partition}")).collect())
    }

    fn open(&self, partition: &str, position: Option<&Position>) -> Result<Reader<Vec<Storm>>> {
        let GeneratorOptions { rows, seed, partitions } = self.options;
        let number = partition.strip_prefix("storms-").and_then(|number| number.parse::<u32>().ok());
        let number = number.filter(|number| *number < partitions && format!("storms-{number}") == partition);
        let number = u64::from(number.ok_or_else(|| no_such_partition(self, partition))?);
        let step = u64::from(partitions);
        let end = rows.map_or(u64::MAX / step, |rows| rows.saturating_sub(number).div_ceil(step));
        let next = position.map_or(Ok(0), handed_out)?;
        Ok(Box::new(StormReader { seed, first: number, step, next, end }))
    }

    fn can_replay(&self) -> bool {
        true
    }
}

fn handed_out(position: &Position) -> Result<u64> {
    let content = position.content(FORM)?;
    let bytes = content.try_into().map_err(|_| {
        Error::new(
            ErrorKind::Source,
            format!("a kept position of the generator has {} bytes, not 8", content.len()),
        )
    })?;
    Ok(u64::from_le_bytes(bytes))
}

#[derive(Debug)]
struct StormReader {
    seed: u64,
    first: u64,
    step: u64,
    next: u64,
    end: u64,
}

impl PartitionReader for StormReader {
    type Batch = Vec<Storm>;

    fn poll(&mut self, budget: Budget) -> Result<Polled<Vec<Storm>>> {
        if self.next >= self.end {
            return Ok(Polled::End);
        }
        let by_bytes = (budget.bytes / size_of::<Storm>()).max(1) as u64;
        let take = by_bytes.min(budget.rows.max(1)).min(self.end - self.next);
        let indices = self.next..self.next + take;
        self.next += take;
        Ok(Polled::Batch(indices.map(|index| storm(self.seed, self.first + index * self.step)).collect()))
    }

    fn position(&self) -> Position {
        Position::new(FORM, &self.next.to_le_bytes())
    }

    fn acknowledge(&mut self, position: &Position) -> Result<()> {
        handed_out(position).map(drop)
    }
}
