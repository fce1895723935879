//! The explorer bites: with each rule of the protocol switched off it finds a violation.

use super::search::{Found, Replayed, replay};
use super::*;
use crate::rules::{Rule, Rules};

fn without(rule: Rule, name: &'static str, more: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config { rules: Rules::without(rule), cap: 3_000_000, ..Config::named(name) };
    more(&mut config);
    config
}

fn all() -> Vec<Config> {
    vec![
        without(Rule::Fence, "no fence", |c| c.check_clock = false),
        without(Rule::StartRows, "no start rows", |c| (c.starts, c.check_clock) = (3, false)),
        without(Rule::Claim, "stale read, no claim", |c| c.check_clock = false),
        without(Rule::RenameBeforeClaim, "claim before the rename", |c| c.check_clock = false),
        without(Rule::Listing, "status instead of a listing", |c| c.duplicates = 1),
        without(Rule::LogsOfHead, "oldest logs adopted", |c| (c.starts, c.remove_logs, c.replay) = (3, false, false)),
        without(Rule::GenerationOver, "sweep of a generation that is not over", |c| c.sweeps = 1),
        without(Rule::SweepAfterStart, "sweep before the start row", |c| (c.starts, c.sweeps) = (3, 1)),
        without(Rule::StagingBeforeTarget, "T before S", |_| {}),
        without(Rule::SupersededRefused, "superseded attempt accepted", |c| (c.retries, c.sweeps) = (1, 1)),
        without(Rule::StartByGeneration, "start row by position", |c| (c.starts, c.check_clock) = (3, false)),
        without(Rule::DurableIsFrontier, "acknowledged at the local seal", |c| c.replay = false),
        without(Rule::LogLock, "no lock on logs", |c| c.replay = false),
        without(Rule::LookBeforeStop, "no look before a stop", |c| (c.starts, c.replay) = (3, false)),
        without(Rule::LookAfterEmpty, "no look after an empty intent", |c| c.disks = 1),
        without(Rule::LookAfterEmpty, "the same, sources cannot replay", |c| (c.replay, c.check_clock) = (false, false)),
        without(Rule::OpeningIntent, "no opening intent: false stop", |c| c.replay = false),
        without(Rule::OpeningIntent, "no opening intent: loss", |c| (c.replay, c.hosts) = (false, 2)),
    ]
}

#[test]
fn search_all() {
    for config in all() {
        let found = explore(&config);
        println!("{found}");
    }
}

#[test]
fn search_start_rows() {
    for offsets in [[0, 1], [1, 1]] {
        let config = without(Rule::StartRows, "no start rows", |c| {
            (c.starts, c.check_clock, c.cap, c.offsets) = (3, false, 9_000_000, offsets)
        });
        println!("{}", explore(&config));
    }
}
