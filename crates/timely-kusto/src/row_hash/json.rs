//! Rows of JSON: an object a line.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Misfit;
use super::summer::Hasher;
use super::value::Given;

/// Reads an object a line, and of each the fields that are hashed.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    /// Where a name stands among the columns of the hash.
    places: HashMap<Box<str>, usize>,
    /// Where in its line each column's value stands.
    found: Vec<Option<Range<usize>>>,
    /// A row's strings that had escapes, one behind the other.
    unescaped: Vec<u8>,
    /// For each column, its part of them.
    parts: Vec<Range<usize>>,
}

impl Objects {
    /// Without `fields`, all columns are read by their names; otherwise those among them.
    pub(super) fn new(columns: &[&str], fields: &[String]) -> Objects {
        let is_read = |name: &str| fields.is_empty() || fields.iter().any(|field| field == name);
        let places = columns.iter().enumerate().filter(|(_, name)| is_read(name));
        let places = places.map(|(at, name)| (Box::from(*name), at)).collect();
        let count = columns.len();
        Objects { places, found: vec![None; count], unescaped: Vec::new(), parts: vec![0..0; count] }
    }

    pub(super) fn sum(&mut self, rows: &[u8], hasher: &mut Hasher) -> Result<u64, Misfit> {
        let (mut start, mut row, mut sum) = (0, 0, 0);
        while start < rows.len() {
            let end = memchr::memchr(b'\n', &rows[start..]).map_or(rows.len(), |at| start + at);
            let line = rows[start..end].trim_ascii();
            if !line.is_empty() {
                sum += self.number(row, line, hasher)?;
                row += 1;
            }
            start = end + 1;
        }
        Ok(sum)
    }

    fn number(&mut self, row: u64, line: &[u8], hasher: &mut Hasher) -> Result<u64, Misfit> {
        self.read(line).map_err(|error| {
            Misfit::of_row(
                row,
                line,
                format!("it is not one JSON object ({error}), and the service would leave it out"),
            )
        })?;
        self.unescape(line);
        let (found, parts, unescaped) = (&self.found, &self.parts, &self.unescaped);
        hasher.number(row, |at| match &found[at] {
            None => Given::Null,
            Some(value) => given(&line[value.clone()], &unescaped[parts[at].clone()]),
        })
    }

    /// Finds the values of the columns.
    fn read(&mut self, line: &[u8]) -> serde_json::Result<()> {
        self.found.fill(None);
        let mut reader = serde_json::Deserializer::from_slice(line);
        let start = line.as_ptr() as usize;
        Row { places: &self.places, found: &mut self.found, start }.deserialize(&mut reader)?;
        reader.end()
    }

    /// Writes the strings that have escapes without them.
    fn unescape(&mut self, line: &[u8]) {
        self.unescaped.clear();
        for (value, part) in self.found.iter().zip(&mut self.parts) {
            let start = self.unescaped.len();
            if let Some(value) = value
                && let [b'"', text @ .., b'"'] = &line[value.clone()]
                && memchr::memchr(b'\\', text).is_some()
            {
                unescape(text, &mut self.unescaped);
            }
            *part = start..self.unescaped.len();
        }
    }
}

/// A value of JSON; `unescaped` is its text if it is a string with escapes.
fn given<'a>(value: &'a [u8], unescaped: &'a [u8]) -> Given<'a> {
    match value {
        [b'"', text @ .., b'"'] if unescaped.is_empty() => Given::Text(text),
        [b'"', ..] => Given::Text(unescaped),
        [b'n', ..] => Given::Null,
        [b'{' | b'[', ..] => Given::Nested(value),
        _ => Given::Bare(value),
    }
}

/// Appends a string of JSON, which was checked already, without its escapes.
fn unescape(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'\\', text) {
        out.extend_from_slice(&text[..at]);
        let (letter, rest) = (text[at + 1], &text[at + 2..]);
        text = match letter {
            b'u' => {
                let (letter, rest) = unicode(rest);
                match letter {
                    Some(letter) => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
                    None => out.push(NO_UTF8),
                }
                rest
            }
            letter => {
                out.push(match letter {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    itself => itself,
                });
                rest
            }
        };
    }
    out.extend_from_slice(text);
}

/// Stands for half of a letter, which no text can hold, so that the text is refused.
const NO_UTF8: u8 = 0xFF;

/// The letter of `\uXXXX`, behind its `u`, or of two of them, and what follows.
fn unicode(text: &[u8]) -> (Option<char>, &[u8]) {
    let unit = |text: &[u8]| {
        text.iter().take(4).fold(0, |unit, digit| unit << 4 | char::from(*digit).to_digit(16).unwrap_or(0))
    };
    let first = unit(text);
    if let (0xD800..0xDC00, [b'\\', b'u', second @ ..]) = (first, &text[4..])
        && let low @ 0xDC00..0xE000 = unit(second)
    {
        let letter = 0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00);
        return (char::from_u32(letter), &second[4..]);
    }
    (char::from_u32(first), &text[4..])
}

/// Takes an object apart.
struct Row<'a> {
    places: &'a HashMap<Box<str>, usize>,
    found: &'a mut [Option<Range<usize>>],
    /// The address of the line.
    start: usize,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(place) = fields.next_key_seed(Name(self.places))? {
            let Some(place) = place else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = fields.next_value::<&'de RawValue>()?.get();
            let start = value.as_ptr() as usize - self.start;
            if self.found[place].replace(start..start + value.len()).is_some() {
                return Err(A::Error::custom("a field stands twice in it"));
            }
        }
        Ok(())
    }
}

/// The name of a field: its place among the columns of the hash, if it is one.
struct Name<'a>(&'a HashMap<Box<str>, usize>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(name).copied())
    }
}
