//! Starts of the pipeline: processes of `timely-kusto run`, which do not outlive their value, nor the walk, however it ends.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::walk::Shape;

/// The variable that tells a process which walk it belongs to, by the id of its process.
const WALK: &str = "TIMELY_KUSTO_WALK";

/// In a process of a walk: from now on the system kills it when the walk is gone, also by SIGKILL and also while it is
/// stopped. Elsewhere this does nothing, and so it does on systems other than Linux.
pub(crate) fn end_with_walk() {
    let Some(walk) = std::env::var(WALK).ok().and_then(|id| id.parse::<u32>().ok()) else { return };
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)); // the walk ends its processes anyway
    // It may have ended before that, and not be waited for yet.
    if cfg!(target_os = "linux") && !is_alive(walk) {
        std::process::exit(crate::exit::Exit::Failed.code());
    }
}

/// Whether a process runs, and is no zombie.
fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// What a start needs to know.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) executable: &'a Path,
    /// Of each process, its pipeline file.
    pub(super) files: Vec<PathBuf>,
    pub(super) shape: Shape,
    /// Where output goes: `<output>-<process>.err`.
    pub(super) output: PathBuf,
    /// Which process dies where.
    pub(super) failpoint: Option<(usize, &'a str)>,
}

/// The processes of one start.
#[derive(Debug)]
pub(super) struct Children {
    processes: Vec<Process>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) stderr: String,
}

#[derive(Debug)]
struct Process {
    child: Child,
    stderr: PathBuf,
    ended: Option<Ended>,
}

impl Children {
    /// Starts them.
    pub(super) fn start(start: &Start<'_>) -> io::Result<Self> {
        let hosts = hosts(start)?;
        let mut children = Children { processes: Vec::new() };
        for process in 0..start.shape.processes {
            let started = Process::start(start, process, hosts.as_deref())?; // those before it are killed if this fails
            children.processes.push(started);
        }
        Ok(children)
    }

    pub(super) fn count(&self) -> usize {
        self.processes.len()
    }

    /// Looks who has ended; how many run.
    pub(super) fn look(&mut self) -> io::Result<usize> {
        self.processes.iter_mut().try_fold(0, |running, process| Ok(running + usize::from(process.runs()?)))
    }

    /// How a process ended, if it did.
    pub(super) fn ended(&self, process: usize) -> Option<&Ended> {
        self.processes.get(process)?.ended.as_ref()
    }

    /// What those that run have said so far.
    pub(super) fn said(&self) -> Vec<String> {
        let running = self.processes.iter().enumerate().filter(|(_, process)| process.ended.is_none());
        let said = |(number, process): (usize, &Process)| {
            let stderr = std::fs::read(&process.stderr).unwrap_or_default();
            format!("process {number} ({}): {}", process.child.id(), String::from_utf8_lossy(&stderr))
        };
        running.map(said).collect()
    }

    /// Sends a signal to a process that runs; whether it did.
    pub(super) fn signal(&mut self, process: usize, signal: Signal) -> io::Result<bool> {
        self.processes.get_mut(process).map_or(Ok(false), |process| process.signal(signal))
    }

    pub(super) fn signal_all(&mut self, signal: Signal) -> io::Result<()> {
        (0..self.count()).try_for_each(|process| self.signal(process, signal).map(drop))
    }
}

/// One free port for each process, if there are several; another program may take one before the process does.
fn hosts(start: &Start<'_>) -> io::Result<Option<PathBuf>> {
    if start.shape.processes == 1 {
        return Ok(None);
    }
    let bind = |_| TcpListener::bind(("127.0.0.1", 0));
    let listeners: Vec<_> = (0..start.shape.processes).map(bind).collect::<io::Result<_>>()?;
    let line = |listener: &TcpListener| Ok(format!("{}\n", listener.local_addr()?));
    let lines: String = listeners.iter().map(line).collect::<io::Result<_>>()?;
    let file = start.output.with_extension("hosts");
    std::fs::write(&file, lines)?;
    Ok(Some(file))
}

impl Process {
    fn start(start: &Start<'_>, number: usize, hosts: Option<&Path>) -> io::Result<Self> {
        let name = |end: &str| {
            let stem = start.output.file_name().unwrap_or_default().to_string_lossy();
            start.output.with_file_name(format!("{stem}-{number}.{end}"))
        };
        let mut command = Command::new(start.executable);
        command.arg("run").arg(&start.files[number]).arg("--workers").arg(start.shape.workers.to_string());
        if let Some(hosts) = hosts {
            command.arg("--processes").arg(start.shape.processes.to_string());
            command.arg("--process").arg(number.to_string()).arg("--hosts").arg(hosts);
        }
        // The parent of a process is the thread that starts it: here the walk's main one.
        command.env(WALK, std::process::id().to_string());
        command.env_remove("TIMELY_KUSTO_CRASH_AT").env_remove("RUST_BACKTRACE");
        if let Some((process, place)) = start.failpoint
            && process == number
        {
            command.env("TIMELY_KUSTO_CRASH_AT", place);
        }
        let stderr = name("err");
        command.stdin(Stdio::null()).stdout(File::create(name("out"))?).stderr(File::create(&stderr)?);
        // Ctrl-C in a terminal is for the walk alone.
        command.process_group(0);
        Ok(Process { child: command.spawn()?, stderr, ended: None })
    }

    fn runs(&mut self) -> io::Result<bool> {
        if self.ended.is_some() {
            return Ok(false);
        }
        let Some(status) = self.child.try_wait()? else { return Ok(true) };
        let stderr = String::from_utf8_lossy(&std::fs::read(&self.stderr)?).into_owned();
        self.ended = Some(Ended { code: status.code(), signal: status.signal(), stderr });
        Ok(false)
    }

    fn signal(&mut self, signal: Signal) -> io::Result<bool> {
        if !self.runs()? {
            return Ok(false);
        }
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("a process without an id"))?;
        kill_process(id, signal)?; // not reaped yet, so the id is its own
        Ok(true)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = self.child.kill(); // SIGKILL also ends what is stopped
            let _ = self.child.wait();
        }
    }
}
