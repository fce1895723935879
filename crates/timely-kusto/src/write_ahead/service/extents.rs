//! Extents: listings, the move, the sweep.

use std::collections::BTreeSet;

use commit_protocol::{
    AppendPermit, Extent, ExtentId, Listing, MovePermit, MovedExtent, StagingName, SweepPermit, Tag,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use kusto_client::{quote_name, quote_string};
use serde::Deserialize;

use super::{Asked, CommitMechanism, Desk, garbled};

/// Tags asked about by one command: some 5 kB of text.
const TAGS_PER_COMMAND: usize = 100;

/// Extents that one command drops: some 40 kB of text.
pub(in super::super) const DROPS_PER_COMMAND: usize = 1000;

/// When extents were created that may be moved: whenever. The document calls the two properties required, and its examples
/// do without (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/move-extents.md`).
const CREATED_WHENEVER: &str =
    "extentCreatedOnFrom=datetime(0001-01-01), extentCreatedOnTo=datetime(9999-12-31)";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExtentRow {
    extent_id: String,
    row_count: u64,
    tags: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MovedRow {
    original_extent_id: String,
    result_extent_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagRow {
    tag: String,
}

/// Extents of the target that carry the same tags.
#[derive(Debug)]
pub(in super::super) struct Tagged {
    /// Those of their tags that are of this lineage.
    pub(in super::super) tags: BTreeSet<Tag>,
    /// Their rows.
    pub(in super::super) rows: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaggedRow {
    tags: String,
    rows: u64,
}

impl Desk {
    /// The extents of the target with tags of this lineage: one row for all that carry the same.
    pub(in super::super) async fn tagged(&self) -> Asked<Vec<Tagged>> {
        let prefix = quote_string(&format!("kt:{}/", self.lineage));
        let table = quote_name(&self.table);
        let command = format!(
            ".show table {table} extents where tags contains {prefix} | summarize Rows = sum(RowCount) by Tags"
        );
        let rows: Vec<TaggedRow> = self.command(&command).await?.rows_as()?;
        let tagged = |row: TaggedRow| {
            let tags = row.tags.lines().filter_map(|tag| tag.trim().parse().ok());
            Tagged { tags: tags.filter(|tag: &Tag| tag.lineage == self.lineage).collect(), rows: row.rows }
        };
        Ok(rows.into_iter().map(tagged).filter(|extent| !extent.tags.is_empty()).collect())
    }

    /// All rows of the target, whoever wrote them.
    pub(in super::super) async fn count(&self) -> Asked<u64> {
        let answer = self.query(&format!("{} | count", quote_name(&self.table))).await?;
        answer
            .scalar()
            .and_then(serde_json::Value::as_u64)
            .ok_or_else(|| garbled("a count", "it is no number"))
    }

    /// The extents of the staging table under this name.
    pub(in super::super) async fn listing(&self, staging: StagingName) -> Asked<Listing> {
        let command = format!(".show table {staging} extents | project ExtentId, RowCount, Tags");
        let answer = match self.command(&command).await {
            Err(error) if Desk::is_gone(&error) => return Ok(Listing::NoSuchTable),
            answer => answer?,
        };
        let extent = |row: ExtentRow| {
            let id = extent_id(&row.extent_id)?;
            let tags = row.tags.unwrap_or_default();
            let tags = tags.lines().filter_map(|tag| tag.trim().parse().ok()).collect();
            Ok(Extent { id, rows: row.row_count, tags })
        };
        let rows: Vec<ExtentRow> = answer.rows_as()?;
        rows.into_iter().map(extent).collect::<Asked<Vec<_>>>().map(Listing::Extents)
    }

    /// Which of these tags extents of the target carry. All tags of one intent are of one generation, by which the
    /// service narrows the extents down before their tags are taken apart.
    async fn tags_in_target(&self, tags: &[Tag]) -> Asked<Vec<Tag>> {
        let wanted: BTreeSet<Tag> = tags.iter().copied().collect();
        let mut found = BTreeSet::new();
        for generation in wanted.iter().map(|tag| tag.generation).collect::<BTreeSet<_>>() {
            let own: Vec<Tag> = wanted.iter().copied().filter(|tag| tag.generation == generation).collect();
            let prefix = quote_string(&format!("kt:{}/{generation}/", self.lineage));
            for some in own.chunks(TAGS_PER_COMMAND) {
                let list: Vec<String> = some.iter().map(|tag| quote_string(&tag.to_string())).collect();
                let command = format!(
                    ".show table {} extents where tags contains {prefix} \
                     | mv-expand Tag = split(replace_string(Tags, '\\r', ''), '\\n') to typeof(string) \
                     | where Tag in ({}) | distinct Tag",
                    quote_name(&self.table),
                    list.join(", ")
                );
                let rows: Vec<TagRow> = self.command(&command).await?.rows_as()?;
                found.extend(rows.iter().filter_map(|row| row.tag.parse::<Tag>().ok()));
            }
        }
        Ok(found.into_iter().filter(|tag| wanted.contains(tag)).collect())
    }

    async fn move_extents(&self, permit: &MovePermit) -> Asked<Vec<MovedExtent>> {
        // A new ingestion time: cursors, materialized views and continuous exports of the target would miss the rows
        // otherwise (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/move-extents.md`).
        let command = format!(
            ".move extents from table {} to table {} with (setNewIngestionTime=true, {CREATED_WHENEVER}) ({})",
            permit.from(),
            quote_name(&self.table),
            ids(permit.extents().iter())
        );
        let moved = |row: MovedRow| {
            let original = extent_id(&row.original_extent_id)?;
            let moved = row.result_extent_id.is_some_and(|id| id.parse::<ExtentId>().is_ok());
            Ok(MovedExtent { original, moved })
        };
        let rows: Vec<MovedRow> = self.command(&command).await?.rows_as()?;
        rows.into_iter().map(moved).collect()
    }

    /// Drops what a sweep permits, at most [`DROPS_PER_COMMAND`] of it; whether something is left.
    pub(in super::super) async fn drop_extents(&self, permit: &SweepPermit) -> Asked<bool> {
        let extents = permit.extents().iter().map(|(id, _)| id);
        let ids = ids(extents.take(DROPS_PER_COMMAND));
        self.command(&format!(".drop extents ({ids}) from {}", permit.from())).await?;
        Ok(permit.extents().len() > DROPS_PER_COMMAND)
    }
}

impl CommitMechanism for Desk {
    fn claim<'a>(&'a self, permit: &'a AppendPermit) -> BoxFuture<'a, Asked<()>> {
        self.append(permit).boxed()
    }

    fn apply<'a>(&'a self, permit: &'a MovePermit) -> BoxFuture<'a, Asked<Vec<MovedExtent>>> {
        self.move_extents(permit).boxed()
    }

    fn evidence<'a>(&'a self, tags: &'a [Tag]) -> BoxFuture<'a, Asked<Vec<Tag>>> {
        self.tags_in_target(tags).boxed()
    }
}

fn extent_id(text: &str) -> Asked<ExtentId> {
    text.parse()
        .map_err(|error: commit_protocol::ParseIdError| garbled("a listing of extents", error.to_string()))
}

fn ids<'a>(ids: impl Iterator<Item = &'a ExtentId>) -> String {
    ids.map(ExtentId::to_string).collect::<Vec<_>>().join(", ")
}
