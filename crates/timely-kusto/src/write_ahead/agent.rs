//! What each worker does with what worker 0 orders. Work that touches files or the network is done elsewhere; its answer
//! comes back through the outbox of the process.

use std::rc::Weak;
use std::sync::Arc;

use commit_protocol::{StagedChunk, StagingName, StartId};
use crossbeam_channel::Receiver;
use epoch_log::{DirectoryId, Epoch, Error, Worker, WriterOptions};
use futures::future::try_join_all;
use tokio::sync::mpsc::UnboundedSender;

use super::bus::Line;
use super::driver::Heard;
use super::message::{Answer, Held, Listed, ListedFile, Message, Opened, Order};
use super::process::{Process, lock};
use super::{WriteAheadError, failpoint, names};

/// The two ends of worker 0's driver.
pub(super) struct Desk {
    /// What it is told.
    pub(super) driver: UnboundedSender<Heard>,
    /// What it orders.
    pub(super) orders: Receiver<(u64, Order)>,
}

/// The agent of one worker.
pub(super) struct Agent {
    pub(super) process: Arc<Process>,
    pub(super) index: u32,
    pub(super) peers: usize,
    pub(super) line: Weak<Line>,
    /// On worker 0.
    pub(super) desk: Option<Desk>,
}

impl Agent {
    /// Sends what waits to be sent.
    pub(super) fn turn(&mut self) {
        let Some(line) = self.line.upgrade() else { return };
        while let Ok(message) = self.process.outbox.1.try_recv() {
            match message {
                // To all at once: the driver may be what broke, or may have ended with this process.
                Message::Trouble { look: false, .. } => line.send_all(self.peers, &message),
                message => line.send(0, message),
            }
        }
        if let Some(desk) = &self.desk {
            while let Ok((id, order)) = desk.orders.try_recv() {
                line.send_all(self.peers, &Message::Order { id, order });
            }
        }
    }

    /// Takes a message.
    pub(super) fn hear(&mut self, message: Message) {
        match message {
            Message::Order { id, order } => self.follow(id, order),
            Message::Hello { process, worker, local_logs } => {
                self.tell(Heard::Hello { process, worker, local_logs });
            }
            Message::Answer { id, process, answer } => self.tell(Heard::Answer { id, process, answer }),
            Message::Suspect => self.tell(Heard::Suspect),
            Message::Trouble { told, look } => {
                self.tell(Heard::Trouble { told: told.clone(), look });
                if !look {
                    self.process.fail_as_told(told);
                }
            }
        }
    }

    fn tell(&self, heard: Heard) {
        if let Some(desk) = &self.desk {
            let _ = desk.driver.send(heard); // a driver that has ended has said why
        }
    }

    fn follow(&mut self, id: u64, order: Order) {
        let (process, first) = (Arc::clone(&self.process), self.process.is_first(id));
        match order {
            Order::ListLogs if first => self.work(id, move || list_logs(&process)),
            Order::ListLogs => answer(&process, id, Answer::Logs { directories: vec![], held: vec![] }),
            Order::Prepare { start } => {
                if first {
                    prepare_service(&process);
                }
                let (index, peers) = (self.index, self.peers);
                self.work(id, move || prepare(&process, start, index, peers));
            }
            Order::Stage { into, chunks } if first => {
                let here = Arc::clone(&process);
                here.spawn(async move {
                    let staged = stage_all(&process, into.into(), chunks).await;
                    answer(&process, id, staged.unwrap_or_else(|error| Answer::Failed(error.tell())));
                });
            }
            Order::Stage { .. } => answer(&process, id, Answer::Staged(Vec::new())),
            Order::Open(opened) if first => self.open(opened),
            Order::Open(_) => {}
            Order::Fail(told) => process.fail_as_told(told),
        }
    }

    fn work(&self, id: u64, work: impl FnOnce() -> Result<Answer, WriteAheadError> + Send + 'static) {
        let process = Arc::clone(&self.process);
        self.process.spawn_blocking(move || {
            let done = work();
            answer(&process, id, done.unwrap_or_else(|error| Answer::Failed(error.tell())));
        });
    }

    /// The start is over: what is older is removed.
    fn open(&self, opened: Opened) {
        let process = Arc::clone(&self.process);
        process.pressure.share_chunks(process.workers(), self.peers);
        process.shelf.keep_only(opened.staging.start);
        let old = std::mem::take(&mut lock(&process.logs).adopted);
        process.spawn_blocking(move || old.into_iter().for_each(discard));
        let _ = process.opened.set(opened); // once per process, by the first
        process.wake_agents();
    }
}

fn answer(process: &Process, id: u64, answer: Answer) {
    process.post(Message::Answer { id, process: process.id, answer });
}

fn discard(log: epoch_log::Adopted) {
    let path = log.path().to_owned();
    if let Err(error) = log.discard() {
        tracing::warn!("{} is void and could not be removed: {error}", path.display());
    }
    failpoint::reach("after discard");
}

/// Locks and lists the directories that are here, and puts their chunks on the shelf.
fn list_logs(process: &Process) -> Result<Answer, WriteAheadError> {
    // Not under the lock: workers take it too, and a disk may be slow. Orders of this kind come one after the other.
    let mut adopted = std::mem::take(&mut lock(&process.logs).adopted);
    let mut held = Vec::new();
    for id in process.log.directories()? {
        if adopted.iter().any(|log| *log.id() == id) {
            continue;
        }
        match process.log.adopt(&id) {
            Ok(log) => adopted.push(log),
            Err(Error::Locked { path, holder }) => {
                let start = names::start_id(&id.start, &path.display().to_string())?;
                held.push(Held { start, worker: id.worker, holder: holder.to_string() });
            }
            // Another process of this start is removing or has just removed it.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let directories = adopted.iter().map(|log| listed(process, log)).collect::<Result<_, _>>()?;
    lock(&process.logs).adopted = adopted;
    Ok(Answer::Logs { directories, held })
}

fn listed(process: &Process, log: &epoch_log::Adopted) -> Result<Listed, WriteAheadError> {
    let DirectoryId { start, worker } = log.id();
    let place = format!("process {}, {}", std::process::id(), log.path().display());
    let start = names::start_id(start, &place)?;
    let files = log.sealed().map(|file| {
        process.shelf.put(start.generation, file);
        ListedFile::of(file)
    });
    Ok(Listed { start, worker: *worker, files: files.collect(), place })
}

/// Has what uploads and messages need asked for while the rest of the start goes on.
fn prepare_service(process: &Arc<Process>) {
    let here = Arc::clone(process);
    process.spawn(async move {
        if let Err(error) = here.courier.service.prepare().await {
            tracing::debug!("the first upload asks for storage again: {error}");
        }
    });
}

/// Makes the directory of a worker, unless an earlier attempt did.
fn prepare(process: &Process, start: StartId, index: u32, peers: usize) -> Result<Answer, WriteAheadError> {
    if lock(&process.logs).writers.contains_key(&index) {
        return Ok(Answer::Done);
    }
    let worker = Worker::new(index, u32::try_from(peers).unwrap_or(u32::MAX))?;
    // Where it begins is not known before the start is over.
    let writer = process.log.create(&names::start(start)?, worker, WriterOptions::from(Epoch(0)))?;
    lock(&process.logs).writers.insert(index, writer);
    Ok(Answer::Done)
}

/// Stages those of these chunks that are on the shelf of this process.
async fn stage_all(
    process: &Arc<Process>,
    into: StagingName,
    chunks: Vec<StagedChunk>,
) -> Result<Answer, WriteAheadError> {
    let here = chunks.into_iter().filter_map(|asked| Some((process.shelf.find(asked.tag.chunk)?, asked.tag)));
    let staged = here.map(|(place, tag)| process.stage_chunk(place, tag, into));
    Ok(Answer::Staged(try_join_all(staged).await?))
}
