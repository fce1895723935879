//! The connection to another process: what timely writes, in frames, so that a process that is lost is known from one
//! that is done, and by its name.
//!
//! ```text
//! length (4 bytes) | so many bytes of timely's
//! PULSE                                       every quarter of the longest silence, from a thread of its own
//! WORDS | length | why the process ends       before it hangs up
//! END                                         timely has nothing more to write
//! ```
//!
//! 1. **A process is lost** when its connection ends without END, breaks, or is silent for
//!    [`RunOptions::peer_timeout`](super::super::RunOptions::peer_timeout): a host that freezes answers nobody, and a
//!    process that is stopped has a kernel that answers for it, so the pulse is the process's own.
//! 2. **The first loss counts.** Whoever notices one hangs up on all others, with words: they end with the same error.
//! 3. A process that has hung up by itself has lost nobody.

use std::fmt;
use std::io::{self, BufReader, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use timely::communication::allocator::zero_copy::stream::Stream;

use super::{CALL, Sockets};
use crate::error::{Error, ErrorKind, Result, Told};
use crate::runner::Topology;

/// Heads of frames that bring no bytes of timely's.
const PULSE: u32 = 0;
const END: u32 = u32::MAX;
const WORDS: u32 = u32::MAX - 1;

/// The longest frame; a longer write becomes several.
const FRAME: usize = 1 << 20;
/// The longest words that are read: an error is shorter.
const WORDS_BYTES: u32 = 64 << 10;
/// What is read at once where less is asked for: a head and what follows it.
const READ: usize = 16 << 10;

/// One end of a connection, for timely.
#[derive(Debug)]
pub(in super::super) struct Line {
    peer: Arc<Peer>,
    reader: BufReader<TcpStream>,
    /// Bytes left of the frame that is being read.
    left: usize,
    ended: bool,
}

/// What all handles of a connection share.
#[derive(Debug)]
struct Peer {
    name: String,
    stream: TcpStream,
    /// Held while a frame is written.
    writing: Mutex<()>,
    /// Nothing more is written, a pulse included.
    done: AtomicBool,
    silence: Duration,
    loss: Arc<Loss>,
}

/// The first process that was lost, as an error that names it.
#[derive(Debug, Default)]
struct Loss {
    told: Mutex<Option<Told>>,
    /// This process has hung up.
    hung_up: AtomicBool,
}

/// All connections of a process.
#[derive(Default)]
pub(in super::super) struct Lines {
    open: Mutex<Vec<(Arc<Peer>, Thread)>>,
    loss: Arc<Loss>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lines {
    /// Makes lines of connected sockets, each with its pulse.
    pub(in super::super) fn open(
        &self,
        topology: &Topology,
        sockets: Sockets,
        silence: Duration,
    ) -> Result<Vec<Option<Line>>> {
        let open = |(process, socket): (usize, Option<TcpStream>)| {
            socket.map(|stream| self.open_one(topology, process, stream, silence)).transpose()
        };
        let lines: io::Result<_> = sockets.into_iter().enumerate().map(open).collect();
        lines.map_err(|error| {
            Error::new(
                ErrorKind::Worker,
                format!("the connections to the other processes cannot be used: {error}"),
            )
        })
    }

    fn open_one(
        &self,
        topology: &Topology,
        process: usize,
        stream: TcpStream,
        silence: Duration,
    ) -> io::Result<Line> {
        stream.set_read_timeout(Some(silence))?;
        stream.set_write_timeout(Some(silence))?;
        let reader = BufReader::with_capacity(READ, stream.try_clone()?);
        let peer = Arc::new(Peer {
            name: format!("process {process} ({}) of {}", topology.hosts[process], topology.hosts.len()),
            stream,
            writing: Mutex::default(),
            done: AtomicBool::new(false),
            silence,
            loss: Arc::clone(&self.loss),
        });
        let pulse = Arc::clone(&peer);
        let thread =
            thread::Builder::new().name(format!("kt-pulse-{process}")).spawn(move || pulse.pulse())?;
        lock(&self.open).push((Arc::clone(&peer), thread.thread().clone()));
        Ok(Line { peer, reader, left: 0, ended: false })
    }

    /// The error that names the process that was lost first, if one was.
    pub(in super::super) fn loss(&self) -> Option<Error> {
        lock(&self.loss.told).clone().map(Error::from_elsewhere)
    }

    /// Hangs up on all other processes, with the reason.
    pub(in super::super) fn hang_up(&self, told: Option<&Told>) {
        self.loss.hung_up.store(true, SeqCst);
        let words = told.and_then(|told| serde_json::to_vec(told).ok());
        for (peer, _) in lock(&self.open).iter() {
            peer.hang_up(words.as_deref());
        }
    }

    /// Ends the pulses: the run is over.
    pub(in super::super) fn close(&self) {
        for (peer, pulse) in lock(&self.open).drain(..) {
            peer.done.store(true, SeqCst);
            pulse.unpark();
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("loss", &self.loss).finish_non_exhaustive()
    }
}

impl Peer {
    fn pulse(&self) {
        while !self.done.load(SeqCst) {
            thread::park_timeout(self.silence / 4);
            let writing = lock(&self.writing);
            // What breaks here breaks for who reads, too, and is told there.
            if self.done.load(SeqCst) || self.write_held(&writing, PULSE, &[]).is_err() {
                return;
            }
        }
    }

    fn write(&self, head: u32, bytes: &[u8]) -> io::Result<()> {
        self.write_held(&lock(&self.writing), head, bytes)
    }

    fn write_held(&self, _writing: &MutexGuard<'_, ()>, head: u32, bytes: &[u8]) -> io::Result<()> {
        let head = head.to_be_bytes();
        let mut written = 0;
        while written < head.len() + bytes.len() {
            let left = [&head[written.min(head.len())..], &bytes[written.saturating_sub(head.len())..]];
            match (&self.stream).write_vectored(&left.map(IoSlice::new)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn end(&self) -> io::Result<()> {
        let writing = lock(&self.writing);
        self.done.store(true, SeqCst);
        self.write_held(&writing, END, &[])
    }

    /// Says why, unless somebody is stuck in writing, and breaks the connection.
    fn hang_up(&self, words: Option<&[u8]>) {
        self.done.store(true, SeqCst);
        if let (Some(words), Ok(writing)) = (words, self.writing.try_lock()) {
            let _ = self.stream.set_write_timeout(Some(CALL)); // then it may take longer
            let length = u32::try_from(words.len()).unwrap_or(WORDS_BYTES).to_be_bytes();
            // Who does not hear the words notices that the connection ends.
            let _ = self.write_held(&writing, WORDS, &[&length, words].concat());
        }
        let _ = self.stream.shutdown(Shutdown::Both); // one that is broken already need not be broken
    }

    /// Notes that the process at the other end is lost, and why.
    fn lost(&self, error: &io::Error) {
        if self.loss.hung_up.load(SeqCst) {
            return;
        }
        let silent = self.silence.as_secs();
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => "it closed the connection without a word".to_owned(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("nothing was heard of it for {silent} s, so its host or the network to it hangs")
            }
            _ => format!("the connection to it broke ({error})"),
        };
        let lost = Error::new(ErrorKind::Worker, format!("{} is gone: {reason}", self.name)).with_advice(
            "its output tells why it ended, if it did; start all of them again (--restart-on-failure does): they go \
             on where the kept positions are",
        );
        lock(&self.loss.told).get_or_insert_with(|| lost.tell());
    }
}

impl Line {
    /// Reads heads until bytes follow; false at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        while self.left == 0 && !self.ended {
            match self.word()? {
                PULSE => {}
                END => self.ended = true,
                WORDS => return Err(self.words()?),
                length => self.left = length as usize,
            }
        }
        Ok(!self.ended)
    }

    fn word(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.reader.read_exact(&mut bytes).map(|()| u32::from_be_bytes(bytes))
    }

    /// Takes the other process's words for the reason why everything ends.
    fn words(&mut self) -> io::Result<io::Error> {
        let mut words = vec![0; self.word()?.min(WORDS_BYTES) as usize];
        self.reader.read_exact(&mut words)?;
        let told: Told = serde_json::from_slice(&words)?;
        if !self.peer.loss.hung_up.load(SeqCst) {
            lock(&self.peer.loss.told).get_or_insert(told);
        }
        Ok(io::ErrorKind::ConnectionAborted.into())
    }

    fn read_bytes(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.next_frame()? {
            return Ok(0);
        }
        let most = self.left.min(buffer.len());
        let read = loop {
            match self.reader.read(&mut buffer[..most]) {
                // After a stop and its end, whatever SA_RESTART says.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        Ok(read)
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_bytes(buffer).inspect_err(|error| self.peer.lost(error))
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let frame = &bytes[..bytes.len().min(FRAME)];
        if !frame.is_empty() {
            self.peer.write(frame.len() as u32, frame).inspect_err(|error| self.peer.lost(error))?;
        }
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Line {
    fn try_clone(&self) -> io::Result<Self> {
        debug_assert!(self.reader.buffer().is_empty(), "a line that is read has one reader");
        let reader = BufReader::with_capacity(READ, self.peer.stream.try_clone()?);
        Ok(Line { peer: Arc::clone(&self.peer), reader, left: 0, ended: false })
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.peer.stream.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Read {
            self.peer.end()?;
        }
        self.peer.stream.shutdown(how)
    }
}
