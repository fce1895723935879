//! Tables of the lineage: their names, how the first ones are made, their columns.
//!
//! The first tables are made under names of their own, with all their policies, and count from one rename on. A rename
//! onto a name that exists fails, so of several first starts one wins, and a crash before it leaves nothing that counts.
//! Each has policies of its own, since those of the database would hold otherwise: rows of S and `kt_epochs` must not age
//! away, and extents of S must not be merged (`MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/management/merge-policy.md`, `retention-policy.md`, `batching-policy.md`).

use commit_protocol::{Column, CreatePermit, Names, RenamePermit, StagingName};
use futures::future::{join_all, join3, try_join};
use kusto_client::{ErrorKind, quote_name, quote_string};
use serde::Deserialize;

use super::{Asked, Desk, garbled};
use crate::write_ahead::failpoint;

/// The table of claims, starts and intents, one per database.
pub(in super::super) const EPOCHS: &str = "kt_epochs";

/// Its columns, in the order in which rows are appended.
pub(super) const EPOCHS_COLUMNS: &str = "Lineage:string, Kind:string, Generation:long, Nonce:string, Seq:long, \
                                         Part:int, Parts:int, Body:string, Digest:string, Check:string";

pub(super) const FOLDER: &str = "timely-kusto";
const NO_AGE: &str = r#"{"SoftDeletePeriod":"36500.00:00:00","Recoverability":"Disabled"}"#;
const NO_MERGE: &str = r#"{"AllowMerge":false,"AllowRebuild":false}"#;
const QUICK_BATCHES: &str =
    r#"{"MaximumBatchingTimeSpan":"00:00:10","MaximumNumberOfItems":500,"MaximumRawDataSizeMB":1024}"#;

#[derive(Deserialize)]
struct SchemaJson {
    #[serde(rename = "OrderedColumns")]
    columns: Vec<ColumnJson>,
}

#[derive(Deserialize)]
struct ColumnJson {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "CslType")]
    kind: String,
}

impl Desk {
    /// The tables of the lineage.
    pub(in super::super) async fn names(&self) -> Asked<Names> {
        let lineage = quote_string(&self.lineage.to_string());
        let found = self.tables(&format!("where TableName contains {lineage} | project TableName")).await?;
        Ok(Names::parse(self.lineage, found.iter().map(String::as_str)))
    }

    /// The tables of the lineage, and whether `kt_epochs` is there.
    pub(super) async fn tables_there(&self) -> Asked<(Names, bool)> {
        let (lineage, epochs) = (quote_string(&self.lineage.to_string()), quote_string(EPOCHS));
        let filter =
            format!("where TableName contains {lineage} or TableName == {epochs} | project TableName");
        let found = self.tables(&filter).await?;
        let names = Names::parse(self.lineage, found.iter().map(String::as_str));
        Ok((names, found.iter().any(|name| name == EPOCHS)))
    }

    async fn tables(&self, filter: &str) -> Asked<Vec<String>> {
        let answer = self.command(&format!(".show tables | {filter}")).await?;
        let name = answer.position("TableName")?;
        let text = |row: &Vec<serde_json::Value>| row.get(name)?.as_str().map(str::to_owned);
        Ok(answer.rows.iter().filter_map(text).collect())
    }

    /// Whether the table of claims, starts and intents is there.
    pub(in super::super) async fn has_epochs(&self) -> Asked<bool> {
        self.has_table(EPOCHS).await
    }

    /// Whether the database has a table of this name.
    pub(super) async fn has_table(&self, name: &str) -> Asked<bool> {
        let filter = format!("where TableName == {} | project TableName", quote_string(name));
        Ok(!self.tables(&filter).await?.is_empty())
    }

    /// The columns of a table, in order.
    pub(in super::super) async fn columns(&self, table: &str) -> Asked<Vec<Column>> {
        let answer = self.command(&format!(".show table {} schema as json", quote_name(table))).await?;
        let schema = answer.position("Schema")?;
        let text = answer.rows.first().and_then(|row| row.get(schema)?.as_str());
        let text = text.ok_or_else(|| garbled(".show table schema", "it has no schema"))?;
        let read: SchemaJson =
            serde_json::from_str(text).map_err(|error| garbled(".show table schema", error.to_string()))?;
        Ok(read.columns.into_iter().map(|it| Column { name: it.name, kind: it.kind }).collect())
    }

    /// The columns of the target.
    pub(in super::super) async fn target_columns(&self) -> Asked<Vec<Column>> {
        self.columns(&self.table).await
    }

    /// Makes the first tables of the lineage.
    pub(in super::super) async fn create(&self, permit: &CreatePermit) -> Asked<()> {
        let names = permit.first_names();
        let (stage, anchor) = (names.stage(), names.anchor());
        // All to its end, also where one fails: nothing is left that comes into being later.
        let (epochs, staged, anchored) = join3(
            self.make_epochs(&format!("{stage}_epochs")),
            self.make_stage(&stage),
            self.make_anchor(&anchor),
        )
        .await;
        epochs.and(staged).and(anchored)?;
        failpoint::reach("after tables made");
        let rename = format!(".rename tables {} = {stage}, {} = {anchor}", permit.staging(), permit.anchor());
        let renamed = self.command(&rename).await;
        if renamed.is_err() {
            // Own names: nobody else's tables. What is left, if this fails, counts for nobody.
            let _ = self.command(&format!(".drop tables ({stage}, {anchor}) ifexists")).await;
        }
        renamed.map(drop)
    }

    async fn make_stage(&self, name: &str) -> Asked<()> {
        let columns = columns_text(&self.target_columns().await?);
        let about = format!("staging table of pipeline {} for {}", self.pipeline, self.target());
        let policies = [("merge", NO_MERGE), ("ingestionbatching", QUICK_BATCHES)];
        self.make(name, &columns, &about, &policies).await
    }

    async fn make_anchor(&self, name: &str) -> Asked<()> {
        let about =
            format!("tells that pipeline {} for {} exists; never renamed", self.pipeline, self.target());
        self.make(name, "Lineage:string", &about, &[]).await
    }

    /// Makes `kt_epochs` unless it is there, under another name first, so that it never is without its policies.
    async fn make_epochs(&self, beside: &str) -> Asked<()> {
        if self.has_epochs().await? {
            return Ok(());
        }
        self.make(beside, EPOCHS_COLUMNS, "claims, starts and intents of write-ahead pipelines", &[]).await?;
        failpoint::reach("after epochs made");
        let renamed = self.command(&format!(".rename table {beside} to {EPOCHS}")).await;
        if renamed.is_err() {
            let _ = self.command(&format!(".drop table {beside} ifexists")).await;
        }
        match self.has_epochs().await? {
            true => Ok(()),
            false => renamed.map(drop),
        }
    }

    /// Makes a table with these policies and those of all tables of the lineage.
    async fn make(&self, name: &str, columns: &str, about: &str, policies: &[(&str, &str)]) -> Asked<()> {
        let about = quote_string(about);
        let folder = quote_string(FOLDER);
        self.command(&format!(".create table {name} ({columns}) with (docstring={about}, folder={folder})"))
            .await?;
        let always = [("retention", NO_AGE), ("streamingingestion", r#"{"IsEnabled":false}"#)];
        let set = always.iter().chain(policies).map(|(kind, policy)| self.policy(name, kind, policy));
        join_all(set).await.into_iter().collect()
    }

    async fn policy(&self, table: &str, kind: &str, policy: &str) -> Asked<()> {
        let policy = quote_string(policy);
        self.command(&format!(".alter table {table} policy {kind} {policy}")).await.map(drop)
    }

    /// Renames the staging table.
    pub(in super::super) async fn rename(&self, permit: &RenamePermit) -> Asked<()> {
        let command = format!(".rename tables {} = {}", permit.to(), permit.from());
        self.command(&command).await.map(drop)
    }

    /// Gives the staging table, which is empty but for what nobody claims, the target's columns and their encoding policies.
    /// Returns these columns, and those whose policies cannot be copied.
    pub(in super::super) async fn align(&self, staging: StagingName) -> Asked<(Vec<Column>, Vec<String>)> {
        let name = staging.to_string();
        let (of_target, of_staging) = try_join(self.target_columns(), self.columns(&name)).await?;
        if of_target != of_staging {
            let columns = columns_text(&of_target);
            tracing::info!(staging = name, columns, "the staging table gets the target's columns");
            self.command(&format!(".alter table {name} ({columns})")).await?;
        }
        let left = self.align_encodings(staging, &of_target).await?;
        Ok((of_target, left))
    }

    /// Whether an error says that a table is gone.
    pub(in super::super) fn is_gone(error: &kusto_client::Error) -> bool {
        error.kind() == ErrorKind::NotFound
    }
}

fn columns_text(columns: &[Column]) -> String {
    let one = |column: &Column| format!("{}:{}", quote_name(&column.name), column.kind);
    columns.iter().map(one).collect::<Vec<_>>().join(", ")
}
