//! A cluster as a map from names to lists. Each command returns the rows of its answer, or none if it is refused.

use std::collections::{BTreeMap, BTreeSet};

pub(super) const NAMES: [&str; 4] = ["A", "B", "C", "D"];
pub(super) const TAGS: [&str; 4] = ["drop-by:0", "drop-by:1", "free", "other"];

pub(super) type Tags = BTreeSet<String>;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// May do everything.
    Admin,
    /// What its roles allow.
    App,
}

/// The application's role in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum App {
    #[default]
    Nobody,
    User,
    Viewer,
    Ingestor,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Extent {
    pub(super) rows: Vec<i64>,
    pub(super) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    pub(super) extents: Vec<Extent>,
    /// `MaximumNumberOfItems` of its own batching policy.
    pub(super) items: Option<u64>,
    /// `Admin`, `Ingestor`.
    pub(super) app_roles: BTreeSet<String>,
    /// Its creator is its admin.
    pub(super) created_by_admin: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) tables: BTreeMap<String, Table>,
    pub(super) app: App,
    /// As [`Table::items`], of the database.
    pub(super) items: Option<u64>,
}

impl Model {
    fn has(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    /// A table role holds only beside a role in the database.
    fn table_role_holds(&self, name: &str, role: &str) -> bool {
        self.app != App::Nobody && self.tables.get(name).is_some_and(|table| table.app_roles.contains(role))
    }

    fn administers(&self, caller: Caller, name: &str) -> bool {
        self.has(name) && (caller == Caller::Admin || self.table_role_holds(name, "Admin"))
    }

    fn looks(&self, caller: Caller) -> bool {
        caller == Caller::Admin || matches!(self.app, App::User | App::Viewer)
    }

    /// Metadata of a table are for those too who have a role on it.
    fn looks_at(&self, caller: Caller, name: &str) -> bool {
        let own = || self.table_role_holds(name, "Admin") || self.table_role_holds(name, "Ingestor");
        self.has(name) && (self.looks(caller) || own())
    }

    fn ingests(&self, caller: Caller, name: &str) -> bool {
        let role = || self.app == App::Ingestor || self.table_role_holds(name, "Ingestor");
        self.has(name) && (self.administers(caller, name) || role())
    }

    pub(super) fn create(&mut self, caller: Caller, name: &str) -> Option<usize> {
        if caller == Caller::App && self.app != App::User {
            return None;
        }
        let creator = if caller == Caller::App { [String::from("Admin")].into() } else { BTreeSet::new() };
        let created_by_admin = caller == Caller::Admin;
        let table = || Table { app_roles: creator, created_by_admin, ..Table::default() };
        self.tables.entry(name.to_owned()).or_insert_with(table);
        Some(1)
    }

    pub(super) fn drop(&mut self, caller: Caller, name: &str) -> Option<usize> {
        if !self.administers(caller, name) {
            return None;
        }
        self.tables.remove(name);
        Some(self.tables.len())
    }

    pub(super) fn rename(&mut self, caller: Caller, pairs: &[(&str, &str)]) -> Option<usize> {
        let leaves = |name: &str| pairs.iter().any(|(old, _)| *old == name);
        let allowed =
            pairs.iter().all(|(old, new)| self.administers(caller, old) && (!self.has(new) || leaves(new)));
        let twice = pairs.len() > 1 && pairs[0].0 == pairs[1].0;
        if !allowed || twice {
            return None;
        }
        let taken: Vec<_> =
            pairs.iter().map(|(old, new)| (*new, self.tables.remove(*old).unwrap())).collect();
        self.tables.extend(taken.into_iter().map(|(new, table)| (new.to_owned(), table)));
        Some(pairs.len())
    }

    /// `once`: only if no extent has the tag.
    pub(super) fn ingest(
        &mut self,
        caller: Caller,
        name: &str,
        tag: &str,
        values: &[i64],
        once: bool,
    ) -> Option<usize> {
        if !self.ingests(caller, name) {
            return None;
        }
        let table = self.tables.get_mut(name).unwrap();
        if once && table.extents.iter().any(|extent| extent.tags.contains(tag)) {
            return None;
        }
        table.extents.push(Extent { rows: values.to_vec(), tags: [tag.to_owned()].into() });
        Some(1)
    }

    pub(super) fn move_where(
        &mut self,
        caller: Caller,
        from: &str,
        to: &str,
        which: impl Fn(&Extent) -> bool,
    ) -> Option<usize> {
        if from == to || !self.administers(caller, from) || !self.administers(caller, to) {
            return None;
        }
        let moved: Vec<_> =
            self.tables.get_mut(from).unwrap().extents.extract_if(.., |extent| which(extent)).collect();
        let count = moved.len();
        self.tables.get_mut(to).unwrap().extents.extend(moved);
        Some(count)
    }

    fn tagged(&self, name: &str, tag: &str) -> usize {
        let extents = self.tables.get(name).map(|table| table.extents.iter()).into_iter().flatten();
        extents.filter(|extent| extent.tags.contains(tag)).count()
    }

    /// The listing is asked for first; where it is empty, only the destination counts.
    pub(super) fn move_tagged(&mut self, caller: Caller, from: &str, to: &str, tag: &str) -> Option<usize> {
        if !self.looks_at(caller, from) || !self.administers(caller, to) {
            return None;
        }
        if self.tagged(from, tag) == 0 {
            return Some(0);
        }
        self.move_where(caller, from, to, |extent| extent.tags.contains(tag))
    }

    pub(super) fn replace(&mut self, caller: Caller, from: &str, to: &str, tag: &str) -> Option<usize> {
        if !self.looks_at(caller, from) || !self.looks_at(caller, to) || !self.administers(caller, to) {
            return None;
        }
        let mut next = self.clone();
        let dropped = next.tagged(to, tag);
        next.tables.get_mut(to).unwrap().extents.retain(|extent| !extent.tags.contains(tag));
        let moved = match self.tagged(from, tag) {
            0 => 0,
            _ if from == to => return None,
            _ => next.move_where(caller, from, to, |extent| extent.tags.contains(tag))?,
        };
        *self = next;
        Some(dropped + moved)
    }

    pub(super) fn drop_extents(&mut self, caller: Caller, name: &str, tag: &str) -> Option<usize> {
        if !self.looks_at(caller, name) {
            return None;
        }
        let count = self.tagged(name, tag);
        // Extents whose table the command does not name need an admin of the database.
        if caller == Caller::App {
            return None;
        }
        self.tables.get_mut(name).unwrap().extents.retain(|extent| !extent.tags.contains(tag));
        Some(count)
    }

    /// Changes the tags of extents that have `tag`; each is a new one then, even if its tags are the same.
    pub(super) fn retag(
        &mut self,
        caller: Caller,
        name: &str,
        tag: &str,
        change: impl Fn(&Tags) -> Tags,
    ) -> Option<usize> {
        if !self.administers(caller, name) {
            return None;
        }
        let extents = self.tables.get_mut(name).unwrap().extents.iter_mut();
        let mut changed = 0;
        for extent in extents.filter(|extent| extent.tags.contains(tag)) {
            extent.tags = change(&extent.tags);
            changed += 1;
        }
        Some(changed)
    }

    pub(super) fn clear(&mut self, caller: Caller, name: &str) -> Option<usize> {
        if !self.administers(caller, name) {
            return None;
        }
        self.tables.get_mut(name).unwrap().extents.clear();
        Some(1)
    }

    /// Extents with equal sets of `drop-by:` tags become one; the other tags unite.
    pub(super) fn merge(&mut self, name: &str) {
        let Some(table) = self.tables.get_mut(name) else { return };
        let mut merged: BTreeMap<Vec<String>, Extent> = BTreeMap::new();
        for extent in table.extents.drain(..) {
            let key = extent.tags.iter().filter(|tag| tag.starts_with("drop-by:")).cloned().collect();
            let into = merged.entry(key).or_default();
            into.rows.extend(extent.rows);
            into.rows.sort_unstable();
            into.tags.extend(extent.tags);
        }
        table.extents.extend(merged.into_values());
    }

    pub(super) fn set_policy(&mut self, caller: Caller, name: &str, items: Option<u64>) -> Option<usize> {
        if !self.administers(caller, name) {
            return None;
        }
        self.tables.get_mut(name).unwrap().items = items;
        Some(1)
    }

    pub(super) fn set_database_policy(&mut self, caller: Caller, items: u64) -> Option<usize> {
        (caller == Caller::Admin).then(|| {
            self.items = Some(items);
            1
        })
    }

    pub(super) fn show_policy(&self, caller: Caller, name: &str) -> Option<usize> {
        self.looks_at(caller, name).then_some(1)
    }

    /// Answers with all roles on the table: the application's, and the admin's where that has created it.
    pub(super) fn table_role(&mut self, caller: Caller, name: &str, role: &str, on: bool) -> Option<usize> {
        if !self.administers(caller, name) || (on && self.app == App::Nobody) {
            return None;
        }
        let creator = usize::from(self.tables[name].created_by_admin);
        let roles = &mut self.tables.get_mut(name).unwrap().app_roles;
        let role = if role == "admins" { "Admin" } else { "Ingestor" };
        if on {
            roles.insert(role.to_owned());
        } else {
            roles.remove(role);
        }
        Some(roles.len() + creator)
    }
}
