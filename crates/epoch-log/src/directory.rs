//! One worker's directory: what is in it, checked, and the removal of what is no longer needed.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::{EntryKind, FileSystem};
use crate::ids::FileName;
use crate::lock::{DirectoryLock, lock_path};
use crate::{Budget, DirectoryId, Epoch, Error, Footer, Lineage, SealedFile, format};

/// What a removal did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Files that were removed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A directory under its lock (invariant 23): the only way to its content.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) path: PathBuf,
    pub(crate) id: DirectoryId,
    pub(crate) lineage: Lineage,
    pub(crate) lock: Arc<DirectoryLock>,
    sealed: BTreeMap<Epoch, SealedFile>,
    /// Open files of a predecessor.
    leftovers: Vec<Epoch>,
    budget: Arc<Budget>,
    counted: u64,
}

impl Directory {
    /// Locks a directory, checks that everything in it is ours, and holds what is sealed. Removes nothing.
    pub(crate) fn open(
        fs: Arc<dyn FileSystem>,
        path: PathBuf,
        id: DirectoryId,
        lineage: Lineage,
        budget: Arc<Budget>,
    ) -> Result<Self, Error> {
        let lock = Arc::new(DirectoryLock::take(&*fs, &path, &id)?);
        let listing = Listing::read(&*fs, &path)?;
        let mut directory = Directory {
            fs,
            path,
            id,
            lineage,
            lock,
            sealed: BTreeMap::new(),
            leftovers: listing.open,
            budget,
            counted: 0,
        };
        for &to in &listing.sealed {
            let file = directory.read(to)?;
            directory.insert(file);
        }
        directory.check_joins()?;
        for &to in &directory.leftovers {
            directory.check_leftover(to)?;
        }
        Ok(directory)
    }

    /// Removes the open files that were found: nobody was promised anything of them.
    pub(crate) fn remove_leftovers(&mut self) -> Result<(), Error> {
        while let Some(&to) = self.leftovers.last() {
            self.remove_open(to)?;
            self.leftovers.pop();
        }
        Ok(())
    }

    /// Removes an open file that nobody was promised anything of.
    pub(crate) fn remove_open(&self, bound: Epoch) -> Result<(), Error> {
        self.unlink(&self.path_of(FileName::Open(bound)))
    }

    pub(crate) fn path_of(&self, name: FileName) -> PathBuf {
        self.path.join(name.to_string())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.leftovers.is_empty()
    }

    pub(crate) fn sealed(&self) -> impl DoubleEndedIterator<Item = &SealedFile> {
        self.sealed.values()
    }

    /// Makes the names in it durable: a predecessor may have died between a rename and its sync.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        let unsettled = |source| Error::Unsettled { path: self.path.clone(), source };
        self.fs.sync_directory(&self.path).map_err(unsettled)
    }

    /// Takes note of bytes that were written to an open file.
    pub(crate) fn count(&mut self, bytes: u64) {
        self.counted += bytes;
        self.budget.add(bytes);
    }

    pub(crate) fn discount(&mut self, bytes: u64) {
        self.counted = self.counted.saturating_sub(bytes);
        self.budget.subtract(bytes);
    }

    /// Takes in a file that was just sealed and whose bytes are counted already.
    pub(crate) fn keep(&mut self, footer: Footer, path: PathBuf, bytes: u64) -> SealedFile {
        let lock = Some(Arc::clone(&self.lock));
        let file = SealedFile::new(Arc::clone(&self.fs), path, footer, bytes, lock);
        self.sealed.insert(file.to(), file.clone());
        file
    }

    /// The files that cover `cover` and what follows, without a gap.
    pub(crate) fn chain(&self, cover: Epoch) -> Result<Vec<SealedFile>, Error> {
        let files: Vec<_> = self.sealed().filter(|file| file.to() > cover).cloned().collect();
        let mut next = cover;
        for file in &files {
            if file.from() > next {
                return Err(Error::Missing { directory: self.path.clone(), from: next, to: file.from() });
            }
            next = file.to();
        }
        Ok(files)
    }

    /// The newest position of each partition within the epochs.
    pub(crate) fn positions(&self, epochs: Range<Epoch>) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let mut newest = BTreeMap::new();
        for file in self.chain(epochs.start)? {
            let mut within: Vec<_> = file.positions().iter().filter(|p| epochs.contains(&p.epoch)).collect();
            within.sort_by_key(|position| position.epoch);
            newest.extend(within.into_iter().map(|p| (p.partition.clone(), p.position.clone())));
        }
        Ok(newest)
    }

    /// Unlinks every file that covers nothing at or above `bound`, oldest first.
    ///
    /// Not synced: a file that a power cut brings back is below the bound still, and is removed again.
    pub(crate) fn remove_below(&mut self, bound: Epoch) -> Result<Removed, Error> {
        let mut removed = Removed::default();
        while let Some(file) = self.sealed.first_entry().filter(|file| *file.key() <= bound) {
            let (path, bytes) = (file.get().path().to_owned(), file.get().bytes());
            self.unlink(&path)?;
            self.sealed.pop_first();
            self.discount(bytes);
            removed.files += 1;
            removed.bytes += bytes;
        }
        Ok(removed)
    }

    /// Removes the directory with all its files, and that of its start when it was the last.
    pub(crate) fn discard(mut self) -> Result<Removed, Error> {
        // Again, and not the list made when it was opened: what somebody put there meanwhile is not ours to remove.
        let listing = Listing::read(&*self.fs, &self.path)?;
        let removed = self.remove_below(Epoch(u64::MAX))?;
        for to in listing.open {
            self.remove_open(to)?;
        }
        self.unlink(&lock_path(&self.path))?;
        self.fs.remove_directory(&self.path).map_err(Error::io("remove the directory", &self.path))?;
        if let Some(start) = self.path.parent() {
            match self.fs.remove_directory(start) {
                Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                    return Err(Error::io("remove the directory", start)(error));
                }
                _ => {}
            }
        }
        Ok(removed)
    }

    fn unlink(&self, path: &Path) -> Result<(), Error> {
        match self.fs.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
            _ => Ok(()),
        }
    }

    /// Reads one footer and checks that the file stands where it belongs.
    fn read(&self, to: Epoch) -> Result<SealedFile, Error> {
        let path = self.path_of(FileName::Sealed(to));
        let file = self.fs.open(&path).map_err(Error::io("open", &path))?;
        let footer = format::read_footer(&*file, &path)?;
        self.check_identity(&footer, &path)?;
        if footer.to != to {
            return Err(Error::foreign(
                &path,
                format!("it covers epochs up to {}, not as its name says", footer.to),
            ));
        }
        let bytes = file.length().map_err(Error::io("read the length of", &path))?;
        let lock = Some(Arc::clone(&self.lock));
        Ok(SealedFile::new(Arc::clone(&self.fs), path, footer, bytes, lock))
    }

    fn insert(&mut self, file: SealedFile) {
        self.count(file.bytes());
        self.sealed.insert(file.to(), file);
    }

    fn check_identity(&self, footer: &Footer, path: &Path) -> Result<(), Error> {
        let DirectoryId { start, worker } = &self.id;
        let ours = footer.is_of(&self.lineage)
            && footer.generation == start.generation
            && footer.nonce == start.nonce.as_str()
            && footer.worker == *worker;
        if ours {
            return Ok(());
        }
        let Footer { lineage, generation, nonce, worker, .. } = footer;
        let why = format!(
            "it was written as {lineage}/g{generation}-{nonce}/w{worker} and stands in {}/{}",
            self.lineage, self.id
        );
        Err(Error::foreign(path, why))
    }

    /// No epoch stands in two files, and all files name one number of workers.
    fn check_joins(&self) -> Result<(), Error> {
        for (before, after) in self.sealed().zip(self.sealed().skip(1)) {
            if after.from() < before.to() {
                let why = format!(
                    "it covers epochs from {}, which {} covers too",
                    after.from(),
                    before.path().display()
                );
                return Err(Error::foreign(after.path(), why));
            }
            let (expected, found) = (before.footer().workers, after.footer().workers);
            if expected != found {
                let why = format!("it speaks of {found} workers, {} of {expected}", before.path().display());
                return Err(Error::foreign(after.path(), why));
            }
        }
        Ok(())
    }

    /// An open file is about to be removed; not if a newer program wrote it.
    fn check_leftover(&self, to: Epoch) -> Result<(), Error> {
        let path = self.path_of(FileName::Open(to));
        let file = self.fs.open(&path).map_err(Error::io("open", &path))?;
        format::check_not_newer(&*file, &path)
    }
}

impl Drop for Directory {
    /// The files stay; they no longer weigh on this process. The lock goes with its last holder.
    fn drop(&mut self) {
        self.budget.subtract(self.counted);
    }
}

/// The names in a worker's directory.
pub(crate) struct Listing {
    pub(crate) sealed: Vec<Epoch>,
    pub(crate) open: Vec<Epoch>,
}

impl Listing {
    /// Lists a directory in the order of epochs; anything that is not ours is an error.
    pub(crate) fn read(fs: &dyn FileSystem, path: &Path) -> Result<Self, Error> {
        let mut listing = Listing { sealed: Vec::new(), open: Vec::new() };
        for entry in fs.list(path).map_err(Error::io("list", path))? {
            let name = entry.name.to_str().and_then(FileName::parse);
            match (name, entry.kind) {
                (Some(FileName::Sealed(to)), EntryKind::File) => listing.sealed.push(to),
                (Some(FileName::Open(to)), EntryKind::File) => listing.open.push(to),
                (Some(FileName::Lock), EntryKind::File) => {}
                (Some(_), _) => {
                    return Err(Error::foreign(&path.join(entry.name), "it is not a regular file"));
                }
                (None, _) => {
                    let why =
                        "a worker's directory holds <epoch>.epochs, <epoch>.open and lock, nothing else";
                    return Err(Error::foreign(&path.join(entry.name), why));
                }
            }
        }
        listing.sealed.sort_unstable();
        listing.open.sort_unstable();
        Ok(listing)
    }
}
