//! What a walk has done and found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use indicatif::HumanCount;
use serde::Serialize;

use super::oracle::Compared;

/// Counts of a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    pub(super) seed: u64,
    /// Starts of the pipeline, those of rivals and the last of each round included.
    pub(super) starts: u64,
    /// Times that one, several or all processes were killed, or died at a failpoint.
    pub(super) crashes: u64,
    /// Processes that were killed or died.
    pub(super) processes_lost: u64,
    /// Of the crashes, those at a failpoint, by place.
    pub(super) failpoints: BTreeMap<String, u64>,
    /// Processes that were paused.
    pub(super) stalls: u64,
    /// Processes that ended as fenced.
    pub(super) fences: u64,
    /// Starts that ended at once on request.
    pub(super) stops: u64,
    /// Starts with another number of processes or workers than the one before.
    pub(super) rescalings: u64,
    /// Starts that gave up by themselves, as they may in such weather.
    pub(super) gave_up: u64,
    pub(super) lost_disks: u64,
    pub(super) full_disks: u64,
    /// Requests that were spoilt, by how.
    pub(super) faults: BTreeMap<&'static str, u64>,
    /// Rounds whose table was compared with the source.
    pub(super) rounds: u64,
    /// Rows of the source in these rounds.
    pub(super) rows: u64,
    pub(super) lost: u64,
    pub(super) repeated: u64,
    /// Rows in the table that the source does not have.
    pub(super) strange: u64,
    pub(super) seconds: u64,
}

impl Tally {
    pub(super) fn compared(&mut self, compared: &Compared) {
        self.rounds += 1;
        self.rows += compared.rows;
        self.lost += compared.lost;
        self.repeated += compared.repeated;
        self.strange += compared.strange;
    }

    pub(super) fn fault(&mut self, name: &'static str, times: u64) {
        if times > 0 {
            *self.faults.entry(name).or_default() += times;
        }
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.seconds = time.as_secs();
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: u64| HumanCount(number);
        let Tally { seed, starts, crashes, processes_lost, stalls, fences, stops, rescalings, .. } = self;
        writeln!(
            f,
            "seed {seed}: {} crashes in {} min {} s",
            count(*crashes),
            self.seconds / 60,
            self.seconds % 60
        )?;
        writeln!(f, "rows      {} compared in {} rounds", count(self.rows), self.rounds)?;
        writeln!(f, "lost      {}", count(self.lost))?;
        writeln!(f, "repeated  {}", count(self.repeated))?;
        if self.strange > 0 {
            writeln!(f, "strange   {} rows that the source does not have", count(self.strange))?;
        }
        let places = self.failpoints.len();
        let at_places: u64 = self.failpoints.values().sum();
        writeln!(
            f,
            "crashes   {} processes lost, {} crashes at {places} failpoints, {starts} starts, {} gave up",
            count(*processes_lost),
            count(at_places),
            self.gave_up
        )?;
        writeln!(
            f,
            "also      {rescalings} rescalings, {stalls} stalls, {fences} processes fenced, {stops} stops, {} disks lost, \
             {} times full",
            self.lost_disks, self.full_disks
        )?;
        let faults: u64 = self.faults.values().sum();
        let kinds: Vec<_> = self.faults.iter().map(|(name, times)| format!("{name} {times}")).collect();
        write!(f, "faults    {} requests: {}", count(faults), kinds.join(", "))
    }
}
