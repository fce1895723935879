//! `timely-kusto audit`: the rows that were promised beside the rows in the table.

use std::path::PathBuf;

use clap::Args;
use kusto_client::{Column, Table};
use serde_json::{Value, json};
use timely_kusto::{Audit, EpochAudit, EpochState, SumAudit};

use crate::ahead::Ahead;
use crate::exit::{Exit, Stop};
use crate::print;

pub(crate) const EXAMPLES: &str = "\
Examples:
  timely-kusto audit pipeline.toml                     epochs that follow each other and agree are one line
  timely-kusto audit pipeline.toml --json              every epoch

Compared: what the rows of kt_epochs promise, and the extents of the table that carry the pipeline's tags,
while they do; with `epoch_column = true` in [sink], the rows that carry each epoch, at any time; with
`hash_columns`, also what these rows contain. It changes nothing, and may be used while the pipeline runs.
Exit codes: 0 they agree, 2 the database does not know the pipeline, 4 they do not agree.";

#[derive(Debug, Args)]
pub(crate) struct AuditArguments {
    /// The pipeline's configuration file
    #[arg(value_name = "PIPELINE.TOML")]
    config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Compares and prints.
pub(crate) fn audit(arguments: &AuditArguments) -> Result<Exit, Stop> {
    let ahead = Ahead::read(&arguments.config)?;
    let found = ahead.sink.audit()?;
    if arguments.json {
        println!("{}", object(&found));
    } else {
        print!("{}", text(&found, &ahead.target()));
    }
    match found.agrees() {
        true => Ok(Exit::Done),
        false => Err(disagreement(&found, &ahead.target())),
    }
}

fn text(audit: &Audit, target: &str) -> String {
    let names = ["epochs", "promised", "in the table", ""];
    let column = |name: &&str| Column { name: (*name).to_owned(), column_type: "string".to_owned() };
    let rows = runs(&audit.epochs).iter().map(Run::cells).collect();
    let epochs = Table { name: String::new(), columns: names.iter().map(column).collect(), rows };
    let Audit { table_rows, tagged_rows, staged_rows, claimed_rows, logged, intents, cover, .. } = audit;
    let mut text = print::table(&epochs);
    text.push_str(&format!(
        "\npromised   {} rows by {intents} intents, epochs below {cover}\n\
         in {target}   {table_rows} rows, {tagged_rows} of them with tags of this pipeline\n\
         staged     {staged_rows} rows in {}, {claimed_rows} of them claimed by the last intent\n\
         logged     {} rows in {} epoch files here, not committed yet\n",
        audit.promised(),
        audit.staging_table,
        logged.rows,
        logged.files,
    ));
    if let Some(hashed) = hashed(audit) {
        text.push_str(&hashed);
    }
    for remark in &audit.not_compared {
        text.push_str(&format!("           {remark}\n"));
    }
    if logged.damaged > 0 {
        text.push_str(&format!("           {} damaged: see timely-kusto log verify\n", logged.damaged));
    }
    text
}

/// What is known of the contents, if rows were hashed.
fn hashed(audit: &Audit) -> Option<String> {
    let sums = || audit.epochs.iter().filter_map(|epoch| epoch.sum);
    let (hashed, compared) = (sums().count(), sums().filter(|sum| sum.found.is_some()).count());
    (hashed > 0).then(|| {
        let equal = sums().filter(|sum| sum.found == Some(sum.promised)).count();
        format!("contents   of {hashed} epochs hashed, {compared} compared, {equal} equal\n")
    })
}

/// Epochs that follow each other and are in the same state.
struct Run<'a> {
    epochs: &'a [EpochAudit],
}

fn runs(epochs: &[EpochAudit]) -> Vec<Run<'_>> {
    let alike =
        |one: &EpochAudit, other: &EpochAudit| one.state == other.state && other.state != EpochState::Differs;
    epochs.chunk_by(alike).map(|epochs| Run { epochs }).collect()
}

impl Run<'_> {
    fn cells(&self) -> Vec<Value> {
        let (Some(first), Some(last)) = (self.epochs.first(), self.epochs.last()) else { return Vec::new() };
        let epochs = match first.epoch == last.epoch {
            true => first.epoch.to_string(),
            false => format!("{} to {}", first.epoch, last.epoch),
        };
        let promised: u64 = self.epochs.iter().map(|epoch| epoch.promised).sum();
        let found = match first.state {
            EpochState::Agrees | EpochState::Altered => promised.to_string(),
            EpochState::Differs => differing(first).to_string(),
            _ => String::new(),
        };
        let shared = match (first.state, first.shared_by) {
            (EpochState::Differs, 2..) if first.by_column.unwrap_or(0) == 0 => {
                format!(", in extents merged from {} epochs", first.shared_by)
            }
            _ => String::new(),
        };
        vec![json!(epochs), json!(promised), json!(found), json!(format!("{}{shared}", words(first.state)))]
    }
}

/// What an epoch has in place of what it promises.
fn differing(epoch: &EpochAudit) -> u64 {
    epoch.by_column.filter(|rows| *rows > 0).or(epoch.found).unwrap_or(0)
}

fn words(state: EpochState) -> &'static str {
    match state {
        EpochState::Agrees => "agrees",
        EpochState::Claimed => "claimed, about to be moved",
        EpochState::NoTags => "committed; no tags any more",
        EpochState::Ambiguous => "AMBIGUOUS: see timely-kusto resolve",
        EpochState::Differs => "DIFFERS",
        EpochState::Altered => "ALTERED: as many rows, and not what was written",
    }
}

fn object(audit: &Audit) -> Value {
    let epoch = |it: &EpochAudit| {
        let state = match it.state {
            EpochState::Agrees => "agrees",
            EpochState::Claimed => "claimed",
            EpochState::NoTags => "no-tags",
            EpochState::Ambiguous => "ambiguous",
            EpochState::Differs => "differs",
            EpochState::Altered => "altered",
        };
        json!({
            "epoch": it.epoch,
            "promised": it.promised,
            "found": it.found,
            "shared_by": it.shared_by,
            "by_column": it.by_column,
            "sum": it.sum.map(sums),
            "state": state,
        })
    };
    let unclaimed = audit.unclaimed.iter().map(|(tag, rows)| json!({ "tag": tag, "rows": rows }));
    json!({
        "agrees": audit.agrees(),
        "lineage": audit.lineage,
        "staging_table": audit.staging_table,
        "cover": audit.cover,
        "intents": audit.intents,
        "promised_rows": audit.promised(),
        "table_rows": audit.table_rows,
        "tagged_rows": audit.tagged_rows,
        "staged_rows": audit.staged_rows,
        "claimed_rows": audit.claimed_rows,
        "logged": { "files": audit.logged.files, "rows": audit.logged.rows, "damaged": audit.logged.damaged },
        "not_compared": audit.not_compared,
        "unclaimed": unclaimed.collect::<Vec<_>>(),
        "column_rows": audit.column_rows,
        "unpromised_rows": audit.unpromised_rows,
        "epochs": audit.epochs.iter().map(epoch).collect::<Vec<_>>(),
    })
}

/// As text: programs that read JSON may round numbers above 2^53.
fn sums(sum: SumAudit) -> Value {
    json!({
        "promised": sum.promised.to_string(),
        "found": sum.found.map(|found| found.to_string()),
        "equal": sum.found.map(|found| found == sum.promised),
    })
}

fn disagreement(audit: &Audit, target: &str) -> Stop {
    let count = |state| audit.epochs.iter().filter(|epoch| epoch.state == state).count();
    let (differ, ambiguous) = (count(EpochState::Differs), count(EpochState::Ambiguous));
    let untagged = audit.untold_rows();
    let mut why = Vec::new();
    if differ > 0 {
        why.push(format!(
            "{differ} epochs have another number of rows than promised. Fewer: rows were deleted or aged out, or extents \
             were dropped. More: rows of other writers were merged with them, or somebody copied them"
        ));
    }
    let altered = count(EpochState::Altered);
    if altered > 0 {
        why.push(format!(
            "{altered} epochs have as many rows as promised, and these are not what was written: rows were changed, or \
             deleted and replaced, or the service cut or dropped a value when it read them"
        ));
    }
    if ambiguous > 0 {
        why.push(format!("{ambiguous} epochs are claimed and neither staged nor in the table: see resolve"));
    }
    if let Some((tag, rows)) = audit.unclaimed.first() {
        let tags = audit.unclaimed.len();
        why.push(format!(
            "extents in the table have tags that no intent names ({tags}, the first: {tag}, {rows} rows): somebody \
             moved them by hand"
        ));
    }
    if let Some(rows) = audit.unpromised_rows.filter(|rows| *rows > 0) {
        why.push(format!(
            "{rows} rows carry an epoch in _kt_epoch that no intent promises rows of: another writer fills this column, or \
             somebody changed it"
        ));
    }
    if why.is_empty() {
        let promised = audit.epochs.iter().filter(|epoch| epoch.state == EpochState::NoTags);
        let promised: u64 = promised.map(|epoch| epoch.promised).sum();
        why.push(format!(
            "{promised} rows are promised for epochs without tags, and the table has {untagged} rows without tags: rows \
             were deleted or aged out, or extents were dropped"
        ));
    }
    Stop::needs_person(format!("{target} does not hold what was promised:\n  {}", why.join("\n  ")))
}
