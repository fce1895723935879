//! From a row to its place in the table at a moderate rate, and what the time is made of.
//!
//! ```text
//! row ── epoch open ──┤ seal ├── upload, message, service and looks ──┤ the commit before ├ listing ├ intent ├ move ├ C
//!                     end of the epoch                                S                                        visible
//! ```

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use kusto_client::{Client, ConnectionOptions};
use pipelines::generator::Storm;
use serde::{Deserialize, Serialize};
use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::{Input, Probe};
use timely_kusto::{PositionAt, RowsWrittenAhead, SinkStats, WriteAhead, WriteAheadOptions, WriteAheadSink};

use super::service::{Timed, Times};
use crate::options::write_options;
use crate::rows::{Generated, RowKind};
use crate::send::create_table;
use crate::{Error, Result};

/// Rows at a steady pace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Steady {
    pub(crate) cluster: String,
    pub(crate) pace: u64,
    pub(crate) time: Duration,
    pub(crate) epoch: Duration,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) state: PathBuf,
}

/// Milliseconds from a row to the word that it is committed; what they are made of, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Visible {
    /// Rows that were sent.
    pub rows: u64,
    /// Half of the rows took no longer.
    pub median_ms: f64,
    /// 99 of 100 rows took no longer.
    pub p99_ms: f64,
    /// On average.
    pub mean_ms: f64,
    /// Of that, until the row's epoch ended.
    pub epoch_ms: f64,
    /// Compression, the write into the epoch file, the sync, the rename.
    pub seal_ms: f64,
    /// Until the epoch's chunks were in the staging table by their status.
    pub stage_ms: f64,
    /// Of that, the upload of a chunk.
    pub upload_ms: f64,
    /// The status row and the message of a chunk.
    pub queue_ms: f64,
    /// The service's ingestion, and the time to the next look at the status; of a chunk.
    pub status_ms: f64,
    /// The wait for the commit before.
    pub wait_ms: f64,
    /// The listing of the staging table.
    pub listing_ms: f64,
    /// The intent.
    pub intent_ms: f64,
    /// The move.
    pub move_ms: f64,
}

/// Rows are handed over together, ten times a second.
const TICKS: u64 = 10;

/// Rows that were sent together, and what has become of them.
struct Tick {
    time: u64,
    sent: Instant,
    /// When its epoch ended, when the epoch was sealed, when it was staged.
    reached: [Option<Instant>; 3],
}

fn connected(run: &Steady) -> Result<(WriteAhead, Arc<std::sync::Mutex<Times>>)> {
    let connection = ConnectionOptions::builder().cluster_url(&run.cluster).no_auth().build();
    let connection = connection.map_err(Error::sink)?;
    create_table(&connection, RowKind::Storms)?;
    let write = write_options(RowKind::Storms.table(), &run.settings)?;
    let (service, times) = Timed::new(Client::connect(connection).map_err(Error::sink)?);
    let options = WriteAheadOptions::new("bench", &run.state);
    let ahead = WriteAhead::with_service(Arc::new(service), write, options).map_err(Error::sink)?;
    Ok((ahead, times))
}

/// Sends, and looks each time a clock moves.
pub(crate) fn visible(run: &Steady) -> Result<Visible> {
    let (ahead, times) = connected(run)?;
    let run = run.clone();
    timely::execute_directly(move |worker| {
        let sink = WriteAheadSink::open(worker, &ahead).map_err(Error::sink)?;
        let per_epoch = run.ticks(run.epoch).max(1);
        let (input, positions, probes, handle) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, rows) = scope.new_input();
            let (positions, at) = scope.new_input();
            let (clocks, handle) = rows.write_ahead_sink_by(&sink, at, move |time| time / per_epoch);
            let probes = [clocks.durable, clocks.staged, clocks.committed].map(|clock| clock.probe().0);
            (input, positions, probes, handle)
        });
        let mut source = Source { inputs: Some((input, positions)), tick: 0, started: Instant::now() };
        let (mut on_the_way, mut gone) = (VecDeque::<Tick>::new(), Vec::new());
        while !probes[2].done() {
            if let Some(error) = handle.error() {
                source.inputs = None;
                handle.leave(worker);
                return Err(Error::sink(error));
            }
            source.send_if_due(&run, &mut on_the_way);
            worker.step_or_park(Some(Duration::from_millis(2)));
            let now = Instant::now();
            for tick in &mut on_the_way {
                let ended = source.tick / per_epoch > tick.time / per_epoch || source.inputs.is_none();
                let passed = |index: usize| !probes[index].less_equal(&tick.time);
                for (reached, is) in tick.reached.iter_mut().zip([ended, passed(0), passed(1)]) {
                    *reached = reached.or(is.then_some(now));
                }
            }
            while on_the_way.front().is_some_and(|tick| !probes[2].less_equal(&tick.time)) {
                gone.extend(on_the_way.pop_front().map(|tick| (tick, now)));
            }
        }
        let times = *times.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(parts(&gone, run.pace / TICKS, &handle.stats(), &times))
    })
}

impl Steady {
    fn ticks(&self, time: Duration) -> u64 {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX) * TICKS / 1000
    }
}

/// The rows, by the clock.
struct Source {
    inputs: Option<(InputHandleVec<u64, Storm>, InputHandleVec<u64, PositionAt>)>,
    tick: u64,
    started: Instant,
}

impl Source {
    fn send_if_due(&mut self, run: &Steady, on_the_way: &mut VecDeque<Tick>) {
        let Some((rows, positions)) = &mut self.inputs else { return };
        let (now, pace) = (Instant::now(), run.pace / TICKS);
        if now < self.started + Duration::from_millis(self.tick * 1000 / TICKS) {
            return;
        }
        (0..pace).for_each(|row| rows.send(Storm::generate(self.tick * pace + row)));
        self.tick += 1;
        positions.send(("source".to_owned(), (self.tick * pace).to_le_bytes().to_vec()));
        on_the_way.push_back(Tick { time: self.tick - 1, sent: now, reached: [None; 3] });
        rows.advance_to(self.tick);
        positions.advance_to(self.tick);
        if self.tick >= run.ticks(run.time) {
            self.inputs = None;
        }
    }
}

fn parts(gone: &[(Tick, Instant)], pace: u64, stats: &SinkStats, times: &Times) -> Visible {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let between = |from: Instant, to: Instant| milliseconds(to.saturating_duration_since(from));
    let mut took: Vec<_> = gone.iter().map(|(tick, done)| between(tick.sent, *done)).collect();
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    let mean = |part: &dyn Fn(&Tick, Instant) -> f64| {
        gone.iter().map(|(tick, done)| part(tick, *done)).sum::<f64>() / gone.len().max(1) as f64
    };
    let reached = |tick: &Tick, done: Instant, index: usize| tick.reached[index].unwrap_or(done);
    let of_a_chunk = |time: Duration| milliseconds(time) / stats.blobs.max(1) as f64;
    let of_one = |(time, count): (Duration, u32)| milliseconds(time) / f64::from(count.max(1));
    let (listing, intent, moving) = (of_one(times.listing), of_one(times.intent), of_one(times.moving));
    let commit = mean(&|tick, done| between(reached(tick, done, 2), done));
    Visible {
        rows: took.len() as u64 * pace,
        median_ms: at(0.5),
        p99_ms: at(0.99),
        mean_ms: mean(&|tick, done| between(tick.sent, done)),
        epoch_ms: mean(&|tick, done| between(tick.sent, reached(tick, done, 0))),
        seal_ms: mean(&|tick, done| between(reached(tick, done, 0), reached(tick, done, 1))),
        stage_ms: mean(&|tick, done| between(reached(tick, done, 1), reached(tick, done, 2))),
        upload_ms: of_a_chunk(stats.uploading),
        queue_ms: of_a_chunk(stats.queueing),
        status_ms: of_a_chunk(stats.confirming),
        wait_ms: (commit - listing - intent - moving).max(0.0),
        listing_ms: listing,
        intent_ms: intent,
        move_ms: moving,
    }
}
