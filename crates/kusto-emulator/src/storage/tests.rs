//! What storage keeps over a restart, beyond what ingestion needs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::resources::{Page, Part};
use super::*;
use crate::clock::SystemClock;
use crate::seed::Seed;

fn open(directory: &Path, start: u64) -> Storage {
    let account = Account { name: "acct00".to_owned(), key: b"key".to_vec() };
    let ids = Seed::new(start).stream("storage");
    Storage::open(vec![account], Keep::In(directory, u64::MAX), Arc::new(SystemClock), ids).unwrap()
}

fn place(name: &str) -> Place {
    Place::new("acct00", name)
}

fn names(storage: &Storage, service: Service) -> Vec<String> {
    let all = Part { prefix: String::new(), from: String::new(), most: 100 };
    let Page { items, next } = storage.list(service, "acct00", &all);
    assert_eq!(next, None);
    items.into_iter().map(|(name, _)| name).collect()
}

async fn put(storage: &Storage, place: &Place, name: &str, text: &'static str) {
    let mut body = storage.start_body().unwrap();
    body.write(text.into()).await.unwrap();
    let upload =
        Upload { properties: Properties::default(), conditions: Conditions::default(), create_only: false };
    storage.put_blob(place, name, body.finish().await.unwrap(), upload).unwrap();
}

#[tokio::test]
async fn what_clients_made_described_and_removed_is_as_they_left_it_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (kept, gone) = (place("kept"), place("gone"));
    let metadata = BTreeMap::from([("purpose".to_owned(), "test".to_owned())]);
    let policy = Policy { id: "p1".to_owned(), permission: "r".to_owned(), ..Policy::default() };
    let (about, bodies) = {
        let storage = open(directory.path(), 1);
        for service in [Service::Blob, Service::Queue, Service::Table] {
            storage.create_new(&kept, service, metadata.clone()).unwrap();
            storage.create_new(&gone, service, BTreeMap::new()).unwrap();
        }
        let change = |about: &mut About| about.policies = vec![policy.clone()];
        let about = storage.describe(&kept, Service::Blob, &Conditions::default(), change).unwrap();
        put(&storage, &kept, "a", "kept").await;
        put(&storage, &gone, "a", "gone").await;
        let change = |properties: &mut Properties| properties.headers.content_type = Some("a/b".to_owned());
        storage.describe_blob(&kept, "a", &Conditions::default(), change).unwrap();
        storage.put_message(&gone, "x".to_owned(), Duration::ZERO, Duration::from_secs(60)).unwrap();
        let key = ("p".to_owned(), "r".to_owned());
        let row = json!({"n": 1}).as_object().unwrap().clone();
        storage.change_entity(&gone, &key, row, Change::Insert, &Expect::Whatever).unwrap();
        for service in [Service::Blob, Service::Queue, Service::Table] {
            storage.delete(&gone, service, &Conditions::default()).unwrap();
        }
        (about, std::fs::read_dir(directory.path().join("bodies")).unwrap().count())
    };
    assert_eq!(bodies, 1, "the bytes of a removed container are removed");
    for start in [2, 3] {
        let storage = open(directory.path(), start);
        for service in [Service::Blob, Service::Queue, Service::Table] {
            assert_eq!(names(&storage, service), ["kept"]);
            assert_eq!(storage.about(&kept, service).unwrap().metadata, metadata);
        }
        assert_eq!(storage.about(&kept, Service::Blob).unwrap(), about);
        let blob = storage.blob(&kept, "a").unwrap();
        assert_eq!(blob.properties.headers.content_type.as_deref(), Some("a/b"));
        assert_eq!(std::io::read_to_string(blob.body.reader()).unwrap(), "kept");
    }
}

#[test]
fn a_journal_of_an_earlier_version_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let line = r#"{"Resource":{"place":{"account":"acct00","resource":"old"},"service":"Blob"}}"#;
    std::fs::write(directory.path().join("journal.jsonl"), format!("{line}\n")).unwrap();
    assert_eq!(names(&open(directory.path(), 1), Service::Blob), ["old"]);
}
