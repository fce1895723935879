//! The sum over encoded rows.

use md5::{Digest, Md5};

use super::csv::Records;
use super::json::Objects;
use super::value::{self, Given};
use super::{Kind, Misfit, RowHash};
use crate::options::Format;

/// Sums the numbers of encoded rows. Its buffers grow to the longest row; it allocates nothing per row.
#[derive(Clone, Debug)]
pub(crate) struct Summer {
    reader: Reader,
    hasher: Hasher,
}

#[derive(Clone, Debug)]
enum Reader {
    Csv(Records),
    Json(Objects),
}

/// The columns, and the text of a row.
#[derive(Clone, Debug)]
pub(super) struct Hasher {
    columns: Vec<(String, Kind)>,
    text: Vec<u8>,
}

impl RowHash {
    /// Sums rows in `format`. In CSV, `fields` are the columns of the fields, in order. JSON goes by name; where `fields` are
    /// named, as they are to the service in the mapping, others are not read, since they do not come into the table. A column
    /// of the hash that a row does not have is null, as it will be in the table.
    pub(crate) fn summer(&self, format: Format, fields: &[String]) -> Summer {
        let columns = self.columns().to_vec();
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let reader = match format {
            Format::Csv => Reader::Csv(Records::new(&names, fields)),
            Format::Json => Reader::Json(Objects::new(&names, fields)),
        };
        Summer { reader, hasher: Hasher { columns, text: Vec::new() } }
    }
}

impl Summer {
    /// The sum over whole rows, 32 bits each.
    ///
    /// # Errors
    /// At the first row that the service may not store as it is meant.
    pub(crate) fn sum(&mut self, rows: &[u8]) -> Result<u64, Misfit> {
        match &mut self.reader {
            Reader::Csv(records) => records.sum(rows, &mut self.hasher),
            Reader::Json(objects) => objects.sum(rows, &mut self.hasher),
        }
    }
}

impl Hasher {
    /// The number of a row whose column at each place `given` tells.
    #[inline]
    pub(super) fn number<'a>(
        &mut self,
        row: u64,
        mut given: impl FnMut(usize) -> Given<'a>,
    ) -> Result<u64, Misfit> {
        self.text.clear();
        for (at, (name, kind)) in self.columns.iter().enumerate() {
            let given = given(at);
            value::write(*kind, given, &mut self.text).map_err(|why| {
                let found = match given {
                    Given::Null => &b""[..],
                    Given::Text(found) | Given::Bare(found) | Given::Nested(found) => found,
                };
                Misfit::of_value(row, (name, kind.name()), found, why)
            })?;
        }
        Ok(number(&self.text))
    }
}

/// The first 32 bits of the MD5 of a text.
pub(super) fn number(text: &[u8]) -> u64 {
    let digest: [u8; 16] = Md5::digest(text).into();
    u64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}
