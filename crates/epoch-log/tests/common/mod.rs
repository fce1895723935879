//! A log on a simulated disk beside a plain account of what it was told and what it promised.
#![allow(clippy::unwrap_used, missing_docs, dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use epoch_log::testing::{Chance, SimulatedDisk, Survival};
use epoch_log::{
    Adopted, Column, DirectoryId, Epoch, Error, Generation, Layout, Lineage, Log, NewChunk, Nonce,
    SealedFile, Start, Worker, Writer, WriterOptions,
};

pub const STATE: &str = "/var/lib/storms";

pub fn lineage() -> Lineage {
    Lineage::new("0123456789abcdef").unwrap()
}

pub fn start(generation: u64) -> Start {
    Start::new(Generation(generation), Nonce::new(format!("n{generation}")).unwrap())
}

pub fn worker() -> Worker {
    Worker::new(0, 2).unwrap()
}

pub fn id(generation: u64) -> DirectoryId {
    DirectoryId { start: start(generation), worker: 0 }
}

pub fn layout() -> Arc<Layout> {
    let column = |name: &str, kind: &str| Column { name: name.into(), column_type: kind.into() };
    Arc::new(Layout { format: "csv".into(), columns: vec![column("id", "long"), column("name", "string")] })
}

pub fn chunk(epoch: u64, rows: u64) -> NewChunk {
    NewChunk { epoch: Epoch(epoch), rows, raw_bytes: rows * 10, layout: layout(), sum: None }
}

pub fn log_on(disk: &SimulatedDisk) -> Log {
    Log::new(STATE, lineage()).on(Arc::new(disk.clone()))
}

/// A disk with a directory that holds these sealed files, one per epoch from 0, and no open file.
pub fn disk_with_sealed(epochs: u64) -> (SimulatedDisk, Log) {
    let disk = SimulatedDisk::new(1);
    let log = log_on(&disk);
    let mut writer = log.create(&start(1), worker(), WriterOptions::from(Epoch(0))).unwrap();
    for epoch in 0..epochs {
        writer.append(&chunk(epoch, epoch + 1), format!("body of epoch {epoch}").as_bytes()).unwrap();
        writer.position(Epoch(epoch), "p", epoch.to_le_bytes()).unwrap();
        writer.seal(Epoch(epoch + 1)).unwrap();
    }
    (disk, log)
}

pub fn file_path(name: &str) -> PathBuf {
    format!("{STATE}/0123456789abcdef/g1-n1/w0/{name}").into()
}

pub fn body_of(file: &SealedFile, index: usize) -> Result<Vec<u8>, Error> {
    let body = file.body(index)?;
    let mut bytes = vec![0; body.length() as usize];
    body.read_at(&mut bytes, 0)?;
    let mut streamed = Vec::new();
    body.reader().read_to_end(&mut streamed).map_err(inner)?;
    assert_eq!(bytes, streamed, "both ways of reading give the same bytes");
    Ok(bytes)
}

/// The log's own error inside that of a stream.
pub fn inner(error: std::io::Error) -> Error {
    *error.into_inner().unwrap().downcast().unwrap()
}

/// What a caller does to a log.
#[derive(Clone, Debug)]
pub enum Step {
    /// A new start with a directory of its own; the one before is dropped.
    Create {
        epochs_per_file: u64,
    },
    Append {
        epoch: u64,
        bytes: usize,
    },
    Position {
        epoch: u64,
        value: u8,
    },
    Seal {
        to: u64,
    },
    /// What the caller says is committed; only what the log promised is.
    Remove {
        below: u64,
    },
    /// The process dies, and the next adopts.
    Die,
}

/// The account of one directory.
#[derive(Clone, Debug, Default)]
pub struct Account {
    appended: BTreeMap<u64, Vec<Vec<u8>>>,
    positions: BTreeMap<u64, u8>,
    /// Promised: a seal, or an adoption, said so.
    promised_to: u64,
    /// The farthest seal that was tried.
    tried_to: u64,
    removed_below: u64,
}

/// A log, its disk, and the account.
pub struct Scene {
    pub disk: SimulatedDisk,
    pub log: Log,
    pub writer: Option<Writer>,
    pub generation: u64,
    pub accounts: BTreeMap<u64, Account>,
    chance: Chance,
}

impl Scene {
    pub fn new(seed: u64) -> Self {
        let disk = SimulatedDisk::new(seed);
        let log = log_on(&disk);
        Scene {
            disk,
            log,
            writer: None,
            generation: 0,
            accounts: BTreeMap::new(),
            chance: Chance::new(!seed),
        }
    }

    /// Does one step and keeps the account. Errors are the step's; the account stays true under each of them.
    pub fn step(&mut self, step: &Step) -> Result<(), Error> {
        match *step {
            Step::Create { epochs_per_file } => {
                self.writer = None;
                self.generation += 1;
                let options =
                    WriterOptions::from(Epoch(0)).epochs_per_file(NonZeroU64::new(epochs_per_file).unwrap());
                self.writer = Some(self.log.create(&start(self.generation), worker(), options)?);
                self.accounts.insert(self.generation, Account::default());
                Ok(())
            }
            Step::Append { epoch, bytes } => {
                let body = self.chance.bytes(bytes);
                let Some((writer, account)) = self.both() else { return Ok(()) };
                writer.append(&chunk(epoch, bytes as u64), &body)?;
                account.appended.entry(epoch).or_default().push(body);
                Ok(())
            }
            Step::Position { epoch, value } => {
                let Some((writer, account)) = self.both() else { return Ok(()) };
                writer.position(Epoch(epoch), "p", [value])?;
                account.positions.insert(epoch, value);
                Ok(())
            }
            Step::Seal { to } => {
                let Some((writer, account)) = self.both() else { return Ok(()) };
                account.tried_to = account.tried_to.max(to);
                let outcome = writer.seal(Epoch(to));
                account.promised_to = writer.sealed_to().0;
                outcome.map(drop)
            }
            Step::Remove { below } => {
                let Some((writer, account)) = self.both() else { return Ok(()) };
                let below = below.min(account.promised_to);
                account.removed_below = account.removed_below.max(below);
                writer.remove_below(Epoch(below)).map(drop)
            }
            Step::Die => {
                self.writer = None;
                self.adopt_all().map(drop)
            }
        }
    }

    fn both(&mut self) -> Option<(&mut Writer, &mut Account)> {
        Some((self.writer.as_mut()?, self.accounts.get_mut(&self.generation)?))
    }

    /// The process dies. What a new one adopts must be what was promised, at least, and whole.
    pub fn adopt_all(&mut self) -> Result<Vec<Adopted>, Error> {
        self.writer = None;
        let found = self.log.directories()?;
        let mut adopted = Vec::new();
        for (&generation, account) in &mut self.accounts {
            assert!(
                found.contains(&id(generation)),
                "directory {generation} was created durably and is gone"
            );
            let directory = self.log.adopt(&id(generation))?;
            account.check(&directory)?;
            adopted.push(directory);
        }
        Ok(adopted)
    }

    /// The power fails, comes back, and everything must be as promised, now and after a second cut.
    pub fn cut_power_and_check(&mut self, survival: Survival) {
        self.writer = None;
        self.disk.restart(survival);
        self.adopt_all().expect("after a power cut everything promised is readable");
        self.disk.restart(Survival::Nothing);
        self.adopt_all().expect("what an adoption showed survives the next power cut");
    }
}

impl Account {
    /// Invariants 16 and 18 and the removal rule, against what a new process finds.
    fn check(&mut self, directory: &Adopted) -> Result<(), Error> {
        let cover = Epoch(self.removed_below);
        let files = directory.chain(cover)?;
        let to = files.last().map_or(self.removed_below, |file| file.to().0);
        assert!(to >= self.promised_to, "sealed up to {} was promised, found up to {to}", self.promised_to);
        assert!(to <= self.tried_to, "up to {to} is found as sealed, no seal went beyond {}", self.tried_to);
        let epochs = self.removed_below..to;
        let mut expected: BTreeMap<_, _> =
            self.appended.range(epochs.clone()).map(|(k, v)| (*k, v.clone())).collect();
        for file in &files {
            for (index, chunk) in file.chunks().iter().enumerate().filter(|(_, chunk)| chunk.epoch >= cover) {
                let bodies = expected.get_mut(&chunk.epoch.0).expect("no chunk of an epoch without chunks");
                let body = body_of(file, index)?;
                assert_eq!(body, bodies.remove(0), "chunk {}.{}", chunk.epoch, chunk.number);
                assert_eq!(chunk.rows, body.len() as u64);
            }
        }
        expected.retain(|_, bodies| !bodies.is_empty());
        assert!(expected.is_empty(), "chunks are missing: {:?}", expected.keys());
        self.check_positions(directory, to)?;
        self.promised_to = to;
        Ok(())
    }

    /// The position at the bound: from what is found, or unchanged since what was removed.
    fn check_positions(&self, directory: &Adopted, to: u64) -> Result<(), Error> {
        let found = directory.positions(Epoch(self.removed_below)..Epoch(to))?;
        let last = |to| self.positions.range(..to).next_back().map(|(_, value)| vec![*value]);
        let (before, now) = (last(self.removed_below), last(to));
        assert_eq!(found.get("p").cloned().or(before), now, "the position at {to}");
        Ok(())
    }
}
