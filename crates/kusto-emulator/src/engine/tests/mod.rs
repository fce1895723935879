//! The engine from outside: commands as text, blobs as bytes, answers as rows. A test is named by the statement it shows.

mod assumptions;
mod documented;
mod extent_tags;
mod extents;
mod functions;
mod hostile;
mod ingestion;
mod mappings;
mod merges;
mod model;
mod persistence;
mod policies;
mod queries;
mod roles;
mod switches;
mod tables;
mod upkeep;
mod views;
mod zip;

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::*;
use crate::clock::ManualClock;

/// Blobs by address.
#[derive(Debug, Default)]
struct Blobs(Mutex<HashMap<String, Vec<u8>>>);

impl BlobReader for Blobs {
    fn open(&self, url: &str) -> Result<Box<dyn Read + Send>, IngestFailure> {
        let found = self.0.lock().unwrap().get(url).cloned();
        let missing = || IngestFailure::permanent("Download_SourceNotFound", "no such blob");
        found.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>).ok_or_else(missing)
    }
}

/// An engine with the database `db`, a clock that stands still, and blobs.
struct Cluster {
    engine: Engine,
    clock: ManualClock,
    blobs: Arc<Blobs>,
    caller: Principal,
}

impl Cluster {
    fn new() -> Self {
        Self::open(None, Access::Open).unwrap()
    }

    fn by_role() -> Self {
        Self::open(None, Access::ByRole).unwrap()
    }

    fn open(data_dir: Option<&Path>, access: Access) -> Result<Self, StoreError> {
        let clock = ManualClock::default();
        let blobs = Arc::new(Blobs::default());
        let engine = Engine::new(EngineOptions {
            clock: Arc::new(clock.clone()),
            seed: Seed::new(7),
            data_dir: data_dir.map(Path::to_owned),
            access,
            blobs: Arc::clone(&blobs) as Arc<dyn BlobReader>,
            assumptions: Assumptions::default(),
        })?;
        engine.create_database("db").unwrap();
        let caller = admin();
        engine.add_cluster_admin(&caller).unwrap();
        Ok(Self { engine, clock, blobs, caller })
    }

    fn context(&self, principal: &Principal) -> RequestContext {
        RequestContext {
            principal: principal.clone(),
            client_request_id: "test".into(),
            activity_id: Uuid::nil(),
            mischief: Mischief::default(),
        }
    }

    fn try_as(&self, principal: &Principal, command: &str) -> EngineResult<ResultTable> {
        self.engine.execute(&self.context(principal), "db", command, &RequestProperties::default())
    }

    fn try_run(&self, command: &str) -> EngineResult<ResultTable> {
        self.try_as(&self.caller, command)
    }

    /// Works on the `async` commands whose time has come.
    fn work_off(&self) {
        while let Some(operation) = self.engine.take_due_operation() {
            self.engine.run_operation(&operation);
        }
    }

    /// Runs a command that must succeed.
    fn run(&self, command: &str) -> ResultTable {
        self.try_run(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Runs a command that must fail.
    fn refused(&self, command: &str) -> EngineError {
        match self.try_run(command) {
            Ok(table) => panic!("{command} gave {}", json_rows(&table)),
            Err(error) => error,
        }
    }

    /// The rows of a table, as answers show them, in the order of ingestion.
    fn content(&self, table: &str) -> Json {
        let state = self.engine.snapshot();
        let table = state.database("db").unwrap().table(table).unwrap();
        let mut rows = Vec::new();
        for extent in &table.extents {
            let stored = self.engine.extents.columns(extent).unwrap();
            for row in 0..usize::try_from(extent.rows).unwrap() {
                let values = table.schema.columns.iter().map(|column| {
                    let mut text = String::new();
                    match extent.position(&column.name, column.ty) {
                        Some(at) => stored[at].write_json(row, &mut text),
                        None => text.push_str("null"),
                    }
                    serde_json::from_str(&text).unwrap()
                });
                rows.push(Json::Array(values.collect()));
            }
        }
        Json::Array(rows)
    }

    fn count(&self, table: &str) -> u64 {
        self.engine.snapshot().database("db").unwrap().table(table).unwrap().row_count()
    }

    fn tables(&self) -> Vec<String> {
        self.engine.snapshot().database("db").unwrap().tables.keys().cloned().collect()
    }

    fn put(&self, url: &str, bytes: impl Into<Vec<u8>>) {
        self.blobs.0.lock().unwrap().insert(url.to_owned(), bytes.into());
    }

    /// Ingests blobs that were put, as data management does.
    fn ingest(&self, table: &str, properties: &Json, urls: &[&str]) -> Result<IngestOutcome, IngestFailure> {
        self.ingest_as(&self.caller, table, properties, urls)
    }

    fn ingest_as(
        &self,
        principal: &Principal,
        table: &str,
        properties: &Json,
        urls: &[&str],
    ) -> Result<IngestOutcome, IngestFailure> {
        let source = |url: &&str| IngestSource { url: (*url).to_owned(), id: Uuid::nil() };
        self.engine.ingest(IngestRequest {
            principal: principal.clone(),
            database: "DB".into(),
            table: table.into(),
            properties: IngestionProperties::from_json(properties.as_object().unwrap())?,
            sources: urls.iter().map(source).collect(),
            activity_id: Uuid::nil(),
            queued: true,
            mischief: Mischief::default(),
        })
    }

    /// Ingests one text; the failure of the source, if there is one.
    fn ingest_text(
        &self,
        table: &str,
        properties: &Json,
        text: impl Into<Vec<u8>>,
    ) -> Result<u64, IngestFailure> {
        self.put("http://h/c/blob?sig=secret", text);
        let outcome = self.ingest(table, properties, &["http://h/c/blob?sig=secret"])?;
        match &outcome.sources[0] {
            SourceOutcome::Ingested { rows } => Ok(*rows),
            SourceOutcome::Failed(failure) => Err(failure.clone()),
        }
    }

    /// Ids of a table's extents, in order.
    fn extents(&self, table: &str) -> Vec<Uuid> {
        let state = self.engine.snapshot();
        let table = state.database("db").unwrap().table(table).unwrap();
        table.extents.iter().map(|extent| extent.id).collect()
    }
}

fn admin() -> Principal {
    Principal::application("the-admin", "contoso.com")
}

/// All rows of an answer.
fn json_rows(table: &ResultTable) -> Json {
    let row = |row| {
        let mut text = String::new();
        table.write_row_json(row, &mut text);
        serde_json::from_str(&text).unwrap()
    };
    Json::Array((0..table.rows).map(row).collect())
}

/// One column of an answer.
fn column(table: &ResultTable, name: &str) -> Vec<Json> {
    let at = table.schema.index_of(name).unwrap_or_else(|| panic!("no column {name}"));
    json_rows(table).as_array().unwrap().iter().map(|row| row[at].clone()).collect()
}

fn column_names(table: &ResultTable) -> Vec<&str> {
    table.schema.columns.iter().map(|column| column.name.as_str()).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn none() -> Json {
    Json::Object(Map::new())
}

#[test]
fn equal_seeds_and_requests_give_equal_ids() {
    let ids = || {
        let cluster = Cluster::new();
        cluster.run(".create table T (a:long)");
        cluster.run(".ingest inline into table T <| 1");
        cluster.extents("T")
    };
    assert_eq!(ids(), ids());
}

#[test]
fn a_command_nobody_knows_is_a_permanent_400_that_names_it() {
    let cluster = Cluster::new();
    for (command, named) in [
        (".frobnicate table T", "frobnicate"),
        (".show moons", "moons"),
        (".create table T (a:long) nonsense", "nonsense"),
        (".create table T (a:long) with (colour='red')", "colour"),
        ("T | count", "'.'"),
    ] {
        let error = cluster.refused(command);
        assert_eq!((error.status, error.permanent), (400, true), "{command}");
        assert!(error.detail.contains(named), "{command}: {error}");
        assert!(error.detail.starts_with("Request is invalid and cannot be processed: "), "{error}");
    }
    assert_eq!(cluster.tables(), Vec::<String>::new());
}

#[test]
fn an_async_command_answers_with_an_operation_whose_details_are_its_rows() {
    let cluster = Cluster::new();
    cluster.run(".create table S (a:long)");
    cluster.run(".create table D (a:long)");
    cluster.run(".ingest inline into table S <| 1");
    let started = cluster.run(".move async extents all from table S to table D");
    assert_eq!(column_names(&started), ["OperationId"]);
    let id = column(&started, "OperationId")[0].as_str().unwrap().to_owned();
    cluster.work_off();
    let shown = cluster.run(&format!(".show operations {id}"));
    assert_eq!(column(&shown, "State"), [json!("Completed")]);
    let details = cluster.run(&format!(".show operation {id} details"));
    assert_eq!(column_names(&details), ["OriginalExtentId", "ResultExtentId", "Details"]);
    assert_eq!(cluster.count("D"), 1);
}

#[test]
fn show_version_says_that_this_is_an_engine() {
    let shown = Cluster::new().run(".show version");
    assert_eq!(column_names(&shown), ["BuildVersion", "BuildTime", "ServiceType", "ProductVersion"]);
    assert_eq!(column(&shown, "ServiceType"), [json!("Engine")]);
}

#[test]
fn what_the_service_has_and_the_local_cluster_does_not_is_refused_with_what_to_do_instead() {
    let cluster = Cluster::new();
    for (command, instead) in [
        (".undo drop table T version=v1.2", "keep a copy"),
        (".alter materialized-view V on table T { T }", "drop the view"),
        (".execute database script <| .show tables", "one by one"),
        (".delete table T records <| T", "drop extents"),
        (".ingest-from-storage-queued into table database('db').T", "queue"),
    ] {
        let refused = cluster.refused(command);
        assert!(refused.detail.contains(instead) && refused.permanent, "{command}: {refused}");
    }
}
