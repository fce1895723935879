//! The command `timely-kusto chaos` in processes of its own: a short walk, and walks that have to fail.
//!
//! `KT_SEED` replays a walk.
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use timely_kusto_tests::{Config, Outcome, Pid, Place, Process, Signal, command, until};

/// A pipeline whose cluster and state a walk must not touch.
fn config() -> Config {
    let config = Config::new("http://127.0.0.1:1").storms(20_000).table("Walked").state("their-state");
    config.source("partitions = 3").sink("mode = \"write-ahead\"")
}

fn temporary(place: &Place) -> PathBuf {
    let directory = place.path().join("temporary");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

fn start(place: &Place, arguments: &[&str]) -> Process {
    start_with(place, &config(), arguments)
}

fn start_with(place: &Place, config: &Config, arguments: &[&str]) -> Process {
    let (file, temporary) = (place.write_config(config), temporary(place));
    place.start(command().arg("chaos").arg(file).args(arguments).env("TMPDIR", temporary))
}

/// That neither the walk's directories nor the user's state are there.
fn left_nothing(place: &Place) {
    let left: Vec<_> = std::fs::read_dir(temporary(place)).unwrap().map(|it| it.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!place.path().join("their-state").exists());
}

fn seed() -> String {
    let given = std::env::var("KT_SEED").ok();
    let seed = given.unwrap_or_else(|| rand::random::<u64>().to_string());
    println!("KT_SEED={seed}");
    seed
}

#[test]
fn a_short_walk_loses_no_row_repeats_none_and_leaves_nothing_behind() {
    let place = Place::new();
    let seed = seed();
    // With hashes, so that the audit at the end of a round compares what rows contain, too.
    let hashing = config().sink("hash_columns = [\"*\"]");
    let outcome =
        start_with(&place, &hashing, &["--seed", &seed, "--crashes", "12", "--json"]).wait().expect(0);
    assert!(outcome.stderr.starts_with(&format!("seed {seed}\n")), "{}", outcome.stderr);
    assert!(outcome.number("crashes") >= 12 && outcome.number("starts") > 12, "{outcome:?}");
    assert_eq!(outcome.number("rows"), 20_000 * outcome.number("rounds"), "{outcome:?}");
    assert_eq!((outcome.number("lost"), outcome.number("repeated")), (0, 0));
    left_nothing(&place);
}

/// `timely-kusto` as a script that runs the real one, and then this.
fn program(place: &Place, then: &str) -> String {
    let real = command().get_program().to_str().unwrap().to_owned();
    let script = place.write("program", format!("#!/bin/sh\nreal={real}\n{then}\n"));
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    script.to_str().unwrap().to_owned()
}

fn walk_with(place: &Place, then: &str) -> Outcome {
    let program = program(place, then);
    start(place, &["--seed", "1", "--crashes", "1", "--program", &program]).wait()
}

#[test]
fn a_row_that_somebody_repeats_is_found_and_everything_is_kept() {
    let place = Place::new();
    // Only after the last start of a round: the others are to be killed as they are.
    let then = "case \"$2\" in */last-0.toml) ;; *) exec \"$real\" \"$@\" ;; esac\n\
                \"$real\" \"$@\" || exit $?\n\
                \"$real\" query --config \"$2\" '.append Walked <| Walked | take 1' > /dev/null";
    let outcome = walk_with(&place, then);
    outcome.refused(
        4,
        &["0 rows are lost, 1 repeated, 0 are not of the source", "replay with --seed 1", "kept: "],
    );
    let kept = std::fs::read_dir(temporary(&place)).unwrap().next().unwrap().unwrap().path();
    assert!(kept.join("round-1/cluster").exists(), "{}", kept.display());
}

#[test]
fn a_process_that_calls_for_a_person_fails_the_walk() {
    let place = Place::new();
    walk_with(&place, "echo 'error: it is all too much' >&2\nexit 4")
        .refused(4, &["exit code 4, which nothing that was done to it allows", "it is all too much"]);
}

#[test]
fn what_cannot_be_walked_is_refused_before_anything_starts() {
    let place = Place::new();
    let other = Config::new("http://127.0.0.1:1").storms(10);
    let other = place.write_config(&other);
    place.start(command().arg("chaos").arg(other)).wait().refused(2, &["mode = \"write-ahead\""]);
    start(&place, &["--minutes", "0"]).wait().expect(2);
    start(&place, &["--setup", ".create nothing"]).wait().refused(2, &["--setup"]);
    left_nothing(&place);
}

#[test]
fn ctrl_c_ends_a_walk_and_leaves_nothing_behind() {
    let place = Place::new();
    let mut walk = start(&place, &["--seed", "1", "--minutes", "60"]);
    until("the first step", || {
        assert!(walk.runs(), "it ended: {}", walk.stderr());
        walk.stderr().lines().any(|line| line.contains(" rows  ")).then_some(())
    });
    walk.signal(Signal::INT);
    walk.wait().expect(130);
    left_nothing(&place);
}

#[test]
fn processes_of_a_walk_that_is_killed_end_with_it_also_if_they_are_stopped() {
    let place = Place::new();
    let walk = start(&place, &["--seed", "1", "--minutes", "60"]);
    let runs = |child: &Pid| {
        let words = std::fs::read_to_string(format!("/proc/{}/cmdline", child.as_raw_nonzero()));
        words.is_ok_and(|words| words.split('\0').nth(1) == Some("run"))
    };
    let started = || walk.children().into_iter().filter(runs).collect::<Vec<_>>();
    let children = until("processes", || Some(started()).filter(|children| !children.is_empty()));
    // One that is stopped hears of no broken connection. It may have ended meanwhile.
    let _ = rustix::process::kill_process(children[0], Signal::STOP);
    let all: Vec<_> = children.into_iter().chain(started()).collect();
    walk.kill();
    until("their end", || {
        let ended = |child: &Pid| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.as_raw_nonzero()));
            status.map_or(true, |status| status.contains("State:\tZ"))
        };
        all.iter().all(ended).then_some(())
    });
    unmount(&place);
}

/// What nobody is left to unmount.
fn unmount(place: &Place) {
    for round in std::fs::read_dir(temporary(place)).unwrap().map(|it| it.unwrap().path()) {
        for disk in std::fs::read_dir(round.join("round-1/disks")).unwrap().map(|it| it.unwrap().path()) {
            let _ = std::process::Command::new("umount").arg(disk).output(); // where it could be mounted
        }
    }
}
