//! The journal of storage: one JSON line per change, in `journal.jsonl` of the storage directory.
//!
//! A change counts when its line is written: the operating system then holds it, and a killed emulator finds it again.
//! (A power failure may lose the last seconds; nothing is flushed to the device.) A line that was cut short by a kill is
//! the last one, was never answered, and is dropped at the next start. Every start, and every so many changes, rewrites
//! the journal to what still exists, beside the old one, and renames it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files;

/// An append-only file of records, or nothing at all without a data directory.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    file: Option<(PathBuf, File)>,
    appended: usize,
    line: Vec<u8>,
}

impl Journal {
    /// Reads what an earlier start left, and holds the file open for more.
    pub(crate) fn open<R: DeserializeOwned>(path: &Path) -> io::Result<(Self, Vec<R>)> {
        let records = if path.exists() { read(path)? } else { Vec::new() };
        let file = files::private().append(true).create(true).open(path)?;
        Ok((Self { file: Some((path.to_owned(), file)), ..Self::default() }, records))
    }

    /// Whether changes are kept at all.
    pub(crate) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Writes one change. After an error the change did not happen.
    pub(crate) fn append<R: Serialize>(&mut self, record: &R) -> io::Result<()> {
        let Some((_, file)) = &mut self.file else { return Ok(()) };
        self.line.clear();
        serde_json::to_writer(&mut self.line, record)?;
        self.line.push(b'\n');
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(&self.line) {
            // A half line (full disk) would spoil the next one.
            file.set_len(before)?;
            return Err(error);
        }
        self.appended += 1;
        Ok(())
    }

    /// Whether the journal holds far more than the `live` things that still exist.
    pub(crate) fn is_overgrown(&self, live: usize) -> bool {
        self.appended > 10_000 + 4 * live
    }

    /// Replaces the journal by `records`.
    pub(crate) fn rewrite<R: Serialize>(&mut self, records: impl Iterator<Item = R>) -> io::Result<()> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let fresh = path.with_extension("new");
        let mut writer =
            BufWriter::new(files::private().write(true).create(true).truncate(true).open(&fresh)?);
        for record in records {
            serde_json::to_writer(&mut writer, &record)?;
            writer.write_all(b"\n")?;
        }
        writer.flush()?;
        fs::rename(&fresh, &*path)?;
        *file = files::private().append(true).open(&*path)?;
        self.appended = 0;
        Ok(())
    }
}

fn read<R: DeserializeOwned>(path: &Path) -> io::Result<Vec<R>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut records = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 || line.last() != Some(&b'\n') {
            break;
        }
        records.push(serde_json::from_slice(&line).map_err(|error| {
            let place = format!("{} line {number} is damaged: {error}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, place)
        })?);
    }
    Ok(records)
}
