//! Who counts: the fence, claims, start rows, intents.

use super::*;
use kusto_emulator::Assumptions;

/// A move of start 1 is held. Start 2 takes over, finishes it, and writes the rest. Then start 1 goes on, and has the rest,
/// too. Without the fence its old name is as good as the new one.
fn zombie_goes_on(rules: Rules) -> Ending {
    let play = Play::new(rules);
    let mut world: Assumptions = play.place.handle().assumptions();
    if play.without(Rule::Fence) {
        world.old_names_last = std::time::Duration::from_secs(3600);
    }
    play.place.handle().assume(world);
    let ((ahead, _state), taken) = (play.elsewhere(), Gate::default());
    let (over, handle) = (taken.clone(), play.place.handle());
    play.hold(".move extents", HoldPoint::Resolved);
    let first = thread::spawn(move || {
        on_workers(1, move |worker| {
            let mut run = Run::open(worker, &ahead)?;
            run.feed(30, 30);
            run.step_until(worker, |_| over.is_open());
            handle.release_all();
            run.feed(60, 60);
            run.finish(worker)
        })
    });
    play.until_held(1);
    let second = play.runs_elsewhere(60);
    taken.open();
    let first = codes(&first.join().unwrap());
    play.ends(&[first, second], 0..60)
}

#[test]
fn without_the_fence_a_zombie_goes_on_under_its_old_name() {
    zombie_goes_on(Rules::ALL).is_exact(&[3, 0]);
    zombie_goes_on(Rules::without(Rule::Fence)).repeats(30..60);
}

/// Opening intents of starts 1 and 2 are held. That of start 1 lands; start 3 builds on what it sees, and commits. Then
/// that of start 2 lands. Start 4 reads all of them.
fn late_intents(rules: Rules) -> Ending {
    let play = Play::new(rules);
    play.hold_row("intent");
    let first = play.spawn_elsewhere(30);
    play.until_held(1);
    play.hold_row("intent");
    let second = play.spawn_elsewhere(30);
    play.until_held(2);
    play.release_first();
    let first = first.join().unwrap();
    let third = play.runs_elsewhere(30);
    play.release_first();
    let second = second.join().unwrap();
    let fourth = play.runs_elsewhere(30);
    play.ends(&[first, second, third, fourth], 0..30)
}

#[test]
fn without_start_rows_a_late_intent_takes_over_the_chain() {
    late_intents(Rules::ALL).is_exact(&[3, 3, 0, 0]);
    late_intents(Rules::without(Rule::StartRows)).repeats(0..30);
}

/// The start row of start 1 is held until start 2 has run to its end.
#[test]
fn a_start_row_that_lands_late_changes_nothing() {
    let play = Play::new(Rules::ALL);
    play.hold_row("start");
    let first = play.spawn_elsewhere(30);
    play.until_held(1);
    let second = play.runs_elsewhere(30);
    play.release_first();
    let first = first.join().unwrap();
    let third = play.runs_elsewhere(60);
    play.ends(&[first, second, third], 0..60).is_exact(&[3, 0, 0]);
}

/// Start 2 reads a state of `kt_epochs` from before the commit of start 1.
fn stale_read(rules: Rules) -> Ending {
    let play = Arc::new(Play::new(rules));
    let ((ahead, _state), here) = (play.elsewhere(), Arc::clone(&play));
    let first = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        let stale = here.freeze_next_read();
        run.feed(30, 30);
        run.finish(worker).inspect(|_| assert_eq!(stale.count(), 0, "a run reads no rows"))
    });
    let second = play.runs_elsewhere(60);
    play.ends(&[codes(&first), second], 0..60)
}

#[test]
fn without_a_claim_a_stale_read_misses_the_head() {
    stale_read(Rules::ALL).is_exact(&[0, 0]);
    stale_read(Rules::without(Rule::Claim)).repeats(0..30);
}

/// The rename of start 2 is held while start 1 commits; then start 2 reads a state of `kt_epochs` from before that.
fn commit_before_the_rename(rules: Rules) -> Ending {
    let play = Play::new(rules);
    let ((ahead, _state), go_on) = (play.elsewhere(), Gate::default());
    let first = opens_and_waits(ahead, &go_on);
    play.hold(".rename tables", HoldPoint::Resolved);
    let second = play.spawn_elsewhere(60);
    play.until_held(1);
    let stale = play.freeze_next_read();
    go_on.open();
    let first = first.join().unwrap();
    play.release(".rename tables");
    let second = second.join().unwrap();
    assert_eq!(stale.count(), 1);
    play.ends(&[first, second], 0..60)
}

#[test]
fn a_claim_before_the_rename_does_not_help_against_stale_reads() {
    commit_before_the_rename(Rules::ALL).is_exact(&[0, 0]);
    commit_before_the_rename(Rules::without(Rule::RenameBeforeClaim)).repeats(0..30);
}

/// The opening intent of start 1 lands after start 2 has taken over and ended. The source forgets rows that are sealed.
fn void_opening(rules: Rules) -> Ending {
    let play = Play::new(rules);
    let ((ahead, _state), handle) = (play.elsewhere(), play.place.handle());
    play.hold_row("intent");
    let first = thread::spawn(move || {
        on_workers(1, move |worker| {
            let mut run = match Run::open(worker, &ahead) {
                Ok(run) => run,
                Err(error) => return (Err(error), 0),
            };
            run.feed(30, 30);
            let last = run.epoch;
            run.step_until(worker, |run| !run.durable.less_than(&last));
            let forgotten = if run.durable.less_than(&last) { 0 } else { 30 };
            handle.clear_faults();
            (run.finish(worker), forgotten)
        })
    });
    play.until_held(1);
    let second = play.runs_elsewhere(0);
    play.stop_uploads();
    play.release_first();
    let (first, forgotten) = first.join().unwrap().remove(0);
    play.place.handle().clear_faults();
    // What the source has forgotten is not sent again.
    let third = play.runs_elsewhere(30 - forgotten);
    play.ends(&[codes(&[first]), second, third], 0..30)
}

#[test]
fn an_empty_intent_that_counts_at_once_loses_rows_that_cannot_be_replayed() {
    void_opening(Rules::ALL).is_exact(&[3, 0, 0]);
    void_opening(Rules::without(Rule::LookAfterEmpty)).loses(0..30);
}
