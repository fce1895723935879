//! A round: one pipeline on one local cluster, from its first start to the comparison.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use kusto_client::{Client, ConnectionOptions, quote_name};
use kusto_emulator::seed::Seed;
use kusto_emulator::{Emulator, FaultHits, Handle};
use pipelines::options::PipelineOptions;
use timely_kusto::{WriteAhead, WriteAheadOptions};
use tokio::runtime::Runtime;

use super::children::{Children, Start};
use super::judge::{Suffered, judge};
use super::oracle::{Compared, Expected, Target};
use super::own_file::{OwnFile, Settings};
use super::place::Site;
use super::tally::Tally;
use super::walk::{Pace, Shape};
use super::weather::{Doubts, Weather};
use super::{PATIENCE, TICK, Trouble};
use crate::exit::Stop;

/// What is the same in all rounds.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) seed: u64,
    pub(super) own: &'a OwnFile,
    pub(super) executable: PathBuf,
    /// Rows per second at the usual pace.
    pub(super) rate: u64,
    /// Rows of a generator that has no end.
    pub(super) rows: u64,
    /// Commands that the user wants each round to begin with.
    pub(super) setup: &'a [String],
    pub(super) runtime: &'a Runtime,
    pub(super) stop: &'a AtomicBool,
}

impl Setting<'_> {
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }
}

/// One pipeline on one local cluster.
pub(super) struct Round<'a> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) tally: &'a mut Tally,
    pub(super) site: Site,
    pub(super) doubts: Doubts,
    emulator: Emulator,
    options: PipelineOptions,
    hits: Vec<(&'static str, FaultHits)>,
    shape: Option<Shape>,
}

/// What distinguishes a start from others of the round.
#[derive(Debug)]
pub(super) struct Manner<'a> {
    pub(super) name: &'a str,
    pub(super) shape: Shape,
    /// None: as fast as it goes.
    pub(super) pace: Option<Pace>,
    pub(super) log_bytes: Option<u64>,
    /// Which set of disks.
    pub(super) disks: usize,
    pub(super) failpoint: Option<(usize, &'a str)>,
}

impl<'a> Round<'a> {
    /// An empty cluster, and disks without anything.
    pub(super) fn begin(
        setting: &'a Setting<'a>,
        tally: &'a mut Tally,
        site: Site,
        number: u64,
        doubts: Doubts,
    ) -> Result<Self, Trouble> {
        let nowhere = site.disk(0, 0);
        let look = Settings {
            cluster: "http://127.0.0.1:1",
            state: &nowhere,
            rows: setting.rows,
            rate: None,
            log_bytes: None,
        };
        let options = setting.own.configuration(&look)?.pipeline;
        let emulator = Emulator::builder()
            .database(options.sink.write.database())
            .data_dir(site.file("cluster"))
            .batching_time(Duration::from_millis(20))
            .seed(Seed::new(super::walk::mixed(setting.seed, number)))
            .start()
            .map_err(Stop::failed)?;
        for command in setting.setup {
            let done = emulator.handle().command(options.sink.write.database(), command);
            done.map_err(|error| Stop::bad_configuration(format!("--setup: {error}")))?;
        }
        Ok(Round { setting, tally, site, doubts, emulator, options, hits: Vec::new(), shape: None })
    }

    pub(super) fn handle(&self) -> &Handle {
        self.emulator.handle()
    }

    fn database(&self) -> &str {
        self.options.sink.write.database()
    }

    /// Rows in the table; none while it is not there.
    pub(super) fn rows(&self) -> u64 {
        self.number(&format!("{} | count", quote_name(self.options.sink.write.table())))
    }

    /// Starts that the cluster knows of.
    pub(super) fn claims(&self) -> u64 {
        self.number("kt_epochs | where Kind == 'claim' | count")
    }

    fn number(&self, query: &str) -> u64 {
        let answer = self.handle().query(self.database(), query);
        answer.ok().and_then(|rows| rows.first()?[0].as_u64()).unwrap_or(0)
    }

    /// Starts the pipeline.
    pub(super) fn start(&mut self, manner: &Manner<'_>) -> Result<Children, Trouble> {
        let rate = manner.pace.map(|pace| at_pace(self.setting.rate, pace));
        let mut files = Vec::new();
        for process in 0..manner.shape.processes {
            let settings = Settings {
                cluster: self.emulator.cluster_url(),
                state: &self.site.disk(manner.disks, process),
                rows: self.setting.rows,
                rate,
                log_bytes: manner.log_bytes,
            };
            let file = self.site.file(&format!("{}-{process}.toml", manner.name));
            std::fs::write(&file, self.setting.own.with(&settings))?;
            files.push(file);
        }
        self.tally.starts += 1;
        let before = self.shape.replace(manner.shape);
        self.tally.rescalings += u64::from(before.is_some_and(|before| before != manner.shape));
        let start = Start {
            executable: &self.setting.executable,
            files,
            shape: manner.shape,
            output: self.site.file(manner.name),
            failpoint: manner.failpoint,
        };
        Ok(Children::start(&start)?)
    }

    /// Changes the service's mood.
    pub(super) fn turn(&mut self, weather: &Weather) {
        self.handle().clear_faults();
        for (name, hits) in std::mem::take(&mut self.hits) {
            self.tally.fault(name, hits.count());
        }
        self.handle().assume(weather.assumptions);
        self.hits =
            weather.spells.iter().map(|spell| (spell.name, self.handle().add_fault(spell.rule()))).collect();
    }

    /// No faults any more, and nothing that is held.
    pub(super) fn clear_up(&mut self) {
        self.turn(&Weather::fair(&self.doubts));
        self.handle().release_all();
    }

    fn client(&self) -> Result<Client, Trouble> {
        connect(&self.emulator).map_err(|error| Trouble::Unjudged(error.to_string()))
    }

    /// Runs the pipeline to its end without faults, and compares.
    pub(super) fn finish(&mut self, shape: Shape) -> Result<Compared, Trouble> {
        self.clear_up();
        self.handle().settle_blocking();
        self.run_to_the_end(shape)?;
        self.handle().settle_blocking();
        let compared = self.compare()?;
        self.tally.compared(&compared);
        if compared.agrees() {
            self.audit()?
        };
        Ok(compared)
    }

    fn run_to_the_end(&mut self, shape: Shape) -> Result<(), Trouble> {
        let manner = Manner { name: "last", shape, pace: None, log_bytes: None, disks: 0, failpoint: None };
        let mut children = self.start(&manner)?;
        let (mut rows, mut since) = (self.rows(), Instant::now());
        while children.look()? > 0 {
            if self.setting.is_stopped() {
                return Err(Trouble::Stopped);
            }
            if since.elapsed() > PATIENCE {
                let now = self.rows();
                if now == rows {
                    return Err(Trouble::hang(&children, "the last start brings no rows any more"));
                }
                (rows, since) = (now, Instant::now());
            }
            std::thread::sleep(TICK);
        }
        for process in 0..children.count() {
            let Some(ended) = children.ended(process) else { continue };
            let judged = judge(ended, Suffered::default());
            judged.map_err(|why| {
                Trouble::Failure(format!("last start, process {process}: {why}\n{}", ended.stderr))
            })?;
        }
        Ok(())
    }

    fn compare(&self) -> Result<Compared, Trouble> {
        let write = &self.options.sink.write;
        let target = Target { handle: self.handle(), database: write.database(), table: write.table() };
        let expected = self.setting.runtime.block_on(Expected::new(&self.options, &self.client()?));
        let compared = expected.map_err(Trouble::Unjudged)?.compare(&target, &|| !self.setting.is_stopped());
        compared
            .map_err(|why| if self.setting.is_stopped() { Trouble::Stopped } else { Trouble::Unjudged(why) })
    }

    /// The same question asked of the promises.
    fn audit(&self) -> Result<(), Trouble> {
        let client = self.client()?;
        let ahead = WriteAheadOptions::new(&self.options.job.name, self.site.disk(0, 0));
        let sink =
            WriteAhead::with_service(std::sync::Arc::new(client), self.options.sink.write.clone(), ahead);
        let audit =
            sink.and_then(|sink| sink.audit()).map_err(|error| Trouble::Unjudged(error.to_string()))?;
        if audit.agrees() {
            return Ok(());
        }
        let mut states: BTreeMap<String, u64> = BTreeMap::new();
        audit.epochs.iter().for_each(|epoch| *states.entry(format!("{:?}", epoch.state)).or_default() += 1);
        Err(Trouble::Failure(format!(
            "the rows agree with the source, and the audit does not agree with the rows: {states:?}"
        )))
    }

    /// Keeps what is on the disks.
    pub(super) fn keep(self) -> std::io::Result<()> {
        drop(self.emulator);
        self.site.keep()
    }

    /// Removes everything.
    pub(super) fn remove(self) -> std::io::Result<()> {
        drop(self.emulator);
        self.site.remove()
    }
}

/// A client of a local cluster.
pub(super) fn connect(emulator: &Emulator) -> kusto_client::Result<Client> {
    Client::connect(ConnectionOptions::builder().cluster_url(emulator.cluster_url()).no_auth().build()?)
}

fn at_pace(rate: u64, pace: Pace) -> u64 {
    match pace {
        Pace::Slow => (rate / 3).max(1),
        Pace::Usual => rate,
        Pace::Fast => rate * 4,
    }
}
