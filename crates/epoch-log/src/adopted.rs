//! Reading what an earlier start left.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use crate::directory::{Directory, Removed};
use crate::{DirectoryId, Epoch, Error, SealedFile};

/// A directory of an earlier start, under its lock (invariant 23). Its footers are checked, its names are durable, its
/// open files are gone; bodies are checked when they are read.
#[derive(Debug)]
pub struct Adopted {
    pub(crate) directory: Directory,
}

impl Adopted {
    /// Start and worker that wrote it.
    pub fn id(&self) -> &DirectoryId {
        &self.directory.id
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.directory.path
    }

    /// Workers of the start that wrote it; `None` when nothing is sealed here.
    pub fn workers(&self) -> Option<u32> {
        Some(self.directory.sealed().next()?.footer().workers)
    }

    /// Every epoch below is, or was, sealed here; `None` when nothing is sealed here.
    pub fn sealed_to(&self) -> Option<Epoch> {
        Some(self.directory.sealed().next_back()?.to())
    }

    /// The sealed files, oldest first. A gap between two of them is possible only below what was committed, where a
    /// removal was interrupted: use [`Adopted::chain`] for what counts.
    pub fn sealed(&self) -> impl DoubleEndedIterator<Item = &SealedFile> {
        self.directory.sealed()
    }

    /// The files from `cover`, where the committed epochs end, without a gap. The first one may begin earlier: its
    /// chunks below `cover` are committed. Empty when nothing beyond `cover` is sealed here.
    ///
    /// # Errors
    /// [`Error::Missing`] when a file is gone (invariant 18: that is never read as "no rows").
    pub fn chain(&self, cover: Epoch) -> Result<Vec<SealedFile>, Error> {
        self.directory.chain(cover)
    }

    /// The newest position of each partition that changed within these epochs. Partitions that did not are not named.
    ///
    /// # Errors
    /// [`Error::Missing`] as [`Adopted::chain`].
    pub fn positions(&self, epochs: Range<Epoch>) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        self.directory.positions(epochs)
    }

    /// Removes every file all of whose epochs are below `bound`; as [`Writer::remove_below`](crate::Writer::remove_below).
    ///
    /// # Errors
    /// [`Error::Io`] with the file that could not be removed; older ones are gone.
    pub fn remove_below(&mut self, bound: Epoch) -> Result<Removed, Error> {
        self.directory.remove_below(bound)
    }

    /// Removes the directory with all its files, whatever they hold: call it when the directory is void, that is when
    /// a later start has committed its opening intent. A foreign file in it stops this before anything is removed.
    ///
    /// # Errors
    /// [`Error::Foreign`], [`Error::Io`]. After a crash or an error in the middle adopt it again, and discard it again.
    pub fn discard(self) -> Result<Removed, Error> {
        self.directory.discard()
    }
}
