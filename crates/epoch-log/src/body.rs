//! Reading bodies for upload: any range, block by block, each block checked before a byte of it is handed out.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use crate::fs::{self, File};
use crate::lock::DirectoryLock;
use crate::{Chunk, Error, Layout};

/// The body of a chunk, open for reading from any thread. Memory: one block, however long the body.
///
/// It may stand in a file that is still open; it stays readable when that file is sealed, renamed or removed. As long
/// as it lives the directory stays locked (invariant 23).
#[derive(Clone)]
pub struct Body {
    pub(crate) file: Arc<dyn File>,
    pub(crate) path: Arc<PathBuf>,
    pub(crate) chunk: Arc<Chunk>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) block_bytes: u32,
    pub(crate) lock: Option<Arc<DirectoryLock>>,
}

impl Body {
    /// What the body holds.
    pub fn chunk(&self) -> &Chunk {
        &self.chunk
    }

    /// How its rows are written.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes of the body.
    pub fn length(&self) -> u64 {
        self.chunk.length
    }

    /// Fills `buffer` from `offset` within the body. Whole blocks are read into place; a range that begins and ends
    /// on multiples of the block ([`BLOCK_BYTES`](crate::BLOCK_BYTES)) needs no memory of its own.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a block is not what was written: nothing of `buffer` may be used then (invariant 18).
    /// [`Error::Io`]; [`Error::Misuse`] for a range beyond the body.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.chunk.length) {
            return Err(Error::misuse(format!(
                "{} bytes at {offset} exceed the body of {} bytes",
                buffer.len(),
                self.chunk.length
            )));
        }
        let block_bytes = u64::from(self.block_bytes);
        let mut scratch = Vec::new();
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let (block, skip) = (at / block_bytes, (at % block_bytes) as usize);
            let length = self.block_length(block);
            let take = (length - skip).min(buffer.len() - done);
            let target = &mut buffer[done..done + take];
            if take == length {
                self.read_block(block, target)?;
            } else {
                scratch.resize(length, 0);
                self.read_block(block, &mut scratch)?;
                target.copy_from_slice(&scratch[skip..skip + take]);
            }
            done += take;
        }
        Ok(())
    }

    /// Reads the body from its beginning to its end.
    pub fn reader(&self) -> BodyReader {
        BodyReader { body: self.clone(), block: Vec::new(), used: 0, next: 0 }
    }

    /// Reads everything and keeps nothing.
    ///
    /// # Errors
    /// As [`Body::read_at`].
    pub fn verify(&self) -> Result<(), Error> {
        let mut block = Vec::new();
        for number in 0..self.chunk.checksums.len() as u64 {
            block.resize(self.block_length(number), 0);
            self.read_block(number, &mut block)?;
        }
        Ok(())
    }

    fn block_length(&self, block: u64) -> usize {
        let start = block * u64::from(self.block_bytes);
        (self.chunk.length - start).min(u64::from(self.block_bytes)) as usize
    }

    /// Reads exactly one block and checks it.
    fn read_block(&self, block: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let at = self.chunk.offset + block * u64::from(self.block_bytes);
        fs::read_exact_at(&*self.file, buffer, at).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.damage("is cut off", at),
            _ => Error::Io { action: "read", path: self.path.to_path_buf(), source },
        })?;
        if self.chunk.checksums.get(block as usize) == Some(&crc32fast::hash(buffer)) {
            Ok(())
        } else {
            Err(self.damage("has a wrong checksum", at))
        }
    }

    fn damage(&self, what: &str, at: u64) -> Error {
        let Chunk { epoch, number, .. } = *self.chunk;
        Error::corrupt(&self.path, format!("chunk {epoch}.{number} {what} in the block at byte {at}"))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("path", &self.path)
            .field("epoch", &self.chunk.epoch)
            .field("number", &self.chunk.number)
            .field("length", &self.chunk.length)
            .field("locked", &self.lock.is_some())
            .finish_non_exhaustive()
    }
}

/// A [`Body`] as a stream of bytes. It holds one block.
///
/// Its errors carry the log's [`Error`] inside: `error.get_ref()`. No byte of a block that failed is handed out.
#[derive(Debug)]
pub struct BodyReader {
    body: Body,
    block: Vec<u8>,
    used: usize,
    next: u64,
}

impl BodyReader {
    /// Reads the next block unless bytes of the last are left.
    fn fill(&mut self) -> Result<(), Error> {
        if self.used < self.block.len() || self.next >= self.body.chunk.checksums.len() as u64 {
            return Ok(());
        }
        self.block.resize(self.body.block_length(self.next), 0);
        self.used = self.block.len();
        self.body.read_block(self.next, &mut self.block)?;
        self.used = 0;
        self.next += 1;
        Ok(())
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill().map_err(io::Error::other)?;
        let left = &self.block[self.used..];
        let taken = left.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&left[..taken]);
        self.used += taken;
        Ok(taken)
    }
}
