//! A cluster, a sink and the rows between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kusto_client::{Backoff, ConnectionOptions, ConnectionOptionsBuilder};
use kusto_emulator::clock::ManualClock;
use kusto_emulator::{Emulator, EmulatorBuilder, Endpoint, Fault, FaultHits, FaultRule, Grant, Handle};
use serde::Serialize;
use timely::dataflow::operators::vec::ToStream;
use timely_kusto::{RowsToKusto, SinkError, SinkV2, WriteOptions, WriteOptionsBuilder};

pub(crate) const DATABASE: &str = "Samples";
pub(crate) const TABLE: &str = "T";
pub(crate) const TENANT: &str = "contoso.example";
pub(crate) const APP: &str = "app-1";
pub(crate) const KEY: &str = "k3y-of-the-application";
/// Rows that a run sends, and rows of a blob.
pub(crate) const ROWS: u64 = 100;
pub(crate) const BLOB_ROWS: u64 = 50;
pub(crate) const BLOBS: u64 = ROWS / BLOB_ROWS;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) text: String,
}

pub(crate) fn row(id: u64) -> Row {
    Row { id, text: format!("row {id}, \"quoted\"") }
}

/// A cluster with sign-in, a table, and an application with the least rights.
pub(crate) struct Rig {
    emulator: Emulator,
    pub(crate) handle: Handle,
    pub(crate) principal: String,
}

impl Rig {
    /// Blobs are ingested as they come.
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder.batching_time(Duration::from_millis(5)))
    }

    /// Blobs gather until the clock is moved.
    pub(crate) fn by_hand() -> (Self, ManualClock) {
        let clock = ManualClock::default();
        let own = clock.clone();
        (Self::with(|builder| builder.clock(own).batching_time(Duration::from_secs(1))), clock)
    }

    pub(crate) fn with(set: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Self {
        let emulator =
            set(Emulator::builder().database(DATABASE).sign_in(true).tenant(TENANT)).start().unwrap();
        let handle = emulator.handle().clone();
        handle.command(DATABASE, ".create table T (id: long, text: string)").unwrap();
        let grants = [Grant::database(DATABASE, "users"), Grant::table(DATABASE, TABLE, "ingestors")];
        let principal = handle.add_app(APP, KEY, &grants).unwrap();
        Rig { handle, emulator, principal }
    }

    pub(crate) fn url(&self) -> &str {
        self.emulator.cluster_url()
    }

    /// As the application; a request that stalls is given up after a second.
    pub(crate) fn connection(&self) -> ConnectionOptions {
        self.unsigned().application(APP, KEY, TENANT).build().unwrap()
    }

    pub(crate) fn unsigned(&self) -> ConnectionOptionsBuilder {
        let second = Duration::from_secs(1);
        let builder = ConnectionOptions::builder().cluster_url(self.url());
        builder.storage_timeout(second).command_timeout(second).sign_in_timeout(second * 3)
    }

    pub(crate) fn fault(&self, endpoint: Endpoint, operation: &str, fault: Fault, times: u64) -> FaultHits {
        self.handle.add_fault(FaultRule::new(endpoint, fault).operation(operation).times(times))
    }

    /// Moves the clock until `sender` has ended.
    pub(crate) fn pump<T>(&self, clock: &ManualClock, sender: &std::thread::ScopedJoinHandle<'_, T>) {
        while !sender.is_finished() {
            clock.advance(Duration::from_secs(1));
            self.handle.settle_blocking();
        }
    }

    /// Connects and sends the rows.
    pub(crate) fn send(&self) -> Result<SinkV2, Arc<SinkError>> {
        send(&self.connection(), options(), rows(0..ROWS))
    }

    /// How often each id is in the table.
    pub(crate) fn table(&self) -> BTreeMap<u64, u64> {
        let mut found = BTreeMap::new();
        for row in self.handle.query(DATABASE, "T | project id").unwrap() {
            *found.entry(row[0].as_u64().unwrap()).or_default() += 1;
        }
        found
    }

    /// Every row, and each once.
    #[track_caller]
    pub(crate) fn has_every_row_once(&self, case: &str) {
        let differing: Vec<_> =
            (0..ROWS).map(|id| (id, self.table().get(&id).copied().unwrap_or(0))).collect();
        let differing: Vec<_> = differing.into_iter().filter(|(_, count)| *count != 1).collect();
        assert!(differing.is_empty(), "{case}: rows and how often they are there: {differing:?}");
        assert_eq!(self.table().len() as u64, ROWS, "{case}");
    }

    /// How many requests there were to this operation.
    pub(crate) fn requests(&self, endpoint: Endpoint, operation: &str) -> usize {
        let requests = self.handle.requests().into_iter();
        requests.filter(|it| it.endpoint == endpoint && it.operation.starts_with(operation)).count()
    }
}

/// Short pauses, short looks.
pub(crate) fn options() -> WriteOptionsBuilder {
    let backoff = Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(20) };
    let options = WriteOptions::builder().database(DATABASE).table(TABLE).batch_rows(BLOB_ROWS);
    options.retry_backoff(backoff).poll_interval(Duration::from_millis(20))
}

/// Sends `rows` through a dataflow of one worker.
pub(crate) fn send(
    connection: &ConnectionOptions,
    options: WriteOptionsBuilder,
    rows: Vec<Row>,
) -> Result<SinkV2, Arc<SinkError>> {
    let sink = SinkV2::connect(connection, &options.build().unwrap()).map_err(Arc::new)?;
    send_more(&sink, rows)?;
    Ok(sink)
}

/// Sends `rows` through a new dataflow of a sink.
pub(crate) fn send_more(sink: &SinkV2, rows: Vec<Row>) -> Result<(), Arc<SinkError>> {
    let sink = sink.clone();
    timely::execute_directly(move |worker| {
        let handle = worker.dataflow::<u64, _, _>(|scope| rows.to_stream(scope).sink_v2(&sink).1);
        handle.drive(worker).map(drop)
    })
}

/// The rows with these ids.
pub(crate) fn rows(ids: std::ops::Range<u64>) -> Vec<Row> {
    ids.map(row).collect()
}

/// That an error says all this, on one screen and without anything that only its writer understands.
#[track_caller]
pub(crate) fn says(error: &SinkError, texts: &[&str]) {
    let said = error.to_string();
    for text in texts {
        assert!(said.contains(text), "{text:?} is missing in: {said}");
    }
    assert!(said.lines().count() <= 12 && said.len() < 2_000, "{said}");
    for noise in ["Err(", "Error {", "Some(", "sig=", "eyJ"] {
        assert!(!said.contains(noise), "{noise:?} in: {said}");
    }
}

/// The commands in an error that grant what is missing.
pub(crate) fn granting_commands(error: &SinkError) -> Vec<String> {
    let said = error.to_string();
    let command = |line: &str| line.find(".add ").map(|start| line[start..].to_owned());
    let commands: Vec<_> = said.lines().filter_map(command).collect();
    assert!(!commands.is_empty(), "no command in: {said}");
    commands
}
