//! Names: the fence is a rename.

use std::time::{Duration, Instant};

use futures::future::join;
use kusto_client::{IngestionState, Result};
use tokio::time::sleep;

use super::desk::{Desk, LOOK, append, seconds};
use super::{Finding, Verdict};

/// When something under the old name last worked, counted from the rename's answer.
#[derive(Debug, Default)]
struct Worked {
    append: Option<Duration>,
    moved: Option<Duration>,
    query: Option<Duration>,
    listing: Option<Duration>,
}

pub(super) async fn old_name(desk: &Desk<'_>) -> Result<Finding> {
    let (old, target, new) = (desk.table("old").await?, desk.table("target").await?, desk.name("new"));
    desk.append(&old, 1, "kept").await?;
    desk.rename(&old, &new).await?;
    let renamed = Instant::now();
    let mut worked = Worked::default();
    for round in 0.. {
        let some = old_name_round(desk, &old, &target, renamed, &mut worked).await?;
        if (!some && round >= 2) || renamed.elapsed() > desk.options.grace {
            break;
        }
        sleep(LOOK).await;
    }
    let evidence = [
        ("an ingestion (.append)", worked.append),
        ("a move", worked.moved),
        ("a query", worked.query),
        ("a listing of extents", worked.listing),
    ]
    .map(|(what, last)| match last {
        Some(last) => format!("{what} under the old name worked, last {} after the rename", seconds(last)),
        None => format!("{what} under the old name was refused"),
    });
    let finding = match (worked.append.max(worked.moved), worked.query.max(worked.listing)) {
        (Some(_), _) => Finding::new(
            Verdict::Breaks,
            "commands under the old name still took effect after the rename",
            "A start that was replaced could still commit for that long. The write-ahead mode must not be started \
             while an older start may be alive.",
        ),
        (None, Some(_)) => Finding::new(
            Verdict::Holds,
            "only reads under the old name were answered",
            "Nothing is decided by a read under an old name.",
        ),
        (None, None) => Finding::new(
            Verdict::Holds,
            "the old name leads nowhere",
            "The rename shuts out older starts, as the commit needs.",
        ),
    };
    Ok(finding.with_evidence(evidence))
}

/// Tries everything under the old name once; tells whether anything worked.
async fn old_name_round(
    desk: &Desk<'_>,
    old: &str,
    target: &str,
    renamed: Instant,
    worked: &mut Worked,
) -> Result<bool> {
    let before = desk.count(target).await?;
    let appended = desk.try_command(&append(old, 2, "late")).await?.is_some();
    desk.try_command(&format!(".move extents all from table {old} to table {target}")).await?;
    let moved = desk.count(target).await? > before;
    let query = desk.try_number(&format!("{old} | count")).await?.is_some();
    let listing = desk.try_command(&format!(".show table {old} extents")).await?.is_some();
    let now = renamed.elapsed();
    for (did, last) in [
        (appended, &mut worked.append),
        (moved, &mut worked.moved),
        (query, &mut worked.query),
        (listing, &mut worked.listing),
    ] {
        if did {
            *last = Some(now);
        }
    }
    Ok(appended || moved || query || listing)
}

pub(super) async fn request_on_its_way(desk: &Desk<'_>) -> Result<Finding> {
    let (old, new) = (desk.table("racing").await?, desk.name("raced"));
    let (slow, takes) = desk.slow_query().await?;
    let command = format!(".append {old} <| {slow}");
    let started = Instant::now();
    let appending = async { (desk.try_command(&command).await, started.elapsed()) };
    let renaming = async {
        sleep(takes / 4).await;
        let sent = started.elapsed();
        (desk.rename(&old, &new).await, sent, started.elapsed())
    };
    let ((appended, ended), (renamed, sent, returned)) = join(appending, renaming).await;
    renamed?;
    let arrived = appended?.is_some();
    let rows = desk.count(&new).await?;
    let finding = match (arrived, rows) {
        _ if ended < sent => Finding::new(
            Verdict::Unanswered,
            "the request was over before the rename was sent",
            "Both answers are survived; to know this one, ask when the cluster is busier.",
        ),
        (true, 1..) if ended <= returned => Finding::new(
            Verdict::Holds,
            "the rename waits for requests that are on their way",
            "What an older start had begun is over when the rename returns.",
        ),
        (true, 1..) => Finding::new(
            Verdict::Holds,
            "it takes effect on the table, under whatever name that has by then",
            "Foreseen: a start reads after its rename, and rolls forward or sweeps what an older one had begun.",
        ),
        (false, 0) => Finding::new(
            Verdict::Holds,
            "it fails, because the name no longer means that table",
            "The rename shuts out even requests that were on their way.",
        ),
        _ => Finding::new(
            Verdict::Breaks,
            "its answer and its effect differ",
            "An answer does not tell what happened: please report this.",
        ),
    };
    Ok(finding.with_evidence([
        format!(
            "the request ended after {}; the rename was sent after {} and returned after {}",
            seconds(ended),
            seconds(sent),
            seconds(returned)
        ),
        format!(
            "the request {}; rows in the renamed table: {rows}",
            if arrived { "succeeded" } else { "failed" }
        ),
    ]))
}

pub(super) async fn ingestion_learns(desk: &Desk<'_>) -> Result<Finding> {
    let (old, new) = (desk.table("before").await?, desk.name("after"));
    // Now the service's ingestion side has met the table, and may remember its name.
    desk.ingest_row(&old, 1, "first").await?;
    desk.rename(&old, &new).await?;
    let renamed = Instant::now();
    let (late, learned) = join(desk.ingest_row(&old, 2, "late"), learn(desk, &new, renamed)).await;
    let (late, (refusals, learned)) = (late?, learned?);
    let under_old = match late.state {
        IngestionState::Succeeded => "a blob queued for the old name was ingested".to_owned(),
        state => format!("a blob queued for the old name: {state:?} {}", late.error_code.unwrap_or_default()),
    };
    let under_new = format!("blobs queued for the new name were refused {refusals} times");
    let finding = match learned {
        Some(after) if refusals == 0 => Finding::new(
            Verdict::Holds,
            format!("the first blob for the new name was ingested, {} after the rename", seconds(after)),
            "Staging goes on at once after a start.",
        ),
        Some(after) => Finding::new(
            Verdict::Costs,
            format!("blobs for the new name are ingested {} after the rename", seconds(after)),
            "Staging after a start is tried again until then; the first commit waits for that long.",
        ),
        None => Finding::new(
            Verdict::Breaks,
            "no blob for the new name was ingested in time",
            "After a start nothing could be staged by queued ingestion.",
        ),
    };
    Ok(finding.with_evidence([under_old, under_new]))
}

/// Queues for the new name until it is known: how often it was refused, and when the first blob went in.
async fn learn(desk: &Desk<'_>, new: &str, renamed: Instant) -> Result<(u32, Option<Duration>)> {
    let mut refusals = 0;
    loop {
        let status = desk.ingest_row(new, 3, "new").await?;
        if status.state == IngestionState::Succeeded {
            return Ok((refusals, Some(renamed.elapsed())));
        }
        refusals += 1;
        if renamed.elapsed() > desk.options.grace {
            return Ok((refusals, None));
        }
        sleep(LOOK).await;
    }
}

pub(super) async fn one_table_a_name(desk: &Desk<'_>) -> Result<Finding> {
    let (one, other, free) = (desk.table("one").await?, desk.table("other").await?, desk.name("free"));
    let (missing, unused) = (desk.name("missing"), desk.name("unused"));
    desk.append(&one, 1, "one").await?;
    let onto = desk.try_command(&format!(".rename table {other} to {one}")).await?.is_some();
    let partly = format!(".rename tables {free} = {one}, {unused} = {missing}");
    let partly = desk.try_command(&partly).await?.is_some();
    desk.command(&format!(".create table {one} (other: guid)")).await?;
    let kept = desk.try_number(&format!("{one} | count")).await? == Some(1)
        && desk.try_number(&format!("{one} | where isnotempty(s) | count")).await? == Some(1)
        && desk.try_number(&format!("{other} | count")).await? == Some(0)
        && desk.try_number(&format!("{free} | count")).await?.is_none();
    let said = |done: bool| if done { "succeeded" } else { "refused" };
    let finding = if kept && !onto && !partly {
        Finding::new(
            Verdict::Holds,
            "no table is replaced, changed or half renamed",
            "Of several first starts one wins, and a name means one table.",
        )
    } else {
        Finding::new(
            Verdict::Breaks,
            "a name that exists is no obstacle",
            "Two first starts at once could each think that they made the tables. Run `init` once, by hand.",
        )
    };
    Ok(finding.with_evidence([
        format!("a rename onto an existing name: {}", said(onto)),
        format!("a rename of two tables of which one is missing: {}", said(partly)),
        format!(
            "after a creation with another schema the table and its row were {}",
            if kept { "as before" } else { "changed" }
        ),
    ]))
}
