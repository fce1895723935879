//! Ingestion: blobs and inline text become extents.
//!
//! ```text
//!   blob ─► source.rs: decompress, limits ─► delimited.rs | lines.rs | json.rs: records ─► columns.rs: one builder per column
//!                                                                                              │
//!   table, extents, tags ◄── one transaction ◄── extent files ◄── one extent per batch ◄───────┘ per source, or its failure
//! ```
//!
//! A source that fails leaves nothing behind; the others of its batch are ingested. Values that do not fit their column
//! become null, long ones are cut, and malformed lines of `json` are skipped, all in silence, as the service does
//! (`MicrosoftDocs/dataexplorer-docs data-explorer/ingest-invalid-data.md`).

mod columns;
mod commit;
mod counted;
mod delimited;
mod identity;
mod json;
mod lines;
mod plan;
mod source;
mod zip;

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use super::Engine;
use super::batch::{
    IngestFailure, IngestOutcome, IngestRequest, IngestSource, SourceOutcome, without_secret,
};
use super::catalog::{Database, Table};
use super::log::FailedIngestion;
use super::principal::Principal;
use super::roles::{Rights, TableAction};
use crate::assumptions::{BlobsVisible, FailedSources};
use crate::holds::HoldPoint;
use columns::Columns;
pub(crate) use commit::{NewExtent, Target, refuse_at_commit, refuse_if_ingested, write};
pub(crate) use counted::CountedRows;
use plan::Plan;

/// See [`Engine::ingest`].
pub(super) fn run(engine: &Engine, request: IngestRequest) -> Result<IngestOutcome, IngestFailure> {
    let operation = Operation { engine, request: &request, id: engine.new_id(), started: engine.now() };
    let result = operation.run();
    operation.record(&result);
    result
}

/// See [`Engine::check_ingestion`].
pub(super) fn check(
    engine: &Engine,
    who: &Principal,
    database: &str,
    table: &str,
) -> Result<(), IngestFailure> {
    resolve(engine, who, (database, table), true).map(drop)
}

/// The entities that a request names, if the caller may ingest into them. Queued ingestion may know names late.
fn resolve(
    engine: &Engine,
    caller: &Principal,
    (database, table): (&str, &str),
    queued: bool,
) -> Result<(Arc<Database>, Arc<Table>), IngestFailure> {
    let state = engine.snapshot();
    let lag = engine.assumptions().ingestion_learns_names_after;
    let known = if queued { engine.seen_after(lag) } else { Arc::clone(&state) };
    let found = state.find_database(database).map(Arc::clone).ok_or_else(|| {
        IngestFailure::permanent(
            "BadRequest_DatabaseNotExist",
            format!("database '{database}' does not exist"),
        )
    })?;
    let known = known.find_database(database).and_then(|database| database.tables.get(table));
    let known = known.and_then(|table| found.table_by_id(table.id));
    let table = known.or_else(|| engine.formerly(&found, table)).map(Arc::clone).ok_or_else(|| {
        let message = format!("table '{table}' does not exist in database '{}'", found.name);
        IngestFailure::permanent("BadRequest_TableNotExist", message)
    })?;
    let rights = Rights { access: engine.access, state: &state, caller, arrival: None };
    rights
        .on_table(&found, &table, TableAction::Ingest)
        .map_err(|error| IngestFailure::permanent("Forbidden", error.detail))?;
    Ok((found, table))
}

struct Operation<'a> {
    engine: &'a Engine,
    request: &'a IngestRequest,
    id: uuid::Uuid,
    started: i64,
}

impl Operation<'_> {
    fn run(&self) -> Result<IngestOutcome, IngestFailure> {
        let request = self.request;
        let names = (request.database.as_str(), request.table.as_str());
        let (database, table) = resolve(self.engine, &request.principal, names, request.queued)?;
        request.mischief.reach(HoldPoint::Resolved)?;
        refuse_if_ingested(&table, &request.properties)?;
        let mut seen = HashSet::new();
        let mut outcomes = Vec::with_capacity(request.sources.len());
        let mut read = Vec::new();
        for source in &request.sources {
            let parsed = if seen.insert(source.url.as_str()) {
                self.read(&database, &table, source)
            } else {
                Err(IngestFailure::permanent(
                    "BlobAlreadyReceived_BlobAlreadyFoundInBatch",
                    format!("blob '{}' stands in the batch twice", without_secret(&source.url)),
                ))
            };
            outcomes.push(match &parsed {
                Ok(columns) => SourceOutcome::Ingested { rows: columns.rows() },
                Err(failure) => SourceOutcome::Failed(failure.clone()),
            });
            read.extend(parsed.ok().filter(|columns| columns.rows() > 0));
        }
        if self.engine.assumptions().failed_sources == FailedSources::VoidTheCommand && !request.queued {
            refuse_if_any_failed(&outcomes)?;
        }
        let extents = self.commit(&database, &table, read)?;
        Ok(IngestOutcome { operation_id: self.id, extents, sources: outcomes })
    }

    /// Makes the rows visible, in as many extents and steps as are assumed.
    fn commit(
        &self,
        database: &Database,
        table: &Table,
        read: Vec<Columns>,
    ) -> Result<Vec<uuid::Uuid>, IngestFailure> {
        let (assumed, request) = (self.engine.assumptions(), self.request);
        let mut new = NewExtent::merged(read, &table.schema);
        if assumed.extents_per_ingestion > 1 {
            new = new.iter().flat_map(|extent| extent.parts(assumed.extents_per_ingestion.into())).collect();
        }
        let (engine, caller, properties) = (self.engine, &request.principal, &request.properties);
        let target = Target { engine, caller, database, table, properties, mischief: &request.mischief };
        match assumed.blobs_visible {
            BlobsVisible::AtOnce => target.commit(new),
            BlobsVisible::InTwoSteps => target.commit_in_steps(new),
        }
    }

    fn read(
        &self,
        database: &Database,
        table: &Table,
        source: &IngestSource,
    ) -> Result<Columns, IngestFailure> {
        identity::check(self.engine, &self.engine.snapshot(), database, &source.url, self.request.queued)?;
        let plan = self.engine.plan(database, table, &self.request.properties, &source.url)?;
        let blob = self.engine.blobs.open(&source.url)?;
        read_source(&plan, table, blob, &source.url, &self.request.properties)
    }

    fn record(&self, result: &Result<IngestOutcome, IngestFailure>) {
        let (state, status) = match result {
            Ok(_) => ("Completed", String::new()),
            Err(failure) => ("Failed", failure.to_string()),
        };
        self.engine.log.operation(super::log::Operation {
            id: self.id,
            kind: "DataIngestPull".into(),
            database: self.request.database.clone(),
            principal: self.request.principal.fqn(),
            started: self.started,
            updated: self.engine.now(),
            state: state.into(),
            status,
            details: None,
        });
        match result {
            Err(failure) => {
                self.request.sources.iter().for_each(|source| self.record_failure(source, failure))
            }
            Ok(outcome) => {
                for (source, outcome) in self.request.sources.iter().zip(&outcome.sources) {
                    if let SourceOutcome::Failed(failure) = outcome {
                        self.record_failure(source, failure);
                    }
                }
            }
        }
    }

    fn record_failure(&self, source: &IngestSource, failure: &IngestFailure) {
        self.engine.log.failure(FailedIngestion {
            operation_id: self.id,
            operation_kind: "DataIngestPull".into(),
            activity_id: self.request.activity_id,
            database: self.request.database.clone(),
            table: self.request.table.clone(),
            failed_on: self.engine.now(),
            source: without_secret(&source.url).to_owned(),
            principal: self.request.principal.fqn(),
            sources: self.request.sources.len(),
            properties: self.request.properties.summary(),
            code: failure.code.into(),
            message: failure.message.clone(),
            permanent: failure.permanent,
        });
        let (source, database, table) = (source.id, &self.request.database, &self.request.table);
        tracing::debug!(%source, database, table, %failure, "a source was not ingested");
    }
}

impl Engine {
    /// How to read a source into a table, by what is assumed now.
    fn plan(
        &self,
        database: &Database,
        table: &Table,
        properties: &super::IngestionProperties,
        url: &str,
    ) -> Result<Plan, IngestFailure> {
        let assumed = self.assumptions();
        let (ragged, gzip_members) = (assumed.ragged_records, assumed.gzip_members);
        Ok(Plan { ragged, gzip_members, ..Plan::new(database, table, properties, url)? })
    }
}

fn refuse_if_any_failed(outcomes: &[SourceOutcome]) -> Result<(), IngestFailure> {
    let failed = outcomes.iter().find_map(|outcome| match outcome {
        SourceOutcome::Failed(failure) => Some(failure.clone()),
        SourceOutcome::Ingested { .. } => None,
    });
    failed.map_or(Ok(()), Err)
}

/// All rows of a source as columns of the table, or why there are none.
fn read_source(
    plan: &Plan,
    table: &Table,
    blob: Box<dyn Read + Send>,
    url: &str,
    properties: &super::IngestionProperties,
) -> Result<Columns, IngestFailure> {
    let mut input = source::open(blob, url, properties, plan.gzip_members)?;
    let mut columns = Columns::new(&table.schema);
    plan.read(&mut input, &mut columns)?;
    columns.finish(input.total())
}

/// Text that came with a command, as columns of the table.
pub(super) fn read_inline(
    engine: &Engine,
    database: &Database,
    table: &Table,
    text: &str,
    properties: &super::IngestionProperties,
) -> Result<Columns, IngestFailure> {
    let plan = engine.plan(database, table, properties, "inline")?;
    read_source(&plan, table, Box::new(std::io::Cursor::new(text.as_bytes().to_vec())), "inline", properties)
}
