//! Interleavings, written down: what each rule of the protocol is for, shown with the real operators.
//!
//! Each script holds requests at the cluster, lets them go on in a fixed order, and runs twice. With all rules every row
//! is in the table once. With one rule left out a row is lost or repeated, or a start stops for nothing. Nothing waits for
//! time to pass: what comes first is settled by holds, by clocks of the dataflow, or by looking until something is there.
//!
//! | rule | script | without it |
//! |---|---|---|
//! | the fence | `heads.rs` | a zombie goes on under the old name: repeated |
//! | start rows | `heads.rs` | a late intent takes the chain over: repeated |
//! | the claim, under stale reads | `heads.rs` | the head is one that was superseded: repeated |
//! | the rename before the claim | `heads.rs` | what came between them is missed: repeated |
//! | the look at names before an empty intent counts | `heads.rs` | a void run acknowledges at its seal: lost |
//! | the listing, not the status | `staging.rs` | a message that came twice is committed twice: repeated |
//! | only verified ids are moved | `staging.rs` | a copy that came after the commit is moved with the next: repeated |
//! | no sweep of a generation that is not over | `staging.rs` | drops what is about to be claimed: stops |
//! | superseded attempts are refused | `staging.rs` | what is committed is being swept: stops |
//! | S before T | `logs.rs` | a move between the looks is in neither: stops |
//! | the logs that the head names | `logs.rs` | older logs are taken for the ones that count: lost |
//! | the lock on logs | `logs.rs` | logs of a paused process are taken for missing: stops |
//! | the look at names before a stop | `logs.rs` | a zombie asks a person to decide, or to be started again: stops |
//! | the opening intent | `logs.rs` | nobody knows that logs are missing: lost |
//!
//! Three rules cannot be left out here, and are proved by the explorer of `commit-protocol` only ([`ELSEWHERE`]).

mod heads;
mod logs;
mod staging;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};

use commit_protocol::{Rule, Rules};
use futures::executor::block_on;
use kusto_emulator::{Endpoint, Fault, FaultHits, FaultRule, HoldPoint};
use timely_kusto::{WriteAhead, WriteAheadOptions};

use crate::support::*;

/// Rules whose scripts are in this module.
const HERE: [Rule; 13] = [
    Rule::Fence,
    Rule::StartRows,
    Rule::Claim,
    Rule::RenameBeforeClaim,
    Rule::LookAfterEmpty,
    Rule::Listing,
    Rule::GenerationOver,
    Rule::SupersededRefused,
    Rule::StagingBeforeTarget,
    Rule::LogsOfHead,
    Rule::LogLock,
    Rule::LookBeforeStop,
    Rule::OpeningIntent,
];

/// Rules that the operators cannot break, and why.
const ELSEWHERE: [(Rule, &str); 3] = [
    (
        Rule::StartByGeneration,
        "rows are sorted as they are read: no decision gets to know how they lie in the table",
    ),
    (
        Rule::SweepAfterStart,
        "the driver sweeps once a run is open, which is after the start row, and at no other time",
    ),
    (
        Rule::DurableIsFrontier,
        "a worker seals when the frontier of all has passed, D is the frontier of what all have sealed, and sources are \
         acknowledged behind C",
    ),
];

#[test]
fn every_rule_has_a_script_or_a_reason_why_it_has_none() {
    for rule in Rule::ALL {
        let times =
            HERE.iter().chain(ELSEWHERE.iter().map(|(rule, _)| rule)).filter(|it| **it == rule).count();
        assert_eq!(times, 1, "{rule:?}");
    }
}

/// A script's cluster, and the rules that hold in it.
struct Play {
    place: Place,
    rules: Rules,
}

/// What a script came to: how its starts ended, and how far the table is from holding each row once.
#[derive(Debug)]
struct Ending {
    codes: Vec<u8>,
    differences: BTreeMap<u64, i64>,
}

impl Ending {
    /// Every start ended as it should, and every row is there once.
    #[track_caller]
    fn is_exact(&self, codes: &[u8]) {
        assert!(self.differences.is_empty() && self.codes == codes, "{self:?}, with all rules");
    }

    /// These rows are there twice, and all others once.
    #[track_caller]
    fn repeats(&self, ids: Range<u64>) {
        self.differs(ids, 1);
    }

    /// These rows are missing, and all others are there once.
    #[track_caller]
    fn loses(&self, ids: Range<u64>) {
        self.differs(ids, -1);
    }

    #[track_caller]
    fn differs(&self, ids: Range<u64>, by: i64) {
        assert_eq!(self.differences, ids.map(|id| (id, by)).collect(), "{self:?}, without the rule");
    }

    /// A start asks for a person, without a reason: no row is repeated.
    #[track_caller]
    fn stops_for_nothing(&self, codes: &[u8]) {
        assert!(self.codes == codes, "{self:?}, without the rule");
        assert!(self.differences.values().all(|by| *by < 0), "{self:?}, without the rule");
    }
}

impl Play {
    fn new(rules: Rules) -> Self {
        Play { place: Place::new(), rules }
    }

    fn without(&self, rule: Rule) -> bool {
        !self.rules.on(rule)
    }

    /// The pipeline on a host with this state.
    fn on(&self, state: &Path) -> WriteAhead {
        self.on_with(state, write(), |options| options)
    }

    fn on_with(
        &self,
        state: &Path,
        write: timely_kusto::WriteOptionsBuilder,
        options: impl FnOnce(WriteAheadOptions) -> WriteAheadOptions,
    ) -> WriteAhead {
        let ahead = options(WriteAheadOptions::new("numbers", state).rules(self.rules));
        WriteAhead::connect(&self.place.connection(), &write.build().unwrap(), ahead).unwrap()
    }

    /// The pipeline on a host that nobody else uses.
    fn elsewhere(&self) -> (WriteAhead, tempfile::TempDir) {
        let state = tempfile::TempDir::new().unwrap();
        (self.on(state.path()), state)
    }

    /// Runs to the end on a host of its own.
    fn runs_elsewhere(&self, end: u64) -> u8 {
        let (ahead, _state) = self.elsewhere();
        codes(&send(&ahead, 1, end, end))
    }

    /// The same, in a thread of its own.
    fn spawn_elsewhere(&self, end: u64) -> JoinHandle<u8> {
        let (ahead, state) = self.elsewhere();
        thread::spawn(move || {
            let _state = state;
            codes(&send(&ahead, 1, end, end))
        })
    }

    fn fault(&self, rule: FaultRule) -> FaultHits {
        self.place.handle().add_fault(rule)
    }

    /// Holds the next command that begins so.
    fn hold(&self, command: &str, point: HoldPoint) {
        self.fault(FaultRule::new(Endpoint::Management, Fault::Hold(point)).operation(command).times(1));
    }

    /// Holds the next row of `kt_epochs` of this kind before it lands.
    fn hold_row(&self, kind: &str) {
        let rule = FaultRule::new(Endpoint::Management, Fault::Hold(HoldPoint::Commit));
        self.fault(rule.operation(".append kt_epochs").table(kusto_client::quote_string(kind)).times(1));
    }

    /// The next read of `kt_epochs` shows what is there now.
    fn freeze_next_read(&self) -> FaultHits {
        let stale = Fault::Stale { behind: u64::MAX };
        self.fault(FaultRule::new(Endpoint::Query, stale).table("kt_epochs").times(1))
    }

    /// No blob can be uploaded: rows are sealed, and no further.
    fn stop_uploads(&self) {
        let away = Fault::Fail { status: 503, retry_after: None };
        self.fault(FaultRule::new(Endpoint::Blob, away).operation("PutBlob"));
    }

    fn until_held(&self, count: usize) {
        block_on(self.place.handle().until_held(count));
    }

    /// Lets the held requests that begin so go on, and waits until they are done.
    fn release(&self, command: &str) {
        let handle = self.place.handle();
        let held: Vec<_> = handle.held().into_iter().filter(|it| it.operation.starts_with(command)).collect();
        assert!(!held.is_empty(), "{command} is not held: {:?}", handle.held());
        // In the order in which they came.
        held.iter().for_each(|it| assert!(handle.release(it.id)));
        handle.settle_blocking();
    }

    /// Lets the one that came first go on.
    fn release_first(&self) {
        let handle = self.place.handle();
        assert!(handle.release(handle.held()[0].id));
        handle.settle_blocking();
    }

    fn settle(&self) {
        self.place.handle().release_all();
        self.place.handle().settle_blocking();
    }

    /// Extents of the staging table, whatever it is called now.
    fn staged_extents(&self) -> u64 {
        let tables =
            self.place.command(".show tables | where TableName startswith 'kt_stage_' | project TableName");
        let table = tables[0][0].as_str().unwrap();
        self.place.command(&format!(".show table {table} extents | count"))[0][0].as_u64().unwrap()
    }

    fn ends(&self, codes: &[u8], rows: Range<u64>) -> Ending {
        self.settle();
        Ending { codes: codes.to_vec(), differences: self.place.differences(rows) }
    }
}

/// The exit code of all workers of a run.
fn codes(outcomes: &[Outcome]) -> u8 {
    let code = |outcome: &Outcome| outcome.as_ref().map_or_else(|error| error.exit_code(), |_| 0);
    let all: Vec<_> = outcomes.iter().map(code).collect();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{outcomes:?}");
    all[0]
}

/// A listing of the staging table's extents.
fn listing(fault: Fault) -> FaultRule {
    FaultRule::new(Endpoint::Management, fault).operation(".show table kt_stage").table("extents")
}

/// Something that one thread waits for and another one says.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicBool>);

impl Gate {
    fn open(&self) {
        self.0.store(true, SeqCst);
    }

    fn is_open(&self) -> bool {
        self.0.load(SeqCst)
    }

    /// Waits on a thread that has nothing else to do.
    fn wait(&self) {
        while !self.is_open() {
            thread::sleep(std::time::Duration::from_millis(5)); // between two looks
        }
    }
}

/// Looks again and again until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if is_so() {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(5)); // between two looks
    }
    panic!("waited for a minute until {what}");
}

/// Opens a start, and returns then; its rows come when `go_on` opens. What is joined is its exit code.
fn opens_and_waits(ahead: WriteAhead, go_on: &Gate) -> JoinHandle<u8> {
    let (opened, go_on) = (Gate::default(), go_on.clone());
    let is_open = opened.clone();
    let run = thread::spawn(move || {
        codes(&on_workers(1, move |worker| {
            let mut run = Run::open(worker, &ahead)?;
            is_open.open();
            run.step_until(worker, |_| go_on.is_open());
            run.feed(30, 30);
            run.finish(worker)
        }))
    });
    opened.wait();
    run
}

/// Hands over numbers below `end` in one epoch, waits until all workers have sealed it, and goes away.
fn seal_and_vanish(ahead: &WriteAhead, workers: usize, end: u64) {
    let ahead = ahead.clone();
    on_workers(workers, move |worker| {
        let mut run = Run::open(worker, &ahead).unwrap();
        run.feed(end, end);
        let last = run.epoch;
        run.step_until(worker, |run| !run.durable.less_than(&last));
        assert!(run.handle.error().is_none(), "{:?}", run.handle.error());
        vanish(worker);
    });
}

fn vanish(worker: &mut timely::worker::Worker) {
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}
