//! `.ingest into`: staging where it is direct.

use kusto_client::Result;

use super::desk::Desk;
use super::{Finding, Verdict};

const TAG: &str = "kt-ask:direct";

/// Documented: an answer has `HasErrors`, per extent, and a tag is a property (`MicrosoftDocs/dataexplorer-docs
/// data-explorer/kusto/management/data-ingestion/ingest-into-command.md`). Not documented: whether rows and tags are there for
/// whoever looks when the answer has come, and what a file with a bad line leaves.
pub(super) async fn answers(desk: &Desk<'_>) -> Result<Finding> {
    let (good, bad) = (desk.table("direct").await?, desk.table("direct_bad").await?);
    let failed = desk.ingest_lines(&good, "1,one\n2,two\n", TAG).await?;
    let extents = desk.extents(&good).await?;
    let listed: u64 = extents.iter().map(|extent| extent.rows).sum();
    let tagged: u64 =
        extents.iter().filter(|extent| extent.tags().contains(&TAG)).map(|extent| extent.rows).sum();
    let counted = desk.count(&good).await?;
    let bad_failed = desk.ingest_lines(&bad, "1,one\n2,\"two\n", TAG).await?;
    let bad_rows = desk.count(&bad).await?;
    let evidence = [
        format!(
            "2 rows: {}; {listed} listed at once, {tagged} with the tag, {counted} counted",
            said(failed)
        ),
        format!("a line whose quote is not closed: {}; {bad_rows} of 2 rows", said(bad_failed)),
    ];
    let finding = if failed != Some(false) {
        Finding::new(Verdict::Breaks, "a good file is not ingested", "`staging = \"direct\"` does not work.")
    } else if (tagged, counted) != (2, 2) {
        Finding::new(
            Verdict::Costs,
            "rows or their tag are not there at once",
            "With `staging = \"direct\"` a chunk is looked for again until it is there, and ingested again after a minute.",
        )
    } else if bad_failed == Some(false) && bad_rows < 2 {
        Finding::new(
            Verdict::Costs,
            "a file that is taken in part passes for a good one",
            "With `staging = \"direct\"` such a chunk is found by its number of rows, and ingested again.",
        )
    } else {
        Finding::new(
            Verdict::Holds,
            "rows and their tag are there at once, and a bad line is told of",
            "With `staging = \"direct\"` a chunk is staged when its command answers.",
        )
    };
    Ok(finding.with_evidence(evidence))
}

/// What the command answered; `None` is a refusal.
fn said(failed: Option<bool>) -> &'static str {
    match failed {
        None => "refused",
        Some(true) => "answered with errors",
        Some(false) => "answered without errors",
    }
}
