//! Files of the simulated disk: bytes as programs see them, and as a power cut would leave them.

use std::ops::Range;

use super::chance::Chance;
use super::disk::Survival;

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// The bytes of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Bytes {
    seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Range<usize>>,
    reserved: u64,
}

impl Bytes {
    /// Bytes that are there for good.
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Bytes { seen: bytes.clone(), durable: bytes, ..Bytes::default() }
    }

    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// Bytes of the disk that it takes.
    pub(super) fn space(&self) -> u64 {
        (self.seen.len() as u64).max(self.reserved)
    }

    pub(super) fn reserve(&mut self, end: u64) {
        self.reserved = self.reserved.max(end);
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[offset..end].copy_from_slice(bytes);
        self.unsynced.push(offset..end);
    }

    pub(super) fn sync(&mut self) {
        for range in std::mem::take(&mut self.unsynced) {
            self.copy(range);
        }
        self.durable.resize(self.seen.len(), 0);
    }

    /// A sync that failed: the pages count as clean, though they are not on the disk.
    pub(super) fn lose_unsynced(&mut self) {
        self.unsynced.clear();
    }

    /// The power fails: any subset of the sectors written is there, and the length of the last of them.
    pub(super) fn cut(&mut self, survival: Survival, chance: &mut Chance) {
        for range in std::mem::take(&mut self.unsynced) {
            let mut start = range.start;
            while start < range.end {
                let end = range.end.min((start / SECTOR + 1) * SECTOR);
                if survival.decide(chance) {
                    self.copy(start..end);
                }
                start = end;
            }
        }
        self.seen = self.durable.clone();
        self.reserved = 0;
    }

    fn copy(&mut self, range: Range<usize>) {
        if self.durable.len() < range.end {
            self.durable.resize(range.end, 0);
        }
        self.durable[range.clone()].copy_from_slice(&self.seen[range]);
    }

    /// Damage: programs and power cuts see it alike.
    pub(super) fn damage(&mut self, change: impl Fn(&mut Vec<u8>)) {
        change(&mut self.seen);
        change(&mut self.durable);
        let length = self.seen.len();
        self.unsynced.retain(|range| range.end <= length);
    }
}
