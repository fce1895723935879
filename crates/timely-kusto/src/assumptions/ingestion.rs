//! Queued ingestion: staging, and SinkV2.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use futures::future::try_join;
use kusto_client::{IngestionState, IngestionStatus, Result, Ticket};
use tokio::time::sleep;

use super::desk::{Desk, LOOK, gzip, seconds};
use super::{Finding, Verdict};

const TAG: &str = "kt-ask:blob";

/// Staging that takes longer than this is felt in every commit.
const LONG_FLUSH: Duration = Duration::from_secs(60);

pub(super) async fn at_once(desk: &Desk<'_>) -> Result<Finding> {
    let table = desk.table("blob").await?;
    let rows = u64::from(desk.options.blob_rows);
    let blob = desk.upload_lines(&lines(desk.options.blob_rows)).await?;
    let ticket = desk.queue(&table, &blob, TAG).await?;
    let (status, seen) = watch(desk, &table, &ticket).await?;
    let extents = desk.extents(&table).await?;
    let evidence = [
        format!("numbers of rows seen: {seen:?}"),
        format!("{} extents; status {:?}", extents.len(), status.state),
    ];
    let finding = if status.state != IngestionState::Succeeded {
        Finding::new(Verdict::Unanswered, "the blob was not ingested", "Nothing can be said: ask again.")
    } else if seen.iter().any(|seen| *seen != 0 && *seen != rows) {
        Finding::new(
            Verdict::Breaks,
            "a part of the blob was visible before the rest",
            "A blob that is delivered twice, each time by half, could be taken for a whole one.",
        )
    } else if extents.len() == 1 {
        Finding::new(
            Verdict::Holds,
            "all of it at once, in one extent",
            "A chunk is staged whole or not at all.",
        )
    } else {
        Finding::new(
            Verdict::Holds,
            format!("all of it at once, in {} extents", extents.len()),
            "A chunk is staged whole or not at all; commits list more extents.",
        )
    };
    Ok(finding.with_evidence(evidence))
}

/// Looks at the table until the blob's status is final: the numbers of rows that were seen.
async fn watch(desk: &Desk<'_>, table: &str, ticket: &Ticket) -> Result<(IngestionStatus, BTreeSet<u64>)> {
    let started = Instant::now();
    let mut seen = BTreeSet::new();
    loop {
        let status = desk.look(ticket).await?;
        seen.insert(desk.count(table).await?);
        seen.insert(desk.extents(table).await?.iter().map(|extent| extent.rows).sum());
        if status.state != IngestionState::Pending {
            return Ok((status, seen));
        }
        if started.elapsed() > desk.options.ingestion_deadline {
            return Err(desk.late(ticket));
        }
        sleep(LOOK / 8).await;
    }
}

fn lines(rows: u32) -> String {
    let mut text = String::with_capacity(rows as usize * 40);
    for n in 0..rows {
        let mixed = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let _ = writeln!(text, "{n},{mixed:016x}{:016x}", mixed.rotate_left(29)); // writing to a String cannot fail
    }
    text
}

pub(super) async fn flush(desk: &Desk<'_>) -> Result<Finding> {
    let table = desk.table("flushed").await?;
    let policy =
        r#"'{"MaximumBatchingTimeSpan":"00:05:00","MaximumNumberOfItems":500,"MaximumRawDataSizeMB":1024}'"#;
    desk.command(&format!(".alter table {table} policy ingestionbatching {policy}")).await?;
    let started = Instant::now();
    let status = desk.ingest_row(&table, 1, TAG).await?;
    let took = started.elapsed();
    let found = format!("{:?} after {}", status.state, seconds(took));
    Ok(match (status.state, took < LONG_FLUSH) {
        (IngestionState::Succeeded, true) => {
            Finding::new(Verdict::Holds, found, "Staging a chunk takes about as long.")
        }
        (IngestionState::Succeeded, false) => Finding::new(
            Verdict::Costs,
            found,
            "Each epoch waits that long before it can be committed; several are staged at a time.",
        ),
        _ => Finding::new(Verdict::Unanswered, found, "Nothing can be said: ask again."),
    })
}

pub(super) async fn bad_line(desk: &Desk<'_>) -> Result<Finding> {
    let table = desk.table("bad").await?;
    let blob = desk.upload_lines("1,one\n2,two\n3,three,a field too many\n").await?;
    let ticket = desk.queue(&table, &blob, TAG).await?;
    let status = desk.settled(&ticket).await?;
    let rows = desk.count(&table).await?;
    let code = status.error_code.unwrap_or_default();
    let evidence = [format!("status {:?} {code}, {rows} of 3 rows", status.state)];
    let finding = match (status.state, rows) {
        (IngestionState::Failed, 0) => Finding::new(
            Verdict::Holds,
            "a blob with a bad line fails and leaves nothing",
            "What failed may be queued again without repeating a row.",
        ),
        (IngestionState::Succeeded, 3) => Finding::new(
            Verdict::Holds,
            "a line with a field too many is taken without it",
            "Rows as this sink writes them have as many fields as columns.",
        ),
        _ => Finding::new(
            Verdict::Costs,
            "a blob that failed left some of its rows",
            "SinkV2 may repeat those rows when it queues the blob again. The write-ahead mode commits whole chunks only.",
        ),
    };
    Ok(finding.with_evidence(evidence))
}

pub(super) async fn twice(desk: &Desk<'_>) -> Result<Finding> {
    let table = desk.table("twice").await?;
    let blob = desk.upload_lines("1,once\n").await?;
    let (one, other) = try_join(desk.queue(&table, &blob, TAG), desk.queue(&table, &blob, TAG)).await?;
    let (one, other) = try_join(desk.settled(&one), desk.settled(&other)).await?;
    let at_once = desk.count(&table).await?;
    let third = desk.settled(&desk.queue(&table, &blob, TAG).await?).await?;
    let later = desk.count(&table).await?;
    let state = |status: &IngestionStatus| {
        format!("{:?} {}", status.state, status.error_code.as_deref().unwrap_or_default())
            .trim_end()
            .to_owned()
    };
    let evidence = [
        format!("queued twice at once: {}, {}; rows: {at_once} for 1", state(&one), state(&other)),
        format!("queued again after the first success: {}; rows: {later} for 1", state(&third)),
    ];
    let finding = if later <= 1 {
        Finding::new(
            Verdict::Holds,
            "the row is there once",
            "A message that arrives twice repeats no rows, in SinkV2 neither.",
        )
    } else {
        Finding::new(
            Verdict::Costs,
            format!("the row is there {later} times"),
            "SinkV2 may repeat rows when the outcome of a request is unknown: it promises at least once. The \
             write-ahead mode claims one attempt of a chunk and sweeps the others.",
        )
    };
    Ok(finding.with_evidence(evidence))
}

pub(super) async fn gzip_members(desk: &Desk<'_>) -> Result<Finding> {
    let table = desk.table("members").await?;
    let mut body = gzip("1,first member\n")?.to_vec();
    body.extend_from_slice(&gzip("2,second member\n")?);
    let blob = desk.upload(body.into(), 2, 32).await?;
    let status = desk.settled(&desk.queue(&table, &blob, TAG).await?).await?;
    let rows = desk.count(&table).await?;
    let found = format!("{rows} of 2 rows, status {:?}", status.state);
    Ok(Finding::new(Verdict::Holds, found, "Nothing hangs on it: blobs are written as one member."))
}

pub(super) async fn if_not_exists(desk: &Desk<'_>) -> Result<Finding> {
    let table = desk.table("unless").await?;
    let (slow, _) = desk.slow_query().await?;
    let with = r#"with (tags = '["ingest-by:kt-ask"]', ingestIfNotExists = '["kt-ask"]')"#;
    let command = format!(".append {table} {with} <| {slow}");
    let (one, other) = try_join(desk.try_command(&command), desk.try_command(&command)).await?;
    let rows = desk.count(&table).await?;
    let found = match rows {
        1 => "one of two at once went in",
        2 => "both of two at once went in: the check is not atomic",
        _ => "neither went in",
    };
    let answered = [one, other].iter().filter(|answer| answer.is_some()).count();
    let means = "Nothing hangs on it: commits are moves, which are fenced by a rename.";
    Ok(Finding::new(Verdict::Holds, found, means)
        .with_evidence([format!("{answered} of 2 commands succeeded; rows: {rows}")]))
}
