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
//! 5. A process that ends while it waits, or whose host is gone, may come again: the connection to it is made anew.
//! 6. Once together, a process that is lost is noticed, and named, whether it died or hangs (`line.rs`).

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::{StopHandle, Topology};
use crate::error::{Error, ErrorKind, Result};

mod hello;
mod line;

use hello::{FAREWELL, Hello, farewell};
pub(super) use line::Lines;

/// Between two rounds of calling and listening.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one call, or one hello, may take: far more than a network needs, little enough to look for a stop between.
const CALL: Duration = Duration::from_secs(2);
/// How long a process that failed waits for others to tell them: they are started at about the same time.
const LEAVING: Duration = Duration::from_secs(5);

/// A connection to each other process, in order; `None` for this one.
pub(super) type Sockets = Vec<Option<TcpStream>>;

/// Waits until all processes are there; `None` when a stop came first. `waiting` is told now and then for whom.
pub(super) fn connect(
    topology: &Topology,
    patience: Duration,
    stop: &StopHandle,
    waiting: impl Fn(String),
) -> Result<Option<Sockets>> {
    let mut meeting = Meeting::new(topology)?;
    let until = Instant::now() + patience;
    loop {
        meeting.forget_the_dead();
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
        waiting(meeting.waits_for(patience));
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
        self.missing().next().is_none()
    }

    fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        let others = (0..self.sockets.len()).filter(|process| *process != self.topology.process);
        others.filter(|process| self.sockets[*process].is_none())
    }

    /// Drops connections to processes that have ended since.
    fn forget_the_dead(&mut self) {
        for socket in &mut self.sockets {
            if socket.as_ref().is_some_and(is_dead) {
                *socket = None;
            }
        }
    }

    /// For whom, in words: `2 of 3 processes: process 1 (b:2101), process 2 (c:2101)`.
    fn waits_for(&self, patience: Duration) -> String {
        const NAMED: usize = 3;
        let missing: Vec<_> = self.missing().collect();
        let named = missing.iter().take(NAMED);
        let named: Vec<_> = named.map(|it| format!("process {it} ({})", self.topology.hosts[*it])).collect();
        let more = missing.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (named, all, most) = (named.join(", "), self.sockets.len(), patience.as_secs());
        format!("{} of {all} processes: {named}{more} (for {most} s at most)", missing.len())
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
            if process > self.topology.process {
                self.sockets[process] = Some(stream); // who calls again has ended since
            }
        }
        Ok(())
    }

    fn answer(&self, stream: &TcpStream) -> io::Result<Hello> {
        stream.set_nonblocking(false)?;
        prepare(stream)?;
        let hello = Hello::read(stream)?;
        Hello::of(self.topology).write(stream)?;
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
        let missing = self.missing().map(|process| {
            let reason = self.reasons[process].as_deref().unwrap_or("it did not call");
            format!("process {process} ({}): {reason}", self.topology.hosts[process])
        });
        let text = format!(
            "not all processes came together within {} s; missing: {}",
            patience.as_secs(),
            missing.collect::<Vec<_>>().join("; ")
        );
        Error::new(ErrorKind::Apart, text).with_advice(
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

/// Whether the other end has ended: it says nothing before all are together.
fn is_dead(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let dead = match peeked {
        Ok(bytes) => bytes == 0,
        Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
    };
    dead || stream.set_nonblocking(false).is_err()
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
