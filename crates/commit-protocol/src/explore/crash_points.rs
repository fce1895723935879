//! The crash points: each is told up to the crash, taken over by a new start, and then everything that can still happen
//! is explored. Numbers are those of the table in the crate's documentation.

use super::story::Story;
use super::world::{Effect, End, Todo, World};
use super::*;
use crate::adopt::{Adoption, LogDirectory, LogFile, LogLists, LoggedChunk, adopt};
use crate::ids::{Epoch, Generation, Nonce, StartId, Worker};
use crate::rows::{Frontier, Logs, Row};

fn story() -> Story {
    Story::of(Config { starts: 3, ..Config::named("a story") })
}

/// Start 0 has opened its run, sealed epoch 0 on both workers (a row of partition 1), and it has landed in S.
fn staged() -> Story {
    story().opens(0).seals(0, 0, 0, 0).seals(0, 1, 0, 1).then(LANDS)
}

const LANDS: &str = "epoch 0 of worker 1, staged by start 0 (attempt 0) lands";
const LEARNS: &str = "start 0 learns that all below 1 is staged";
const LOOKS: &str = "start 0 looks into S";
const INTENT: &str = "the intent row 2 of start 0 takes effect";
const MOVE: &str = "the move of start 0 takes effect";

/// Its intent is on its way.
fn intent_sent() -> Story {
    staged().all(&[LEARNS, LOOKS])
}

/// Its move is on its way.
fn move_sent() -> Story {
    intent_sent().then(INTENT)
}

/// Epoch 0 is committed.
fn committed() -> Story {
    move_sent().then(MOVE)
}

fn sends_intent(world: &World, start: usize) -> bool {
    let is_intent =
        |effect: &Effect| matches!(effect, Effect::Append(row) if matches!(**row, Row::Intent(_)));
    world.requests.iter().any(|request| request.by == start && is_intent(&request.effect))
}

fn sends_move(world: &World, start: usize) -> bool {
    world.requests.iter().any(|request| request.by == start && matches!(request.effect, Effect::Move(_)))
}

#[test]
fn crash_1_bodies_in_an_open_file_are_replayed_from_the_positions_adopted() {
    // Nothing is sealed: an open file is no log.
    let story = story().opens(0).crashes(0).opens(1);
    assert_eq!(story.opened_at(1), (0, [0, 0]));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_2_a_seal_on_some_workers_is_not_adopted_and_the_rest_replays() {
    let story = story().opens(0).seals(0, 1, 0, 1).crashes(0).opens(1);
    assert_eq!(story.opened_at(1), (0, [0, 0]), "only what all workers sealed is adopted");
    assert_eq!(story.in_target(), 0);
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_2_a_worker_that_sealed_further_is_adopted_up_to_the_lowest_bound() {
    let story = story().opens(0).seals(0, 1, 0, 1).seals(0, 1, 1, 1).seals(0, 0, 0, 1).crashes(0).opens(1);
    assert_eq!(story.opened_at(1), (1, [1, 1]));
    assert_eq!(story.in_target(), 2);
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_3_a_seal_on_all_workers_is_adopted() {
    let story = story().opens(0).seals(0, 0, 0, 0).seals(0, 1, 0, 1).crashes(0).opens(1);
    assert_eq!(story.opened_at(1), (1, [0, 1]));
    assert_eq!(story.in_target(), 1);
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_3_a_seal_whose_disk_is_lost_is_replayed_from_the_head() {
    let mut story = story();
    story.world.disks = 1;
    let story = story.opens(0).seals(0, 0, 0, 0).seals(0, 1, 0, 1);
    let story = story.then("the disk of worker 1 on hosts 0 is lost").opens(1);
    assert_eq!(story.opened_at(1), (0, [0, 0]));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_4_a_blob_that_lands_after_the_takeover_is_garbage() {
    let story = story().opens(0).seals(0, 0, 0, 0).seals(0, 1, 0, 1).crashes(0).opens(1).then(LANDS);
    assert_eq!(
        (story.in_target(), story.in_staging()),
        (1, 1),
        "staged again by start 1; the late extent stays in S"
    );
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_4_a_late_blob_is_swept() {
    let mut story = story();
    story.world.sweeps = 1;
    let story = story.opens(0).seals(0, 0, 0, 0).seals(0, 1, 0, 1).crashes(0).opens(1).then(LANDS);
    let story = story.all(&["start 1 sends a sweep", "the drop of start 1 takes effect"]);
    assert_eq!(story.in_staging(), 0);
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_5_chunks_in_s_without_an_intent_are_staged_again() {
    let story = staged().crashes(0).opens(1);
    assert_eq!((story.in_target(), story.in_staging()), (1, 1));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_6_an_intent_that_landed_before_the_takeover_is_rolled_forward() {
    let story = intent_sent().then(INTENT).crashes(0).opens(1);
    assert_eq!((story.opened_at(1), story.in_target()), ((1, [0, 1]), 1));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_6_an_intent_that_lands_after_the_takeover_is_void() {
    let story = intent_sent().then("start 1 begins").until(1, |world| world.starts[1].claim_read);
    let story = story.then(INTENT).crashes(0).opens(1);
    assert_eq!(story.opened_at(1), (1, [0, 1]), "the epoch came from the log, not from the void intent");
    assert_eq!((story.in_target(), story.in_staging()), (1, 1));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_7_an_intent_without_its_move_is_moved() {
    let story = move_sent();
    let story = story.crashes(0).then("start 1 begins").until(1, |world| sends_move(world, 1));
    assert_eq!((story.in_target(), story.in_staging()), (0, 1));
    let story = story.opens(1);
    assert_eq!((story.in_target(), story.in_staging()), (1, 0));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_8_a_move_in_flight_during_the_takeover_is_overtaken() {
    // It resolved the old name before the rename and takes effect just before the new owner's own move.
    let story = move_sent().then("start 1 begins").until(1, |world| sends_move(world, 1)).then(MOVE);
    let story = story.crashes(0).opens(1);
    assert_eq!((story.in_target(), story.in_staging()), (1, 0));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_8_the_old_move_that_comes_second_moves_nothing() {
    let story = move_sent().then("start 1 begins").until(1, |world| sends_move(world, 1));
    let story = story.all(&["the move of start 1 takes effect", "the move of start 0 is refused"]);
    let story = story.then("start 0 looks at the names");
    assert!(story.ended(0, End::Fenced), "a zombie ends as fenced, not with a guess");
    assert_eq!(story.in_target(), 1);
    let story = story.opens(1);
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_9_a_move_without_its_answer_is_seen_in_the_target() {
    let story = committed().crashes(0).opens(1);
    assert_eq!((story.opened_at(1), story.in_target()), ((1, [0, 1]), 1));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_9_an_answer_that_is_lost_is_settled_by_looking() {
    let mut story = move_sent();
    story.world.lost_answers = 1;
    let story = story.then("start 0 loses an answer").all(&[
        "the move of start 0 takes effect",
        "start 0 looks at the names",
        "start 0 looks into S",
        "start 0 looks into T",
    ]);
    assert_eq!(story.world.starts[0].todo, Todo::Run);
    assert_eq!(story.world.clock, 1, "C passed by the look alone");
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_10_an_answer_without_acknowledgement_replays_from_the_intents_positions() {
    let mut story = committed();
    // Nobody heard of it.
    story.world.acknowledged = [0, 0];
    let story = story.crashes(0).opens(1);
    assert_eq!(story.opened_at(1), (1, [0, 1]));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_11_part_of_the_unlinks_leaves_files_below_the_cover_which_are_void() {
    // Worker 1's file of epoch 0 is unlinked, worker 0's is not; epoch 1 is sealed on both.
    let start = StartId { generation: Generation(1), nonce: Nonce(0) };
    let file = |from: u64| {
        let chunk = LoggedChunk { epoch: Epoch(from), index: 0, rows: 1, columns: Vec::new() };
        LogFile { from: Epoch(from), to: Epoch(from + 1), chunks: vec![chunk], positions: Vec::new() }
    };
    let directory =
        |worker, files| LogDirectory { start, worker: Worker(worker), place: String::new(), files };
    let directories = vec![directory(0, vec![file(0), file(1)]), directory(1, vec![file(1)])];
    let lists = LogLists { directories, held: Vec::new() };
    let logs = Some(Logs { start, workers: 2 });
    let head = Frontier { cover: Epoch(1), logs, positions: Default::default() };
    let Ok(Adoption::Adopt(adopted)) = adopt(&head, &lists, &[]) else { panic!("epoch 1 is there on both") };
    let epochs: Vec<Epoch> = adopted.chunks.iter().map(|(chunk, _)| chunk.epoch).collect();
    assert_eq!(epochs, [Epoch(1), Epoch(1)], "epoch 0 is in the target and is not taken again");
}

#[test]
fn crash_12_a_rename_without_claim_and_start_row_changes_no_head() {
    let story =
        committed().crashes(0).then("start 1 begins").until(1, |world| world.owner == 1).crashes(1).opens(2);
    assert_eq!((story.opened_at(2), story.in_target()), ((1, [0, 1]), 1));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_13_a_start_row_without_an_opening_intent_keeps_head_and_logs() {
    let story = committed().seals(0, 0, 1, 1).seals(0, 1, 1, 1).crashes(0);
    let story =
        story.then("start 1 begins").until(1, |world| world.starts[1].todo == Todo::Logs).crashes(1).opens(2);
    assert!(story.ended(2, End::Finished), "start 2 adopts epoch 1 of start 0, as start 1 would have");
    assert_eq!(story.in_target(), 2);
}

#[test]
fn crash_14_a_roll_forward_move_without_its_answer_is_seen_in_the_target() {
    let story = move_sent().crashes(0).then("start 1 begins").until(1, |world| sends_move(world, 1));
    let story = story.then("the move of start 1 takes effect").crashes(1).opens(2);
    assert_eq!((story.opened_at(2), story.in_target()), ((1, [0, 1]), 1));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_15_adopted_chunks_staged_without_an_adoption_intent_are_adopted_again() {
    let story = story().opens(0).seals(0, 0, 0, 0).seals(0, 1, 0, 1).crashes(0);
    let story = story.then("start 1 begins").until(1, |world| sends_intent(world, 1)).crashes(1);
    let mut story = story;
    // The cluster stopped before the row was sent.
    story.world.requests.clear();
    let story = story.opens(2);
    assert_eq!((story.opened_at(2), story.in_target()), ((1, [0, 1]), 1));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_16_an_adoption_intent_without_its_move_is_rolled_forward() {
    let story = story().opens(0).seals(0, 0, 0, 0).seals(0, 1, 0, 1).crashes(0);
    let story = story.then("start 1 begins").until(1, |world| sends_move(world, 1)).crashes(1);
    assert_eq!(story.in_target(), 0);
    let story = story.opens(2);
    assert_eq!((story.opened_at(2), story.in_target()), ((1, [0, 1]), 1));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_16_an_opening_intent_without_the_removal_of_old_logs_makes_them_void() {
    let story = story().opens(0).seals(0, 1, 0, 1).crashes(0).then("start 1 begins");
    let story = story.until(1, |world| world.starts[1].todo == Todo::Clean(0)).crashes(1);
    assert_ne!(story.world.starts[0].directories, 0);
    let story = story.opens(2);
    assert_eq!((story.opened_at(2), story.in_target()), ((0, [0, 0]), 0));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_17_a_new_attempt_while_the_old_one_completes_late_moves_one_of_them() {
    let mut story = story();
    story.config.retries = 1;
    story.world.retries = 1;
    let story = story.opens(0).seals(0, 0, 0, 0).seals(0, 1, 0, 1).all(&[
        LEARNS,
        "start 0 looks into S and is out of patience",
        LANDS,
        LOOKS,
    ]);
    assert_eq!(
        story.world.starts[0].todo,
        Todo::Staging,
        "the superseded attempt is whole and is not accepted"
    );
    let story = story.all(&["epoch 0 of worker 1, staged by start 0 (attempt 1) lands", LOOKS, INTENT, MOVE]);
    assert_eq!((story.in_target(), story.in_staging()), (1, 1));
    story.and_whatever_happens_then_every_row_is_there_once();
}

#[test]
fn crash_18_a_sweep_half_done_is_finished_by_the_next_start() {
    let mut story = story();
    story.world.sweeps = 2;
    let story = story.opens(0).seals(0, 0, 0, 1).seals(0, 1, 0, 1);
    let story = story.then("epoch 0 of worker 0, staged by start 0 (attempt 0) lands").then(LANDS);
    let mut story = story.crashes(0).opens(1).then("start 1 sends a sweep");
    assert_eq!(story.in_staging(), 2);
    // One of both extents is dropped, then the cluster stops.
    story.world.staging &= story.world.staging - 1;
    story.world.requests.clear();
    let story = story.crashes(1).opens(2).all(&["start 2 sends a sweep", "the drop of start 2 takes effect"]);
    assert_eq!((story.in_target(), story.in_staging()), (2, 0));
    story.and_whatever_happens_then_every_row_is_there_once();
}
