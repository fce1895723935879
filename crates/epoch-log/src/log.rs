//! All directories of a lineage under one state directory.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::directory::Directory;
use crate::error::Holder;
use crate::fs::{EntryKind, FileSystem, RealFileSystem};
use crate::ids::parse_worker;
use crate::{Adopted, Budget, DirectoryId, Error, Lineage, Start, Worker, Writer, WriterOptions};

/// The epoch files of one lineage on this host: where writers begin and what earlier starts left.
#[derive(Clone, Debug)]
pub struct Log {
    fs: Arc<dyn FileSystem>,
    state: PathBuf,
    lineage: Lineage,
    budget: Arc<Budget>,
}

impl Log {
    /// The log under a state directory, which need not exist yet, on the real file system with the default budget.
    pub fn new(state: impl Into<PathBuf>, lineage: Lineage) -> Self {
        Log {
            fs: Arc::new(RealFileSystem),
            state: state.into(),
            lineage,
            budget: Arc::new(Budget::default()),
        }
    }

    /// On another file system.
    #[must_use]
    pub fn on(self, fs: Arc<dyn FileSystem>) -> Self {
        Log { fs, ..self }
    }

    /// With another budget: one for all lineages of a process.
    #[must_use]
    pub fn budget_of(self, budget: Arc<Budget>) -> Self {
        Log { budget, ..self }
    }

    /// The bytes held, and whether sources should pause.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Where this lineage's directories are.
    pub fn path(&self) -> PathBuf {
        self.state.join(self.lineage.as_str())
    }

    /// Lineages that have files under the state directory; other things may stand there too.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be listed. One that does not exist has none.
    pub fn lineages(&self) -> Result<Vec<Lineage>, Error> {
        let mut lineages: Vec<_> = list(&*self.fs, &self.state)?
            .into_iter()
            .filter(|(_, kind)| *kind == EntryKind::Directory)
            .filter_map(|(path, _)| Lineage::new(path.file_name()?.to_str()?).ok())
            .collect();
        lineages.sort_unstable();
        Ok(lineages)
    }

    /// The directories that starts left here, by generation. Nothing in them is read.
    ///
    /// # Errors
    /// [`Error::Foreign`] for a name that is none of ours, [`Error::Io`].
    pub fn directories(&self) -> Result<Vec<DirectoryId>, Error> {
        let mut found = Vec::new();
        for (path, kind) in list(&*self.fs, &self.path())? {
            let Some(start) = name(&path).and_then(Start::parse).filter(|_| kind == EntryKind::Directory)
            else {
                return Err(Error::foreign(
                    &path,
                    "a lineage's directory holds g<generation>-<nonce>, nothing else",
                ));
            };
            for (path, kind) in list(&*self.fs, &path)? {
                let Some(worker) =
                    name(&path).and_then(parse_worker).filter(|_| kind == EntryKind::Directory)
                else {
                    return Err(Error::foreign(&path, "a start's directory holds w<worker>, nothing else"));
                };
                found.push(DirectoryId { start: start.clone(), worker });
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Creates the directory of a worker of a new start, locks it, and returns when it is durable.
    ///
    /// # Errors
    /// [`Error::Io`] (also a full or read-only disk), [`Error::Unsettled`], [`Error::Locked`], [`Error::Foreign`] when the
    /// directory already holds something: a start never reuses a nonce.
    pub fn create(&self, start: &Start, worker: Worker, options: WriterOptions) -> Result<Writer, Error> {
        let id = DirectoryId { start: start.clone(), worker: worker.index };
        let path = self.path_of(&id);
        self.make_directories(&path)?;
        let directory = self.open(&id)?;
        if !directory.is_empty() {
            return Err(Error::foreign(
                &path,
                "a start that is only beginning finds files there already: was its nonce used before?",
            ));
        }
        Ok(Writer::new(directory, worker, options))
    }

    /// Locks a directory of an earlier start (invariant 23), checks all its footers, removes its open files.
    ///
    /// # Errors
    /// [`Error::Locked`] with the process that holds it; [`Error::Foreign`], [`Error::NewerFormat`],
    /// [`Error::Corrupt`], [`Error::Unsettled`]: nothing was removed; [`Error::Io`].
    pub fn adopt(&self, id: &DirectoryId) -> Result<Adopted, Error> {
        let mut directory = self.open(id)?;
        directory.settle()?;
        directory.remove_leftovers()?;
        Ok(Adopted { directory })
    }

    /// As [`Log::adopt`], but asks `wait` when another process holds the lock: it tells the user who, sleeps as it
    /// sees fit, and says whether to go on.
    ///
    /// # Errors
    /// As [`Log::adopt`]; [`Error::Locked`] when `wait` breaks off.
    pub fn adopt_when_free(
        &self,
        id: &DirectoryId,
        mut wait: impl FnMut(&Holder) -> ControlFlow<()>,
    ) -> Result<Adopted, Error> {
        loop {
            match self.adopt(id) {
                Err(Error::Locked { path, holder }) => {
                    if wait(&holder).is_break() {
                        return Err(Error::Locked { path, holder });
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Where a directory is.
    pub fn path_of(&self, id: &DirectoryId) -> PathBuf {
        self.path().join(id.start.to_string()).join(format!("w{}", id.worker))
    }

    fn open(&self, id: &DirectoryId) -> Result<Directory, Error> {
        let (fs, budget) = (Arc::clone(&self.fs), Arc::clone(&self.budget));
        Directory::open(fs, self.path_of(id), id.clone(), self.lineage.clone(), budget)
    }

    /// Worker, start, lineage and state: each created if need be, and its name made durable in its parent. Also when
    /// another worker created it: that one may not have come to its sync yet.
    fn make_directories(&self, worker: &Path) -> Result<(), Error> {
        let levels: Vec<_> = worker.ancestors().take(3).collect();
        self.make_state(&self.state)?;
        levels.into_iter().rev().try_for_each(|directory| self.make_directory(directory))
    }

    /// The state directory, with its parents if they are missing too.
    fn make_state(&self, path: &Path) -> Result<(), Error> {
        match self.make_directory(path) {
            Err(Error::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && parent(path) != path =>
            {
                self.make_state(parent(path))?;
                self.make_directory(path)
            }
            outcome => outcome,
        }
    }

    /// Creates a directory unless it exists, and makes its name durable.
    fn make_directory(&self, path: &Path) -> Result<(), Error> {
        let created = match self.fs.create_directory(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(Error::io("create the directory", path)(error)),
        };
        match self.fs.sync_directory(parent(path)) {
            Ok(()) => Ok(()),
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied && !created && path == self.state =>
            {
                // Made by somebody else for us, in a place that we may not read: they saw to it.
                Ok(())
            }
            Err(error) => Err(self.withdraw(path, created, error)),
        }
    }

    /// The name of a directory could not be made durable. One that we made goes again: a later sync could claim success
    /// without it, and all that is sealed in it would hang on a name in memory (invariant 17).
    fn withdraw(&self, path: &Path, created: bool, source: io::Error) -> Error {
        if created && self.fs.remove_directory(path).is_ok() {
            Error::io("sync the directory", parent(path))(source)
        } else {
            Error::Unsettled { path: parent(path).to_owned(), source }
        }
    }
}

/// The parent of a path; of a single relative name, the current directory.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// The entries of a directory with their paths, in the order of their names; none when it does not exist.
fn list(fs: &dyn FileSystem, path: &Path) -> Result<Vec<(PathBuf, EntryKind)>, Error> {
    let entries = match fs.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        outcome => outcome.map_err(Error::io("list", path))?,
    };
    let mut entries: Vec<_> = entries.into_iter().map(|entry| (path.join(entry.name), entry.kind)).collect();
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}
