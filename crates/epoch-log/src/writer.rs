//! Writing: one worker's directory of the running start.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use crate::directory::{Directory, Removed};
use crate::open_file::{OpenFile, Seal};
use crate::{
    Body, DirectoryId, Epoch, Error, Layout, MAX_FOOTER_BYTES, Position, RowSum, SealedFile, Worker,
};

/// Files that may be open at once, each for an unfinished epoch. Each holds a descriptor; a seal may need one more for
/// its own time.
pub const MAX_OPEN_FILES: usize = 256;

/// Unsealed positions of a worker may take this many bytes: half of a footer.
const MAX_POSITION_BYTES: u64 = MAX_FOOTER_BYTES as u64 / 2 - 4096;

/// How a [`Writer`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// The first epoch of the run: where the committed ones end.
    pub from: Epoch,
    /// Epochs that share a file, 1 by default. More where epochs are short: a seal costs a sync whatever its size.
    /// Files end at multiples of it.
    pub epochs_per_file: NonZeroU64,
}

impl WriterOptions {
    /// A run that begins at `from`, with a file for each epoch.
    pub fn from(from: Epoch) -> Self {
        WriterOptions { from, epochs_per_file: NonZeroU64::MIN }
    }

    /// As many epochs in one file.
    #[must_use]
    pub fn epochs_per_file(self, epochs: NonZeroU64) -> Self {
        WriterOptions { epochs_per_file: epochs, ..self }
    }
}

/// What is known of a body before it is written.
#[derive(Clone, Debug)]
pub struct NewChunk {
    /// The epoch of its rows.
    pub epoch: Epoch,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of the rows before compression.
    pub raw_bytes: u64,
    /// How the rows are written.
    pub layout: Arc<Layout>,
    /// A sum over the rows; the chunks of a file have it all, or none.
    pub sum: Option<RowSum>,
}

/// Appends chunks to open files and seals them. One thread owns it; the bodies and files it hands out may go anywhere.
///
/// Dropping it syncs nothing and seals nothing: what is unsealed is gone, as after a crash, and its rows are replayed.
#[derive(Debug)]
pub struct Writer {
    directory: Directory,
    worker: Worker,
    epochs_per_file: u64,
    sealed_to: Epoch,
    open: BTreeMap<Epoch, OpenFile>,
    positions: BTreeMap<(Epoch, String), Vec<u8>>,
    position_bytes: u64,
    /// The position of each partition as last sealed: an equal one is no change.
    sealed_positions: BTreeMap<String, Vec<u8>>,
}

impl Writer {
    pub(crate) fn new(directory: Directory, worker: Worker, options: WriterOptions) -> Self {
        Writer {
            directory,
            worker,
            epochs_per_file: options.epochs_per_file.get(),
            sealed_to: options.from,
            open: BTreeMap::new(),
            positions: BTreeMap::new(),
            position_bytes: 0,
            sealed_positions: BTreeMap::new(),
        }
    }

    /// Start and worker.
    pub fn id(&self) -> &DirectoryId {
        &self.directory.id
    }

    /// Where the files are.
    pub fn path(&self) -> &Path {
        &self.directory.path
    }

    /// Every epoch below is sealed.
    pub fn sealed_to(&self) -> Epoch {
        self.sealed_to
    }

    /// The sealed files that were not removed, oldest first.
    pub fn sealed(&self) -> impl DoubleEndedIterator<Item = &SealedFile> {
        self.directory.sealed()
    }

    /// Begins at another epoch than the writer was made with: directories are made before it is known how far earlier
    /// logs reach.
    ///
    /// # Errors
    /// [`Error::Misuse`] when something was written already.
    pub fn begin_at(&mut self, from: Epoch) -> Result<(), Error> {
        if self.sealed().next().is_some() || !self.open.is_empty() || !self.positions.is_empty() {
            return Err(Error::misuse(format!("cannot begin at epoch {from}: something was written before")));
        }
        self.sealed_to = from;
        Ok(())
    }

    /// Writes the body of a chunk: one finished blob. It may be uploaded at once; it is durable after the seal.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Limit`]: nothing was written, the same call may succeed later. [`Error::Io`]: the
    /// file of this epoch is abandoned, [`Error::Abandoned`] from then on (invariant 17): end the process.
    /// [`Error::Misuse`]: the epoch is sealed already, or the body is empty.
    pub fn append(&mut self, chunk: &NewChunk, body: &[u8]) -> Result<Body, Error> {
        self.check_epoch(chunk.epoch, "a chunk")?;
        if body.is_empty() {
            return Err(Error::misuse(format!("a chunk of epoch {} has no bytes", chunk.epoch)));
        }
        let bound = bound(chunk.epoch, self.epochs_per_file);
        self.check_open_files(bound)?;
        let file = open(&mut self.open, &self.directory, bound)?;
        let before = file.length();
        let body = file.append(&self.directory, chunk, body)?;
        let written = file.length() - before;
        self.directory.count(written);
        Ok(body)
    }

    /// Notes where to go on in a source partition after `epoch`. The last word for an epoch counts; it is written at
    /// the seal, if it differs from the one sealed before.
    ///
    /// # Errors
    /// [`Error::Misuse`]: the epoch is sealed already. [`Error::Limit`]: too many unsealed positions.
    pub fn position(
        &mut self,
        epoch: Epoch,
        partition: impl Into<String>,
        position: impl Into<Vec<u8>>,
    ) -> Result<(), Error> {
        self.check_epoch(epoch, "a position")?;
        let (key, position) = ((epoch, partition.into()), position.into());
        let held = self.positions.get(&key).map_or(0, |old| position_bytes(&key, old));
        let bytes = self.position_bytes - held + position_bytes(&key, &position);
        if bytes > MAX_POSITION_BYTES {
            let what = format!("unsealed source positions may take at most {MAX_POSITION_BYTES} bytes");
            return Err(Error::Limit { path: self.directory.path.clone(), what });
        }
        self.position_bytes = bytes;
        self.positions.insert(key, position);
        Ok(())
    }

    /// Makes every epoch below `to` durable, and says so only when it is (invariant 16).
    ///
    /// One file for each span of [`epochs_per_file`](WriterOptions::epochs_per_file) that holds chunks, oldest first;
    /// the last one covers the rest up to `to`, and is written even when it is empty: its footer is the evidence that
    /// there were no rows. No chunk may be appended below `to` afterwards.
    ///
    /// # Errors
    /// [`Error::DiskFull`]: try again. [`Error::Io`]: a file is abandoned, end the process (invariant 17).
    /// [`Error::Unsettled`]: that, and restart the machine. In all these cases older files of the same call may be
    /// sealed: [`Writer::sealed_to`] tells. [`Error::Misuse`]: `to` is sealed already, or divides a file with chunks on
    /// both sides.
    pub fn seal(&mut self, to: Epoch) -> Result<Vec<SealedFile>, Error> {
        self.check_bound(to)?;
        self.drop_unused()?;
        self.plan(to)?.into_iter().map(|(bound, to)| self.seal_file(bound, to)).collect()
    }

    /// Removes every file all of whose epochs are below `bound`: call it when those are committed, not before. Works
    /// on a full disk, and again after a crash in the middle of it.
    ///
    /// # Errors
    /// [`Error::Io`] with the file that could not be removed; older ones are gone.
    pub fn remove_below(&mut self, bound: Epoch) -> Result<Removed, Error> {
        self.directory.remove_below(bound)
    }

    /// Removes the open files that hold no chunk: a full disk left them of an earlier try, and chunks that came since
    /// may lie on both sides of their bounds.
    fn drop_unused(&mut self) -> Result<(), Error> {
        while let Some(bound) = self.open.iter().find(|(_, file)| file.is_unused()).map(|(bound, _)| *bound) {
            self.directory.remove_open(bound)?;
            self.open.remove(&bound);
        }
        Ok(())
    }

    /// Which open files to seal, each with the bound it gets.
    fn plan(&self, to: Epoch) -> Result<Vec<(Epoch, Epoch)>, Error> {
        let mut plan: Vec<_> = self.open.range(..=to).map(|(&bound, _)| (bound, bound)).collect();
        if let Some(bound) = self.straddling(to)? {
            plan.push((bound, to));
        }
        match plan.last_mut() {
            Some((_, end)) => *end = to,
            None => plan.push((to, to)),
        }
        Ok(plan)
    }

    /// The open file whose span reaches beyond `to`, if it has a say in the epochs below: it has chunks there, or had
    /// some and was abandoned.
    fn straddling(&self, to: Epoch) -> Result<Option<Epoch>, Error> {
        let Some((&bound, file)) = self.open.range(to..).find(|(bound, _)| **bound > to) else {
            return Ok(None);
        };
        if file.is_abandoned() {
            return Ok((bound.0.saturating_sub(self.epochs_per_file) < to.0).then_some(bound));
        }
        match file.epochs() {
            Some((first, last)) if first < to && last >= to => Err(Error::misuse(format!(
                "cannot seal up to {to}: one file holds the epochs {first} and {last}, seal at {bound}"
            ))),
            epochs => Ok(epochs.filter(|(first, _)| *first < to).map(|_| bound)),
        }
    }

    fn seal_file(&mut self, bound: Epoch, to: Epoch) -> Result<SealedFile, Error> {
        let seal = Seal {
            workers: self.worker.count,
            from: self.sealed_to,
            to,
            positions: self.changed_positions(to),
        };
        let file = open(&mut self.open, &self.directory, bound)?;
        let before = file.length();
        let (footer, path) = file.seal(&self.directory, seal)?;
        let bytes = file.length();
        self.open.remove(&bound);
        self.directory.count(bytes - before);
        self.forget_positions(to);
        self.sealed_to = to;
        for Position { partition, position, .. } in &footer.positions {
            self.sealed_positions.insert(partition.clone(), position.clone());
        }
        Ok(self.directory.keep(footer, path, bytes))
    }

    /// The noted positions below `to` that differ from their predecessor.
    fn changed_positions(&self, to: Epoch) -> Vec<Position> {
        let mut current: BTreeMap<&str, &[u8]> = BTreeMap::new();
        let mut changed = Vec::new();
        for ((epoch, partition), position) in self.positions.range(..(to, String::new())) {
            let sealed = || self.sealed_positions.get(partition).map(Vec::as_slice);
            if current.get(partition.as_str()).copied().or_else(sealed) != Some(position.as_slice()) {
                current.insert(partition, position);
                changed.push(Position {
                    epoch: *epoch,
                    partition: partition.clone(),
                    position: position.clone(),
                });
            }
        }
        changed
    }

    fn forget_positions(&mut self, to: Epoch) {
        self.positions = self.positions.split_off(&(to, String::new()));
        self.position_bytes =
            self.positions.iter().map(|(key, position)| position_bytes(key, position)).sum();
    }

    /// Whether a chunk may go to the file with this bound. A seal is not asked: it has to get through.
    fn check_open_files(&self, bound: Epoch) -> Result<(), Error> {
        if self.open.len() < MAX_OPEN_FILES || self.open.contains_key(&bound) {
            return Ok(());
        }
        let what = format!(
            "{MAX_OPEN_FILES} files are open, one for each epoch (or span of epochs) that is not sealed"
        );
        Err(Error::Limit { path: self.directory.path.clone(), what })
    }

    fn check_bound(&self, to: Epoch) -> Result<(), Error> {
        if to > self.sealed_to {
            return Ok(());
        }
        Err(Error::misuse(format!(
            "cannot seal up to {to}: epochs up to {} are sealed already",
            self.sealed_to
        )))
    }

    fn check_epoch(&self, epoch: Epoch, what: &str) -> Result<(), Error> {
        if epoch < self.sealed_to {
            let sealed_to = self.sealed_to;
            return Err(Error::misuse(format!(
                "{what} of epoch {epoch} comes after epochs up to {sealed_to} were sealed"
            )));
        }
        if epoch.0 == u64::MAX {
            return Err(Error::misuse(format!("{what} of epoch {epoch}: no bound lies above it")));
        }
        Ok(())
    }
}

/// The open file with this bound, created if need be.
fn open<'a>(
    files: &'a mut BTreeMap<Epoch, OpenFile>,
    directory: &Directory,
    bound: Epoch,
) -> Result<&'a mut OpenFile, Error> {
    use std::collections::btree_map::Entry;
    match files.entry(bound) {
        Entry::Occupied(file) => Ok(file.into_mut()),
        Entry::Vacant(place) => Ok(place.insert(OpenFile::create(directory, bound)?)),
    }
}

/// Where the file of an epoch ends.
fn bound(epoch: Epoch, epochs_per_file: u64) -> Epoch {
    let next = (epoch.0 / epochs_per_file).checked_add(1).and_then(|span| span.checked_mul(epochs_per_file));
    Epoch(next.unwrap_or(u64::MAX))
}

fn position_bytes((_, partition): &(Epoch, String), position: &[u8]) -> u64 {
    8 + 8 + partition.len() as u64 + 8 + position.len() as u64
}
