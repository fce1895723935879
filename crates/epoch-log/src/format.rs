//! The epoch file, byte by byte. Versions 1 and 2; a file without sums of its rows is written as version 1.
//!
//! ```text
//! ┌─────────┬───────────────────────────────┬────────┬─────────┐
//! │ prelude │ body │ body │ body │ ...      │ footer │ trailer │
//! │ 16      │ as they will be uploaded      │ n      │ 24      │
//! └─────────┴───────────────────────────────┴────────┴─────────┘
//! 0         16                              F        F+n       F+n+24 = length of the file
//! ```
//! All numbers are little-endian. CRC-32 is the one of gzip and zip (polynomial 0x04C11DB7, reflected). No byte of the
//! file stands outside a check.
//!
//! **Prelude.** Every version of the format begins with these 16 bytes, so that an older program can tell a newer file
//! from a damaged one:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | `89 4B 54 4C 4F 47 0D 0A` (`\x89KTLOG\r\n`; a text-mode copy damages it visibly) |
//! | 8 | 2 | format version: 1 or 2 |
//! | 10 | 2 | zero |
//! | 12 | 4 | CRC-32 of the bytes 0..12 |
//!
//! **Bodies** follow each other without a gap, in the order they were appended. Each is a finished blob.
//!
//! **Trailer**, the last 24 bytes:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | F+n | 8 | F, where the footer begins |
//! | F+n+8 | 4 | n, its length |
//! | F+n+12 | 4 | CRC-32 of the footer and of the 12 trailer bytes before this field |
//! | F+n+16 | 8 | `KTSEALED` |
//!
//! **Footer**: the struct [`Footer`] in bincode 1.3 with fixed-width integers. In that encoding a text or a list is
//! its length (8 bytes: bytes of UTF-8, or elements), then the content; a struct is its fields in order:
//!
//! | field | type | content |
//! |---|---|---|
//! | lineage | text | 16 hexadecimal digits |
//! | generation | u64 | of the start that wrote it |
//! | nonce | text | of the start that wrote it |
//! | worker | u32 | index of the worker that wrote it |
//! | workers | u32 | workers of that start |
//! | from, to | u64, u64 | the epochs covered: `from <= epoch < to` |
//! | block_bytes | u32 | how many bytes of a body one checksum covers |
//! | layouts | list | format (text), then the columns in order (list of: name (text), type (text)) |
//! | chunks | list | as below, in the order of the bodies |
//! | positions | list | epoch (u64), partition (text), position (list of bytes); only those that changed |
//!
//! | field of a chunk | type | content |
//! |---|---|---|
//! | epoch | u64 | of its rows |
//! | number | u32 | 0, 1, 2, ... within the epoch |
//! | layout | u32 | index into `layouts` |
//! | offset, length | u64, u64 | where the body is |
//! | rows, raw_bytes | u64, u64 | what it holds, before compression |
//! | checksums | list of u32 | CRC-32 of each `block_bytes` of the body, the last of what remains |
//!
//! **Version 2** has one more list behind `positions`, with an element for each chunk:
//!
//! | field of a sum | type | content |
//! |---|---|---|
//! | over | u64 | names what the sum is over, for whoever wrote it |
//! | sum | u64 | of all rows of the chunk |
//!
//! A checksum per block and not per body, so that any range of a body can be read for upload, checked, with one block
//! of memory. Nothing in a footer expires or is secret: no address of a blob, no token.

mod check;

use std::path::Path;

use bincode::Options as _;
use serde::{Deserialize, Serialize};

use crate::fs::{self, File};
use crate::{Epoch, Error, Generation, Lineage};

/// The newest format version, which files with sums have.
pub const FORMAT_VERSION: u16 = 2;
/// The version of files without sums.
const WITHOUT_SUMS: u16 = 1;
/// Bytes of a body that share one checksum in files written here, and the memory that reading one takes.
pub const BLOCK_BYTES: usize = 256 << 10;
/// Largest footer in bytes. It bounds the memory that opening a file takes, whatever its trailer says.
pub const MAX_FOOTER_BYTES: usize = 64 << 20;

pub(crate) const PRELUDE_BYTES: u64 = 16;
pub(crate) const TRAILER_BYTES: usize = 24;
/// Largest block that is accepted from a file.
const MAX_BLOCK_BYTES: u32 = 16 << 20;
/// Read at once from the end of a file: most footers are shorter.
const TAIL_BYTES: u64 = 4096;
const MAGIC: [u8; 8] = *b"\x89KTLOG\r\n";
const SEALED: [u8; 8] = *b"KTSEALED";

/// What a sealed file says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// Whose rows these are.
    pub lineage: String,
    /// The start that wrote it.
    pub generation: Generation,
    /// The start that wrote it.
    pub nonce: String,
    /// The worker that wrote it.
    pub worker: u32,
    /// Workers of that start.
    pub workers: u32,
    /// First epoch covered.
    pub from: Epoch,
    /// First epoch no longer covered.
    pub to: Epoch,
    /// Bytes of a body per checksum.
    pub block_bytes: u32,
    /// The layouts that chunks refer to.
    pub layouts: Vec<Layout>,
    /// The chunks, in the order of their bodies.
    pub chunks: Vec<Chunk>,
    /// Source positions that changed in these epochs.
    pub positions: Vec<Position>,
}

/// How the rows of a chunk are written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Layout {
    /// The format, as the reader of the blob is told: `csv`, `json`, ...
    pub format: String,
    /// The columns, in their order.
    pub columns: Vec<Column>,
}

/// A column of a [`Layout`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the target table calls it.
    pub column_type: String,
}

/// A body and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The epoch of its rows; a chunk never spans two.
    pub epoch: Epoch,
    /// 0, 1, 2, ... within the epoch, for this worker.
    pub number: u32,
    /// Index into [`Footer::layouts`].
    pub layout: u32,
    /// Where the body begins, in bytes from the start of the file.
    pub offset: u64,
    /// Bytes of the body.
    pub length: u64,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of the rows before compression.
    pub raw_bytes: u64,
    /// CRC-32 of each block of the body.
    pub checksums: Vec<u32>,
    /// A sum over its rows, if the file has such.
    #[serde(skip)]
    pub sum: Option<RowSum>,
}

/// A sum over the rows of a chunk. The log keeps it and does not know what it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RowSum {
    /// Names what it is over, for whoever wrote it.
    pub over: u64,
    /// The sum.
    pub sum: u64,
}

/// Where to go on in a source partition once all epochs up to and including this one are committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The epoch after which it holds.
    pub epoch: Epoch,
    /// Which partition of which source.
    pub partition: String,
    /// Opaque to the log.
    pub position: Vec<u8>,
}

impl Footer {
    /// Whether the file belongs to this lineage.
    pub fn is_of(&self, lineage: &Lineage) -> bool {
        self.lineage == lineage.as_str()
    }
}

fn codec() -> impl bincode::Options {
    bincode::options().with_fixint_encoding().with_limit(MAX_FOOTER_BYTES as u64).reject_trailing_bytes()
}

/// Bytes that a value takes in the footer.
pub(crate) fn encoded_bytes(value: &impl Serialize) -> u64 {
    bincode::options().with_fixint_encoding().serialized_size(value).unwrap_or(u64::MAX)
}

/// The first bytes of a file with or without sums.
pub(crate) fn prelude(has_sums: bool) -> [u8; PRELUDE_BYTES as usize] {
    let version = if has_sums { FORMAT_VERSION } else { WITHOUT_SUMS };
    let mut bytes = [0; PRELUDE_BYTES as usize];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&version.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Footer and trailer, for a file whose bodies end at `footer_offset`. All of its chunks have sums, or none.
pub(crate) fn tail(footer: &Footer, footer_offset: u64) -> Result<Vec<u8>, Error> {
    let too_large = |_| {
        Error::misuse(format!("the footer for epochs up to {} exceeds {MAX_FOOTER_BYTES} bytes", footer.to))
    };
    let sums: Vec<RowSum> = footer.chunks.iter().filter_map(|chunk| chunk.sum).collect();
    let mut bytes = match sums.is_empty() {
        true => codec().serialize(footer),
        false => codec().serialize(&(footer, sums)),
    }
    .map_err(too_large)?;
    let length = u32::try_from(bytes.len()).expect("the codec limits a footer to 64 MiB");
    bytes.extend(footer_offset.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes.extend(SEALED);
    Ok(bytes)
}

/// The checksums of a body's blocks.
pub(crate) fn checksums(body: &[u8]) -> Vec<u32> {
    body.chunks(BLOCK_BYTES).map(crc32fast::hash).collect()
}

/// Reads and checks prelude, trailer and footer; bodies are not touched (invariant 18).
pub(crate) fn read_footer(file: &dyn File, path: &Path) -> Result<Footer, Error> {
    let length = file.length().map_err(Error::io("read the length of", path))?;
    let tail_start = length.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; (length - tail_start) as usize];
    read(file, path, &mut tail, tail_start)?;
    let version = if tail_start == 0 {
        check_prelude(path, &tail)?
    } else {
        let mut prelude = [0; PRELUDE_BYTES as usize];
        read(file, path, &mut prelude, 0)?;
        check_prelude(path, &prelude)?
    };
    let (footer_offset, footer_length) = read_trailer(path, &tail, length)?;
    let needed = footer_length + TRAILER_BYTES;
    if needed > tail.len() {
        tail = vec![0; needed];
        read(file, path, &mut tail, footer_offset)?;
    }
    let footer = decode(path, version, &tail[tail.len() - needed..])?;
    check::footer(&footer, footer_offset).map_err(|damage| Error::corrupt(path, damage))?;
    Ok(footer)
}

/// Whether a file claims a format newer than ours, as far as its first bytes can be believed.
pub(crate) fn check_not_newer(file: &dyn File, path: &Path) -> Result<(), Error> {
    let length = file.length().map_err(Error::io("read the length of", path))?;
    let mut prelude = vec![0; length.min(PRELUDE_BYTES) as usize];
    read(file, path, &mut prelude, 0)?;
    match check_prelude(path, &prelude) {
        Err(error @ Error::NewerFormat { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// The version of a file that begins with these bytes.
fn check_prelude(path: &Path, bytes: &[u8]) -> Result<u16, Error> {
    let Some((prelude, _)) = bytes.split_first_chunk::<{ PRELUDE_BYTES as usize }>() else {
        let cut = format!("it ends after {} bytes, within its first 16", bytes.len());
        return Err(Error::corrupt(path, cut));
    };
    let (content, checksum) = prelude.split_at(12);
    if content[..8] != MAGIC || crc32fast::hash(content).to_le_bytes() != checksum {
        return Err(Error::corrupt(path, "its first 16 bytes are not those of an epoch file"));
    }
    match u16::from_le_bytes([content[8], content[9]]) {
        version @ WITHOUT_SUMS..=FORMAT_VERSION => Ok(version),
        0 => Err(Error::corrupt(path, "it claims format version 0, which does not exist")),
        found => Err(Error::NewerFormat { path: path.to_owned(), found, known: FORMAT_VERSION }),
    }
}

/// Where the footer begins and how long it is, from a trailer whose numbers add up to the file's length.
fn read_trailer(path: &Path, tail: &[u8], length: u64) -> Result<(u64, usize), Error> {
    let Some((_, trailer)) = tail.split_last_chunk::<TRAILER_BYTES>() else {
        return Err(Error::corrupt(path, format!("it ends after {length} bytes, before any footer")));
    };
    if trailer[16..] != SEALED {
        return Err(Error::corrupt(path, format!("it does not end with a seal (at byte {})", length - 8)));
    }
    let footer_offset = u64::from_le_bytes(trailer[..8].try_into().expect("eight of 24 bytes"));
    let footer_length = u32::from_le_bytes(trailer[8..12].try_into().expect("four of 24 bytes"));
    let ends = footer_offset.checked_add(u64::from(footer_length) + TRAILER_BYTES as u64);
    let fits = footer_offset >= PRELUDE_BYTES && footer_length as usize <= MAX_FOOTER_BYTES;
    if ends != Some(length) || !fits {
        let damage = format!(
            "its trailer speaks of a footer of {footer_length} bytes at {footer_offset}, in a file of {length} bytes"
        );
        return Err(Error::corrupt(path, damage));
    }
    Ok((footer_offset, footer_length as usize))
}

/// The footer from footer and trailer.
fn decode(path: &Path, version: u16, bytes: &[u8]) -> Result<Footer, Error> {
    let (checked, rest) = bytes.split_at(bytes.len() - 12);
    if crc32fast::hash(checked).to_le_bytes() != rest[..4] {
        return Err(Error::corrupt(path, "the checksum of its footer is wrong"));
    }
    let footer = &checked[..checked.len() - 12];
    let undecodable =
        |why| Error::corrupt(path, format!("its footer has a valid checksum but does not decode: {why}"));
    if version == WITHOUT_SUMS {
        return codec().deserialize(footer).map_err(undecodable);
    }
    let (mut footer, sums): (Footer, Vec<RowSum>) = codec().deserialize(footer).map_err(undecodable)?;
    if footer.chunks.len() != sums.len() {
        let (chunks, sums) = (footer.chunks.len(), sums.len());
        return Err(Error::corrupt(path, format!("its footer has {sums} sums for {chunks} chunks")));
    }
    footer.chunks.iter_mut().zip(sums).for_each(|(chunk, sum)| chunk.sum = Some(sum));
    Ok(footer)
}

fn read(file: &dyn File, path: &Path, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
    fs::read_exact_at(file, buffer, offset).map_err(|source| match source.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Error::corrupt(path, format!("it ends before byte {}", offset + buffer.len() as u64))
        }
        _ => Error::Io { action: "read", path: path.to_owned(), source },
    })
}
