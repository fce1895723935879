//! What is in rows: whether the cluster and this process hash a value alike.

use std::collections::BTreeSet;

use kusto_client::{IngestionState, Result};
use serde_json::Value;

use super::desk::{Desk, gzip};
use super::{Finding, Verdict};
use crate::row_hash::{Deviation, Trial};

/// How many values are named.
const NAMED: usize = 8;

/// Rows of CSV with values at the edges of each type are ingested, and hashed by a query.
pub(super) async fn texts(desk: &Desk<'_>) -> Result<Finding> {
    let table = desk.name("texts");
    let Trial { columns, rows, count, probe } = Trial::new(&table);
    desk.command(&format!(".create table {table} ({columns})")).await?;
    let blob = desk.upload(gzip(&rows)?, count, rows.len() as u64).await?;
    let status = desk.settled(&desk.queue(&table, &blob, "kt-ask:texts").await?).await?;
    if status.state != IngestionState::Succeeded {
        let found = format!("the rows were not ingested: {:?}", status.state);
        return Ok(Finding::new(Verdict::Unanswered, found, "Nothing can be said: ask again."));
    }
    let answer: Vec<_> = desk.rows(probe.query()).await?.iter().filter_map(|row| numbered(row)).collect();
    Ok(finding(answer.len(), &probe.deviations(&answer)))
}

/// Type, row and number of an answer's row.
fn numbered(row: &[Value]) -> Option<(String, i64, Option<i64>)> {
    let [kind, row, number] = row else { return None };
    Some((kind.as_str()?.to_owned(), row.as_i64()?, number.as_i64()))
}

fn finding(asked: usize, deviations: &[Deviation]) -> Finding {
    if deviations.is_empty() {
        let found = format!("all of {asked} values have the expected hash");
        let means = "An audit of hashed rows tells a changed value in a column of any type but dynamic.";
        return Finding::new(Verdict::Holds, found, means);
    }
    let kinds: BTreeSet<&str> = deviations.iter().map(|it| it.kind).collect();
    let kinds: Vec<&str> = kinds.into_iter().collect();
    let named = deviations.iter().take(NAMED).map(|it| format!("{} {:?}", it.kind, it.value));
    let more =
        deviations.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!("and {more} more"));
    Finding::new(
        Verdict::Costs,
        format!("values of {} have another hash", kinds.join(", ")),
        "No row is lost or repeated. Leave columns of these types out of the hash of rows: their sums would differ.",
    )
    .with_evidence(named.chain(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_are_hashed_otherwise_are_named_once_and_values_up_to_a_limit() {
        let deviation = |at: usize| Deviation { kind: ["real", "decimal"][at % 2], value: at.to_string() };
        let found = finding(20, &(0..10).map(deviation).collect::<Vec<_>>());
        assert_eq!(
            (found.verdict, found.found.as_str()),
            (Verdict::Costs, "values of decimal, real have another hash")
        );
        assert_eq!(found.evidence.len(), NAMED + 1);
        assert_eq!(found.evidence[0], "real \"0\"");
        assert_eq!(found.evidence[NAMED], "and 2 more");
        assert_eq!(finding(20, &[]).verdict, Verdict::Holds);
    }
}
