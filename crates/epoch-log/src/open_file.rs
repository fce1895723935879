//! A file while chunks are appended to it, and its seal.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::directory::Directory;
use crate::error::is_full;
use crate::format::{self, BLOCK_BYTES, PRELUDE_BYTES};
use crate::fs::{self, File};
use crate::ids::FileName;
use crate::{Body, Chunk, Epoch, Error, Footer, Layout, MAX_FOOTER_BYTES, NewChunk, Position};

/// Chunks and layouts of one file may take this much of its footer; positions have the other half.
const MAX_CHUNK_BYTES: u64 = MAX_FOOTER_BYTES as u64 / 2 - 4096;

/// `<to>.open`. After a failed write or sync it takes nothing more (invariant 17).
#[derive(Debug)]
pub(crate) struct OpenFile {
    path: Arc<PathBuf>,
    file: Arc<dyn File>,
    /// Where the next byte goes; 0 while not even the prelude is written.
    end: u64,
    chunks: Vec<Arc<Chunk>>,
    layouts: Vec<Arc<Layout>>,
    numbers: BTreeMap<Epoch, u32>,
    footer_bytes: u64,
    abandoned: Option<String>,
}

/// What a seal adds to what was appended.
#[derive(Debug)]
pub(crate) struct Seal {
    pub(crate) workers: u32,
    pub(crate) from: Epoch,
    pub(crate) to: Epoch,
    pub(crate) positions: Vec<Position>,
}

impl OpenFile {
    pub(crate) fn create(directory: &Directory, bound: Epoch) -> Result<Self, Error> {
        let path = directory.path_of(FileName::Open(bound));
        let file = directory.fs.create(&path).map_err(|source| match is_full(&source) {
            true => Error::DiskFull { path: path.clone(), needed: PRELUDE_BYTES, source },
            false => Error::Io { action: "create", path: path.clone(), source },
        })?;
        Ok(OpenFile {
            path: Arc::new(path),
            file,
            end: 0,
            chunks: Vec::new(),
            layouts: Vec::new(),
            numbers: BTreeMap::new(),
            footer_bytes: 0,
            abandoned: None,
        })
    }

    /// First and last epoch that has a chunk here.
    pub(crate) fn epochs(&self) -> Option<(Epoch, Epoch)> {
        Some((*self.numbers.first_key_value()?.0, *self.numbers.last_key_value()?.0))
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.is_some()
    }

    /// Whether nothing was written to it, nor tried.
    pub(crate) fn is_unused(&self) -> bool {
        self.end == 0 && !self.is_abandoned()
    }

    /// Bytes written so far.
    pub(crate) fn length(&self) -> u64 {
        self.end
    }

    /// Writes a body behind the others. On error the file holds what it held, or is abandoned.
    pub(crate) fn append(
        &mut self,
        directory: &Directory,
        new: &NewChunk,
        body: &[u8],
    ) -> Result<Body, Error> {
        self.check_whole()?;
        let (layout, new_layout) = self.layout(&new.layout);
        let chunk = self.describe(new, layout, body);
        let footer_bytes = self.footer_bytes
            + format::encoded_bytes(&chunk)
            + if new_layout { format::encoded_bytes(&*new.layout) } else { 0 };
        if footer_bytes > MAX_CHUNK_BYTES {
            let what = format!("one file describes its chunks in at most {MAX_CHUNK_BYTES} bytes");
            return Err(Error::Limit { path: self.path.to_path_buf(), what });
        }
        self.extend(body)?;
        self.footer_bytes = footer_bytes;
        if new_layout {
            self.layouts.push(Arc::clone(&new.layout));
        }
        self.numbers.insert(new.epoch, chunk.number + 1);
        let chunk = Arc::new(chunk);
        self.chunks.push(Arc::clone(&chunk));
        Ok(self.body(directory, chunk, Arc::clone(&new.layout)))
    }

    /// What the footer will say of the next body.
    fn describe(&self, new: &NewChunk, layout: u32, body: &[u8]) -> Chunk {
        Chunk {
            epoch: new.epoch,
            number: self.numbers.get(&new.epoch).copied().unwrap_or(0),
            layout,
            offset: self.end.max(PRELUDE_BYTES),
            length: body.len() as u64,
            rows: new.rows,
            raw_bytes: new.raw_bytes,
            checksums: format::checksums(body),
        }
    }

    fn body(&self, directory: &Directory, chunk: Arc<Chunk>, layout: Arc<Layout>) -> Body {
        Body {
            file: Arc::clone(&self.file),
            path: Arc::clone(&self.path),
            chunk,
            layout,
            block_bytes: BLOCK_BYTES as u32,
            lock: Some(Arc::clone(&directory.lock)),
        }
    }

    /// Footer, sync, rename, sync of the directory: only after the last one is it sealed.
    pub(crate) fn seal(&mut self, directory: &Directory, seal: Seal) -> Result<(Footer, PathBuf), Error> {
        self.check_whole()?;
        let footer = self.footer(directory, seal);
        let tail = format::tail(&footer, self.end.max(PRELUDE_BYTES))?;
        self.extend(&tail)?;
        self.file.sync_data().map_err(|error| self.abandon("sync", error))?;
        let sealed = directory.path_of(FileName::Sealed(footer.to));
        directory.fs.rename(&self.path, &sealed).map_err(|error| self.abandon("rename", error))?;
        if let Err(error) = directory.fs.sync_directory(&directory.path) {
            return Err(self.withdraw(directory, &sealed, error));
        }
        Ok((footer, sealed))
    }

    fn footer(&self, directory: &Directory, seal: Seal) -> Footer {
        Footer {
            lineage: directory.lineage.to_string(),
            generation: directory.id.start.generation,
            nonce: directory.id.start.nonce.to_string(),
            worker: directory.id.worker,
            workers: seal.workers,
            from: seal.from,
            to: seal.to,
            block_bytes: BLOCK_BYTES as u32,
            layouts: self.layouts.iter().map(|layout| Layout::clone(layout)).collect(),
            chunks: self.chunks.iter().map(|chunk| Chunk::clone(chunk)).collect(),
            positions: seal.positions,
        }
    }

    /// The name of a file whose directory sync failed must not be found by the next start: it may be only in memory,
    /// and a second sync may claim that it is not.
    fn withdraw(&mut self, directory: &Directory, sealed: &Path, source: io::Error) -> Error {
        let withdrawn = directory.fs.remove_file(sealed);
        let error = self.abandon("sync the directory entry of", source);
        match (withdrawn, error) {
            (Err(_), Error::Io { source, .. }) => Error::Unsettled { path: directory.path.clone(), source },
            (_, error) => error,
        }
    }

    /// Appends bytes, after the prelude if they are the first. Space is asked for before: a full disk costs nothing.
    fn extend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let start = self.end.max(PRELUDE_BYTES);
        let needed = start - self.end + bytes.len() as u64;
        if let Err(source) = self.file.reserve(self.end, needed) {
            return Err(match is_full(&source) {
                true => Error::DiskFull { path: self.path.to_path_buf(), needed, source },
                false => self.abandon("reserve space in", source),
            });
        }
        self.write(start, bytes).map_err(|error| self.abandon("write", error))?;
        self.end = start + bytes.len() as u64;
        Ok(())
    }

    fn write(&self, start: u64, bytes: &[u8]) -> io::Result<()> {
        if self.end == 0 {
            fs::write_all_at(&*self.file, &format::prelude(), 0)?;
        }
        fs::write_all_at(&*self.file, bytes, start)
    }

    /// The index of the layout, and whether it is new here. A file has very few.
    fn layout(&self, layout: &Arc<Layout>) -> (u32, bool) {
        let known = self.layouts.iter().position(|known| Arc::ptr_eq(known, layout) || known == layout);
        (known.unwrap_or(self.layouts.len()) as u32, known.is_none())
    }

    fn check_whole(&self) -> Result<(), Error> {
        match &self.abandoned {
            Some(cause) => Err(Error::Abandoned { path: self.path.to_path_buf(), cause: cause.clone() }),
            None => Ok(()),
        }
    }

    fn abandon(&mut self, action: &'static str, source: io::Error) -> Error {
        self.abandoned = Some(format!("cannot {action} it: {source}"));
        Error::Io { action, path: self.path.to_path_buf(), source }
    }
}
