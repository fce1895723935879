//! The local cluster with its storage on an Azurite: `timely-kusto emulator --storage`.

use kusto_client::conformance::{self, Fixture};
use kusto_client::{Client, ConnectionOptions};
use kusto_emulator::Emulator;
use timely_kusto_tests::{
    Azurite, Cluster, Config, Outside, Place, assert_same_rows, csv_rows, repository, rows_of, until,
};

use super::Kind;
use super::wire::{Server, blob, queue, table};

/// The client of this project, which sends blobs and messages by the official Rust clients.
#[tokio::test]
async fn the_client_conforms_with_storage_on_azurite() {
    let Some(outside) = Outside::find() else { return };
    let place = Place::new();
    let azurite = Azurite::start(&outside, &place);
    let emulator = Emulator::builder().database("db").storage(azurite.connection_string()).start().unwrap();
    emulator.handle().command("db", ".create table Conformance (a: long, b: string)").unwrap();
    assert!(emulator.storage_connection_strings().is_empty(), "it has no storage of its own");
    let options = ConnectionOptions::builder().cluster_url(emulator.cluster_url()).no_auth().build().unwrap();
    conformance::all(&Client::connect(options).unwrap(), &Fixture::new("db", "Conformance")).await;
}

#[test]
fn a_pipeline_delivers_every_row_once_with_storage_on_azurite() {
    let Some(outside) = Outside::find() else { return };
    let place = Place::new();
    let azurite = Azurite::start(&outside, &place);
    let cluster = Cluster::start_with(&place, &["--storage", &azurite.connection_string()]);
    let data = repository().join("examples/data/birdstrikes.csv");
    let config = Config::new(cluster.url())
        .file(&data)
        .sink("batch_bytes = \"64KiB\"")
        .sink("retain_blob_on_success = true");
    let outcome = place.run(&config, &["-w", "2"]).expect(0);
    let rows = csv::Reader::from_path(&data).unwrap().into_records().count() as u64;
    assert_eq!((outcome.number("rows_read"), outcome.number("rows_delivered")), (rows, rows));
    let found = cluster.ask("T");
    assert_same_rows(&rows_of(&found), &csv_rows(&std::fs::read(&data).unwrap(), &found.columns));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let storage = Server::new(Kind::Azurite, &azurite.connection_string());
    runtime.block_on(went_through(&storage));
    // A message goes last, after its row says so.
    until("an empty queue", || runtime.block_on(messages(&storage)).eq("0").then_some(()));
}

/// Blobs and status rows went through this storage: blobs are there, all rows say that they were ingested.
async fn went_through(azurite: &Server) {
    let mut blobs = 0;
    for container in ["ingestdata-0", "ingestdata-1"] {
        let list = blob("GET", format!("{container}?restype=container&comp=list"));
        blobs += azurite.send(list).await.is("200").elements("Blob").len();
    }
    let rows = azurite.send(table("GET", "ingestionsstatus()")).await.is("200").json();
    let rows = rows["value"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["Status"] == "Succeeded"), "{rows:?}");
    assert!(blobs >= rows.len(), "{blobs} blobs for {} rows", rows.len());
}

/// How many messages wait or are worked on.
async fn messages(azurite: &Server) -> String {
    let queue = azurite.send(queue("GET", "readyforaggregation-secured?comp=metadata")).await.is("200");
    queue.header("x-ms-approximate-messages-count").to_owned()
}

#[test]
fn storage_that_is_not_there_or_not_described_is_an_error_that_names_the_account_and_no_key() {
    let place = Place::new();
    let key = "c2VjcmV0IGtleQ==";
    let nowhere = format!(
        "AccountName=acct;AccountKey={key};BlobEndpoint=http://127.0.0.1:1/acct;QueueEndpoint=http://127.0.0.1:1/acct;\
         TableEndpoint=http://127.0.0.1:1/acct"
    );
    let outcome = place.command(&["emulator", "--storage", &nowhere]);
    assert!(!outcome.stderr.contains(key), "{}", outcome.stderr);
    outcome.refused(1, &["'acct'", "cannot be reached", "connection string"]);
    let outcome = place.command(&["emulator", "--storage", &format!("AccountKey={key}")]);
    assert!(!outcome.stderr.contains(key), "{}", outcome.stderr);
    outcome.refused(1, &["AccountName"]);
}
