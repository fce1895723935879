//! Brings the processes of a cluster together, before their workers start.
//!
//! ```text
//! process 2 ──hello──► process 1 ──hello──► process 0        each listens at its own address
//!     └────────────────hello─────────────────────▲           and calls those before it
//! ```
//!
//! timely can do this too, but it waits for ever, cannot be stopped meanwhile, and says what it waits for on stdout, where
//! a report is expected. Here:
//!
//! 1. A process waits no longer than [`RunOptions::join_timeout`](super::RunOptions::join_timeout), and its error names
//!    who did not come.
//! 2. A stop ends the waiting.
//! 3. Only processes of a cluster of the same shape get together; what else calls is hung up on.
//! 4. A process that failed before it could join says so to those who wait for it ([`take_leave`]).
//! 5. A host that is gone without a word is noticed within two minutes, also when nothing is to be sent ([`KEEPALIVE`]).

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::sockopt;

use super::{StopHandle, Topology};
use crate::error::{Error, ErrorKind, Result, Told};

/// Between two rounds of calling and listening.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one call, or one hello, may take: far more than a network needs, little enough to look for a stop between.
const CALL: Duration = Duration::from_secs(2);
/// What a hello begins with, so that nobody else is taken for a process.
const MAGIC: u64 = u64::from_be_bytes(*b"tkusto01");

/// What a process says that does not come.
const FAREWELL: u64 = u64::from_be_bytes(*b"tkusto-x");
/// The longest farewell: an error is shorter.
const FAREWELL_BYTES: u64 = 64 << 10;
/// How long a process that failed waits for others to tell them: they are started at about the same time.
const LEAVING: Duration = Duration::from_secs(5);
/// After how much silence the other host is asked whether it is there, how often, and how often in vain.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);

/// A connection to each other process, in order; `None` for this one.
pub(super) type Sockets = Vec<Option<TcpStream>>;

/// Waits until all processes are there; `None` when a stop came first. `waiting` is called now and then.
pub(super) fn connect(
    topology: &Topology,
    patience: Duration,
    stop: &StopHandle,
    waiting: impl Fn(),
) -> Result<Option<Sockets>> {
    let mut meeting = Meeting::new(topology)?;
    let until = Instant::now() + patience;
    loop {
        meeting.listen()?;
        meeting.call()?;
        if meeting.is_complete() {
            return Ok(Some(meeting.sockets));
        }
        if stop.is_requested() {
            return Ok(None);
        }
        if Instant::now() >= until {
            return Err(meeting.given_up(patience));
        }
        waiting();
        std::thread::sleep(PAUSE);
    }
}

struct Meeting<'a> {
    topology: &'a Topology,
    listener: TcpListener,
    sockets: Sockets,
    /// Why the last call to each process failed.
    reasons: Vec<Option<String>>,
}

impl<'a> Meeting<'a> {
    fn new(topology: &'a Topology) -> Result<Self> {
        let address = &topology.hosts[topology.process];
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(|error| {
            let text = format!("process {} cannot listen at {address}: {error}", topology.process);
            Error::new(ErrorKind::Worker, text).with_advice(
                "line up the hosts file with --process: each process listens at its own line of it, and no other \
                 program may use that port",
            )
        })?;
        let processes = topology.hosts.len();
        let sockets = std::iter::repeat_with(|| None).take(processes).collect();
        Ok(Meeting { topology, listener, sockets, reasons: vec![None; processes] })
    }

    fn is_complete(&self) -> bool {
        self.sockets.iter().filter(|socket| socket.is_none()).count() == 1
    }

    /// Answers those who call.
    fn listen(&mut self) -> Result<()> {
        while let Ok((stream, _)) = self.listener.accept() {
            let hello = match self.answer(&stream) {
                Ok(hello) => hello,
                Err(error) => match farewell(&error) {
                    Some(farewell) => return Err(Error::from_elsewhere(farewell.told)),
                    None => continue, // whoever is no process of ours is hung up on
                },
            };
            let process = self.check(hello)?;
            if process > self.topology.process && self.sockets[process].is_none() {
                self.sockets[process] = Some(stream);
            }
        }
        Ok(())
    }

    fn answer(&self, stream: &TcpStream) -> io::Result<Hello> {
        stream.set_nonblocking(false)?;
        prepare(stream)?;
        let hello = Hello::read(stream)?;
        Hello::of(self.topology).write(stream)?;
        ready(stream)?;
        Ok(hello)
    }

    /// Calls those of the processes before this one that have not answered yet.
    fn call(&mut self) -> Result<()> {
        for process in 0..self.topology.process {
            if self.sockets[process].is_some() {
                continue;
            }
            match self.greet(&self.topology.hosts[process]) {
                Ok((stream, hello)) if self.check(hello)? == process => self.sockets[process] = Some(stream),
                Ok((_, hello)) => {
                    self.reasons[process] = Some(format!("process {} answers there", hello.process));
                }
                Err(error) => match farewell(&error) {
                    Some(farewell) => return Err(Error::from_elsewhere(farewell.told)),
                    None => self.reasons[process] = Some(error.to_string()),
                },
            }
        }
        Ok(())
    }

    fn greet(&self, host: &str) -> io::Result<(TcpStream, Hello)> {
        let stream = dial(host)?;
        prepare(&stream)?;
        Hello::of(self.topology).write(&stream)?;
        let hello = Hello::read(&stream)?;
        ready(&stream)?;
        Ok((stream, hello))
    }

    /// The process that said `hello`, if it fits to this one.
    fn check(&self, hello: Hello) -> Result<usize> {
        let own = Hello::of(self.topology);
        if (hello.processes, hello.workers) != (own.processes, own.workers) {
            let text = format!(
                "process {} was started as one of {} processes with {} workers each, and this one, process {}, as one \
                 of {} with {}",
                hello.process, hello.processes, hello.workers, own.process, own.processes, own.workers
            );
            return Err(Error::new(ErrorKind::Options, text)
                .with_advice("start all processes with the same --workers and --processes"));
        }
        Ok(hello.process as usize) // below the number of processes, as a hello is
    }

    fn given_up(&self, patience: Duration) -> Error {
        let missing = (0..self.sockets.len()).filter(|process| *process != self.topology.process);
        let missing = missing.filter(|process| self.sockets[*process].is_none()).map(|process| {
            let reason = self.reasons[process].as_deref().unwrap_or("it did not call");
            format!("process {process} ({}): {reason}", self.topology.hosts[process])
        });
        let text = format!(
            "not all processes came together within {} s; missing: {}",
            patience.as_secs(),
            missing.collect::<Vec<_>>().join("; ")
        );
        Error::new(ErrorKind::Worker, text).with_advice(
            "look into the log of what is missing, it may have ended with an error; then start all processes again",
        )
    }
}

/// A connection to the first address of the host that answers.
fn dial(host: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CALL) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Before the hellos.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(CALL))?;
    stream.set_write_timeout(Some(CALL))
}

/// After the hellos: for timely, which waits as long as it takes.
fn ready(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    let (silence, between, in_vain) = KEEPALIVE;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, silence)?;
    sockopt::set_tcp_keepintvl(stream, between)?;
    Ok(sockopt::set_tcp_keepcnt(stream, in_vain)?)
}

/// What processes tell each other of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hello {
    process: u64,
    processes: u64,
    workers: u64,
}

impl Hello {
    fn of(topology: &Topology) -> Self {
        let [process, processes, workers] =
            [topology.process, topology.hosts.len(), topology.workers].map(|number| number as u64);
        Hello { process, processes, workers }
    }

    fn write(self, mut stream: &TcpStream) -> io::Result<()> {
        let words = [MAGIC, self.process, self.processes, self.workers].map(u64::to_be_bytes);
        stream.write_all(words.as_flattened())
    }

    fn read(mut stream: &TcpStream) -> io::Result<Self> {
        let mut word = || {
            let mut bytes = [0; 8];
            stream.read_exact(&mut bytes).map(|()| u64::from_be_bytes(bytes))
        };
        match word()? {
            MAGIC => {}
            FAREWELL => {
                let (process, length) = (word()?, word()?.min(FAREWELL_BYTES));
                let mut text = String::new();
                stream.take(length).read_to_string(&mut text)?;
                return Err(serde_json::from_str(&text)
                    .map_or_else(io::Error::from, |told| io::Error::other(Farewell { process, told })));
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "another program answers there")),
        }
        let hello = Hello { process: word()?, processes: word()?, workers: word()? };
        if hello.process >= hello.processes {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its hello cannot be"));
        }
        Ok(hello)
    }
}

/// What another process said instead of a hello.
#[derive(Clone, Debug)]
struct Farewell {
    process: u64,
    told: Told,
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} failed: {:?}", self.process, self.told)
    }
}

impl std::error::Error for Farewell {}

fn farewell(error: &io::Error) -> Option<Farewell> {
    error.get_ref()?.downcast_ref::<Farewell>().cloned()
}

/// Tells the processes that wait for this one why it does not come: until all know, or for [`LEAVING`].
pub(super) fn take_leave(topology: &Topology, error: &Error, stop: &StopHandle) {
    let Ok(text) = serde_json::to_string(&error.tell()) else { return };
    let Ok(meeting) = Meeting::new(topology) else { return }; // nobody can reach this process
    let until = Instant::now() + LEAVING;
    let own = topology.process as u64;
    let mut told = vec![false; topology.hosts.len()];
    told[topology.process] = true;
    while told.contains(&false) && Instant::now() < until && !stop.is_requested() {
        while let Ok((stream, _)) = meeting.listener.accept() {
            let ready = stream.set_nonblocking(false).and_then(|()| prepare(&stream));
            let process = match ready.and_then(|()| Hello::read(&stream)) {
                Ok(hello) => say_farewell(&stream, own, &text).ok().map(|()| hello.process),
                // One that leaves, too, needs no word.
                Err(error) => farewell(&error).map(|farewell| farewell.process),
            };
            let known = process.and_then(|process| told.get_mut(usize::try_from(process).ok()?));
            known.into_iter().for_each(|told| *told = true);
        }
        for process in (0..topology.process).filter(|process| !told[*process]).collect::<Vec<_>>() {
            let stream = dial(&topology.hosts[process]);
            told[process] = stream.and_then(|stream| say_farewell(&stream, own, &text)).is_ok();
        }
        std::thread::sleep(PAUSE);
    }
}

fn say_farewell(mut stream: &TcpStream, process: u64, text: &str) -> io::Result<()> {
    prepare(stream)?;
    let length = text.len() as u64;
    stream.write_all([FAREWELL, process, length].map(u64::to_be_bytes).as_flattened())?;
    stream.write_all(text.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    // Until the other end has closed, so that nothing of it is lost.
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// Second handles of the sockets, to break the connections of a process that cannot tell why it ends.
#[derive(Default)]
pub(super) struct Lines(Mutex<Vec<TcpStream>>);

impl Lines {
    pub(super) fn keep(&self, sockets: &Sockets) {
        let copies = sockets.iter().flatten().filter_map(|socket| socket.try_clone().ok());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(copies);
    }

    /// Breaks all connections: the others notice at once.
    pub(super) fn cut(&self) {
        for line in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = line.shutdown(Shutdown::Both); // one that is broken already need not be broken
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}
