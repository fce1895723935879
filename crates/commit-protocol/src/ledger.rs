//! What `kt_epochs` says: claim, newest start, head, and which rows are void.
//!
//! ```text
//!  start 3: head = 7 ──▶ 7 (of start 2)      the head that the newest start names …
//!                        │
//!                        ├─▶ 8 (of start 3) ─▶ 9 (of start 3)    … followed by intents of that start
//!                        └─▶ 8 (of start 2)                      void for ever, however late it lands
//! ```
//!
//! No decision looks at the order of rows: they go by generation and seq (invariants 10 and 19).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::{Lineage, StartId};
use crate::rows::{
    Claim, Intent, IntentId, RawRow, Resolution, Row, RowError, RowKey, RowKind, Start, read_rows,
};
use crate::rules::{Rule, Rules};

/// Rows of one lineage, verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    rows: Vec<Row>,
}

/// What contradicts itself in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(test, derive(Hash))]
pub enum LedgerError {
    /// A row is damaged.
    #[error(transparent)]
    Row(#[from] RowError),
    /// Two starts of one generation, which the rename makes impossible.
    #[error("starts {one} and {other} share a generation: the staging table was renamed by hand")]
    TwoStarts {
        /// One of them.
        one: StartId,
        /// The other.
        other: StartId,
    },
    /// There are rows of a newer start than the one that holds the staging table.
    #[error(
        "kt_epochs has rows of start {newest}, newer than {own} which holds the staging table: somebody dropped the table \
         and made it anew. Rename it to kt_stage_<lineage>_<generation>_<nonce> with the generation of {newest}"
    )]
    NewerStart {
        /// Who holds the table.
        own: StartId,
        /// Who has the newest claim.
        newest: StartId,
    },
    /// An intent does not follow its predecessor.
    #[error("{id} does not follow {parent:?}: rows of kt_epochs were deleted or cut")]
    Gap {
        /// The intent.
        id: IntentId,
        /// What it should follow.
        parent: Option<IntentId>,
    },
}

/// The last intent of the valid chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// Nothing was ever committed.
    None,
    /// This one.
    Intent(Arc<Intent>),
    /// A start row names it and the read does not show it yet: read again.
    NotYetVisible(IntentId),
}

impl Ledger {
    /// Reads the rows of `lineage`.
    pub fn parse(lineage: Lineage, raw: &[RawRow]) -> Result<Ledger, RowError> {
        read_rows(lineage, raw).map(Ledger::of)
    }

    /// A ledger of rows that were verified before.
    pub fn of(rows: Vec<Row>) -> Ledger {
        Ledger { rows }
    }

    /// The rows that a read must return, chosen from all rows of a lineage: this function is the specification of the
    /// query. The newest claim, the start row of the highest generation, the intent it names, the two intents of that
    /// start with the highest seq, resolutions of the named intent and of the newest one: few, however long a
    /// generation ran.
    pub fn relevant(self) -> Ledger {
        let claim = self.newest_claim();
        let newest = self.starts().max_by_key(|start| start.by).cloned();
        let named = newest.as_ref().and_then(|start| start.head);
        let start = newest.map(|start| start.by);
        let mut seqs: Vec<_> =
            self.intents().filter(|it| Some(it.id.by) == start).map(|it| it.id.seq).collect();
        seqs.sort_unstable();
        seqs.dedup();
        let two = seqs.split_off(seqs.len().saturating_sub(2));
        let chain = |id: IntentId| Some(id) == named || Some(id.by) == start && two.contains(&id.seq);
        let wanted = |row: &Row| match row {
            Row::Claim(claim_row) => Some(claim_row.by) == claim,
            Row::Start(start_row) => Some(start_row.by) == start,
            Row::Intent(intent) => chain(intent.id),
            Row::Resolution(resolution) => chain(resolution.intent),
        };
        Ledger { rows: self.rows.into_iter().filter(wanted).collect() }
    }

    /// All rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether this very row is there. Another row under its key is an error.
    pub fn shows(&self, row: &Row) -> Result<bool, LedgerError> {
        let key = row.key();
        let mut same = self.rows.iter().filter(|one| one.key() == key);
        match same.clone().all(|one| one == row) {
            true => Ok(same.next().is_some()),
            false => Err(RowError::Conflict { key }.into()),
        }
    }

    fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.rows.iter().filter_map(|row| if let Row::Claim(claim) = row { Some(claim) } else { None })
    }

    fn newest_claim(&self) -> Option<StartId> {
        self.claims().map(|claim| claim.by).max()
    }

    /// A start that claimed or started with the generation of `own` or a later one, and is another.
    pub fn newer_than(&self, own: StartId) -> Option<StartId> {
        let all = self.claims().map(|claim| claim.by).chain(self.starts().map(|start| start.by));
        all.filter(|by| by.generation >= own.generation && *by != own).max()
    }

    fn starts(&self) -> impl Iterator<Item = &Start> {
        self.rows.iter().filter_map(|row| if let Row::Start(start) = row { Some(start) } else { None })
    }

    fn intents(&self) -> impl Iterator<Item = &Arc<Intent>> {
        self.rows.iter().filter_map(|row| if let Row::Intent(intent) = row { Some(intent) } else { None })
    }

    /// What a person decided about an intent.
    pub fn resolution(&self, intent: IntentId) -> Option<&Resolution> {
        self.rows.iter().find_map(|row| match row {
            Row::Resolution(resolution) if resolution.intent == intent => Some(resolution),
            _ => None,
        })
    }

    /// The start row that counts: that of the highest generation.
    pub fn newest_start(&self) -> Result<Option<&Start>, LedgerError> {
        let newest = self.starts().max_by_key(|start| start.by);
        let twin =
            |one: &Start| self.starts().find(|other| same_generation(one.by, other.by)).map(|other| other.by);
        match newest.map(|one| (one, twin(one))) {
            Some((one, Some(other))) => Err(LedgerError::TwoStarts { one: one.by, other }),
            Some((one, None)) => Ok(Some(one)),
            None => Ok(None),
        }
    }

    /// The head of the valid chain.
    pub fn head(&self) -> Result<Head, LedgerError> {
        self.head_by(Rules::ALL)
    }

    pub(crate) fn head_by(&self, rules: Rules) -> Result<Head, LedgerError> {
        #[cfg(any(test, feature = "testing"))]
        if !rules.on(Rule::StartRows) {
            return Ok(self.longest_chain());
        }
        let newest =
            if rules.on(Rule::StartByGeneration) { self.newest_start()? } else { self.starts().last() };
        let Some(start) = newest else { return Ok(Head::None) };
        match self.last_of(start)? {
            Some(last) => Ok(Head::Intent(last)),
            None => Ok(self.named(start.head)),
        }
    }

    /// The last intent of a start, checked to chain from the one before it, or from the head that the start names.
    fn last_of(&self, start: &Start) -> Result<Option<Arc<Intent>>, LedgerError> {
        let mut own: Vec<&Arc<Intent>> = self.intents().filter(|it| it.id.by == start.by).collect();
        own.sort_by_key(|it| it.id.seq);
        own.dedup();
        let mut own = own.into_iter().rev();
        let Some(last) = own.next() else { return Ok(None) };
        // Without one before it in the read, the last must be the first of its start.
        let before = own.next().map_or(start.head, |it| Some(it.id));
        match follows(last, before) {
            true => Ok(Some(Arc::clone(last))),
            false => Err(LedgerError::Gap { id: last.id, parent: before }),
        }
    }

    fn named(&self, id: Option<IntentId>) -> Head {
        let Some(id) = id else { return Head::None };
        match self.intents().find(|it| it.id == id) {
            Some(intent) => Head::Intent(Arc::clone(intent)),
            None => Head::NotYetVisible(id),
        }
    }

    /// What the head was without start rows: from the first intent on, the child of the highest generation.
    #[cfg(any(test, feature = "testing"))]
    fn longest_chain(&self) -> Head {
        let mut head: Option<&Arc<Intent>> = None;
        loop {
            let parent = head.map(|it| it.id);
            match self.intents().filter(|it| it.parent == parent).max_by_key(|it| it.id.by) {
                Some(next) => head = Some(next),
                None => return head.map_or(Head::None, |it| Head::Intent(Arc::clone(it))),
            }
        }
    }

    /// The intents of the valid chain as far as these rows show it, newest first, and the keys of intents that are void
    /// for ever. For audits, which read all rows.
    pub fn classify(&self) -> Result<(Vec<Arc<Intent>>, BTreeSet<RowKey>), LedgerError> {
        let mut valid = Vec::new();
        let mut next = match self.head()? {
            Head::Intent(head) => Some(head),
            _ => None,
        };
        while let Some(intent) = next {
            next = intent.parent.and_then(|id| self.intents().find(|it| it.id == id)).map(Arc::clone);
            valid.push(intent);
        }
        let counts = |key: &RowKey| valid.iter().any(|it| it.id.by == key.start && it.id.seq == key.seq);
        let intents = self.rows.iter().map(Row::key).filter(|key| key.kind == RowKind::Intent);
        let void = intents.filter(|key| !counts(key)).collect();
        Ok((valid, void))
    }
}

fn same_generation(one: StartId, other: StartId) -> bool {
    one.generation == other.generation && one.nonce != other.nonce
}

fn follows(intent: &Intent, parent: Option<IntentId>) -> bool {
    intent.parent == parent && intent.id.seq == parent.map_or(Default::default(), |id| id.seq).next()
}
