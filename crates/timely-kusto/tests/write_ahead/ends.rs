//! Why a run ends, and who learns of it: tables that somebody drops, and failures of one of several processes.

use std::time::Duration;

use kusto_emulator::{Endpoint, Fault, FaultRule};
use tempfile::TempDir;
use timely_kusto::WriteAheadSink;

use crate::support::*;

/// Two sinks that know nothing of each other but what workers tell: as in two processes.
fn two_processes(place: &Place, work: fn(&mut timely::worker::Worker, Run) -> Outcome) -> Vec<Outcome> {
    let elsewhere = TempDir::new().unwrap();
    let processes = [place.ahead(), place.ahead_elsewhere(&elsewhere)];
    on_workers(2, move |worker| {
        let run = Run::open(worker, &processes[worker.index()])?;
        work(worker, run)
    })
}

#[test]
fn a_failure_in_the_log_of_one_process_ends_the_others_with_its_reason() {
    let place = Place::new();
    place.command(&format!(".alter table {TABLE} (id:long)"));
    let outcomes = two_processes(&place, |worker, mut run| {
        // The first worker has no rows; only the other one finds out that a column is missing.
        match worker.index() {
            0 => run.feed(0, 0),
            _ => run.feed(u64::MAX, 5),
        };
        run.finish(worker)
    });
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains("rows have a field \"text\""), "{error}");
    }
}

#[test]
fn a_start_without_its_target_names_it_and_goes_on_when_there_is_one_again() {
    let place = Place::new();
    all_well(&send(&place.ahead(), 1, 60, 20));
    place.command(&format!(".drop table {TABLE}"));
    for ahead in [place.ahead(), place.ahead()] {
        let error = send(&ahead, 1, 120, 20).remove(0).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("there is no table {TABLE}")) && text.contains(".undo drop"),
            "{text}"
        );
    }
    place.command(&format!(".create table {TABLE} (text:string, id:long)"));
    all_well(&send(&place.ahead(), 1, 120, 20));
    place.holds(60..120);
}

#[test]
fn a_run_whose_kt_epochs_somebody_drops_ends_with_what_a_person_does_and_so_does_the_next_start() {
    let place = Place::new();
    let (ahead, handle) = (place.ahead(), place.handle());
    let outcome = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        run.feed(u64::MAX, 5);
        let last = run.epoch;
        run.step_until(worker, |run| !run.committed.less_than(&last));
        handle.command(DATABASE, ".drop table kt_epochs").unwrap();
        run.feed(u64::MAX, 5);
        run.finish(worker)
    });
    let again = send(&place.ahead(), 1, 60, 20);
    for error in outcome.into_iter().chain(again).map(Result::unwrap_err) {
        assert_eq!(error.exit_code(), 4, "{error}");
        let text = error.to_string();
        assert!(text.contains("kt_epochs") && text.contains(".undo drop table kt_epochs"), "{text}");
        assert!(text.contains("kt_anchor_"), "{text}");
    }
    let audit = place.ahead().audit().unwrap_err();
    assert_eq!(audit.exit_code(), 4, "{audit}");
    let missing = place.ahead().missing_rights().unwrap_err();
    assert_eq!(missing.exit_code(), 4, "{missing}");
    place.holds(0..5 * PARTITIONS);
}

#[test]
fn a_person_who_lost_kt_epochs_can_begin_anew_as_the_error_says() {
    let place = Place::new();
    all_well(&send(&place.ahead(), 1, 60, 20));
    place.command(".drop table kt_epochs");
    let error = send(&place.ahead(), 1, 60, 20).remove(0).unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    place.command(&format!(".clear table {TABLE} data"));
    let tables = place.command(".show tables | where TableName startswith 'kt_' | project TableName");
    for table in tables {
        place.command(&format!(".drop table {}", table[0].as_str().unwrap()));
    }
    let state = TempDir::new().unwrap();
    all_well(&send(&place.ahead_elsewhere(&state), 1, 60, 20));
    place.holds(0..60);
}

#[test]
fn a_sweep_of_many_extents_takes_several_commands_of_a_bounded_size() {
    let place = Place::new();
    let made = place.ahead().init().unwrap();
    let lineage = made.anchor_table.strip_prefix("kt_anchor_").unwrap();
    let left_over = 1_200;
    for number in 0..left_over {
        let tag = format!("kt:{lineage}/0/g0w0/{number}.0/0");
        let rows = "print text = 'old', id = 1";
        let command = format!(".append {} with (tags = '[\"{tag}\"]') <| {rows}", made.staging_table);
        place.command(&command);
    }
    let (ahead, handle) = (place.ahead(), place.handle());
    let outcomes = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        for _ in 0..2 {
            run.feed(u64::MAX, 5);
            let last = run.epoch;
            run.step_until(worker, |run| !run.committed.less_than(&last));
        }
        run.finish(worker)
    });
    all_well(&outcomes);
    let requests = handle.requests();
    let drops = |it: &&kusto_emulator::Request| {
        it.endpoint == Endpoint::Management && it.operation.starts_with(".drop extents")
    };
    assert_eq!(requests.iter().filter(drops).count(), 2);
    let staging = place.command(".show tables | where TableName startswith 'kt_stage_' | project TableName");
    let left = place.command(&format!(".show table {} extents | count", staging[0][0].as_str().unwrap()));
    assert_eq!(left[0][0], 0);
    place.holds(0..10 * PARTITIONS);
}

#[test]
fn a_start_can_be_given_up_while_the_service_is_away_and_a_later_one_goes_on() {
    let place = Place::new();
    let handle = place.handle();
    let away = Fault::Fail { status: 503, retry_after: None };
    handle.add_fault(FaultRule::new(Endpoint::Management, away).operation(".rename"));
    let (ahead, asked) = (place.ahead(), place.handle());
    let opened = on_workers(2, move |worker| {
        let renames = || asked.requests().iter().filter(|it| it.operation.starts_with(".rename")).count();
        WriteAheadSink::open_while(worker, &ahead, || renames() < 4).map(|sink| sink.is_some())
    });
    for opened in opened {
        assert!(matches!(opened, Ok(false)), "{opened:?}");
    }
    handle.clear_faults();
    all_well(&send(&place.ahead(), 2, 60, 20));
    place.holds(0..60);
}

#[test]
fn a_run_that_may_not_wait_any_longer_ends_in_all_processes_and_the_next_start_finishes() {
    let place = Place::new();
    let handle = place.handle();
    let away = Fault::Fail { status: 503, retry_after: None };
    handle.add_fault(FaultRule::new(Endpoint::Management, away).operation(".move extents"));
    let outcomes = two_processes(&place, |worker, mut run| {
        run.feed(60, 5);
        while run.feed(60, 5) {}
        match worker.index() {
            0 => run.finish_at_most(worker, Duration::from_millis(300)),
            _ => run.finish(worker),
        }
    });
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!(error.exit_code(), 1, "{error}");
        let text = error.to_string();
        assert!(text.contains("not in the table") && text.contains("next start"), "{text}");
    }
    handle.clear_faults();
    all_well(&send(&place.ahead(), 2, 60, 20));
    place.holds(0..60);
}
