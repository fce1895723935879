//! The text of a file: opened, told apart, decompressed.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::fingerprint::{Fingerprint, fingerprint};
use super::io_error;
use super::place::damaged;
use crate::error::{Error, ErrorKind, Result};

/// An open file and its text from some offset on.
pub(super) struct Input {
    path: PathBuf,
    stored: File,
    len: u64,
    fingerprint: Fingerprint,
    text: Box<dyn Read + Send>,
}

/// Looks whether there is a file at a path that has not been opened before; if not, the path is wrong.
pub(super) fn find(path: &Path) -> Result<()> {
    let found = match std::fs::metadata(path) {
        Ok(metadata) => must_be_file(path, &metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(io_error("open", path, error)),
        Err(_) => Ok(()), // said when it is opened
    };
    found.map_err(|error| error.of_kind(ErrorKind::Options))
}

fn must_be_file(path: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let text = format!("could not open {}: it is no regular file", path.display());
    Err(Error::new(ErrorKind::Source, text)
        .with_advice("name a file: positions of directories, pipes and devices cannot be kept"))
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |error| io_error("open", path, error);
        let mut stored = File::open(path).map_err(failed)?;
        must_be_file(path, &stored.metadata().map_err(failed)?)?;
        let (len, fingerprint) = fingerprint(&mut stored).map_err(|error| io_error("read", path, error))?;
        let plain = stored.try_clone().map_err(failed)?;
        let text: Box<dyn Read + Send> = match is_gzip(path) && len > 0 {
            true => Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(256 << 10, plain))),
            false => Box::new(plain),
        };
        Ok(Input { path: path.to_owned(), stored, len, fingerprint, text })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Goes forward to `offset` of the text, which has to be there. Only once, before reading.
    pub(super) fn skip_to(&mut self, offset: u64) -> Result<()> {
        let skipped = match is_gzip(&self.path) {
            true => io::copy(&mut (&mut self.text).take(offset), &mut io::sink()),
            false if offset > self.len => Ok(self.len),
            // The clone that is read shares its cursor with `stored`.
            false => io::Seek::seek(&mut self.stored, io::SeekFrom::Start(offset)),
        };
        match skipped.map_err(|error| io_error("go on in", &self.path, error))? == offset {
            true => Ok(()),
            false => Err(damaged(&self.path)),
        }
    }

    /// Appends up to `bytes` of text to `buffer`; false at the end of the text.
    pub(super) fn read(&mut self, bytes: usize, buffer: &mut Vec<u8>) -> Result<bool> {
        buffer.reserve(bytes);
        let read = (&mut self.text).take(bytes as u64).read_to_end(buffer);
        Ok(read.map_err(|error| io_error("read", &self.path, error))? == bytes)
    }

    /// Fails if the file grew or shrank since it was opened.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        let len = self.stored.metadata().map_err(|error| io_error("read", &self.path, error))?.len();
        if len == self.len {
            return Ok(());
        }
        let (path, before) = (self.path.display(), self.len);
        Err(Error::new(
            ErrorKind::SourceChanged,
            format!("{path} changed while it was read: it had {before} bytes and now has {len}"),
        )
        .with_advice("write the file under another name and rename it when it is complete"))
    }
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("path", &self.path).field("len", &self.len).finish_non_exhaustive()
    }
}
