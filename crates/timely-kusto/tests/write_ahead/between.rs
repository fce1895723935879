//! A service between the sink and the cluster: answers that a cluster never gives here, and defects.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use kusto_client::{Blob, Client, Ingestion, IngestionStatus, Result, Service, Table, Ticket, UploadedBlob};
use timely_kusto::{WriteAhead, WriteAheadOptions};

use crate::support::*;

/// Passes everything on, except what a test changes.
struct Between {
    client: Client,
    before: fn(&str),
    after: fn(&str, Table) -> Table,
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.client.fmt(f)
    }
}

impl Service for Between {
    fn upload(&self, blob: Blob) -> BoxFuture<'_, Result<UploadedBlob>> {
        (self.before)("upload");
        self.client.upload(blob)
    }

    fn queue<'a>(
        &'a self,
        ingestion: &'a Ingestion,
        blob: &'a UploadedBlob,
    ) -> BoxFuture<'a, Result<Ticket>> {
        self.client.queue(ingestion, blob)
    }

    fn status<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<IngestionStatus>> {
        self.client.status(ticket)
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a str) -> BoxFuture<'a, Result<Table>> {
        (self.before)(command);
        let answer = self.client.command(database, command);
        answer.map(|answer| answer.map(|table| (self.after)(command, table))).boxed()
    }

    fn query<'a>(&'a self, database: &'a str, query: &'a str) -> BoxFuture<'a, Result<Vec<Table>>> {
        self.client.query(database, query)
    }
}

fn ahead(place: &Place, before: fn(&str), after: fn(&str, Table) -> Table) -> WriteAhead {
    let client = Client::connect(place.connection()).unwrap();
    let options = WriteAheadOptions::new("numbers", place.state.path());
    let service = Arc::new(Between { client, before, after });
    WriteAhead::with_service(service, write().build().unwrap(), options).unwrap()
}

#[track_caller]
fn all_say_that_it_broke(outcomes: Vec<Outcome>) {
    for outcome in outcomes {
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains("is a defect") && text.contains("on purpose"), "{text}");
    }
}

#[test]
fn a_panic_while_a_start_is_under_way_ends_it_on_all_workers() {
    let place = Place::new();
    let panics = |what: &str| assert!(!what.starts_with(".rename"), "on purpose");
    all_say_that_it_broke(send(&ahead(&place, panics, |_, table| table), 2, 30, 10));
}

#[test]
fn a_panic_while_a_chunk_is_staged_ends_the_run_on_all_workers() {
    let place = Place::new();
    let panics = |what: &str| assert!(what != "upload", "on purpose");
    all_say_that_it_broke(send(&ahead(&place, panics, |_, table| table), 2, 30, 10));
    all_well(&send(&place.ahead(), 2, 30, 10));
    place.holds(0..30);
}

#[test]
fn a_panic_of_what_commits_ends_the_other_processes_too() {
    let place = Place::new();
    let elsewhere = tempfile::TempDir::new().unwrap();
    let panics = |what: &str| assert!(!what.starts_with(".move"), "on purpose");
    let processes = [ahead(&place, panics, |_, table| table), place.ahead_elsewhere(&elsewhere)];
    all_say_that_it_broke(on_workers(2, move |worker| {
        let mut run = Run::open(worker, &processes[worker.index()])?;
        run.feed(u64::MAX, 5);
        run.finish(worker)
    }));
}

#[test]
fn an_ingestor_of_a_table_that_is_called_admins_is_not_taken_for_an_admin() {
    let place = Place::new();
    let roles = |command: &str, mut table: Table| {
        if command.starts_with(".show table ") && command.ends_with("principal roles") {
            let role = table.position("Role").unwrap();
            table.rows.iter_mut().for_each(|row| row[role] = "Table Admins Ingestor".into());
        }
        table
    };
    for outcome in send(&ahead(&place, |_| {}, roles), 1, 30, 10) {
        let error = outcome.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains("Table Admin on"), "{error}");
    }
}
