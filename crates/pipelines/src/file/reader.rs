//! Reads one file in blocks of whole records.
//!
//! Invariants: `buffer[start..]` is the text from `place` on, and `place` lies before a record, or before what
//! separates it from the one before.

use std::path::Path;

use memchr::memchr_iter;

use super::framing::Framing;
use super::input::Input;
use super::place::Place;
use super::{Block, FileFormat, FileOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Budget, PartitionReader, Polled, Position};

/// Read at a time at least.
const READ: usize = 256 << 10;

/// The reader of one file.
#[derive(Debug)]
pub(crate) struct FileReader {
    input: Input,
    file: u32,
    record_bytes: usize,
    place: Place,
    buffer: Vec<u8>,
    start: usize,
    more: bool,
    /// The header of a csv file is still to be passed over.
    header: bool,
}

impl FileReader {
    pub(super) fn open(
        path: &Path,
        options: &FileOptions,
        file: u32,
        position: Option<&Position>,
    ) -> Result<Self> {
        let mut input = Input::open(path)?;
        let framing = match options.format {
            FileFormat::Csv => Framing::Csv,
            FileFormat::Json => Framing::JsonStart,
        };
        let place = match position {
            Some(position) => Place::from_position(position, input.fingerprint(), path)?,
            None => Place { offset: 0, line: 1, framing },
        };
        if place.offset > 0 {
            input.skip_to(place.offset)?;
        }
        let header = options.header && framing == Framing::Csv && place.offset == 0;
        let record_bytes = options.record_bytes;
        let buffer = Vec::new();
        Ok(FileReader { input, file, record_bytes, place, buffer, start: 0, more: true, header })
    }

    fn text(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Reads on, as much as there is already: a long record is searched a number of times that grows with the
    /// logarithm of its length.
    fn fill(&mut self) -> Result<()> {
        self.buffer.drain(..std::mem::take(&mut self.start));
        let bytes = self.buffer.len().max(READ);
        let first = self.place.offset == 0 && self.buffer.is_empty();
        self.more = self.input.read(bytes, &mut self.buffer)?;
        match first {
            true => self.pass_byte_order_mark(),
            false => Ok(()),
        }
    }

    fn pass_byte_order_mark(&mut self) -> Result<()> {
        match self.text() {
            [0xef, 0xbb, 0xbf, ..] => self.pass(3),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                let text = format!("{} is UTF-16 text", self.input.path().display());
                return Err(Error::new(ErrorKind::Source, text).with_advice(
                    "convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`, and name the result",
                ));
            }
            _ => {}
        }
        Ok(())
    }

    /// Moves the place over `bytes` of text that belong to no record.
    fn pass(&mut self, bytes: usize) {
        self.place.line += memchr_iter(b'\n', &self.text()[..bytes]).count() as u64;
        self.place.offset += bytes as u64;
        self.start += bytes;
    }

    /// Passes over what stands before the next record, as far as it is read.
    fn pass_separators(&mut self) -> Result<()> {
        loop {
            let (bytes, framing) = self.place.framing.separator(self.text()).map_err(|(at, wrong)| {
                self.pass(at);
                self.malformed(wrong)
            })?;
            if (bytes, framing) == (0, self.place.framing) {
                return Ok(());
            }
            self.pass(bytes);
            self.place.framing = framing;
        }
    }

    /// The end of the next block in the text, reading as far as that needs. None at the end.
    fn next_end(&mut self, budget: Budget) -> Result<Option<usize>> {
        loop {
            self.pass_separators()?;
            let enough = self.text().len() >= budget.bytes || !self.more;
            if enough && !self.text().is_empty() {
                if let Some(end) = self.place.framing.cut(self.text(), budget) {
                    return self.within_limit(end).map(Some);
                }
                if !self.more {
                    return self.last_record();
                }
                self.within_limit(self.text().len())?;
            }
            if !self.more {
                return self.finish();
            }
            self.fill()?;
        }
    }

    /// What remains at the end of the file and has no end of its own.
    fn last_record(&mut self) -> Result<Option<usize>> {
        self.input.check_unchanged()?;
        if self.place.framing == Framing::JsonStart {
            self.place.framing = Framing::JsonLines;
        }
        match self.place.framing {
            Framing::Csv | Framing::JsonLines => self.within_limit(self.text().len()).map(Some),
            Framing::JsonObjects => Err(self.malformed("the file ends within the object that begins here")),
            _ => Err(self.malformed("the file ends within an object of the array")),
        }
    }

    fn finish(&mut self) -> Result<Option<usize>> {
        self.input.check_unchanged()?;
        match self.place.framing {
            Framing::ArrayStart | Framing::ArrayNext | Framing::ArrayComma => {
                Err(self.malformed("the file ends within the array"))
            }
            _ => Ok(None),
        }
    }

    /// Fails if the record with which the text begins is larger than allowed.
    fn within_limit(&self, end: usize) -> Result<usize> {
        if end <= self.record_bytes
            || self.place.framing.cut(&self.text()[..self.record_bytes], ONE).is_some()
        {
            return Ok(end);
        }
        let (path, line, limit) = (self.input.path().display(), self.place.line, self.record_bytes);
        let text = format!("{path}, line {line}: the record is larger than {limit} bytes");
        Err(Error::new(ErrorKind::Record, text).with_advice(match self.place.framing {
            Framing::Csv => {
                "a quote that is never closed makes one record of all that follows: look at that line"
            }
            _ => "split the record: the service takes no record above 64 MB",
        }))
    }

    fn malformed(&self, wrong: &str) -> Error {
        let (path, line) = (self.input.path().display(), self.place.line);
        Error::new(ErrorKind::Record, format!("{path}, line {line}: malformed json: {wrong}"))
    }

    /// Hands out `end` bytes of text, which are whole records.
    fn hand_out(&mut self, end: usize) -> Block {
        let (file, line) = (self.file, self.place.line);
        let array = !matches!(self.place.framing, Framing::Csv | Framing::JsonLines);
        let text = self.take(end);
        self.place.line += memchr_iter(b'\n', &text).count() as u64;
        self.place.offset += end as u64;
        self.place.framing = self.place.framing.after_records();
        Block { file, line, array, text }
    }

    /// Takes the text without copying it when it is most of the buffer.
    fn take(&mut self, end: usize) -> Vec<u8> {
        let rest = self.text().len() - end;
        if self.start > 0 || rest > end {
            let text = self.text()[..end].to_vec();
            self.start += end;
            return text;
        }
        let mut next = Vec::with_capacity(rest + READ);
        next.extend_from_slice(&self.buffer[end..]);
        self.buffer.truncate(end);
        std::mem::replace(&mut self.buffer, next)
    }

    /// The next block, the header included where there is one.
    pub(crate) fn next_block(&mut self, budget: Budget) -> Result<Option<Block>> {
        Ok(self.next_end(budget)?.map(|end| self.hand_out(end)))
    }
}

const ONE: Budget = Budget { rows: 1, bytes: usize::MAX };

impl PartitionReader for FileReader {
    type Batch = Block;

    fn poll(&mut self, budget: Budget) -> Result<Polled<Block>> {
        if self.header {
            self.next_block(ONE)?;
            self.header = false;
        }
        Ok(self.next_block(budget)?.map_or(Polled::End, Polled::Batch))
    }

    fn position(&self) -> Position {
        self.place.to_position(self.input.fingerprint())
    }

    fn acknowledge(&mut self, position: &Position) -> Result<()> {
        Place::from_position(position, self.input.fingerprint(), self.input.path()).map(drop)
    }
}
