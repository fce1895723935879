//! A row that has no hash.

use std::fmt;

/// A row, or a value in it, that the service may not read as it is meant: it would store null, or refuse the whole blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// The row's place among those that were summed, from 0.
    pub(crate) row: u64,
    /// The column and its type, if it is a value.
    pub(crate) column: Option<(String, &'static str)>,
    /// The beginning of the value or of the row.
    pub(crate) found: String,
    /// What is wrong.
    pub(crate) why: String,
}

/// How many characters of a value are shown.
const SHOWN: usize = 40;

impl Misfit {
    #[cold]
    pub(super) fn of_row(row: u64, found: &[u8], why: impl Into<String>) -> Misfit {
        Misfit { row, column: None, found: shown(found), why: why.into() }
    }

    #[cold]
    pub(super) fn of_value(row: u64, column: (&str, &'static str), found: &[u8], why: &str) -> Misfit {
        let (name, kind) = column;
        Misfit { row, column: Some((name.to_owned(), kind)), found: shown(found), why: why.to_owned() }
    }
}

/// The beginning, quoted.
fn shown(found: &[u8]) -> String {
    let start = String::from_utf8_lossy(&found[..found.len().min(4 * SHOWN)]);
    let short: String = start.chars().take(SHOWN).collect();
    match short.len() < found.len() {
        true => format!("{short:?}.. ({} bytes)", found.len()),
        false => format!("{short:?}"),
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Misfit { row, column, found, why } = self;
        match column {
            Some((name, kind)) => write!(
                f,
                "column {name:?} of row {row} has {found}, which the service may not store as the {kind} that is meant: \
                 {why}; correct the value, or leave the column out of the hash"
            ),
            None => write!(f, "row {row}, {found}, has no hash: {why}"),
        }
    }
}

impl std::error::Error for Misfit {}
