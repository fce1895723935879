//! Rows that are encoded already.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// A batch of rows in the sink's format, each ending with `\n`: what a file source makes of a block of lines, so that
/// rows cross a dataflow without being taken apart.
///
/// The bytes stand in one buffer and the ends of the rows beside them, so that a batch is two allocations however many
/// rows it has. A batch holds less than 4 GiB.
///
/// ```
/// use timely_kusto::EncodedRows;
///
/// let mut rows = EncodedRows::default();
/// rows.push_row(b"1,\"a,b\"");
/// rows.push_row(b"2,c\n");
/// assert_eq!(rows.len(), 2);
/// assert_eq!(rows.bytes(), b"1,\"a,b\"\n2,c\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct EncodedRows {
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl EncodedRows {
    /// An empty batch with room for `bytes` bytes in `rows` rows.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        EncodedRows { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(rows) }
    }

    /// Appends a row; its `\n` is added unless it is there.
    ///
    /// # Panics
    /// When the batch would reach 4 GiB.
    pub fn push_row(&mut self, row: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(row));
    }

    /// Appends the row that `write` appends to the buffer; its `\n` is added unless it is there.
    ///
    /// # Panics
    /// When the batch would reach 4 GiB.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        if self.bytes[start..].last() != Some(&b'\n') {
            self.bytes.push(b'\n');
        }
        self.ends.push(u32::try_from(self.bytes.len()).expect("a batch of rows stays below 4 GiB"));
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All rows, one after another.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The rows one by one, each with its `\n`.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start as usize..*end as usize])
    }

    /// Removes all rows and keeps the buffers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Reads a batch from another process, and refuses one whose ends do not fit its bytes.
impl<'de> Deserialize<'de> for EncodedRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "EncodedRows")]
        struct Parts {
            #[serde(with = "serde_bytes")]
            bytes: Vec<u8>,
            ends: Vec<u32>,
        }
        let Parts { bytes, ends } = Parts::deserialize(deserializer)?;
        let ascending = ends.is_sorted_by(|a, b| a < b) && ends.first() != Some(&0);
        if !ascending || ends.last().map_or(0, |end| *end as usize) != bytes.len() {
            return Err(D::Error::custom("the ends of the rows do not fit their bytes"));
        }
        Ok(EncodedRows { bytes, ends })
    }
}
