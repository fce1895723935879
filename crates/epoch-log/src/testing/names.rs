//! Directories of the simulated disk: names as programs see them, and as a power cut would leave them.

use std::collections::BTreeMap;

use super::chance::Chance;
use super::disk::Survival;

/// A file or directory, by number.
pub(super) type Inode = u64;

#[derive(Clone, Debug)]
enum Change {
    Link(String, Inode),
    Unlink(String),
    Rename(String, String, Inode),
}

/// The names of one directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    seen: BTreeMap<String, Inode>,
    durable: BTreeMap<String, Inode>,
    unsynced: Vec<Change>,
}

impl Names {
    pub(super) fn seen(&self) -> &BTreeMap<String, Inode> {
        &self.seen
    }

    pub(super) fn link(&mut self, name: &str, inode: Inode) {
        self.change(Change::Link(name.to_owned(), inode));
    }

    pub(super) fn unlink(&mut self, name: &str) {
        self.change(Change::Unlink(name.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, inode: Inode) {
        self.change(Change::Rename(from.to_owned(), to.to_owned(), inode));
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    /// A sync that failed: what was unsynced never gets durable.
    pub(super) fn lose_unsynced(&mut self) {
        self.unsynced.clear();
    }

    /// The power fails: any subset of the changes happened.
    pub(super) fn cut(&mut self, survival: Survival, chance: &mut Chance) {
        for change in self.unsynced.drain(..) {
            if survival.decide(chance) {
                apply(&mut self.durable, &change);
            }
        }
        self.seen = self.durable.clone();
    }
}

fn apply(names: &mut BTreeMap<String, Inode>, change: &Change) {
    match change {
        Change::Link(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        Change::Unlink(name) => {
            names.remove(name);
        }
        Change::Rename(from, to, inode) => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
    }
}
