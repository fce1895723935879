//! Each switch of the local cluster, which is a question that no document answers: every row is in the table once with
//! either answer, or a test here shows what breaks, and `docs/exactly-once.md` says so.
//!
//! The default answers hold in all other tests. With each of the others a pipeline is put through an [`ordeal`]: answers are
//! lost, messages are lost and repeated, extents merged, a run vanishes, another goes on as a zombie with a move on its way. Once
//! with queued staging, once with direct.

use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use kusto_emulator::{
    Assumptions, BlobsVisible, CreatedRange, DirectManagedIdentity, Emulator, Endpoint, FailedSources, Fault,
    FaultRule, GzipMembers, HoldPoint, IngestIfNotExists, Merges, MissingExtents, OperationColumns,
    RaggedRecords, RepeatedMessages, ResolvedNames, RightsOfWaiting, SkippedStatus, Undocumented,
    UnknownSize, WeakReads,
};
use tempfile::TempDir;
use timely_kusto::{Deadlines, Staging, WriteAheadOptions};

use crate::support::*;

type Change = fn(&mut Assumptions);

/// What is done about a switch.
enum Done {
    /// An ordeal with each of these answers, in either way of staging: every row once.
    Ordeals(&'static [Change]),
    /// The mode never asks what it is about; the ordeal is passed all the same.
    Unasked(#[expect(dead_code, reason = "for readers")] &'static str, Change),
    /// Tests of their own show what another answer than the assumed one breaks.
    Breaks,
}

use Done::{Breaks, Ordeals, Unasked};

const AN_HOUR: Duration = Duration::from_secs(3600);

/// All switches by the names of their fields.
const SWITCHES: [(&str, Done); 26] = [
    ("resolved_names", Ordeals(&[|it| it.resolved_names = ResolvedNames::CheckedAgain])),
    ("rights", Ordeals(&[|it| it.rights = RightsOfWaiting::WhenItArrives])),
    // `an_old_name_that_still_leads_to_the_table_repeats_rows`
    ("old_names_last", Breaks),
    (
        "ingestion_learns_names_after",
        Ordeals(&[|it| it.ingestion_learns_names_after = Duration::from_millis(300)]),
    ),
    ("batching_learned_after", Ordeals(&[|it| it.batching_learned_after = AN_HOUR])),
    // `reads_that_lag_…`
    ("reads_lag", Breaks),
    ("weak_reads", Ordeals(&[|it| (it.weak_reads, it.reads_lag) = (WeakReads::WhenAsked, AN_HOUR)])),
    (
        "missing_extents",
        Ordeals(&[
            |it| it.missing_extents = MissingExtents::NothingMoves,
            |it| it.missing_extents = MissingExtents::OthersMove,
            |it| it.missing_extents = MissingExtents::RowsSayFailed,
        ]),
    ),
    ("created_range", Ordeals(&[|it| it.created_range = CreatedRange::Required])),
    ("move_takes", Ordeals(&[|it| it.move_takes = Duration::from_millis(30)])),
    ("new_ingestion_time_takes", Ordeals(&[|it| it.new_ingestion_time_takes = Duration::from_millis(30)])),
    (
        "async_takes",
        Unasked("only `init` of a materialized view sends a command as `async`", |it| {
            it.async_takes = AN_HOUR
        }),
    ),
    (
        "ingest_if_not_exists",
        Unasked("the option is refused in this mode", |it| {
            it.ingest_if_not_exists = IngestIfNotExists::CheckedAtStart;
        }),
    ),
    (
        "skipped_status",
        Unasked("only `ingestIfNotExists` leads to it", |it| it.skipped_status = SkippedStatus::Failed),
    ),
    ("blobs_visible", Ordeals(&[|it| it.blobs_visible = BlobsVisible::InTwoSteps])),
    ("extents_per_ingestion", Ordeals(&[|it| it.extents_per_ingestion = 3])),
    ("failed_sources", Ordeals(&[|it| it.failed_sources = FailedSources::VoidTheCommand])),
    ("ragged_records", Ordeals(&[|it| it.ragged_records = RaggedRecords::BestEffort])),
    ("gzip_members", Ordeals(&[|it| it.gzip_members = GzipMembers::FirstOnly])),
    ("unknown_size", Ordeals(&[|it| it.unknown_size = UnknownSize::Estimated])),
    ("repeated_messages", Ordeals(&[|it| it.repeated_messages = RepeatedMessages::IngestedOnce])),
    ("default_batch_items", Ordeals(&[|it| it.default_batch_items = 1])),
    ("direct_managed_identity", Ordeals(&[|it| it.direct_managed_identity = DirectManagedIdentity::Refused])),
    ("undocumented", Ordeals(&[|it| it.undocumented = Undocumented::Refused])),
    (
        "operation_columns",
        Unasked("`.show operations` is asked by `init` of a materialized view only", |it| {
            it.operation_columns = OperationColumns::Documented
        }),
    ),
    ("merges", Ordeals(&[|it| it.merges = Merges::OnDemand])),
];

#[test]
fn no_switch_is_forgotten() {
    let all = serde_json::to_value(Assumptions::default()).unwrap();
    let mut fields: Vec<_> = all.as_object().unwrap().keys().map(String::as_str).collect();
    let mut here: Vec<_> = SWITCHES.iter().map(|(field, _)| *field).collect();
    fields.sort_unstable();
    here.sort_unstable();
    assert_eq!(here, fields);
    // Each ordeal turns the switch that it stands at.
    for (field, done) in &SWITCHES {
        for change in changes(done) {
            let mut changed = Assumptions::default();
            change(&mut changed);
            assert_ne!(serde_json::to_value(changed).unwrap()[field], all[field], "{field}");
        }
    }
}

fn changes(done: &Done) -> &[Change] {
    match done {
        Ordeals(changes) => changes,
        Breaks => &[],
        Unasked(_, change) => std::slice::from_ref(change),
    }
}

#[test]
fn with_either_answer_to_each_open_question_every_row_is_there_once() {
    let cases = SWITCHES.iter().flat_map(|(field, done)| {
        let ways = [Staging::Queued, Staging::Direct];
        changes(done).iter().flat_map(move |change| ways.map(|staging| (field, change, staging)))
    });
    let waiting = std::sync::Mutex::new(cases);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((field, change, staging)) = { waiting.lock().unwrap().next() } {
                    println!("{field}, {staging:?}");
                    let mut doubts = Assumptions::default();
                    change(&mut doubts);
                    ordeal(field, doubts, staging);
                }
            });
        }
    });
}

/// Everything that goes wrong at once, and passes.
fn trouble(place: &Place) {
    let rule =
        |endpoint, fault, operation: &str| FaultRule::new(endpoint, fault).operation(operation).times(1);
    let twice = Fault::RepeatMessage { copies: 1, apart: Duration::from_millis(30) };
    for rule in [
        rule(Endpoint::Management, Fault::LoseAnswer, ".rename tables"),
        rule(Endpoint::Management, Fault::LoseAnswer, ".append"),
        rule(Endpoint::Management, Fault::FailAfter { status: 500 }, ".append").skip(1),
        rule(Endpoint::Management, Fault::LoseAnswer, ".move extents"),
        rule(Endpoint::Management, Fault::Refuse, ".move extents").skip(1),
        rule(Endpoint::Management, Fault::Merge, ".append").skip(3),
        rule(Endpoint::Queue, twice, "PutMessage"),
        rule(Endpoint::Queue, Fault::LoseMessage, "PutMessage").skip(1),
        rule(Endpoint::Ingestion, Fault::Half { status: 500 }, "Ingest").skip(2),
        // With direct staging.
        rule(Endpoint::Management, Fault::LoseAnswer, ".ingest into"),
        rule(Endpoint::Management, Fault::Half { status: 500 }, ".ingest into").skip(1),
        rule(Endpoint::Management, Fault::Refuse, ".ingest into").skip(2),
    ] {
        place.handle().add_fault(rule);
    }
}

/// A pipeline's life: a run in trouble, one that vanishes, one that becomes a zombie, one that takes over, one more.
fn ordeal(field: &str, doubts: Assumptions, staging: Staging) {
    let place = Place::new();
    let handle = place.handle();
    handle.assume(doubts);
    let on = |state: &TempDir| {
        let soon = Deadlines { whole: Duration::from_millis(400), ..Deadlines::default() };
        let write = write().poll_timeout(Duration::from_millis(600)).retain_blob_on_success(true);
        let options = WriteAheadOptions::new("numbers", state.path()).deadlines(soon).staging(staging);
        timely_kusto::WriteAhead::connect(&place.connection(), &write.build().unwrap(), options).unwrap()
    };
    trouble(&place);
    all_well(&send(&on(&place.state), 1, 90, 10));
    place.holds(0..90);
    handle.clear_faults();
    trouble(&place);
    send_and_vanish(&on(&place.state), 2, 4, 5, 1);
    handle.clear_faults();
    let held = FaultRule::new(Endpoint::Management, Fault::Hold(HoldPoint::Commit));
    handle.add_fault(held.operation(".move extents").times(1));
    let zombie = on(&place.state);
    let zombie = thread::spawn(move || send(&zombie, 3, 300, 20));
    block_on(handle.until_held(1));
    let elsewhere = TempDir::new().unwrap();
    all_well(&send(&on(&elsewhere), 1, 300, 50));
    handle.release_all();
    let zombie = zombie.join().unwrap().remove(0);
    assert_eq!(zombie.unwrap_err().exit_code(), 3, "{field}, {staging:?}");
    handle.settle_blocking();
    all_well(&send(&on(&elsewhere), 2, 400, 50));
    let differences = place.differences(0..400);
    assert!(differences.is_empty(), "{field}, {staging:?}: {differences:?}");
    let commands = handle.requests().iter().filter(|it| it.operation.starts_with(".ingest into")).count();
    assert_eq!(commands > 0, staging == Staging::Direct, "{field}");
    let asked = |request: &kusto_emulator::Request| {
        request.operation.split_whitespace().take(3).any(|it| it == "async")
    };
    assert!(!handle.requests().iter().any(asked), "a command is async");
}

/// What breaks: rows of start 1 are ingested after start 2 has taken over and swept. Start 1 lists them and moves them under
/// the old name. Where that leads nowhere it ends at the listing.
#[test]
fn an_old_name_that_still_leads_to_the_table_repeats_rows() {
    for (lasts, repeats) in [(Duration::ZERO, false), (AN_HOUR, true)] {
        let mut doubts = Assumptions::default();
        doubts.old_names_last = lasts;
        let place = Place::with(Emulator::builder().assumptions(doubts));
        let handle = place.handle();
        handle.add_fault(FaultRule::new(Endpoint::Ingestion, Fault::Hold(HoldPoint::Commit)).times(1));
        let first = place.ahead();
        let first = thread::spawn(move || send(&first, 1, 30, 30));
        block_on(handle.until_held(1));
        let elsewhere = TempDir::new().unwrap();
        all_well(&send(&place.ahead_elsewhere(&elsewhere), 1, 30, 30));
        handle.release_all();
        let first = first.join().unwrap().remove(0);
        let expected = (0..30).filter(|_| repeats).map(|id| (id, 1)).collect();
        assert_eq!(place.differences(0..30), expected, "{lasts:?}: {first:?}");
    }
}

/// What breaks: the look at the names shows the own name to a start that has lost it, so that an opening intent counts that
/// came too late. Its run seals rows that no start will adopt. They are lost where a source forgets what is sealed.
#[test]
fn reads_that_lag_let_a_run_open_that_is_void() {
    for lag in [false, true] {
        let place = Place::new();
        let handle = place.handle();
        let held = FaultRule::new(Endpoint::Management, Fault::Hold(HoldPoint::Commit));
        let intent = kusto_client::quote_string("intent");
        handle.add_fault(held.operation(".append kt_epochs").table(intent).times(1));
        let first = place.ahead();
        let first = thread::spawn(move || on_workers(1, move |worker| Run::open(worker, &first).map(drop)));
        block_on(handle.until_held(1));
        // From here on the cluster remembers what it was like.
        let stale = FaultRule::new(Endpoint::Management, Fault::Stale { behind: u64::MAX });
        handle.add_fault(stale.clone().times(0));
        let elsewhere = TempDir::new().unwrap();
        all_well(&send(&place.ahead_elsewhere(&elsewhere), 1, 0, 1));
        if lag {
            handle.add_fault(stale.operation(".show tables").times(1));
        }
        handle.release_all();
        let first = first.join().unwrap().remove(0);
        let opened = first.is_ok();
        assert_eq!(opened, lag, "{first:?}");
    }
}

/// What breaks: a start whose looks show the time before its own rename takes itself for one that was fenced. It ends, and
/// nothing is lost or repeated.
#[test]
fn reads_that_lag_end_a_start_that_holds_the_table() {
    let place = Place::new();
    let handle = place.handle();
    all_well(&send(&place.ahead(), 1, 60, 20));
    let fresh = handle.assumptions();
    let mut doubts = fresh;
    doubts.reads_lag = AN_HOUR;
    handle.assume(doubts);
    let soon = Deadlines { visible: Duration::from_millis(200), ..Deadlines::default() };
    let outcome = send(&place.ahead_with(write(), |options| options.deadlines(soon)), 1, 120, 20).remove(0);
    assert_eq!(outcome.unwrap_err().exit_code(), 3);
    handle.assume(fresh);
    place.holds(0..60);
    all_well(&send(&place.ahead(), 2, 120, 20));
    place.holds(0..120);
}

/// A move says when its extents were created, for a cluster that wants to know: never too narrowly.
#[test]
fn rows_with_a_creation_time_of_another_century_are_moved() {
    for created_range in [CreatedRange::Optional, CreatedRange::Required] {
        let mut doubts = Assumptions::default();
        doubts.created_range = created_range;
        let place = Place::with(Emulator::builder().assumptions(doubts));
        for (number, time) in ["1950-01-01T00:00:00Z", "9999-12-31T23:00:00Z"].into_iter().enumerate() {
            let write = write().creation_time(time.parse().unwrap());
            let end = 30 * (number as u64 + 1);
            all_well(&send(&place.ahead_with(write, |options| options), 1, end, 10));
            place.holds(0..end);
        }
    }
}
