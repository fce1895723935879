//! What is wrong with a record, in words for the person who has to mend it.

use memchr::{memchr_iter, memrchr};

use super::Columns;
use crate::error::{Error, ErrorKind};
use crate::file::Block;
use crate::types::Misfit;

/// Marks a value above the limit; the limit is added to the text.
pub(crate) const TOO_LONG: Misfit = "it is too long";

/// At most so much of a value is shown.
const SHOWN: usize = 60;

/// A record that cannot be a row.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// Where, in the text of the block.
    at: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The text itself is wrong there.
    Text { wrong: Misfit, field: Option<usize> },
    /// The record has so many fields instead of so many.
    Fields { found: usize, expected: usize },
    /// A json object cannot be read.
    Json { wrong: String },
    /// A value does not fit.
    Value { misfit: Misfit, column: usize, shown: String },
}

impl Trouble {
    pub(crate) fn at(at: usize, wrong: Misfit) -> Self {
        Trouble { at, what: What::Text { wrong, field: None } }
    }

    pub(crate) fn in_field(at: usize, wrong: Misfit, field: usize) -> Self {
        Trouble { at, what: What::Text { wrong, field: Some(field) } }
    }

    pub(crate) fn fields(at: usize, found: usize, expected: usize) -> Self {
        Trouble { at, what: What::Fields { found, expected } }
    }

    pub(crate) fn value(at: usize, misfit: Misfit, column: usize, value: &str) -> Self {
        Trouble { at, what: What::Value { misfit, column, shown: cut(value) } }
    }

    /// The parser counts lines and columns from the start of the object; both are taken back to a place in the text.
    pub(crate) fn json(start: usize, object: &str, error: &serde_json::Error) -> Self {
        let line = memchr_iter(b'\n', object.as_bytes()).take(error.line().saturating_sub(1)).last();
        let at = line.map_or(0, |end| end + 1) + error.column().saturating_sub(1);
        let text = error.to_string();
        let wrong = text.rsplit_once(" at line ").map_or(text.as_str(), |(wrong, _)| wrong).to_owned();
        Trouble { at: start + at.min(object.len()), what: What::Json { wrong } }
    }

    pub(crate) fn into_error(self, place: &Place<'_>, columns: &Columns) -> Error {
        let (line, character) = place.line_and_character(self.at);
        let here = format!("{}, line {line}, column {character}", place.file);
        let name = |index: usize| columns.columns.get(index).map_or("", |column| column.field.as_str());
        let (text, advice) = match self.what {
            What::Text { wrong, field: Some(field) } => {
                (format!("{here}, field {:?}: {wrong}", name(field)), MALFORMED)
            }
            What::Text { wrong, field: None } => (format!("{here}: {wrong}"), "convert the file to UTF-8"),
            What::Fields { found, expected } => {
                let text = format!(
                    "{}, line {line}: the record has {found} fields instead of {expected}",
                    place.file
                );
                (text, MALFORMED)
            }
            What::Json { wrong } => (format!("{here}: no row can be made of the object: {wrong}"), JSON),
            What::Value { misfit, column, shown } => {
                let column = &columns.columns[column];
                let max = columns.max_value_bytes;
                let limit =
                    if misfit == TOO_LONG { format!(" (more than {max} bytes)") } else { String::new() };
                let (field, kind) = (&column.field, column.column_type);
                let text = format!(
                    "{here}, field {field:?}: {shown} does not fit column {} of type {kind}: {misfit}{limit}",
                    column.column
                );
                (text, if misfit == TOO_LONG { LONG } else { MISFIT })
            }
        };
        Error::new(ErrorKind::Record, text).with_advice(advice)
    }
}

const MALFORMED: &str =
    "mend the record: fields with commas, quotes or line breaks stand in quotes, a quote within is doubled";
const JSON: &str = "a file holds objects (one per line, or one after another) or one array of objects, and every member needs a column: \
                    mend the record, or add the column to the table";
const MISFIT: &str = "mend the value, or give the column a type that takes it (string takes every text)";
const LONG: &str = "the service would cut it: raise MaxValueSize in the column's encoding policy and `max_value_bytes` \
                    with it, or shorten the value";

fn cut(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?} and {} bytes more", &value[..end], value.len() - end),
        None => format!("{value:?}"),
    }
}

/// Where a block comes from.
pub(crate) struct Place<'a> {
    file: &'a str,
    block: &'a Block,
}

impl<'a> Place<'a> {
    pub(crate) fn of(block: &'a Block, files: &'a [String]) -> Self {
        Place::in_file(files.get(block.file as usize).map_or("a file", String::as_str), block)
    }

    pub(crate) fn in_file(file: &'a str, block: &'a Block) -> Self {
        Place { file, block }
    }

    /// The number of the line and of the character in it, both counted from 1.
    fn line_and_character(&self, at: usize) -> (u64, usize) {
        let before = &self.block.text[..at.min(self.block.text.len())];
        let line = self.block.line + memchr_iter(b'\n', before).count() as u64;
        let start = memrchr(b'\n', before).map_or(0, |end| end + 1);
        (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
    }
}
