//! The doubles keep the promises of the seam, with and without faults, and do what a test orders.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use kusto_client::conformance::{self, Fixture};
use kusto_client::testing::{Counts, Fault, Faulty, MemoryService, Operation};
use kusto_client::{
    Blob, Effect, Error, ErrorKind, FailureStatus, Ingestion, IngestionState, IngestionStatus, Result,
    Service, Table, Ticket, UploadedBlob,
};
use uuid::Uuid;

use crate::support::ingestion_into;

fn fixture() -> Fixture {
    Fixture::new("db", "t")
}

fn blob(name: &str, body: &'static str) -> Blob {
    Blob {
        name: name.into(),
        body: Bytes::from_static(body.as_bytes()),
        rows: 1,
        raw_bytes: body.len() as u64,
    }
}

fn ingestion() -> Ingestion {
    ingestion_into("t")
}

async fn stored(service: &dyn Service, body: &'static str) -> UploadedBlob {
    service.upload(blob(&format!("{}.csv", Uuid::new_v4()), body)).await.unwrap()
}

#[tokio::test]
async fn the_memory_service_conforms() {
    conformance::all(&MemoryService::new(), &fixture()).await;
}

#[tokio::test]
async fn a_wrapper_without_orders_conforms() {
    conformance::all(&Faulty::new(MemoryService::new()), &fixture()).await;
}

#[tokio::test(start_paused = true)]
async fn a_wrapper_with_faults_conforms_whatever_the_seed() {
    for seed in 0..50 {
        println!("seed {seed}");
        let service = Faulty::seeded(MemoryService::new(), seed, 0.3);
        conformance::all(&service, &fixture()).await;
        assert!(service.counts(Operation::Queue).calls > service.inner().queued().len() / 2);
    }
}

#[tokio::test]
async fn rows_are_read_back_as_they_were_ingested() {
    let service = MemoryService::new();
    let blob = stored(&service, "a,b\n1,\"x,\"\"y\"\"\nz\"\n").await;
    let ingestion = Ingestion { ignore_first_record: true, ..ingestion() };
    service.queue(&ingestion, &blob).await.unwrap();
    assert_eq!(service.rows("db", "t"), [["1", "x,\"y\"\nz"]]);

    let json = Blob { name: "r.multijson".into(), ..self::blob("", "{\"a\":1}\n[{\"a\":2},{\"a\":3}]") };
    let blob = service.upload(json).await.unwrap();
    let ingestion = Ingestion { format: "multijson".into(), table: "j".into(), ..self::ingestion() };
    service.queue(&ingestion, &blob).await.unwrap();
    assert_eq!(service.json_rows("db", "j").len(), 3);
    assert_eq!(service.count("db", "j"), 3);
}

#[tokio::test]
async fn a_cluster_by_hand_ingests_only_when_told() {
    let service = MemoryService::by_hand();
    let blob = stored(&service, "1,x\n").await;
    let ticket = service.queue(&ingestion(), &blob).await.unwrap();
    assert_eq!(service.status(&ticket).await.unwrap().state, IngestionState::Pending);
    assert_eq!((service.backlog(), service.count("db", "t")), (1, 0));
    assert!(service.ingest_next());
    assert_eq!(service.status(&ticket).await.unwrap().state, IngestionState::Succeeded);
    assert!(!service.ingest_next());
}

#[tokio::test]
async fn scripted_statuses_losses_and_repeats_happen_in_order() {
    let service = MemoryService::new();
    service.fail_ingestion("General_InternalServerError", FailureStatus::Transient);
    let blob = stored(&service, "1,x\n").await;
    let ticket = service.queue(&ingestion(), &blob).await.unwrap();
    let status = service.status(&ticket).await.unwrap();
    assert_eq!((status.state, status.failure), (IngestionState::Failed, FailureStatus::Transient));

    service.lose_next(1);
    let ticket = service.queue(&ingestion(), &blob).await.unwrap();
    assert_eq!(service.status(&ticket).await.unwrap().state, IngestionState::Pending);
    assert_eq!(service.count("db", "t"), 0);

    service.deliver_twice(1);
    service.queue(&ingestion(), &blob).await.unwrap();
    assert_eq!(service.count("db", "t"), 2);
    service.drop_table("db", "t");
    let ticket = service.queue(&ingestion(), &blob).await.unwrap();
    let status = service.status(&ticket).await.unwrap();
    assert_eq!(status.error_code.as_deref(), Some("BadRequest_TableNotExist"));
}

#[tokio::test]
async fn faults_come_before_or_after_the_effect_and_say_so() {
    let service = Faulty::new(MemoryService::new());
    let blob = stored(&service, "1,x\n").await;
    service
        .fail_next(Operation::Queue, Fault::BeforeEffect(ErrorKind::Unreachable))
        .fail_next(Operation::Queue, Fault::AfterEffect(ErrorKind::Interrupted))
        .fail_next(Operation::Queue, Fault::RequestLost(ErrorKind::Timeout))
        .fail_next(Operation::Queue, Fault::Throttled(Duration::from_secs(3)))
        .fail_next(Operation::Queue, Fault::Twice)
        .fail_next(Operation::Queue, Fault::MessageLost);
    let mut rows = Vec::new();
    for effect in [Some(Effect::None), Some(Effect::Unknown), Some(Effect::Unknown), Some(Effect::None), None]
    {
        let result = service.queue(&ingestion(), &blob).await;
        assert_eq!(result.err().map(|error| error.effect()), effect);
        rows.push(service.inner().count("db", "t"));
    }
    assert_eq!(rows, [0, 1, 1, 1, 3]);
    let ticket = service.queue(&ingestion(), &blob).await.unwrap();
    assert_eq!(service.status(&ticket).await.unwrap().state, IngestionState::Pending);
    assert_eq!(service.inner().count("db", "t"), 3);
    assert_eq!(service.counts(Operation::Queue), Counts { calls: 6, faults: 6 });
}

#[test]
fn gates_give_a_test_the_order_without_sleeping() {
    let service = Faulty::new(MemoryService::new());
    service.hold(Operation::Upload).hold_answer(Operation::Upload);
    let other = service.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { other.upload(blob("a.csv", "1,x\n")).await.unwrap() })
    });
    service.wait_until_held(Operation::Upload, 1);
    assert!(service.inner().blobs().is_empty());
    service.let_pass(Operation::Upload, 1);
    let uploaded = thread.join().unwrap();
    assert_eq!(service.inner().blobs(), [uploaded.name]);
    assert_eq!(service.held(Operation::Upload), 0);
}

/// A service that breaks one promise.
#[derive(Debug)]
struct Liar {
    service: MemoryService,
    lie: Lie,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    /// Takes another body under a name that is taken, and refuses the repetition of the same (promise 1).
    RefusesRepetition,
    /// Stores the first bytes only (promise 2).
    StoresHalf,
    /// Leaves a message and says that it did not (promise 3).
    LeavesMessage,
    /// Knows nothing of a ticket that it gave (promise 4).
    ForgetsTickets,
    /// Calls a failure a success (promise 5).
    CallsFailureSuccess,
    /// Posts a message that the service has (promise 8).
    PostsBlindly,
    /// Answers a failed query with an empty table (promise 6).
    SwallowsFailure,
    /// Cannot tell whether a refused command was carried out (promise 7).
    KnowsNoEffect,
}

impl Service for Liar {
    fn upload(&self, mut blob: Blob) -> BoxFuture<'_, Result<UploadedBlob>> {
        let again = self.lie == Lie::RefusesRepetition && self.service.blobs().contains(&blob.name);
        if self.lie == Lie::StoresHalf && blob.rows > 100 {
            let half = blob.body.len() / 2;
            let end = blob.body[..half].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
            blob.body = blob.body.slice(..end);
        }
        async move {
            match again {
                true => Err(Error::new(ErrorKind::Conflict, "upload", "blob", "it is there")),
                false => self.service.upload(blob).await,
            }
        }
        .boxed()
    }

    fn queue<'a>(
        &'a self,
        ingestion: &'a Ingestion,
        blob: &'a UploadedBlob,
    ) -> BoxFuture<'a, Result<Ticket>> {
        async move {
            let known = self.service.queued().iter().any(|m| m.ingestion.source_id == ingestion.source_id);
            if self.lie == Lie::PostsBlindly && known {
                let fresh = Ingestion { source_id: Uuid::new_v4(), ..ingestion.clone() };
                self.service.queue(&fresh, blob).await?;
            }
            let result = self.service.queue(ingestion, blob).await;
            if let (Lie::LeavesMessage, Err(_)) = (self.lie, &result) {
                let small = Ingestion { mapping: None, ..ingestion.clone() };
                self.service.queue(&small, blob).await.unwrap();
            }
            result
        }
        .boxed()
    }

    fn status<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<IngestionStatus>> {
        async move {
            let mut status = self.service.status(ticket).await?;
            match self.lie {
                Lie::ForgetsTickets => {
                    return Err(Error::new(ErrorKind::NotFound, "read a status", "row", "no such row"));
                }
                Lie::CallsFailureSuccess => status.state = IngestionState::Succeeded,
                _ => {}
            }
            Ok(status)
        }
        .boxed()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a str) -> BoxFuture<'a, Result<Table>> {
        async move {
            let result = self.service.command(database, command).await;
            match self.lie {
                Lie::KnowsNoEffect => result.map_err(|error| error.with_effect(Effect::Unknown)),
                _ => result,
            }
        }
        .boxed()
    }

    fn query<'a>(&'a self, database: &'a str, query: &'a str) -> BoxFuture<'a, Result<Vec<Table>>> {
        async move {
            match (self.service.query(database, query).await, self.lie) {
                (Err(_), Lie::SwallowsFailure) => Ok(vec![Table::default()]),
                (result, _) => result,
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn the_suite_finds_every_broken_promise() {
    for (lie, promise) in [
        (Lie::RefusesRepetition, "Conflict"),
        (Lie::StoresHalf, "promise 2"),
        (Lie::LeavesMessage, "promise 3"),
        (Lie::ForgetsTickets, "no such row"),
        (Lie::CallsFailureSuccess, "promise 5"),
        (Lie::PostsBlindly, "promise 8"),
        (Lie::SwallowsFailure, "promise 6"),
        (Lie::KnowsNoEffect, "promise 7"),
    ] {
        let run = tokio::spawn(async move {
            let fixture = Fixture { failing_query: Some("no query".into()), ..fixture() };
            conformance::all(&Liar { service: MemoryService::new(), lie }, &fixture).await;
        });
        let panic = run.await.expect_err("the suite must fail").into_panic();
        let constant = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
        let said = panic.downcast_ref::<String>().cloned().or(constant).expect("a message");
        assert!(said.contains(promise), "{lie:?}: {said}");
    }
}
