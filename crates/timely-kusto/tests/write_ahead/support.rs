//! A pipeline over numbers, and the cluster that it writes to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kusto_client::{Backoff, ConnectionOptions};
use kusto_emulator::{Emulator, EmulatorBuilder, Handle};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::probe::Handle as ProbeHandle;
use timely::dataflow::operators::vec::input::Input;
use timely::worker::Worker;
use timely_kusto::{
    RowsWrittenAhead, SinkError, SinkStats, WriteAhead, WriteAheadHandle, WriteAheadOptions, WriteAheadSink,
    WriteOptions, WriteOptionsBuilder,
};

pub(crate) const DATABASE: &str = "Samples";
pub(crate) const TABLE: &str = "Readings";
/// Source partitions, each with the numbers that are congruent to its own.
pub(crate) const PARTITIONS: u64 = 3;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reading {
    id: u64,
    text: String,
}

fn reading(id: u64) -> Reading {
    Reading { id, text: format!("reading, number \"{id}\"\n") }
}

/// A cluster with the target, and a state directory.
pub(crate) struct Place {
    pub(crate) emulator: Emulator,
    pub(crate) state: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Place::with(Emulator::builder())
    }

    pub(crate) fn with(builder: EmulatorBuilder) -> Self {
        let emulator = builder.database(DATABASE).batching_time(Duration::from_millis(20)).start().unwrap();
        let place = Place { emulator, state: TempDir::new().unwrap() };
        place.command(&format!(".create table {TABLE} (text:string, id:long)"));
        place
    }

    pub(crate) fn handle(&self) -> Handle {
        self.emulator.handle().clone()
    }

    pub(crate) fn command(&self, command: &str) -> Vec<Value> {
        self.handle().command(DATABASE, command).unwrap()
    }

    pub(crate) fn query(&self, query: &str) -> Vec<Value> {
        self.handle().query(DATABASE, query).unwrap()
    }

    pub(crate) fn connection(&self) -> ConnectionOptions {
        Place::connection_to(&self.emulator)
    }

    pub(crate) fn connection_to(emulator: &Emulator) -> ConnectionOptions {
        ConnectionOptions::builder().cluster_url(emulator.cluster_url()).no_auth().build().unwrap()
    }

    pub(crate) fn ahead(&self) -> WriteAhead {
        self.ahead_with(write(), |options| options)
    }

    /// The same pipeline on another host: with a state directory of its own.
    pub(crate) fn ahead_elsewhere(&self, state: &TempDir) -> WriteAhead {
        let options = WriteAheadOptions::new("numbers", state.path());
        WriteAhead::connect(&self.connection(), &write().build().unwrap(), options).unwrap()
    }

    pub(crate) fn ahead_with(
        &self,
        write: WriteOptionsBuilder,
        options: impl FnOnce(WriteAheadOptions) -> WriteAheadOptions,
    ) -> WriteAhead {
        let ahead = options(WriteAheadOptions::new("numbers", self.state.path()));
        WriteAhead::connect(&self.connection(), &write.build().unwrap(), ahead).unwrap()
    }

    /// The ids in the table, ascending, each as often as it is there.
    pub(crate) fn ids(&self) -> Vec<u64> {
        let rows = self.query(&format!("{TABLE} | project id, text | order by id asc"));
        let id = |row: &Value| {
            let id = row[0].as_u64().unwrap();
            assert_eq!(row[1].as_str().unwrap(), reading(id).text);
            id
        };
        rows.iter().map(id).collect()
    }

    /// How far the table is from holding these numbers, each once: too many (+) or missing (-).
    pub(crate) fn differences(&self, ids: Range<u64>) -> BTreeMap<u64, i64> {
        let mut counts: BTreeMap<u64, i64> = BTreeMap::new();
        self.ids().into_iter().for_each(|id| *counts.entry(id).or_default() += 1);
        ids.for_each(|id| *counts.entry(id).or_default() -= 1);
        counts.retain(|_, count| *count != 0);
        counts
    }

    /// That these numbers are in the table, each once.
    #[track_caller]
    pub(crate) fn holds(&self, ids: Range<u64>) {
        let counts = self.differences(ids);
        assert!(counts.is_empty(), "too many (+) or missing (-): {counts:?}");
    }

    /// Sealed epoch files that are left.
    pub(crate) fn sealed_files(&self) -> Vec<PathBuf> {
        fn below(dir: &Path, found: &mut Vec<PathBuf>) {
            for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                match path.is_dir() {
                    true => below(&path, found),
                    false => found.extend(path.extension().is_some_and(|it| it == "epochs").then_some(path)),
                }
            }
        }
        let mut found = Vec::new();
        below(self.state.path(), &mut found);
        found
    }
}

/// Options that make tests quick.
pub(crate) fn write() -> WriteOptionsBuilder {
    WriteOptions::builder()
        .database(DATABASE)
        .table(TABLE)
        .poll_interval(Duration::from_millis(10))
        .retry_backoff(Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(20) })
}

/// What one worker came to.
pub(crate) type Outcome = Result<SinkStats, Arc<SinkError>>;

/// What a worker's dataflow offers a test.
pub(crate) struct Run {
    pub(crate) committed: ProbeHandle<u64>,
    pub(crate) staged: ProbeHandle<u64>,
    pub(crate) durable: ProbeHandle<u64>,
    pub(crate) handle: WriteAheadHandle,
    /// The next number of each partition of this worker.
    pub(crate) next: BTreeMap<u64, u64>,
    rows: Option<timely::dataflow::InputHandleVec<u64, Reading>>,
    positions: Option<timely::dataflow::InputHandleVec<u64, (String, Vec<u8>)>>,
    pub(crate) epoch: u64,
}

impl Run {
    /// Opens the sink and builds the dataflow.
    pub(crate) fn open(worker: &mut Worker, ahead: &WriteAhead) -> Result<Self, Arc<SinkError>> {
        let sink = WriteAheadSink::open(worker, ahead)?;
        let resume = sink.resume();
        let (index, peers) = (worker.index() as u64, worker.peers() as u64);
        let (rows, positions, (clocks, handle)) = worker.dataflow::<u64, _, _>(|scope| {
            let (rows, row_stream) = scope.new_input::<Reading>();
            let (positions, position_stream) = scope.new_input();
            let (clocks, handle) = row_stream.write_ahead_sink(&sink, position_stream);
            let probes = (clocks.durable.probe().0, clocks.staged.probe().0, clocks.committed.probe().0);
            (rows, positions, (probes, handle))
        });
        let mine = (0..PARTITIONS).filter(|partition| partition % peers == index);
        let at = |partition: u64| {
            let kept = resume.positions.get(&format!("p{partition}"));
            kept.map_or(partition, |bytes| String::from_utf8_lossy(bytes).parse().unwrap())
        };
        let next = mine.map(|partition| (partition, at(partition))).collect();
        let (durable, staged, committed) = clocks;
        let epoch = resume.first_epoch;
        let (rows, positions) = (Some(rows), Some(positions));
        let mut run = Run { committed, staged, durable, handle, next, rows, positions, epoch };
        run.advance(epoch);
        Ok(run)
    }

    fn advance(&mut self, epoch: u64) {
        self.rows.as_mut().unwrap().advance_to(epoch);
        self.positions.as_mut().unwrap().advance_to(epoch);
        self.epoch = epoch;
    }

    /// Hands over this worker's numbers below `end`, at most `most` of each partition, and ends the epoch.
    pub(crate) fn feed(&mut self, end: u64, most: u64) -> bool {
        let any = self.feed_open(end, most);
        for (partition, next) in &self.next {
            let position = next.to_string().into_bytes();
            self.positions.as_mut().unwrap().send((format!("p{partition}"), position));
        }
        self.advance(self.epoch + 1);
        any
    }

    /// Hands over numbers as [`feed`](Self::feed) does, and leaves the epoch open.
    pub(crate) fn feed_open(&mut self, end: u64, most: u64) -> bool {
        let (mut any, rows) = (false, self.rows.as_mut().unwrap());
        for next in self.next.values_mut() {
            for _ in 0..most {
                if *next >= end {
                    break;
                }
                any = true;
                rows.send(reading(*next));
                *next += PARTITIONS;
            }
        }
        rows.flush();
        any
    }

    /// Ends the input and waits until everything is committed.
    pub(crate) fn finish(mut self, worker: &mut Worker) -> Outcome {
        self.rows = None;
        self.positions = None;
        self.handle.drive(worker)
    }

    /// The same, but waits no longer than `limit`.
    pub(crate) fn finish_at_most(mut self, worker: &mut Worker, limit: Duration) -> Outcome {
        self.rows = None;
        self.positions = None;
        self.handle.drive_at_most(worker, limit)
    }

    /// Steps until a condition holds or the sink fails.
    pub(crate) fn step_until(&self, worker: &mut Worker, mut condition: impl FnMut(&Run) -> bool) {
        while !condition(self) && self.handle.error().is_none() {
            worker.step_or_park(Some(Duration::from_millis(20)));
        }
    }
}

/// Runs `work` on every worker.
pub(crate) fn on_workers<T: Send + 'static>(
    workers: usize,
    work: impl Fn(&mut Worker) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let guards = timely::execute(timely::Config::process(workers), work).unwrap();
    guards.join().into_iter().map(|outcome| outcome.unwrap()).collect()
}

/// Hands over the numbers below `end`, `most` of each partition per epoch, from where the sink says.
pub(crate) fn send(ahead: &WriteAhead, workers: usize, end: u64, most: u64) -> Vec<Outcome> {
    let ahead = ahead.clone();
    on_workers(workers, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        while run.feed(end, most) {
            worker.step();
        }
        run.finish(worker)
    })
}

/// Hands over `epochs` epochs and goes away in the middle, as by a crash, once `until` is committed.
pub(crate) fn send_and_vanish(ahead: &WriteAhead, workers: usize, epochs: u64, most: u64, until: u64) {
    let ahead = ahead.clone();
    on_workers(workers, move |worker| {
        let mut run = Run::open(worker, &ahead).unwrap();
        let first = run.epoch;
        for _ in 0..epochs {
            run.feed(u64::MAX, most);
            worker.step();
        }
        run.step_until(worker, |run| !run.committed.less_than(&(first + until)));
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    });
}

/// That all workers ended well.
#[track_caller]
pub(crate) fn all_well(outcomes: &[Outcome]) {
    for outcome in outcomes {
        assert!(outcome.is_ok(), "{}", outcome.as_ref().unwrap_err());
    }
}
