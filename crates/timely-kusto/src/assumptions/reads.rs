//! Reads: what is decided is decided from looks.

use kusto_client::{Result, quote_string};

use super::desk::{Desk, seconds};
use super::{Finding, Verdict};

const ROUNDS: u64 = 10;

pub(super) async fn fresh(desk: &Desk<'_>) -> Result<Finding> {
    let table = desk.table("fresh").await?;
    let (mut old_counts, mut old_listings) = (0, 0);
    for written in 1..=ROUNDS {
        desk.append(&table, written, "fresh").await?;
        let listed: u64 = desk.extents(&table).await?.iter().map(|extent| extent.rows).sum();
        old_listings += u64::from(listed < written);
        old_counts += u64::from(desk.count(&table).await? < written);
    }
    let evidence = [
        format!("{old_counts} of {ROUNDS} queries right after a write did not show it"),
        format!("{old_listings} of {ROUNDS} listings of extents did not"),
    ];
    let finding = if old_counts + old_listings == 0 {
        Finding::new(Verdict::Holds, "every look showed the last write", "Looks tell the present state.")
    } else {
        Finding::new(
            Verdict::Breaks,
            "reads lag behind writes",
            "A decision could rest on an old look. See which query consistency the principal's workload group asks for \
             (.show workload_groups): it has to be strong.",
        )
    };
    Ok(finding.with_evidence(evidence))
}

/// The largest value that a row of `kt_epochs` holds.
const LONG: usize = 512 << 10;

pub(super) async fn long_value(desk: &Desk<'_>) -> Result<Finding> {
    let table = desk.table("long").await?;
    let value: String = (0..LONG).map(|at| char::from(b'a' + (at * at % 26) as u8)).collect();
    let started = std::time::Instant::now();
    desk.command(&format!(".append {table} <| print n = long(1), s = {}", quote_string(&value))).await?;
    let took = started.elapsed();
    let length = desk.number(&format!("{table} | project strlen(s)")).await?;
    let equal = desk.number(&format!("{table} | where s == {} | count", quote_string(&value))).await?;
    let evidence = [format!("{length} of {LONG} characters came back; the write took {}", seconds(took))];
    let finding = if length == LONG as u64 && equal == 1 {
        Finding::new(
            Verdict::Holds,
            "it comes back whole",
            "Rows of kt_epochs are kept as they were written.",
        )
    } else {
        Finding::new(
            Verdict::Breaks,
            "it comes back changed",
            "Large commits would stop with an error, since each row carries a checksum; no row is lost or repeated.",
        )
    };
    Ok(finding.with_evidence(evidence))
}
