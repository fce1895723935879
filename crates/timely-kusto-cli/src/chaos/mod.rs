//! `timely-kusto chaos`: a random walk on the user's own pipeline, which may neither lose a row nor repeat one.
//!
//! ```text
//!            seed ──► walk: steps ────────────────────────────────────────────┐
//!                                                                             ▼
//! this process   local cluster ◄── moods: faults, held requests, doubts ◄── scene ──► kill, pause, stop, fill a disk
//!                  ▲   ▲   ▲                                                  │
//! children       run  run  run   one to three processes, 1 to 3 workers each ◄┘  ... ended, judged, the next step
//!                  │   │   │
//!                disk disk disk  lost now and then
//!
//! at the end     no faults, one start to the end of the source ──► oracle: table against source, audit
//! ```
//!
//! What is random: processes and workers of each start; when, where and which processes die (SIGKILL at a moment, abort at a
//! failpoint); pauses; a second start beside a running or a paused one, on the same disks or others; requests to stop; the
//! pace of the source; the budget of epoch files; lost and full disks; what the cluster does to which requests, what it
//! answers to the open questions, which requests it holds on their way, and when they go on or die.
//!
//! What holds:
//! 1. All decisions of a step come from the seed and the step's number ([`mod@walk`]); how far processes are when they meet them
//!    is up to the machine.
//! 2. The end of every process is judged by what was done to it ([`judge`]): exit codes 2 and 4, panics, unexplained
//!    failures and hangs fail the walk at once.
//! 3. The rows that are expected never saw the sink ([`oracle`]).
//! 4. Neither the user's file, cluster nor state is touched ([`own_file`]); directories, mounts and processes of the walk are
//!    gone afterwards, unless it failed ([`place`], [`children`]). Of a walk that is killed the directories and mounts stay.
//!
//! | file | what |
//! |---|---|
//! | `walk.rs`, `weather.rs` | decisions: steps, moods of the service |
//! | `round.rs`, `scene.rs` | what performs them: a pipeline on a cluster, a start and its end |
//! | `children.rs`, `place.rs`, `own_file.rs` | processes, directories, the file they run |
//! | `judge.rs`, `oracle.rs` | what must be so |
//! | `tally.rs` | what is printed |

mod args;
mod children;
mod judge;
mod oracle;
mod own_file;
mod place;
mod round;
mod scene;
mod tally;
mod walk;
mod weather;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use kusto_emulator::Emulator;
use pipelines::Pipeline;
use rand::SeedableRng;
use rand::rngs::StdRng;

use self::children::Children;
use self::oracle::{Compared, Expected};
use self::own_file::{OwnFile, Settings};
use self::place::Place;
use self::round::{Round, Setting, connect};
use self::tally::Tally;
use self::walk::Step;
use self::weather::Doubts;
use crate::exit::{Exit, Stop};
use crate::runtime::runtime;
use crate::signals;

pub(crate) use self::args::{ChaosArguments, EXAMPLES};
pub(crate) use self::children::end_with_walk;

/// Between two looks at the processes.
const TICK: Duration = Duration::from_millis(4);
/// Longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long the rows of a round take at the usual pace, with nothing in between. Crashes make it several times as long.
const FLOW_SECONDS: u64 = 12;
/// How long to go on without being told.
const MINUTES: f64 = 5.0;

/// Why a walk does not go on.
#[derive(Debug)]
enum Trouble {
    /// Somebody wants it to stop.
    Stopped,
    /// The pipeline did what it must not.
    Failure(String),
    /// It could not be told.
    Unjudged(String),
    /// The file or an argument cannot work.
    Refused(Stop),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Trouble::Unjudged(error.to_string())
    }
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Trouble::Refused(stop)
    }
}

impl Trouble {
    fn hang(children: &Children, why: &str) -> Self {
        Trouble::Failure(format!("it hangs: {why}\n{}", Trouble::running(children)))
    }

    /// What the processes that run have said so far.
    fn running(children: &Children) -> String {
        children.said().join("\n")
    }
}

/// Walks, and says what came of it.
pub(crate) fn chaos(arguments: &ChaosArguments) -> Result<Exit, Stop> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    eprintln!("seed {seed}");
    let runtime = runtime()?;
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let signalled = signals::watch(&runtime, "stopping and cleaning up", move || asked.store(true, Relaxed))?;
    let own = OwnFile::read(&arguments.config)?;
    let executable =
        arguments.program.clone().map_or_else(std::env::current_exe, Ok).map_err(Stop::failed)?;
    let mut setting = Setting {
        seed,
        own: &own,
        executable,
        rate: 0,
        rows: arguments.rows,
        setup: &arguments.setup,
        runtime: &runtime,
        stop: &stop,
    };
    let mut tally = Tally { seed, ..Tally::default() };
    let began = Instant::now();
    let walked = look(&mut setting).and_then(|()| walk(&setting, arguments, &mut tally));
    tally.took(began.elapsed());
    if arguments.json {
        println!("{}", serde_json::to_string(&tally).map_err(Stop::failed)?);
    } else {
        println!("{tally}");
    }
    match walked {
        Ok(()) => Ok(Exit::Done),
        Err(Trouble::Stopped) => Ok(signalled.get().map_or(Exit::Failed, Exit::Signalled)),
        Err(Trouble::Refused(stop)) => Err(stop),
        Err(Trouble::Unjudged(why)) => Err(Stop::failed(format!("it cannot be told: {why}"))),
        Err(Trouble::Failure(why)) => Err(Stop::needs_person(format!("{why}\nreplay with --seed {seed}"))),
    }
}

/// Looks whether the file can work, and how many rows there are, on a cluster that is gone afterwards.
fn look(setting: &mut Setting<'_>) -> Result<(), Trouble> {
    let state = std::path::Path::new("state");
    let mut settings =
        Settings { cluster: "http://127.0.0.1:1", state, rows: setting.rows, rate: None, log_bytes: None };
    let options = setting.own.configuration(&settings)?.pipeline;
    let database = options.sink.write.database().to_owned();
    let emulator = Emulator::builder().database(&database).start().map_err(Stop::failed)?;
    for command in setting.setup {
        let done = emulator.handle().command(&database, command);
        done.map_err(|error| Stop::bad_configuration(format!("--setup: {error}")))?;
    }
    settings.cluster = emulator.cluster_url();
    let options = setting.own.configuration(&settings)?.pipeline;
    let client = connect(&emulator).map_err(Stop::failed)?;
    let prepare = Pipeline::prepare(options.clone(), &client, emulator.cluster_url());
    setting.runtime.block_on(prepare).map_err(Stop::from)?;
    let expected = setting.runtime.block_on(Expected::new(&options, &client)).map_err(Trouble::Unjudged)?;
    let rows = expected.count(&|| !setting.is_stopped()).map_err(Trouble::Unjudged)?;
    setting.rate = (rows / FLOW_SECONDS).max(20);
    eprintln!("the source has {rows} rows");
    Ok(())
}

/// When a walk is over.
struct Limit {
    until: Option<Instant>,
    crashes: Option<u64>,
}

impl Limit {
    fn of(arguments: &ChaosArguments) -> Self {
        let minutes = arguments.minutes.or_else(|| arguments.crashes.is_none().then_some(MINUTES));
        let until = minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(minutes * 60.0));
        Limit { until, crashes: arguments.crashes }
    }

    fn is_over(&self, tally: &Tally) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
            || self.crashes.is_some_and(|crashes| tally.crashes >= crashes)
    }
}

/// Round after round, each compared at its end.
fn walk(setting: &Setting<'_>, arguments: &ChaosArguments, tally: &mut Tally) -> Result<(), Trouble> {
    let (place, limit) = (Place::new()?, Limit::of(arguments));
    let mut number = 0;
    let mut walked = Ok(());
    for round in 1.. {
        let site = place.site(round)?;
        if round == 1 && !site.can_be_full() {
            eprintln!("left out: full disks, because no small disk (tmpfs) can be mounted here");
        }
        let doubts = Doubts::draw(&mut StdRng::seed_from_u64(walk::mixed(setting.seed, u64::MAX - round)));
        let mut stage = Round::begin(setting, tally, site, round, doubts)?;
        walked = stage.play(&limit, &mut number);
        match (&walked, arguments.keep) {
            (Ok(()) | Err(Trouble::Stopped), false) => stage.remove()?,
            _ => stage.keep()?,
        }
        if walked.is_err() || limit.is_over(tally) {
            break;
        }
    }
    if arguments.keep || !matches!(walked, Ok(()) | Err(Trouble::Stopped)) {
        eprintln!("kept: {}", place.keep().display());
    }
    walked
}

impl Round<'_> {
    /// Steps until the source ends or the walk is over, then the comparison.
    fn play(&mut self, limit: &Limit, number: &mut u64) -> Result<(), Trouble> {
        loop {
            *number += 1;
            let step = Step::of(self.setting.seed, *number, &self.doubts);
            let seen = scene::perform(self, &step).inspect_err(|_| {
                let decisions = serde_json::to_string_pretty(&step).unwrap_or_default();
                let _ = std::fs::write(self.site.file("failed-step.json"), decisions); // the seed has them, too
            })?;
            self.tally.crashes += u64::from(seen.crashed);
            eprintln!("{}", line(&step, &seen.words, self.rows()));
            if seen.finished || limit.is_over(self.tally) {
                break;
            }
        }
        *number += 1;
        let compared = self.finish(Step::last_shape(self.setting.seed, *number))?;
        eprintln!("{}", verdict(self.tally.rounds, &compared));
        if compared.agrees() { Ok(()) } else { Err(Trouble::Failure(differs(&compared))) }
    }
}

fn line(step: &Step, words: &str, rows: u64) -> String {
    let (processes, workers) = (step.shape.processes, step.shape.workers);
    let weather: Vec<_> = step.weather.iter().map(|(_, weather)| weather.words()).collect();
    format!("{:>5}  {processes}x{workers}  {rows:>9} rows  {words}; {}", step.number, weather.join(", then "))
}

fn verdict(round: u64, compared: &Compared) -> String {
    let Compared { rows, lost, repeated, strange, .. } = compared;
    format!("round {round}: {rows} rows compared, {lost} lost, {repeated} repeated, {strange} strange")
}

fn differs(compared: &Compared) -> String {
    let Compared { lost, repeated, strange, examples, .. } = compared;
    format!(
        "{lost} rows are lost, {repeated} repeated, {strange} are not of the source:\n  {}",
        examples.join("\n  ")
    )
}
