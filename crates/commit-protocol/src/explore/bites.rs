//! The explorer bites: with each rule of the protocol switched off it finds a violation; with the rule on, the same trace
//! cannot happen, or does no harm. Three rules need up to millions of states: their traces are written down and replayed.

use super::search::{Replayed, replay};
use super::*;
use crate::rules::{Rule, Rules};

/// Runs a configuration without a rule until something goes wrong, and replays that with the rule on.
fn bites(rule: Rule, config: Config) {
    let config = Config { rules: Rules::without(rule), cap: 8_000_000, ..config };
    let found = explore(&config);
    println!("{found}");
    let violation =
        found.violation.as_ref().unwrap_or_else(|| panic!("nothing goes wrong without {rule:?}: {found}"));
    let words: Vec<String> = violation.trace.iter().map(Step::to_string).collect();
    harmless_with_the_rule(&config, &words.join("\n"));
}

/// The same for a rule whose violation takes hundreds of thousands of states to find: by default its trace is replayed;
/// with `KT_EXPLORE` set it is searched for as well.
fn bites_as_written(rule: Rule, config: Config, written: &str) {
    violates_as_written(rule, &config, written);
    if std::env::var_os("KT_EXPLORE").is_some() {
        bites(rule, config);
    }
}

fn violates_as_written(rule: Rule, config: &Config, written: &str) {
    let without = Config { rules: Rules::without(rule), ..config.clone() };
    let replayed = replay(&without, written);
    assert!(matches!(replayed, Replayed::Violates(_)), "{replayed:?}");
    println!("{:<44} replayed: {replayed:?}", config.name);
    harmless_with_the_rule(config, written);
}

fn harmless_with_the_rule(config: &Config, words: &str) {
    let with = Config { rules: Rules::ALL, ..config.clone() };
    let replayed = replay(&with, words);
    assert!(!matches!(replayed, Replayed::Violates(_)), "the rule does not help: {replayed:?}");
}

/// For rules whose absence is only interesting when it loses or repeats rows.
fn rows_only(name: &'static str) -> Config {
    Config { check_clock: false, ..Config::named(name) }
}

#[test]
fn without_the_fence_rows_are_repeated() {
    bites(Rule::Fence, rows_only("no fence"));
}

#[test]
fn without_start_rows_a_late_intent_takes_over_the_chain() {
    let written = include_str!("traces/no_start_rows.txt");
    bites_as_written(Rule::StartRows, Config { starts: 3, ..rows_only("no start rows") }, written);
}

#[test]
fn without_a_claim_a_stale_read_misses_the_head() {
    bites(Rule::Claim, rows_only("a stale read, no claim"));
}

#[test]
fn a_claim_before_the_rename_does_not_help_against_stale_reads() {
    bites(Rule::RenameBeforeClaim, rows_only("claim before the rename"));
}

#[test]
fn a_status_instead_of_a_listing_repeats_rows() {
    bites(Rule::Listing, Config { duplicates: 1, ..Config::named("status instead of a listing") });
}

#[test]
fn logs_that_lie_here_instead_of_those_of_the_head_lose_rows() {
    let more = Config { starts: 3, remove_logs: false, replay: false, ..Config::named("older logs adopted") };
    bites_as_written(Rule::LogsOfHead, more, include_str!("traces/older_logs_adopted.txt"));
}

#[test]
fn a_sweep_of_a_generation_that_is_not_over_drops_what_is_claimed() {
    bites(Rule::GenerationOver, Config { sweeps: 1, ..Config::named("sweep of a living generation") });
}

#[test]
fn a_sweep_before_the_own_start_row_drops_what_another_head_claims() {
    let config = Config { starts: 3, sweeps: 1, ..Config::named("sweep before the start row") };
    violates_as_written(
        Rule::SweepAfterStart,
        &config,
        include_str!("traces/sweep_before_the_start_row.txt"),
    );
    bites(Rule::SweepAfterStart, config);
}

#[test]
fn looking_into_t_before_s_misses_a_move_in_flight() {
    bites(Rule::StagingBeforeTarget, Config::named("T before S"));
}

#[test]
fn a_superseded_attempt_that_is_accepted_may_be_swept() {
    bites(
        Rule::SupersededRefused,
        Config { retries: 1, sweeps: 1, ..Config::named("superseded attempt accepted") },
    );
}

#[test]
fn the_last_start_row_in_the_table_may_be_an_old_one() {
    let config = Config { starts: 3, ..rows_only("start row by position") };
    bites_as_written(Rule::StartByGeneration, config, include_str!("traces/start_row_by_position.txt"));
}

#[test]
fn acknowledging_at_the_local_seal_loses_rows() {
    bites(
        Rule::DurableIsFrontier,
        Config { replay: false, ..Config::named("acknowledged at the local seal") },
    );
}

#[test]
fn reading_a_log_that_somebody_holds_loses_rows() {
    bites(Rule::LogLock, Config { replay: false, ..Config::named("no lock on logs") });
}

#[test]
fn a_stop_without_a_look_at_the_names_is_that_of_a_zombie() {
    bites(
        Rule::LookBeforeStop,
        Config { starts: 3, replay: false, ..Config::named("no look before a stop") },
    );
}

#[test]
fn an_empty_intent_that_counts_at_once_may_be_void() {
    bites(Rule::LookAfterEmpty, Config { disks: 1, ..Config::named("no look after an empty intent") });
}

#[test]
fn an_empty_intent_that_counts_at_once_loses_rows_that_cannot_be_replayed() {
    bites(Rule::LookAfterEmpty, Config { replay: false, ..rows_only("the same, sources cannot replay") });
}

#[test]
fn without_an_opening_intent_a_start_does_not_know_that_it_misses_logs() {
    bites(
        Rule::OpeningIntent,
        Config { replay: false, hosts: 2, ..Config::named("no opening intent, two hosts") },
    );
}

#[test]
fn without_an_opening_intent_a_zombie_acknowledges_what_its_successor_does_not_see() {
    bites(Rule::OpeningIntent, Config { replay: false, ..Config::named("no opening intent") });
}
