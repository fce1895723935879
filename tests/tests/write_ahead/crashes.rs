//! The crash matrix: a process dies right before and right after each durable step of a start and of a commit, while the
//! cluster is at its nastiest, and the next start has other workers, or other processes.
//!
//! `KT_CRASHES=all` also runs all pairs of places, one after the other in the same pipeline; without it some pairs are drawn
//! from a seed. Seeds are printed, `KT_SEED` replays them: places, sizes and the cluster's moods, as far as the machine keeps step.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use timely_kusto::failpoints::{COMMITTING, STEPS, places};
use timely_kusto_tests::{Cluster, Config, Nasty, Outcome, Place, Process, command, free_hosts};

use crate::support::*;

/// Where a start must have died before another one comes to a place, if it comes there only to finish what was left.
fn comes_after(place: &str) -> Option<&'static str> {
    match place.trim_start_matches("before ").trim_start_matches("after ") {
        // What is staged and not claimed is adopted, its first copy swept, its directory removed.
        "stage" | "sweep" | "discard" => Some("before intent#2"),
        // What is moved and not known to be.
        "list-target" => Some("after move"),
        _ => None,
    }
}

/// Whether a run comes to a place again and again; else each start does so once.
fn recurs(place: &str) -> bool {
    STEPS.contains(&place) || COMMITTING.iter().any(|action| place.ends_with(action))
}

/// How a start is laid out.
#[derive(Clone, Copy, Debug)]
struct Size {
    workers: u32,
    processes: usize,
}

/// One pipeline after the other on a cluster; sizes are drawn.
struct Matrix {
    place: Place,
    cluster: Nasty,
    chance: StdRng,
}

impl Matrix {
    fn new() -> Self {
        let given = std::env::var("KT_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = given.unwrap_or_else(rand::random);
        println!("KT_SEED={seed}");
        Matrix { place: Place::new(), cluster: Nasty::start(seed), chance: StdRng::seed_from_u64(seed) }
    }

    fn pipeline(&self, name: &str) -> Config {
        let config = pipeline_to(self.cluster.url(), name, 4000);
        config
            .sink("retry_backoff = \"10ms\"")
            .sink("retry_max_backoff = \"200ms\"")
            .sink("poll_timeout = \"2s\"")
    }

    /// Two processes one time in three.
    fn size(&mut self) -> Size {
        let processes = if self.chance.random_range(0..3) == 0 { 2 } else { 1 };
        Size { workers: self.chance.random_range(1..=3), processes }
    }

    /// Starts all processes, which share a state directory; one of them dies where it is told to, if it comes there.
    fn start(
        &self,
        config: &Config,
        Size { workers, processes }: Size,
        dies: Option<(usize, &str)>,
    ) -> Vec<Process> {
        let file = self.place.write_config(config);
        let hosts = free_hosts(&self.place, processes);
        let start = |process: usize| {
            let mut command = command();
            command.args(["run", "--report", "json", "-w", &workers.to_string()]).arg(&file);
            if processes > 1 {
                let which = ["--processes", &processes.to_string(), "--process", &process.to_string()];
                command.args(which).arg("--hosts").arg(&hosts);
            }
            if let Some((_, at)) = dies.filter(|(victim, _)| *victim == process) {
                command.env("TIMELY_KUSTO_CRASH_AT", at);
            }
            self.place.start(&mut command)
        };
        (0..processes).map(start).collect()
    }

    /// Has a start die there; whether it came there.
    fn dies_at(&mut self, config: &Config, at: &str) -> bool {
        let size = self.size();
        // The coordinator's places are process 0's.
        let of_workers = STEPS.contains(&at.split('#').next().unwrap());
        let victim = if of_workers { self.chance.random_range(0..size.processes) } else { 0 };
        println!("  {at}: process {victim} of {size:?}");
        let mut all = self.start(config, size, Some((victim, at)));
        let outcomes: Vec<Outcome> = all.iter_mut().map(Process::wait).collect();
        let died = outcomes[victim].code.is_none();
        for (process, outcome) in outcomes.iter().enumerate() {
            let right = match (died, process == victim) {
                (true, true) => outcome.code.is_none(),
                // It may have ended before the other one died in what comes after the last commit.
                (true, false) => matches!(outcome.code, Some(0 | 1)),
                (false, _) => outcome.code == Some(0),
            };
            assert!(right, "{at}, process {process} of {size:?}: {outcome:?}");
        }
        died
    }

    /// Runs it to its end; then the table holds each row once.
    fn ends_well(&mut self, config: &Config) {
        let size = self.size();
        println!("  to the end: {size:?}");
        for process in &mut self.start(config, size, None) {
            process.wait().expect(0);
        }
        holds_in(&self.cluster.ask(&config.table));
    }
}

/// Starts that may pass a place by before a place counts as one that nobody comes to: what happens is chance.
const TRIES: usize = 8;

#[test]
fn a_crash_at_any_durable_step_loses_no_row_and_repeats_none() {
    let mut matrix = Matrix::new();
    // The first place is where `kt_epochs` is made, which only the first pipeline of a database does.
    for (number, at) in places().enumerate() {
        println!("{at}");
        let came_there = (0..TRIES).any(|again| {
            let config = matrix.pipeline(&format!("Once{number}_{again}"));
            if let Some(first) = comes_after(&at) {
                matrix.dies_at(&config, first);
            }
            let died = matrix.dies_at(&config, &at);
            matrix.ends_well(&config);
            died
        });
        assert!(came_there, "no start came to {at}");
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
    let mut matrix = Matrix::new();
    let all: Vec<String> = places().collect();
    let pairs: Vec<(String, String)> = if std::env::var("KT_CRASHES").is_ok_and(|which| which == "all") {
        all.iter().flat_map(|one| all.iter().map(|other| (one.clone(), other.clone()))).collect()
    } else {
        let mut draw = || all.choose(&mut matrix.chance).unwrap().clone();
        (0..12).map(|_| (draw(), draw())).collect()
    };
    let (mut first, mut second) = (0, 0);
    for (number, (one, other)) in pairs.into_iter().enumerate() {
        println!("{one}, then {other}");
        let config = matrix.pipeline(&format!("Twice{number}"));
        if let Some(before) = comes_after(&one) {
            matrix.dies_at(&config, before);
        }
        // The second time, where there is one: the first is often before the first row.
        let time = if recurs(&one) { 2 } else { 1 };
        first += u32::from(matrix.dies_at(&config, &format!("{one}#{time}")));
        second += u32::from(matrix.dies_at(&config, &other));
        matrix.ends_well(&config);
    }
    println!("{first} died at the first place, {second} at the second");
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
