//! `run --restart-on-failure`: a process that starts `run` as its child, and again after a failure.
//!
//! ```text
//!  supervisor ── SIGINT, SIGTERM ──► run (child)
//!      │  ▲                            │
//!      │  └── exit code, stdout ◄──────┘   stderr is the supervisor's own
//!      └── a line: its end tells the child that the supervisor is gone; the child tells when it is complete (`words.rs`)
//! ```
//!
//! 1. **A process of its own.** After a failure threads, sockets and locks of the run are in whatever state; the end of its
//!    process is the one way to be rid of them all. A child that is killed or runs out of memory is started again, too.
//! 2. **Only failures.** A stop that fails is none, whichever process of a cluster was asked to. What ended well, by bad configuration (2), fenced (3), for a person (4) or by a signal that asked
//!    to stop is over: nothing that starting again changes, or would be right to.
//! 3. **A child never outlives its supervisor**: at the end of the pipe it ends at once, as if it was killed.
//! 4. **One report.** What a child that is started again wrote on stdout is dropped, so that there is one report, the last
//!    one's; the JSON form says how many restarts there were.
//! 5. **Bounded.** Restarts in a row are limited, and the pauses between them grow, each by chance a little different, so that
//!    the processes of a cluster, which end together, do not all call at once. A child that ran for [`STEADY`] begins
//!    a new row.
//! 6. **A run that was complete need not be repeated.** Processes of a cluster end together or not at all, but for one that is
//!    killed when everything is delivered: those beside it end well. It is started again, since they may have failed at the
//!    last moment, too; where they do not come within `--join-timeout`, its end is what the run before was to end with.
//! 7. **Where the end itself would be restarted** (`--stay`), one that is not to be is put off until a signal comes.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kusto_client::Backoff;
use rustix::process::{Pid, WaitId, WaitIdOptions};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{ReportForm, RunArguments};
use crate::exit::{Exit, Signal, Stop};
use crate::runtime::runtime;

mod words;

use words::LastWord;
pub(crate) use words::tell;

/// The variable that tells a child that it is one, and how many came before it.
pub(crate) const CHILD: &str = "TIMELY_KUSTO_RESTARTS";

/// A run that lasted as long was no failed start: the next failure is the first of a new row.
const STEADY: Duration = Duration::from_secs(600);

/// By their numbers: a child that has not come to watch for them is ended by them.
const INTERRUPT: i32 = rustix::process::Signal::INT.as_raw();
const TERMINATE: i32 = rustix::process::Signal::TERM.as_raw();

/// Pauses between restarts: from a second, for what has passed already, to a minute, for an outage.
const PAUSES: Backoff = Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(60) };

/// Runs the pipeline in child processes until one ends in a way that is no failure.
pub(crate) fn supervise(arguments: &RunArguments) -> Result<Exit, Stop> {
    let runtime = runtime()?;
    let asked = watch_signals(&runtime)?;
    let (mut restarts, last_word) = (Restarts::default(), LastWord::default());
    loop {
        let started = Instant::now();
        let child = match Child::start(restarts.all, &asked, &last_word)? {
            Ok(child) => child,
            Err(signal) => return Ok(Exit::Signalled(signal)),
        };
        let (ended, output) = child.wait(&asked)?;
        if let (Exit::FailedAlone, Some(exit)) = (exit_of(ended), last_word.complete()) {
            return Ok(end(complete_before(exit, restarts.all, arguments.report), arguments.stay, &asked));
        }
        let may_again = matches!(exit_of(ended), Exit::Failed | Exit::FailedAlone);
        let is_over = !may_again || asked.lock().first.is_some();
        if is_over || !restarts.another(ended, started.elapsed(), arguments.max_restarts, &asked) {
            print_report(&output, restarts.all, arguments.report);
            return Ok(end(exit_of(ended), arguments.stay, &asked));
        }
    }
}

/// How the supervisor ends after a child that ended like this; with `stay` not before a signal, where it matters.
fn end(exit: Exit, stay: bool, asked: &Asked) -> Exit {
    let exit = if matches!(exit, Exit::FailedStopping | Exit::FailedAlone) { Exit::Failed } else { exit };
    if stay && matches!(exit.code(), 0 | 2 | 3 | 4) {
        eprintln!("exit code {}; staying until a signal comes (--stay)", exit.code());
        asked.wait(Duration::MAX);
    }
    exit
}

/// The run before was complete, so that nothing is left to do; its report is lost.
fn complete_before(exit: Exit, restarts: u32, form: ReportForm) -> Exit {
    let note = "the run before had delivered everything that was read when it was killed, and the other processes have ended";
    eprintln!("{note}: nothing is left to do");
    if form == ReportForm::Json {
        let outcome = if exit == Exit::Done { "done" } else { "stopped" };
        println!("{}", serde_json::json!({ "outcome": outcome, "restarts": restarts, "note": note }));
    }
    exit
}

/// How often a child was started again.
#[derive(Default)]
struct Restarts {
    all: u32,
    in_a_row: u32,
}

impl Restarts {
    /// Waits until it is time for another start; false when there is to be none.
    fn another(&mut self, ended: ExitStatus, ran: Duration, most: u32, asked: &Asked) -> bool {
        if ran >= STEADY {
            self.in_a_row = 0;
        }
        let failure = said(ended, ran);
        if self.in_a_row >= most {
            eprintln!("error: given up after {} restarts in a row; {failure}", self.in_a_row);
            return false;
        }
        let pause = PAUSES.pause(self.in_a_row, rand::random(), None);
        let (number, seconds) = (self.in_a_row + 1, pause.as_secs_f64());
        eprintln!("restart {number} of at most {most} in a row: {failure}; starting again in {seconds:.1} s");
        if asked.wait(pause) {
            return false;
        }
        self.all += 1;
        self.in_a_row += 1;
        true
    }
}

/// Has signals passed on from now on.
fn watch_signals(runtime: &Runtime) -> Result<Arc<Asked>, Stop> {
    let failed = |error| Stop::failed(format!("signals cannot be watched: {error}"));
    let _guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let asked = Arc::new(Asked::default());
    let watching = Arc::clone(&asked);
    runtime.spawn(async move {
        loop {
            watching.hear(tokio::select! {
                _ = interrupt.recv() => Signal::Interrupt,
                _ = terminate.recv() => Signal::Terminate,
            });
        }
    });
    Ok(asked)
}

/// What its end means; whatever is no documented end is a failure: killed, out of memory, broken down.
fn exit_of(ended: ExitStatus) -> Exit {
    match (ended.code(), ended.signal()) {
        (Some(0), _) => Exit::Done,
        (Some(2), _) => Exit::BadConfiguration,
        (Some(3), _) => Exit::Fenced,
        (Some(4), _) => Exit::NeedsPerson,
        (Some(code), _) if code == Exit::FailedStopping.code() => Exit::FailedStopping,
        (Some(code), _) if code == Exit::FailedAlone.code() => Exit::FailedAlone,
        (Some(130), _) | (_, Some(INTERRUPT)) => Exit::Signalled(Signal::Interrupt),
        (Some(143), _) | (_, Some(TERMINATE)) => Exit::Signalled(Signal::Terminate),
        _ => Exit::Failed,
    }
}

fn said(ended: ExitStatus, ran: Duration) -> String {
    let how = match (ended.code(), ended.signal()) {
        (Some(code), _) if code == Exit::FailedAlone.code() => "ended without the other processes".to_owned(),
        (Some(code), _) => format!("ended with exit code {code}"),
        (_, Some(signal)) => format!("was killed by signal {signal}"),
        _ => "ended".to_owned(),
    };
    format!("the run {how} after {:.0} s", ran.as_secs_f64())
}

/// Prints what the last child printed; its JSON gets the number of restarts.
fn print_report(output: &[u8], restarts: u32, form: ReportForm) {
    let text = String::from_utf8_lossy(output);
    match serde_json::from_str(&text) {
        Ok(serde_json::Value::Object(mut report)) if form == ReportForm::Json => {
            report.insert("restarts".to_owned(), restarts.into());
            println!("{}", serde_json::Value::Object(report));
        }
        _ => print!("{text}"),
    }
}

/// The signals that asked to stop, and whom they are passed to.
#[derive(Default)]
struct Asked {
    state: Mutex<State>,
    heard: Condvar,
}

#[derive(Default)]
struct State {
    first: Option<Signal>,
    child: Option<Pid>,
}

impl Asked {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a signal on; the child counts them itself.
    fn hear(&self, signal: Signal) {
        let mut state = self.lock();
        state.first.get_or_insert(signal);
        if let Some(child) = state.child {
            let signal = match signal {
                Signal::Interrupt => rustix::process::Signal::INT,
                Signal::Terminate => rustix::process::Signal::TERM,
            };
            let _ = rustix::process::kill_process(child, signal); // it may be ending by itself
        }
        self.heard.notify_all();
    }

    /// Waits so long; whether a signal came.
    fn wait(&self, pause: Duration) -> bool {
        let waited = self.heard.wait_timeout_while(self.lock(), pause, |state| state.first.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.first.is_some()
    }
}

/// A run in a process of its own.
struct Child {
    process: std::process::Child,
    id: Pid,
    /// Held open for as long as the child may live.
    _alive: UnixStream,
    words: JoinHandle<()>,
    output: JoinHandle<Vec<u8>>,
}

impl Child {
    /// Starts it with the arguments of this process, unless a signal came first.
    fn start(restarts: u32, asked: &Asked, last_word: &LastWord) -> Result<Result<Self, Signal>, Stop> {
        let failed =
            |error| Stop::failed(format!("the run could not be started as a process of its own: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut state = asked.lock();
        if let Some(signal) = state.first {
            return Ok(Err(signal));
        }
        let (alive, its_end) = UnixStream::pair().map_err(failed)?;
        let heard = alive.try_clone().map_err(failed)?;
        let mut process = Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(CHILD, restarts.to_string())
            .stdin(Stdio::from(OwnedFd::from(its_end)))
            .stdout(Stdio::piped())
            .process_group(0) // so that Ctrl-C reaches it once: from here
            .spawn()
            .map_err(failed)?;
        let id = Pid::from_child(&process);
        state.child = Some(id);
        let stdout = process.stdout.take();
        let output = std::thread::spawn(move || stdout.map(read_all).unwrap_or_default());
        Ok(Ok(Child { process, id, _alive: alive, words: last_word.listen(heard), output }))
    }

    /// Waits for its end; how it ended, and what it wrote on stdout.
    fn wait(mut self, asked: &Asked) -> Result<(ExitStatus, Vec<u8>), Stop> {
        let failed = |error| Stop::failed(format!("the run's process cannot be waited for: {error}"));
        // It is not reaped before no signal goes to its number any more.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(error) = rustix::process::waitid(WaitId::Pid(self.id), options) {
            if error != rustix::io::Errno::INTR {
                return Err(failed(error.into()));
            }
        }
        asked.lock().child = None;
        let ended = self.process.wait().map_err(failed)?;
        let _ = self.words.join(); // all that it said is heard
        Ok((ended, self.output.join().unwrap_or_default()))
    }
}

fn read_all(mut stdout: ChildStdout) -> Vec<u8> {
    let mut output = Vec::new();
    let _ = stdout.read_to_end(&mut output); // what was read until then is there
    output
}

/// In a child: ends this process when its supervisor is gone.
pub(crate) fn end_with_supervisor() {
    std::thread::spawn(|| {
        // Nothing is ever written there.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        eprintln!("error: the process that supervises this one is gone");
        std::process::exit(Exit::Failed.code());
    });
}
