//! A zip archive with one file, read from front to back: the directory at its end is not needed for that.
//!
//! Taken are the methods "stored" and "deflate", with sizes before or behind the data. Refused are archives with more
//! than one file (what the service does with those is not documented), encrypted ones, and data whose checksum fails.
//! Source: PKWARE's APPNOTE, sections 4.3.7 to 4.3.12.

use std::io::{self, BufReader, Read, Take};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

const FILE: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const DIRECTORY: u32 = 0x0201_4b50;

const ENCRYPTED: u16 = 1;
/// Checksum and sizes stand behind the data.
const SIZES_BEHIND: u16 = 1 << 3;

type Blob = BufReader<Box<dyn Read + Send>>;

/// The bytes of the archive's file.
pub(super) struct Zip {
    state: State,
    seen: Crc,
    /// The checksum, unless it stands behind the data.
    expected: Option<u32>,
}

enum State {
    Start(Blob),
    Stored(Take<Blob>),
    Deflated(DeflateDecoder<Blob>),
    End,
}

impl Zip {
    pub(super) fn new(blob: Box<dyn Read + Send>) -> Self {
        Self { state: State::Start(BufReader::new(blob)), seen: Crc::new(), expected: None }
    }

    /// Reads the header of the file.
    fn begin(&mut self, mut blob: Blob) -> io::Result<()> {
        if number(&mut blob)? != FILE {
            return Err(damage("it does not begin with a file"));
        }
        let mut header = [0; 26];
        blob.read_exact(&mut header)?;
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let long = |at: usize| u32::from(short(at)) | (u32::from(short(at + 2)) << 16);
        let (flags, method, size) = (short(2), short(4), long(14));
        if flags & ENCRYPTED != 0 {
            return Err(damage("its file is encrypted"));
        }
        let skipped = u64::from(short(22)) + u64::from(short(24));
        io::copy(&mut blob.by_ref().take(skipped), &mut io::sink())?;
        let behind = flags & SIZES_BEHIND != 0;
        self.expected = (!behind).then(|| long(10));
        self.state = match method {
            8 => State::Deflated(DeflateDecoder::new(blob)),
            0 if !behind && size != u32::MAX => State::Stored(blob.take(u64::from(size))),
            _ => return Err(damage("its file is neither stored with its size in front nor deflated")),
        };
        Ok(())
    }

    /// Checks what follows the data.
    fn finish(&mut self, mut blob: Blob) -> io::Result<()> {
        let mut next = number(&mut blob)?;
        let expected = match self.expected {
            Some(expected) => expected,
            None => {
                let sum = if next == DESCRIPTOR { number(&mut blob)? } else { next };
                // The sizes are two numbers of 4 or of 8 bytes.
                number(&mut blob)?;
                number(&mut blob)?;
                next = number(&mut blob)?;
                if !matches!(next, DIRECTORY | FILE) {
                    number(&mut blob)?;
                    next = number(&mut blob)?;
                }
                sum
            }
        };
        if expected != self.seen.sum() {
            return Err(damage("the checksum of its file fails"));
        }
        if next == DIRECTORY { Ok(()) } else { Err(damage("it holds more than one file")) }
    }
}

fn number(blob: &mut Blob) -> io::Result<u32> {
    let mut bytes = [0; 4];
    blob.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn damage(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the zip archive cannot be read: {what}"))
}

impl Read for Zip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let State::Start(_) = self.state
            && let State::Start(blob) = std::mem::replace(&mut self.state, State::End)
        {
            self.begin(blob)?;
        }
        let count = match &mut self.state {
            State::Stored(data) => data.read(buffer)?,
            State::Deflated(data) => data.read(buffer)?,
            State::Start(_) | State::End => return Ok(0),
        };
        self.seen.update(&buffer[..count]);
        if count == 0 && !buffer.is_empty() {
            match std::mem::replace(&mut self.state, State::End) {
                State::Stored(data) => self.finish(data.into_inner())?,
                State::Deflated(data) => self.finish(data.into_inner())?,
                State::Start(_) | State::End => {}
            }
        }
        Ok(count)
    }
}
