//! Numbers rows by their keys: rows with equal keys get the same group, groups are numbered as they come.

use super::compare::{fold_hashes, same};
use crate::data::{ColumnBuilder, ColumnData, ColumnType};
use std::sync::Arc;

/// The group of keys that are in none.
const NONE: u32 = u32::MAX;
/// A slot without a group.
const EMPTY: u64 = u64::MAX;

/// A slot: the upper half of the hash, so that most probes end without a look at the keys, and the group.
fn slot(hash: u64, group: u32) -> u64 {
    hash >> 32 << 32 | u64::from(group)
}

/// The groups found so far: an open hash table over columns of keys.
#[derive(Debug)]
pub(super) struct Groups {
    keys: Vec<ColumnBuilder>,
    hashes: Vec<u64>,
    slots: Vec<u64>,
}

impl Groups {
    pub(super) fn new(types: impl Iterator<Item = ColumnType>) -> Groups {
        Groups { keys: types.map(ColumnBuilder::new).collect(), hashes: Vec::new(), slots: vec![EMPTY; 64] }
    }

    /// The number of groups.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Bytes of memory in use, near enough.
    pub(super) fn bytes(&self) -> usize {
        self.keys.iter().map(ColumnBuilder::bytes).sum::<usize>()
            + self.hashes.len() * 8
            + self.slots.len() * 8
    }

    /// Writes the group of each of `rows` rows to `groups`; new keys become new groups.
    pub(super) fn assign(&mut self, keys: &[Arc<ColumnData>], rows: usize, groups: &mut Vec<u32>) {
        let mut hashes = vec![0; rows];
        keys.iter().for_each(|key| fold_hashes(key, &mut hashes));
        groups.clear();
        groups.extend(hashes.iter().enumerate().map(|(row, hash)| self.find_or_add(keys, row, *hash)));
    }

    /// The group of each of `rows` rows; [`u32::MAX`] for keys that are in none.
    pub(super) fn find(&self, keys: &[Arc<ColumnData>], rows: usize) -> Vec<u32> {
        let mut hashes = vec![0; rows];
        keys.iter().for_each(|key| fold_hashes(key, &mut hashes));
        let find = |(row, hash): (usize, &u64)| self.probe(keys, row, *hash).unwrap_or(NONE);
        hashes.iter().enumerate().map(find).collect()
    }

    /// The group of a row; else the free slot at which the search ended.
    fn probe(&self, keys: &[Arc<ColumnData>], row: usize, hash: u64) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at] != EMPTY {
            let group = self.slots[at] as u32;
            if self.slots[at] == slot(hash, group) && self.is(group as usize, keys, row) {
                return Ok(group);
            }
            at = (at + 1) & mask;
        }
        Err(at)
    }

    fn find_or_add(&mut self, keys: &[Arc<ColumnData>], row: usize, hash: u64) -> u32 {
        let at = match self.probe(keys, row, hash) {
            Ok(group) => return group,
            Err(at) => at,
        };
        let group = self.hashes.len() as u32;
        self.slots[at] = slot(hash, group);
        self.hashes.push(hash);
        self.keys.iter_mut().zip(keys).for_each(|(builder, key)| builder.push_from(key, row));
        if self.hashes.len() * 2 > self.slots.len() {
            self.grow();
        }
        group
    }

    fn is(&self, group: usize, keys: &[Arc<ColumnData>], row: usize) -> bool {
        self.keys.iter().zip(keys).all(|(builder, key)| same(builder.column(), group, key, row))
    }

    fn grow(&mut self) {
        let size = self.slots.len() * 4;
        self.slots = vec![EMPTY; size];
        for (group, hash) in self.hashes.iter().enumerate() {
            let mut at = *hash as usize & (size - 1);
            while self.slots[at] != EMPTY {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = slot(*hash, group as u32);
        }
    }

    /// One row per group: its keys.
    pub(super) fn into_columns(self) -> Vec<Arc<ColumnData>> {
        self.keys.into_iter().map(|builder| Arc::new(builder.finish())).collect()
    }
}
