//! The crash matrix: the process dies right before and right after each durable step of a start and of a commit.
//!
//! `KT_CRASHES=all` also runs all pairs of places, one after the other in the same pipeline; without it some pairs are drawn
//! from a seed, which is printed (`KT_SEED` replays them).

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use timely_kusto_tests::{Cluster, Place};

use crate::support::*;

/// Actions of a start in their order, and of a run; each has a place before and one after it.
const ACTIONS: [&str; 13] = [
    "names",
    "create",
    "rename",
    "claim",
    "read",
    "start-row",
    "logs",
    "prepare",
    "intent",
    "open",
    "list-staging",
    "move",
    "committed",
];
const STEPS: [&str; 8] = [
    "before append",
    "after append",
    "before seal",
    "after seal",
    "after upload",
    "after queue",
    "after staged",
    "after unlink",
];

fn places() -> Vec<String> {
    let around = ACTIONS.iter().flat_map(|action| [format!("before {action}"), format!("after {action}")]);
    around.chain(STEPS.map(str::to_owned)).collect()
}

/// Runs a pipeline that dies at each of these places in turn, with other worker counts each time, and then to its end.
fn dies_at(place: &Place, cluster: &Cluster, name: &str, places: &[String]) {
    let config = pipeline(cluster, name);
    for (at, workers) in places.iter().zip(["1", "3", "2"].iter().cycle()) {
        let outcome = start_to_die(place, &config, at, workers).wait();
        // A pipeline whose source has ended before may not come to the place again.
        assert!(matches!(outcome.code, None | Some(0)), "{at}: {outcome:?}");
    }
    place.run(&config, &["-w", "2"]).expect(0);
    holds_each_row_once(cluster, &config);
}

#[test]
fn a_crash_at_any_durable_step_loses_no_row_and_repeats_none() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    for (number, at) in places().into_iter().enumerate() {
        dies_at(&place, &cluster, &format!("Once{number}"), &[at]);
    }
}

#[test]
fn a_crash_on_a_chunks_way_by_commands_loses_no_row_and_repeats_none() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let places = ["after upload#2", "after queue#2", "after staged#2", "before move#2", "after queue"];
    let config = pipeline(&cluster, "Direct").sink("staging = \"direct\"");
    for (at, workers) in places.iter().zip(["1", "3", "2"].iter().cycle()) {
        let outcome = start_to_die(&place, &config, at, workers).wait();
        assert!(matches!(outcome.code, None | Some(0)), "{at}: {outcome:?}");
    }
    place.run(&config, &["-w", "2"]).expect(0);
    holds_each_row_once(&cluster, &config);
}

#[test]
fn a_second_crash_while_the_first_is_being_recovered_from_loses_no_row_and_repeats_none() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let all = places();
    let pairs: Vec<(String, String)> = if std::env::var("KT_CRASHES").is_ok_and(|which| which == "all") {
        all.iter().flat_map(|one| all.iter().map(|other| (one.clone(), other.clone()))).collect()
    } else {
        let given = std::env::var("KT_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = given.unwrap_or_else(rand::random);
        println!("KT_SEED={seed}");
        let mut chance = StdRng::seed_from_u64(seed);
        let mut draw = || all.choose(&mut chance).unwrap().clone();
        (0..12).map(|_| (draw(), draw())).collect()
    };
    for (number, (one, other)) in pairs.into_iter().enumerate() {
        println!("{one}, then {other}");
        dies_at(&place, &cluster, &format!("Twice{number}"), &[format!("{one}#2"), other]);
    }
}

#[test]
fn kills_at_any_moment_with_rescaling_in_between_lose_no_row_and_repeat_none() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline_at(&cluster, "Killed", 300);
    for workers in ["1", "4", "2"] {
        let before = cluster.count("Killed");
        let mut process = place.start_run(&config, &["-w", workers]);
        wait_for_rows(&mut process, &cluster, &config, before);
        process.kill();
    }
    place.run(&config, &["-w", "3"]).expect(0);
    holds_each_row_once(&cluster, &config);
}
