//! Rows as they stand in the table: columns, parts, checksums.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Row, RowKey, RowKind};
use crate::ids::{Generation, Lineage, Seq, StartId};

/// The highest format number that this version reads. It writes the lowest that can say what a row says.
pub const FORMAT: u32 = 2;

/// The most bytes of content in one part. A string value of Kusto may have 1 MiB; half of it leaves room for escapes
/// in the text of a command (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/scalar-data-types/string.md`).
pub const PART_BYTES: usize = 512 * 1024;

/// One row of the table, column by column. Numbers are `None` where the service says null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawRow {
    /// 16 hex digits.
    pub lineage: String,
    /// The name of a [`RowKind`].
    pub kind: String,
    /// Of the start.
    pub generation: Option<i64>,
    /// Of the start.
    pub nonce: String,
    /// Of the intent, else 0.
    pub seq: Option<i64>,
    /// Number of this part.
    pub part: Option<i64>,
    /// Number of parts.
    pub parts: Option<i64>,
    /// This part of the content.
    pub body: String,
    /// Over the whole content.
    pub digest: String,
    /// Over all other columns.
    pub check: String,
}

/// What is wrong with rows that were read. Each is an error and none is a position: nothing is skipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(test, derive(Hash))]
pub enum RowError {
    /// A column is null, empty or out of range.
    #[error(
        "a row of kt_epochs has no usable value in column {column} ({found:?}): it was truncated or changed by hand"
    )]
    Value {
        /// The column.
        column: &'static str,
        /// What it holds.
        found: String,
    },
    /// The checksum does not fit the columns.
    #[error("the {key} fails its checksum (part {part}): it was truncated or changed by hand")]
    Check {
        /// Which row.
        key: RowKey,
        /// Which part of it.
        part: u32,
    },
    /// The row belongs to somebody else.
    #[error(
        "kt_epochs was read for lineage {expected} and returned a row of {found}: the query has no filter"
    )]
    Lineage {
        /// Whose rows were asked for.
        expected: Lineage,
        /// Whose row came.
        found: Lineage,
    },
    /// A part of a row is not there, although all parts are appended by one command.
    #[error("the {key} has {found} of {parts} parts: the result was cut, or rows were deleted by hand")]
    Parts {
        /// Which row.
        key: RowKey,
        /// How many parts are there.
        found: usize,
        /// How many there should be.
        parts: u32,
    },
    /// Two different rows have one key.
    #[error("there are two different rows as {key}: two programs write under one name")]
    Conflict {
        /// Which key.
        key: RowKey,
    },
    /// A newer version wrote the row.
    #[error("the {key} has format {found}, this version reads up to {FORMAT}: start the newer version")]
    Newer {
        /// Which row.
        key: RowKey,
        /// Its format.
        found: u32,
    },
    /// The checksums hold and still the content cannot be read.
    #[error("the {key} cannot be read: {why}")]
    Content {
        /// Which row.
        key: RowKey,
        /// The parser's words.
        why: String,
    },
}

fn hex_sum<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut sum = Sha256::new();
    for text in texts {
        sum.update(text);
    }
    sum.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl RawRow {
    /// The checksum over all columns but `Check`.
    fn checksum(&self) -> String {
        let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
        let numbers = [self.generation, self.seq, self.part, self.parts].map(number);
        let [generation, seq, part, parts] = &numbers;
        let columns =
            [&self.lineage, &self.kind, generation, &self.nonce, seq, part, parts, &self.body, &self.digest];
        hex_sum(columns.iter().flat_map(|text| [text.as_bytes(), &[0u8][..]]))
    }

    fn key(&self) -> Result<RowKey, RowError> {
        let value = |column, found: &str| RowError::Value { column, found: found.to_owned() };
        let kinds = [RowKind::Claim, RowKind::Start, RowKind::Intent, RowKind::Resolution];
        let kind = kinds
            .into_iter()
            .find(|kind| kind.name() == self.kind)
            .ok_or_else(|| value("Kind", &self.kind))?;
        let generation = Generation(unsigned("Generation", self.generation)?);
        let nonce = self.nonce.parse().map_err(|_| value("Nonce", &self.nonce))?;
        Ok(RowKey { kind, start: StartId { generation, nonce }, seq: Seq(unsigned("Seq", self.seq)?) })
    }
}

fn unsigned<N: TryFrom<i64>>(column: &'static str, value: Option<i64>) -> Result<N, RowError> {
    let found = || value.map_or("null".to_owned(), |n| n.to_string());
    value.and_then(|n| N::try_from(n).ok()).ok_or_else(|| RowError::Value { column, found: found() })
}

/// The content of a row: its format number, then its fields.
#[derive(Serialize, Deserialize)]
struct Content<B> {
    v: u32,
    row: B,
}

/// Reads just the format number, whatever else a newer version wrote.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// Sums over rows came with format 2.
fn format(row: &Row) -> u32 {
    let has_sums = match row {
        Row::Start(row) => row.sums_over.is_some(),
        Row::Intent(row) => row.chunks.iter().any(|chunk| chunk.sum.is_some()),
        Row::Claim(_) | Row::Resolution(_) => false,
    };
    if has_sums { 2 } else { 1 }
}

fn content(row: &Row) -> String {
    let v = format(row);
    let text = match row {
        Row::Claim(row) => serde_json::to_string(&Content { v, row }),
        Row::Start(row) => serde_json::to_string(&Content { v, row }),
        Row::Intent(row) => serde_json::to_string(&Content { v, row: row.as_ref() }),
        Row::Resolution(row) => serde_json::to_string(&Content { v, row }),
    };
    text.expect("rows are plain structs with text keys, which JSON can always hold")
}

/// Writes a row as the table rows that one append brings in. Deterministic.
pub(crate) fn write_row(lineage: Lineage, row: &Row) -> Vec<RawRow> {
    write_in_parts(lineage, row, PART_BYTES)
}

pub(crate) fn write_in_parts(lineage: Lineage, row: &Row, most: usize) -> Vec<RawRow> {
    let (key, content) = (row.key(), content(row));
    let digest = hex_sum([content.as_bytes()]);
    let bodies = cut(&content, most);
    let long = |n: u64| Some(i64::try_from(n).unwrap_or(i64::MAX));
    let part = |(part, body): (usize, &str)| {
        let mut raw = RawRow {
            lineage: lineage.to_string(),
            kind: key.kind.name().to_owned(),
            generation: long(key.start.generation.0),
            nonce: key.start.nonce.to_string(),
            seq: long(key.seq.0),
            part: long(part as u64),
            parts: long(bodies.len() as u64),
            body: body.to_owned(),
            digest: digest.clone(),
            check: String::new(),
        };
        raw.check = raw.checksum();
        raw
    };
    bodies.iter().copied().enumerate().map(part).collect()
}

/// Cuts at character bounds into pieces of at most `most` bytes (or one character, if that is longer).
fn cut(mut text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while text.len() > most {
        let ends = text.char_indices().map(|(at, one)| at + one.len_utf8());
        let end = ends.take_while(|end| *end <= most).last();
        let (piece, rest) = text.split_at(end.unwrap_or(text.chars().next().map_or(1, char::len_utf8)));
        pieces.push(piece);
        text = rest;
    }
    if !text.is_empty() || pieces.is_empty() {
        pieces.push(text);
    }
    pieces
}

/// The parts of one row, as far as they were seen.
struct Parts<'a> {
    count: u32,
    digest: &'a str,
    bodies: BTreeMap<u32, &'a str>,
}

/// Reads rows of `lineage`: verifies checksums, joins parts, counts equal rows once. The order of the input, and how
/// often an equal row comes, change nothing.
pub fn read_rows(lineage: Lineage, raw: &[RawRow]) -> Result<Vec<Row>, RowError> {
    let mut rows: BTreeMap<RowKey, Parts<'_>> = BTreeMap::new();
    for one in raw {
        let (key, part, count) = verify(lineage, one)?;
        let fresh = Parts { count, digest: &one.digest, bodies: BTreeMap::new() };
        let known = rows.entry(key).or_insert(fresh);
        let body = *known.bodies.entry(part).or_insert(&one.body);
        if known.count != count || known.digest != one.digest || body != one.body {
            return Err(RowError::Conflict { key });
        }
    }
    rows.into_iter().map(|(key, parts)| join(key, &parts)).collect()
}

fn verify(lineage: Lineage, raw: &RawRow) -> Result<(RowKey, u32, u32), RowError> {
    let found =
        raw.lineage.parse().map_err(|_| RowError::Value { column: "Lineage", found: raw.lineage.clone() })?;
    if found != lineage {
        return Err(RowError::Lineage { expected: lineage, found });
    }
    let key = raw.key()?;
    let (part, parts): (u32, u32) = (unsigned("Part", raw.part)?, unsigned("Parts", raw.parts)?);
    if part >= parts {
        return Err(RowError::Value { column: "Part", found: format!("{part} of {parts}") });
    }
    if raw.checksum() == raw.check { Ok((key, part, parts)) } else { Err(RowError::Check { key, part }) }
}

fn join(key: RowKey, parts: &Parts<'_>) -> Result<Row, RowError> {
    if parts.bodies.len() != parts.count as usize {
        return Err(RowError::Parts { key, found: parts.bodies.len(), parts: parts.count });
    }
    let content: String = parts.bodies.values().copied().collect();
    if hex_sum([content.as_bytes()]) != parts.digest {
        return Err(RowError::Content { key, why: "the digest does not fit the joined parts".to_owned() });
    }
    let row = parse(key, &content)?;
    if row.key() == key {
        Ok(row)
    } else {
        Err(RowError::Content { key, why: format!("the content is that of the {}", row.key()) })
    }
}

fn parse(key: RowKey, content: &str) -> Result<Row, RowError> {
    let version: Version = json(key, content)?;
    if version.v > FORMAT {
        return Err(RowError::Newer { key, found: version.v });
    }
    Ok(match key.kind {
        RowKind::Claim => Row::Claim(json::<Content<_>>(key, content)?.row),
        RowKind::Start => Row::Start(json::<Content<_>>(key, content)?.row),
        RowKind::Intent => Row::Intent(Arc::new(json::<Content<_>>(key, content)?.row)),
        RowKind::Resolution => Row::Resolution(json::<Content<_>>(key, content)?.row),
    })
}

fn json<T: DeserializeOwned>(key: RowKey, content: &str) -> Result<T, RowError> {
    serde_json::from_str(content).map_err(|why| RowError::Content { key, why: why.to_string() })
}
