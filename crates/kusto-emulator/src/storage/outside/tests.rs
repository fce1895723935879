//! What data management relies on, with the storage of another local cluster in the part of Azurite: one whose clock and
//! whose faults the test has in hand.

use std::io::Read;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::clock::ManualClock;
use crate::engine::BlobReader;
use crate::{Emulator, Endpoint, Fault, FaultRule};

/// The cluster that holds the storage, and what works on it from outside.
struct Setting {
    there: Emulator,
    clock: ManualClock,
    outside: Outside,
    queue: Place,
}

fn connect(there: &Emulator) -> Outside {
    let accounts = there.storage_connection_strings();
    let accounts = accounts.iter().map(|account| Connection::parse(account).unwrap()).collect();
    Outside::new(accounts, Handle::current()).unwrap()
}

impl Setting {
    fn new() -> Self {
        let clock = ManualClock::default();
        // Signatures are made by the real time.
        clock.set(Timestamp::now());
        let there = Emulator::builder().clock(clock.clone()).start().unwrap();
        let outside = connect(&there);
        let queue = Place::new("storage00", "mine");
        outside.create(&queue, Service::Queue).unwrap();
        outside.create(&queue, Service::Queue).unwrap();
        Self { there, clock, outside, queue }
    }

    fn put(&self, text: &str) {
        self.outside.put_message(&self.queue, text, Duration::from_secs(3600)).unwrap();
    }

    fn take(&self) -> Vec<String> {
        taken(&self.outside, &self.queue)
    }

    fn rule(&self, rule: FaultRule) {
        self.there.handle().add_fault(rule);
    }
}

fn taken(outside: &Outside, queue: &Place) -> Vec<String> {
    outside.take_messages(queue, 1000).unwrap().into_iter().map(|message| message.text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_taken_once_and_comes_back_minutes_after_a_kill_only() {
    let setting = Setting::new();
    for number in 0..40 {
        setting.put(&format!("<{number}> & more"));
    }
    let expected: Vec<_> = (0..40).map(|number| format!("<{number}> & more")).collect();
    assert_eq!(setting.take(), expected, "in two answers");
    assert!(setting.take().is_empty());
    let after_a_kill = connect(&setting.there);
    assert!(taken(&after_a_kill, &setting.queue).is_empty(), "still hidden");
    setting.clock.advance(Duration::from_secs(300));
    assert_eq!(taken(&after_a_kill, &setting.queue), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_worked_on_stays_hidden_and_is_deleted_by_its_last_receipt() {
    let setting = Setting::new();
    setting.put("long work");
    let message = setting.outside.take_messages(&setting.queue, 1).unwrap().remove(0);
    for _ in 0..3 {
        setting.clock.advance(Duration::from_secs(200));
        setting.outside.renew(Duration::ZERO).await;
        assert!(setting.take().is_empty());
    }
    setting.outside.finish_message(&setting.queue, &message.id).unwrap();
    setting.clock.advance(Duration::from_secs(290));
    assert!(setting.take().is_empty(), "it is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_given_back_comes_after_its_time() {
    let setting = Setting::new();
    setting.put("again");
    let message = setting.outside.take_messages(&setting.queue, 1).unwrap().remove(0);
    setting.outside.give_back_message(&setting.queue, &message.id, Duration::from_secs(10));
    assert!(setting.take().is_empty());
    setting.clock.advance(Duration::from_secs(10));
    let again = setting.outside.take_messages(&setting.queue, 1).unwrap().remove(0);
    assert_eq!((again.text.as_str(), again.dequeued), ("again", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_is_busy_or_loses_an_answer_is_asked_again() {
    let setting = Setting::new();
    let queue = |operation: &str, fault| FaultRule::new(Endpoint::Queue, fault).operation(operation).times(2);
    setting.rule(queue("PutMessage", Fault::Throttle { retry_after: None }));
    setting.put("x");
    setting.rule(queue("GetMessages", Fault::Fail { status: 500, retry_after: None }));
    let message = setting.outside.take_messages(&setting.queue, 1).unwrap().remove(0);
    setting.rule(queue("DeleteMessage", Fault::LoseAnswer));
    setting.outside.finish_message(&setting.queue, &message.id).unwrap();
    setting.clock.advance(Duration::from_secs(300));
    assert!(setting.take().is_empty());
    let forbidden = FaultRule::new(Endpoint::Queue, Fault::Fail { status: 403, retry_after: None });
    setting.rule(forbidden);
    let error = setting.outside.take_messages(&setting.queue, 1).unwrap_err();
    assert_eq!((error.status, error.code), (403, "OutsideStorage"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_read_by_signature_key_or_identity_and_below_known_endpoints_only() {
    let setting = Setting::new();
    let container = Place::new("storage01", "mine");
    setting.outside.create(&container, Service::Blob).unwrap();
    let hour = Duration::from_secs(3600);
    let signed = setting.outside.signed_url(Service::Blob, &container, "rwd", hour).unwrap();
    let (base, sas) = signed.split_once('?').unwrap();
    let (bare, blob) = (format!("{base}/dir/a%20b.csv"), format!("{base}/dir/a%20b.csv?{sas}"));
    let put =
        reqwest::Client::new().put(&blob).header("x-ms-blob-type", "BlockBlob").header("x-ms-meta-rows", "7");
    assert_eq!(put.body("a,b\n1,2\n").send().await.unwrap().status(), 201);
    let read = |address: &str| {
        let mut text = String::new();
        setting.outside.open(address).map(|mut blob| blob.read_to_string(&mut text).map(|_| text))
    };
    let account = setting.there.storage_connection_strings().remove(1);
    let key = account.split(';').find_map(|part| part.strip_prefix("AccountKey=")).unwrap().to_owned();
    for address in [blob.clone(), format!("{bare};{key}"), format!("{bare};managed_identity=system")] {
        assert_eq!(read(&address).unwrap().unwrap(), "a,b\n1,2\n");
        assert_eq!(setting.outside.source_metadata(&address).unwrap()["rows"], "7");
    }
    for (address, code) in [
        (format!("{base}/nothing?{sas}"), "Download_SourceNotFound"),
        (blob.replace("sig=", "sig=x"), "Download_Forbidden"),
        (bare.clone(), "Download_Forbidden"),
        (format!("{bare};d3Jvbmc="), "Download_Forbidden"),
        ("http://127.0.0.1:1/storage01/mine/a".to_owned(), "BadRequest_InvalidBlob"),
        ("nonsense".to_owned(), "BadRequest_InvalidBlob"),
    ] {
        let failure = read(&address).unwrap_err();
        assert_eq!((failure.code, failure.permanent), (code, true));
        assert!(!failure.message.contains("sig=") && !failure.message.contains(&key), "{}", failure.message);
    }
    setting.rule(
        FaultRule::new(Endpoint::Blob, Fault::Fail { status: 503, retry_after: None })
            .operation("GetBlob")
            .times(1),
    );
    assert!(!read(&blob).unwrap_err().permanent, "it is tried again later");
    setting.rule(FaultRule::new(Endpoint::Blob, Fault::Truncate { bytes: 3 }).operation("GetBlob").times(1));
    read(&blob).unwrap().unwrap_err();
    setting.outside.delete_source(&blob).unwrap();
    assert_eq!(read(&blob).unwrap_err().code, "Download_SourceNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_rows_are_made_or_merged_in_known_tables_only() {
    let setting = Setting::new();
    let table = Place::new("storage00", "Mine");
    setting.outside.create(&table, Service::Table).unwrap();
    let address =
        setting.outside.signed_url(Service::Table, &table, "raud", Duration::from_secs(3600)).unwrap();
    let key = ("p 1".to_owned(), "it's".to_owned());
    let pending = json!({"Status": "Pending", "Kept": 1}).as_object().unwrap().clone();
    setting.outside.merge_row(&address, &table, &key, pending).unwrap();
    let nameless = address.replace("/Mine?", "?");
    let done = json!({"Status": "Succeeded"}).as_object().unwrap().clone();
    setting.outside.merge_row(&nameless, &table, &key, done).unwrap();
    let (base, sas) = address.split_once('?').unwrap();
    let rows = reqwest::Client::new()
        .get(format!("{base}()?{sas}"))
        .header("accept", "application/json;odata=nometadata");
    let rows = rows.send().await.unwrap().json::<serde_json::Value>().await.unwrap();
    let row = &rows["value"][0];
    assert_eq!(
        (&row["Status"], &row["Kept"], &row["RowKey"]),
        (&json!("Succeeded"), &json!(1), &json!("it's"))
    );
    let elsewhere =
        setting.outside.merge_row("http://127.0.0.1:1/storage00/Mine", &table, &key, serde_json::Map::new());
    assert_eq!(elsewhere.unwrap_err().code, "TableNotFound");
}
