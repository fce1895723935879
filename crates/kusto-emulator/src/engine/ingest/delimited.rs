//! csv, tsv, psv, scsv, sohsv: records by RFC 4180, whatever divides the fields. No allocation per record or field.

use std::io::{BufRead, ErrorKind};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::super::batch::IngestFailure;
use super::columns::{Columns, push_field, push_text};
use super::plan::{Plan, Slot};
use super::source::Input;
use crate::assumptions::RaggedRecords;

/// Reads all records.
///
/// # Errors
/// `Stream_WrongNumberOfFields`, `Stream_ClosingQuoteMissing`, or a failed read.
pub(super) fn read(
    plan: &Plan,
    delimiter: u8,
    input: &mut Input,
    columns: &mut Columns,
) -> Result<(), IngestFailure> {
    let mut records = Records::new(delimiter);
    let mut skip = plan.ignore_first_record;
    let mut width = None;
    while records.next(input)? {
        if std::mem::take(&mut skip) {
            continue;
        }
        let expected = *width.get_or_insert(records.count);
        if records.count != expected && plan.ragged == RaggedRecords::FailTheSource {
            return Err(records.wrong_number_of_fields(expected, input.location()));
        }
        columns.row(|i, builder| match &plan.slots[i] {
            Slot::Field(n) if *n < records.count => push_field(builder, records.field(*n), plan.longest[i]),
            Slot::Constant(text) => push_text(builder, text, plan.longest[i]),
            _ => builder.push_null(),
        });
    }
    Ok(())
}

/// One record after another, in buffers that grow to the longest.
struct Records {
    reader: Reader,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    written: usize,
    /// Fields of the present record.
    count: usize,
    /// The line on which the present record starts.
    line: u64,
    /// The end of the input was met and a line feed put behind it.
    closed: bool,
}

/// One step of the parser.
enum Step {
    Record,
    More,
    End,
}

impl Records {
    fn new(delimiter: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        Self { reader, bytes: vec![0; 4096], ends: vec![0; 64], written: 0, count: 0, line: 1, closed: false }
    }

    fn field(&self, n: usize) -> &[u8] {
        let start = if n == 0 { 0 } else { self.ends[n - 1] };
        &self.bytes[start..self.ends[n]]
    }

    /// Reads the next record; false at the end.
    fn next(&mut self, input: &mut Input) -> Result<bool, IngestFailure> {
        (self.written, self.count, self.line) = (0, 0, self.reader.line());
        loop {
            match self.step(input)? {
                Step::Record => {
                    input.record_done();
                    return Ok(true);
                }
                Step::More => {}
                Step::End => return Ok(false),
            }
        }
    }

    fn step(&mut self, input: &mut Input) -> Result<Step, IngestFailure> {
        let buffer = match input.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Step::More),
            Err(error) => return Err(input.failure(&error)),
        };
        if buffer.is_empty() {
            return self.close(input);
        }
        let (result, taken) = self.parse(buffer);
        input.consume(taken);
        Ok(self.grown(result))
    }

    /// A line feed behind the last byte ends every record but one with an open quote.
    fn close(&mut self, input: &Input) -> Result<Step, IngestFailure> {
        if !self.closed {
            let (result, taken) = self.parse(b"\n");
            self.closed = taken == 1;
            return Ok(self.grown(result));
        }
        if self.written > 0 || self.count > 0 {
            return Err(IngestFailure::permanent(
                "Stream_ClosingQuoteMissing",
                format!(
                    "'{}': the quote of the record on line {} is not closed",
                    input.location(),
                    self.line
                ),
            ));
        }
        Ok(Step::End)
    }

    fn parse(&mut self, buffer: &[u8]) -> (ReadRecordResult, usize) {
        let out = &mut self.bytes[self.written..];
        let (result, taken, written, ended) =
            self.reader.read_record(buffer, out, &mut self.ends[self.count..]);
        self.written += written;
        self.count += ended;
        (result, taken)
    }

    /// Makes room where the parser asks for it.
    fn grown(&mut self, result: ReadRecordResult) -> Step {
        match result {
            ReadRecordResult::Record => return Step::Record,
            ReadRecordResult::OutputFull => self.bytes.resize(self.bytes.len() * 2, 0),
            ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
        }
        Step::More
    }

    fn wrong_number_of_fields(&self, expected: usize, location: &str) -> IngestFailure {
        let (count, line) = (self.count, self.line);
        IngestFailure::permanent(
            "Stream_WrongNumberOfFields",
            format!(
                "'{location}': the record on line {line} has {count} fields, those before it have {expected}"
            ),
        )
    }
}
