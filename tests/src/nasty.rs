//! A local cluster at its nastiest, in this process: what a service on the internet does now and then happens all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use kusto_client::Table;
use kusto_emulator::seed::Seed;
use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule, Handle, HoldPoint};

use crate::cluster::ask;

/// A cluster with a database `Samples` that loses answers, refuses, throttles, repeats, loses and delays messages, merges
/// extents under everybody's hands, and lets commands and ingestions take effect late: also when who asked is dead.
#[derive(Debug)]
pub struct Nasty {
    emulator: Emulator,
    over: Arc<AtomicBool>,
    releases: Option<JoinHandle<()>>,
}

/// How long something is held: as long as one to a few of these.
const HELD: Duration = Duration::from_millis(150);

impl Nasty {
    /// Starts one; what happens follows from `seed`, as far as requests come in the same order.
    pub fn start(seed: u64) -> Self {
        let emulator = Emulator::builder().database("Samples").batching_time(Duration::from_millis(50));
        let emulator = emulator.seed(Seed::new(seed)).start().unwrap();
        let over: Arc<AtomicBool> = Arc::default();
        let (handle, ends) = (emulator.handle().clone(), Arc::clone(&over));
        // Not to be in step with anybody: this is how long "late" is.
        let releases = std::thread::spawn(move || {
            while !ends.load(SeqCst) {
                let held = handle.held();
                std::thread::sleep(HELD);
                held.iter().for_each(|request| _ = handle.release(request.id));
            }
        });
        let nasty = Nasty { emulator, over, releases: Some(releases) };
        nasty.spoil();
        nasty
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        self.emulator.cluster_url()
    }

    /// To look at it and to spoil more.
    pub fn handle(&self) -> &Handle {
        self.emulator.handle()
    }

    /// Asks a query or a command in the database `Samples`, and gets a straight answer for once.
    pub fn ask(&self, text: &str) -> Table {
        self.handle().clear_faults();
        self.handle().release_all();
        self.handle().settle_blocking();
        let answer = ask(self.url(), text);
        self.spoil();
        answer
    }

    fn spoil(&self) {
        let rule =
            |endpoint, fault, probability: f64| FaultRule::new(endpoint, fault).probability(probability);
        let add = |rule| drop(self.handle().add_fault(rule));
        for endpoint in
            [Endpoint::Management, Endpoint::Query, Endpoint::Blob, Endpoint::Queue, Endpoint::Table]
        {
            add(rule(endpoint, Fault::LoseAnswer, 0.02));
            add(rule(endpoint, Fault::Refuse, 0.01));
            add(rule(endpoint, Fault::Throttle { retry_after: None }, 0.02));
            add(rule(endpoint, Fault::FailAfter { status: 500 }, 0.01));
        }
        for point in [HoldPoint::Resolved, HoldPoint::Commit] {
            add(rule(Endpoint::Management, Fault::Hold(point), 0.05).operation(".move extents"));
            add(rule(Endpoint::Management, Fault::Hold(point), 0.05).operation(".append"));
            add(rule(Endpoint::Ingestion, Fault::Hold(point), 0.03));
        }
        add(rule(Endpoint::Management, Fault::Merge, 0.1));
        let again = Fault::RepeatMessage { copies: 1, apart: Duration::from_millis(30) };
        add(rule(Endpoint::Queue, again, 0.1).operation("PutMessage"));
        let late = Fault::DelayMessage(Duration::from_millis(400));
        add(rule(Endpoint::Queue, late, 0.05).operation("PutMessage"));
        add(rule(Endpoint::Queue, Fault::LoseMessage, 0.01).operation("PutMessage"));
        add(rule(Endpoint::Ingestion, Fault::FailAfter { status: 500 }, 0.03));
    }
}

impl Drop for Nasty {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        self.handle().clear_faults();
        self.handle().release_all();
        if let Some(releases) = self.releases.take() {
            let _ = releases.join();
        }
    }
}
