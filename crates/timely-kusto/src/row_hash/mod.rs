//! A hash of a row that the service and this process compute alike, so that an audit sees what is in rows, and not only
//! how many there are.
//!
//! ```text
//! columns ─► RowHash ─┬─► functions() + expression() ─► T | summarize sum(..)  ──┐
//!                     ├─► summer(..).sum(encoded rows) ──────────────────────────┴─► equal?
//!                     └─► probe() ─► does the cluster write each type as expected?
//! ```
//! Each value has one text ([`Kind`]), made of what the service documents wherever that is possible; the texts of a row,
//! in the order of the columns, are hashed with MD5; the first 32 bits of it are the row's number, and numbers of rows
//! are added up. `docs/row-hash.md` tells it to users.
//!
//! 1. Texts of rows are the same only if their values are: each text ends with a comma, which stands in no text but those
//!    of strings, and those begin with their length.
//! 2. What the service may read otherwise than it is meant is a [`Misfit`], never a guess: it would be stored as null.
//! 3. A sum over rows allocates nothing per row.
//! 4. A definition is kept as text with a version ([`RowHash::text`]); another version is refused, never misread.

mod csv;
mod decimal;
mod definition;
mod json;
mod kind;
mod kql;
mod misfit;
mod probe;
mod real;
mod summer;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use definition::RowHash;
pub(crate) use kind::Kind;
pub(crate) use misfit::Misfit;
pub(crate) use probe::{Deviation, Trial};
