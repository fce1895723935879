//! A source that misbehaves in the ways that sources do, and still keeps its promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::source::{Budget, PartitionReader, Polled, Position, Reader, Source};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every so many polls there is nothing yet.
    Pending {
        /// Counted over all polls; 1 would never hand out anything.
        every: u64,
    },
    /// Batches are smaller than the budget allows: at most so many rows.
    Small {
        /// At least 1.
        rows: u64,
    },
    /// The poll of this number, counted from 0 over all readers, fails; later ones work.
    FailAt {
        /// The number.
        poll: u64,
    },
}

/// Wraps a source and injects one kind of fault.
#[derive(Clone, Debug)]
pub struct FaultySource<S> {
    inner: S,
    fault: Fault,
    polls: Arc<AtomicU64>,
}

impl<S: Source> FaultySource<S> {
    /// Injects `fault` into `inner`.
    pub fn new(inner: S, fault: Fault) -> Self {
        FaultySource { inner, fault, polls: Arc::default() }
    }

    /// How often readers were polled so far.
    pub fn polls(&self) -> u64 {
        self.polls.load(Relaxed)
    }
}

impl<S: Source> Source for FaultySource<S> {
    type Batch = S::Batch;

    fn identity(&self) -> String {
        self.inner.identity()
    }

    fn partitions(&self) -> Result<Vec<String>> {
        self.inner.partitions()
    }

    fn open(&self, partition: &str, position: Option<&Position>) -> Result<Reader<S::Batch>> {
        let inner = self.inner.open(partition, position)?;
        Ok(Box::new(FaultyReader { inner, fault: self.fault, polls: Arc::clone(&self.polls), ended: false }))
    }

    fn can_replay(&self) -> bool {
        self.inner.can_replay()
    }

    fn spreads(&self) -> bool {
        self.inner.spreads()
    }
}

#[derive(Debug)]
struct FaultyReader<B> {
    inner: Reader<B>,
    fault: Fault,
    polls: Arc<AtomicU64>,
    ended: bool,
}

impl<B: std::fmt::Debug> PartitionReader for FaultyReader<B> {
    type Batch = B;

    fn poll(&mut self, budget: Budget) -> Result<Polled<B>> {
        if self.ended {
            return Ok(Polled::End);
        }
        let poll = self.polls.fetch_add(1, Relaxed);
        let polled = match self.fault {
            Fault::Pending { every } if poll.is_multiple_of(every) => {
                Ok(Polled::Pending(Duration::from_micros(100)))
            }
            Fault::Small { rows } => self.inner.poll(Budget { rows: budget.rows.min(rows), ..budget }),
            Fault::FailAt { poll: fails } if poll == fails => {
                Err(Error::new(ErrorKind::Source, format!("injected: poll {poll} fails")))
            }
            _ => self.inner.poll(budget),
        };
        self.ended = matches!(polled, Ok(Polled::End));
        polled
    }

    fn position(&self) -> Position {
        self.inner.position()
    }

    fn acknowledge(&mut self, position: &Position) -> Result<()> {
        self.inner.acknowledge(position)
    }
}
