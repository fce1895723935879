//! One record per key: what is known of each, and what an epoch's changes come to.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};

use super::super::WriteAheadError;
use super::super::error::shown;
use crate::SinkError;

/// The keys that are present, as far as this run has seen, each with a hash of its record. Two records of a key whose
/// hashes are equal by chance, one in 2^64, pass for the same: a wrong retraction passes, or a change makes no row.
pub(super) struct Keys<K> {
    table: String,
    present: HashMap<K, u64>,
    hashes: RandomState,
}

/// A key on its way through an epoch.
struct Path<D> {
    /// Whether it was there before: unknown until its first change says so.
    before: Option<Option<u64>>,
    now: Option<u64>,
    /// The record that it has, or had last.
    last: Option<D>,
}

impl<K: Clone + Debug + Eq + Hash> Keys<K> {
    pub(super) fn new(table: String) -> Self {
        Keys { table, present: HashMap::new(), hashes: RandomState::new() }
    }

    /// The keys that have another record after these changes, which are consolidated and in order, with the record, and whether it
    /// is gone.
    ///
    /// # Errors
    /// When a key had two records at a time, or lost one that it did not have.
    pub(super) fn fold<T, D>(&mut self, changes: Vec<((K, T, D), isize)>) -> Result<Vec<(D, bool)>, SinkError>
    where
        T: Eq + Debug,
        D: Clone + Debug + Hash,
    {
        let mut rows = Vec::new();
        for of_key in changes.chunk_by(|((one, _, _), _), ((other, _, _), _)| one == other) {
            let ((key, _, _), _) = &of_key[0];
            let held = self.present.get(key).copied();
            let mut path = Path { before: held.map(Some), now: held, last: None };
            for at_time in of_key.chunk_by(|((_, one, _), _), ((_, other, _), _)| one == other) {
                self.step(&mut path, at_time)?;
            }
            match path.now {
                Some(hash) => self.present.insert(key.clone(), hash),
                None => self.present.remove(key),
            };
            let changed = path.before.flatten() != path.now;
            rows.extend(path.last.filter(|_| changed).map(|record| (record, path.now.is_none())));
        }
        Ok(rows)
    }

    /// What changes at one time.
    fn step<T: Debug, D: Clone + Debug + Hash>(
        &self,
        path: &mut Path<D>,
        changes: &[((K, T, D), isize)],
    ) -> Result<(), SinkError> {
        let one = |wanted: isize| {
            let mut found = changes.iter().filter(move |(_, n)| n.signum() == wanted.signum());
            let first = found.next();
            let alone = found.next().is_none() && first.is_none_or(|(_, n)| *n == wanted);
            (first.map(|((_, _, record), _)| record), alone)
        };
        let ((came, came_alone), (gone, gone_alone)) = (one(1), one(-1));
        if !came_alone || !gone_alone {
            return Err(self.conflict(changes, "at each time a key has one record or none"));
        }
        let lost = gone.map(|record| self.hashes.hash_one(record));
        match (path.now, lost) {
            (Some(now), Some(lost)) if now != lost => {
                return Err(self.conflict(changes, "the record that it loses is not the one that it has"));
            }
            (Some(_), None) => {
                return Err(self.conflict(changes, "it has a record already, and does not lose it"));
            }
            (None, Some(_)) if path.before.is_some() => {
                return Err(self.conflict(changes, "it loses a record and has none"));
            }
            _ => {}
        }
        path.before.get_or_insert(lost);
        path.now = came.map(|record| self.hashes.hash_one(record));
        path.last = came.or(gone).cloned();
        Ok(())
    }

    #[cold]
    fn conflict<T: Debug, D: Debug>(&self, changes: &[((K, T, D), isize)], why: &'static str) -> SinkError {
        let ((key, time, _), _) = &changes[0];
        let of_record = |((_, _, record), n): &((K, T, D), isize)| format!("{n:+} {}", shown(record));
        let some: Vec<String> = changes.iter().take(3).map(of_record).collect();
        let more = if changes.len() > some.len() { ", .." } else { "" };
        WriteAheadError::Conflict {
            table: self.table.clone(),
            key: shown(key),
            time: shown(time),
            why,
            changes: format!("{}{more}", some.join(", ")),
        }
        .into()
    }
}
