//! What processes tell each other before they get together.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::error::Told;
use crate::runner::Topology;

/// What a hello begins with, so that nobody else is taken for a process, and none that frames what it says otherwise.
const MAGIC: u64 = u64::from_be_bytes(*b"tkusto02");
/// What a process says that does not come.
pub(super) const FAREWELL: u64 = u64::from_be_bytes(*b"tkusto-x");
/// The longest farewell: an error is shorter.
const FAREWELL_BYTES: u64 = 64 << 10;

/// What processes tell each other of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) process: u64,
    pub(super) processes: u64,
    pub(super) workers: u64,
}

impl Hello {
    pub(super) fn of(topology: &Topology) -> Self {
        let [process, processes, workers] =
            [topology.process, topology.hosts.len(), topology.workers].map(|number| number as u64);
        Hello { process, processes, workers }
    }

    pub(super) fn write(self, mut stream: &TcpStream) -> io::Result<()> {
        let words = [MAGIC, self.process, self.processes, self.workers].map(u64::to_be_bytes);
        stream.write_all(words.as_flattened())
    }

    pub(super) fn read(mut stream: &TcpStream) -> io::Result<Self> {
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
pub(super) struct Farewell {
    pub(super) process: u64,
    pub(super) told: Told,
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} failed: {:?}", self.process, self.told)
    }
}

impl std::error::Error for Farewell {}

pub(super) fn farewell(error: &io::Error) -> Option<Farewell> {
    error.get_ref()?.downcast_ref::<Farewell>().cloned()
}
