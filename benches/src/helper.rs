//! The processes beside the one that measures: this executable, started again with a [`Task`].

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule};
use serde::{Deserialize, Serialize};

use crate::ahead::{AheadRun, Commands, Steady, Visible, Written, visible, write};
use crate::options::DATABASE;
use crate::resilience::{Idle, Latency, Paced, idle, paced};
use crate::rows::RowKind;
use crate::send::{Send, Sent, send};
use crate::{Error, Result};

/// What a helper process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Task {
    /// Is the cluster: prints its URL, and when its input ends, what it counted.
    Emulator(Manners),
    /// Makes an end-to-end run, and prints what it did.
    Send(Send),
    /// Sends rows at a steady pace, and prints how long they took.
    Paced(Paced),
    /// Makes a run of the write-ahead sink, and prints what it did.
    Ahead(AheadRun),
    /// Sends rows at a steady pace through the write-ahead sink, and prints how long they took.
    Steady(Steady),
    /// Keeps a dataflow open through which nothing comes, and prints what that costs.
    Idle(Idle),
}

/// How a cluster behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manners {
    /// Added to the time of every request.
    pub latency: Duration,
    /// The share of requests that fail with 503 before they have an effect.
    pub failing: f64,
    /// How long blobs gather before they are ingested; `None`: they are counted and dropped.
    pub batching: Option<Duration>,
    /// Added to the time of every command and query.
    pub command_delay: Duration,
    /// Whether uploads are refused until the cluster is told to take them.
    pub refusing: bool,
}

/// What an emulator counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) rows: u64,
    pub(crate) raw_bytes: u64,
    /// Rows that are visible in the table of storm events.
    pub(crate) in_table: u64,
    pub(crate) commands: Option<Commands>,
}

/// How helpers are started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Helpers {
    /// Processes: `executable` with these arguments and, as the last one, a [`Task`] in JSON, which it is to
    /// [`perform`].
    Processes {
        /// This executable.
        executable: PathBuf,
        /// What goes before the task.
        arguments: Vec<OsString>,
    },
    /// None: everything happens in this process. For tests of the measurements, whose figures mean little then.
    InProcess,
}

/// Does what a helper process was started for.
///
/// # Errors
/// Those of the task; the caller prints them to stderr and exits with a code other than 0.
pub fn perform(task: &str) -> Result<()> {
    match serde_json::from_str(task).map_err(Error::sink)? {
        Task::Emulator(manners) => return be_emulator(manners),
        Task::Send(run) => say(&send(&run)?),
        Task::Paced(run) => say(&paced(&run)?),
        Task::Ahead(run) => say(&write(&run, say_and_wait_to_be_killed)?),
        Task::Steady(run) => say(&visible(&run)?),
        Task::Idle(run) => say(&idle(&run)?),
    }
    Ok(())
}

fn be_emulator(manners: Manners) -> Result<()> {
    let emulator = emulator(manners)?;
    say(emulator.cluster_url());
    // The input ends when the starter says so, and also when it is gone; a line before that: take uploads again.
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {
        emulator.handle().clear_faults();
        say("taking uploads");
    }
    say(&counted(&emulator));
    Ok(())
}

/// What a process does that is to be killed at this very point: it says what it did, and does nothing more.
fn say_and_wait_to_be_killed(written: &Written) {
    say(written);
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(1); // the starter is gone
}

fn emulator(manners: Manners) -> Result<Emulator> {
    let builder = Emulator::builder().database(DATABASE).latency(manners.latency);
    let builder = match manners.batching {
        Some(time) => builder.batching_time(time),
        None => builder.accept_only(true),
    };
    let emulator =
        builder.start().map_err(|error| Error::HelperFailed { role: CLUSTER, why: error.to_string() })?;
    let busy = Fault::Fail { status: 503, retry_after: None };
    if manners.refusing {
        emulator.handle().add_fault(FaultRule::new(Endpoint::Blob, busy));
    }
    if !manners.command_delay.is_zero() {
        for endpoint in [Endpoint::Management, Endpoint::Query] {
            emulator.handle().add_fault(FaultRule::new(endpoint, Fault::Delay(manners.command_delay)));
        }
    }
    if manners.failing > 0.0 {
        for endpoint in [Endpoint::Blob, Endpoint::Queue, Endpoint::Table, Endpoint::Management] {
            emulator.handle().add_fault(FaultRule::new(endpoint, busy).probability(manners.failing));
        }
    }
    Ok(emulator)
}

fn counted(emulator: &Emulator) -> Counted {
    let (handle, commands) = (emulator.handle(), Commands::of_last_run(emulator.handle()));
    let statistics = handle.statistics();
    let command = format!(".show table {} details | project TotalRowCount", RowKind::Storms.table());
    // A run of other rows has no such table.
    let in_table = handle.command(DATABASE, &command).ok();
    let in_table = in_table.and_then(|rows| rows.first()?.get(0)?.as_u64()).unwrap_or(0);
    Counted { rows: statistics.rows, raw_bytes: statistics.raw_bytes, in_table, commands }
}

/// A line of JSON. Who does not read it is gone, and will miss nothing.
fn say(value: &(impl Serialize + ?Sized)) {
    let mut out = std::io::stdout().lock();
    let _ = serde_json::to_writer(&mut out, value);
    let _ = out.write_all(b"\n");
    let _ = out.flush();
}

const CLUSTER: &str = "is the cluster";
const SENDER: &str = "sends rows";

/// A cluster to send to.
#[derive(Debug)]
pub(crate) enum Cluster {
    Process(Process),
    InProcess(Box<Emulator>),
}

impl Helpers {
    /// Starts a cluster and waits for its URL.
    pub(crate) fn cluster(&self, manners: Manners) -> Result<(Cluster, String)> {
        match self {
            Helpers::InProcess => {
                let emulator = emulator(manners)?;
                let url = emulator.cluster_url().to_owned();
                Ok((Cluster::InProcess(Box::new(emulator)), url))
            }
            Helpers::Processes { executable, arguments } => {
                let mut process = Process::start(CLUSTER, executable, arguments, &Task::Emulator(manners))?;
                let url = process.hear()?;
                Ok((Cluster::Process(process), url))
            }
        }
    }

    /// Makes an end-to-end run.
    pub(crate) fn send(&self, run: Send) -> Result<Sent> {
        self.perform(run, send, Task::Send)
    }

    /// Makes a run of the write-ahead sink; one that goes until all is sealed is killed there.
    pub(crate) fn write(&self, run: AheadRun) -> Result<Written> {
        self.perform(run, |run| write(run, |_| ()), Task::Ahead)
    }

    /// Sends rows at a steady pace through the write-ahead sink.
    pub(crate) fn steady(&self, run: Steady) -> Result<Visible> {
        self.perform(run, visible, Task::Steady)
    }

    /// Sends rows at a steady pace.
    pub(crate) fn paced(&self, run: Paced) -> Result<Latency> {
        self.perform(run, paced, Task::Paced)
    }

    /// Sends nothing.
    pub(crate) fn idle(&self, run: Idle) -> Result<f64> {
        self.perform(run, idle, Task::Idle)
    }

    fn perform<R, T: for<'de> Deserialize<'de>>(
        &self,
        run: R,
        here: impl Fn(&R) -> Result<T>,
        task: impl Fn(R) -> Task,
    ) -> Result<T> {
        match self {
            Helpers::InProcess => here(&run),
            Helpers::Processes { executable, arguments } => {
                Process::start(SENDER, executable, arguments, &task(run))?.hear()
            }
        }
    }
}

impl Cluster {
    /// Has it take uploads, if it refused them.
    pub(crate) fn take_uploads(&mut self) -> Result<()> {
        match self {
            Cluster::InProcess(emulator) => emulator.handle().clear_faults(),
            Cluster::Process(process) => {
                process.tell()?;
                process.hear::<String>()?;
            }
        }
        Ok(())
    }

    /// Ends it, and returns what it counted.
    pub(crate) fn end(self) -> Result<Counted> {
        match self {
            Cluster::InProcess(emulator) => Ok(counted(&emulator)),
            Cluster::Process(mut process) => {
                process.input = None;
                process.hear()
            }
        }
    }
}

/// A helper process; it ends with this.
#[derive(Debug)]
pub(crate) struct Process {
    role: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(role: &'static str, executable: &PathBuf, arguments: &[OsString], task: &Task) -> Result<Self> {
        let task = serde_json::to_string(task).map_err(Error::sink)?;
        let mut command = Command::new(executable);
        command.args(arguments).arg(task).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|source| Error::Helper { role, source })?;
        let input = child.stdin.take();
        let output = child.stdout.take().expect("the output was asked for as a pipe");
        Ok(Process { role, child, input, output: BufReader::new(output) })
    }

    /// Sends it a line.
    fn tell(&mut self) -> Result<()> {
        let role = self.role;
        let told = self.input.iter_mut().try_for_each(|input| input.write_all(b"\n"));
        told.map_err(|source| Error::Helper { role, source })
    }

    /// The next line that it says.
    fn hear<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T> {
        let mut line = String::new();
        let role = self.role;
        self.output.read_line(&mut line).map_err(|source| Error::Helper { role, source })?;
        if line.is_empty() {
            let ended = self.child.wait().map_err(|source| Error::Helper { role, source })?;
            return Err(Error::HelperFailed { role, why: ended.to_string() });
        }
        let wrong = |error| Error::HelperFailed { role, why: format!("said {line:?}: {error}") };
        serde_json::from_str(&line).map_err(wrong)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
