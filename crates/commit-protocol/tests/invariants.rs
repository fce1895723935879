//! The invariants that concern decisions, by number.
#![allow(clippy::unwrap_used, missing_docs)]

mod desk;

use commit_protocol::*;
use desk::*;

/// A desk whose run is open.
fn opened() -> Desk {
    let (mut desk, action) = Desk::new();
    let action = desk.run(action).unwrap();
    assert!(matches!(action, Action::Open(_)));
    desk
}

/// A desk that has committed epoch 0 with one chunk of 5 rows.
fn committed() -> Desk {
    let mut desk = opened();
    let chunk = desk.staged(0, 0, 5);
    let action = desk.news(1, vec![chunk], vec![change(0, "p", "5")]).unwrap();
    assert!(matches!(desk.run(action).unwrap(), Action::Committed(_)));
    desk
}

#[test]
fn invariant_1_c_never_passes_what_every_worker_has_staged() {
    let mut desk = opened();
    let chunks = vec![desk.staged(0, 0, 5), desk.staged(0, 1, 5), desk.staged(1, 2, 5)];
    let action = desk.news(2, chunks, vec![]).unwrap();
    let Action::Committed(permit) = desk.run(action).unwrap() else { panic!("it commits") };
    assert_eq!(permit.below(), Epoch(2));
    assert_eq!(permit.rows(), 10, "epoch 2 is staged by one worker only");
    assert!(matches!(desk.news(2, vec![], vec![]).unwrap(), Action::Wait));
}

#[test]
fn invariant_2_sources_are_acknowledged_up_to_the_positions_of_a_committed_intent() {
    let mut desk = opened();
    let chunk = desk.staged(0, 0, 5);
    let positions = vec![change(0, "p", "five"), change(1, "p", "six")];
    let action = desk.news(1, vec![chunk], positions).unwrap();
    let Action::Committed(permit) = desk.run(action).unwrap() else { panic!("it commits") };
    assert_eq!(permit.positions().get("p"), Some(&b"five"[..]), "epoch 1 is not committed");
}

#[test]
fn invariant_2_sources_that_cannot_replay_are_acknowledged_at_d_of_all_workers() {
    let (mut desk, action) = Desk::new();
    let Action::Open(permit) = desk.run(action).unwrap() else { panic!("it opens") };
    let mut durable = Durable::new(&permit, 2);
    let changes = [change(0, "p", "a"), change(1, "p", "b")];
    assert_eq!(durable.sealed(Worker(0), Epoch(2), &changes).unwrap(), None, "worker 1 has sealed nothing");
    let permit = durable.sealed(Worker(1), Epoch(1), &changes).unwrap().unwrap();
    assert_eq!((permit.below(), permit.positions().get("p")), (Epoch(1), Some(&b"a"[..])));
    assert_eq!(durable.frontier(), Epoch(1));
}

#[test]
fn invariant_3_only_ids_of_the_intent_are_moved() {
    let mut desk = opened();
    let chunk = desk.staged(0, 0, 5);
    let other = desk.tag(1, 7, 0);
    let stranger = desk.lands(other, 9);
    let action = desk.news(1, vec![chunk], vec![]).unwrap();
    let Action::Move(permit) = desk.until(action, "Move") else { unreachable!() };
    let intent = desk.intents().pop().unwrap();
    assert_eq!(permit.extents(), intent.extents().collect::<Vec<_>>());
    assert!(!permit.extents().contains(&stranger));
}

#[test]
fn invariant_4_an_intent_waits_until_each_chunk_is_whole_in_one_attempt() {
    let mut desk = opened();
    let tag = desk.tag(0, 0, 0);
    let chunk = StagedChunk { tag, rows: 5, sum: None };
    desk.lands(tag, 3);
    let action = desk.news(1, vec![chunk], vec![]).unwrap();
    let fact = desk.perform(&action).unwrap();
    let action = desk.tell(fact).unwrap();
    assert!(matches!(action, Action::ListStaging(_)), "three of five rows: look again");
    desk.lands(tag, 2);
    assert!(matches!(desk.until(action, "Append"), Action::Append(_)));
}

#[test]
fn invariant_4_rows_delivered_twice_make_a_new_attempt_and_the_old_one_is_never_accepted() {
    let mut desk = opened();
    let chunk = desk.staged(0, 0, 5);
    let second = desk.lands(chunk.tag, 5);
    let action = desk.news(1, vec![chunk], vec![]).unwrap();
    let Action::Stage(permit) = desk.until(action, "Stage") else { unreachable!() };
    let [again] = permit.chunks() else { panic!("one chunk again") };
    assert_eq!(again.tag.attempt, Attempt(1));
    desk.staging.remove(&second);
    let action = desk.tell(Fact::Staged(permit.chunks().to_vec())).unwrap();
    let fact = desk.perform(&action).unwrap();
    assert!(
        matches!(desk.tell(fact).unwrap(), Action::ListStaging(_)),
        "attempt 0 is whole now, and is superseded"
    );
}

#[test]
fn invariant_5_intents_form_one_chain_across_starts() {
    let mut desk = committed();
    let action = desk.restart(2);
    let _ = desk.run(action).unwrap();
    let mut intents = desk.intents();
    intents.sort_by_key(|intent| intent.id.seq);
    let seqs: Vec<u64> = intents.iter().map(|intent| intent.id.seq.0).collect();
    assert_eq!(seqs, [1, 2, 3]);
    for pair in intents.windows(2) {
        assert_eq!(pair[1].parent, Some(pair[0].id));
        assert_eq!(pair[1].from, pair[0].after.cover);
    }
    let (valid, void) = Ledger::parse(lineage(), &desk.raw).unwrap().classify().unwrap();
    assert_eq!((valid.len(), void.len()), (3, 0));
}

#[test]
fn invariant_6_the_next_intent_is_appended_after_its_predecessor_is_settled() {
    let mut desk = committed();
    let chunk = desk.staged(0, 1, 7);
    desk.log.clear();
    let action = desk.news(2, vec![chunk], vec![]).unwrap();
    let _ = desk.run(action).unwrap();
    assert_eq!(desk.log, ["list S", "intent", "move"], "three commands per commit");
    let mut intents = desk.intents();
    intents.sort_by_key(|intent| intent.id.seq);
    assert!(intents.iter().all(|intent| intent.settled == intent.parent.map(|parent| parent.seq)));
}

#[test]
fn invariant_6_at_shutdown_an_empty_intent_settles_the_last_one() {
    let mut desk = committed();
    let action = desk.tell(Fact::Close).unwrap();
    assert!(matches!(desk.run(action).unwrap(), Action::Closed));
    let last = desk.intents().into_iter().max_by_key(|intent| intent.id.seq).unwrap();
    assert_eq!((last.rows(), last.settled), (0, Some(Seq(2))));
    // A later start needs no evidence any more: the rows of T may be gone.
    desk.target.clear();
    let action = desk.restart(2);
    assert!(matches!(desk.run(action).unwrap(), Action::Open(_)));
}

#[test]
fn invariant_7_a_later_generation_moves_what_the_intent_names_and_withdraws_nothing() {
    let mut desk = opened();
    let chunk = desk.staged(0, 0, 5);
    let action = desk.news(1, vec![chunk], vec![change(0, "p", "5")]).unwrap();
    let _ = desk.until(action, "Move");
    let action = desk.restart(2);
    let Action::Open(permit) = desk.run(action).unwrap() else { panic!("it opens") };
    assert_eq!(desk.target.len(), 1);
    assert_eq!((permit.first_epoch(), permit.positions().get("p")), (Epoch(1), Some(&b"5"[..])));
}

#[test]
fn invariant_8_rename_claim_read_start_row_and_only_then_intents() {
    let (mut desk, action) = Desk::new();
    let _ = desk.run(action).unwrap();
    let expected = ["names", "rename", "claim", "read", "start", "logs", "prepare", "intent", "names"];
    assert_eq!(desk.log, expected);
}

#[test]
fn invariant_8_a_read_that_does_not_show_the_claim_is_repeated() {
    let (mut desk, action) = Desk::new();
    let action = desk.until(action, "ReadRows");
    let stale = Fact::Rows { ledger: Ok(Ledger::default()), patience: Patience::Left };
    assert!(matches!(desk.tell(stale).unwrap(), Action::ReadRows));
    let over = Fact::Rows { ledger: Ok(Ledger::default()), patience: Patience::Over };
    assert!(matches!(action, Action::ReadRows));
    let action = desk.tell(over).unwrap();
    let fact = desk.perform(&action).unwrap();
    assert!(matches!(desk.tell(fact), Err(Stop::NotVisible { .. })));
}

#[test]
fn invariant_8_a_newer_claim_that_hides_the_own_one_means_fenced() {
    let (mut desk, action) = Desk::new();
    let _ = desk.until(action, "ReadRows");
    let newer = Row::Claim(Claim { by: start_id(9, 9) });
    let fact = Fact::Rows { ledger: Ok(Ledger::of(vec![newer])), patience: Patience::Left };
    assert!(matches!(desk.tell(fact).unwrap(), Action::ListNames));
    desk.name.start = start_id(9, 9);
    assert!(matches!(desk.tell(Fact::Names(desk.names())), Err(Stop::Fenced { .. })));
}

#[test]
fn invariant_9_every_request_names_the_own_table() {
    let mut desk = opened();
    let own = desk.coordinator.staging().unwrap();
    let chunk = desk.staged(0, 0, 5);
    let action = desk.news(1, vec![chunk], vec![]).unwrap();
    assert!(matches!(&action, Action::ListStaging(name) if *name == own));
    let Action::Move(permit) = desk.until(action, "Move") else { unreachable!() };
    assert_eq!(permit.from(), own);
}

#[test]
fn invariant_10_rows_outside_the_chain_change_no_decision() {
    let mut desk = committed();
    let start = |desk: &mut Desk, nonce| {
        let action = desk.restart(nonce);
        let Action::Open(permit) = desk.run(action).unwrap() else { panic!("it opens") };
        (permit.first_epoch(), permit.positions().clone())
    };
    let first = start(&mut desk, 2);
    // An intent of start 1 lands only now, beside what start 2 built.
    let late = Intent { id: IntentId { by: start_id(1, 1), seq: Seq(3) }, ..late_intent(&desk) };
    desk.late.push(Row::Intent(late.into()));
    assert_eq!(start(&mut desk, 3), first);
    let (_, void) = Ledger::of(desk.rows()).classify().unwrap();
    assert_eq!(void.len(), 1);
}

fn late_intent(desk: &Desk) -> Intent {
    let parent = desk.intents().into_iter().find(|intent| intent.id.seq == Seq(2)).unwrap();
    let after = Frontier { cover: Epoch(99), ..parent.after.clone() };
    Intent { parent: Some(parent.id), from: parent.after.cover, after, chunks: vec![], ..parent }
}

#[test]
fn invariant_11_a_run_opens_after_its_opening_intent_names_its_own_logs() {
    let desk = opened();
    let opening = desk.intents().pop().unwrap();
    let own = desk.coordinator.staging().unwrap().start;
    assert_eq!(opening.after.logs, Some(Logs { start: own, workers: 2 }));
    assert_eq!(opening.rows(), 0);
}

#[test]
fn invariant_12_rows_moved_are_the_rows_of_the_intent_also_per_epoch() {
    let mut desk = opened();
    let chunks = vec![desk.staged(0, 0, 5), desk.staged(1, 0, 6), desk.staged(1, 1, 7)];
    let action = desk.news(2, chunks, vec![]).unwrap();
    let _ = desk.run(action).unwrap();
    let intent = desk.intents().into_iter().max_by_key(|intent| intent.id.seq).unwrap();
    assert_eq!(intent.rows_per_epoch, [(Epoch(0), 11), (Epoch(1), 7)]);
    assert_eq!(desk.target.iter().map(|extent| extent.rows).sum::<u64>(), intent.rows());
}

#[test]
fn invariant_13_a_lost_answer_is_followed_by_a_look_at_the_names_and_then_at_the_effect() {
    let mut desk = opened();
    let chunk = desk.staged(0, 0, 5);
    let action = desk.news(1, vec![chunk], vec![]).unwrap();
    let action = desk.until(action, "Append");
    let Action::Append(first) = &action else { unreachable!() };
    let bytes = first.raw();
    let _ = desk.tell(Fact::Replied(Reply::Lost)).unwrap();
    let action = desk.tell(Fact::Names(desk.names())).unwrap();
    assert!(matches!(action, Action::ReadRows));
    let fact = desk.perform(&action).unwrap();
    let Action::Append(second) = desk.tell(fact).unwrap() else { panic!("it is not there: again") };
    assert_eq!(second.raw(), bytes, "byte by byte the same row");
    desk.raw.extend(second.raw());
    desk.raw.extend(bytes);
    let Action::Move(_) = desk.tell(Fact::Replied(Reply::Done)).unwrap() else { panic!("it is there: move") };
    assert!(matches!(desk.tell(Fact::Replied(Reply::Lost)).unwrap(), Action::ListNames));
    let action = desk.tell(Fact::Names(desk.names())).unwrap();
    assert!(matches!(action, Action::ListStaging(_)), "S before T");
    assert!(matches!(desk.run(action).unwrap(), Action::Committed(_)), "the ids are still in S: moved again");
}

#[test]
fn invariant_14_missing_evidence_stops_and_never_counts_as_committed() {
    let mut desk = opened();
    let chunk = desk.staged(0, 0, 5);
    let action = desk.news(1, vec![chunk], vec![]).unwrap();
    let _ = desk.until(action, "Move");
    desk.staging.clear();
    let action = desk.restart(2);
    let Err(Stop::Ambiguous(facts)) = desk.run(action) else { panic!("nothing shows what became of it") };
    assert_eq!((facts.rows, facts.missing.len()), (5, 1));
    assert_eq!(facts.missing[0].tag, chunk.tag);
}

#[test]
fn invariant_14_a_move_whose_answer_misses_an_id_is_no_success() {
    let mut desk = opened();
    let chunk = desk.staged(0, 0, 5);
    let action = desk.news(1, vec![chunk], vec![]).unwrap();
    let Action::Move(permit) = desk.until(action, "Move") else { unreachable!() };
    let failed = permit.extents().iter().map(|id| MovedExtent { original: *id, moved: false }).collect();
    assert!(matches!(desk.tell(Fact::Moved(failed)).unwrap(), Action::ListNames));
    let (mut desk, chunk) = (opened(), chunk);
    desk.lands(chunk.tag, 5);
    let action = desk.news(1, vec![chunk], vec![]).unwrap();
    let _ = desk.until(action, "Move");
    assert!(matches!(desk.tell(Fact::Moved(vec![])).unwrap(), Action::ListNames));
}

#[test]
fn invariant_15_what_is_committed_depends_on_no_order_of_reports_or_extents() {
    let orders = [[0, 1, 2], [2, 0, 1], [1, 2, 0]];
    let intent = |order: [usize; 3]| {
        let mut desk = opened();
        let chunks = [desk.staged(0, 0, 5), desk.staged(1, 0, 6), desk.staged(0, 1, 7)];
        let reported = order.iter().map(|at| chunks[*at]).collect();
        let action = desk.news(2, reported, vec![]).unwrap();
        let _ = desk.run(action).unwrap();
        desk.intents().into_iter().max_by_key(|intent| intent.id.seq).unwrap()
    };
    let all: Vec<Intent> = orders.into_iter().map(intent).collect();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn invariant_19_the_order_of_rows_changes_no_decision() {
    let mut desk = committed();
    let action = desk.restart(2);
    let _ = desk.run(action).unwrap();
    let head = desk.ledger().head().unwrap();
    for turn in 0..desk.raw.len() {
        desk.raw.rotate_left(1);
        desk.raw.swap(0, turn);
        assert_eq!(desk.ledger().head().unwrap(), head);
    }
}

#[test]
fn invariant_20_a_commit_is_bounded_and_an_epoch_is_never_divided() {
    let limits = Limits { chunks_per_commit: 2, ..Limits::default() };
    let (mut desk, action) = Desk::with(Setup { limits, ..setup(1) });
    let _ = desk.run(action).unwrap();
    let mut chunks = vec![desk.staged(0, 0, 1), desk.staged(0, 1, 1), desk.staged(1, 1, 1)];
    chunks.extend([desk.staged(0, 2, 1), desk.staged(1, 2, 1)]);
    let mut bounds = Vec::new();
    let mut action = desk.news(3, chunks, vec![]).unwrap();
    while let Action::Committed(permit) = desk.run(action).unwrap() {
        bounds.push(permit.below().0);
        action = desk.news(3, vec![], vec![]).unwrap();
    }
    assert_eq!(bounds, [1, 2, 3]);
    let wide = next_bound(Epoch(0), Epoch(2), [Epoch(0); 9].into_iter().chain([Epoch(1)]), 2);
    assert_eq!(wide, Some(Epoch(1)), "an epoch with more than the limit is still one commit");
}

#[test]
fn invariant_21_a_sweep_keeps_what_is_claimed_or_awaited_and_says_why_it_drops() {
    let mut desk = committed();
    let late = desk.tag(0, 0, 0);
    let committed_otherwise = desk.lands(late, 5);
    let waiting = desk.staged(0, 1, 7);
    let older = desk.lands(Tag { generation: Generation(0), ..late }, 1);
    let foreign = desk.lands(Tag { lineage: Lineage::of("another", "Db", "T"), ..late }, 1);
    let newer = desk.lands(Tag { generation: Generation(9), ..late }, 1);
    let Fact::Staging { listing, .. } = desk.listing() else { unreachable!() };
    let permit = desk.coordinator.sweep(&listing).unwrap();
    let expected = [(committed_otherwise, Dropped::CommittedThroughOthers), (older, Dropped::GenerationOver)];
    assert_eq!(permit.extents(), expected);
    let kept = [foreign, newer];
    assert!(kept.iter().all(|id| permit.extents().iter().all(|(dropped, _)| dropped != id)));
    assert!(desk.staging.values().any(|extent| extent.tags == [waiting.tag]));
}

#[test]
fn invariant_21_nothing_is_swept_before_the_own_start_row_is_known() {
    let mut desk = committed();
    let garbage = desk.tag(0, 0, 0);
    desk.lands(garbage, 5);
    let action = desk.restart(2);
    let Fact::Staging { listing, .. } = desk.listing() else { unreachable!() };
    let action = desk.until(action, "Append");
    assert!(desk.coordinator.sweep(&listing).is_none(), "at the claim");
    let fact = desk.perform(&action).unwrap();
    let action = desk.tell(fact).unwrap();
    let action = desk.until(action, "Append");
    assert!(desk.coordinator.sweep(&listing).is_none(), "at the start row");
    let fact = desk.perform(&action).unwrap();
    let _ = desk.tell(fact).unwrap();
    assert!(desk.coordinator.sweep(&listing).is_some());
}

#[test]
fn invariant_23_a_log_that_somebody_holds_is_waited_for() {
    let mut desk = committed();
    let action = desk.restart(2);
    let _ = desk.until(action, "ListLogs");
    let held = HeldLog { start: start_id(1, 1), worker: Worker(1), holder: "process 4711".to_owned() };
    let lists = LogLists { directories: vec![], held: vec![held] };
    let action = desk.tell(Fact::Logs { lists, target: vec![] }).unwrap();
    assert!(matches!(action, Action::ListLogs));
}
