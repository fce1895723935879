//! What a person decides about an intent of which nothing shows what became of it, recorded for the next start.
//!
//! ```text
//! look (survey.rs) ─► ambiguous? ─► shown ─► decided ─► look again: same head, same table, no decision yet ─► row
//! ```
//! Only the last valid intent can be undecided, and only as long as no start runs: one that comes to it stops. A decision
//! is a row of its own that is never changed, since a second, different one would make the ledger unreadable.
//!
//! The evidence counts more than the person. "None of it is in the table" is refused while any of it is staged or has its
//! tag in the table, because a start would not follow it.

use std::fmt;
use std::sync::Arc;

use commit_protocol::{
    Decision, Frontier, Intent, IntentId, Ledger, MissingChunk, Resolution, RollForward, StagingName,
};

use super::WriteAheadError;
use super::process::Process;
use super::survey::{Survey, chain, ledger, standing};

/// How often the row is appended until a read shows it.
const APPENDS: u32 = 5;

/// An intent that a person has to decide about. Its text says what it would bring and what is missing.
#[derive(Clone, Debug)]
pub struct Undecided {
    intent: Arc<Intent>,
    missing: Vec<MissingChunk>,
    staging: StagingName,
    /// The state before it, if `kt_epochs` shows it.
    before: Option<Frontier>,
    recorded: Option<Decision>,
}

/// What a person found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The rows without evidence are in the table: go on behind them.
    Committed,
    /// None of the intent's rows is in the table: stage them again, from epoch files or from the source.
    Restage,
}

impl Undecided {
    /// Its name.
    pub fn intent(&self) -> String {
        self.intent.id.to_string()
    }

    /// The row that records `verdict`, or why it cannot be.
    fn resolution(&self, verdict: Verdict) -> Result<Resolution, WriteAheadError> {
        let refused = |why: String| Err(WriteAheadError::Refused { why });
        if let Some(recorded) = &self.recorded {
            let what = if *recorded == Decision::Committed { "committed" } else { "to be staged again" };
            return refused(format!(
                "it is recorded already that {} is {what}, and evidence speaks against it: a start stops. A recorded \
                 decision is not replaced; remove the evidence (extents that are staged, or in the table with a tag of \
                 the intent), then start the pipeline",
                self.intent.id
            ));
        }
        let with_evidence = self.intent.chunks.len() - self.missing.len();
        match (verdict, &self.before) {
            (Verdict::Committed, _) => Ok(Resolution::committed(&self.intent)),
            (Verdict::Restage, _) if with_evidence > 0 || self.partly_staged() => refused(format!(
                "some rows of {} are staged or in the table, so that staging it again would repeat them ({with_evidence} \
                 of {} chunks are there). Drop their extents first, or record --committed, after which what is staged is \
                 moved and what is missing counts as committed",
                self.intent.id,
                self.intent.chunks.len()
            )),
            (Verdict::Restage, None) => refused(format!(
                "the state before {} is not in kt_epochs any more, so that it cannot be staged again",
                self.intent.id
            )),
            (Verdict::Restage, Some(before)) => {
                Ok(Resolution { intent: self.intent.id, decision: Decision::Restage(before.clone()) })
            }
        }
    }

    /// Some extents of a chunk are staged and others are not.
    fn partly_staged(&self) -> bool {
        let of = |missing: &MissingChunk| self.intent.chunks.iter().find(|chunk| chunk.tag == missing.tag);
        self.missing
            .iter()
            .any(|missing| of(missing).is_some_and(|chunk| chunk.extents.len() > missing.gone.len()))
    }
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Intent { id, from, after, chunks, rows_per_epoch, .. } = &*self.intent;
        writeln!(
            f,
            "{id}: epochs from {from} and below {}, {} rows in {} chunks",
            after.cover,
            self.intent.rows(),
            chunks.len()
        )?;
        for (epoch, rows) in rows_per_epoch.iter().take(Self::LINES) {
            writeln!(f, "  epoch {epoch}: {rows} rows")?;
        }
        more(f, rows_per_epoch.len())?;
        let rows: u64 = self.missing.iter().map(|chunk| chunk.rows).sum();
        writeln!(
            f,
            "neither in {} nor, by tags, in the table: {} chunks, {rows} rows",
            self.staging,
            self.missing.len()
        )?;
        for chunk in self.missing.iter().take(Self::LINES) {
            writeln!(f, "  {} rows, tag {}", chunk.rows, chunk.tag)?;
        }
        more(f, self.missing.len())
    }
}

impl Undecided {
    /// Lines of each list in its text.
    const LINES: usize = 10;
}

fn more(f: &mut fmt::Formatter<'_>, of: usize) -> fmt::Result {
    match of.saturating_sub(Undecided::LINES) {
        0 => Ok(()),
        left => writeln!(f, "  and {left} more"),
    }
}

/// Looks for an intent that a person has to decide about.
pub(super) async fn undecided(process: &Process) -> Result<Option<Undecided>, WriteAheadError> {
    let survey = Survey::take(&process.desk, process.options.pipeline(), false).await?;
    let Some((intent, RollForward::Ambiguous(missing))) = survey.outlook() else { return Ok(None) };
    let before = state_before(&survey.before, &intent)?;
    let recorded = survey.before.resolution(intent.id).map(|resolution| resolution.decision.clone());
    Ok(Some(Undecided { intent, missing, staging: survey.staging, before, recorded }))
}

/// The state that an intent goes on from: what its parent left, or, where a person decided that the parent is staged again,
/// what was before that one.
fn state_before(ledger: &Ledger, intent: &Intent) -> Result<Option<Frontier>, WriteAheadError> {
    let chain = chain(ledger)?;
    let parent = chain.iter().find(|other| Some(other.id) == intent.parent);
    if let Some(Decision::Restage(before)) = parent.and_then(|parent| decision(ledger, parent.id))
        && before.cover == intent.from
    {
        return Ok(Some(before.clone()));
    }
    let resolution = Resolution::restage(intent, parent.map(|parent| &**parent));
    Ok(resolution.and_then(|resolution| match resolution.decision {
        Decision::Restage(before) => Some(before),
        Decision::Committed => None,
    }))
}

fn decision(ledger: &Ledger, intent: IntentId) -> Option<&Decision> {
    ledger.resolution(intent).map(|resolution| &resolution.decision)
}

/// Records the decision, unless things have changed since the look.
pub(super) async fn resolve(
    process: &Process,
    undecided: &Undecided,
    verdict: Verdict,
) -> Result<(), WriteAheadError> {
    process.desk.check_rights().await?;
    let resolution = undecided.resolution(verdict)?;
    let pipeline = process.options.pipeline();
    let now = self::undecided(process).await?;
    let same = now.is_some_and(|now| now.intent.id == undecided.intent.id && now.recorded.is_none());
    if !same || standing(&process.desk, pipeline).await? != undecided.staging {
        return Err(WriteAheadError::NotNow);
    }
    let mut appended = Ok(());
    for _ in 0..APPENDS {
        // The same row again counts once, so an answer that was lost does no harm.
        appended = process.desk.append_resolution(&resolution).await;
        if decision(&ledger(&process.desk).await?, resolution.intent) == Some(&resolution.decision) {
            return Ok(());
        }
    }
    match appended {
        Err(source) => Err(WriteAheadError::Service { doing: "recording the decision".to_owned(), source }),
        Ok(()) => Err(WriteAheadError::NotNow),
    }
}
