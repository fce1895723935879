//! The position in a file: what it holds, and its form as bytes.
//!
//! ```text
//! version 1 │ offset u64 LE │ line u64 LE │ framing u8 │ fingerprint, 32 bytes
//! ```

use std::path::Path;

use super::fingerprint::Fingerprint;
use super::framing::Framing;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Position;

const FORM: u8 = 1;
const LEN: usize = 8 + 8 + 1 + 32;

/// Where the next record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// In the uncompressed text, in bytes.
    pub(super) offset: u64,
    /// The number of the line there, counted from 1.
    pub(super) line: u64,
    /// How records are told apart from here on.
    pub(super) framing: Framing,
}

impl Place {
    pub(super) fn to_position(self, fingerprint: &Fingerprint) -> Position {
        let mut content = Vec::with_capacity(LEN);
        content.extend_from_slice(&self.offset.to_le_bytes());
        content.extend_from_slice(&self.line.to_le_bytes());
        content.push(self.framing.code());
        content.extend_from_slice(fingerprint);
        Position::new(FORM, &content)
    }

    /// Reads a position back, if it belongs to the file with this fingerprint.
    pub(super) fn from_position(
        position: &Position,
        fingerprint: &Fingerprint,
        path: &Path,
    ) -> Result<Place> {
        let content = position.content(FORM)?;
        let (place, kept) = parse(content).ok_or_else(|| damaged(path))?;
        match kept == fingerprint {
            true => Ok(place),
            false => Err(changed(path)),
        }
    }
}

fn parse(content: &[u8]) -> Option<(Place, &[u8])> {
    let (offset, rest) = content.split_first_chunk()?;
    let (line, rest) = rest.split_first_chunk()?;
    let (framing, fingerprint) = rest.split_first()?;
    let framing = Framing::from_code(*framing)?;
    let place = Place { offset: u64::from_le_bytes(*offset), line: u64::from_le_bytes(*line), framing };
    (fingerprint.len() == 32).then_some((place, fingerprint))
}

fn damaged(path: &Path) -> Error {
    Error::new(ErrorKind::Damaged, format!("the kept position in {} is damaged", path.display()))
        .with_advice("start over with a new state directory")
}

fn changed(path: &Path) -> Error {
    Error::new(
        ErrorKind::SourceChanged,
        format!("cannot go on in {}: the file changed since its position was kept", path.display()),
    )
    .with_advice(
        "put the file back as it was; or start over with a new state directory, after removing the rows that are in \
         the table already",
    )
}
