//! Starts: the first tables, the fence, adoption, a person's decisions, and why a start stops.
#![allow(clippy::unwrap_used, missing_docs)]

mod desk;

use commit_protocol::*;
use desk::*;

fn file(from: u64, to: u64, chunks: &[(u64, u64)]) -> LogFile {
    let chunk = |(epoch, rows): &(u64, u64)| LoggedChunk {
        epoch: Epoch(*epoch),
        index: 0,
        rows: *rows,
        columns: vec![],
    };
    let positions = vec![change(to - 1, "p", &format!("after {}", to - 1))];
    LogFile { from: Epoch(from), to: Epoch(to), chunks: chunks.iter().map(chunk).collect(), positions }
}

fn directory(start: StartId, worker: u32, files: Vec<LogFile>) -> LogDirectory {
    LogDirectory { start, worker: Worker(worker), place: format!("host a, w{worker}"), files }
}

/// A desk whose first run is open and has logged epochs 0 to 2 on both workers.
fn logged() -> Desk {
    let (mut desk, action) = Desk::new();
    let _ = desk.run(action).unwrap();
    let run = desk.coordinator.staging().unwrap().start;
    let quiet = |file: LogFile| LogFile { positions: vec![], ..file };
    desk.directories = vec![
        directory(run, 0, vec![file(0, 1, &[(0, 5)]), file(1, 3, &[(1, 6), (2, 7)])]),
        directory(run, 1, vec![quiet(file(0, 2, &[(0, 8)])), quiet(file(2, 4, &[(3, 9)]))]),
    ];
    desk
}

/// A desk with an intent of 5 rows whose move was never sent and whose extents somebody dropped.
fn ambiguous() -> Desk {
    let (mut desk, action) = Desk::new();
    let _ = desk.run(action).unwrap();
    let chunk = desk.staged(0, 0, 5);
    let action = desk.news(1, vec![chunk], vec![change(0, "p", "5")]).unwrap();
    let _ = desk.until(action, "Move");
    desk.staging.clear();
    desk
}

#[test]
fn a_lineage_that_nobody_knows_gets_its_first_tables() {
    let (mut desk, _) = Desk::new();
    let action = desk.tell(Fact::Names(Names::default())).unwrap();
    let Action::Create(permit) = &action else { panic!("there is nothing yet") };
    assert_eq!(permit.anchor().to_string(), format!("kt_anchor_{}", lineage()));
    assert_eq!(permit.staging().start.generation, Generation(0));
    assert!(matches!(desk.run(action).unwrap(), Action::Open(_)));
}

#[test]
fn local_logs_of_a_lineage_that_the_service_does_not_know_stop_the_start() {
    let (mut desk, _) = Desk::with(Setup { local_logs: true, ..setup(1) });
    let stop = desk.tell(Fact::Names(Names::default())).unwrap_err();
    assert!(matches!(stop, Stop::UnknownLineage { .. }));
    assert_eq!(stop.exit_code(), 4);
}

#[test]
fn names_are_parsed_and_not_matched_by_prefix() {
    let held = StagingName { lineage: lineage(), start: start_id(3, 9) };
    let other = StagingName { lineage: Lineage::of("other", "Db", "T"), ..held };
    let all = [held.to_string(), other.to_string(), format!("{held}_old"), AnchorName(lineage()).to_string()];
    let names = Names::parse(lineage(), all.iter().map(String::as_str));
    assert_eq!(names.standing(), Standing::Held(held));
    assert_eq!(Names::parse(lineage(), [all[0].as_str()]).standing(), Standing::AnchorGone);
    assert_eq!(Names::parse(lineage(), [all[3].as_str()]).standing(), Standing::StagingGone);
    assert_eq!(Names::parse(lineage(), [all[1].as_str()]).standing(), Standing::Unknown);
}

#[test]
fn a_dropped_staging_table_is_gone_and_a_renamed_one_is_fenced() {
    let stop = |names: Names| {
        let (mut desk, action) = Desk::new();
        let _ = desk.run(action).unwrap();
        let chunk = desk.staged(0, 0, 5);
        let action = desk.news(1, vec![chunk], vec![]).unwrap();
        let _ = desk.until(action, "Move");
        assert!(matches!(
            desk.tell(Fact::Replied(Reply::Refused(Refusal::NoSuchTable))).unwrap(),
            Action::ListNames
        ));
        desk.tell(Fact::Names(names)).unwrap_err()
    };
    let other = StagingName { lineage: lineage(), start: start_id(2, 7) };
    let fenced = stop(Names { staging: vec![other], anchor: true });
    assert_eq!(fenced, Stop::Fenced { own: start_id(1, 1), by: start_id(2, 7) });
    assert_eq!(fenced.exit_code(), 3);
    let gone = stop(Names { staging: vec![], anchor: true });
    assert!(matches!(gone, Stop::StagingGone { .. }) && gone.to_string().contains("kt_stage_"));
    assert!(matches!(stop(Names { staging: vec![other, other], anchor: true }), Stop::SeveralStaging { .. }));
}

#[test]
fn a_staging_table_made_anew_with_too_low_a_generation_is_noticed() {
    let (mut desk, action) = Desk::new();
    let _ = desk.run(action).unwrap();
    let action = desk.restart(2);
    let _ = desk.run(action).unwrap();
    for generation in [0, 1] {
        desk.name.start = start_id(generation, 7);
        let action = desk.restart(3);
        let stop = desk.run(action).unwrap_err();
        let (own, newest) = (start_id(generation + 1, 3), start_id(2, 2));
        let expected = match generation {
            0 => Stop::Ledger(LedgerError::NewerStart { own, newest }),
            // As after a rename that took effect late: the next start has a higher one.
            _ => Stop::LateRename { own, other: newest },
        };
        assert_eq!(stop, expected, "its rows would be void, and it would never know");
        desk.raw.retain(|raw| raw.nonce != Nonce(3).to_string());
    }
}

#[test]
fn a_rename_that_took_effect_after_another_of_its_generation_ends_the_start_and_the_next_one_goes_on() {
    let (mut desk, action) = Desk::new();
    let Action::Rename(late) = desk.until(action, "Rename") else { unreachable!() };
    let to = late.to();
    let action = desk.restart(2);
    let _ = desk.run(action).unwrap();
    let (mut waiting, action) = Desk::new();
    let _ = waiting.until(action, "Rename");
    desk.coordinator = waiting.coordinator;
    desk.name = to;
    let action = desk.tell(Fact::Replied(Reply::Done)).unwrap();
    let stop = desk.run(action).unwrap_err();
    assert_eq!(stop, Stop::LateRename { own: to.start, other: start_id(1, 2) });
    assert_eq!(stop.exit_code(), 1, "a supervisor starts it again");
    let action = desk.restart(3);
    assert!(matches!(desk.run(action).unwrap(), Action::Open(_)));
    assert_eq!(desk.coordinator.generation(), Some(Generation(2)));
}

#[test]
fn a_rename_that_is_refused_for_good_ends_a_start_only_after_a_look_at_the_names() {
    let refusals = [
        Refusal::Rights { role: "Table Admin".to_owned(), message: "no".to_owned() },
        Refusal::Other { message: "no".to_owned(), patience: Patience::Over },
    ];
    for refusal in refusals {
        let refused = |holder: fn(&RenamePermit) -> StagingName| {
            let (mut desk, action) = Desk::new();
            let Action::Rename(permit) = desk.until(action, "Rename") else { unreachable!() };
            let action = desk.tell(Fact::Replied(Reply::Refused(refusal.clone()))).unwrap();
            assert!(matches!(action, Action::ListNames));
            desk.name = holder(&permit);
            desk.tell(Fact::Names(desk.names()))
        };
        assert!(matches!(refused(|rename| rename.from()), Err(Stop::Rights { .. } | Stop::Refused { .. })));
        assert!(matches!(refused(|rename| rename.to()).unwrap(), Action::Append(_)), "it took effect");
        let other = |rename: &RenamePermit| StagingName { start: start_id(5, 5), ..rename.to() };
        assert!(matches!(refused(other), Err(Stop::Fenced { by, .. }) if by == start_id(5, 5)));
    }
}

#[test]
fn first_tables_that_may_not_be_made_end_a_start_unless_somebody_else_made_them() {
    let refused = |names: fn(&Desk) -> Names| {
        let (mut desk, _) = Desk::new();
        let _ = desk.tell(Fact::Names(Names::default())).unwrap();
        let refusal = Refusal::Rights { role: "Database User".to_owned(), message: "no".to_owned() };
        assert!(matches!(desk.tell(Fact::Replied(Reply::Refused(refusal))).unwrap(), Action::ListNames));
        let names = names(&desk);
        desk.tell(Fact::Names(names))
    };
    assert!(matches!(refused(|_| Names::default()), Err(Stop::Rights { .. })));
    assert!(matches!(refused(Desk::names).unwrap(), Action::Rename(_)));
}

#[test]
fn a_rename_without_an_answer_is_settled_by_the_names() {
    let (mut desk, action) = Desk::new();
    let Action::Rename(permit) = desk.until(action, "Rename") else { unreachable!() };
    let (from, to) = (permit.from(), permit.to());
    assert!(matches!(desk.tell(Fact::Replied(Reply::Lost)).unwrap(), Action::ListNames));
    let Action::Rename(again) = desk.tell(Fact::Names(desk.names())).unwrap() else {
        panic!("the old name is there")
    };
    assert_eq!((again.from(), again.to()), (from, to));
    let _ = desk.tell(Fact::Replied(Reply::Lost)).unwrap();
    desk.name = to;
    assert!(matches!(desk.tell(Fact::Names(desk.names())).unwrap(), Action::Append(_)), "it took effect");
}

#[test]
fn a_start_that_may_have_held_the_table_does_not_take_over_in_turn() {
    let (mut desk, action) = Desk::new();
    let _ = desk.until(action, "Rename");
    let _ = desk.tell(Fact::Replied(Reply::Lost)).unwrap();
    desk.name.start = start_id(2, 7);
    assert!(matches!(desk.tell(Fact::Names(desk.names())), Err(Stop::Fenced { .. })));
}

#[test]
fn a_rename_that_somebody_else_won_is_tried_from_the_new_name() {
    let (mut desk, action) = Desk::new();
    let _ = desk.until(action, "Rename");
    desk.name.start = start_id(1, 7);
    let _ = desk.tell(Fact::Replied(Reply::Refused(Refusal::NoSuchTable))).unwrap();
    let Action::Rename(permit) = desk.tell(Fact::Names(desk.names())).unwrap() else { panic!("list again") };
    assert_eq!(permit.to().start, start_id(2, 1));
}

#[test]
fn an_adoption_takes_what_all_workers_sealed_and_its_last_intent_names_the_new_logs() {
    let mut desk = logged();
    desk.setup.limits.chunks_per_commit = 1;
    let old = desk.coordinator.staging().unwrap().start;
    let action = desk.restart(2);
    let Action::Open(permit) = desk.run(action).unwrap() else { panic!("it opens") };
    assert_eq!(permit.first_epoch(), Epoch(3), "worker 0 sealed up to 3, worker 1 up to 4");
    assert_eq!(permit.positions().get("p"), Some(&b"after 2"[..]));
    let rows: u64 = desk.target.iter().map(|extent| extent.rows).sum();
    assert_eq!(rows, 5 + 6 + 7 + 8, "epoch 3 is replayed");
    let mut intents = desk.intents();
    intents.sort_by_key(|intent| intent.id.seq);
    let logs: Vec<StartId> = intents.iter().map(|intent| intent.after.logs.unwrap().start).collect();
    assert_eq!(logs, [old, old, old, permit.start()], "the opening of start 1, then three of the adoption");
}

#[test]
fn missing_logs_are_replayed_if_sources_can_and_stop_the_start_if_not() {
    let mut desk = logged();
    desk.directories.remove(1);
    let action = desk.restart(2);
    let Action::Open(permit) = desk.run(action).unwrap() else { panic!("it opens") };
    assert_eq!(permit.first_epoch(), Epoch(0));

    let mut desk = logged();
    desk.directories.remove(1);
    desk.setup.sources_replay = false;
    let action = desk.restart(2);
    let stop = desk.run(action).unwrap_err();
    let Stop::MissingLogs(facts) = &stop else { panic!("{stop}") };
    assert_eq!((facts.workers.as_slice(), facts.logs.workers, facts.cover), (&[Worker(1)][..], 2, Epoch(0)));
    let text = stop.to_string();
    assert!(text.contains("workers 1 of 2") && text.contains("host a, w0"), "{text}");
}

#[test]
fn missing_logs_of_a_fenced_start_are_not_reported() {
    let mut desk = logged();
    desk.directories.clear();
    desk.setup.sources_replay = false;
    let action = desk.restart(2);
    let action = desk.until(action, "ListLogs");
    let fact = desk.perform(&action).unwrap();
    assert!(matches!(desk.tell(fact).unwrap(), Action::ListNames));
    desk.name.start = start_id(9, 9);
    assert!(matches!(desk.tell(Fact::Names(desk.names())), Err(Stop::Fenced { .. })));
}

#[test]
fn a_gap_a_copied_or_stray_log_and_columns_that_do_not_fit_stop_the_start() {
    let stop = |change: fn(&mut Desk)| {
        let mut desk = logged();
        change(&mut desk);
        let action = desk.restart(2);
        desk.run(action).unwrap_err()
    };
    let gap = stop(|desk| drop(desk.directories[0].files.remove(0)));
    assert!(matches!(&gap, Stop::Logs(LogError::Gap { from: Epoch(0), next: Epoch(1), .. })), "{gap}");
    let twice = stop(|desk| desk.directories.push(desk.directories[1].clone()));
    assert!(matches!(&twice, Stop::Logs(LogError::Twice { worker: Worker(1), .. })), "{twice}");
    let stray = stop(|desk| {
        let run = desk.directories[0].start;
        desk.directories.push(directory(run, 2, vec![]));
    });
    assert!(matches!(&stray, Stop::Logs(LogError::Stray { worker: Worker(2), workers: 2, .. })), "{stray}");
    let columns = stop(|desk| {
        let column = |kind: &str| Column { name: "n".to_owned(), kind: kind.to_owned() };
        desk.directories[0].files[0].chunks[0].columns = vec![column("long")];
        desk.columns = vec![column("string")];
    });
    assert!(columns.to_string().contains("n:long") && columns.to_string().contains("n:string"), "{columns}");
}

#[test]
fn an_ambiguous_intent_is_told_with_everything_a_person_needs() {
    let mut desk = ambiguous();
    let action = desk.restart(2);
    let stop = desk.run(action).unwrap_err();
    assert_eq!(stop.exit_code(), 4);
    let text = stop.to_string();
    for word in
        ["intent 2 of start 1-", "epochs 0 to 1", "5 rows", "kt:", "resolve --committed", "resolve --restage"]
    {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

#[test]
fn a_person_who_finds_the_rows_lets_the_next_start_go_on_behind_them() {
    let mut desk = ambiguous();
    let intent = desk.intents().into_iter().find(|intent| intent.id.seq == Seq(2)).unwrap();
    desk.raw.extend(Resolution::committed(&intent).raw(lineage()));
    let action = desk.restart(2);
    let Action::Open(permit) = desk.run(action).unwrap() else { panic!("it opens") };
    assert_eq!((permit.first_epoch(), permit.positions().get("p")), (Epoch(1), Some(&b"5"[..])));
}

/// The decision was about one intent. What becomes of the next one has to be shown again.
#[test]
fn a_persons_decision_counts_for_its_own_intent_only() {
    let decisions: [fn(&Intent, &Intent) -> Resolution; 2] = [
        |_, intent| Resolution::committed(intent),
        |parent, intent| Resolution::restage(intent, Some(parent)).unwrap(),
    ];
    for decide in decisions {
        let mut desk = ambiguous();
        let mut intents = desk.intents();
        intents.sort_by_key(|intent| intent.id.seq);
        desk.raw.extend(decide(&intents[0], &intents[1]).raw(lineage()));
        let action = desk.restart(2);
        let Action::Open(permit) = desk.run(action).unwrap() else { panic!("it opens") };
        let epoch = permit.first_epoch().0;
        let chunk = desk.staged(0, epoch, 7);
        let action = desk.news(epoch + 1, vec![chunk], vec![]).unwrap();
        let _ = desk.until(action, "Move");
        desk.staging.clear();
        let action = desk.tell(Fact::Replied(Reply::Lost)).unwrap();
        let outcome = desk.run(action);
        let Err(Stop::Ambiguous(facts)) = outcome else { panic!("taken for decided: {outcome:?}") };
        assert_eq!((facts.rows, facts.missing[0].tag), (7, chunk.tag));
    }
}

#[test]
fn a_person_who_finds_none_of_the_rows_has_them_staged_again() {
    let mut desk = ambiguous();
    let run = desk.intents()[0].after.logs.unwrap().start;
    let mut intents = desk.intents();
    intents.sort_by_key(|intent| intent.id.seq);
    assert_eq!(Resolution::restage(&intents[1], None), None, "it has another parent");
    let resolution = Resolution::restage(&intents[1], Some(&intents[0])).unwrap();
    desk.raw.extend(resolution.raw(lineage()));
    desk.directories =
        vec![directory(run, 0, vec![file(0, 1, &[(0, 5)])]), directory(run, 1, vec![file(0, 1, &[])])];
    desk.directories[1].files[0].positions.clear();
    let action = desk.restart(2);
    let Action::Open(permit) = desk.run(action).unwrap() else { panic!("it opens") };
    assert_eq!(permit.first_epoch(), Epoch(1));
    assert_eq!(desk.target.iter().map(|extent| extent.rows).sum::<u64>(), 5);
    let action = desk.restart(3);
    assert!(matches!(desk.run(action).unwrap(), Action::Open(_)), "and the chain goes on behind it");
}

#[test]
fn a_decision_to_stage_again_is_not_followed_while_a_part_of_the_rows_is_there() {
    let mut desk = ambiguous();
    let mut intents = desk.intents();
    intents.sort_by_key(|intent| intent.id.seq);
    let resolution = Resolution::restage(&intents[1], Some(&intents[0])).unwrap();
    desk.raw.extend(resolution.raw(lineage()));
    let claimed = &intents[1].chunks[0];
    let there = Extent { id: claimed.extents[0], rows: 5, tags: vec![claimed.tag] };
    desk.target.push(there);
    let action = desk.restart(2);
    let Action::Open(permit) = desk.run(action).unwrap() else { panic!("it opens") };
    assert_eq!(permit.first_epoch(), Epoch(1), "the evidence in T counts more");
    assert_eq!(desk.target.len(), 1);
}

#[test]
fn missing_rights_stop_with_the_role() {
    let (mut desk, action) = Desk::new();
    let _ = desk.until(action, "Append");
    let (role, message) = ("Database Ingestor".to_owned(), "403".to_owned());
    let action = desk.tell(Fact::Replied(Reply::Refused(Refusal::Rights { role, message }))).unwrap();
    assert!(matches!(action, Action::ListNames), "it might be fenced");
    let stop = desk.tell(Fact::Names(desk.names())).unwrap_err();
    assert!(stop.exit_code() == 2 && stop.to_string().contains("Database Ingestor"), "{stop}");
}

#[test]
fn a_move_that_is_refused_is_looked_at_and_tried_again_until_it_lasts() {
    let (mut desk, action) = Desk::new();
    let _ = desk.run(action).unwrap();
    let chunk = desk.staged(0, 0, 5);
    let action = desk.news(1, vec![chunk], vec![]).unwrap();
    let _ = desk.until(action, "Move");
    let refused = |patience| {
        Fact::Replied(Reply::Refused(Refusal::Other { message: "schema mismatch".to_owned(), patience }))
    };
    let action = desk.tell(refused(Patience::Left)).unwrap();
    let _ = desk.until(action, "Move");
    let action = desk.tell(refused(Patience::Over)).unwrap();
    let fact = desk.perform(&action).unwrap();
    let stop = desk.tell(fact).unwrap_err();
    assert!(matches!(&stop, Stop::Refused { message, .. } if message == "schema mismatch"), "{stop}");
}

#[test]
fn a_chunk_that_never_arrives_whole_stops_with_its_name() {
    let limits = Limits { attempts_per_chunk: 3, ..Limits::default() };
    let (mut desk, action) = Desk::with(Setup { limits, ..setup(1) });
    let _ = desk.run(action).unwrap();
    let chunk = StagedChunk { tag: desk.tag(0, 0, 0), rows: 5, sum: None };
    let mut action = desk.news(1, vec![chunk], vec![]).unwrap();
    let stop = loop {
        let fact = match &action {
            Action::ListStaging(_) => {
                Fact::Staging { listing: Listing::Extents(vec![]), patience: Patience::Over }
            }
            Action::Stage(permit) => Fact::Staged(permit.chunks().to_vec()),
            _ => desk.perform(&action).unwrap(),
        };
        match desk.tell(fact) {
            Ok(next) => action = next,
            Err(stop) => break stop,
        }
    };
    assert!(matches!(stop, Stop::ChunkRefused { attempts: Attempt(3), seen: 0, rows: 5, .. }), "{stop}");
}

#[test]
fn a_chunk_in_two_extents_is_refused_where_a_blob_may_become_visible_in_parts() {
    let tag: Tag = "kt:00c0ffee00c0ffee/7/g7w0/0.0/0".parse().unwrap();
    let extent = |id, rows| Extent { id: ExtentId(id), rows, tags: vec![tag] };
    let (chunk, halves) = (StagedChunk { tag, rows: 4, sum: None }, [extent(1, 2), extent(2, 2)]);
    assert_eq!(verify(&chunk, &halves, false), Verified::Whole(vec![ExtentId(1), ExtentId(2)]));
    assert_eq!(verify(&chunk, &halves, true), Verified::More { rows: 4 });
    let merged = [Extent { tags: vec![tag, Tag { attempt: Attempt(1), ..tag }], ..extent(1, 4) }];
    assert_eq!(verify(&chunk, &merged, false), Verified::More { rows: 4 });
}

#[test]
fn an_answer_that_was_not_asked_for_is_a_defect_and_ends_the_start() {
    let (mut desk, _) = Desk::new();
    assert!(matches!(desk.tell(Fact::Close), Err(Stop::Misuse { .. })));
    assert!(
        matches!(desk.tell(Fact::Names(desk.names())), Err(Stop::Misuse { .. })),
        "and nothing comes after it"
    );
}

#[test]
fn a_gap_in_the_chain_and_two_starts_of_one_generation_are_errors() {
    let (mut desk, action) = Desk::new();
    let _ = desk.run(action).unwrap();
    for epoch in 0..3 {
        let chunk = desk.staged(0, epoch, 5);
        let action = desk.news(epoch + 1, vec![chunk], vec![]).unwrap();
        let _ = desk.run(action).unwrap();
    }
    let full = desk.raw.clone();
    desk.raw.retain(|raw| raw.seq != Some(3));
    assert!(matches!(desk.ledger().head(), Err(LedgerError::Gap { .. })));
    desk.raw = full;
    let twin = Row::Start(Start { by: start_id(1, 99), head: None, sums_over: None });
    desk.late.push(twin);
    assert!(matches!(Ledger::of(desk.rows()).head(), Err(LedgerError::TwoStarts { .. })));
}
