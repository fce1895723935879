//! Storage that is slow, down, or closed.

use std::time::Duration;

use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule};
use timely_kusto::SinkV2;
use timely_kusto_tests::until;

use crate::rig::{DATABASE, ROWS, Rig, options, rows, says, send, send_more};

const HOUR: Duration = Duration::from_secs(3600);

/// The names of the storage accounts, in order; the first one has the status table.
fn accounts(rig: &Rig) -> Vec<String> {
    rig.send().unwrap();
    rig.handle.command(DATABASE, ".clear table T data").unwrap();
    let requests = rig.handle.requests().into_iter();
    let of = |endpoint| {
        let account = move |scope: String| scope.split('/').next().unwrap().to_owned();
        requests.clone().filter(move |it| it.endpoint == endpoint).map(move |it| account(it.scope))
    };
    let first = of(Endpoint::Table).next().unwrap();
    let number: usize = first.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    let prefix = first.trim_end_matches(|c: char| c.is_ascii_digit());
    (number..number + 3).map(|number| format!("{prefix}{number}")).collect()
}

#[test]
fn slow_storage_delays_and_loses_nothing() {
    let rig = Rig::new();
    for endpoint in [Endpoint::Blob, Endpoint::Queue, Endpoint::Table] {
        let slow = Fault::Delay(Duration::from_millis(200));
        rig.handle.add_fault(FaultRule::new(endpoint, slow));
    }
    rig.send().unwrap();
    rig.has_every_row_once("slow");
}

#[test]
fn an_account_that_is_down_is_left_alone_after_its_first_failures() {
    for fault in [Fault::Refuse, Fault::Fail { status: 500, retry_after: None }] {
        let rig = Rig::with(|builder| builder.storage_accounts(3).batching_time(Duration::from_millis(5)));
        let down = accounts(&rig).swap_remove(1);
        let rule = |endpoint| FaultRule::new(endpoint, fault).scope(format!("{down}/"));
        let blobs = rig.handle.add_fault(rule(Endpoint::Blob));
        rig.handle.add_fault(rule(Endpoint::Queue));
        let one_by_one = options().batch_rows(5).uploads(1);
        let sink = send(&rig.connection(), one_by_one, rows(0..ROWS)).unwrap();
        rig.has_every_row_once("one account down");
        assert!(sink.stats().blobs == 20 && blobs.count() <= 1, "{} of 20 uploads went there", blobs.count());
    }
}

#[test]
fn the_account_of_the_status_table_down_before_the_message_means_that_nothing_was_queued() {
    let rig = Rig::new();
    rig.handle.add_fault(FaultRule::new(Endpoint::Table, Fault::Refuse));
    let error = send(&rig.connection(), options().retry_attempts(3), rows(0..ROWS)).map(drop).unwrap_err();
    says(&error, &["rows for Samples.T are not delivered after 3 attempts", "status row", "connection to"]);
    assert_eq!(rig.requests(Endpoint::Queue, "PutMessage"), 0);
}

#[test]
fn the_account_of_the_status_table_down_after_the_message_means_that_the_rows_may_be_there() {
    let rig = Rig::new();
    rig.handle.add_fault(FaultRule::new(Endpoint::Table, Fault::Refuse).operation("GetEntity"));
    let error = send(&rig.connection(), options().retry_attempts(3), rows(0..ROWS)).map(drop).unwrap_err();
    says(&error, &["what became of them cannot be read after 3 attempts", "they may still arrive"]);
}

#[test]
fn signatures_and_tokens_that_expired_are_fetched_again() {
    let clock = kusto_emulator::clock::ManualClock::default();
    let own = clock.clone();
    let rig = Rig::with(|builder| {
        builder.clock(own).batching_time(Duration::from_secs(1)).sas_lifetime(HOUR).token_lifetime(HOUR)
    });
    std::thread::scope(|scope| {
        let first = scope.spawn(|| send(&rig.connection(), options(), rows(0..ROWS / 2)).unwrap());
        rig.pump(&clock, &first);
        let sink = first.join().unwrap();
        clock.advance(HOUR * 2);
        rig.handle.forget_requests();
        let second = scope.spawn(move || send_more(&sink, rows(ROWS / 2..ROWS)).unwrap());
        rig.pump(&clock, &second);
        second.join().unwrap();
    });
    assert_eq!(rig.requests(Endpoint::SignIn, "Token"), 1, "one new token");
    assert!(rig.requests(Endpoint::Management, ".get ingestion resources") >= 2, "refused, and asked again");
    rig.has_every_row_once("expired");
}

#[test]
fn a_signature_that_is_refused_once_is_replaced() {
    let refused = Fault::Fail { status: 403, retry_after: None };
    for (endpoint, operation) in [
        (Endpoint::Blob, "PutBlob"),
        (Endpoint::Queue, "PutMessage"),
        (Endpoint::Table, "InsertEntity"),
        (Endpoint::Table, "GetEntity"),
    ] {
        let rig = Rig::new();
        let hits = rig.fault(endpoint, operation, refused, 1);
        rig.send().unwrap();
        assert_eq!(hits.count(), 1);
        assert_eq!(rig.requests(Endpoint::Management, ".get ingestion resources"), 2);
        rig.has_every_row_once(operation);
    }
}

#[test]
fn a_firewall_before_storage_is_named_when_fresh_signatures_are_refused_too() {
    let rig = Rig::new();
    rig.handle.add_fault(FaultRule::new(Endpoint::Blob, Fault::Fail { status: 403, retry_after: None }));
    let error = rig.send().map(drop).unwrap_err();
    says(
        &error,
        &["upload a blob", "Fresh signatures are refused, too", "network rules", "private endpoints"],
    );
    assert!(rig.requests(Endpoint::Blob, "PutBlob") <= 4, "it is not hammered");
    assert!(rig.table().is_empty());
}

/// A cluster that goes away for good in the middle of a run.
#[test]
fn a_cluster_that_is_gone_ends_the_run_with_its_address() {
    let emulator =
        Emulator::builder().database(DATABASE).batching_time(Duration::from_millis(5)).start().unwrap();
    emulator.handle().command(DATABASE, ".create table T (id: long, text: string)").unwrap();
    let url = emulator.cluster_url().to_owned();
    let connection = kusto_client::ConnectionOptions::builder().cluster_url(&url).no_auth().build().unwrap();
    let sink = send(&connection, options().retry_attempts(4), rows(0..ROWS)).unwrap();
    drop(emulator);
    let error = send_more(&sink, rows(0..ROWS)).unwrap_err();
    let address = url.trim_start_matches("http://");
    says(&error, &["are not delivered after 4 attempts", &format!("no connection to {address}")]);
}

#[test]
fn a_sink_whose_service_is_away_says_since_when_until_it_is_back() {
    let rig = Rig::new();
    let sink = SinkV2::connect(&rig.connection(), &options().build().unwrap()).unwrap();
    send_more(&sink, rows(0..ROWS / 2)).unwrap();
    assert_eq!((sink.stalled_for(), sink.uploads().0), (None, 0));
    rig.handle.add_fault(FaultRule::new(Endpoint::Blob, Fault::Fail { status: 503, retry_after: None }));
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| send_more(&sink, rows(ROWS / 2..ROWS)));
        until("a stall", || sink.stalled_for());
        rig.handle.clear_faults();
        sending.join().unwrap().unwrap();
    });
    assert_eq!(sink.stalled_for(), None);
    rig.has_every_row_once("away for a while");
}
