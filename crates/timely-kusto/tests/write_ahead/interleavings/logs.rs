//! What a start finds: extents on their way, logs.

use super::*;
use std::time::Duration;
use tempfile::TempDir;
use timely_kusto::Deadlines;

/// Start 2 looks for what start 1 claims, while the move of start 1 takes effect between its two looks.
fn move_between_two_looks(rules: Rules) -> Ending {
    let play = Play::new(rules);
    play.hold(".move extents", HoldPoint::Commit);
    let first = play.spawn_elsewhere(30);
    play.until_held(1);
    play.fault(listing(Fault::Hold(HoldPoint::Resolved)).times(1));
    let second = play.spawn_elsewhere(30);
    play.until_held(2);
    play.release(".move extents");
    play.release(".show table kt_stage");
    let codes = [first.join().unwrap(), second.join().unwrap()];
    play.ends(&codes, 0..30)
}

#[test]
fn looking_into_t_before_s_misses_a_move_in_flight() {
    move_between_two_looks(Rules::ALL).is_exact(&[3, 0]);
    move_between_two_looks(Rules::without(Rule::StagingBeforeTarget)).stops_for_nothing(&[3, 4]);
}

/// Start 2 logs rows, which the source then forgets. Start 3 finds its logs, and those of start 1, which turn up again.
fn older_logs_turn_up(rules: Rules) -> Ending {
    let play = Play::new(rules);
    let (old, state) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    play.stop_uploads();
    seal_and_vanish(&play.on(old.path()), 2, 30);
    seal_and_vanish(&play.on(state.path()), 2, 30);
    copy(old.path(), state.path());
    play.place.handle().clear_faults();
    let last = play.on_with(state.path(), write(), |options| options.sources_replay(false));
    let third = codes(&send(&last, 2, 0, 1));
    play.ends(&[third], 0..30)
}

/// Copies files and directories that are not there yet.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => {
                std::fs::create_dir_all(&to).unwrap();
                copy(&from, &to);
            }
            false if to.exists() => {}
            false => drop(std::fs::copy(from, to).unwrap()),
        }
    }
}

#[test]
fn logs_that_lie_here_instead_of_those_of_the_head_lose_rows() {
    older_logs_turn_up(Rules::ALL).is_exact(&[0]);
    older_logs_turn_up(Rules::without(Rule::LogsOfHead)).loses(0..30);
}

/// Start 1 is paused with rows in its logs; start 2, on the same host, needs them. Then start 1 dies.
fn paused_with_logs(rules: Rules) -> Ending {
    let play = Play::new(rules);
    let (state, sealed, dies) = (TempDir::new().unwrap(), Gate::default(), Gate::default());
    play.stop_uploads();
    let (ahead, is_sealed, may_die) = (play.on(state.path()), sealed.clone(), dies.clone());
    let first = thread::spawn(move || {
        on_workers(1, move |worker| {
            let mut run = Run::open(worker, &ahead).unwrap();
            run.feed(30, 30);
            let last = run.epoch;
            run.step_until(worker, |run| !run.durable.less_than(&last));
            is_sealed.open();
            may_die.wait();
            vanish(worker);
        })
    });
    sealed.wait();
    play.place.handle().clear_faults();
    let second = play.on_with(state.path(), write(), |options| options.sources_replay(false));
    let waits = second.clone();
    let second = thread::spawn(move || codes(&send(&second, 1, 0, 1)));
    let is_waiting = || waits.waiting_for().is_some_and(|what| what.contains("which holds epoch files"));
    until("start 2 waits or has ended", || is_waiting() || second.is_finished());
    dies.open();
    first.join().unwrap();
    let second = second.join().unwrap();
    play.ends(&[second], 0..30)
}

#[test]
fn logs_that_a_paused_process_holds_are_not_missing() {
    paused_with_logs(Rules::ALL).is_exact(&[0]);
    paused_with_logs(Rules::without(Rule::LogLock)).stops_for_nothing(&[4]);
}

/// Start 2 is about to list logs when start 3 takes over, adopts them and removes them.
fn logs_are_gone_meanwhile(rules: Rules) -> Ending {
    let play = Play::new(rules);
    let state = TempDir::new().unwrap();
    play.stop_uploads();
    seal_and_vanish(&play.on(state.path()), 1, 30);
    play.place.handle().clear_faults();
    let next = || play.on_with(state.path(), write(), |options| options.sources_replay(false));
    play.hold(&format!(".show table {TABLE} schema"), HoldPoint::Resolved);
    let (second, third) = (next(), next());
    let second = thread::spawn(move || codes(&send(&second, 1, 0, 1)));
    play.until_held(1);
    let third = codes(&send(&third, 1, 0, 1));
    // Locks on them end with the process.
    play.release(".show table");
    play.ends(&[second.join().unwrap(), third], 0..30)
}

#[test]
fn a_stop_without_a_look_at_the_names_is_that_of_a_zombie() {
    logs_are_gone_meanwhile(Rules::ALL).is_exact(&[3, 0]);
    let without = logs_are_gone_meanwhile(Rules::without(Rule::LookBeforeStop));
    assert_eq!(without.codes, [4, 0], "{without:?}");
}

/// Start 1 stages a chunk after start 2 has taken over, and has no patience with tables that ingestion does not know.
fn stages_too_late(rules: Rules) -> Ending {
    let play = Play::new(rules);
    let (state, go_on) = (TempDir::new().unwrap(), Gate::default());
    let hasty = Deadlines { name_learned: Duration::ZERO, ..Deadlines::default() };
    let ahead = play.on_with(state.path(), write(), |options| options.deadlines(hasty));
    let first = opens_and_waits(ahead, &go_on);
    let second = play.runs_elsewhere(30);
    go_on.open();
    let first = first.join().unwrap();
    play.ends(&[first, second], 0..30)
}

/// A supervisor would start it again, and it would take over from start 2.
#[test]
fn a_zombie_that_cannot_stage_any_more_ends_as_fenced() {
    stages_too_late(Rules::ALL).is_exact(&[3, 0]);
    stages_too_late(Rules::without(Rule::LookBeforeStop)).stops_for_nothing(&[1, 0]);
}

/// Start 1 seals rows, which the source then forgets. Start 2 is on a host that does not have its logs; start 3 has them.
fn logs_on_another_host(rules: Rules) -> Ending {
    let play = Play::new(rules);
    let (state, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    play.stop_uploads();
    seal_and_vanish(&play.on(state.path()), 2, 30);
    play.place.handle().clear_faults();
    let on = |state: &TempDir| play.on_with(state.path(), write(), |options| options.sources_replay(false));
    let second = codes(&send(&on(&other), 1, 0, 1));
    let third = codes(&send(&on(&state), 1, 0, 1));
    play.ends(&[second, third], 0..30)
}

#[test]
fn without_an_opening_intent_a_start_does_not_know_that_it_misses_logs() {
    logs_on_another_host(Rules::ALL).is_exact(&[4, 0]);
    let without = logs_on_another_host(Rules::without(Rule::OpeningIntent));
    assert_eq!(without.codes[0], 0, "it does not know: {without:?}");
    without.loses(0..30);
}
