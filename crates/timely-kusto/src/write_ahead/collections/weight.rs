//! What the changes of open epochs take in memory: an estimate, since a record's own allocations cannot be asked for.
//!
//! A change counts as its place in the list, and as many bytes beside it as records have on average in a compact binary form
//! (bincode 1.3: a text is its bytes and eight more). One record in 64 is looked at. Numbers count twice by that, which stands
//! for what an allocator takes around a text. What it leaves out: room that a record's texts and lists have and do not use, and
//! whatever it shares by pointers.

use serde::Serialize;

/// Of so many records one is looked at; the first is.
const ONE_IN: u64 = 64;

/// The average of a stream of records.
#[derive(Debug, Default)]
pub(super) struct Weight {
    records: u64,
    sampled: u64,
    bytes: u64,
}

impl Weight {
    /// Takes a record into account, now and then.
    pub(super) fn see(&mut self, record: &impl Serialize) {
        if self.records.is_multiple_of(ONE_IN) {
            self.sampled += 1;
            // A type that cannot be written so has no size to add.
            self.bytes += bincode::serialized_size(record).unwrap_or(0);
        }
        self.records += 1;
    }

    /// Bytes of this list, whose items hold such records.
    pub(super) fn of<I>(&self, items: &Vec<I>) -> usize {
        let each = usize::try_from(self.bytes / self.sampled.max(1)).unwrap_or(usize::MAX);
        let places = items.capacity().saturating_mul(size_of::<I>());
        places.saturating_add(items.len().saturating_mul(each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_records_are_counted_beside_their_places() {
        let mut weight = Weight::default();
        let items: Vec<(String, isize)> =
            (0..1000).map(|n| (format!("{n:0>200}"), 1)).inspect(|(text, _)| weight.see(text)).collect();
        let (places, texts) = (items.capacity() * size_of::<(String, isize)>(), 1000 * 208);
        assert_eq!(weight.of(&items), places + texts);
        assert_eq!(weight.of(&Vec::<String>::new()), 0);
    }
}
