//! A sealed file: its footer in memory, its bodies on disk.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::FileSystem;
use crate::lock::DirectoryLock;
use crate::{Body, Chunk, Epoch, Error, Footer, Layout, Position};

/// An epoch file that is durable and never changes again. Cheap to clone.
///
/// As long as one lives, so does the lock of its directory.
#[derive(Clone)]
pub struct SealedFile {
    inner: Arc<Inner>,
}

struct Inner {
    fs: Arc<dyn FileSystem>,
    path: Arc<PathBuf>,
    footer: Footer,
    layouts: Vec<Arc<Layout>>,
    bytes: u64,
    lock: Option<Arc<DirectoryLock>>,
}

impl SealedFile {
    pub(crate) fn new(
        fs: Arc<dyn FileSystem>,
        path: PathBuf,
        footer: Footer,
        bytes: u64,
        lock: Option<Arc<DirectoryLock>>,
    ) -> Self {
        let layouts = footer.layouts.iter().cloned().map(Arc::new).collect();
        SealedFile { inner: Arc::new(Inner { fs, path: Arc::new(path), footer, layouts, bytes, lock }) }
    }

    /// What the file says about itself.
    pub fn footer(&self) -> &Footer {
        &self.inner.footer
    }

    /// First epoch covered.
    pub fn from(&self) -> Epoch {
        self.inner.footer.from
    }

    /// First epoch no longer covered.
    pub fn to(&self) -> Epoch {
        self.inner.footer.to
    }

    /// The chunks, in the order of their bodies; none when no worker row fell into these epochs.
    pub fn chunks(&self) -> &[Chunk] {
        &self.inner.footer.chunks
    }

    /// Source positions that changed in these epochs.
    pub fn positions(&self) -> &[Position] {
        &self.inner.footer.positions
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.inner.bytes
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Opens the body of the `index`-th of [`SealedFile::chunks`]. Nothing is read yet.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be opened, [`Error::Misuse`] when there is no such chunk.
    pub fn body(&self, index: usize) -> Result<Body, Error> {
        let Inner { fs, path, footer, layouts, lock, .. } = &*self.inner;
        let chunk = footer.chunks.get(index).ok_or_else(|| {
            Error::misuse(format!("{} has {} chunks, no chunk {index}", path.display(), footer.chunks.len()))
        })?;
        let layout = layouts.get(chunk.layout as usize).ok_or_else(|| {
            Error::corrupt(path, format!("chunk {}.{} names no layout", chunk.epoch, chunk.number))
        })?;
        let file = fs.open(path).map_err(Error::io("open", path))?;
        Ok(Body {
            file,
            path: Arc::clone(path),
            chunk: Arc::new(chunk.clone()),
            layout: Arc::clone(layout),
            block_bytes: footer.block_bytes,
            lock: lock.clone(),
        })
    }
}

impl fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedFile")
            .field("path", &self.inner.path)
            .field("from", &self.from())
            .field("to", &self.to())
            .field("chunks", &self.chunks().len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
