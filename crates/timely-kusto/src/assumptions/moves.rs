//! Moves: the commit.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use kusto_client::{Result, Table};
use serde_json::Value;

use super::desk::{Desk, seconds};
use super::{Finding, Verdict};

const TAGS: [&str; 3] = ["kt-ask:a", "kt-ask:b", "kt-ask:c"];

/// A move that takes longer makes commits rarer than most people want epochs to be.
const LONG_MOVE: Duration = Duration::from_secs(10);

async fn three_extents(desk: &Desk<'_>) -> Result<(String, String, Vec<String>)> {
    let (from, to) = (desk.table("from").await?, desk.table("to").await?);
    for (n, tag) in TAGS.iter().enumerate() {
        desk.append(&from, n as u64, tag).await?;
    }
    let ids = desk.extents(&from).await?.into_iter().map(|extent| extent.id).collect();
    Ok((from, to, ids))
}

fn move_command(from: &str, to: &str, ids: &[String], new_time: bool) -> String {
    let ids = ids.join(", ");
    format!(".move extents from table {from} to table {to} with (setNewIngestionTime = {new_time}) ({ids})")
}

pub(super) async fn evidence(desk: &Desk<'_>) -> Result<Finding> {
    let (from, to, ids) = three_extents(desk).await?;
    let answer = desk.command(&move_command(&from, &to, &ids, true)).await?;
    let (left, there) = (desk.extents(&from).await?, desk.extents(&to).await?);
    let tags: BTreeSet<_> = there.iter().flat_map(|extent| extent.tags()).collect();
    let listed = original_ids(&answer);
    let all_listed = ids.iter().all(|id| listed.contains(id)) && !says_failed(&answer);
    let same_ids = there.iter().filter(|extent| ids.contains(&extent.id)).count();
    let finding = if !left.is_empty() || there.iter().map(|extent| extent.rows).sum::<u64>() != 3 {
        Finding::new(
            Verdict::Breaks,
            "a move that succeeded did not move everything",
            "A commit could be half done: please report this.",
        )
    } else if !TAGS.iter().all(|tag| tags.contains(tag)) {
        Finding::new(
            Verdict::Breaks,
            "tags are lost by a move",
            "After a crash between a move and its answer nobody could tell that it was done.",
        )
    } else if all_listed {
        Finding::new(
            Verdict::Holds,
            "tags survive, every extent is listed",
            "The move carries its own evidence.",
        )
    } else {
        Finding::new(
            Verdict::Costs,
            "tags survive, but the answer does not list every extent",
            "Each commit looks at both tables before it is believed: two more commands.",
        )
    };
    Ok(finding.with_evidence([
        format!("3 extents moved; the answer lists {}", listed.len()),
        format!("{same_ids} of them kept their ids"),
    ]))
}

pub(super) async fn some_gone(desk: &Desk<'_>) -> Result<Finding> {
    let (from, to, ids) = three_extents(desk).await?;
    desk.command(&format!(".drop extents ({}) from {from}", ids[0])).await?;
    let answer = desk.try_command(&move_command(&from, &to, &ids, true)).await?;
    let (left, moved) = (desk.count(&from).await?, desk.count(&to).await?);
    let (found, means) = match (&answer, moved) {
        (None, 0) => (
            "it is refused and moves nothing",
            "A commit whose extents are gone is looked into, then decided.",
        ),
        (Some(answer), 0) if says_failed(answer) => (
            "it succeeds, moves nothing, and its rows say Failed",
            "The rows of the answer are read: it counts as not done.",
        ),
        (Some(_), 0) => (
            "it succeeds and moves nothing",
            "An answer that does not list every extent is no success: it is looked into.",
        ),
        (_, 2) => (
            "it moves those that are there",
            "A commit is done chunk by chunk then: what is in the target counts as moved, the rest follows.",
        ),
        _ => ("neither all nor none nor the rest was moved", "Please report this."),
    };
    let verdict =
        if left + moved == 2 && (moved == 0 || moved == 2) { Verdict::Holds } else { Verdict::Breaks };
    Ok(Finding::new(verdict, found, means).with_evidence([format!(
        "of 3 extents 1 was dropped; after the move {left} rows were left and {moved} had moved; the answer {}",
        answer.map_or("is an error".to_owned(), |answer| format!("has {} rows", answer.rows.len())),
    )]))
}

pub(super) async fn cost(desk: &Desk<'_>) -> Result<Finding> {
    let (from, to, on) = (desk.table("many").await?, desk.table("moved").await?, desk.table("on").await?);
    let extents = desk.options.extents;
    let appends = stream::iter(0..extents).map(|n| {
        let from = &from;
        async move { desk.append(from, u64::from(n), &format!("kt-ask:{n}")).await }
    });
    appends.buffer_unordered(4).try_collect::<Vec<_>>().await?;
    let with = timed_move(desk, &from, &to, true).await?;
    let without = timed_move(desk, &to, &on, false).await?;
    let (verdict, means) = if with.max(without) < LONG_MOVE {
        (Verdict::Holds, "A commit of that many chunks takes about as long.")
    } else {
        (Verdict::Costs, "Commits take that long; the next one takes all that is staged by then.")
    };
    let found = format!(
        "{extents} extents in {} with a new ingestion time, in {} without",
        seconds(with),
        seconds(without)
    );
    Ok(Finding::new(verdict, found, means))
}

async fn timed_move(desk: &Desk<'_>, from: &str, to: &str, new_time: bool) -> Result<Duration> {
    let ids: Vec<_> = desk.extents(from).await?.into_iter().map(|extent| extent.id).collect();
    let started = Instant::now();
    desk.command(&move_command(from, to, &ids, new_time)).await?;
    Ok(started.elapsed())
}

fn original_ids(answer: &Table) -> BTreeSet<String> {
    values(answer, "OriginalExtentId").map(str::to_owned).collect()
}

fn says_failed(answer: &Table) -> bool {
    values(answer, "ResultExtentId").any(|id| id.eq_ignore_ascii_case("failed"))
}

fn values<'a>(answer: &'a Table, column: &str) -> impl Iterator<Item = &'a str> {
    let position = answer.position(column).ok();
    answer.rows.iter().filter_map(move |row| row.get(position?).and_then(Value::as_str))
}
