//! A source whose records are in memory: for tests, and for small tables that a program brings along.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::source::{Batch, Budget, PartitionReader, Polled, Position, Reader, Source, no_such_partition};

const FORM: u8 = 1;

/// Named partitions with their records. Position: the index of the next record.
#[derive(Clone, Debug)]
pub struct MemorySource<R> {
    name: String,
    partitions: Arc<Vec<(String, Vec<R>)>>,
}

/// A record that can live in memory and move between workers.
pub trait MemoryRecord: timely::ExchangeData + Clone + std::fmt::Debug + Sync {}
impl<R: timely::ExchangeData + Clone + std::fmt::Debug + Sync> MemoryRecord for R {}

impl<R: MemoryRecord> MemorySource<R> {
    /// A source of the given partitions. `name` is its identity: kept positions belong to it.
    pub fn new(name: impl Into<String>, partitions: Vec<(String, Vec<R>)>) -> Self {
        MemorySource { name: name.into(), partitions: Arc::new(partitions) }
    }
}

impl<R: MemoryRecord> Batch for Vec<R> {
    fn weight(&self) -> usize {
        self.len() * size_of::<R>()
    }

    fn rows(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

impl<R: MemoryRecord> Source for MemorySource<R> {
    type Batch = Vec<R>;

    fn identity(&self) -> String {
        format!("memory {}", self.name)
    }

    fn partitions(&self) -> Result<Vec<String>> {
        Ok(self.partitions.iter().map(|(name, _)| name.clone()).collect())
    }

    fn open(&self, partition: &str, position: Option<&Position>) -> Result<Reader<Vec<R>>> {
        let index = self.partitions.iter().position(|(name, _)| name == partition);
        let index = index.ok_or_else(|| no_such_partition(&self.name, partition))?;
        let next = position.map_or(Ok(0), |position| read_index(position, self.partitions[index].1.len()))?;
        Ok(Box::new(MemoryReader { partitions: Arc::clone(&self.partitions), index, next }))
    }

    fn can_replay(&self) -> bool {
        true
    }
}

fn read_index(position: &Position, len: usize) -> Result<usize> {
    let index = position.content(FORM)?.try_into().ok().map(u64::from_le_bytes).unwrap_or(u64::MAX);
    usize::try_from(index).ok().filter(|index| *index <= len).ok_or_else(|| {
        Error::new(ErrorKind::Source, format!("a kept position points at record {index} of {len} in memory"))
    })
}

#[derive(Debug)]
struct MemoryReader<R> {
    partitions: Arc<Vec<(String, Vec<R>)>>,
    index: usize,
    next: usize,
}

impl<R: MemoryRecord> PartitionReader for MemoryReader<R> {
    type Batch = Vec<R>;

    fn poll(&mut self, budget: Budget) -> Result<Polled<Vec<R>>> {
        let rest = &self.partitions[self.index].1[self.next..];
        if rest.is_empty() {
            return Ok(Polled::End);
        }
        let by_bytes = (budget.bytes / size_of::<R>().max(1)).max(1);
        let take = rest.len().min(by_bytes).min(usize::try_from(budget.rows).unwrap_or(usize::MAX).max(1));
        self.next += take;
        Ok(Polled::Batch(rest[..take].to_vec()))
    }

    fn position(&self) -> Position {
        Position::new(FORM, &(self.next as u64).to_le_bytes())
    }

    fn acknowledge(&mut self, position: &Position) -> Result<()> {
        read_index(position, self.partitions[self.index].1.len()).map(drop)
    }
}
