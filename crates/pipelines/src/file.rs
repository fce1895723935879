//! Files of csv or json, plain or gzip, as a source with positions.
//!
//! ```text
//!   storms.csv ─ read ─► buffer ─ cut after whole records ─► Block ─ exchanged ─► any worker: parse, check, encode
//!   (one partition,       │         csv: outside quotes                (line number of its first record)
//!    one reader)          └─ .gz: decompressed on the way
//!                                   json lines: at line ends
//!                                   json array, objects: at depth zero, outside strings
//! ```
//!
//! - One file is one partition, read by one worker in blocks of whole records; finding where records end is all that
//!   the reading worker does, and it runs at memory speed. Parsing is shared by all workers.
//! - **Compression** is told by the name: `.gz` is gzip, of any number of members.
//! - **csv**: RFC 4180, comma; records end with LF or CRLF, the last one with or without; a quote opens a quoted field
//!   only where a field begins (elsewhere it is a character like others); blank lines are skipped; a UTF-8 byte order
//!   mark is skipped. With a header the first record names the fields.
//! - **json**: the first character decides. `[`: one array of objects, over any number of lines. `{`: objects, one per line
//!   if the first line holds a whole one, else one after another over any number of lines. Blank lines are skipped.
//! - **Position**: the offset in the uncompressed text, the number of the line there, and a fingerprint of the file as
//!   it is stored (length, SHA-256 of its head, tail and sixteen samples between). A file with another fingerprint is
//!   refused when a reader is opened, and so is one whose length changes while it is read: rows may be lost or
//!   repeated if the text before a position moves. A change in the middle of a file larger than 192 KiB that keeps its
//!   length and misses every sample is not noticed.
//! - Going on inside a gzip file means decompressing what lies before the position.
//! - **Limits**: a record of more than [`FileOptions::record_bytes`] (64 MB, what the service takes) is an error.
//!
//! Every process of a cluster must see the files under the same paths.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::source::{Batch, Position, Reader, Source, no_such_partition};

mod fingerprint;
mod framing;
mod input;
mod place;
mod reader;

pub(crate) use framing::{ends_object, is_json_blank, skip_csv_record};
use reader::FileReader;

/// What to read; a builder with public fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOptions {
    /// The files, each a partition of its own. At least one.
    pub paths: Vec<PathBuf>,
    /// The form of the records.
    pub format: FileFormat,
    /// For csv: whether the first record of each file names the fields. Default: true.
    pub header: bool,
    /// The largest record, in bytes. Default: 64 MB, the largest that the service takes.
    pub record_bytes: usize,
}

/// The form of the records in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values, RFC 4180.
    Csv,
    /// JSON objects, one per line, one after another, or in one array.
    Json,
}

impl FileOptions {
    /// The largest record that the service takes (64 MB; `data-explorer/ingest-data-overview.md`).
    pub const RECORD_BYTES: usize = 64_000_000;

    /// Files of the given format, with a header where the format has one.
    pub fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>, format: FileFormat) -> Self {
        let paths = paths.into_iter().map(Into::into).collect();
        FileOptions { paths, format, header: true, record_bytes: Self::RECORD_BYTES }
    }

    /// Says whether csv files begin with a header.
    pub fn with_header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    /// Checks what can be checked without touching a file.
    ///
    /// # Errors
    /// [`ErrorKind::Options`] naming the option, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Options, what));
        if self.paths.is_empty() {
            return wrong("path is empty: name at least one file".into());
        }
        if let Some(twice) = self.paths.iter().enumerate().find(|(i, path)| self.paths[..*i].contains(path)) {
            return wrong(format!("path names {} twice: its rows would be repeated", twice.1.display()));
        }
        if !(1..=Self::RECORD_BYTES).contains(&self.record_bytes) {
            let max = Self::RECORD_BYTES;
            return wrong(format!("record_bytes is {}: it must be 1 to {max}", self.record_bytes));
        }
        Ok(())
    }
}

/// Files as partitions; see the [module documentation](self).
#[derive(Clone, Debug)]
pub struct FileSource {
    options: FileOptions,
}

impl FileSource {
    /// A source of these files.
    ///
    /// # Errors
    /// Those of [`FileOptions::validate`]; files are looked at when they are opened.
    pub fn new(options: FileOptions) -> Result<Self> {
        options.validate()?;
        Ok(FileSource { options })
    }

    /// Looks for the files before they are read for the first time.
    ///
    /// # Errors
    /// [`ErrorKind::Options`] with the first path that leads to no file.
    pub(crate) fn find(&self) -> Result<()> {
        self.options.paths.iter().try_for_each(|path| input::find(path))
    }

    /// What is read.
    pub fn options(&self) -> &FileOptions {
        &self.options
    }

    /// Opens a file at its first record, the header included.
    pub(crate) fn open_with_header(&self, path: &Path) -> Result<FileReader> {
        FileReader::open(path, &FileOptions { header: false, ..self.options.clone() }, 0, None)
    }

    pub(crate) fn index_of(&self, partition: &str) -> Option<usize> {
        self.options.paths.iter().position(|path| path.to_string_lossy() == partition)
    }
}

impl Source for FileSource {
    type Batch = Block;

    fn identity(&self) -> String {
        let paths: Vec<_> = self.options.paths.iter().map(|path| path.display().to_string()).collect();
        let form = match (self.options.format, self.options.header) {
            (FileFormat::Csv, true) => "csv with header",
            (FileFormat::Csv, false) => "csv without header",
            (FileFormat::Json, _) => "json",
        };
        format!("file {} ({form})", paths.join(", "))
    }

    fn partitions(&self) -> Result<Vec<String>> {
        Ok(self.options.paths.iter().map(|path| path.to_string_lossy().into_owned()).collect())
    }

    fn open(&self, partition: &str, position: Option<&Position>) -> Result<Reader<Block>> {
        let index = self.index_of(partition).ok_or_else(|| no_such_partition(self, partition))?;
        let file = u32::try_from(index).unwrap_or(u32::MAX);
        Ok(Box::new(FileReader::open(&self.options.paths[index], &self.options, file, position)?))
    }

    fn can_replay(&self) -> bool {
        true
    }

    fn spreads(&self) -> bool {
        true
    }
}

/// Whole records of one file, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Which of the source's files, counted from 0.
    pub file: u32,
    /// The number of the line on which the first record begins, counted from 1.
    pub line: u64,
    /// Whether json objects end where their braces balance; else each has a line of its own.
    pub array: bool,
    /// The records. csv and json lines: with line ends, the last one may lack its own. json array: objects, with blanks,
    /// line ends and commas between them.
    #[serde(with = "serde_bytes")]
    pub text: Vec<u8>,
}

impl Batch for Block {
    fn weight(&self) -> usize {
        self.text.len()
    }

    fn rows(&self) -> Option<u64> {
        None
    }
}

pub(crate) fn io_error(doing: &str, path: &Path, error: std::io::Error) -> Error {
    let advice = match error.kind() {
        std::io::ErrorKind::NotFound => Some("check `path`; it is taken from the working directory"),
        std::io::ErrorKind::PermissionDenied => Some("make it readable for the user who runs the pipeline"),
        std::io::ErrorKind::UnexpectedEof => {
            Some("the gzip data ends too early: the file was cut off, fetch it again")
        }
        _ => None,
    };
    let failed = Error::new(ErrorKind::Source, format!("could not {doing} {}: {error}", path.display()));
    let failed = failed.with_source(error);
    match advice {
        Some(advice) => failed.with_advice(advice),
        None => failed,
    }
}
