//! The questions to a cluster, put to the local one with each of its switches both ways.
#![allow(clippy::unwrap_used, missing_docs)]

use std::thread::{self, JoinHandle};
use std::time::Duration;

use kusto_client::{Client, ConnectionOptions, Service};
use kusto_emulator::{
    Assumptions, Emulator, Endpoint, Fault, FaultRule, Handle, HoldPoint, IngestIfNotExists, MissingExtents,
    ResolvedNames, Undocumented,
};
use timely_kusto::assumptions::{Answer, AskOptions, Report, Verdict, ask, questions};
use timely_kusto_tests::until;

const DATABASE: &str = "Samples";

struct Cluster {
    emulator: Emulator,
    runtime: tokio::runtime::Runtime,
}

impl Cluster {
    fn start(assumptions: Assumptions) -> Self {
        let emulator = Emulator::builder().database(DATABASE).assumptions(assumptions).start().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
        Cluster { emulator, runtime: runtime.unwrap() }
    }

    fn handle(&self) -> Handle {
        self.emulator.handle().clone()
    }

    fn ask(&self, only: &[&str]) -> Report {
        let options = ConnectionOptions::builder().cluster_url(self.emulator.cluster_url()).no_auth();
        let client = Client::connect(options.build().unwrap()).unwrap();
        let mut options = AskOptions::default();
        options.grace = Duration::from_secs(3);
        options.blob_rows = 10_000;
        options.extents = 8;
        options.only = only.iter().map(|name| (*name).to_owned()).collect();
        let asked = ask(&client, DATABASE, &options, std::future::pending(), |_| {});
        self.runtime.block_on(asked).unwrap()
    }

    fn ask_one(&self, name: &str) -> Answer {
        let report = self.ask(&[name]);
        assert_eq!(report.answers.len(), 1);
        report.answer(name).unwrap().clone()
    }

    fn tables(&self) -> Vec<String> {
        let rows = self.handle().command(DATABASE, ".show tables | project TableName").unwrap();
        rows.iter().map(|row| row[0].as_str().unwrap().to_owned()).collect()
    }
}

fn with(change: impl FnOnce(&mut Assumptions)) -> Cluster {
    let mut assumptions = Assumptions::default();
    change(&mut assumptions);
    Cluster::start(assumptions)
}

/// Waits for something that another thread brings about; gives up after a minute.
/// Once `held` requests are held and `ready` says so, lets them go on.
fn release_when(
    handle: Handle,
    held: usize,
    mut ready: impl FnMut(&Handle) -> bool + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        until("requests to be held", || (handle.held().len() >= held).then_some(()));
        until("leave to go on", || ready(&handle).then_some(()));
        handle.release_all();
    })
}

#[test]
fn a_cluster_as_assumed_holds_every_promise_and_is_left_as_it_was() {
    let cluster = Cluster::start(Assumptions::default());
    cluster.handle().command(DATABASE, ".create table Others (n: long)").unwrap();
    let report = cluster.ask(&[]);
    let names: Vec<_> = report.answers.iter().map(|answer| answer.name).collect();
    assert_eq!(names, questions().map(|(name, _)| name).collect::<Vec<_>>());
    for answer in &report.answers {
        // Whether a request can be caught on its way is chance here; it is asked for below.
        if answer.name != "request-on-its-way" {
            assert!(matches!(answer.verdict, Verdict::Holds | Verdict::Costs), "{answer}");
        }
    }
    assert_eq!((report.left_behind.len(), cluster.tables()), (0, vec!["Others".to_owned()]));
}

#[test]
fn an_old_name_that_still_leads_to_the_table_breaks_the_promise() {
    let lasting = with(|switches| switches.old_names_last = Duration::from_secs(600));
    let answer = lasting.ask_one("old-name-in-commands");
    assert_eq!(answer.verdict, Verdict::Breaks, "{answer}");
    let gone = with(|_| ()).ask_one("old-name-in-commands");
    assert_eq!(gone.verdict, Verdict::Holds, "{gone}");
}

#[test]
fn a_request_on_its_way_is_told_apart_by_its_effect() {
    for (switch, found) in
        [(ResolvedNames::FollowTheTable, "takes effect"), (ResolvedNames::CheckedAgain, "it fails")]
    {
        let cluster = with(|switches| switches.resolved_names = switch);
        let hold = Fault::Hold(HoldPoint::Commit);
        cluster.handle().add_fault(FaultRule::new(Endpoint::Management, hold).operation(".append").times(1));
        let renamed = |handle: &Handle| {
            let raced = handle.command(DATABASE, ".show tables | where TableName endswith '_raced'");
            !raced.unwrap().is_empty()
        };
        let release = release_when(cluster.handle(), 1, renamed);
        let answer = cluster.ask_one("request-on-its-way");
        release.join().unwrap();
        assert_eq!(answer.verdict, Verdict::Holds, "{answer}");
        assert!(answer.found.contains(found), "{answer}");
    }
}

#[test]
fn an_ingestion_side_that_learns_names_late_costs_time_or_breaks_staging() {
    let late = with(|switches| switches.ingestion_learns_names_after = Duration::from_secs(1));
    let answer = late.ask_one("names-in-ingestion");
    assert_eq!(answer.verdict, Verdict::Costs, "{answer}");
    let never = with(|switches| switches.ingestion_learns_names_after = Duration::from_secs(600));
    let answer = never.ask_one("names-in-ingestion");
    // A name as old as the cluster is not known either, so the first blob fails already.
    assert!(matches!(answer.verdict, Verdict::Breaks | Verdict::Unanswered), "{answer}");
}

#[test]
fn each_way_to_move_what_is_partly_gone_is_told_apart() {
    for (switch, found) in [
        (MissingExtents::Refused, "it is refused"),
        (MissingExtents::NothingMoves, "it succeeds and moves nothing"),
        (MissingExtents::OthersMove, "it moves those that are there"),
        (MissingExtents::RowsSayFailed, "its rows say Failed"),
    ] {
        let answer = with(|switches| switches.missing_extents = switch).ask_one("move-of-what-is-gone");
        assert_eq!(answer.verdict, Verdict::Holds, "{answer}");
        assert!(answer.found.contains(found), "{switch:?}: {answer}");
    }
}

#[test]
fn reads_that_lag_break_the_promise() {
    for endpoint in [Endpoint::Query, Endpoint::Management] {
        let cluster = with(|_| ());
        let stale = FaultRule::new(endpoint, Fault::Stale { behind: 1 });
        // Its listings; a lag of all commands would hide the table itself.
        let stale = if endpoint == Endpoint::Query { stale } else { stale.operation(".show table") };
        cluster.handle().add_fault(stale.skip(2));
        let answer = cluster.ask_one("fresh-reads");
        assert_eq!(answer.verdict, Verdict::Breaks, "{answer}");
    }
    let fresh = with(|_| ()).ask_one("fresh-reads");
    assert_eq!(fresh.verdict, Verdict::Holds, "{fresh}");
}

#[test]
fn a_blob_that_becomes_visible_in_halves_breaks_the_promise() {
    let cluster = with(|_| ());
    let hold = Fault::Hold(HoldPoint::Halfway);
    cluster.handle().add_fault(FaultRule::new(Endpoint::Ingestion, hold).times(1));
    let mut before = None;
    // Each look is three requests: after a dozen, the half was surely seen.
    let seen =
        move |handle: &Handle| handle.request_count() >= *before.get_or_insert(handle.request_count()) + 12;
    let release = release_when(cluster.handle(), 1, seen);
    let answer = cluster.ask_one("blob-at-once");
    release.join().unwrap();
    assert_eq!(answer.verdict, Verdict::Breaks, "{answer}");
}

#[test]
fn the_check_of_ingest_if_not_exists_is_seen_both_ways() {
    for (switch, found) in
        [(IngestIfNotExists::Atomic, "one of two"), (IngestIfNotExists::CheckedAtStart, "both of two")]
    {
        let cluster = with(|switches| switches.ingest_if_not_exists = switch);
        let hold = Fault::Hold(HoldPoint::Commit);
        cluster.handle().add_fault(FaultRule::new(Endpoint::Management, hold).operation(".append").times(2));
        let release = release_when(cluster.handle(), 2, |_| true);
        let answer = cluster.ask_one("ingest-if-not-exists");
        release.join().unwrap();
        assert!(answer.found.contains(found), "{switch:?}: {answer}");
    }
}

#[test]
fn what_is_stopped_is_unanswered_and_cleaned_up() {
    let cluster = with(|_| ());
    let options = ConnectionOptions::builder().cluster_url(cluster.emulator.cluster_url()).no_auth();
    let client = Client::connect(options.build().unwrap()).unwrap();
    let asked = AskOptions::default();
    let report = cluster.runtime.block_on(ask(&client, DATABASE, &asked, std::future::ready(()), |_| {}));
    let report = report.unwrap();
    assert_eq!(report.verdict(), Verdict::Unanswered);
    assert!(report.left_behind.is_empty() && cluster.tables().is_empty());
}

#[test]
fn a_principal_that_cannot_create_tables_is_told_so_before_anything_is_asked() {
    let emulator = Emulator::builder().database(DATABASE).sign_in(true).tenant("tenant").start().unwrap();
    let principal =
        emulator.handle().add_app("viewer", "a-key", &[kusto_emulator::Grant::database(DATABASE, "viewers")]);
    principal.unwrap();
    let options = ConnectionOptions::builder()
        .cluster_url(emulator.cluster_url())
        .application("viewer", "a-key", "tenant")
        .build()
        .unwrap();
    let client = Client::connect(options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = AskOptions::default();
    let service: &dyn Service = &client;
    let error = runtime.block_on(ask(service, DATABASE, &asked, std::future::pending(), |_| {})).unwrap_err();
    assert_eq!(error.kind(), kusto_client::ErrorKind::Forbidden, "{error}");
}

#[test]
fn rows_of_direct_ingestion_that_are_not_listed_at_once_cost_time() {
    let answer = with(|_| ()).ask_one("direct-ingestion");
    assert_eq!(answer.verdict, Verdict::Holds, "{answer}");
    let late = with(|_| ());
    let stale = FaultRule::new(Endpoint::Management, Fault::Stale { behind: 1 }).operation(".show table");
    late.handle().add_fault(stale);
    let answer = late.ask_one("direct-ingestion");
    assert_eq!(answer.verdict, Verdict::Costs, "{answer}");
    let cluster = with(|_| ());
    let refused = Fault::Fail { status: 400, retry_after: None };
    cluster.handle().add_fault(FaultRule::new(Endpoint::Management, refused).operation(".ingest into"));
    let answer = cluster.ask_one("direct-ingestion");
    assert_eq!(answer.verdict, Verdict::Breaks, "{answer}");
    assert!(!format!("{answer:?}").contains("sig="), "{answer:?}");
}

#[test]
fn values_that_are_hashed_otherwise_are_named_by_their_types() {
    let answer = with(|switches| switches.undocumented = Undocumented::Refused).ask_one("row-hash");
    assert_eq!(answer.verdict, Verdict::Costs, "{answer}");
    assert!(answer.found.contains("real") && answer.found.contains("string"), "{answer}");
    let answer = with(|_| ()).ask_one("row-hash");
    assert_eq!(answer.verdict, Verdict::Holds, "{answer}");
}
