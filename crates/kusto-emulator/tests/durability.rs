//! What was acknowledged is there at the next start.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use kusto_emulator::{Emulator, EmulatorError};
use reqwest::Method;
use support::{Cluster, item};

/// A second start on the same directory and port, as after a kill: the first one's directory as it was, copied while it
/// ran.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn blobs_blocks_messages_status_rows_rows_and_keys_survive_a_kill() {
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (home.path().join("first"), home.path().join("second"));
    let cluster = Cluster::start_with(|options| options.data_dir(&first));
    let ingested = cluster.upload("in.csv", "1,x\n2,y\n").await;
    let (message, done_row) = cluster.message(&ingested).await;
    cluster.queue(&message).await;
    cluster.pass(Duration::from_secs(1)).await;
    let waiting = cluster.upload("waits.csv", "3,z\n").await;
    let (message, waiting_row) = cluster.message(&waiting).await;
    cluster.queue(&message).await;
    let blocks = item(&cluster.resource("TempStorage").await, "blocks.csv");
    cluster.send(Method::PUT, &format!("{blocks}&comp=block&blockid=YQ=="), &[], "4,a\n").await;
    let replaced = cluster.upload("replaced", "old").await;
    cluster.put_blob(&replaced, "new").await;
    let deleted = cluster.upload("deleted", "x").await;
    cluster.send(Method::DELETE, &deleted, &[], "").await;
    let secrets = cluster.emulator.handle().identity_header().to_owned();
    copy(&first, &second);
    let old_url = cluster.emulator.cluster_url().to_owned();
    drop(cluster);

    // Another port: addresses in old messages name the old one, and still mean this storage.
    let clock = kusto_emulator::clock::ManualClock::default();
    clock.advance(Duration::from_secs(1));
    let emulator = Emulator::builder().clock(clock.clone()).data_dir(&second).start().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let again = Cluster { emulator, clock, http, token: None };
    let moved = |url: &str| url.replace(&old_url, again.emulator.cluster_url());
    assert_eq!(again.emulator.handle().identity_header(), secrets);
    assert_eq!(again.send(Method::GET, &moved(&replaced), &[], "").await.text, "new");
    again.send(Method::GET, &moved(&deleted), &[], "").await.refused(404, "BlobNotFound");
    assert_eq!(again.status(&moved(&done_row)).await["Status"], "Succeeded");
    assert_eq!(again.count("T").await, 2);
    let list = "<BlockList><Latest>YQ==</Latest></BlockList>";
    assert_eq!(
        again.send(Method::PUT, &format!("{}&comp=blocklist", moved(&blocks)), &[], list).await.status,
        201
    );
    assert_eq!(again.send(Method::GET, &moved(&blocks), &[], "").await.text, "4,a\n");
    again.pass(Duration::from_secs(1)).await;
    assert_eq!(
        again.status(&moved(&waiting_row)).await["Status"],
        "Succeeded",
        "the message was still in its queue"
    );
    assert_eq!(again.count("T").await, 3);
    let bodies = std::fs::read_dir(second.join("storage/bodies")).unwrap().count();
    assert_eq!(bodies, 4, "in.csv, waits.csv, blocks.csv, replaced: nothing else is left");
}

#[test]
fn a_line_that_a_kill_cut_short_is_dropped_and_a_damaged_one_is_told() {
    use std::io::Write;
    let home = tempfile::tempdir().unwrap();
    drop(Emulator::builder().data_dir(home.path()).start().unwrap());
    let journal = home.path().join("storage/journal.jsonl");
    let append = |text: &[u8]| {
        std::fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(text).unwrap()
    };
    append(b"{\"Message\":{\"place\":{\"acc");
    drop(Emulator::builder().data_dir(home.path()).start().unwrap());
    append(b"garbage\n");
    let error = Emulator::builder().data_dir(home.path()).start().unwrap_err().to_string();
    assert!(error.contains("journal.jsonl line"), "{error}");
}

#[test]
fn a_directory_belongs_to_one_emulator_and_to_its_owner() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("data");
    let running = Emulator::builder().data_dir(&directory).start().unwrap();
    let second = Emulator::builder().data_dir(&directory).start().unwrap_err();
    assert!(matches!(second, EmulatorError::DirectoryInUse(_)), "{second}");
    #[cfg(unix)]
    for (path, mode) in
        [("", 0o700), ("secrets.json", 0o600), ("storage/journal.jsonl", 0o600), ("storage", 0o700)]
    {
        use std::os::unix::fs::PermissionsExt;
        let found = std::fs::metadata(directory.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}");
    }
    drop(running);
    drop(Emulator::builder().data_dir(&directory).start().unwrap());
}
