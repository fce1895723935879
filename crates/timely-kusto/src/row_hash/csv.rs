//! Rows of CSV.

use csv_core::{ReadRecordResult, Reader};

use super::Misfit;
use super::summer::Hasher;
use super::value::Given;

/// Reads records of CSV, in buffers that grow to the longest.
#[derive(Clone, Debug)]
pub(super) struct Records {
    /// For each column of the hash, its field.
    places: Vec<Option<usize>>,
    /// How many fields a row has.
    width: usize,
    /// The fields of a record, without quotes, one behind the other.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Records {
    pub(super) fn new(columns: &[&str], fields: &[String]) -> Records {
        let place = |column: &&str| fields.iter().position(|field| field == column);
        let places = columns.iter().map(place).collect();
        Records { places, width: fields.len(), bytes: vec![0; 4096], ends: vec![0; fields.len() + 1] }
    }

    pub(super) fn sum(&mut self, rows: &[u8], hasher: &mut Hasher) -> Result<u64, Misfit> {
        let mut reader = Reader::new();
        let (mut rest, mut row, mut sum) = (rows, 0, 0);
        if rows.starts_with(BYTE_ORDER_MARK) {
            let why = "it begins with a byte order mark, which may be taken away: leave it out, or put the field in quotes";
            return Err(Misfit::of_row(row, rows, why));
        }
        loop {
            if self.width == 1 && starts_with_empty_line(rows, rest) {
                let why = "it is an empty line, which may be no row to the service: write an empty text as \"\", or JSON";
                return Err(Misfit::of_row(row, b"", why));
            }
            let Some((length, fields)) = self.next(&mut reader, rest, row)? else { return Ok(sum) };
            self.check(fields, row, &rest[..length])?;
            let (bytes, ends, places) = (&self.bytes, &self.ends, &self.places);
            sum += hasher.number(row, |at| match places[at] {
                Some(0) => Given::Text(&bytes[..ends[0]]),
                Some(field) => Given::Text(&bytes[ends[field - 1]..ends[field]]),
                None => Given::Null,
            })?;
            rest = &rest[length..];
            row += 1;
        }
    }

    /// Reads the next record: its length in `rest` and its number of fields; none at the end.
    fn next(&mut self, reader: &mut Reader, rest: &[u8], row: u64) -> Result<Option<(usize, usize)>, Misfit> {
        let (mut taken, mut written, mut fields) = (0, 0, 0);
        loop {
            let input = &rest[taken..];
            let (result, read, wrote, ended) =
                reader.read_record(input, &mut self.bytes[written..], &mut self.ends[fields..]);
            (taken, written, fields) = (taken + read, written + wrote, fields + ended);
            match result {
                // A row that ended with a line break would not have come to the end of the bytes.
                ReadRecordResult::Record if input.is_empty() && rest.ends_with(b"\n") => {
                    return Err(Misfit::of_row(row, rest, "its last quote is not closed"));
                }
                ReadRecordResult::Record => return Ok(Some((taken, fields))),
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.bytes.resize(self.bytes.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        }
    }

    fn check(&self, fields: usize, row: u64, record: &[u8]) -> Result<(), Misfit> {
        if fields != self.width {
            let width = self.width;
            let why =
                format!("it has {fields} fields, and the rows have {width}: the service refuses such a blob");
            return Err(Misfit::of_row(row, record, why));
        }
        if !quotes_stand_around_fields(record) {
            let why = "a quote stands within a field: put the field in quotes, and double the quotes in it";
            return Err(Misfit::of_row(row, record, why));
        }
        Ok(())
    }
}

/// What some readers take away at the beginning of a blob.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether each field either has quotes around it, with those in it doubled, or none at all: of others it is not documented
/// how they are read.
fn quotes_stand_around_fields(record: &[u8]) -> bool {
    let mut rest = record;
    while let Some(at) = memchr::memchr(b'"', rest) {
        let opens = rest[..at].last().is_none_or(|before| matches!(before, b',' | b'\r' | b'\n'));
        let Some(behind) = behind_closing_quote(&rest[at + 1..]).filter(|_| opens) else { return false };
        if !matches!(behind, [] | [b',' | b'\r' | b'\n', ..]) {
            return false;
        }
        rest = behind;
    }
    true
}

/// What follows a field that was opened with a quote.
fn behind_closing_quote(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = &rest[memchr::memchr(b'"', rest)? + 1..];
        match rest {
            [b'"', more @ ..] => rest = more,
            behind => return Some(behind),
        }
    }
}

/// Whether `rest`, the end of `rows`, begins with a line break that ends no row.
fn starts_with_empty_line(rows: &[u8], rest: &[u8]) -> bool {
    let split = rows[..rows.len() - rest.len()].ends_with(b"\r") && rest.starts_with(b"\n");
    rest[usize::from(split)..].starts_with(b"\n") || rest[usize::from(split)..].starts_with(b"\r")
}
