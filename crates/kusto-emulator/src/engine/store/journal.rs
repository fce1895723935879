//! The journal: every acknowledged transaction, one line each. See the module's drawing.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::catalog::State;
use super::super::change::Change;
use super::{StoreError, files};

const FORMAT: &str = "kusto-emulator-engine";
const VERSION: u32 = 2;
const NAME: &str = "journal.jsonl";
/// A journal below this size is never compacted: replaying it takes a moment.
const COMPACT_FROM_BYTES: u64 = 16 << 20;
/// A longer one is, once it is this many times as long as the catalog it describes.
const COMPACT_FACTOR: u64 = 4;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
}

/// A line: what happened.
#[derive(Debug, Serialize, Deserialize)]
enum Record<C> {
    /// The directory was opened for the nth time.
    Start(u64),
    /// Changes that were made together.
    Changes(C),
}

/// The catalog that a journal adds up to.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) state: State,
    pub(super) starts: u64,
}

/// Where transactions go before they are seen.
#[derive(Debug)]
pub(crate) struct Journal(Option<OnDisk>);

#[derive(Debug)]
struct OnDisk {
    path: PathBuf,
    file: File,
    length: u64,
    compact_at: u64,
    starts: u64,
    closed: bool,
    _lock: File,
}

impl Journal {
    /// A journal that forgets.
    pub(super) fn in_memory() -> Self {
        Self(None)
    }

    /// Replays the journal of `directory`, cuts off a torn end, and records this start.
    pub(super) fn open(directory: &Path, lock: File) -> Result<(Self, Replayed), StoreError> {
        let path = directory.join(NAME);
        let mut file = files::open_private(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|source| StoreError::io("read", &path, source))?;
        let (replayed, length) = replay(&path, &bytes)?;
        let mut disk = OnDisk {
            path,
            file,
            length,
            compact_at: COMPACT_FROM_BYTES.max(length),
            starts: replayed.starts + 1,
            closed: false,
            _lock: lock,
        };
        disk.cut()?;
        if length == 0 {
            disk.write(&header_line())?;
        }
        disk.write(&line(&Record::<()>::Start(disk.starts)))?;
        Ok((Self(Some(disk)), replayed))
    }

    /// Writes one transaction.
    ///
    /// # Errors
    /// If it could not be written; then it is not in the journal.
    pub(crate) fn append(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let Some(disk) = &mut self.0 else { return Ok(()) };
        disk.write(&line(&Record::Changes(changes)))
    }

    /// Replaces a journal that has grown long by one that says the same in a line.
    ///
    /// # Errors
    /// If the new one could not be written; the old one is still good then.
    pub(crate) fn compact_when_due(&mut self, state: &State) -> Result<(), StoreError> {
        match &mut self.0 {
            Some(disk) if disk.length >= disk.compact_at => disk.compact(state),
            _ => Ok(()),
        }
    }
}

impl OnDisk {
    fn write(&mut self, line: &[u8]) -> Result<(), StoreError> {
        if self.closed {
            return Err(StoreError::Closed { path: self.path.clone() });
        }
        if let Err(source) = self.file.write_all(line) {
            self.closed = self.cut().is_err();
            return Err(StoreError::io("write to", &self.path, source));
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Removes what lies behind the last whole line.
    fn cut(&mut self) -> Result<(), StoreError> {
        let cut = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
        cut.map(drop).map_err(|source| StoreError::io("truncate", &self.path, source))
    }

    fn compact(&mut self, state: &State) -> Result<(), StoreError> {
        let next = self.path.with_extension("next");
        let changes = [Change::Everything(Box::new(state.clone()))];
        let mut text = header_line();
        text.extend(line(&Record::<()>::Start(self.starts)));
        text.extend(line(&Record::Changes(&changes)));
        let mut file = files::create_private(&next)?;
        file.write_all(&text)
            .and_then(|()| file.sync_data())
            .and_then(|()| std::fs::rename(&next, &self.path))
            .map_err(|source| StoreError::io("compact", &self.path, source))?;
        self.file = file;
        self.length = text.len() as u64;
        self.compact_at = COMPACT_FROM_BYTES.max(self.length * COMPACT_FACTOR);
        Ok(())
    }
}

/// The line of a value: checksum, blank, JSON, line feed.
fn line(value: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(value).expect("records have string keys only and no failing serializers");
    let mut line = format!("{:08x} ", files::checksum(&json)).into_bytes();
    line.extend(json);
    line.push(b'\n');
    line
}

fn header_line() -> Vec<u8> {
    line(&Header { format: FORMAT.to_owned(), version: VERSION })
}

/// The JSON of a line; none if it is not what was written.
fn intact(line: &[u8]) -> Option<&[u8]> {
    let (sum, json) = (line.get(..8)?, line.get(9..)?);
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (files::checksum(json) == sum).then_some(json)
}

/// What the lines add up to, and how many bytes of them are whole.
fn replay(path: &Path, bytes: &[u8]) -> Result<(Replayed, u64), StoreError> {
    let mut replayed = Replayed::default();
    let mut whole = 0;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let json = line.strip_suffix(b"\n").and_then(intact);
        let Some(json) = json else {
            if whole + line.len() == bytes.len() {
                return Ok((replayed, whole as u64));
            }
            return Err(StoreError::damaged(path, format!("line {} fails its checksum", number + 1)));
        };
        if number == 0 {
            check_header(path, json)?;
        } else {
            replay_record(path, number + 1, json, &mut replayed)?;
        }
        whole += line.len();
    }
    Ok((replayed, whole as u64))
}

fn check_header(path: &Path, json: &[u8]) -> Result<(), StoreError> {
    match serde_json::from_slice::<Header>(json) {
        Ok(header) if header.format == FORMAT && header.version == VERSION => Ok(()),
        Ok(header) => {
            let found = format!("{} {}", header.format, header.version);
            Err(StoreError::Version { path: path.to_owned(), found, expected: VERSION })
        }
        Err(error) => Err(StoreError::damaged(path, format!("line 1: {error}"))),
    }
}

fn replay_record(path: &Path, number: usize, json: &[u8], replayed: &mut Replayed) -> Result<(), StoreError> {
    match serde_json::from_slice::<Record<Vec<Change>>>(json) {
        Ok(Record::Start(n)) => replayed.starts = n,
        Ok(Record::Changes(changes)) => changes.iter().for_each(|change| replayed.state.apply(change)),
        Err(error) => return Err(StoreError::damaged(path, format!("line {number}: {error}"))),
    }
    Ok(())
}
