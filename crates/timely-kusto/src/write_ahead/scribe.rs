//! The thread that writes the epoch files of one worker.
//!
//! Jobs are done in the order in which they were given, so that a seal finds all bodies of its epochs written: the thread
//! waits for each body's compression in turn, while others go on. A full disk is waited out with unlinks going on, since
//! those free space; where no commit can free any, for a while only. After a failed write or sync nothing more is written and
//! the process ends (invariant 17).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use commit_protocol::{ChunkId, Generation, Worker};
use crossbeam_channel::{Receiver, Sender, unbounded};
use epoch_log::{Body, DirectoryId, Epoch, Error, Layout, NewChunk, RowSum, SealedFile, Writer};
use tokio::sync::oneshot;

use super::process::Process;
use super::{WriteAheadError, failpoint};
use crate::delivery::Packed;
use crate::{Result, SinkError};

/// The pause before a full disk is tried again.
const DISK_FULL_PAUSE: Duration = Duration::from_millis(200);

/// What the thread is to do.
pub(super) enum Job {
    /// Write a body, once it is compressed.
    Append { epoch: u64, layout: Arc<Layout>, packed: oneshot::Receiver<Result<(Packed, Option<RowSum>)>> },
    /// Note where partitions stand.
    Positions { epoch: u64, positions: BTreeMap<String, Vec<u8>> },
    /// Make all epochs below durable, and say so if asked to.
    Seal { to: u64, tell: bool },
    /// Unlink what is below the bound of the trims.
    Trim,
    /// Nothing more.
    End,
}

/// Epochs below are durable, in these files.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) to: u64,
    pub(super) files: Vec<SealedFile>,
}

/// Gives jobs to the thread; dropping it ends the thread. LOG and TRIM share it: whichever ends last drops it.
pub(super) struct Scribe {
    jobs: Sender<Job>,
    pub(super) sealed: Receiver<Sealed>,
    signs: Arc<Signs>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread looks at while it works.
#[derive(Default)]
struct Signs {
    /// Epochs below are committed.
    trim_below: AtomicU64,
    /// There is a job to trim that is not done.
    trim_waits: AtomicBool,
    stop: AtomicBool,
}

impl Scribe {
    /// Starts the thread; `wake` is called when something is sealed.
    pub(super) fn start(
        process: Arc<Process>,
        writer: Writer,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self, WriteAheadError> {
        let (jobs, orders) = unbounded();
        let (tell, sealed) = unbounded();
        let signs: Arc<Signs> = Arc::default();
        let name = format!("kt-log-{}", writer.id().worker);
        let guard = Arc::clone(&process);
        let mut hand = Hand { process, writer, files: Vec::new(), signs: Arc::clone(&signs), tell, wake };
        let thread = thread::Builder::new().name(name).spawn(move || guard.guard(|| hand.work(&orders)));
        let thread = thread.map_err(WriteAheadError::Thread)?;
        Ok(Scribe { jobs, sealed, signs, thread: Some(thread) })
    }

    pub(super) fn give(&self, job: Job) {
        let _ = self.jobs.send(job); // a thread that has ended has said why
    }

    /// Has the files unlinked that hold nothing at or above `epoch`: it is committed up to there.
    pub(super) fn trim(&self, epoch: u64) {
        self.signs.trim_below.fetch_max(epoch, SeqCst);
        // One that waits does for all: a thread that waits for room on the disk unlinks by itself.
        if !self.signs.trim_waits.swap(true, SeqCst) {
            self.give(Job::Trim);
        }
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.signs.stop.store(true, SeqCst);
        self.give(Job::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic of it was caught, and is the sink's failure
        }
    }
}

/// The thread's own.
struct Hand {
    process: Arc<Process>,
    writer: Writer,
    /// Sealed and not told yet.
    files: Vec<SealedFile>,
    signs: Arc<Signs>,
    tell: Sender<Sealed>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Hand {
    fn work(&mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            if matches!(job, Job::End) {
                break;
            }
            if self.signs.stop.load(SeqCst) && !matches!(job, Job::Trim) {
                continue;
            }
            if let Err(error) = self.do_it(job) {
                self.process.trouble(error, false);
                return;
            }
        }
        if let Err(error) = self.unlink() {
            tracing::warn!(
                "epoch files that are committed could not be removed, the next start does: {error}"
            );
        }
    }

    fn do_it(&mut self, job: Job) -> Result<()> {
        match job {
            Job::Append { epoch, layout, packed } => {
                let (Packed { body, rows, raw_bytes, memory }, sum) =
                    packed.blocking_recv().unwrap_or(Err(SinkError::Stopped))?;
                let chunk = NewChunk { epoch: Epoch(epoch), rows, raw_bytes, layout, sum };
                failpoint::reach("before append");
                let written = self.until_room(|writer| writer.append(&chunk, &body))?;
                failpoint::reach("after append");
                let id = self.chunk_id(&written);
                let body = Packed { body, rows, raw_bytes, memory };
                self.process.upload_early(id, &chunk.layout.format, body);
                Ok(())
            }
            Job::Positions { epoch, positions } => {
                for (partition, position) in positions {
                    let noted = self.writer.position(Epoch(epoch), partition, position);
                    noted.map_err(WriteAheadError::from)?;
                }
                Ok(())
            }
            Job::Seal { to, tell } => self.seal(to, tell),
            Job::Trim => {
                self.signs.trim_waits.store(false, SeqCst);
                self.unlink().map_err(WriteAheadError::from)?;
                Ok(())
            }
            Job::End => Ok(()),
        }
    }

    fn chunk_id(&self, written: &Body) -> ChunkId {
        let DirectoryId { start, worker } = self.writer.id();
        let (epoch, index) = (commit_protocol::Epoch(written.chunk().epoch.0), written.chunk().number);
        ChunkId { epoch, log: Generation(start.generation.0), worker: Worker(*worker), index }
    }

    fn seal(&mut self, to: u64, tell: bool) -> Result<()> {
        failpoint::reach("before seal");
        let before = self.writer.sealed_to();
        self.until_room(|writer| match writer.sealed_to() < Epoch(to) {
            true => writer.seal(Epoch(to)).map(drop),
            false => Ok(()),
        })?;
        failpoint::reach("after seal");
        // A disk that was full in the middle of it sealed some files at an earlier try.
        self.files.extend(self.writer.sealed().filter(|file| file.from() >= before).cloned());
        if tell {
            let _ = self.tell.send(Sealed { to, files: std::mem::take(&mut self.files) });
            (self.wake)();
        }
        Ok(())
    }

    /// Tries again as long as the disk is full; meanwhile what is committed is unlinked.
    fn until_room<T>(&mut self, mut write: impl FnMut(&mut Writer) -> Result<T, Error>) -> Result<T> {
        // Since when it is full, and nothing that is sealed can make room by its commit.
        let (mut full, mut hopeless) = (false, None::<Instant>);
        loop {
            let source = match write(&mut self.writer) {
                Err(error @ Error::DiskFull { .. }) => error,
                outcome => {
                    if full {
                        self.process.pressure.set_disk_full(false);
                    }
                    return Ok(outcome.map_err(WriteAheadError::from)?);
                }
            };
            if !full {
                tracing::warn!("{source}");
                self.process.pressure.set_disk_full(true);
                full = true;
            }
            if self.signs.stop.load(SeqCst) || self.process.has_failed() {
                return Err(SinkError::Stopped);
            }
            let removed = self.unlink().map_err(WriteAheadError::from)?;
            if removed || !self.process.shelf.is_empty() {
                hopeless = None;
            }
            let waited = hopeless.get_or_insert_with(Instant::now).elapsed();
            if waited >= self.process.options.waits().disk_full {
                return Err(WriteAheadError::NoRoom { waited, source }.into());
            }
            thread::sleep(DISK_FULL_PAUSE);
        }
    }

    /// Removes what is committed; whether there was something.
    fn unlink(&mut self) -> Result<bool, Error> {
        let removed = self.writer.remove_below(Epoch(self.signs.trim_below.load(SeqCst)))?;
        if removed.files > 0 {
            failpoint::reach("after unlink");
            self.process.pressure.wake();
        }
        Ok(removed.files > 0)
    }
}
