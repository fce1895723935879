//! What is explored.

use std::sync::Arc;

use crate::coordinator::{Limits, Setup};
use crate::ids::{Lineage, Nonce};
use crate::rules::{Rule, Rules};

/// Workers; each has one source partition.
pub(super) const WORKERS: usize = 2;
/// The most epochs of a configuration.
pub(super) const MOST_EPOCHS: usize = 3;

/// A small world and how much may go wrong in it.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) name: &'static str,
    /// How many starts there are.
    pub(super) starts: usize,
    pub(super) epochs: usize,
    /// Rows of each partition.
    pub(super) offsets: [u8; WORKERS],
    /// How many answers may be lost.
    pub(super) lost_answers: u8,
    /// How many ingestions may be delivered twice.
    pub(super) duplicates: u8,
    /// How often a chunk may be staged again without need.
    pub(super) retries: u8,
    pub(super) sweeps: u8,
    /// How many disks may be lost.
    pub(super) disks: u8,
    /// Sets of hosts; logs of one are not seen by a start on another.
    pub(super) hosts: u8,
    /// How often a person may drop claimed extents by hand.
    pub(super) by_hand: u8,
    pub(super) replay: bool,
    /// A move with missing ids moves the rest; otherwise it moves nothing.
    pub(super) partial_moves: bool,
    /// Rows may land more than once.
    pub(super) rows_twice: bool,
    /// Names are resolved in a step of their own.
    pub(super) late_names: bool,
    /// An adoption or a commit may take fewer epochs than it could.
    pub(super) chunks_per_commit: usize,
    /// No table of the lineage is there yet.
    pub(super) init: bool,
    /// The run is closed with an empty intent.
    pub(super) close: bool,
    /// Older logs are removed when a run opens.
    pub(super) remove_logs: bool,
    /// C must not go back. Off for rules whose absence is only interesting when it loses or repeats rows.
    pub(super) check_clock: bool,
    pub(super) rules: Rules,
    /// States after which the search gives up.
    pub(super) cap: usize,
}

impl Config {
    pub(super) fn named(name: &'static str) -> Config {
        Config {
            name,
            starts: 2,
            epochs: 2,
            offsets: [1, 1],
            lost_answers: 0,
            duplicates: 0,
            retries: 0,
            sweeps: 0,
            disks: 0,
            hosts: 1,
            by_hand: 0,
            replay: true,
            partial_moves: false,
            rows_twice: false,
            late_names: false,
            chunks_per_commit: 1000,
            init: false,
            close: false,
            remove_logs: true,
            check_clock: true,
            rules: Rules::ALL,
            cap: 60_000,
        }
    }

    pub(super) fn on(&self, rule: Rule) -> bool {
        self.rules.on(rule)
    }

    /// The highest number of attempts of one chunk by one start.
    pub(super) fn attempts(&self) -> usize {
        1 + usize::from(self.retries + self.duplicates)
    }

    pub(super) fn setup(&self, start: usize) -> Arc<Setup> {
        Arc::new(Setup {
            lineage: lineage(),
            nonce: Nonce(start as u64),
            workers: WORKERS as u32,
            sources_replay: self.replay,
            local_logs: false,
            sums_over: None,
            limits: Limits {
                chunks_per_commit: self.chunks_per_commit,
                attempts_per_chunk: 100,
                one_extent_per_chunk: false,
            },
        })
    }
}

pub(super) fn lineage() -> Lineage {
    Lineage::of("explored", "db", "T")
}
