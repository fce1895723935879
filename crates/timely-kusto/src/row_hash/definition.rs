//! Which columns make the hash, and how that is kept.

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::Kind;

/// Columns whose texts make the hash of a row, in the order in which they are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowHash {
    columns: Vec<(String, Kind)>,
    left_out: Vec<(String, String)>,
}

/// Columns that make no hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unhashable {
    /// The table does not have it.
    #[error("the table has no column {name:?} to hash; it has {known}")]
    NoSuchColumn {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Values of its type have no text that two programs would write alike.
    #[error(
        "column {name:?} is of type {kind}, which a row's hash cannot hold: the service may write such a value in many \
         ways; leave the column out"
    )]
    NoText {
        /// The column.
        name: String,
        /// Its type.
        kind: String,
    },
    /// It is named more than once.
    #[error("column {0:?} is named twice in the columns to hash: name it once")]
    Twice(String),
    /// `*` and names.
    #[error(
        "the columns to hash are either * alone, for all of them, or names: leave out the one or the other"
    )]
    StarAmongNames,
    /// There is none.
    #[error("there is no column to hash: name one of a type other than dynamic")]
    Nothing,
}

/// A kept definition that this version cannot use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DefinitionError {
    /// A newer program wrote it.
    #[error(
        "rows were hashed by a newer definition (version {0}; this program knows version {VERSION}): use the newer program"
    )]
    Newer(u64),
    /// It is none.
    #[error("this is no definition of a row's hash: {0}")]
    Garbled(String),
}

/// The version of the text forms. It changes with any of them.
const VERSION: u64 = 1;

/// A definition as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u64,
    columns: Vec<(String, String)>,
}

/// As much of any version as tells which it is.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

impl RowHash {
    /// The hash over columns of a table with columns `table` (name, type): those that `wanted` names, in its order, or, if
    /// that is `*` alone, every column whose type has a text, in the table's order.
    ///
    /// # Errors
    /// When a column is not there, has no text, or is named twice, and when there is nothing to hash.
    pub(crate) fn over(wanted: &[String], table: &[(String, String)]) -> Result<RowHash, Unhashable> {
        let (columns, left_out) = match wanted {
            [star] if star == "*" => all(table),
            wanted if wanted.iter().any(|name| name == "*") => return Err(Unhashable::StarAmongNames),
            wanted => (named(wanted, table)?, Vec::new()),
        };
        if columns.is_empty() {
            return Err(Unhashable::Nothing);
        }
        Ok(RowHash { columns, left_out })
    }

    /// The columns, in order.
    pub(crate) fn columns(&self) -> &[(String, Kind)] {
        &self.columns
    }

    /// Columns (name, type) that `*` left out, since their values have no text.
    pub(crate) fn left_out(&self) -> &[(String, String)] {
        &self.left_out
    }

    /// The types in use, each once.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        let used = |kind: &Kind| self.columns.iter().any(|(_, known)| known == kind);
        Kind::ALL.into_iter().filter(used)
    }

    /// The definition in one line, to be kept beside sums. What was left out is not part of it.
    pub(crate) fn text(&self) -> String {
        let columns = self.columns.iter().map(|(name, kind)| (name.clone(), kind.name().to_owned()));
        let kept = Kept { version: VERSION, columns: columns.collect() };
        serde_json::to_string(&kept).expect("numbers and texts are JSON")
    }

    /// Reads what [`text`](Self::text) wrote.
    ///
    /// # Errors
    /// When another version wrote it, or it is none.
    pub(crate) fn parse(text: &str) -> Result<RowHash, DefinitionError> {
        let garbled = |error: serde_json::Error| DefinitionError::Garbled(error.to_string());
        let Versioned { version } = serde_json::from_str(text).map_err(garbled)?;
        if version > VERSION {
            return Err(DefinitionError::Newer(version));
        }
        let kept: Kept = serde_json::from_str(text).map_err(garbled)?;
        let names: Vec<String> = kept.columns.iter().map(|(name, _)| name.clone()).collect();
        RowHash::over(&names, &kept.columns).map_err(|error| DefinitionError::Garbled(error.to_string()))
    }

    /// A short name of the definition: the first 64 bits of the MD5 of its text.
    pub(crate) fn id(&self) -> u64 {
        let digest: [u8; 16] = Md5::digest(self.text()).into();
        (u128::from_be_bytes(digest) >> 64) as u64
    }
}

type Columns = Vec<(String, Kind)>;

/// Columns with a text, and the others.
fn all(table: &[(String, String)]) -> (Columns, Vec<(String, String)>) {
    let (mut columns, mut left_out) = (Vec::new(), Vec::new());
    for (name, type_name) in table {
        match Kind::from_name(type_name) {
            Some(kind) => columns.push((name.clone(), kind)),
            None => left_out.push((name.clone(), type_name.clone())),
        }
    }
    (columns, left_out)
}

fn named(wanted: &[String], table: &[(String, String)]) -> Result<Columns, Unhashable> {
    let mut columns: Columns = Vec::with_capacity(wanted.len());
    for name in wanted {
        let Some((_, type_name)) = table.iter().find(|(known, _)| known == name) else {
            let known: Vec<&str> = table.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Unhashable::NoSuchColumn { name: name.clone(), known: known.join(", ") });
        };
        if columns.iter().any(|(known, _)| known == name) {
            return Err(Unhashable::Twice(name.clone()));
        }
        let kind = Kind::from_name(type_name)
            .ok_or_else(|| Unhashable::NoText { name: name.clone(), kind: type_name.clone() })?;
        columns.push((name.clone(), kind));
    }
    Ok(columns)
}
