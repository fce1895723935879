//! Faults of the service that end in delivery.

use std::time::Duration;

use kusto_client::testing::{Fault, Faulty, MemoryService, Operation};
use kusto_client::{ErrorKind, FailureStatus, IngestionState, IngestionStatus};
use timely_kusto::SinkError;

use crate::support::{DATABASE, TABLE, faulty, options, reading, send, sink, table};

fn status(state: IngestionState, code: Option<&str>) -> IngestionStatus {
    IngestionStatus {
        state,
        failure: FailureStatus::Unknown,
        error_code: code.map(str::to_owned),
        details: None,
        operation_id: None,
        activity_id: None,
    }
}

#[test]
fn what_surely_did_not_happen_is_repeated_and_every_row_is_there_once() {
    for operation in [Operation::Upload, Operation::Queue, Operation::Status] {
        for fault in [Fault::BeforeEffect(ErrorKind::Unreachable), Fault::Throttled(Duration::from_millis(3))]
        {
            let (memory, service) = faulty();
            service.fail_times(operation, 3, fault.clone());
            let outcomes = send(&sink(service.clone(), options()), 1, 0..10);
            assert!(outcomes[0].is_ok(), "{operation:?} {fault:?}: {outcomes:?}");
            assert!(outcomes[0].as_ref().unwrap().retries >= 3);
            assert_eq!(table(&memory), (0..10).map(reading).collect::<Vec<_>>());
        }
    }
}

#[test]
fn an_upload_whose_answer_is_lost_is_repeated_under_its_name_and_does_no_harm() {
    let (memory, service) = faulty();
    service.fail_times(Operation::Upload, 2, Fault::AfterEffect(ErrorKind::Interrupted));
    assert!(send(&sink(service, options()), 1, 0..10)[0].is_ok());
    assert_eq!(memory.bodies(DATABASE, TABLE).len(), 1);
    assert_eq!(table(&memory), (0..10).map(reading).collect::<Vec<_>>());
}

#[test]
fn a_post_whose_request_is_lost_is_repeated_at_once_under_the_same_id() {
    let (memory, service) = faulty();
    service.fail_next(Operation::Queue, Fault::RequestLost(ErrorKind::Interrupted));
    assert!(send(&sink(service, options()), 1, 0..10)[0].is_ok());
    assert_eq!(table(&memory), (0..10).map(reading).collect::<Vec<_>>());
}

#[test]
fn a_post_whose_answer_is_lost_is_not_made_again_once_the_service_says_that_it_has_the_message() {
    let (memory, service) = faulty();
    service.fail_next(Operation::Queue, Fault::AfterEffect(ErrorKind::Interrupted));
    assert!(send(&sink(service, options()), 1, 0..10)[0].is_ok());
    assert_eq!(table(&memory), (0..10).map(reading).collect::<Vec<_>>());
}

#[test]
fn an_ingestion_that_failed_and_may_pass_is_queued_again_with_the_same_blob() {
    let service = MemoryService::new();
    service.fail_ingestion("General_ThrottledIngestion", FailureStatus::Transient);
    service.fail_ingestion("General_RetryAttemptsExceeded", FailureStatus::Exhausted);
    assert!(send(&sink(service.clone(), options()), 1, 0..10)[0].is_ok());
    assert_eq!(service.bodies(DATABASE, TABLE).len(), 1);
    assert_eq!(table(&service), (0..10).map(reading).collect::<Vec<_>>());
}

#[test]
fn a_failure_that_the_service_tries_again_itself_is_waited_for() {
    let service = MemoryService::by_hand();
    let patient = options().retry_backoff(kusto_client::Backoff {
        initial: Duration::from_millis(1),
        max: Duration::from_secs(3600),
    });
    let counted = Faulty::new(service.clone());
    let sink = sink(counted.clone(), patient);
    let sender = std::thread::spawn(move || send(&sink, 1, 0..10));
    while service.backlog() == 0 {
        std::thread::yield_now();
    }
    let id = service.queued()[0].ingestion.source_id;
    let failed = IngestionStatus {
        failure: FailureStatus::Transient,
        ..status(IngestionState::Failed, Some("General_ThrottledIngestion"))
    };
    service.set_status(id, failed);
    let seen = counted.count(Operation::Status);
    while counted.count(Operation::Status) < seen + 2 {
        std::thread::yield_now(); // until the sink has seen the failure
    }
    service.ingest_all(); // the service's own next attempt
    service.set_status(id, status(IngestionState::Succeeded, None));
    assert!(sender.join().unwrap()[0].is_ok());
    assert_eq!(service.queued().len(), 1);
    assert_eq!(table(&service), (0..10).map(reading).collect::<Vec<_>>());
}

#[test]
fn a_partial_success_is_a_failure_and_is_not_sent_again() {
    let service = MemoryService::new();
    service.script_status(status(IngestionState::PartiallySucceeded, None));
    let error = send(&sink(service.clone(), options()), 1, 0..10).remove(0).unwrap_err();
    assert!(error.to_string().contains("not sent again"), "{error}");
    assert_eq!((service.backlog(), table(&service).len()), (0, 0));
}

#[test]
fn skipped_rows_count_apart_and_only_when_that_was_asked_for() {
    for skipped in [
        status(IngestionState::Skipped, None),
        status(IngestionState::Failed, Some("Skipped_IngestByTagAlreadyExists")),
    ] {
        let service = MemoryService::new();
        service.script_status(skipped.clone());
        let wanted = options().ingest_by_tags(["day-1"]).ingest_if_not_exists(["day-1"]);
        let stats = *send(&sink(service, wanted), 1, 0..10)[0].as_ref().unwrap();
        assert_eq!((stats.rows_skipped, stats.rows_delivered), (10, 0));

        let service = MemoryService::new();
        service.script_status(skipped);
        let error = send(&sink(service, options()), 1, 0..10).remove(0).unwrap_err();
        assert!(matches!(*error, SinkError::Ingestion { .. }), "{error}");
    }
}

#[test]
fn attempts_are_bounded_and_the_error_counts_them() {
    let (memory, service) = faulty();
    service.fail_always(Operation::Upload, Fault::BeforeEffect(ErrorKind::Unreachable));
    let error = send(&sink(service.clone(), options().retry_attempts(4)), 1, 0..10).remove(0).unwrap_err();
    assert!(error.to_string().contains("after 4 attempts"), "{error}");
    assert_eq!(service.count(Operation::Upload), 4);
    assert_eq!(table(&memory).len(), 0);
}

#[test]
fn under_seeded_faults_no_row_is_lost() {
    for round in 0..5 {
        let replay = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = replay.unwrap_or_else(rand::random::<u64>);
        println!("SEED={seed} (round {round})");
        let memory = MemoryService::new();
        let service = Faulty::seeded(memory.clone(), seed, 0.2);
        let options = options().batch_rows(100).poll_timeout(Duration::from_secs(60));
        let sink = sink(service.clone(), options);
        let outcomes = send(&sink, 2, 0..5_000);
        service.heal();
        let mut rows = table(&memory);
        rows.dedup();
        let delivered = sink.stats().rows_delivered;
        assert!(delivered <= rows.len() as u64, "SEED={seed}: {delivered} delivered, {} there", rows.len());
        if outcomes.iter().all(Result::is_ok) {
            assert_eq!(rows, (0..5_000).map(reading).collect::<Vec<_>>(), "SEED={seed}");
        }
    }
}
