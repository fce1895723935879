//! A look at everything that stands in the service, for people: in an order in which it makes sense while a pipeline runs.
//!
//! ```text
//! names ─► kt_epochs ─► S ─► T, by tags and by epochs ─► kt_epochs again
//! ```
//! An intent of the first read is in S, or in T, or in both looks while it is moved; what T holds and the first read does
//! not know, the second one does. Nothing is changed, and no start is held up.

use std::collections::BTreeSet;
use std::sync::Arc;

use commit_protocol::{
    Extent, Head, Intent, Ledger, LedgerError, Listing, RollForward, Row, StagingName, Standing, Stop, Tag,
    roll_forward, still_staged,
};

use super::WriteAheadError;
use super::service::{Asked, ByColumn, Desk, Tagged};

/// How often a look is begun anew because a start renamed the staging table meanwhile.
const LOOKS: usize = 5;

pub(super) struct Survey {
    /// The staging table, under the name that it had.
    pub(super) staging: StagingName,
    /// Extents of S.
    pub(super) staged: Vec<Extent>,
    /// Extents of T with tags of this lineage.
    pub(super) tagged: Vec<Tagged>,
    /// Rows of T by the epoch that they carry, if they do and it was asked for.
    pub(super) by_column: Option<ByColumn>,
    /// The ledger before S and T.
    pub(super) before: Ledger,
    /// The ledger after S and T.
    pub(super) after: Ledger,
    /// The last valid intent of `before`.
    pub(super) head: Option<Arc<Intent>>,
}

impl Survey {
    /// Looks; at what each row says of its epoch only where that is asked for, since it reads a column of all rows.
    pub(super) async fn take(desk: &Desk, pipeline: &str, by_epoch: bool) -> Result<Self, WriteAheadError> {
        for _ in 0..LOOKS {
            let staging = standing(desk, pipeline).await?;
            let before = ledger(desk).await?;
            let head = match before.head().map_err(Stop::from)? {
                Head::None => None,
                Head::Intent(intent) => Some(intent),
                Head::NotYetVisible(_) => continue,
            };
            let Listing::Extents(staged) = asked(desk.listing(staging).await)? else { continue };
            let tagged = asked(desk.tagged().await)?;
            let by_column = match by_epoch {
                true => asked(desk.by_epoch(&epochs(&before)).await)?,
                false => None,
            };
            let after = ledger(desk).await?;
            return Ok(Survey { staging, staged, tagged, by_column, before, after, head });
        }
        Err(WriteAheadError::NotNow)
    }

    /// All tags of this lineage in T.
    pub(super) fn tags_in_target(&self) -> BTreeSet<Tag> {
        self.tagged.iter().flat_map(|extent| extent.tags.iter().copied()).collect()
    }

    /// What the next start does about the head.
    pub(super) fn outlook(&self) -> Option<(Arc<Intent>, RollForward)> {
        let head = self.head.clone()?;
        let staged = still_staged(&head, &self.staged);
        let person = self.before.resolution(head.id).map(|resolution| &resolution.decision);
        let outlook = roll_forward(&head, &staged, &self.tags_in_target(), person);
        Some((head, outlook))
    }
}

/// All epochs with rows that any intent names, in order.
fn epochs(ledger: &Ledger) -> Vec<u64> {
    let intents =
        ledger.rows().iter().filter_map(|row| if let Row::Intent(it) = row { Some(it) } else { None });
    let epochs: BTreeSet<u64> =
        intents.flat_map(|it| it.rows_per_epoch.iter().map(|(epoch, _)| epoch.0)).collect();
    epochs.into_iter().collect()
}

/// The valid chain, oldest first, down to the very first intent.
pub(super) fn chain(ledger: &Ledger) -> Result<Vec<Arc<Intent>>, WriteAheadError> {
    let (mut valid, _) = ledger.classify().map_err(Stop::from)?;
    valid.reverse();
    match valid.first() {
        Some(first) if first.parent.is_some() => {
            let gap = LedgerError::Gap { id: first.id, parent: first.parent };
            Err(Stop::from(gap).into())
        }
        _ => Ok(valid),
    }
}

/// The staging table; an error says what is wrong with the tables of the lineage.
pub(super) async fn standing(desk: &Desk, pipeline: &str) -> Result<StagingName, WriteAheadError> {
    let names = asked(desk.names().await)?;
    let lineage = desk.lineage();
    match names.standing() {
        Standing::Held(name) => Ok(name),
        Standing::Unknown => {
            let why = format!(
                "the database knows no pipeline {pipeline} that writes to {}: it has not run yet, or its name, \
                 database or table was changed",
                desk.target()
            );
            Err(WriteAheadError::Refused { why })
        }
        Standing::StagingGone => Err(Stop::StagingGone { expected: format!("kt_stage_{lineage}_*") }.into()),
        Standing::AnchorGone => {
            let expected = commit_protocol::AnchorName(lineage).to_string();
            Err(Stop::AnchorGone { expected, staging: names.staging[0] }.into())
        }
        Standing::Several(all) => Err(Stop::SeveralStaging { names: all.to_vec() }.into()),
    }
}

pub(super) async fn ledger(desk: &Desk) -> Result<Ledger, WriteAheadError> {
    let ledger = match desk.read_all().await {
        Ok(ledger) => ledger,
        Err(error) => return Err(desk.about_epochs("reading kt_epochs", error).await),
    };
    Ok(ledger.map_err(|error| Stop::from(LedgerError::from(error)))?)
}

pub(super) fn asked<T>(answer: Asked<T>) -> Result<T, WriteAheadError> {
    let doing = || "looking at what stands in the service".to_owned();
    answer.map_err(|source| WriteAheadError::Service { doing: doing(), source })
}
